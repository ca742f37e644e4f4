//! Counts spans without making them.

use super::facts::TurnFacts;
use crate::ledger::family::AgentWalk;
use crate::ledger::unit::Unit;

/// The number of spans in the turn's own trace, without making them.
#[must_use]
pub fn span_count(facts: &TurnFacts<'_>) -> usize {
    count(&mut AgentWalk::from(facts.turn, facts.agents), facts.turn, 0)
}

fn count<'a>(reach: &mut AgentWalk<'_, 'a>, unit: &'a Unit, depth: usize) -> usize {
    let mut spans = 1 + unit.parts.messages.len() + unit.parts.compactions().count();
    for tool in unit.parts.tools.iter().filter(|tool| tool.call.is_some()) {
        spans += 1;
        for started in reach.started_by(tool, depth).into_iter().filter(|started| !started.apart) {
            spans += count(reach, started.unit, depth + 1);
        }
    }
    spans
}
