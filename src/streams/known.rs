//! Hashes of the lines that a run has, within a bounded memory.

use std::collections::HashSet;

/// Most hashes of one generation: 9 MiB. Two generations are kept.
const GENERATION_MAX: usize = 512 << 10;

/// The last half to one million lines of a run, by their hashes. Of more, the oldest are forgotten; a line that comes again
/// after so many others is kept twice, and counted once by the ledger.
#[derive(Debug, Default)]
pub(super) struct Known {
    now: HashSet<u64>,
    before: HashSet<u64>,
}

impl Known {
    /// Whether the line is known.
    pub(super) fn has(&self, identity: u64) -> bool {
        self.now.contains(&identity) || self.before.contains(&identity)
    }

    /// Remembers a line.
    pub(super) fn add(&mut self, identity: u64) {
        if self.now.len() >= GENERATION_MAX {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(identity);
    }

    /// How many hashes are kept.
    pub(super) fn len(&self) -> usize {
        self.now.len() + self.before.len()
    }
}
