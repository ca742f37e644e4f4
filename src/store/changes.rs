//! Which sessions were changed by commits, for a reader that keeps something of all sessions in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;

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
    /// Runs that were changed; nothing is noted before they are taken for the first time.
    runs: Mutex<Option<HashSet<RunId>>>,
    latest: Mutex<Latest>,
}

/// When sessions were changed last.
#[derive(Debug, Default)]
struct Latest {
    /// The commits that changed the sessions that were changed last, at most [`LATEST_MAX`].
    commits: HashMap<SessionId, u64>,
    /// No other session was changed after this commit.
    floor: u64,
}

/// Of how many sessions it is known which commit changed them last. Of all others it is only known that no later commit did
/// than the first of those that were forgotten.
const LATEST_MAX: usize = 4096;

impl Latest {
    fn add(&mut self, session: &SessionId, commit: u64) {
        if let Some(known) = self.commits.get_mut(session) {
            *known = commit;
            return;
        }
        if self.commits.len() >= LATEST_MAX {
            let mut commits: Vec<u64> = self.commits.values().copied().collect();
            commits.sort_unstable();
            let floor = commits.get(commits.len() / 2).copied().unwrap_or(commit);
            self.commits.retain(|_, commit| *commit > floor);
            self.floor = self.floor.max(floor);
        }
        self.commits.insert(session.clone(), commit);
    }
}

impl Default for Changes {
    fn default() -> Self {
        // Nothing is noted while nobody takes it.
        let noted = Mutex::new((StateVersion::default(), ChangedSessions::All));
        Self { noted, runs: Mutex::default(), latest: Mutex::default() }
    }
}

impl Changes {
    fn noted(&self) -> MutexGuard<'_, (StateVersion, ChangedSessions)> {
        // A poisoned lock can be used: a panic elsewhere cannot leave the value half changed.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, Option<HashSet<RunId>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the database was opened, with the number of its last commit and whether it has all cells.
    pub(super) fn begin(&self, commit: u64, has_all_cells: bool) {
        let mut noted = self.noted();
        *noted = (StateVersion { opened: noted.0.opened + 1, commit, has_all_cells }, ChangedSessions::All);
        *self.runs() = None;
        *self.latest() = Latest { commits: HashMap::new(), floor: commit };
    }

    /// Notes a commit, after it was written, and whether the state has all cells with it.
    pub(super) fn add<'a>(&self, commit: u64, has_all_cells: bool, sessions: impl Iterator<Item = &'a SessionId>) {
        let (mut noted, mut latest) = (self.noted(), self.latest());
        (noted.0.commit, noted.0.has_all_cells) = (commit, has_all_cells);
        for session in sessions {
            latest.add(session, commit);
            if let ChangedSessions::Some(known) = &mut noted.1
                && !known.contains(session)
            {
                known.insert(session.clone());
            }
        }
    }

    /// Notes the runs of a commit, before the commit is noted.
    pub(super) fn add_runs(&self, runs: impl Iterator<Item = RunId>) {
        if let Some(known) = &mut *self.runs() {
            known.extend(runs);
        }
    }

    /// Takes the runs that were noted; `None` if any may have changed.
    pub(super) fn take_runs(&self) -> Option<HashSet<RunId>> {
        self.runs().replace(HashSet::new())
    }

    /// A version that changes whenever a session is changed, and sometimes when it is not: how often the database was
    /// opened, and the last commit that may have changed it.
    pub(super) fn of(&self, session: &SessionId) -> (u64, u64) {
        // The order of the locks is that of `add`.
        let (noted, latest) = (self.noted(), self.latest());
        (noted.0.opened, latest.commits.get(session).copied().unwrap_or(latest.floor))
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
