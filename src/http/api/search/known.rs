//! Which files hold the texts of a session. It takes reading all of its units to tell, so what was found is kept until the
//! session changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::index::catalogue::{FarRow, NEAR_BYTES};
use crate::ledger::unit::{Parts, Unit};
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
        for message in &parts.messages {
            self.add_rows(message.rows.iter().map(|row| (row.file, row.place.offset)));
        }
    }

    /// Adds those of an event with these rows.
    pub(in crate::http::api) fn add_rows(&mut self, rows: impl Iterator<Item = FarRow> + Clone) {
        self.files.extend(rows.clone().map(|(file, _)| file));
        if are_far(rows.clone()) {
            self.far.extend(rows);
        }
    }
}

/// Whether some rows of an event are not near each other.
fn are_far(rows: impl Iterator<Item = FarRow> + Clone) -> bool {
    let offsets = || rows.clone().map(|(_, offset)| offset);
    let spread = offsets().max().zip(offsets().min()).map_or(0, |(last, first)| last - first);
    let mut files = rows.clone().map(|(file, _)| file);
    let first = files.next();
    spread > NEAR_BYTES || files.any(|file| Some(file) != first)
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
