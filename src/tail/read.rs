//! Reads the new whole lines of one file, from the offset of its cursor on.
//!
//! A line that has no newline yet is not read; only how far it was searched is remembered, in memory. So a long line
//! that grows in small steps is searched once and read once, and after a restart it is searched again. A very long
//! line, as in a file of a terabyte, is searched in slices, so that other files are read in between.
//!
//! Two changes are not noticed: a rewrite to the same size within one tick of the file system clock, and a change
//! between the first 1024 bytes and the last 64 bytes before the offset. The client does neither.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::transcript::chunk::{CHUNK_BYTES, Chunk, Cursor, FileNumber, FileRole, LINE_BYTES_MAX};

use super::discover::FoundFile;
use super::error::ReadError;
use super::identity::Fingerprint;
use super::source::{Search, SourceFile};
use super::stat::Stat;

/// Largest [`FileRole::AgentMeta`] file that is read, in bytes (1 MiB). Real files have about 300 bytes.
pub const META_BYTES_MAX: u64 = 1 << 20;

/// Most unfinished lines whose search is remembered. Beyond that one is forgotten, and searched from its beginning
/// later.
const UNFINISHED_LINES_MAX: usize = 4096;

/// Usual [`ReadLimits::search_bytes_max`] (256 MiB), so that other files do not wait long.
const SEARCH_BYTES_MAX: u64 = 256 << 20;

/// Sizes in bytes that bound one read. [`ReadLimits::default`] has the usual ones; tests use small ones.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Usual size of one read.
    pub chunk_bytes: usize,
    /// Longest line that is read, with its newline. A longer line is skipped and counted.
    pub line_bytes_max: usize,
    /// How many bytes one call searches for the end of a line; at least `line_bytes_max` are searched.
    pub search_bytes_max: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { chunk_bytes: CHUNK_BYTES, line_bytes_max: LINE_BYTES_MAX, search_bytes_max: SEARCH_BYTES_MAX }
    }
}

impl ReadLimits {
    /// Limits without slices, for a caller that reads one file after the other and has nothing to do in between.
    #[must_use]
    pub fn without_slices() -> Self {
        Self { search_bytes_max: u64::MAX, ..Self::default() }
    }
}

/// What one call of [`FileReader::next`] found.
#[derive(Debug)]
pub enum Read {
    /// Nothing new; the cursor stays as it is.
    Unchanged,
    /// New lines. [`Chunk::bytes`] is empty if the only new line is too long.
    Chunk {
        /// The lines and the cursor behind them.
        chunk: Chunk,
        /// True if the file has more bytes behind the cursor: call again.
        more: bool,
    },
    /// A slice of a long line was searched, and its end was not found yet: call again.
    Searching,
    /// The file does not exist any more.
    Gone,
}

/// How [`FileReader::each`] ended, if nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All whole lines were given to the caller, or the caller had enough.
    Read,
    /// All whole lines before a long line were given to the caller; [`FileReader::next`] goes on searching for its end.
    Searching,
    /// The file does not exist any more.
    Gone,
}

/// A line without a newline, and how far it was searched.
#[derive(Debug)]
struct Unfinished {
    /// Offset of the cursor with which the caller asked.
    asked_offset: Option<u64>,
    stat: Stat,
    search: Search,
}

/// What stands behind the offset.
enum Reach {
    Lines(Vec<u8>),
    TooLong {
        end: u64,
    },
    Unfinished(Search),
    /// An unfinished line of which a part is not searched yet.
    Searching(Search),
    /// The file was rewritten while it was read; the next call reads the new content.
    Moved,
}

/// Reads files piece by piece; one reader serves all files.
#[derive(Debug, Default)]
pub struct FileReader {
    limits: ReadLimits,
    unfinished: HashMap<FileNumber, Unfinished>,
    bytes_read: u64,
    /// Memory of the last chunk, used again for the next one: allocating it anew takes a tenth of the time of parsing.
    spare: Vec<u8>,
}

