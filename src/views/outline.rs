//! What is kept of each unit of a session that has too many to be in memory: enough to say which turn a sub-agent belongs
//! to, and which units come first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::replay::{TurnNumbers, returned, started};
use super::trace::{has_spans, trace_of};
use crate::ledger::money::Money;
use crate::ledger::unit::{TurnEnd, Unit, UnitId};
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;

/// The units of a session, a line each.
#[derive(Debug, Default)]
pub struct Outline {
    lines: Vec<Line>,
    numbers: TurnNumbers,
    /// Calls of which it matters whether they have returned.
    asked: HashSet<Box<str>>,
}

#[derive(Debug)]
struct Line {
    id: UnitId,
    first: Timestamp,
    trace: u128,
    /// It has a trace of its own if it is no sub-agent.
    speaks: bool,
    turn: bool,
    agent: Option<Agent>,
}

#[derive(Debug)]
struct Agent {
    id: AgentId,
    parent: Option<UnitId>,
    call: Option<Box<str>>,
    background: bool,
    started: Timestamp,
    cost: Money,
    end: Option<TurnEnd>,
    /// Its end, if its call has returned.
    returned: TurnEnd,
}

/// The sub-agents of a turn.
#[derive(Debug, Default)]
pub struct AgentsOf {
    /// Their ids, in the order in which they started.
    pub ids: Vec<Arc<str>>,
    /// How many more there are.
    pub omitted: usize,
    /// List price of all.
    pub cost: Money,
}

impl Outline {
    /// Takes in a unit as it is stored.
    pub fn add(&mut self, unit: &Unit) {
        let agent = unit.agent.as_ref().map(|agent| Agent {
            id: agent.id.clone(),
            parent: agent.parent,
            call: agent.call.clone(),
            background: agent.background,
            started: started(unit),
            cost: unit.gist().cost,
            end: unit.end(),
            returned: returned(unit),
        });
        let open = agent.as_ref().filter(|agent| agent.end.is_none() && !agent.background);
        self.asked.extend(open.and_then(|agent| agent.call.clone()));
        self.lines.push(Line {
            id: unit.key.id(),
            first: unit.first,
            trace: trace_of(unit),
            speaks: has_spans(unit),
            turn: unit.is_turn(),
            agent,
        });
    }

    /// Numbers the turns, once all units are there.
    pub fn number(&mut self) {
        let turns = self.lines.iter().filter(|line| line.turn).map(|line| (line.first, line.id)).collect();
        let parents = self.lines.iter().filter_map(|line| Some((line.id, line.agent.as_ref()?.parent?)));
        self.numbers = TurnNumbers::from(turns, parents.collect());
    }

    /// Calls whose results say that a sub-agent has ended.
    #[must_use]
    pub const fn asked(&self) -> &HashSet<Box<str>> {
        &self.asked
    }

    /// Says which of these calls have returned.
    pub fn tell(&mut self, have_returned: &HashSet<Box<str>>) {
        for agent in self.lines.iter_mut().filter_map(|line| line.agent.as_mut()) {
            if agent.end.is_none() && agent.call.as_ref().is_some_and(|call| have_returned.contains(call)) {
                agent.end = Some(agent.returned);
            }
        }
    }

    /// Turn of the session that a unit is, or in which it was started.
    #[must_use]
    pub fn turn(&self, unit: UnitId) -> Option<usize> {
        self.numbers.turn(unit)
    }

    /// The ends of sub-agents that have one.
    #[must_use]
    pub fn ends(&self) -> HashMap<UnitId, TurnEnd> {
        self.lines.iter().filter_map(|line| Some((line.id, line.agent.as_ref()?.end?))).collect()
    }

    /// The first turns with their numbers, and how many more there are.
    #[must_use]
    pub fn turns(&self, max: usize) -> (Vec<(usize, UnitId)>, usize) {
        let turns = self.lines.iter().filter(|line| line.turn);
        let mut turns: Vec<_> = turns.filter_map(|line| Some((self.numbers.turn(line.id)?, line.id))).collect();
        turns.sort_unstable();
        let omitted = turns.len().saturating_sub(max);
        turns.truncate(max);
        (turns, omitted)
    }

    /// The sub-agents that started first, and how many more there are.
    #[must_use]
    pub fn agents(&self, max: usize) -> (Vec<UnitId>, usize) {
        let agents = self.lines.iter().filter_map(|line| Some((line.agent.as_ref()?, line.id)));
        let mut agents: Vec<_> = agents.collect();
        agents.sort_unstable_by_key(|(agent, _)| (agent.started, &agent.id));
        let omitted = agents.len().saturating_sub(max);
        (agents.into_iter().take(max).map(|(_, id)| id).collect(), omitted)
    }

    /// The sub-agents of each turn, by its number: at most `max` ids each.
    #[must_use]
    pub fn agents_of_turns(&self, max: usize) -> BTreeMap<usize, AgentsOf> {
        let agents = self.lines.iter().filter_map(|line| Some((line.agent.as_ref()?, line.id)));
        let mut agents: Vec<_> = agents.collect();
        agents.sort_unstable_by_key(|(agent, id)| (agent.started, *id));
        let mut turns: BTreeMap<usize, AgentsOf> = BTreeMap::new();
        for (agent, id) in agents {
            let Some(number) = self.numbers.turn(id) else { continue };
            let turn = turns.entry(number).or_default();
            turn.cost += agent.cost;
            if turn.ids.len() < max {
                turn.ids.push(Arc::clone(&agent.id.0));
            } else {
                turn.omitted += 1;
            }
        }
        turns
    }

    /// True if nothing that is known leads to a sub-agent.
    #[must_use]
    pub fn apart(&self) -> HashSet<UnitId> {
        let known: HashSet<UnitId> = self.lines.iter().map(|line| line.id).collect();
        let is_apart = |agent: &Agent| agent.parent.is_none_or(|parent| !known.contains(&parent));
        self.lines.iter().filter(|line| line.agent.as_ref().is_some_and(is_apart)).map(|line| line.id).collect()
    }

    /// The first traces of the session.
    #[must_use]
    pub fn traces(&self, max: usize) -> Vec<u128> {
        let apart = self.apart();
        let own = |line: &&Line| match &line.agent {
            Some(agent) => agent.background || apart.contains(&line.id),
            None => line.speaks,
        };
        let mut own: Vec<&Line> = self.lines.iter().filter(own).collect();
        own.sort_unstable_by_key(|line| (line.first, line.id));
        own.into_iter().take(max).map(|line| line.trace).collect()
    }
}
