//! Which sub-agent started which.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ledger::unit::{Unit, UnitId};

/// Most levels of sub-agents that are told apart. A chain that is longer, or a circle, ends here.
const LEVELS_MAX: usize = 64;

/// The sub-agents of a session, and who started them.
#[derive(Debug, Default)]
pub struct Nesting(HashMap<UnitId, Nested>);

#[derive(Debug)]
struct Nested {
    id: Arc<str>,
    agent_type: Option<Arc<str>>,
    parent: Option<UnitId>,
}

impl Nesting {
    /// Of all units of a session.
    #[must_use]
    pub fn of(units: &[Unit]) -> Self {
        let mut nesting = Self::default();
        units.iter().for_each(|unit| nesting.add(unit));
        nesting
    }

    /// Adds a unit, if it is a sub-agent.
    pub fn add(&mut self, unit: &Unit) {
        if let Some(agent) = &unit.agent {
            let (id, agent_type) = (agent.id.shared(), agent.agent_type.clone());
            self.0.insert(unit.key.id(), Nested { id, agent_type, parent: agent.parent });
        }
    }

    /// The id of a sub-agent; `None` for another unit.
    #[must_use]
    pub fn id(&self, unit: UnitId) -> Option<&Arc<str>> {
        self.0.get(&unit).map(|nested| &nested.id)
    }

    /// The id and the type of a sub-agent; `None` for another unit.
    #[must_use]
    pub fn named(&self, unit: UnitId) -> Option<(&str, Option<&str>)> {
        self.0.get(&unit).map(|nested| (&*nested.id, nested.agent_type.as_deref()))
    }

    /// The sub-agent that started a sub-agent; `None` if the main thread did, or nobody tells.
    #[must_use]
    pub fn parent(&self, unit: UnitId) -> Option<&Arc<str>> {
        self.id(self.0.get(&unit)?.parent?)
    }

    /// How deep a unit is nested: 0 for what is no sub-agent, 1 for a sub-agent of the main thread.
    #[must_use]
    pub fn depth(&self, unit: UnitId) -> usize {
        let above = |nested: &&Nested| self.0.get(&nested.parent?);
        std::iter::successors(self.0.get(&unit), above).take(LEVELS_MAX).count()
    }
}
