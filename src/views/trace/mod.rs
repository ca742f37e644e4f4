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
//!   that trace. So has a sub-agent nested deeper than [`DEPTH_MAX`], and one whose call nobody has seen (no link).
//! - Times are the rows' own. A call without a result ends with what it belongs to; one whose result was filled in by a
//!   later resume ends where it starts. Both last at least as long as the sub-agent below them.
//! - Spans carry ids, names, times, sizes and numbers; no text of the conversation and no paths.
//! - A function of the facts: the same facts give the same spans, byte for byte.

mod build;
mod describe;
mod events;
mod list;
mod reach;
mod scope;
mod text;

use std::collections::{HashMap, HashSet};

pub use scope::TraceScope;
pub use text::is_printable;

use super::ids::{SpanAt, root_of_turn, trace_of_background_agent, trace_of_turn};
use super::span::SpanBatch;
use crate::ledger::session::Session;
use crate::ledger::unit::{TurnEnd, Unit, UnitId, UnitKey};
use crate::transcript::ids::{AgentId, RowId, SessionId};

/// Sub-agents below sub-agents in one trace; a deeper one gets a trace of its own.
pub const DEPTH_MAX: usize = 16;

/// A turn and what its spans need from around it.
#[derive(Clone, Copy)]
pub struct TurnFacts<'a> {
    /// The turn. One of the other [`roots`] works too: rows before the first prompt, or a sub-agent without its call.
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

/// Where `unit` stands in `session`; `source` is the session it was forked from, if that is known.
#[must_use]
pub fn position_of<'a>(session: &'a Session, unit: UnitId, source: Option<&Session>) -> Position<'a> {
    let Some(own) = session.units.get(&unit).filter(|own| own.turn) else { return Position::default() };
    let turns = session.units.iter().filter(|(_, turn)| turn.turn).map(|(id, turn)| (turn.first, *id));
    let before = turns.filter(|turn| *turn < (own.first, unit));
    let (count, previous) =
        before.fold((0u32, None), |(count, last), turn| (count.saturating_add(1), last.max(Some(turn))));
    let root_of = |turn: UnitId| root_of_turn(RowId(turn.0));
    let forked_from = session.fork.as_ref().filter(|_| count == 0).map(|fork| ForkedFrom {
        session: &fork.from,
        turn: source
            .and_then(|source| source.units.get(&fork.unit))
            .filter(|copied| copied.turn)
            .map(|_| root_of(fork.unit)),
    });
    Position {
        turn_index: Some(count.saturating_add(1)),
        previous: previous.map(|(_, turn)| root_of(turn)),
        forked_from,
    }
}

/// The end of a turn as far as its rows tell; one that has none yet is `open` and ends at its last activity.
#[must_use]
pub fn end_so_far(unit: &Unit) -> TurnEnd {
    unit.end().unwrap_or_else(|| TurnEnd { at: unit.activity_end(), reason: "open" })
}

/// The trace that a unit is the root of, or would be.
#[must_use]
pub fn trace_of(unit: &Unit) -> u128 {
    match (&unit.key, unit.agent.as_ref().and_then(|agent| agent.first_row)) {
        (UnitKey::Turn(row) | UnitKey::Loose(row), _) => trace_of_turn(*row),
        (UnitKey::Agent(..), Some((_, row))) => trace_of_background_agent(row),
        // Its first row was never read: the hash of session and agent is as stable.
        (UnitKey::Agent(..), None) => unit.key.id().0.max(1),
    }
}

/// The sub-agents that a turn's own calls started, in the order of the calls' rows.
pub fn agents_of(turn: &Unit) -> impl Iterator<Item = &AgentId> {
    turn.tools.iter().filter_map(|tool| tool.agent.as_ref())
}

/// The spans of a turn: first its own trace, then one batch per sub-agent that has a trace of its own.
///
/// In a batch the spans stand in order of their start, then of their natural key; the root is the last.
#[must_use]
pub fn turn_spans(facts: &TurnFacts<'_>) -> Vec<SpanBatch> {
    build::all_traces(facts)
}

/// The number of spans in the turn's own trace, without making them.
#[must_use]
pub fn span_count(facts: &TurnFacts<'_>) -> usize {
    let mut reach = reach::Reach::from(facts.turn, facts.agents);
    reach.count(facts.turn, 0)
}

/// Of a session's units those that begin a trace which nothing else begins, in order of time: turns, rows before the
/// first prompt if they did something, and sub-agents that no call of the others leads to.
#[must_use]
pub fn roots<'a>(units: &[&'a Unit]) -> Vec<&'a Unit> {
    let agents: HashMap<&AgentId, &'a Unit> =
        units.iter().filter_map(|unit| Some((&unit.agent.as_ref()?.id, *unit))).collect();
    let find = |id: &AgentId| agents.get(id).copied();
    let mut in_time = units.to_vec();
    // Threads before sub-agents: what a turn leads to is no root, however early its rows are.
    in_time.sort_by_key(|unit| (unit.agent.is_some(), unit.first, unit.key.id()));
    let mut reached: HashSet<UnitId> = HashSet::new();
    let mut roots = Vec::new();
    for unit in in_time {
        let did_something = !(unit.messages.is_empty() && unit.tools.is_empty() && unit.failures.is_empty());
        if reached.contains(&unit.key.id()) || !(did_something || unit.is_turn() || unit.agent.is_some()) {
            continue;
        }
        roots.push(unit);
        reached.extend(reach::Reach::from(unit, &find).everything(unit).map(|unit| unit.key.id()));
    }
    roots.sort_by_key(|unit| (unit.first, unit.key.id()));
    roots
}
