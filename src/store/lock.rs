//! The lock that lets only one process use a state folder. sled locks each database, but a folder may hold several.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::StoreError;

/// How often taking the lock is tried, every 100 ms: a process that was just killed keeps its lock for a moment.
const TRIES: u32 = 20;

/// The lock of a state folder, held until the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    path: Arc<PathBuf>,
    file: Arc<File>,
}

impl Lock {
    /// Takes the lock of a state folder. Fails with [`StoreError::Locked`] if another process holds it.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let locked = || match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(source),
        };
        try_often(folder, locked, failed)?;
        Ok(Self { path: Arc::new(path), file: Arc::new(file) })
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// A claim to the path of a state folder, independent of the folder itself. A process holds it until it ends, so that
/// another one does not begin a new state at the path of a folder that was moved away.
#[derive(Debug)]
pub(super) struct LockClaim {
    #[cfg(target_os = "linux")]
    _socket: std::os::unix::net::UnixDatagram,
}

#[cfg(target_os = "linux")]
impl LockClaim {
    /// Takes a name that the system gives to one process at a time and frees by itself: an abstract socket, see
    /// unix(7). The name has the id of the folder above and the user, so that containers that share a network do not
    /// take the same name. `None` if the name cannot be made or taken for another reason; then only the lock in the
    /// folder protects the state. Fails with [`StoreError::Locked`] if another process has the name.
    pub(super) fn take(folder: &Path) -> Result<Option<Self>, StoreError> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};

        let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(None) };
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let Ok(above) = std::fs::metadata(above) else { return Ok(None) };
        let user = rustix::process::getuid().as_raw();
        let name = xxhash_rust::xxh3::xxh3_128(name.as_bytes());
        let name = format!("tailspan-state-{user}-{:x}-{:x}-{name:032x}", above.dev(), above.ino());
        let Ok(address) = SocketAddr::from_abstract_name(name) else { return Ok(None) };
        let mut socket = None;
        let bound = || match UnixDatagram::bind_addr(&address) {
            Ok(bound) => {
                socket = Some(bound);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
            Err(error) => {
                tracing::debug!(%error, "the path of the state cannot be claimed: its lock must do");
                Ok(true)
            }
        };
        try_often(folder, bound, |source| StoreError::Folder { path: folder.to_path_buf(), source })?;
        Ok(socket.map(|_socket| Self { _socket }))
    }
}

#[cfg(not(target_os = "linux"))]
impl LockClaim {
    /// There are no such names on this system, so only the lock in the folder protects the state.
    pub(super) fn take(_: &Path) -> Result<Option<Self>, StoreError> {
        Ok(None)
    }
}

fn try_often(
    folder: &Path,
    mut attempt: impl FnMut() -> io::Result<bool>,
    failed: impl Fn(io::Error) -> StoreError,
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        if attempt().map_err(&failed)? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(StoreError::Locked { path: folder.to_path_buf() })
}
