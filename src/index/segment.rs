//! A table of rows and 1024 columns, in memory while it grows, and then in a file that is never changed.
//!
//! ```text
//! file     8 bytes of magic, length of the head, head, hash of the head, table, hash of the table
//! head     version, check of the key and what it is made of, and of each column which parts of files it stands for
//! table    row by row, 128 bytes each: a question reads a few rows
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::grams::{ColumnBits, Key, ROWS};
use crate::archive::about::About;
use crate::views::text::find::hint::Run;

/// Columns of a table.
pub(super) const COLUMNS: usize = 1024;

/// Words of a row.
const WORDS: usize = COLUMNS / 64;

const ROW_BYTES: usize = WORDS * 8;

const MAGIC: &[u8; 8] = b"tsindex1";

/// Raised whenever a file of an earlier program would be read wrongly.
const VERSION: u8 = 3;

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

/// Nanoseconds of a second.
const NS_PER_S: i64 = 1_000_000_000;

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

    /// That of a session file when it was copied; when its names changed last is not known.
    pub(super) fn copied(about: &About) -> Self {
        let About { device, inode, size, modified_ns, .. } = *about;
        let modified = (modified_ns.div_euclid(NS_PER_S), modified_ns.rem_euclid(NS_PER_S));
        Self { device, inode, size, modified, changed: (0, 0) }
    }

    /// Whether a file with this stamp is the one that was copied.
    pub(super) fn was_of(&self, about: &About) -> bool {
        Self { changed: (0, 0), ..*self } == Self::copied(about)
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

/// What the key of a segment is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The file that the segment begins with.
    pub(super) file: u32,
    /// Up to where at most.
    pub(super) end: u64,
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
    version: u8,
    key_check: u64,
    origin: Origin,
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Table {
    /// Column by column, as they are made.
    Memory(Vec<ColumnBits>),
    /// Row by row, from an offset on.
    File(File, u64),
}

/// A table with what its columns stand for.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) key: Key,
    origin: Origin,
    pub(super) columns: Vec<Column>,
    table: Table,
}

/// The table of a segment that was written to a file.
#[derive(Debug)]
pub(super) struct Sealed(Table);

impl Column {
    /// Notes that the column stands for a further part of a file, which often goes on where the last one ends.
    pub(super) fn add(&mut self, extent: Extent) {
        match self.extents.last_mut() {
            Some(last) if last.file == extent.file && last.end == extent.start => {
                *last = Extent { start: last.start, ..extent };
            }
            _ => self.extents.push(extent),
        }
    }
}

impl Segment {
    pub(super) fn new(key: Key, origin: Origin) -> Self {
        Self { key, origin, columns: Vec::new(), table: Table::Memory(Vec::new()) }
    }

    /// Whether it is in memory and can be added to.
    pub(super) const fn grows(&self) -> bool {
        matches!(self.table, Table::Memory(_))
    }

