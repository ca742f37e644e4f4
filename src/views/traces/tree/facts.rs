//! What spans are made of: a turn and its position in the session, or some of its parts.

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
    /// The turn, or another of the [`roots`](crate::ledger::family::roots): rows before the first prompt, or a
    /// sub-agent whose call is not known.
    pub turn: &'a Unit,
    /// Finds a sub-agent of the turn's session.
    pub agents: &'a dyn Fn(&AgentId) -> Option<&'a Unit>,
    /// Where the turn stands in its session.
    pub position: Position<'a>,
    /// When and how the turn ended; for a sub-agent only the time is used.
    pub end: TurnEnd,
}

/// Where a turn stands in its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position<'a> {
    /// Number of the turn in its session, from 1; `None` for a unit that is no turn.
    pub turn_index: Option<u32>,
    /// Root span of the previous turn in the session; `None` for the first.
    pub previous: Option<SpanAt>,
    /// Where the session was forked from; only on the first turn of a forked session.
    pub forked_from: Option<ForkedFrom<'a>>,
}

/// Where a session was forked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkedFrom<'a> {
    /// The session that this one was forked from.
    pub session: &'a SessionId,
    /// Root span of the last turn that was copied from it; `None` if that unit is not known to be a turn.
    pub turn: Option<SpanAt>,
}

/// What lies before a turn in its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Number of turns that began before it.
    pub turns: u32,
    /// The latest of these turns; `None` if there is none.
    pub latest: Option<UnitId>,
    /// True if the unit that the session was forked from is known to be a turn.
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
    /// The unit with these parts and those near them, which may hold the hooks, failures and responses that belong to
    /// them.
    pub unit: &'a Unit,
    /// These parts without those near them. Events among them may belong to the unit itself.
    pub own: &'a Parts,
    /// Ids of the parts that become spans: of responses, tool calls, compactions.
    pub only: &'a HashSet<Box<str>>,
    /// The trace that the spans are in.
    pub trace: TraceId,
    /// The unit at the root of the trace.
    pub root: &'a Unit,
    /// The end of spans that have no end of their own.
    pub end: Timestamp,
}

impl Slice<'_> {
    /// The span of the unit itself.
    pub(super) fn id(&self) -> SpanId {
        invocation_id(self.unit, self.trace)
    }
}

/// A unit whose children were made into spans before, and what its own span is made of.
#[derive(Clone)]
pub struct Own<'a> {
    /// The unit. Of its parts it needs only the first response.
    pub unit: &'a Unit,
    /// The trace of the unit's span.
    pub trace: TraceId,
    /// The unit at the root of that trace.
    pub root: &'a Unit,
    /// The span of the call that the unit is below; `None` for the root.
    pub parent: Option<SpanId>,
    /// The span of the call that started the unit, if that is a sub-agent with a trace of its own.
    pub started_by: Option<SpanAt>,
    /// When the unit ended.
    pub end: Timestamp,
    /// Tokens of the unit's responses and of the sub-agents below it.
    pub tokens: Tokens,
    /// Events of the unit itself.
    pub events: Vec<SpanEvent>,
    /// How many further events were left out.
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
