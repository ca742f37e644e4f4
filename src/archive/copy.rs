//! Makes a copy of one session file. It has the name of a copy only after it was written, read back and found to be equal.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3Default;

use super::about::About;
use super::place::{Archive, numbered};
use crate::tail::FoundFile;
use crate::tail::frames::{FRAME_BYTES, FrameWriter, Frames};
use crate::transcript::time::Timestamp;

/// End of the name of a copy that is being written.
pub(super) const UNFINISHED: &str = "unfinished";

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// There is one that there was not before: of a new file, of one that has grown, or of one that was rewritten.
    New {
        /// Bytes of the session file.
        size: u64,
        /// Whether what was copied before is kept under a number, because the file was rewritten.
        is_rewritten: bool,
    },
    /// The file changed meanwhile, or is gone: it is looked at again later.
    Changed,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The session file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Original {
        /// The session file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The copy cannot be written or read back: the disk may be full.
    #[error("cannot write the copy {path}", path = path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// What was written is not what is read back.
    #[error("the copy {path} does not have the bytes of the session file", path = path.display())]
    Differs {
        /// The copy.
        path: PathBuf,
    },
}

/// A session file that is copied, and where to.
struct Job<'a> {
    found: &'a FoundFile,
    file: File,
    target: PathBuf,
    unfinished: PathBuf,
}

impl CopyError {
    /// Whether nothing can be written at all: the disk is full, read-only or failing.
    #[must_use]
    pub fn is_of_disk(&self) -> bool {
        let Self::Copy { source, .. } = self else { return false };
        let of_disk = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO].map(Errno::raw_os_error);
        source.raw_os_error().is_some_and(|code| of_disk.contains(&code))
    }
}

impl Archive {
    /// Copies a session file that was found below `root`. `goes_on` is asked now and then, and stops it.
    pub fn copy(
        &self,
        found: &FoundFile,
        root: &Path,
        now: Timestamp,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Copied, CopyError> {
        let Some(target) = self.copy_of(&found.path) else { return Ok(Copied::Changed) };
        let original = |source: io::Error| CopyError::Original { path: found.path.clone(), source };
        let file = match File::open(&found.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copied::Changed),
            file => file.map_err(original)?,
        };
        let unfinished = unfinished(&target);
        let failed = |source| CopyError::Copy { path: target.clone(), source };
        if let Some(folder) = target.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let job = Job { found, file, target: target.clone(), unfinished: unfinished.clone() };
        let copied = job.run(self, root, now, goes_on);
        if !matches!(copied, Ok(Copied::New { .. })) {
            // It is not there if it has become the copy, or was never begun.
            fs::remove_file(&unfinished).ok();
        }
        copied
    }
}

