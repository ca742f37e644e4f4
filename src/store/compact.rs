//! Compacts the database. sled never frees the disk space of rows that were rewritten, so the live rows are copied into
//! a new database, which replaces the old one.
//!
//! ```text
//! 1  db.new is filled, made durable and closed   after a kill: it is removed at the next start
//! 2  db.new is renamed to db-N and opened        after a kill: db-N is complete and the newest, so it is used
//! 3  the old database is removed, once nobody reads it any more
//! ```
//!
//! A database in use is never renamed, because sled opens the files of large pages by their path when they are read.
//! Each start renames the newest database to `db` before anybody uses it.
//!
//! The database is compacted if its files have more than `OVERHEAD_MAX` times the bytes of the live rows. Counting
//! these needs a pass over all rows, so it is done only when the files have grown by `GROWTH_PERCENT` since the last
//! count.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sled::{Db, Tree};

use super::batch::Writes;
use super::database::{database, database_to_fill};
use super::disk::{Disk, free_bytes};
use super::error::StoreError;
use super::pulse::Pulse;
use super::{codec, keys};

/// Smallest size on disk, in bytes (8 MiB), at which a database is compacted.
const BYTES_MIN: u64 = 8 << 20;

/// Bytes on disk per byte of live rows above which the database is compacted.
const OVERHEAD_MAX: u64 = 3;

/// Growth of the files in percent since the last count, at which the live rows are counted again. So the files have at
/// most 3.75 times the bytes of the live rows.
const GROWTH_PERCENT: u64 = 25;

/// Bytes per byte of live rows that must be free on the disk before a copy. A new copy takes 1.3 to 1.7 times the bytes
/// of its rows while the old database is still there; the rest is left for other programs.
const ROOM: u64 = 2;

/// Most bytes in one batch of the copy, a little exceeded by the last row.
const BATCH_BYTES: usize = 512 << 10;

/// Most rows in one batch of the copy.
const BATCH_ROWS: usize = 256;

/// Decides when the live rows are counted and the database is compacted.
#[derive(Debug, Default)]
pub(super) struct Overhead {
    /// Bytes on disk when the live rows were counted last; `None` for a new database.
    looked_at: Option<u64>,
}

impl Overhead {
    /// Loads what the last run stored.
    pub(super) fn load(tree: &Tree) -> Result<Self, StoreError> {
        Ok(Self { looked_at: codec::get(tree, &keys::meta("looked_at"))? })
    }

    /// The bytes of the live rows if the database should be compacted now, otherwise `None`. `on_disk` is the size of
    /// its files in bytes.
    pub(super) fn due(&mut self, tree: &Tree, disk: &Disk, on_disk: u64) -> Result<Option<u64>, StoreError> {
        // A database that was never counted is new, or was filled by one first scan, which leaves few rewritten rows.
        let last = self.looked_at.map_or_else(|| on_disk.max(BYTES_MIN), |looked_at| looked_at.max(BYTES_MIN));
        let is_grown = on_disk.saturating_mul(100) > last.saturating_mul(100 + GROWTH_PERCENT);
        let live = if is_grown { Some(live_bytes(tree)?) } else { None };
        if is_grown || self.looked_at.is_none() {
            self.looked(tree, disk, on_disk)?;
        }
        Ok(live.filter(|live| on_disk > live.saturating_mul(OVERHEAD_MAX)))
    }

    /// Stores the size of the files at this count, also for the next run.
    pub(super) fn looked(&mut self, tree: &Tree, disk: &Disk, on_disk: u64) -> Result<(), StoreError> {
        self.looked_at = Some(on_disk);
        let mut batch = Writes::default();
        codec::put(&mut batch, tree, keys::meta("looked_at"), &on_disk)?;
        batch.apply(tree, disk)
    }
}

/// Whether files of so many bytes are worth a copy of their live rows, after much was removed. A new copy has up to 1.7 times
/// its live rows.
pub(super) const fn is_half_empty(on_disk: u64, live: u64) -> bool {
    /// Above this many times the live rows.
    const REMOVED_OVERHEAD_MAX: u64 = 2;
    on_disk > BYTES_MIN && on_disk > live.saturating_mul(REMOVED_OVERHEAD_MAX)
}

/// Sum of the bytes of all keys and values.
pub(super) fn live_bytes(tree: &Tree) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for row in tree {
        let (key, value) = row?;
        bytes += (key.len() + value.len()) as u64;
    }
    Ok(bytes)
}

