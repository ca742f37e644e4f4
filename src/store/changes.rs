//! Which sessions were changed by commits, for a reader that keeps something of all sessions in memory.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::transcript::ids::SessionId;

/// A version of the state: what was read at the same version is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StateVersion {
    /// How often the database was opened in this process.
    pub opened: u64,
    /// Number of the last commit.
    pub commit: u64,
    /// False while cells are being made for a state that had none.
    pub has_all_cells: bool,
}

/// Sessions that were changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedSessions {
    /// Any may have changed.
    All,
    /// These.
    Some(HashSet<SessionId>),
}

/// What commits have changed.
#[derive(Debug)]
pub(super) struct Changes {
    noted: Mutex<(StateVersion, ChangedSessions)>,
}

impl Default for Changes {
    fn default() -> Self {
        // Nothing is noted while nobody takes it.
        Self { noted: Mutex::new((StateVersion::default(), ChangedSessions::All)) }
    }
}

impl Changes {
    fn noted(&self) -> MutexGuard<'_, (StateVersion, ChangedSessions)> {
        // A poisoned lock can be used: a panic elsewhere cannot leave the value half changed.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the database was opened, with the number of its last commit and whether it has all cells.
    pub(super) fn begin(&self, commit: u64, has_all_cells: bool) {
        let mut noted = self.noted();
        *noted = (StateVersion { opened: noted.0.opened + 1, commit, has_all_cells }, ChangedSessions::All);
    }

    /// Notes a commit, after it was written, and whether the state has all cells with it.
    pub(super) fn add<'a>(&self, commit: u64, has_all_cells: bool, sessions: impl Iterator<Item = &'a SessionId>) {
        let mut noted = self.noted();
        (noted.0.commit, noted.0.has_all_cells) = (commit, has_all_cells);
        if let ChangedSessions::Some(known) = &mut noted.1 {
            for session in sessions {
                if !known.contains(session) {
                    known.insert(session.clone());
                }
            }
        }
    }

    /// Takes what was noted.
    pub(super) fn take(&self) -> (StateVersion, ChangedSessions) {
        let mut noted = self.noted();
        let taken = std::mem::replace(&mut noted.1, ChangedSessions::Some(HashSet::new()));
        (noted.0, taken)
    }

    /// The version of the last commit.
    pub(super) fn version(&self) -> StateVersion {
        self.noted().0
    }
}
