//! Reads session files and adds to the index what is new of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use memchr::{memchr, memrchr};

use super::catalogue::{SearchIndex, Stamp};
use super::grams::ColumnBits;
use super::segment::{COLUMNS, Extent, Origin, Print};
use super::standing::{Standing, may_hold};
use crate::store::{StoreError, StoreReader};
use crate::tail::reread::{LINE_BYTES_MAX, Source};
use crate::transcript::chunk::{FileNumber, FileRole};
use crate::views::text::find::hint::Oddness;

/// Bytes of lines that a column stands for, about.
const COLUMN_BYTES: u64 = 48 << 10;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 128 << 10;

/// Makes the calling thread one that runs when no other wants to.
pub fn give_way() {
    // Elsewhere this is a property of the process, not of the thread.
    if !cfg!(target_os = "linux") {
        return;
    }
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "the search index is built at the usual priority");
    }
}

/// Adds to an index.
pub struct Builder {
    bits: ColumnBits,
    scratch: Vec<u8>,
    piece: Vec<u8>,
    /// Bytes of lines that a column stands for, about.
    column_bytes: u64,
    /// Columns with which a segment is full.
    columns_max: usize,
    /// The column that is being filled, and how many bytes it stands for; `None` before the first one.
    column: Option<((usize, usize), u64)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::small(COLUMN_BYTES, COLUMNS)
    }
}

impl Builder {
    /// One whose columns stand for about so many bytes, and whose segments have so many columns, for tests: so that few
    /// lines fill a segment.
    #[must_use]
    pub fn small(column_bytes: u64, columns_max: usize) -> Self {
        let (bits, scratch, piece) = (ColumnBits::default(), Vec::new(), Vec::new());
        Self { bits, scratch, piece, column_bytes, columns_max, column: None }
    }

