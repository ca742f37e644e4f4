//! How much of a turn that is too long to leave at once has left.

use std::collections::HashSet;
use std::ops::Range;

use crate::ledger::family::LEVELS_MAX;
use crate::ledger::unit::{Message, Parts, Unit, UnitId};
use crate::views::traces::span::{SpanBatch, SpanEvent};
use crate::views::traces::tree::{EVENTS_MAX, Earlier};

/// Most units and sections that one piece looks at, whether they have spans to send or not.
pub(super) const UNITS_MAX: usize = 500;

/// Most departures that are remembered. If there are more, all are forgotten and their walks begin anew.
pub(super) const DEPARTURES_MAX: usize = 16;

/// How much of a long turn has left: where the walk through it stands.
#[derive(Debug)]
pub(super) struct Departure {
    /// Hashes of the request ids from which ids of `chat` spans in the turn's trace were derived already.
    pub(super) named: HashSet<u64>,
    /// What lies before the turn in its session.
    pub(super) earlier: Earlier,
    /// The turn itself, then the long sub-agents that are being walked, each below the one before it.
    pub(super) frames: Vec<Frame>,
    /// Long sub-agents that have been walked.
    pub(super) walked: HashSet<UnitId>,
}

/// A unit that leaves section by section, and the position of the walk in it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) unit: UnitId,
    /// The call that started the sub-agent; `None` for the root of the trace.
    pub(super) call: Option<Box<str>>,
    /// Position of the next section.
    pub(super) position: u32,
    /// Number of the next call in that section, from 0.
    pub(super) tool: usize,
    /// True if only sections with parts that have not left are walked.
    pub(super) only_unsent: bool,
    /// Position up to which [`Frame::see`] has taken in the sections.
    pub(super) seen: u32,
    /// The earliest events of the unit's own span.
    pub(super) events: Vec<SpanEvent>,
    /// How many further events there are.
    pub(super) events_dropped: usize,
    /// The first response of the unit.
    pub(super) first: Option<Message>,
    /// The last response with a text.
    pub(super) answer: Option<Message>,
}

/// Some parts of one home that leave in one piece.
pub(super) struct Chosen {
    pub(super) home: UnitId,
    /// Positions of the sections around `home` that are in memory, with that of `home` itself.
    pub(super) near: Range<u32>,
    /// Ids of the parts that leave.
    pub(super) only: HashSet<Box<str>>,
    /// The sub-agents below the calls that leave.
    pub(super) agents: Vec<UnitId>,
}

impl Departure {
    pub(super) fn new(named: HashSet<u64>, earlier: Earlier) -> Self {
        Self { named, earlier, frames: Vec::new(), walked: HashSet::new() }
    }

    /// True if a long sub-agent is still to be walked. One that is being walked already is not walked again: such a
    /// circle comes from damaged files only.
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

    /// The home that is walked next: the unit itself if it has no sections, else a section. `None` at the end.
    pub(super) fn next_home(&mut self, unit: &Unit) -> Option<UnitId> {
        let Some(sections) = &unit.sections else {
            return (self.position == 0).then_some(self.unit);
        };
        // Parts that came after the unit had left are in few of its sections.
        while self.only_unsent && self.position < sections.count && !sections.unsent.contains(self.position) {
            (self.position, self.tool) = (self.position + 1, 0);
        }
        (self.position < sections.count).then(|| self.unit.section(self.position))
    }

    /// Takes over what a section adds to the span of the unit itself: events, the first response and the answer.
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

/// The number of spans in all batches.
pub(super) fn count(batches: &[SpanBatch]) -> usize {
    batches.iter().map(|batch| batch.spans.len()).sum()
}
