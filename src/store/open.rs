//! Opens the state: makes the folder, takes the lock, checks the layout, and sets a damaged database aside.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sled::Db;

use super::batch::Writes;
use super::compact::{CopyPlaces, live_bytes};
use super::database::database;
use super::disk::Disk;
use super::epoch::Epoch;
use super::error::StoreError;
use super::handle::Handle;
use super::kept::OpenStore;
use super::layout::{self, Layout, Newer};
use super::lock::Lock;
use super::outbox::Outbox;
use super::pulse::Pulse;
use super::reader::StoreReader;
use super::writer::{Recovered, Writer};
use super::{cells, codec, keys, texts};
use crate::transcript::time::Timestamp;

/// How many bytes at the beginning of a database's file are checked for whether it was written to.
const BEGINNING_BYTES: u64 = 64 << 10;

/// Name of an empty file which tells that the database turned out to be damaged while it was in use.
const DAMAGED: &str = "db.damaged";

/// The state, opened.
#[derive(Debug)]
pub struct Opened {
    /// The only writer.
    pub writer: Writer,
    /// The outbox; [`Outbox::readers`] makes its readers.
    pub outbox: Outbox,
    /// Reads sessions and units.
    pub reader: StoreReader,
    /// What is kept for [`open_again`].
    pub kept: OpenStore,
    /// The first start, and up to when traces have left.
    pub epoch: Epoch,
    /// What the database held.
    pub recovered: Recovered,
    /// Path to which a damaged database was set aside; `None` if it was not damaged.
    pub set_aside: Option<PathBuf>,
}

/// Opens the state in `folder`, which is made with mode 0700 if it does not exist. `now` is the time of this start.
/// Fails if the folder cannot be used, another process holds it, or a newer program wrote it. A damaged database is not
/// an error: it is renamed, and a new one is begun.
pub fn open(folder: &Path, now: Timestamp) -> Result<Opened, StoreError> {
    open_again(folder, now, &OpenStore::default())
}

/// [`open`] after the database had failed: `kept` goes on with the database that is opened now. Fails like [`open`],
/// and with [`StoreError::Gone`] if the files are not those that were in use before.
pub fn open_again(folder: &Path, now: Timestamp, kept: &OpenStore) -> Result<Opened, StoreError> {
    let failed = |source| StoreError::Folder { path: folder.to_path_buf(), source };
    let places = CopyPlaces::of(folder);
    // If making a copy had failed, the newest database may be a copy that was never used; then `db` is the right one.
    kept.check(&[places.newest(), places.db.clone()], &folder.join("lock"))?;
    // Claimed before the folder is made, so that a process that is refused leaves nothing behind.
    kept.claim(folder)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    let lock = Lock::take(folder)?;
    let (epoch, known) = Epoch::load(folder, now)?;
    places.tidy().map_err(failed)?;
    let path = places.db.clone();
    let floor = if known { epoch.exported_until } else { None };
    let mut set_aside = None;
    if folder.join(DAMAGED).exists() {
        // The database that the marker file is about may not exist any more.
        set_aside = path.exists().then(|| put_aside(folder, &path, kept, now)).transpose()?;
        fs::remove_file(folder.join(DAMAGED)).map_err(failed)?;
    }
    let was_used = known && holds_something(&path);
    let attempt = |was_used| attempt(&places, &lock, Before { was_used, floor }, kept);
    let attempted = match attempt(was_used) {
        Err(error) if error.is_damage() && discard_unfinished(&path).map_err(failed)? => {
            tracing::warn!(error = crate::text::chain(&error), "a start was killed while it wrote a snapshot: again");
            attempt(was_used)
        }
        attempted => attempted,
    };
    let attempted = match attempted {
        Err(error) if error.is_damage() && places.has_old() => {
            tracing::error!(error = crate::text::chain(&error), "the database cannot be used: back to the one before");
            set_aside = Some(put_aside(folder, &path, kept, now)?);
            places.go_back().map_err(failed)?;
            attempt(was_used)
        }
        attempted => attempted,
    };
    let (writer, outbox, handle, recovered) = match attempted {
        Err(error) if error.is_damage() => {
            tracing::error!(error = crate::text::chain(&error), "the database cannot be used");
            set_aside = Some(put_aside(folder, &path, kept, now)?);
            attempt(false)?
        }
        attempted => attempted?,
    };
    places.proven();
    kept.reader.opened(handle);
    Ok(Opened { writer, outbox, reader: kept.reader.clone(), kept: kept.clone(), epoch, recovered, set_aside })
}

/// True if there is a state in `folder`, also if its database has another name than `db`, as after a compaction.
#[must_use]
pub fn exists(folder: &Path) -> bool {
    let places = CopyPlaces::of(folder);
    places.newest().exists() || places.has_old()
}

/// Notes in the folder that the database turned out to be damaged, so that the next [`open`] sets it aside. Fails if
/// that cannot be written.
pub fn mark_damaged(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join(DAMAGED);
    fs::write(&path, "").map_err(|source| StoreError::Folder { path, source })
}

