//! An open session file, or a copy of one, that counts the bytes read from it, and the search for the end of a line in it.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::fs::{SeekFrom, seek};
use rustix::io::{Errno, pread};

use super::discover::FoundFile;
use super::error::ReadError;
use super::frames::{FRAME_BYTES, Frames};
use super::stat::Stat;

/// Most bytes before the offset that a cursor hashes.
pub(super) const TAIL_BYTES_MAX: usize = 64;

/// An open file that is read at explicit offsets.
///
/// It is not mapped into memory, because a file that is truncated while it is mapped kills the process.
pub(super) struct SourceFile<'a> {
    file: Opened,
    path: &'a PathBuf,
    bytes_read: &'a mut u64,
}

/// What is read.
enum Opened {
    File(File),
    Copy(Frames),
}

impl<'a> SourceFile<'a> {
    /// Opens what was found; `None` if there is no regular file. Fails if it is there but cannot be opened.
    pub(super) fn open(found: &'a FoundFile, bytes_read: &'a mut u64) -> Result<Option<(Self, Stat)>, ReadError> {
        let path = found.copy.as_ref().unwrap_or(&found.path);
        let opened = match &found.copy {
            // A copy does not change: it is as it was found.
            Some(copy) => Frames::open(copy).map(|copy| {
                let stat = Stat { size: copy.size(), ..found.stat() };
                Some((Opened::Copy(copy), stat))
            }),
            None => File::open(path).and_then(|file| {
                let metadata = file.metadata()?;
                Ok(metadata.is_file().then(|| (Opened::File(file), Stat::of_metadata(&metadata))))
            }),
        };
        match opened {
            Ok(opened) => Ok(opened.map(|(file, stat)| (Self { file, path, bytes_read }, stat))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(ReadError::Open { path: path.clone(), source }),
        }
    }

    /// The size of the file now, in bytes. Fails if the system does not tell it.
    pub(super) fn size(&self) -> Result<u64, ReadError> {
        let failed = |source| ReadError::Read { path: self.path.clone(), offset: 0, source };
        match &self.file {
            Opened::File(file) => file.metadata().map(|metadata| metadata.len()).map_err(failed),
            Opened::Copy(copy) => Ok(copy.size()),
        }
    }

    /// The offset of the first byte at or after `offset` that is not in a hole of the file; the bytes before it read as
    /// zeros. `u64::MAX` if there is none, and `offset` itself if the file system does not tell.
    fn data_from(&self, offset: u64) -> u64 {
        let Opened::File(file) = &self.file else { return offset };
        // This moves the position of the open file, which nobody uses: every read names its offset.
        match seek(file, SeekFrom::Data(offset)) {
            Ok(at) => at,
            Err(Errno::NXIO) => u64::MAX,
            Err(_) => offset,
        }
    }

    /// The `length` bytes from `offset` on; fewer if the file ends before that. Fails if they cannot be read.
    pub(super) fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
        self.read_into(Vec::new(), offset, length)
    }

    /// [`SourceFile::read`] into the memory of `bytes`, whose content is dropped.
    pub(super) fn read_into(&mut self, mut bytes: Vec<u8>, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
        // Reads into memory that was not filled with zeros first, which would take a tenth of the time of parsing. The
        // standard library can do so too, but begins with small reads.
        bytes.clear();
        let most = usize::try_from(length).unwrap_or(usize::MAX);
        bytes.reserve(most);
        while bytes.len() < most {
            let at = offset.saturating_add(length_of(&bytes));
            let read = match &self.file {
                Opened::File(file) => pread(file, spare_capacity(&mut bytes), at).map_err(io::Error::from),
                Opened::Copy(copy) => more_of(copy, &mut bytes, most, at),
            };
            match read {
                Ok(0) => break,
                Ok(read) => *self.bytes_read = self.bytes_read.saturating_add(read as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ReadError::Read { path: self.path.clone(), offset: at, source }),
            }
        }
        bytes.truncate(most);
        Ok(bytes)
    }
}

/// Appends bytes of a copy to `bytes`, which then are at most `most`, and returns how many.
fn more_of(copy: &Frames, bytes: &mut Vec<u8>, most: usize, at: u64) -> io::Result<usize> {
    let before = bytes.len();
    bytes.resize(most.min(before.saturating_add(FRAME_BYTES)), 0);
    let read = copy.read_at(bytes.get_mut(before..).unwrap_or_default(), at);
    bytes.truncate(before.saturating_add(*read.as_ref().unwrap_or(&0)));
    read
}

/// A search for the next newline that can go on where an earlier one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    /// Offset where the line begins.
    start: u64,
    /// Offset up to which there is no newline.
    scanned_to: u64,
    /// The last bytes before `scanned_to`, at most 64, by which a rewrite of the line is noticed.
    marker: Vec<u8>,
    /// True if the file has grown since the search began: the bytes before the marker may have been rewritten.
    grown: bool,
}

impl Search {
    pub(super) const fn from(start: u64) -> Self {
        Self { start, scanned_to: start, marker: Vec::new(), grown: false }
    }

    /// The same search in a file that has grown.
    pub(super) fn grown(self) -> Self {
        Self { grown: true, ..self }
    }

    pub(super) const fn has_grown(&self) -> bool {
        self.grown
    }

    /// Offset up to which there is no newline.
    pub(super) const fn scanned_to(&self) -> u64 {
        self.scanned_to
    }

    /// Offset where the line begins.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// True if nothing was searched yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.scanned_to == self.start
    }

    /// True if the bytes before the place where the search stopped are still the same. Fails if the file cannot be
    /// read.
    pub(super) fn can_go_on(&self, source: &mut SourceFile<'_>) -> Result<bool, ReadError> {
        let length = length_of(&self.marker);
        Ok(source.read(self.scanned_to.saturating_sub(length), length)? == self.marker)
    }

    /// Goes past bytes without a newline.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        extend_tail(&mut self.marker, bytes);
        self.scanned_to = self.scanned_to.saturating_add(length_of(bytes));
    }

    /// Offset of the first newline before `end`. It reads `step_bytes` at a time and stops at the offset `slice`;
    /// `None` if no newline was found. Holes are skipped, since they have no newlines and may be terabytes long. Fails
    /// if the file cannot be read.
    pub(super) fn run(
        &mut self,
        source: &mut SourceFile<'_>,
        end: u64,
        (step_bytes, slice): (u64, u64),
    ) -> Result<Option<u64>, ReadError> {
        while self.scanned_to < end && self.scanned_to < slice {
            let data = source.data_from(self.scanned_to).min(end);
            if data.saturating_sub(self.scanned_to) > TAIL_BYTES_MAX as u64 {
                extend_tail(&mut self.marker, &[0; TAIL_BYTES_MAX]);
                self.scanned_to = data;
                continue;
            }
            let bytes = source.read(self.scanned_to, step_bytes.min(end.saturating_sub(self.scanned_to)))?;
            if let Some(position) = memchr::memchr(b'\n', &bytes) {
                return Ok(Some(self.scanned_to.saturating_add(position as u64)));
            }
            if bytes.is_empty() {
                break;
            }
            self.pass(&bytes);
        }
        Ok(None)
    }
}

/// Appends `bytes` to `tail` and keeps the last [`TAIL_BYTES_MAX`] bytes.
pub(super) fn extend_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let last = bytes.get(bytes.len().saturating_sub(TAIL_BYTES_MAX)..).unwrap_or(bytes);
    tail.extend_from_slice(last);
    tail.drain(..tail.len().saturating_sub(TAIL_BYTES_MAX));
}

/// Length as a file size.
pub(super) fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
