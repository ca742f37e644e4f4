//! Which files hold the texts of a session. It takes reading all of its units to tell, so what was found is kept until the
//! session changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::index::catalogue::{FarRow, NEAR_BYTES};
use crate::ledger::unit::{Parts, RowPlace, Unit};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::views::sessions::parts;

/// The files of a session.
pub(in crate::http) type Files = Arc<TextFiles>;

/// Where the texts of a session stand.
#[derive(Debug, Default)]
pub(in crate::http) struct TextFiles {
    pub(super) files: BTreeSet<FileNumber>,
    /// The rows of answers whose rows stand far from each other.
    pub(super) far: Vec<FarRow>,
}

impl TextFiles {
    /// Adds those of a unit, or of some of its parts.
    pub(super) fn add(&mut self, unit: &Unit, parts: &Parts) {
        parts::files(unit, parts, &mut self.files);
        self.files.extend(parts.rows.iter().filter_map(|row| row.place).map(|place| place.file));
        let rows = parts.messages.iter().map(|message| &message.rows).filter(|rows| are_far(rows));
        self.far.extend(rows.flatten().map(|row| (row.file, row.place.offset)));
    }
}

/// Whether some rows of an answer are not near each other.
fn are_far(rows: &[RowPlace]) -> bool {
    let Some(first) = rows.first() else { return false };
    let offsets = || rows.iter().map(|row| row.place.offset);
    let spread = offsets().max().zip(offsets().min()).map_or(0, |(last, first)| last - first);
    spread > NEAR_BYTES || rows.iter().any(|row| row.file != first.file)
}

/// The files of sessions, as far as they are known.
#[derive(Debug, Default)]
pub(in crate::http) struct KnownFiles {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Counts how often something was forgotten.
    age: u64,
    files: HashMap<SessionId, Files>,
}

impl KnownFiles {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A poisoned lock can be used: each entry is put in as a whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::http) fn forget_all(&self) {
        let mut kept = self.kept();
        kept.age += 1;
        kept.files.clear();
    }

    pub(in crate::http) fn forget(&self, id: &SessionId) {
        let mut kept = self.kept();
        kept.age += 1;
        kept.files.remove(id);
    }

    /// The files of a session, and a number for [`KnownFiles::keep`], taken before they are looked for.
    pub(super) fn of(&self, id: &SessionId) -> (Option<Files>, u64) {
        let kept = self.kept();
        (kept.files.get(id).cloned(), kept.age)
    }

    /// Keeps the files of a session, unless it may have changed since they were looked for.
    pub(super) fn keep(&self, id: &SessionId, files: &Files, age: u64) {
        let mut kept = self.kept();
        if kept.age == age {
            kept.files.insert(id.clone(), Arc::clone(files));
        }
    }
}
