//! What waits for what: chains of forks, whose branches are chains again.
//!
//! ```text
//! thread   a chain of steps: each response, what it called, and the pause until the next request
//! step     lead: the model writes   branches: its calls, from when each was made   tail: the pause until the next request
//! call     lead: the tool itself    branches: the sub-agents that it waits for     tail: the tool itself
//! ```
//!
//! A fork waits for the last of its branches, and for its own end. So the longest way through it is found at each fork by
//! itself, and what a change saves is the sum of what it saves at each fork of the chain.

use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::stretch::PathPlace;

/// A stretch of time with the number of its kind and name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) part: usize,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) place: PathPlace,
}

/// Forks one after another, which cover the time from `start` to `end`.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) forks: Vec<Fork>,
}

/// Something that starts others and waits for them.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) start: Timestamp,
    /// When it was done itself.
    pub(super) own_end: Timestamp,
    /// What it did from `start` to its own end and to the beginning of the last branch, without a hole.
    pub(super) lead: Vec<Piece>,
    /// What it waits for, by when each began.
    pub(super) branches: Vec<Chain>,
    /// What comes when all is done, until the next fork begins.
    pub(super) tail: Vec<Piece>,
}

impl Piece {
    pub(super) fn ms(&self) -> u64 {
        self.end.since_ms(self.start)
    }

    /// The part of it before `time`; `None` if there is none.
    pub(super) fn before(&self, time: Timestamp) -> Option<Self> {
        let end = self.end.min(time);
        (self.start < end).then_some(Self { end, ..*self })
    }
}

impl Fork {
    /// The branch that it waits for longest; `None` if that is its own end. Of several that end together it is the one
    /// that began first.
    pub(super) fn last(&self) -> Option<(usize, &Chain)> {
        let mut last: Option<(usize, &Chain)> = None;
        for (position, branch) in self.branches.iter().enumerate() {
            let known = last.map_or(self.own_end, |(_, known)| known.end);
            if branch.end > known || last.is_none() && branch.end == known {
                last = Some((position, branch));
            }
        }
        last
    }

    /// When all is done.
    pub(super) fn finish(&self) -> Timestamp {
        self.last().map_or(self.own_end, |(_, branch)| branch.end)
    }

    /// The pieces of the lead before `time`.
    pub(super) fn lead_until(&self, time: Timestamp) -> impl Iterator<Item = Piece> {
        self.lead.iter().map_while(move |piece| piece.before(time))
    }
}

impl Chain {
    /// Gives the pieces of the longest way through it, in order of time.
    pub(super) fn walk(&self, take: &mut dyn FnMut(Piece)) {
        for fork in &self.forks {
            match fork.last() {
                Some((_, branch)) => {
                    fork.lead_until(branch.start).for_each(&mut *take);
                    branch.walk(take);
                }
                None => fork.lead_until(fork.own_end).for_each(&mut *take),
            }
            fork.tail.iter().copied().for_each(&mut *take);
        }
    }
}
