//! The disk below the database: reserves room for the next write, and checks that the files are still at their places.
//!
//! sled cannot undo a failed write: the part of a batch that was written may be there after the next start. So a batch
//! is not begun before the disk has reserved the blocks for it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::lock::Lock;

/// How many bytes behind the end of the file are reserved at once, if a batch does not need more.
const AHEAD_BYTES: u64 = 4 << 20;

/// Bytes that a batch may need besides its own size, for segments of sled (512 KiB each) that are begun or not written
/// yet.
const BEGUN_BYTES: u64 = 2 << 20;

/// Most bytes that are written per byte of a batch: sled rewrites a page of its tree after some changes to it, and
/// moves pages out of segments that it wants to use again.
const WRITTEN_PER_BYTE: u64 = 8;

/// Device and inode of a file, which tell it from every other file.
pub(super) type FileId = (u64, u64);

/// The file of an open database, and the lock of its folder.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    file: File,
    lock: Lock,
}

impl Disk {
    /// The disk of the open database in the folder `place`. Fails if its file cannot be opened.
    pub(super) fn of(place: &Path, lock: &Lock) -> Result<Self, StoreError> {
        let path = place.join("db");
        // Blocks can be reserved only in a file that is open for writing.
        match File::options().write(true).open(&path) {
            Ok(file) => Ok(Self { path, file, lock: lock.clone() }),
            Err(source) => Err(StoreError::Folder { path, source }),
        }
    }

    /// Reserves room for a batch of this many bytes, which other programs cannot take. Fails with [`StoreError::Full`]
    /// if there is no room. If the file system cannot reserve blocks, only the free bytes are checked.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        let failed = |source| StoreError::Folder { path: self.path.clone(), source };
        let needed = (bytes as u64).saturating_mul(WRITTEN_PER_BYTE).saturating_add(BEGUN_BYTES);
        let stat = self.file.metadata().map_err(failed)?;
        // `blocks` counts blocks of 512 bytes, whatever the block size of the file system is (stat(2)).
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

    /// Fails with [`StoreError::Gone`] if a file in use is not at its place any more.
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

    /// The ids of the files in use: of the database and of the lock.
    pub(super) fn ids(&self) -> io::Result<[FileId; 2]> {
        Ok([id(&self.file.metadata()?), id(&self.lock.file().metadata()?)])
    }
}

/// The ids of the file of the database in the folder `database`, and of the file `lock`.
pub(super) fn ids_at(database: &Path, lock: &Path) -> io::Result<[FileId; 2]> {
    Ok([id(&fs::metadata(database.join("db"))?), id(&fs::metadata(lock)?)])
}

fn id(stat: &fs::Metadata) -> FileId {
    (stat.dev(), stat.ino())
}

/// True if the error means that the disk, the quota of the user or the largest size of a file is exhausted.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Checks that the disk of `folder` can be written to and has `room` bytes. To be called before a database is opened
/// again, which on a full disk would only leave more unfinished files. Fails if the test file cannot be written.
pub fn probe(folder: &Path, room: u64) -> Result<(), StoreError> {
    /// Bytes that are written to the test file.
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

/// Reserves blocks for `bytes` behind the end of a file without changing its size.
#[cfg(target_os = "linux")]
fn take_blocks(file: &File, end: u64, bytes: u64) -> io::Result<()> {
    let taken = || rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, end, bytes);
    Ok(rustix::io::retry_on_intr(taken)?)
}

#[cfg(not(target_os = "linux"))]
fn take_blocks(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes that this user can still write to the disk of `folder`; `None` if its file system does not tell.
pub(super) fn free_bytes(folder: &Path) -> io::Result<Option<u64>> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok((disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize)))
}
