//! A table of rows and 512 columns, in memory while it grows, and then in a file that is never changed.
//!
//! ```text
//! file     8 bytes of magic, length of the head, head, hash of the head, table, hash of the table
//! head     version, check of the key, and of each column which parts of files it stands for
//! table    row by row, 64 bytes each: a question reads a few rows
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::grams::{ColumnBits, Key, ROWS};

/// Columns of a table.
pub(super) const COLUMNS: usize = 512;

/// Words of a row.
const WORDS: usize = COLUMNS / 64;

const ROW_BYTES: usize = WORDS * 8;

const MAGIC: &[u8; 8] = b"tsindex1";

/// Raised whenever a file of an earlier program would be read wrongly.
const VERSION: u32 = 2;

/// Most bytes of a head that is read.
const HEAD_BYTES_MAX: usize = 64 << 20;

/// A bit for each column.
pub(super) type Bits = [u64; WORDS];

/// A part of a file, from line to line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) file: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    /// By which the file is known again: its first bytes, and those before `end`.
    pub(super) print: Print,
    /// The file as it was when they were read.
    pub(super) stamp: Stamp,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Bytes.
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a file with this stamp may only have been appended to since: it is the same, and longer. One that was edited
    /// in its middle may look alike at both ends.
    #[must_use]
    pub fn grew_into(&self, now: &Self) -> bool {
        (self.device, self.inode) == (now.device, now.inode) && self.size < now.size
    }
}

/// Hashes of the first bytes of a file, and of the last bytes before a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Print {
    pub(super) head_bytes: u32,
    pub(super) head: u64,
    pub(super) tail: u64,
}

/// What a column stands for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Column {
    /// Lines in it are written with escapes that stand for letters: `ascii` of ASCII, `letters` of any.
    pub(super) odd_ascii: bool,
    pub(super) odd_letters: bool,
    pub(super) extents: Vec<Extent>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    key_check: u64,
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Table {
    Memory(Vec<u64>),
    File(File, u64),
}

/// A table with what its columns stand for.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) key: Key,
    pub(super) columns: Vec<Column>,
    table: Table,
}

impl Segment {
    pub(super) fn new(key: Key) -> Self {
        Self { key, columns: Vec::new(), table: Table::Memory(vec![0; ROWS * WORDS]) }
    }

    /// Whether it is in memory and can be added to.
    pub(super) const fn grows(&self) -> bool {
        matches!(self.table, Table::Memory(_))
    }

    /// Sets the bits of a column that is in memory.
    pub(super) fn put(&mut self, column: usize, bits: &ColumnBits) {
        let Table::Memory(words) = &mut self.table else { return };
        for row in bits.rows() {
            if let Some(word) = words.get_mut(row * WORDS + column / 64) {
                *word |= 1 << (column % 64);
            }
        }
    }

    /// The columns that may have all of these letters. Fails if the file cannot be read.
    pub(super) fn may_have(&self, grams: &[[u8; 4]], is_ascii: bool) -> io::Result<Bits> {
        let mut found: Bits = [u64::MAX; WORDS];
        for gram in grams {
            let row = self.row(self.key.row(*gram))?;
            found.iter_mut().zip(row).for_each(|(word, own)| *word &= own);
        }
        for (number, column) in self.columns.iter().enumerate() {
            let is_odd = if is_ascii { column.odd_ascii } else { column.odd_letters };
            if let Some(word) = found.get_mut(number / 64).filter(|_| is_odd) {
                *word |= 1 << (number % 64);
            }
        }
        Ok(found)
    }

    fn row(&self, row: usize) -> io::Result<Bits> {
        let mut found: Bits = [0; WORDS];
        match &self.table {
            Table::Memory(words) => {
                let own = words.get(row * WORDS..(row + 1) * WORDS).unwrap_or_default();
                found.iter_mut().zip(own).for_each(|(word, own)| *word = *own);
            }
            Table::File(file, offset) => {
                let mut bytes = [0; ROW_BYTES];
                file.read_exact_at(&mut bytes, offset + (row * ROW_BYTES) as u64)?;
                let words = bytes.as_chunks::<8>().0.iter();
                found.iter_mut().zip(words).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
            }
        }
        Ok(found)
    }

    /// Writes the table to a file, as a whole or not at all, and goes on reading it there. The extents of columns are not
    /// kept in memory any more.
    pub(super) fn seal(&mut self, path: &Path) -> io::Result<()> {
        let Table::Memory(words) = &self.table else { return Ok(()) };
        let columns = self.columns.clone();
        let head = Head { version: VERSION, key_check: self.key.check, columns };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let table: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(MAGIC)?;
        file.write_all(&u64::try_from(head.len()).unwrap_or_default().to_le_bytes())?;
        file.write_all(&head)?;
        file.write_all(&xxh3_64(&head).to_le_bytes())?;
        file.write_all(&table)?;
        file.write_all(&xxh3_64(&table).to_le_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        self.table = Table::File(File::open(path)?, (MAGIC.len() + 8 + head.len() + 8) as u64);
        self.columns.iter_mut().for_each(|column| column.extents = Vec::new());
        Ok(())
    }

    /// Reads a file that [`Segment::seal`] wrote. `key` computes the key again from what the first column begins with. The
    /// columns have their extents. Fails if the file is damaged, or if the key is another one.
    pub(super) fn load(path: &Path, key: impl FnOnce(&Extent) -> Option<Key>) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let bytes = fs::read(path)?;
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| wrong("too short"))?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| wrong("too short"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if magic != MAGIC || length > HEAD_BYTES_MAX {
            return Err(wrong("another kind of file"));
        }
        let (head, rest) = rest.split_at_checked(length).ok_or_else(|| wrong("too short"))?;
        let (hash, rest) = rest.split_first_chunk::<8>().ok_or_else(|| wrong("too short"))?;
        let (table, end) = rest.split_at_checked(ROWS * ROW_BYTES).ok_or_else(|| wrong("too short"))?;
        if xxh3_64(head).to_le_bytes() != *hash || xxh3_64(table).to_le_bytes() != *end {
            return Err(wrong("damaged"));
        }
        let head: Head = postcard::from_bytes(head).map_err(io::Error::other)?;
        let first = head.columns.first().and_then(|column| column.extents.first());
        let key = first.and_then(key).filter(|key| key.check == head.key_check);
        let key = key.filter(|_| head.version == VERSION && head.columns.len() <= COLUMNS);
        let key = key.ok_or_else(|| wrong("its session file is another one"))?;
        Ok(Self { key, columns: head.columns, table: Table::File(File::open(path)?, (16 + length + 8) as u64) })
    }
}
