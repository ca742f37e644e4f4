//! What is kept of a session that has too many units to be in memory: which turn each unit belongs to, and which units
//! come first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::ledger::family::{TurnNumbers, has_spans};
use crate::ledger::money::Money;
use crate::ledger::session::Member;
use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;
use crate::views::sessions::paths::waited_for_by;
use crate::views::traces::ids::{TraceId, trace_of};

/// The units of a session in short.
#[derive(Debug)]
pub struct Outline {
    /// Most items of each list in [`Lists`].
    max: usize,
    turns: Vec<(usize, UnitId)>,
    numbers: TurnNumbers,
    /// Sub-agents whose parent is not known.
    apart: HashSet<UnitId>,
    agents: FirstOf<(Timestamp, AgentId, UnitId)>,
    of_turns: BTreeMap<usize, OfTurn>,
    traces: FirstOf<(Timestamp, UnitId, TraceId)>,
    /// The sub-agents that calls wait for, each with its call, as [`waited_for_by`].
    waited_for: Vec<(u64, UnitId)>,
}

/// The sub-agents of a turn while units are added.
#[derive(Debug)]
struct OfTurn {
    first: FirstOf<(Timestamp, UnitId, Arc<str>)>,
    cost: Money,
}

/// The sub-agents of a turn, as they are shown.
#[derive(Debug, Default)]
pub struct AgentsOf {
    /// Ids of the sub-agents that started first, in this order.
    pub ids: Vec<Arc<str>>,
    /// How many further sub-agents there are.
    pub omitted: usize,
    /// List price of all sub-agents of the turn.
    pub cost: Money,
}

/// Collects many items and keeps the first `max` of them in order.
#[derive(Debug)]
struct FirstOf<T> {
    max: usize,
    known: Vec<T>,
    count: usize,
}

impl<T: Ord> FirstOf<T> {
    const fn new(max: usize) -> Self {
        Self { max, known: Vec::new(), count: 0 }
    }

    fn add(&mut self, one: T) {
        self.count += 1;
        self.known.push(one);
        if self.known.len() >= self.max.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.known.sort_unstable();
        self.known.truncate(self.max);
    }

    /// Takes out the first items, and how many further ones there were.
    fn take(&mut self) -> (Vec<T>, usize) {
        self.cut();
        let omitted = self.count - self.known.len();
        (std::mem::take(&mut self.known), omitted)
    }
}

impl Outline {
    /// Numbers the turns among all units of a session. Each list of [`Outline::lists`] will have at most `max` items.
    #[must_use]
    pub fn of(members: &[Member], max: usize) -> Self {
        let turns = members.iter().filter(|member| member.turn).map(|member| (member.first, member.unit));
        let parents = members.iter().filter_map(|member| Some((member.unit, member.parent?)));
        let numbers = TurnNumbers::from(turns.collect(), parents.collect());
        let known: HashSet<UnitId> = members.iter().map(|member| member.unit).collect();
        let is_known = |parent| known.contains(&parent);
        // This holds loose units too, which have no parent, but only sub-agents are looked up in it.
        let apart = members.iter().filter(|member| !member.parent.is_some_and(is_known) && !member.turn);
        let apart = apart.map(|member| member.unit).collect();
        let numbered = members.iter().filter(|member| member.turn).map(|member| member.unit);
        let mut turns: Vec<_> = numbered.filter_map(|turn| Some((numbers.turn(turn)?, turn))).collect();
        turns.sort_unstable();
        Self {
            max,
            turns,
            numbers,
            apart,
            agents: FirstOf::new(max),
            of_turns: BTreeMap::new(),
            traces: FirstOf::new(max),
            waited_for: Vec::new(),
        }
    }

    /// Adds a unit as it is stored.
    pub fn add(&mut self, unit: &Unit) {
        let id = unit.key.id();
        let has_trace = match &unit.agent {
            // A sub-agent below a turn of another session is in the trace of that turn.
            Some(agent) => agent.background || self.apart.contains(&id) && unit.leaves_with().is_none(),
            None => has_spans(unit),
        };
        if has_trace {
            self.traces.add((unit.first, id, trace_of(unit)));
        }
        let Some(agent) = &unit.agent else { return };
        self.waited_for.extend(waited_for_by(unit).map(|call| (call, id)));
        let started = unit.started();
        self.agents.add((started, agent.id.clone(), id));
        if let Some(number) = self.numbers.turn(id) {
            let new = || OfTurn { first: FirstOf::new(self.max), cost: Money::default() };
            let turn = self.of_turns.entry(number).or_insert_with(new);
            turn.cost += unit.gist().cost;
            turn.first.add((started, id, agent.id.shared()));
        }
    }

    /// The number of the turn that a unit is, or in which it was started, from 1; `None` if it belongs to no turn.
    #[must_use]
    pub fn turn(&self, unit: UnitId) -> Option<usize> {
        self.numbers.turn(unit)
    }

    /// The turn of a number, from 1; `None` if there is none.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Option<UnitId> {
        let found = self.turns.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.turns.get(found).map(|(_, turn)| *turn)
    }

    /// Puts in order what [`Outline::waited_for`] looks up, once all units were added.
    pub fn sort(&mut self) {
        self.waited_for.sort_unstable();
    }

    /// The sub-agents that a call waits for, given by [`Identity::Call`](crate::ledger::unit::Identity::Call) as a hash.
    pub fn waited_for(&self, call: u64) -> impl Iterator<Item = UnitId> {
        let first = self.waited_for.partition_point(|(other, _)| *other < call);
        self.waited_for.iter().skip(first).take_while(move |(other, _)| *other == call).map(|(_, agent)| *agent)
    }

    /// True if the unit that started a sub-agent is not known.
    #[must_use]
    pub fn is_apart(&self, agent: UnitId) -> bool {
        self.apart.contains(&agent)
    }

    /// Takes out the lists, once all units were added. A second call returns empty lists.
    #[must_use]
    pub fn lists(&mut self) -> Lists {
        let turns_omitted = self.turns.len().saturating_sub(self.max);
        let (agents, agents_omitted) = self.agents.take();
        let (traces, _) = self.traces.take();
        let of_turn = |(number, mut turn): (usize, OfTurn)| {
            let (first, omitted) = turn.first.take();
            (number, AgentsOf { ids: first.into_iter().map(|(_, _, id)| id).collect(), omitted, cost: turn.cost })
        };
        Lists {
            turns: std::mem::take(&mut self.turns).into_iter().take(self.max).collect(),
            turns_omitted,
            agents: agents.into_iter().map(|(_, _, id)| id).collect(),
            agents_omitted,
            of_turns: std::mem::take(&mut self.of_turns).into_iter().map(of_turn).collect(),
            traces: traces.into_iter().map(|(_, _, trace)| trace).collect(),
        }
    }
}

/// The first turns, sub-agents and traces of a session.
#[derive(Debug)]
pub struct Lists {
    /// The first turns with their numbers, from 1.
    pub turns: Vec<(usize, UnitId)>,
    /// How many further turns there are.
    pub turns_omitted: usize,
    /// The sub-agents that started first.
    pub agents: Vec<UnitId>,
    /// How many further sub-agents there are.
    pub agents_omitted: usize,
    /// The sub-agents of each turn, by the number of the turn.
    pub of_turns: BTreeMap<usize, AgentsOf>,
    /// The traces that began first.
    pub traces: Vec<TraceId>,
}
