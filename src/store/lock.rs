//! One process per state folder. sled locks its own file, but the folder holds more than one database at times.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::StoreError;

/// A process that was just killed keeps its lock for a moment: this often is it tried again, every 100 ms.
const TRIES: u32 = 20;

/// Held until the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    _file: Arc<File>,
}

impl Lock {
    /// Takes the lock of a state folder.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Arc::new(file) }),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(100)),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        Err(StoreError::Locked { path: folder.to_path_buf() })
    }
}
