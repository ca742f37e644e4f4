//! How long the writes to the database that are under way have taken: one that never comes back says nothing by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Clones see the same writes.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    /// Number of the next write.
    next: u64,
    /// What is under way, by number, and since when.
    writes: BTreeMap<u64, (Instant, &'static str)>,
    /// What can wait for the next start is not done any more.
    is_ending: bool,
}

/// A write that is under way until this is dropped.
#[derive(Debug)]
pub struct Beat {
    pulse: Pulse,
    number: u64,
}

impl Pulse {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a write; `what` says what it is, in the words of a message.
    #[must_use]
    pub fn begin(&self, what: &'static str) -> Beat {
        let mut running = self.running();
        let number = running.next;
        running.next += 1;
        running.writes.insert(number, (Instant::now(), what));
        Beat { pulse: self.clone(), number }
    }

    /// Says that the process ends soon: a copy of the database that is under way is given up.
    pub fn end(&self) {
        self.running().is_ending = true;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.running().is_ending
    }

    /// The write that has been under way for longest: since when, and what it is.
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
