//! The set of paths that may have changed, filled by the watcher and emptied by the reader.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::discover::FoundFile;

/// Most paths that are kept. One more drops them all and asks for a full scan, which finds the same changes.
pub const PATHS_MAX: usize = 65_536;

/// Paths that may have changed. It is a set: ten thousand appends to one file are one hint. Clones share the set.
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
    copies: Vec<FoundFile>,
}

impl HintState {
    fn is_quiet(&self) -> bool {
        self.paths.is_empty() && !self.rescan && !self.woken && self.copies.is_empty()
    }
}

impl Hints {
    /// Notes that `path` may have changed.
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

    /// Notes that something changed in an unknown place, so that a full scan is needed.
    pub fn flag_rescan(&self) {
        self.change(|state| state.rescan = true);
    }

    /// Asks that these are read, which are copies of files that are gone. They replace those that were asked for before.
    pub fn read_copies(&self, copies: Vec<FoundFile>) {
        self.change(|state| state.copies = copies);
    }

    /// Takes out the copies that are to be read.
    #[must_use]
    pub fn take_copies(&self) -> Vec<FoundFile> {
        std::mem::take(&mut self.lock().copies)
    }

    /// Ends the current [`wait`](Self::wait), or the next one if nobody waits.
    pub fn wake(&self) {
        self.change(|state| state.woken = true);
    }

    /// Takes all paths out; the flag is true if a full scan is needed.
    #[must_use]
    pub fn take(&self) -> (BTreeSet<PathBuf>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.paths), std::mem::take(&mut state.rescan))
    }

    /// Waits until there is something to take or [`wake`](Self::wake) is called; false if neither happened for
    /// `timeout`.
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

    /// Locks the set. A poisoned lock can be used: a panic elsewhere cannot leave the set half changed.
    fn lock(&self) -> MutexGuard<'_, HintState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
