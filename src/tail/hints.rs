//! The set of paths that something happened to, filled by the watcher and emptied by the reader.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most paths that are kept; beyond it all are dropped for one full scan, which finds them too.
pub const PATHS_MAX: usize = 65_536;

/// A set, not a queue: ten thousand appends to one file are one hint. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    shared: Arc<SharedHints>,
}

#[derive(Debug, Default)]
struct SharedHints {
    state: Mutex<HintState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct HintState {
    paths: BTreeSet<PathBuf>,
    rescan: bool,
    woken: bool,
}

impl HintState {
    fn is_quiet(&self) -> bool {
        self.paths.is_empty() && !self.rescan && !self.woken
    }
}

impl Hints {
    /// Notes that something happened to `path`.
    pub fn add(&self, path: PathBuf) {
        self.change(|state| {
            if state.paths.len() < PATHS_MAX {
                state.paths.insert(path);
            } else if !state.paths.contains(&path) {
                state.paths.clear();
                state.rescan = true;
            }
        });
    }

    /// Notes that something happened and it is not known where.
    pub fn flag_rescan(&self) {
        self.change(|state| state.rescan = true);
    }

    /// Ends the [`wait`](Self::wait) that is under way, or else the next one.
    pub fn wake(&self) {
        self.change(|state| state.woken = true);
    }

    /// Takes all paths, and whether a full scan is needed, and leaves nothing.
    #[must_use]
    pub fn take(&self) -> (BTreeSet<PathBuf>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.paths), std::mem::take(&mut state.rescan))
    }

    /// Waits until there is something to take or someone calls [`wake`](Self::wake); false after `timeout` of neither.
    pub fn wait(&self, timeout: Duration) -> bool {
        let waited = self.shared.changed.wait_timeout_while(self.lock(), timeout, |state| state.is_quiet());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let something = !state.is_quiet();
        state.woken = false;
        something
    }

    fn change(&self, apply: impl FnOnce(&mut HintState)) {
        apply(&mut self.lock());
        self.shared.changed.notify_all();
    }

    /// A panic elsewhere cannot leave the set half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HintState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