/// Removes unfinished snapshots of sled. Returns true if there were any.
///
/// When sled 0.34 is opened, it writes `snap.N.generating` and then renames it. If a kill leaves such a file, sled
/// takes it for the newest snapshot and calls the database corrupt, because `RunningConfig::get_snapshot_files` ignores
/// files with another ending than this. The snapshot before is still there, and the log continues it. No other process
/// can be writing one, because sled locks a database before it looks at its snapshots.
fn discard_unfinished(path: &Path) -> std::io::Result<bool> {
    let mut found = false;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
            found = true;
        }
    }
    Ok(found)
}

/// Renames a database that cannot be used, and returns its new path. It is never deleted.
fn put_aside(folder: &Path, path: &Path, kept: &OpenStore, now: Timestamp) -> Result<PathBuf, StoreError> {
    let mut aside = folder.join(format!("db.bad-{}", now.0));
    for number in 1.. {
        if !aside.exists() {
            break;
        }
        aside = folder.join(format!("db.bad-{}-{number}", now.0));
    }
    fs::rename(path, &aside).map_err(|source| StoreError::Folder { path: path.to_path_buf(), source })?;
    kept.set_aside();
    tracing::error!(
        set_aside = %aside.display(),
        "the database is set aside, and everything that the session files still hold is read again; \
         what they no longer hold is only in the old one"
    );
    Ok(aside)
}

/// What is known of the database before it is opened.
#[derive(Clone, Copy)]
struct Before {
    /// True if it was in use before and something was written to its file.
    was_used: bool,
    /// The spans of turns that ended by this time have left.
    floor: Option<Timestamp>,
}

/// True if something was ever written to the file of a database, which sled itself cannot tell: it takes a damaged file
/// for an empty one. A first start that was killed early leaves only zeros.
fn holds_something(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = fs::File::open(path.join("db")).and_then(|file| file.take(BEGINNING_BYTES).read_to_end(&mut beginning));
    read.is_ok() && beginning.iter().any(|byte| *byte != 0)
}

type OpenedParts = (Writer, Outbox, Handle, Recovered);

/// Opens the database, or makes one. If sled panics, as it may on damaged pages, that is [`StoreError::Panicked`].
fn attempt(places: &CopyPlaces, lock: &Lock, before: Before, kept: &OpenStore) -> Result<OpenedParts, StoreError> {
    catch_unwind(AssertUnwindSafe(|| open_parts(places, lock, before, kept))).unwrap_or(Err(StoreError::Panicked))
}

fn open_parts(places: &CopyPlaces, lock: &Lock, before: Before, kept: &OpenStore) -> Result<OpenedParts, StoreError> {
    let mut db = database(&places.db)?;
    let layout = Layout::of(&db)?;
    match layout {
        Layout::Own if layout::has_cells(&db)? => {}
        Layout::Own => {
            let mut batch = Writes::default();
            layout::sign(&mut batch, &db)?;
            cells::make_all(&mut batch, &db)?;
            batch.apply(&db, &Disk::of(&places.db, lock)?)?;
        }
        Layout::Older(found) => db = upgrade(db, places, &kept.pulse, found)?,
        Layout::Newer(Newer { what, found, known }) => {
            return Err(StoreError::NewerSchema { path: places.folder.clone(), what, found, known });
        }
        Layout::Unreleased(found) => return Err(StoreError::UnreleasedSchema { found }),
        Layout::None if before.was_used => return Err(StoreError::Emptied),
        Layout::None => {
            let mut batch = Writes::default();
            layout::sign(&mut batch, &db)?;
            texts::begin_with(&mut batch, &db, false)?;
            if let Some(floor) = before.floor {
                // These turns left with the previous database, and must not be sent to the endpoints again.
                codec::put(&mut batch, &db, keys::meta("export_floor"), &floor)?;
            }
            batch.apply(&db, &Disk::of(&places.db, lock)?)?;
            db.flush()?;
        }
    }
    let (tree, disk) = ((*db).clone(), Disk::of(&places.db, lock)?);
    kept.mend(&tree, &disk)?;
    kept.uses(&disk);
    let handle = Handle::new(tree, disk, kept.pulse.clone());
    let outbox = Outbox::new(handle.clone(), Arc::clone(&kept.meter))?;
    let (writer, recovered) = Writer::new(db, handle.clone(), kept, places.clone(), lock.clone())?;
    Ok((writer, outbox, handle, recovered))
}

/// Copies a database of an older layout into a new one, which replaces it. A kill leaves one of the two.
fn upgrade(old: Db, places: &CopyPlaces, pulse: &Pulse, found: u32) -> Result<Db, StoreError> {
    let (started, live) = (Instant::now(), live_bytes(&old)?);
    tracing::info!(
        from = found,
        to = keys::SCHEMA,
        bytes = live,
        "the state is carried over into the layout of this version"
    );
    if let Err(error) = places.fill(live, pulse, |new| layout::migrate(&old, new)) {
        places.discard();
        return Err(error);
    }
    drop(old);
    // The old database stays as `db.old` until the new one has been opened.
    places.tidy().map_err(|source| StoreError::Folder { path: places.folder.clone(), source })?;
    let db = database(&places.db)?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(milliseconds, "the state has been carried over");
    Ok(db)
}
