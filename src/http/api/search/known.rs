//! Which files hold the texts of a session. It takes reading all of its units to tell, so what was found is kept until the
//! session changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;

/// The files of a session, in order.
pub(in crate::http) type Files = Arc<[FileNumber]>;

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
