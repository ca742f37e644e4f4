//! Whose trace the spans of a unit are in.

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
        _ if unit.is_turn()
            || unit.sections.is_some()
            || !unit.parts.messages.is_empty()
            || !unit.parts.compactions.is_empty()
            || unit.parts.tools.iter().any(|tool| tool.call.is_some()) =>
        {
            Standing::Alone
        }
        _ => Standing::Nothing,
    }
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
