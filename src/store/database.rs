//! Opening the files of sled, as everybody here wants them opened.

use std::path::Path;
use std::thread;
use std::time::Duration;

use sled::Db;

use super::error::StoreError;

/// Memory for sled's page cache. Its real use is two to three times as much.
const CACHE_BYTES: u64 = 8 << 20;

/// A database that was just closed keeps its lock for a moment: this often is it tried again, every 100 ms.
const LOCK_TRIES: u32 = 20;

/// Opens the database at `path`, or begins one there.
pub(super) fn database(path: &Path) -> Result<Db, StoreError> {
    database_with(path, CACHE_BYTES)
}

/// Begins a database that is filled in the order of its keys: of what is written nothing is looked at again.
pub(super) fn database_to_fill(path: &Path) -> Result<Db, StoreError> {
    database_with(path, CACHE_BYTES / 8)
}

fn database_with(path: &Path, cache_bytes: u64) -> Result<Db, StoreError> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .mode(sled::Mode::HighThroughput)
        .flush_every_ms(None);
    let mut tries = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                tries += 1;
                if tries >= LOCK_TRIES {
                    let folder = path.parent().unwrap_or(path);
                    return Err(StoreError::Locked { path: folder.to_path_buf() });
                }
                thread::sleep(Duration::from_millis(100));
            }
            other => return Ok(other?),
        }
    }
}
