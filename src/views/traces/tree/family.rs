//! Makes the spans of a family: of a unit and of the sub-agents below it.

use super::build;
use super::facts::{Position, TurnFacts};
use crate::ledger::family::{DEPTH_MAX, Family, is_background};
use crate::ledger::unit::{TurnEnd, Unit};
use crate::transcript::ids::AgentId;
use crate::views::traces::ids::{EXECUTE_TOOL, SpanAt, span_id, trace_of};
use crate::views::traces::span::SpanBatch;

/// The spans of a family's unit and of the sub-agents below it: the unit's own trace first, then the traces of
/// sub-agents that are nested too deep for it. `position` is that of the turn at the top, `end` is the end of the unit.
#[must_use]
pub fn family_spans(family: &Family<'_>, position: Position<'_>, end: TurnEnd) -> Vec<SpanBatch> {
    let find = |agent: &AgentId| family.find(agent);
    let unit = family.unit();
    match started(family) {
        Some(started) => {
            let facts = TurnFacts { turn: family.top(), agents: &find, position, end };
            vec![build::apart_trace(&facts, unit, started)]
        }
        None => build::all_traces(&TurnFacts { turn: unit, agents: &find, position, end }, false),
    }
}

/// The span of the call that started the unit, if that is a sub-agent with a trace of its own.
fn started(family: &Family<'_>) -> Option<SpanAt> {
    let call = family.unit().agent.as_ref()?.call.as_deref()?;
    started_in(&family.above().collect::<Vec<_>>(), call)
}

/// The span of the call `call` that started a sub-agent with a trace of its own; `above` holds the units above the
/// sub-agent, the nearest first.
#[must_use]
pub fn started_in(above: &[&Unit], call: &str) -> Option<SpanAt> {
    let mut root = above.last().copied()?;
    let mut depth = 0;
    for unit in above.iter().rev().skip(1) {
        if is_background(unit) || depth >= DEPTH_MAX {
            (root, depth) = (unit, 0);
        } else {
            depth += 1;
        }
    }
    let trace = trace_of(root);
    Some(SpanAt { trace, span: span_id(trace, EXECUTE_TOOL, call) })
}