    /// Looks at every file of the state and adds what is new. `goes_on` is asked before each piece. Returns whether it went
    /// through all. Fails if the state cannot be read, or the folder of the index not be written.
    pub fn pass(
        &mut self,
        index: &SearchIndex,
        reader: &StoreReader,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<io::Result<bool>, StoreError> {
        let mut files = Vec::new();
        reader.each_file(|number, row| {
            if row.role == FileRole::Rows {
                files.push((number, PathBuf::from(OsString::from_vec(row.path))));
            }
        })?;
        // The newest first, because they are asked for first.
        Ok(self.add_all(index, files.into_iter().rev(), goes_on))
    }

    fn add_all(
        &mut self,
        index: &SearchIndex,
        files: impl Iterator<Item = (FileNumber, PathBuf)>,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<bool> {
        for (number, path) in files {
            if !goes_on() {
                return Ok(false);
            }
            match self.add_file(index, number, &path, goes_on) {
                Ok(()) => {}
                Err(Failure::Session(error)) => {
                    if error.kind() == io::ErrorKind::NotFound {
                        index.write().forget(number);
                    }
                    tracing::debug!(path = %path.display(), %error, "a session file is not in the search index");
                }
                Err(Failure::Index(error)) => {
                    self.column = None;
                    return Err(error);
                }
            }
        }
        index.clear_if_dead()?;
        Ok(true)
    }

    fn add_file(
        &mut self,
        index: &SearchIndex,
        number: FileNumber,
        path: &Path,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let known = index.read().files.get(&number).filter(|known| known.path == path).cloned().unwrap_or_default();
        let is_of = |now: &Stamp| known.stamp.as_ref() == Some(now);
        let now = Standing::of(index.archive(), path).map_err(Failure::Session)?.stamp;
        if known.is_whole && is_of(&now) {
            return Ok(());
        }
        let mut opened = index.archive().open(path);
        let file = opened.now().map_err(|missing| Failure::Session(io::Error::other(missing.reason())))?;
        // Taken before anything is read: what changes after it is noticed.
        let now = Stamp::of(&file.metadata().map_err(Failure::Session)?);
        let end = known.end();
        let same = end > 0
            && known.stamp.is_some_and(|stamp| may_hold(file, &now, &stamp))
            && Print::of(file, end).is_ok_and(|own| own == known.print);
        if !same {
            index.write().forget(number);
        }
        let start = if same { end } else { 0 };
        let is_whole = self.add_lines(index, (number, path), (file, now), start, goes_on)?;
        if let Some(known) = index.write().files.get_mut(&number) {
            (known.stamp, known.is_whole) = (Some(now), is_whole);
        }
        Ok(())
    }

    /// Adds the whole lines of a file from a place on. Returns whether it came to the end.
    fn add_lines(
        &mut self,
        index: &SearchIndex,
        (number, path): (FileNumber, &Path),
        (file, stamp): (&Source, Stamp),
        mut start: u64,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<bool, Failure> {
        let mut piece = std::mem::take(&mut self.piece);
        let mut filled = 0;
        // A longer line is not shown: what stands behind it is read whenever it is asked for.
        while filled <= LINE_BYTES_MAX as usize && goes_on() {
            piece.resize(filled + PIECE_BYTES, 0);
            let read = file.read_at(piece.get_mut(filled..).unwrap_or_default(), start + filled as u64);
            let read = read.map_err(Failure::Session)?;
            if read == 0 {
                break;
            }
            filled += read;
            let all = piece.get(..filled).unwrap_or_default();
            let Some(whole) = memrchr(b'\n', all).map(|newline| newline + 1) else { continue };
            let mut rest = all.get(..whole).unwrap_or_default();
            while !rest.is_empty() {
                let (lines, behind) = rest.split_at(self.fitting(rest));
                let end = start + lines.len() as u64;
                let print = Print::of(file, end).map_err(Failure::Session)?;
                let extent = Extent { file: number.0, start, end, print, stamp };
                self.add(index, path, file, extent, lines)?;
                (start, rest) = (end, behind);
            }
            piece.copy_within(whole..filled, 0);
            filled -= whole;
        }
        self.piece = piece;
        Ok(goes_on())
    }

    /// How many bytes of some whole lines fill the column: whole lines, and one at least.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = self.column_bytes - self.column.map_or(0, |(_, bytes)| bytes);
        let from = usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(1);
        let behind = lines.get(from..).and_then(|rest| memchr(b'\n', rest));
        behind.map_or(lines.len(), |newline| from + newline + 1)
    }

    /// Adds some lines to the column that is being filled, and closes it when it is full.
    fn add(
        &mut self,
        index: &SearchIndex,
        path: &Path,
        file: &Source,
        extent: Extent,
        lines: &[u8],
    ) -> Result<(), Failure> {
        let mut inner = index.write();
        let (place, bytes) = match self.column {
            Some(column) if inner.segments.get(column.0.0).is_some() => column,
            _ => {
                self.bits.clear();
                let origin = Origin { file: extent.file, end: extent.end };
                (inner.begin_column(file, origin).map_err(Failure::Session)?, 0)
            }
        };
        let Some(key) = inner.segments.get(place.0).map(|segment| segment.key) else { return Ok(()) };
        drop(inner);
        // Nobody waits for this.
        self.bits.add(&key, lines, &mut self.scratch);
        let odd = Oddness::of(lines);
        let mut inner = index.write();
        if let Some(segment) = inner.segments.get_mut(place.0) {
            segment.put(place.1, &self.bits);
            if let Some(column) = segment.columns.get_mut(place.1) {
                column.odd_ascii |= odd.ascii;
                column.odd_letters |= odd.letters;
                column.add(extent);
            }
            inner.put(extent, place, || Ok(path.to_path_buf())).map_err(Failure::Session)?;
        }
        drop(inner);
        let bytes = bytes + (extent.end - extent.start);
        self.column = (bytes < self.column_bytes).then_some((place, bytes));
        if self.column.is_none() {
            index.seal_if_full(self.columns_max).map_err(Failure::Index)?;
        }
        Ok(())
    }
}

/// Why something is not added.
enum Failure {
    /// A session file cannot be read.
    Session(io::Error),
    /// The index cannot be written.
    Index(io::Error),
}
