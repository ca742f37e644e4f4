//! Which units belong together: whose trace the spans of a unit are in.

use crate::ledger::known::Known;
use crate::ledger::unit::{Unit, UnitId, UnitKey};

/// More levels than any chain of sub-agents has.
const LEVELS_MAX: usize = 64;

/// Where a unit's spans belong.
pub(super) enum Standing {
    /// Into a trace of its own.
    Alone,
    /// Into a trace of its own, if its call does not turn up.
    Unlinked,
    /// Below the unit that holds its call.
    Below(UnitId),
    /// It has no spans.
    Nothing,
}

pub(super) fn standing(unit: &Unit) -> Standing {
    match (&unit.key, &unit.agent) {
        (UnitKey::Agent(..), Some(agent)) => match agent.parent {
            Some(parent) if !agent.background => Standing::Below(parent),
            Some(_) => Standing::Alone,
            None => Standing::Unlinked,
        },
        _ if unit.is_turn() || !unit.messages.is_empty() || unit.tools.iter().any(|tool| tool.call.is_some()) => {
            Standing::Alone
        }
        _ => Standing::Nothing,
    }
}

/// True for a sub-agent that goes on after its call has returned.
pub(super) fn is_background(unit: &Unit) -> bool {
    unit.agent.as_ref().is_some_and(|agent| agent.background)
}

/// The sub-agents that leave together with a unit: all below it but background ones.
pub(super) fn below<'a>(known: &'a Known, unit: &'a Unit) -> Vec<&'a Unit> {
    let (mut all, mut level): (Vec<&Unit>, _) = (Vec::new(), vec![unit]);
    while let Some(parent) = level.pop() {
        for (tool, agent) in parent.tools.iter().filter_map(|tool| Some((tool, tool.agent.as_ref()?))) {
            let found = known.unit(UnitKey::agent(unit.session(), agent).id());
            let new = found.filter(|found| {
                // A message to an agent names it too; it belongs below the call that started it.
                let started = found.agent.as_ref().is_some_and(|agent| agent.call.as_deref() == Some(&*tool.id));
                let again = found.key == unit.key || all.iter().any(|known| known.key == found.key);
                started && !again && !is_background(found)
            });
            all.extend(new);
            level.extend(new);
        }
    }
    all
}

/// The unit whose trace holds the spans of a unit.
pub(super) fn owner<'a>(known: &'a Known, unit: &'a Unit) -> &'a Unit {
    let mut owner = unit;
    for _ in 0..LEVELS_MAX {
        match standing(owner) {
            Standing::Below(parent) => match known.unit(parent) {
                Some(parent) => owner = parent,
                None => break,
            },
            _ => break,
        }
    }
    owner
}

/// The turn, or whatever stands at the top of the calls that led to a unit.
pub(super) fn topmost<'a>(known: &'a Known, unit: &'a Unit) -> &'a Unit {
    let mut top = unit;
    for _ in 0..LEVELS_MAX {
        match top.agent.as_ref().and_then(|agent| agent.parent).and_then(|parent| known.unit(parent)) {
            Some(parent) => top = parent,
            None => break,
        }
    }
    top
}
