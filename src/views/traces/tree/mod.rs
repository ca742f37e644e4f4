//! The span tree of a turn, and of what its sub-agents did.
//!
//! ```text
//! invoke_agent claude-code          a turn: prompt -> end                   one trace per turn
//! ├─ chat claude-opus-5             a model call: request -> last block     CLIENT
//! ├─ execute_tool Bash              a tool call: call -> result             INTERNAL, siblings of the chat that called
//! └─ execute_tool Agent
//!    └─ invoke_agent Explore        its sub-agent: first -> last activity
//!       ├─ chat claude-haiku-4-5
//!       └─ execute_tool Grep
//! ```
//!
//! - A background sub-agent outlives its call and its turn: it has a trace of its own, linked to the call, which names
//!   that trace. So has a sub-agent nested deeper than [`DEPTH_MAX`](crate::ledger::family::DEPTH_MAX), and one whose call nobody has seen (no link).
//! - Times are the rows' own. A call without a result ends with what it belongs to; one whose result was filled in by a
//!   later resume ends where it starts. Both last at least as long as the sub-agent below them.
//! - Spans carry ids, names, times, sizes and numbers; no text of the conversation and no paths.
//! - A function of the facts: the same facts give the same spans, byte for byte.

mod build;
mod describe;
mod events;
mod family;
mod list;
mod order;
mod text;

use std::collections::HashSet;

pub use events::EVENTS_MAX;
pub use family::{family_spans, started_in};
pub use order::TurnOrder;
pub use text::is_printable;

use crate::ledger::family::Reach;
use crate::ledger::session::Session;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Parts, TurnEnd, Unit, UnitId};
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{INVOKE_AGENT, SpanAt, TURN, TURN_KEY, root_of_turn, span_id};
use crate::views::traces::span::{SpanBatch, SpanEvent};

/// A turn and what its spans need from around it.
#[derive(Clone, Copy)]
pub struct TurnFacts<'a> {
    /// The turn. One of the other [`roots`](crate::ledger::family::roots) works too: rows before the first prompt, or a sub-agent without its call.
    pub turn: &'a Unit,
    /// Finds a sub-agent of the turn's session.
    pub agents: &'a dyn Fn(&AgentId) -> Option<&'a Unit>,
    /// Where the turn stands in its session.
    pub position: Position<'a>,
    /// When and how it ended; of a sub-agent only the time counts.
    pub end: TurnEnd,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position<'a> {
    /// From 1 in its session; `None` for what is no turn.
    pub turn_index: Option<u32>,
    /// Root of the turn before it in the session.
    pub previous: Option<SpanAt>,
    /// Of the first turn of a forked session.
    pub forked_from: Option<ForkedFrom<'a>>,
}

/// Where a session was forked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkedFrom<'a> {
    /// The source.
    pub session: &'a SessionId,
    /// Root of its last turn that was copied; `None` if that is not known to be a turn.
    pub turn: Option<SpanAt>,
}

/// What lies before a turn in its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Turns that began before it.
    pub turns: u32,
    /// The latest of them.
    pub latest: Option<UnitId>,
    /// The session was forked from a turn, and that is known.
    pub source_turn: bool,
}

/// Where `unit` stands in `session`.
#[must_use]
pub fn position_of<'a>(session: &'a Session, unit: &Unit, earlier: Earlier) -> Position<'a> {
    if !unit.is_turn() || *unit.session() != session.id {
        return Position::default();
    }
    let root_of = |turn: UnitId| root_of_turn(RowId(turn.0));
    let forked_from = session
        .fork
        .as_ref()
        .filter(|_| earlier.turns == 0)
        .map(|fork| ForkedFrom { session: &fork.from, turn: earlier.source_turn.then(|| root_of(fork.unit)) });
    Position { turn_index: Some(earlier.turns.saturating_add(1)), previous: earlier.latest.map(root_of), forked_from }
}

/// The spans of a turn: first its own trace, then one batch per sub-agent that has a trace of its own.
///
/// In a batch the spans stand in order of their start, then of their natural key; the root is the last.
#[must_use]
pub fn turn_spans(facts: &TurnFacts<'_>) -> Vec<SpanBatch> {
    build::all_traces(facts, true)
}

