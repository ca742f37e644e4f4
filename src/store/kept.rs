//! What a process keeps when it closes the database and opens it again. If the disk cannot be written, only the
//! database is closed, and the sidecar goes on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sled::Tree;

use super::batch::Writes;
use super::disk::{Disk, FileId, ids_at};
use super::error::StoreError;
use super::lock::LockClaim;
use super::meter::OutboxMeter;
use super::pulse::Pulse;
use super::reader::StoreReader;
use super::{codec, keys};

/// What stays the same over all openings of a database in one process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct OpenStore {
    /// Reads sessions and units.
    pub reader: StoreReader,
    /// How full the outbox is.
    pub meter: Arc<OutboxMeter>,
    /// Tells how long the current writes have taken.
    pub pulse: Pulse,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    claim: Option<LockClaim>,
    /// The files of the state that was in use last; `None` if any files may be used.
    files: Option<[FileId; 2]>,
    torn: Option<Torn>,
}

/// A commit that failed while it was written, and its number.
#[derive(Debug)]
struct Torn {
    number: u64,
    writes: Writes,
}

impl OpenStore {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the path of the state for this process, once. Fails if another process has claimed it.
    pub(super) fn claim(&self, folder: &Path) -> Result<(), StoreError> {
        let mut last = self.last();
        if last.claim.is_none() {
            last.claim = LockClaim::take(folder)?;
        }
        Ok(())
    }

    /// Fails with [`StoreError::Gone`] if the state is another one than was in use before, since this process has
    /// already shown the counts of that one.
    pub(super) fn check(&self, databases: &[PathBuf; 2], lock: &Path) -> Result<(), StoreError> {
        let Some(files) = self.last().files else { return Ok(()) };
        let is_there = databases.iter().any(|database| ids_at(database, lock).is_ok_and(|found| found == files));
        let [newest, _] = databases;
        if is_there { Ok(()) } else { Err(StoreError::Gone { path: newest.clone() }) }
    }

    /// Notes the files that are in use from now on.
    pub(super) fn uses(&self, disk: &Disk) {
        if let Ok(files) = disk.ids() {
            self.last().files = Some(files);
        }
    }

    /// Notes that the database in use was set aside, so that a new one may be used.
    pub(super) fn set_aside(&self) {
        self.last().files = None;
    }

    /// Keeps a commit that failed while it was written, since a part of it may be in the database.
    pub(super) fn keep_torn(&self, number: u64, writes: Writes) {
        self.last().torn = Some(Torn { number, writes });
    }

    /// Writes the whole commit that failed once more, if the last commit in the database is that one or the one before
    /// it.
    pub(super) fn mend(&self, tree: &Tree, disk: &Disk) -> Result<(), StoreError> {
        let mut last = self.last();
        let Some(torn) = &last.torn else { return Ok(()) };
        let stored: u64 = codec::get(tree, &keys::meta(keys::COMMIT))?.unwrap_or(0);
        let _beat = self.pulse.begin("a commit");
        if stored == torn.number || stored + 1 == torn.number {
            torn.writes.clone().apply(tree, disk)?;
            tree.flush()?;
        }
        last.torn = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::database::database;
    use crate::store::{Commit, open_again};
    use crate::transcript::time::Timestamp;

    fn rows(keys: [&str; 2]) -> Writes {
        let mut writes = Writes::default();
        keys.iter().for_each(|key| writes.insert(*key, "there"));
        writes
    }

    #[test]
    fn a_state_that_was_compacted_while_it_was_in_use_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = OpenStore::default();
        let mut opened = open_again(folder.path(), Timestamp(0), &kept).unwrap();
        opened.writer.commit(&Commit::default()).unwrap();
        opened.writer.compact().unwrap();
        drop(opened);
        kept.reader.close();
        assert!(!folder.path().join("db").exists(), "it has the name of the copy");
        open_again(folder.path(), Timestamp(0), &kept).unwrap();
    }

    #[test]
    fn a_commit_that_was_written_in_part_is_written_whole_at_the_next_opening() {
        let folder = tempfile::tempdir().unwrap();
        let kept = OpenStore::default();
        open_again(folder.path(), Timestamp(0), &kept).unwrap().writer.commit(&Commit::default()).unwrap();
        kept.reader.close();
        // A part of the second commit.
        drop(database(&folder.path().join("db")).unwrap().insert("z1", "there").unwrap());
        kept.keep_torn(2, rows(["z1", "z2"]));
        drop(open_again(folder.path(), Timestamp(0), &kept).unwrap());
        // The ninth commit must not be written, since the commits before it are missing.
        kept.keep_torn(9, rows(["z3", "z4"]));
        kept.reader.close();
        drop(open_again(folder.path(), Timestamp(0), &kept).unwrap());
        kept.reader.close();
        let database = database(&folder.path().join("db")).unwrap();
        let found: Vec<_> = database.scan_prefix("z").keys().map(Result::unwrap).collect();
        assert_eq!(found, ["z1", "z2"]);
    }
}
