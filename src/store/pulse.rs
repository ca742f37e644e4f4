//! Tells how long the running writes to the database have taken, so that a write which never ends is noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The running writes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    /// Number of the next write.
    next: u64,
    /// The running writes by number: since when, and what they are.
    writes: BTreeMap<u64, (Instant, &'static str)>,
    /// True if the process is about to end, so that work that can wait for the next start is not done.
    is_ending: bool,
}

/// A running write; it ends when this is dropped.
#[derive(Debug)]
pub struct Beat {
    pulse: Pulse,
    number: u64,
}

impl Pulse {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a write. `what` describes it in log messages.
    #[must_use]
    pub fn begin(&self, what: &'static str) -> Beat {
        let mut running = self.running();
        let number = running.next;
        running.next += 1;
        running.writes.insert(number, (Instant::now(), what));
        Beat { pulse: self.clone(), number }
    }

    /// Notes that the process is about to end: a copy of the database that is being made is abandoned.
    pub fn end(&self) {
        self.running().is_ending = true;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.running().is_ending
    }

    /// The write that has been running for longest: since when, and what it is. `None` if none is running.
    #[must_use]
    pub fn longest(&self) -> Option<(Instant, &'static str)> {
        self.running().writes.values().min().copied()
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.pulse.running().writes.remove(&self.number);
    }
}
