//! Which sub-agents a unit's calls lead to, each once.

use std::collections::{HashSet, VecDeque};

use super::DEPTH_MAX;
use crate::ledger::unit::{Tool, Unit, UnitKey};
use crate::transcript::ids::AgentId;

/// Follows calls to sub-agents. Every sub-agent is met at most once, so a cycle ends.
pub(super) struct Reach<'f, 'a> {
    agents: &'f dyn Fn(&AgentId) -> Option<&'a Unit>,
    met: HashSet<&'a UnitKey>,
}

/// A sub-agent that a call started.
pub(super) struct Started<'a> {
    pub(super) unit: &'a Unit,
    /// It has a trace of its own.
    pub(super) apart: bool,
}

impl<'f, 'a> Reach<'f, 'a> {
    pub(super) fn from(root: &'a Unit, agents: &'f dyn Fn(&AgentId) -> Option<&'a Unit>) -> Self {
        Self { agents, met: HashSet::from([&root.key]) }
    }

    /// The sub-agents that `tool` started, as far as their rows are known and they were not met before.
    ///
    /// A call that only spoke to a running sub-agent names it too; the sub-agent knows which call is its own.
    pub(super) fn started_by(&mut self, tool: &'a Tool, depth: usize) -> Vec<Started<'a>> {
        let mut started = Vec::new();
        for id in tool.agents().filter(|_| tool.call.is_some()) {
            let Some(unit) = (self.agents)(id) else { continue };
            let Some(agent) = &unit.agent else { continue };
            let is_own = agent.call.as_deref().is_none_or(|call| *call == *tool.id);
            if is_own && self.met.insert(&unit.key) {
                // One that does not know its call leaves by itself.
                let apart = agent.background || agent.call.is_none() || tool.background || depth >= DEPTH_MAX;
                started.push(Started { unit, apart });
            }
        }
        started
    }

    /// The spans of `unit` and of the sub-agents in its trace.
    pub(super) fn count(&mut self, unit: &'a Unit, depth: usize) -> usize {
        let mut count = 1 + unit.parts.messages.len() + unit.parts.compactions.len();
        for tool in unit.parts.tools.iter().filter(|tool| tool.call.is_some()) {
            count += 1;
            for started in self.started_by(tool, depth).into_iter().filter(|started| !started.apart) {
                count += self.count(started.unit, depth + 1);
            }
        }
        count
    }

    /// Every sub-agent that `root` leads to, and `root`.
    pub(super) fn everything(mut self, root: &'a Unit) -> impl Iterator<Item = &'a Unit> {
        let mut found = vec![root];
        let mut open = VecDeque::from([root]);
        while let Some(unit) = open.pop_front() {
            let started = unit.parts.tools.iter().flat_map(|tool| self.started_by(tool, 0)).map(|started| started.unit);
            let started: Vec<_> = started.collect();
            found.extend(&started);
            open.extend(started);
        }
        found.into_iter()
    }
}
