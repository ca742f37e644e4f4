//! A unit with everything that its spans are made of: those above it, and the sub-agents below.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{DEPTH_MAX, Position, TurnFacts, apart_spans, own_spans};
use crate::ledger::unit::{Tool, TurnEnd, Unit, UnitId, UnitKey};
use crate::transcript::ids::AgentId;
use crate::views::traces::ids::trace_of;
use crate::views::traces::ids::{EXECUTE_TOOL, SpanAt, span_id};
use crate::views::traces::span::SpanBatch;

/// More levels than any chain of sub-agents has.
const LEVELS_MAX: usize = 64;

/// How much of a unit is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All of its parts, also those in sections.
    Whole,
    /// The unit as it is stored.
    Head,
}

/// True for a sub-agent that goes on after its call has returned.
#[must_use]
pub fn is_background(unit: &Unit) -> bool {
    unit.agent.as_ref().is_some_and(|agent| agent.background)
}

/// A unit that leaves, with everything that its spans are made of.
pub struct Family<'k> {
    unit: Cow<'k, Unit>,
    /// The units above it, the nearest first: without the parts that lie in sections.
    above: Vec<Cow<'k, Unit>>,
    /// The sub-agents that its calls lead to, with all of their parts.
    agents: HashMap<UnitId, Cow<'k, Unit>>,
}

impl<'k> Family<'k> {
    /// The family of a unit; `None` if `find` does not have the unit. A sub-agent that it does not have is left out.
    ///
    /// # Errors
    ///
    /// That of `find`.
    pub fn load<E>(
        id: UnitId,
        find: &mut dyn FnMut(UnitId, Want) -> Result<Option<Cow<'k, Unit>>, E>,
    ) -> Result<Option<Self>, E> {
        let Some(unit) = find(id, Want::Whole)? else { return Ok(None) };
        let mut family = Self { unit, above: Vec::new(), agents: HashMap::new() };
        let parent = |unit: &Unit| unit.agent.as_ref().and_then(|agent| agent.parent);
        let mut above = parent(&family.unit);
        while let Some(unit) = above.filter(|_| family.above.len() < LEVELS_MAX) {
            let Some(unit) = find(unit, Want::Head)? else { break };
            above = parent(&unit);
            family.above.push(unit);
        }
        let mut open = family.called(&family.unit);
        while let Some(agent) = open.pop() {
            if agent == id || family.agents.contains_key(&agent) {
                continue;
            }
            let Some(head) = find(agent, Want::Head)? else { continue };
            if is_background(&head) {
                // It has a trace of its own: only that is told.
                family.agents.insert(agent, head);
            } else if let Some(whole) = find(agent, Want::Whole)? {
                open.extend(family.called(&whole));
                family.agents.insert(agent, whole);
            }
        }
        Ok(Some(family))
    }

    /// The spans of the unit and of the sub-agents below it: its own trace first, then those of sub-agents that are nested
    /// too deep for it. `position` is that of the turn at the top, `end` that of the unit.
    #[must_use]
    pub fn spans(&self, position: Position<'_>, end: TurnEnd) -> Vec<SpanBatch> {
        let find = |agent: &AgentId| self.find(agent);
        let unit = self.unit();
        match self.started() {
            Some(started) => {
                let facts = TurnFacts { turn: self.top(), agents: &find, position, end };
                vec![apart_spans(&facts, unit, started)]
            }
            None => own_spans(&TurnFacts { turn: unit, agents: &find, position, end }),
        }
    }

    /// The unit itself.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The turn, or whatever stands at the top of the calls that led to the unit, without the parts that lie in sections.
    #[must_use]
    pub fn top(&self) -> &Unit {
        self.above.last().map_or(&self.unit, |top| top)
    }

    /// Ids of the sub-agents that a unit's calls name.
    fn called(&self, unit: &Unit) -> Vec<UnitId> {
        let session = self.top().session();
        let agents = unit.parts.tools.iter().flat_map(Tool::agents);
        agents.map(|agent| UnitKey::agent(session, agent).id()).collect()
    }

    /// A sub-agent of the session that the unit's calls lead to.
    #[must_use]
    pub fn find(&self, agent: &AgentId) -> Option<&Unit> {
        self.agents.get(&UnitKey::agent(self.top().session(), agent).id()).map(|unit| &**unit)
    }

    /// All whole units: itself, and the sub-agents that its calls lead to.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        std::iter::once(self.unit()).chain(self.agents.values().map(|unit| &**unit))
    }

    /// The sub-agents that leave together with the unit: all below it but background ones.
    #[must_use]
    pub fn below(&self) -> Vec<&Unit> {
        let (mut all, mut level) = (Vec::new(), vec![self.unit()]);
        let mut met = HashSet::from([&self.unit.key]);
        while let Some(parent) = level.pop() {
            let calls = parent.parts.tools.iter().flat_map(|tool| tool.agents().map(move |agent| (tool, agent)));
            for (tool, agent) in calls {
                let new = self.find(agent).filter(|found| {
                    // A message to an agent names it too; it belongs below the call that started it.
                    let started = found.agent.as_ref().is_some_and(|agent| agent.call.as_deref() == Some(&*tool.id));
                    started && !is_background(found) && met.insert(&found.key)
                });
                all.extend(new);
                level.extend(new);
            }
        }
        all
    }

    /// The span of the call that started the unit, if that is a sub-agent with a trace of its own.
    #[must_use]
    pub fn started(&self) -> Option<SpanAt> {
        let call = self.unit.agent.as_ref()?.call.as_deref()?;
        started_in(&self.above.iter().map(|unit| &**unit).collect::<Vec<_>>(), call)
    }

    /// Ids of the unit and of the sub-agents that leave together with it.
    #[must_use]
    pub fn ids(&self) -> Vec<UnitId> {
        std::iter::once(self.unit()).chain(self.below()).map(|unit| unit.key.id()).collect()
    }
}

/// The span of the call that started a sub-agent with a trace of its own; `above` are the units above that, the nearest
/// first.
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
