//! Opens a database of sled, with the settings that this crate always uses.

use std::path::Path;
use std::thread;
use std::time::Duration;

use sled::Db;

use super::error::StoreError;

/// Size of sled's page cache in bytes (8 MiB). sled really uses two to three times as much memory.
const CACHE_BYTES: u64 = 8 << 20;

/// How often opening a locked database is tried, every 100 ms: one that was just closed keeps its lock for a moment.
const LOCK_TRIES: u32 = 20;

/// Opens the database at `path`, or makes one there. Fails if another process holds it or it cannot be read.
pub(super) fn database(path: &Path) -> Result<Db, StoreError> {
    database_with(path, CACHE_BYTES)
}

/// Makes a database that is filled in the order of its keys. It needs little cache, since written rows are not read.
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