/// Where the databases of a state folder are.
#[derive(Debug, Clone)]
pub(super) struct CopyPlaces {
    pub(super) folder: PathBuf,
    pub(super) db: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl CopyPlaces {
    pub(super) fn of(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self { folder: folder.to_path_buf(), db: at("db"), new: at("db.new"), old: at("db.old") }
    }

    /// Renames the newest database to `db`. This process must hold the lock of the state, and no database may be open.
    /// The database before it stays as `db.old` until [`CopyPlaces::proven`].
    pub(super) fn tidy(&self) -> io::Result<()> {
        remove(&self.new)?;
        let mut numbered = self.numbered()?;
        if let Some((_, newest)) = numbered.pop() {
            if self.db.exists() {
                remove(&self.old)?;
                fs::rename(&self.db, &self.old)?;
            }
            fs::rename(newest, &self.db)?;
        } else if !self.db.exists() && self.old.exists() {
            fs::rename(&self.old, &self.db)?;
        }
        numbered.iter().try_for_each(|(_, older)| remove(older))?;
        sync(&self.folder)
    }

    /// Path of the newest database. While a database is in use, this is the one.
    pub(super) fn newest(&self) -> PathBuf {
        let numbered = self.numbered().ok().and_then(|mut numbered| numbered.pop());
        numbered.map_or_else(|| self.db.clone(), |(_, newest)| newest)
    }

    /// Removes `db.old`, because `db` could be opened.
    pub(super) fn proven(&self) {
        discard(&self.old);
    }

    /// True if `db.old`, the database before the one in use, is still there.
    pub(super) fn has_old(&self) -> bool {
        self.old.exists()
    }

    /// Renames `db.old` back to `db`. The database that cannot be opened must have been moved away before.
    pub(super) fn go_back(&self) -> io::Result<()> {
        fs::rename(&self.old, &self.db)
    }

    /// The databases `db-N`, which replaced another one while it was in use, with their numbers; the newest last.
    fn numbered(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("db-")?.parse().ok());
            found.extend(number.map(|number| (number, entry.path())));
        }
        found.sort();
        Ok(found)
    }

    /// Fills a new database with the rows of `tree`, which have `live` bytes, makes it durable and opens it at its
    /// place. Fails with [`StoreError::Copy`] if the new database cannot be made or has no room; then the old one stays
    /// in use. Any other error is one of the old database.
    pub(super) fn renew(&self, tree: &Tree, live: u64, pulse: &Pulse) -> Result<(Db, PathBuf), StoreError> {
        let place = self.fill(live, pulse, |new| copy(tree, new, pulse))?;
        match database(&place) {
            Ok(db) => Ok((db, place)),
            Err(error) => {
                // The next start would use it as the newest database, although what is written from now on is not in
                // it.
                remove(&place).map_err(|source| StoreError::Folder { path: place, source })?;
                Err(StoreError::in_copy(error))
            }
        }
    }

    /// Makes a new database for `live` bytes, lets `fill` fill it, makes it durable and renames it to the next `db-N`.
    /// Returns its path.
    pub(super) fn fill(
        &self,
        live: u64,
        pulse: &Pulse,
        fill: impl FnOnce(&Tree) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        let failed =
            |source| StoreError::Copy { source: Box::new(StoreError::Folder { path: self.new.clone(), source }) };
        remove(&self.new).map_err(failed)?;
        let needed = live.saturating_mul(ROOM);
        if let Some(free) = free_bytes(&self.folder).map_err(failed)?.filter(|free| *free < needed) {
            return Err(StoreError::in_copy(StoreError::NoRoom { path: self.folder.clone(), needed, free }));
        }
        let new = database_to_fill(&self.new).map_err(StoreError::in_copy)?;
        fill(&new)?;
        let beat = pulse.begin("making a copy of the database durable");
        new.flush().map_err(|error| StoreError::in_copy(error.into()))?;
        drop(new);
        drop(beat);
        sync(&self.new).map_err(failed)?;
        let number = self.numbered().map_err(failed)?.last().map_or(1, |(number, _)| number + 1);
        let place = self.folder.join(format!("db-{number}"));
        fs::rename(&self.new, &place).map_err(failed)?;
        if let Err(error) = sync(&self.folder).map_err(failed) {
            remove(&place).map_err(|source| StoreError::Folder { path: place, source })?;
            return Err(error);
        }
        Ok(place)
    }

    /// Removes the unfinished database that a failed [`CopyPlaces::renew`] left.
    pub(super) fn discard(&self) {
        discard(&self.new);
    }
}

/// Removes a database that nobody needs. If that fails, the next start removes it.
pub(super) fn discard(path: &Path) {
    if let Err(error) = remove(path) {
        tracing::warn!(path = %path.display(), %error, "an old database cannot be removed now");
    }
}

fn copy(from: &Tree, to: &Tree, pulse: &Pulse) -> Result<(), StoreError> {
    let write = |batch: Writes| {
        if pulse.is_ending() {
            return Err(StoreError::in_copy(StoreError::Ending));
        }
        let _beat = pulse.begin("copying the database");
        batch.apply_to_copy(to).map_err(StoreError::in_copy)
    };
    let (mut batch, mut bytes, mut rows) = (Writes::default(), 0, 0);
    for row in from {
        let (key, value) = row?;
        bytes += key.len() + value.len();
        rows += 1;
        batch.insert(key, value);
        if bytes > BATCH_BYTES || rows >= BATCH_ROWS {
            write(std::mem::take(&mut batch))?;
            (bytes, rows) = (0, 0);
        }
    }
    write(batch)
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