    /// Size of its file; 0 before it is written.
    pub(super) fn disk_bytes(&self) -> u64 {
        match &self.table {
            Table::Memory(_) => 0,
            Table::File(file, _) => file.metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    /// Adds bits to a column of a table in memory.
    pub(super) fn put(&mut self, column: usize, bits: &ColumnBits) {
        let Table::Memory(columns) = &mut self.table else { return };
        if columns.len() <= column {
            columns.resize_with(column + 1, ColumnBits::default);
        }
        if let Some(own) = columns.get_mut(column) {
            own.add_all(bits);
        }
    }

    /// The columns that may have a run of letters. Fails if the file cannot be read.
    pub(super) fn may_have(&self, run: &Run) -> io::Result<Bits> {
        let mut found: Bits = [u64::MAX; WORDS];
        for row in self.key.rows(run.bytes()) {
            let row = self.row(row)?;
            found.iter_mut().zip(row).for_each(|(word, own)| *word &= own);
            if found == Bits::default() {
                break;
            }
        }
        for (number, column) in self.columns.iter().enumerate() {
            let is_odd = if run.is_ascii() { column.odd_ascii } else { column.odd_letters };
            if let Some(word) = found.get_mut(number / 64).filter(|_| is_odd) {
                *word |= 1 << (number % 64);
            }
        }
        Ok(found)
    }

    fn row(&self, row: usize) -> io::Result<Bits> {
        let mut found: Bits = [0; WORDS];
        match &self.table {
            Table::Memory(columns) => {
                for (word, columns) in found.iter_mut().zip(columns.chunks(64)) {
                    let bits = (0..).zip(columns).map(|(number, column)| u64::from(column.has(row)) << number);
                    *word = bits.fold(0, |all, bit| all | bit);
                }
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

    /// Writes the table to a file, as a whole or not at all: with [`Segment::go_on_with`] it is read there. Fails if it
    /// cannot be written.
    pub(super) fn seal(&self, path: &Path) -> io::Result<Sealed> {
        let Table::Memory(bits) = &self.table else { return Err(io::Error::other("it is in a file already")) };
        let columns = self.columns.clone();
        let head = Head { version: VERSION, key_check: self.key.check, origin: self.origin, columns };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let table = by_rows(bits);
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
        Ok(Sealed(Table::File(File::open(path)?, (MAGIC.len() + 8 + head.len() + 8) as u64)))
    }

    /// Reads the table where it was written to. The extents of columns are not kept in memory any more.
    pub(super) fn go_on_with(&mut self, Sealed(table): Sealed) {
        self.table = table;
        self.columns.iter_mut().for_each(|column| column.extents = Vec::new());
    }
}

/// The table row by row, in bytes.
fn by_rows(columns: &[ColumnBits]) -> Vec<u8> {
    let mut table = vec![0; ROWS * ROW_BYTES];
    for (word, columns) in (0..WORDS).zip(columns.chunks(64)) {
        for (step, rows) in table.chunks_mut(64 * ROW_BYTES).enumerate() {
            let mut square = [0; 64];
            square.iter_mut().zip(columns).for_each(|(own, column)| *own = column.rows_64(step));
            turn(&mut square);
            for (row, bits) in rows.chunks_mut(ROW_BYTES).zip(square) {
                if let Some(place) = row.get_mut(word * 8..word * 8 + 8) {
                    place.copy_from_slice(&bits.to_le_bytes());
                }
            }
        }
    }
    table
}

/// Makes columns of the rows of a square of bits: bit `a` of word `b` becomes bit `b` of word `a`. Squares of half the size
/// change their places, and then within each of them those of a quarter.
fn turn(square: &mut [u64; 64]) {
    let (mut half, mut mask) = (32, u64::MAX >> 32);
    while half > 0 {
        for upper in (0..64).filter(|number| number & half == 0) {
            let (head, tail) = square.split_at_mut(upper + half);
            if let (Some(low), Some(high)) = (head.get_mut(upper), tail.first_mut()) {
                let changed = (*low >> half ^ *high) & mask;
                *low ^= changed << half;
                *high ^= changed;
            }
        }
        half /= 2;
        mask ^= mask << half;
    }
}

/// A segment that was read from a file, and cannot be asked without its key.
pub(super) struct Locked {
    pub(super) origin: Origin,
    key_check: u64,
    columns: Vec<Column>,
    table: Table,
}

impl Locked {
    /// Reads a file that [`Segment::seal`] wrote. Fails if it is damaged, or of another version.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
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
        if head.first() != Some(&VERSION) {
            return Err(wrong("of another version"));
        }
        let (table, end) = rest.split_at_checked(ROWS * ROW_BYTES).ok_or_else(|| wrong("too short"))?;
        if xxh3_64(head).to_le_bytes() != *hash || xxh3_64(table).to_le_bytes() != *end {
            return Err(wrong("damaged"));
        }
        let Head { version: _, key_check, origin, columns } = postcard::from_bytes(head).map_err(io::Error::other)?;
        if columns.len() > COLUMNS {
            return Err(wrong("too many columns"));
        }
        Ok(Self { origin, key_check, columns, table: Table::File(File::open(path)?, (16 + length + 8) as u64) })
    }

    /// The segment, whose columns have their extents; `None` if its key is another one.
    pub(super) fn opened_with(self, key: Key) -> Option<Segment> {
        let Self { origin, key_check, columns, table } = self;
        (key.check == key_check).then_some(Segment { key, origin, columns, table })
    }
}
