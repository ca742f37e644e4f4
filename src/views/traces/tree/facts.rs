//! What spans are made of: a turn and what is around it, or some of its parts.

use std::collections::HashSet;

use crate::ledger::session::Session;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Parts, TurnEnd, Unit, UnitId};
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{INVOKE_AGENT, SpanAt, SpanId, TURN, TURN_KEY, TraceId, root_of_turn, span_id};
use crate::views::traces::span::SpanEvent;

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
    pub trace: TraceId,
    /// The unit at its root.
    pub root: &'a Unit,
    /// Ends what has no end of its own.
    pub end: Timestamp,
}

impl Slice<'_> {
    /// The span of the unit itself.
    pub(super) fn id(&self) -> SpanId {
        invocation_id(self.unit, self.trace)
    }
}

/// A unit whose children have become spans before it.
#[derive(Clone)]
pub struct Own<'a> {
    /// The unit. Of its parts at least the first response is there.
    pub unit: &'a Unit,
    /// The trace that its span is in.
    pub trace: TraceId,
    /// The unit at its root.
    pub root: &'a Unit,
    /// The span of the call that it is below; `None` for the root.
    pub parent: Option<SpanId>,
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
pub fn invocation_id(unit: &Unit, trace: TraceId) -> SpanId {
    match &unit.agent {
        Some(agent) => span_id(trace, INVOKE_AGENT, &agent.id.0),
        None => span_id(trace, TURN, TURN_KEY),
    }
}
