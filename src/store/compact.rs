//! sled never gives back what rewritten rows took on disk: the live rows are copied into a new database, which then takes
//! the place of the old one.
//!
//! ```text
//! 1  db.new is filled and made durable      a kill: it is removed at the next start
//! 2  db is renamed to db.old                a kill: db.new, which is complete, becomes db
//! 3  db.new is renamed to db                a kill: db.old is removed
//! 4  db.old is removed
//! ```
//!
//! It is done when the files have grown by [`GROWTH`] since the last look, and then only if they are more than
//! [`OVERHEAD_MAX`] times the live rows. Looking costs a pass over all rows, so growth decides when.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sled::{Batch, Db, Tree};

use super::open::database;
use super::{StoreError, codec, keys};

/// Below this size on disk it is never done.
const BYTES_MIN: u64 = 8 << 20;

/// Bytes on disk per byte of live rows above which it is done.
const OVERHEAD_MAX: u64 = 3;

/// Growth of the files since the last look, in percent, at which the live rows are counted again: at worst the files have
/// 3.75 times the bytes of the live rows.
const GROWTH_PERCENT: u64 = 25;

/// Bytes in one batch of the copy.
const BATCH_BYTES: usize = 512 << 10;

/// Rows in one batch of the copy.
const BATCH_ROWS: usize = 256;

/// When it is time to look.
#[derive(Debug, Default)]
pub(super) struct Overhead {
    /// Bytes on disk at the last look.
    looked_at: Option<u64>,
}

impl Overhead {
    /// From what the last run knew.
    pub(super) fn load(tree: &Tree) -> Result<Self, StoreError> {
        Ok(Self { looked_at: codec::get(tree, &keys::meta("looked_at"))? })
    }

    /// Whether the files have so much more than the live rows that they are to be copied.
    pub(super) fn is_due(&mut self, tree: &Tree, on_disk: u64) -> Result<bool, StoreError> {
        // A database without a last look is new, or was filled by one first scan: that leaves little behind.
        let last = self.looked_at.map_or_else(|| on_disk.max(BYTES_MIN), |looked_at| looked_at.max(BYTES_MIN));
        let is_grown = on_disk.saturating_mul(100) > last.saturating_mul(100 + GROWTH_PERCENT);
        let live = if is_grown { Some(live_bytes(tree)?) } else { None };
        if is_grown || self.looked_at.is_none() {
            self.looked(tree, on_disk)?;
        }
        Ok(live.is_some_and(|live| on_disk > live.saturating_mul(OVERHEAD_MAX)))
    }

    /// Notes the size of the files, also for the next run.
    pub(super) fn looked(&mut self, tree: &Tree, on_disk: u64) -> Result<(), StoreError> {
        self.looked_at = Some(on_disk);
        let mut batch = Batch::default();
        codec::put(&mut batch, tree, keys::meta("looked_at"), &on_disk)?;
        Ok(tree.apply_batch(batch)?)
    }
}

/// Bytes of all keys and values.
fn live_bytes(tree: &Tree) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for row in tree {
        let (key, value) = row?;
        bytes += (key.len() + value.len()) as u64;
    }
    Ok(bytes)
}

/// Where the databases of a state folder are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) db: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Places {
    pub(super) fn of(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self { folder: folder.to_path_buf(), db: at("db"), new: at("db.new"), old: at("db.old") }
    }

    /// Brings the folder in order after a kill. The state must be held by this process.
    pub(super) fn tidy(&self) -> io::Result<()> {
        if !self.db.exists() && self.old.exists() {
            let complete = if self.new.exists() { &self.new } else { &self.old };
            tracing::warn!("a start was killed while the database was being replaced: going on with it");
            fs::rename(complete, &self.db)?;
        }
        remove(&self.new)?;
        remove(&self.old)
    }

    /// Fills a new database with the rows of `tree` and makes it durable. The old one goes on if that fails.
    pub(super) fn fill(&self, tree: &Tree) -> Result<(), StoreError> {
        remove(&self.new).map_err(|source| self.failed(source))?;
        let new = database(&self.new)?;
        copy(tree, &new)?;
        new.flush()?;
        drop(new);
        sync(&self.new).map_err(|source| self.failed(source))
    }

    /// Puts the new database in the place of the old one and opens it.
    pub(super) fn swap(&self) -> Result<Db, StoreError> {
        fs::rename(&self.db, &self.old).map_err(|source| self.failed(source))?;
        fs::rename(&self.new, &self.db).map_err(|source| self.failed(source))?;
        sync(&self.folder).map_err(|source| self.failed(source))?;
        let db = database(&self.db)?;
        // Whoever still reads the old one has its file open.
        remove(&self.old).map_err(|source| self.failed(source))?;
        Ok(db)
    }

    /// Removes what [`Places::fill`] left.
    pub(super) fn discard(&self) {
        // What cannot be removed now is removed at the next start.
        remove(&self.new).ok();
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Folder { path: self.folder.clone(), source }
    }
}

fn copy(from: &Tree, to: &Tree) -> Result<(), StoreError> {
    let (mut batch, mut bytes, mut rows) = (Batch::default(), 0, 0);
    for row in from {
        let (key, value) = row?;
        bytes += key.len() + value.len();
        rows += 1;
        batch.insert(key, value);
        if bytes > BATCH_BYTES || rows >= BATCH_ROWS {
            to.apply_batch(std::mem::take(&mut batch))?;
            (bytes, rows) = (0, 0);
        }
    }
    Ok(to.apply_batch(batch)?)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
