//! A file that grows by whole lines and has one writer, who holds a lock on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most bytes of the first line that are looked at.
const FIRST_LINE_MAX: u64 = 64 << 10;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file that is written.
#[derive(Debug)]
pub struct Appending {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Appending {
    /// A new file, readable by its owner alone. Fails with `AlreadyExists` if there is one.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file: locked(file)?, path, bytes: 0 })
    }

    /// A file that exists, of which a torn last line is cut off. Fails with `WouldBlock` if somebody else writes it.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = locked(OpenOptions::new().read(true).append(true).open(&path)?)?;
        let bytes = whole_lines(&file)?;
        file.set_len(bytes)?;
        Ok(Self { file, path, bytes })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it still has a name.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// Appends whole lines. If that fails, the file is as it was.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.append_all(std::iter::once(Ok(lines)))
    }

    /// Appends pieces that are whole lines together. If that fails, the file is as it was.
    pub fn append_all<P: AsRef<[u8]>>(&mut self, pieces: impl Iterator<Item = io::Result<P>>) -> io::Result<()> {
        let mut written = self.bytes;
        for piece in pieces {
            let result = piece.and_then(|piece| {
                self.file.write_all(piece.as_ref())?;
                Ok(piece.as_ref().len())
            });
            match result {
                Ok(bytes) => written += u64::try_from(bytes).unwrap_or(u64::MAX),
                Err(error) => {
                    // A part of a line would become one with the next. If even this fails, the next start cuts it off.
                    self.file.set_len(self.bytes)?;
                    return Err(error);
                }
            }
        }
        self.bytes = written;
        Ok(())
    }

    /// Makes durable what was appended.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Locks a file, so that others see that somebody writes it. Fails with `WouldBlock` if another has it.
pub fn locked(file: File) -> io::Result<File> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // A file system without locks: that there is one writer is then up to the user.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// The first line of a file; what there is of it if it is very long.
pub fn first_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?.take(FIRST_LINE_MAX)).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Bytes up to the end of the last whole line.
pub(super) fn whole_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = vec![0; PIECE];
    while end > 0 {
        let from = end.saturating_sub(PIECE as u64);
        let wanted = usize::try_from(end - from).unwrap_or(PIECE);
        let Some(piece) = piece.get_mut(..wanted) else { break };
        file.read_exact_at(piece, from)?;
        if let Some(newline) = memchr::memrchr(b'\n', piece) {
            return Ok(from + newline as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