/// [`turn_spans`] without the traces of sub-agents that go on after their calls have returned.
#[must_use]
pub fn own_spans(facts: &TurnFacts<'_>) -> Vec<SpanBatch> {
    build::all_traces(facts, false)
}

/// Some of the parts of a unit that is too long to be made into spans at once.
#[derive(Clone, Copy)]
pub struct Slice<'a> {
    /// The unit, with these parts and those around them, which say what happened to them.
    pub unit: &'a Unit,
    /// The parts without those around them: what happened among them at one moment may be the unit's own.
    pub own: &'a Parts,
    /// Ids of the parts that become spans: of responses, tool calls, compactions.
    pub only: &'a HashSet<Box<str>>,
    /// The trace that the spans are in.
    pub trace: u128,
    /// The unit at its root.
    pub root: &'a Unit,
    /// Ends what has no end of its own.
    pub end: Timestamp,
}

impl Slice<'_> {
    /// The span of the unit itself.
    fn id(&self) -> u64 {
        invocation_id(self.unit, self.trace)
    }
}

/// A unit whose children have become spans before it.
#[derive(Clone)]
pub struct Own<'a> {
    /// The unit. Of its parts at least the first response is there.
    pub unit: &'a Unit,
    /// The trace that its span is in.
    pub trace: u128,
    /// The unit at its root.
    pub root: &'a Unit,
    /// The span of the call that it is below; `None` for the root.
    pub parent: Option<u64>,
    /// The call that started it, of a sub-agent with a trace of its own.
    pub started_by: Option<SpanAt>,
    /// When it ended.
    pub end: Timestamp,
    /// Tokens of its responses and of the sub-agents below it.
    pub tokens: Tokens,
    /// What happened in it at one moment.
    pub events: Vec<SpanEvent>,
    /// How many more there were.
    pub events_dropped: usize,
}

/// The span of a turn or sub-agent in a trace.
#[must_use]
pub fn invocation_id(unit: &Unit, trace: u128) -> u64 {
    match &unit.agent {
        Some(agent) => span_id(trace, INVOKE_AGENT, &agent.id.0),
        None => span_id(trace, TURN, TURN_KEY),
    }
}

/// The spans of some parts of a unit and of the sub-agents below them, and the unit's own events among them. `named` holds
/// hashes of the request ids that name a model call of the trace already; further ones are added.
#[must_use]
pub fn slice_spans<'a>(
    facts: &TurnFacts<'a>,
    slice: &Slice<'a>,
    named: &mut HashSet<u64>,
) -> (SpanBatch, Vec<SpanEvent>) {
    build::slice(facts, slice, named)
}

/// The span of a unit itself.
#[must_use]
pub fn own_span<'a>(facts: &TurnFacts<'a>, own: &Own<'a>) -> SpanBatch {
    build::own(facts, own)
}

/// The spans of a sub-agent that has a trace of its own; `facts` are those of the turn that it was started in, `started_by`
/// is the call.
#[must_use]
pub fn apart_spans<'a>(facts: &TurnFacts<'a>, agent: &'a Unit, started_by: SpanAt) -> SpanBatch {
    build::apart_trace(facts, agent, started_by)
}

/// The number of spans in the turn's own trace, without making them.
#[must_use]
pub fn span_count(facts: &TurnFacts<'_>) -> usize {
    count(&mut Reach::from(facts.turn, facts.agents), facts.turn, 0)
}

fn count<'a>(reach: &mut Reach<'_, 'a>, unit: &'a Unit, depth: usize) -> usize {
    let mut spans = 1 + unit.parts.messages.len() + unit.parts.compactions.len();
    for tool in unit.parts.tools.iter().filter(|tool| tool.call.is_some()) {
        spans += 1;
        for started in reach.started_by(tool, depth).into_iter().filter(|started| !started.apart) {
            spans += count(reach, started.unit, depth + 1);
        }
    }
    spans
}
