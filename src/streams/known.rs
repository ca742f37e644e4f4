//! Hashes of the lines that a run has, within a bounded memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most hashes of one generation: about 1 MiB.
const GENERATION_MAX: usize = 64 << 10;
/// Most generations of one run.
const GENERATIONS_MAX: usize = 16;
/// Most hashes of one run, and of all runs together.
pub(super) const HASHES_MAX: usize = GENERATION_MAX * GENERATIONS_MAX;

/// The last million lines of a run, by their hashes, or fewer while other runs have many. Of more, the oldest are forgotten; a
/// line that comes again after so many others is kept twice, and counted once by the ledger.
#[derive(Debug)]
pub(super) struct Known {
    /// The newest first.
    generations: VecDeque<HashSet<u64>>,
    /// How many hashes all runs have.
    total: Arc<AtomicUsize>,
}

impl Known {
    /// No hashes yet. Those that come are counted in `total` as long as they are kept.
    pub(super) fn counted_in(total: Arc<AtomicUsize>) -> Self {
        Self { generations: VecDeque::new(), total }
    }

    /// Whether the line is known.
    pub(super) fn has(&self, identity: u64) -> bool {
        self.generations.iter().any(|generation| generation.contains(&identity))
    }

    /// Remembers a line.
    pub(super) fn add(&mut self, identity: u64) {
        if self.generations.front().is_none_or(|newest| newest.len() >= GENERATION_MAX) {
            if self.generations.len() >= GENERATIONS_MAX {
                self.forget_oldest();
            }
            self.generations.push_front(HashSet::new());
        }
        if self.generations.front_mut().is_some_and(|newest| newest.insert(identity)) {
            self.total.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the oldest lines: at most [`GENERATION_MAX`].
    pub(super) fn forget_oldest(&mut self) {
        let oldest = self.generations.pop_back().map_or(0, |oldest| oldest.len());
        self.total.fetch_sub(oldest, Ordering::Relaxed);
    }

    /// How many hashes are kept.
    pub(super) fn len(&self) -> usize {
        self.generations.iter().map(HashSet::len).sum()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len(), Ordering::Relaxed);
    }
}