/// A file that is being read.
struct OpenedFile<'a> {
    source: SourceFile<'a>,
    stat: Stat,
    found: &'a FoundFile,
    file: FileNumber,
    /// Offset of the cursor with which the caller asked.
    asked_offset: Option<u64>,
}

impl FileReader {
    /// A reader with these limits; [`FileReader::default`] has the usual ones.
    #[must_use]
    pub fn new(limits: ReadLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Number of bytes read from files so far; bytes that were read twice count twice.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next chunk of `found`, which has the number `file`, after `cursor` (`None`: from the beginning). Fails if
    /// the file is there but cannot be read; the same call can then be made again.
    pub fn next(&mut self, found: &FoundFile, file: FileNumber, cursor: Option<&Cursor>) -> Result<Read, ReadError> {
        if self.is_unchanged(found, file, cursor) {
            return Ok(Read::Unchanged);
        }
        let mut bytes_read = self.bytes_read;
        let read = match OpenedFile::at(found, file, cursor, &mut bytes_read)? {
            None => {
                self.unfinished.remove(&file);
                return Ok(Read::Gone);
            }
            Some(mut opened) if opened.has_lines() => {
                let mut print = Fingerprint::resume(&mut opened.source, &opened.stat, cursor)?;
                self.lines(&mut opened, &mut print)
            }
            Some(mut opened) => opened.whole(),
        };
        self.bytes_read = bytes_read;
        read
    }

    /// Gives every chunk of `found` after `cursor` to `take`, until there is none or `take` breaks. Fails like
    /// [`FileReader::next`]; chunks that `take` was given before stay valid.
    ///
    /// The file is opened once and read up to the size that it has then; later lines are left for the next call. If it
    /// becomes shorter meanwhile, it was rewritten, and reading stops. If it is rewritten in place and does not become
    /// shorter, a mixture of both contents may be read as a line and rejected; the next call reads the file from its
    /// beginning.
    pub fn each(
        &mut self,
        found: &FoundFile,
        file: FileNumber,
        cursor: Option<&Cursor>,
        mut take: impl FnMut(&Chunk) -> ControlFlow<()>,
    ) -> Result<End, ReadError> {
        if self.is_unchanged(found, file, cursor) {
            return Ok(End::Read);
        }
        let mut bytes_read = self.bytes_read;
        let Some(mut opened) = OpenedFile::at(found, file, cursor, &mut bytes_read)? else {
            self.unfinished.remove(&file);
            return Ok(End::Gone);
        };
        let read = self.pieces(&mut opened, cursor, &mut take);
        self.bytes_read = bytes_read;
        read
    }

    /// The text from `offset`, behind the last newline of `found`, as a line with a newline: a file that nobody writes
    /// any more may end in a whole row without one. `None` if there is no such text, or more than a line may have.
    /// Fails like [`FileReader::next`].
    pub fn last_row(&mut self, found: &FoundFile, file: FileNumber, offset: u64) -> Result<Option<Chunk>, ReadError> {
        let mut bytes_read = self.bytes_read;
        let Some(mut opened) = OpenedFile::at(found, file, None, &mut bytes_read)? else { return Ok(None) };
        let length = opened.stat.size.saturating_sub(offset);
        if !opened.has_lines() || length == 0 || length > self.limits.line_bytes_max as u64 {
            return Ok(None);
        }
        let mut bytes = opened.source.read(offset, length)?;
        bytes.push(b'\n');
        self.bytes_read = bytes_read;
        let (role, cursor) = (found.role.clone(), Cursor { offset: offset + length, ..Cursor::default() });
        Ok(Some(Chunk { file, role, offset, bytes, restarted: offset == 0, too_long_lines: 0, cursor }))
    }

    fn pieces(
        &mut self,
        opened: &mut OpenedFile<'_>,
        cursor: Option<&Cursor>,
        take: &mut impl FnMut(&Chunk) -> ControlFlow<()>,
    ) -> Result<End, ReadError> {
        if !opened.has_lines() {
            if let Read::Chunk { chunk, .. } = opened.whole()? {
                // Such a file is one chunk, so it does not matter if `take` breaks.
                let _ends = take(&chunk);
            }
            return Ok(End::Read);
        }
        let mut print = Fingerprint::resume(&mut opened.source, &opened.stat, cursor)?;
        loop {
            let (chunk, more) = match self.lines(opened, &mut print)? {
                Read::Chunk { chunk, more } => (chunk, more),
                Read::Searching => return Ok(End::Searching),
                Read::Unchanged | Read::Gone => return Ok(End::Read),
            };
            let goes_on = take(&chunk).is_continue() && more;
            opened.asked_offset = Some(chunk.cursor.offset);
            self.keep(chunk.bytes);
            if !goes_on || opened.source.size()? < opened.stat.size {
                return Ok(End::Read);
            }
        }
    }

    /// Keeps the memory of a chunk for the next one, unless a long line made it large.
    fn keep(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() <= self.limits.chunk_bytes.saturating_mul(2) {
            self.spare = bytes;
        }
    }

    fn is_unchanged(&self, found: &FoundFile, file: FileNumber, cursor: Option<&Cursor>) -> bool {
        let stat = found.stat();
        stat.size == 0
            || cursor.is_some_and(|cursor| cursor.offset >= cursor.size && Stat::of_cursor(cursor) == stat)
            || self.unfinished.get(&file).is_some_and(|unfinished| {
                unfinished.stat == stat
                    && unfinished.asked_offset == cursor.map(|cursor| cursor.offset)
                    && unfinished.search.scanned_to() >= stat.size
            })
    }

    fn lines(&mut self, opened: &mut OpenedFile<'_>, print: &mut Fingerprint) -> Result<Read, ReadError> {
        let OpenedFile { source, stat, found, file, asked_offset } = opened;
        let start = print.offset();
        let earlier = self.unfinished.remove(file);
        let search = resume_search(earlier, source, stat, start)?;
        let (offset, bytes, too_long_lines) = match self.extent(source, search, stat.size)? {
            Reach::Lines(bytes) => {
                print.feed(&bytes);
                (start, bytes, 0)
            }
            Reach::TooLong { end } => {
                print.skip(source, end)?;
                (end, Vec::new(), 1)
            }
            Reach::Unfinished(search) => {
                self.remember(*file, Unfinished { asked_offset: *asked_offset, stat: *stat, search });
                return Ok(Read::Unchanged);
            }
            Reach::Searching(search) => {
                self.remember(*file, Unfinished { asked_offset: *asked_offset, stat: *stat, search });
                return Ok(Read::Searching);
            }
            Reach::Moved => return Ok(Read::Unchanged),
        };
        let more = print.offset() < stat.size;
        let (role, cursor) = (found.role.clone(), print.cursor(stat));
        let chunk = Chunk { file: *file, role, offset, bytes, restarted: start == 0, too_long_lines, cursor };
        Ok(Read::Chunk { chunk, more })
    }

    fn extent(&mut self, source: &mut SourceFile<'_>, mut search: Search, end: u64) -> Result<Reach, ReadError> {
        let line_bytes_max = (self.limits.line_bytes_max as u64).max(1);
        // A chunk is not larger than the longest line, so no line inside one chunk is too long.
        let chunk_bytes = (self.limits.chunk_bytes as u64).clamp(1, line_bytes_max);
        let start = search.start();
        let has_grown = search.has_grown();
        if search.is_fresh() {
            let spare = std::mem::take(&mut self.spare);
            let bytes = source.read_into(spare, start, chunk_bytes.min(end.saturating_sub(start)))?;
            match whole_lines(bytes) {
                Ok(bytes) => return Ok(Reach::Lines(bytes)),
                Err(bytes) => search.pass(&bytes),
            }
        }
        // One long line: its end is found before it is read, so that a line that is too long needs no memory.
        let slice = search.scanned_to().saturating_add(self.limits.search_bytes_max.max(line_bytes_max));
        let Some(newline) = search.run(source, end, (chunk_bytes, slice))? else {
            let goes_on = (slice..end).contains(&search.scanned_to());
            return Ok(if goes_on { Reach::Searching(search) } else { Reach::Unfinished(search) });
        };
        let line_end = newline.saturating_add(1);
        let line_length = line_end.saturating_sub(start);
        if line_length > line_bytes_max && has_grown {
            // The bytes that were searched earlier may have been rewritten since, with newlines among them.
            return self.extent(source, Search::from(start), end);
        }
        if line_length > line_bytes_max {
            return Ok(Reach::TooLong { end: line_end });
        }
        let bytes = source.read(start, line_length.max(chunk_bytes).min(end.saturating_sub(start)))?;
        Ok(whole_lines(bytes).map_or(Reach::Moved, Reach::Lines))
    }

    fn remember(&mut self, file: FileNumber, unfinished: Unfinished) {
        if self.unfinished.len() >= UNFINISHED_LINES_MAX
            && let Some(other) = self.unfinished.keys().next().copied()
        {
            self.unfinished.remove(&other);
        }
        self.unfinished.insert(file, unfinished);
    }
}

/// The search of `earlier`, if the file only grew since; otherwise a new one from `start`.
fn resume_search(
    earlier: Option<Unfinished>,
    source: &mut SourceFile<'_>,
    stat: &Stat,
    start: u64,
) -> Result<Search, ReadError> {
    if let Some(Unfinished { stat: earlier_stat, search, .. }) = earlier
        && search.start() == start
    {
        if *stat == earlier_stat {
            return Ok(search);
        }
        if stat.same_inode(&earlier_stat) && stat.size > earlier_stat.size && search.can_go_on(source)? {
            return Ok(search.grown());
        }
    }
    Ok(Search::from(start))
}

/// `bytes` up to the last newline; all of them, as the error, if there is no newline.
fn whole_lines(mut bytes: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
    let Some(last) = memchr::memrchr(b'\n', &bytes) else { return Err(bytes) };
    bytes.truncate(last.saturating_add(1));
    Ok(bytes)
}

impl<'a> OpenedFile<'a> {
    /// Opens `found`; `None` if it is gone.
    fn at(
        found: &'a FoundFile,
        file: FileNumber,
        cursor: Option<&Cursor>,
        bytes_read: &'a mut u64,
    ) -> Result<Option<Self>, ReadError> {
        let opened = SourceFile::open(found, bytes_read)?;
        let asked_offset = cursor.map(|cursor| cursor.offset);
        Ok(opened.map(|(source, stat)| Self { source, stat, found, file, asked_offset }))
    }

    fn has_lines(&self) -> bool {
        matches!(self.found.role, FileRole::Rows | FileRole::Stream) && self.stat.size > 0
    }

    /// Reads the facts of a sub-agent, which are not divided into lines, as one chunk.
    fn whole(&mut self) -> Result<Read, ReadError> {
        let Self { stat, found, file, .. } = *self;
        if stat.size == 0 {
            return Ok(Read::Unchanged);
        }
        if stat.size > META_BYTES_MAX {
            return Err(ReadError::TooLarge {
                path: found.path.clone(),
                size_bytes: stat.size,
                bytes_max: META_BYTES_MAX,
            });
        }
        let bytes = self.source.read(0, stat.size)?;
        let mut print = Fingerprint::default();
        print.feed(&bytes);
        // The offset is the size before reading, even if fewer bytes came: then the file has changed, and its new
        // modification time makes it be read again.
        let cursor = Cursor { offset: stat.size, ..print.cursor(&stat) };
        let role = found.role.clone();
        let chunk = Chunk { file, role, offset: 0, bytes, restarted: true, too_long_lines: 0, cursor };
        Ok(Read::Chunk { chunk, more: false })
    }
}
