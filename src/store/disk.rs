//! The disk below the database: room for what is written next, and whether the files are still where they were.
//!
//! sled cannot take a failed write back: what it had written of a batch by then may count after the next start. So no
//! batch begins before the disk has given its blocks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::lock::Lock;

/// Blocks are taken so many bytes ahead of the end of the file, or more if a batch needs more.
const AHEAD_BYTES: u64 = 4 << 20;

/// What a batch may need beside its own size: segments of sled (512 KiB) that are begun, or were and are not written yet.
const BEGUN_BYTES: u64 = 2 << 20;

/// Bytes that are written per byte of a batch at most: sled writes a page of its tree anew after some changes to it, and
/// moves pages out of segments that it wants to use again.
const WRITTEN_PER_BYTE: u64 = 8;

/// A file, as the system tells it from every other.
pub(super) type FileId = (u64, u64);

/// The file of a database, and the lock of its folder.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    file: File,
    lock: Lock,
}

impl Disk {
    /// Of the database in `place`, which is open.
    pub(super) fn of(place: &Path, lock: &Lock) -> Result<Self, StoreError> {
        let path = place.join("db");
        // Only to write could blocks be taken.
        match File::options().write(true).open(&path) {
            Ok(file) => Ok(Self { path, file, lock: lock.clone() }),
            Err(source) => Err(StoreError::Folder { path, source }),
        }
    }

    /// Has room for a batch of this many bytes, whatever others write to the disk meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`]: nothing was written.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        let failed = |source| StoreError::Folder { path: self.path.clone(), source };
        let needed = (bytes as u64).saturating_mul(WRITTEN_PER_BYTE).saturating_add(BEGUN_BYTES);
        let stat = self.file.metadata().map_err(failed)?;
        // Blocks of 512 bytes, whatever the file system's own are (stat(2)).
        if stat.blocks().saturating_mul(512).saturating_sub(stat.size()) >= needed {
            return Ok(());
        }
        let take = |bytes| take_blocks(&self.file, stat.size(), bytes);
        match take(needed.max(AHEAD_BYTES)).or_else(|_| take(needed)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                let free = free_bytes(&self.path).map_err(failed)?;
                if free.is_some_and(|free| free < needed) {
                    return Err(self.full(needed, rustix::io::Errno::NOSPC.into()));
                }
                Ok(())
            }
            Err(error) if is_full(&error) => Err(self.full(needed, error)),
            Err(source) => Err(failed(source)),
        }
    }

    fn full(&self, needed: u64, source: io::Error) -> StoreError {
        StoreError::Full { path: self.path.clone(), needed, source }
    }

    /// Finds out whether the files in use are still at their places.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let same = |path: &Path, file: &File| {
            fs::metadata(path).is_ok_and(|found| file.metadata().is_ok_and(|file| id(&file) == id(&found)))
        };
        match [(&self.path, &self.file), (self.lock.path(), self.lock.file())]
            .into_iter()
            .find(|(path, file)| !same(path, file))
        {
            Some((path, _)) => Err(StoreError::Gone { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// The files in use.
    pub(super) fn ids(&self) -> io::Result<[FileId; 2]> {
        Ok([id(&self.file.metadata()?), id(&self.lock.file().metadata()?)])
    }
}

/// The files that would be used in a folder: of its database and its lock.
pub(super) fn ids_at(database: &Path, lock: &Path) -> io::Result<[FileId; 2]> {
    Ok([id(&fs::metadata(database.join("db"))?), id(&fs::metadata(lock)?)])
}

fn id(stat: &fs::Metadata) -> FileId {
    (stat.dev(), stat.ino())
}

/// The disk, or the part of it that a quota leaves, or the largest file that may be.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether a disk can be written to, and has so much room. Opening a database on a full disk would only leave more
/// unfinished files.
pub fn probe(folder: &Path, room: u64) -> Result<(), StoreError> {
    /// Bytes that are written.
    const WRITTEN: u64 = 64 << 10;
    let path = folder.join("room");
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        let taken = take_blocks(&file, 0, room);
        let is_taken = !taken.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Unsupported);
        if is_taken {
            taken?;
        }
        io::copy(&mut io::repeat(0).take(if is_taken { WRITTEN } else { room }), &mut file)?;
        file.sync_all()
    };
    let written = write();
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|source| StoreError::Folder { path, source })
}

/// Takes blocks behind the end of a file, whose size stays.
#[cfg(target_os = "linux")]
fn take_blocks(file: &File, end: u64, bytes: u64) -> io::Result<()> {
    let taken = || rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, end, bytes);
    Ok(rustix::io::retry_on_intr(taken)?)
}

#[cfg(not(target_os = "linux"))]
fn take_blocks(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes that this user may still write to the disk of `folder`; `None` if its file system does not say.
pub(super) fn free_bytes(folder: &Path) -> io::Result<Option<u64>> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok((disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize)))
}
