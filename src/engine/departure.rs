//! How far a turn has left that is too long to leave at once.

use std::collections::HashSet;
use std::ops::Range;

use crate::ledger::family::LEVELS_MAX;
use crate::ledger::unit::{Message, Parts, Unit, UnitId};
use crate::views::traces::span::{SpanBatch, SpanEvent};
use crate::views::traces::tree::{EVENTS_MAX, Earlier};

/// Units that one piece looks at, whether they have spans to send or not.
pub(super) const UNITS_MAX: usize = 500;

/// Departures that are remembered; of a further one the walk begins anew.
pub(super) const DEPARTURES_MAX: usize = 16;

/// How far a long turn has left.
#[derive(Debug)]
pub(super) struct Departure {
    /// Hashes of the request ids that name a model call of its trace.
    pub(super) named: HashSet<u64>,
    pub(super) earlier: Earlier,
    /// The unit itself, then long sub-agents below it, each below the one before.
    pub(super) frames: Vec<Frame>,
    /// Long sub-agents that have left.
    pub(super) walked: HashSet<UnitId>,
}

/// A unit that leaves section by section.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) unit: UnitId,
    /// The call that started it, of one that is not the unit itself.
    pub(super) call: Option<Box<str>>,
    /// The next section.
    pub(super) position: u32,
    /// The next of its calls.
    pub(super) tool: usize,
    /// Only sections with parts that have not left.
    pub(super) only_unsent: bool,
    /// Sections before this one have been seen.
    pub(super) seen: u32,
    /// The first events that are its own, and how many there are beyond.
    pub(super) events: Vec<SpanEvent>,
    pub(super) events_dropped: usize,
    /// Its first response, and the last one with a text.
    pub(super) first: Option<Message>,
    pub(super) answer: Option<Message>,
}

/// Some parts of a unit that leave.
pub(super) struct Chosen {
    pub(super) home: UnitId,
    /// Positions of the sections around it that are in memory, its own among them.
    pub(super) near: Range<u32>,
    pub(super) only: HashSet<Box<str>>,
    /// The sub-agents below its calls.
    pub(super) agents: Vec<UnitId>,
}

impl Departure {
    pub(super) fn new(named: HashSet<u64>, earlier: Earlier) -> Self {
        Self { named, earlier, frames: Vec::new(), walked: HashSet::new() }
    }

    /// True if a long sub-agent is still to be walked. A circle, which only damaged files can tell of, is not.
    pub(super) fn may_walk(&self, agent: UnitId) -> bool {
        self.frames.len() < LEVELS_MAX
            && !self.walked.contains(&agent)
            && self.frames.iter().all(|frame| frame.unit != agent)
    }
}

impl Frame {
    pub(super) const fn of(unit: UnitId, call: Option<Box<str>>) -> Self {
        let (position, tool, seen, only_unsent) = (0, 0, 0, false);
        Self {
            unit,
            call,
            position,
            tool,
            only_unsent,
            seen,
            events: Vec::new(),
            events_dropped: 0,
            first: None,
            answer: None,
        }
    }

    /// What of the unit is walked next: itself, if it holds its parts, or a section. `None` at the end.
    pub(super) fn next_home(&mut self, unit: &Unit) -> Option<UnitId> {
        let Some(sections) = &unit.sections else {
            return (self.position == 0).then_some(self.unit);
        };
        // What comes after a unit has left is in few of its sections.
        while self.only_unsent && self.position < sections.count && !sections.unsent.contains(self.position) {
            (self.position, self.tool) = (self.position + 1, 0);
        }
        (self.position < sections.count).then(|| self.unit.section(self.position))
    }

    /// Takes over what of a section shows on the span of the unit itself.
    pub(super) fn see(&mut self, own: &Parts, events: Vec<SpanEvent>) {
        self.events.extend(events);
        self.events.sort_by_key(|event| event.time);
        self.events_dropped += self.events.len().saturating_sub(EVENTS_MAX);
        self.events.truncate(EVENTS_MAX);
        let first = own.messages.iter().chain(&self.first).min_by_key(|one| (one.start, &one.id)).cloned();
        let spoken = own.messages.iter().filter(|message| message.says.text);
        let answer = spoken.chain(&self.answer).max_by_key(|one| (one.end, &one.id)).cloned();
        (self.first, self.answer) = (first, answer);
    }
}

/// How many spans there are.
pub(super) fn count(batches: &[SpanBatch]) -> usize {
    batches.iter().map(|batch| batch.spans.len()).sum()
}