impl Job<'_> {
    fn run(
        &self,
        archive: &Archive,
        root: &Path,
        now: Timestamp,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Copied, CopyError> {
        let before = self.before();
        let Some(goes_on_from_before) = self.write(root, now, before.as_ref(), goes_on)? else {
            return Ok(Copied::Changed);
        };
        if !self.is_read_back(goes_on)? || !self.is_unchanged() {
            return Ok(Copied::Changed);
        }
        let failed = |source| CopyError::Copy { path: self.target.clone(), source };
        let _placing = archive.lock().map_err(failed)?;
        if self.before() != before {
            // Another process has put a copy here meanwhile.
            return Ok(Copied::Changed);
        }
        if before.is_none() && self.target.exists() {
            // It cannot be read, and is kept for whoever wants to mend it.
            fs::rename(&self.target, self.target.with_extension("zst.damaged")).map_err(failed)?;
        }
        let is_rewritten = !goes_on_from_before && before.is_some();
        if is_rewritten {
            let last = archive.earlier_copies(&self.found.path).first().map_or(0, |(number, _)| *number);
            let earlier = numbered(&self.target.with_extension(""), Some(last + 1));
            fs::rename(&self.target, earlier).map_err(failed)?;
        }
        fs::rename(&self.unfinished, &self.target).map_err(failed)?;
        if let Some(folder) = self.target.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(Copied::New { size: self.found.size, is_rewritten })
    }

    /// The copy that there is; `None` if there is none that can be read.
    fn before(&self) -> Option<About> {
        Frames::open(&self.target).ok().and_then(|copy| About::read(copy.about()))
    }

    /// Writes the copy under its unfinished name. Returns whether the file has, at its beginning, what was copied
    /// `before`; `None` if it ended early, or if the caller wants to stop.
    fn write(
        &self,
        root: &Path,
        now: Timestamp,
        before: Option<&About>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<bool>, CopyError> {
        let failed = |source| CopyError::Copy { path: self.unfinished.clone(), source };
        let new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.unfinished);
        let mut frames = FrameWriter::new(new.map_err(failed)?).map_err(failed)?;
        let (mut hash, mut at, mut piece) = (Xxh3Default::new(), 0, Vec::new());
        let mut goes_on_from_before = before.is_some_and(|before| before.size == 0);
        while at < self.found.size {
            if !goes_on() || !self.piece(at, &mut piece)? {
                return Ok(None);
            }
            match before {
                Some(before) if (at + 1..=at + piece.len() as u64).contains(&before.size) => {
                    let old = usize::try_from(before.size - at).unwrap_or_default();
                    let (old, new) = piece.split_at_checked(old).unwrap_or((&piece, &[]));
                    hash.update(old);
                    goes_on_from_before = before.has_hash(hash.digest128());
                    hash.update(new);
                }
                _ => hash.update(&piece),
            }
            frames.frame(&piece).map_err(failed)?;
            at += piece.len() as u64;
        }
        let about = About::of(self.found, root, hash.digest128(), now.to_rfc3339());
        let about = about.json().map_err(|error| failed(error.into()))?;
        let written = frames.finish(&about).map_err(failed)?;
        written.sync_all().map_err(failed)?;
        leave_cache(&written);
        Ok(Some(goes_on_from_before))
    }

    /// Whether the copy, read back, has the bytes of the session file as it is now. Fails if the disk did not keep what was
    /// written.
    fn is_read_back(&self, goes_on: &dyn Fn() -> bool) -> Result<bool, CopyError> {
        let failed = |source| CopyError::Copy { path: self.unfinished.clone(), source };
        let differs = || CopyError::Differs { path: self.unfinished.clone() };
        let copy = Frames::open(&self.unfinished).map_err(failed)?;
        if copy.size() != self.found.size {
            return Err(differs());
        }
        let (mut at, mut piece, mut own) = (0, Vec::new(), Vec::new());
        while at < copy.size() {
            if !goes_on() || !self.piece(at, &mut piece)? {
                return Ok(false);
            }
            own.resize(piece.len(), 0);
            let read = copy.read_at(&mut own, at).map_err(failed)?;
            if read != piece.len() || own != piece {
                // The file may have been rewritten meanwhile; a copy is at fault only if it was not.
                return if self.is_unchanged() { Err(differs()) } else { Ok(false) };
            }
            at += piece.len() as u64;
        }
        Ok(true)
    }

    /// Reads the bytes of the next frame; false if the file ends before.
    fn piece(&self, at: u64, piece: &mut Vec<u8>) -> Result<bool, CopyError> {
        let length = (FRAME_BYTES as u64).min(self.found.size - at);
        piece.resize(usize::try_from(length).unwrap_or(FRAME_BYTES), 0);
        match self.file.read_exact_at(piece, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(CopyError::Original { path: self.found.path.clone(), source }),
        }
    }

    /// Whether the file is still as it was found.
    fn is_unchanged(&self) -> bool {
        self.found.is_unchanged()
    }
}

/// The name of a copy while this process writes it.
///
/// It is short, because that of the copy may be as long as a name can be; by chance no other process has it.
pub(super) fn unfinished(target: &Path) -> PathBuf {
    target.with_file_name(format!("{:016x}.{UNFINISHED}", RandomState::new().hash_one((target, std::process::id()))))
}

/// Asks the system to read a file from the disk the next time, and not from memory. It may refuse, which changes nothing
/// else.
fn leave_cache(file: &File) {
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).ok();
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
