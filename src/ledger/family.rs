//! How units belong together: the sub-agents that calls lead to, and the turn above each of them.
//!
//! [`AgentWalk`] goes down through units in memory, [`Family`] loads the units of one trace, and [`below`] and
//! [`roots`] work on such units: the trees of spans, metrics, the replay and Jaeger's API are made here. Code that
//! follows stored links without a tree (`engine::leave` for spans that leave piece by piece, `http::jaeger::cut` for a
//! trace that is too large) uses the rules of this file too, and stops after [`LEVELS_MAX`] levels.
//!
//! A call names the sub-agent that it started, and so does a message to a sub-agent that runs already; the sub-agent
//! knows which call started it. A background sub-agent outlives its call and has a trace of its own. Damaged files can
//! describe circles, so every walk is bounded.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

pub use super::keys::LEVELS_MAX;
use super::known::Known;
use super::unit::{Tool, Unit, UnitId, UnitKey};
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;

/// How deep sub-agents may be nested in one trace; a deeper one gets a trace of its own.
pub const DEPTH_MAX: usize = 16;

/// How much of a unit is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All of its parts, also those in sections.
    Whole,
    /// The unit as it is stored, without the parts in its sections.
    Head,
}

/// True for a sub-agent that goes on after its call has returned.
#[must_use]
pub fn is_background(unit: &Unit) -> bool {
    unit.agent.as_ref().is_some_and(|agent| agent.background)
}

/// A unit whose spans leave, with all other units that these spans are made of.
pub struct Family<'k> {
    unit: Cow<'k, Unit>,
    /// The units above it, the nearest first, without the parts in sections.
    above: Vec<Cow<'k, Unit>>,
    /// The sub-agents that its calls lead to, with all of their parts; of background ones only the head.
    agents: HashMap<UnitId, Cow<'k, Unit>>,
}

impl<'k> Family<'k> {
    /// The family of a unit; `None` if `find` does not find the unit. Other units that it does not find are left out.
    /// Fails if `find` fails.
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
                // A background sub-agent has a trace of its own, and its head is enough to tell so.
                family.agents.insert(agent, head);
            } else if let Some(whole) = find(agent, Want::Whole)? {
                open.extend(family.called(&whole));
                family.agents.insert(agent, whole);
            }
        }
        Ok(Some(family))
    }

    /// The unit itself.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The turn, or another unit, at the top of the calls that led to the unit, without the parts in sections.
    #[must_use]
    pub fn top(&self) -> &Unit {
        self.above.last().map_or(&self.unit, |top| top)
    }

    /// The units above it, the nearest first, without the parts in sections.
    pub fn above(&self) -> impl Iterator<Item = &Unit> {
        self.above.iter().map(|unit| &**unit)
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

    /// The unit itself, and the sub-agents that its calls lead to.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        std::iter::once(self.unit()).chain(self.agents.values().map(|unit| &**unit))
    }

    /// The sub-agents whose spans leave together with those of the unit: all below it except background ones.
    #[must_use]
    pub fn below(&self) -> Vec<&Unit> {
        below(self.unit(), &|agent| self.find(agent))
    }

    /// Ids of the unit and of the sub-agents in [`Family::below`].
    #[must_use]
    pub fn ids(&self) -> Vec<UnitId> {
        std::iter::once(self.unit()).chain(self.below()).map(|unit| unit.key.id()).collect()
    }
}

/// The unit whose trace holds the spans of `unit`: itself, or a unit above it. `find` returns a unit by its id,
/// `find_call` a call of a unit by its id.
///
/// `None` if the call that started a sub-agent is not known, if a unit above is not found, or if the unit is nested
/// more than [`DEPTH_MAX`] deep.
#[must_use]
pub fn root_around<'a>(
    unit: &'a Unit,
    find: &dyn Fn(UnitId) -> Option<&'a Unit>,
    find_call: &dyn Fn(&'a Unit, &str) -> Option<&'a Tool>,
) -> Option<&'a Unit> {
    let mut root = unit;
    for _ in 0..=DEPTH_MAX {
        let Some(agent) = &root.agent else { return Some(root) };
        let parent = find(agent.parent?)?;
        let call = find_call(parent, agent.call.as_deref()?)?;
        if agent.background || call.background {
            return Some(root);
        }
        root = parent;
    }
    None
}

/// The sub-agents that must end before `root` can: all below it except background ones.
#[must_use]
pub fn below<'a>(root: &'a Unit, find: &dyn Fn(&AgentId) -> Option<&'a Unit>) -> Vec<&'a Unit> {
    let (mut all, mut level) = (Vec::new(), vec![root]);
    let mut met = HashSet::from([&root.key]);
    while let Some(parent) = level.pop() {
        let calls = parent.parts.tools.iter().flat_map(|tool| tool.agents().map(move |agent| (tool, agent)));
        for (tool, agent) in calls {
            let new = find(agent).filter(|found| is_started_by(found, &tool.id) && met.insert(&found.key));
            all.extend(new);
            level.extend(new);
        }
    }
    all
}

/// True if a sub-agent was started by this call and does not outlive it. A call that only sent it a message names it
/// too, but its spans belong below the call that started it.
#[must_use]
pub fn is_started_by(unit: &Unit, call: &str) -> bool {
    unit.agent.as_ref().is_some_and(|agent| !agent.background && agent.call.as_deref() == Some(call))
}

/// Where a unit's spans belong.
pub enum Standing {
    /// Into a trace of its own.
    Alone,
    /// Into a trace of its own, unless the call that started it becomes known.
    Unlinked,
    /// Below this unit, which holds its call.
    Below(UnitId),
    /// Nowhere: it has no spans.
    Nothing,
}

pub fn standing(unit: &Unit) -> Standing {
    match (&unit.key, &unit.agent) {
        // It is not decided yet whether the session file tells of this turn too.
        _ if unit.provisional.is_some() && unit.prompt.is_none() => Standing::Nothing,
        (UnitKey::Agent(..), Some(agent)) => match agent.parent {
            Some(parent) if !agent.background => Standing::Below(parent),
            Some(_) => Standing::Alone,
            None => Standing::Unlinked,
        },
        _ if unit.is_turn()
            || unit.sections.is_some()
            || !unit.parts.messages.is_empty()
            || unit.parts.compactions().next().is_some()
            || unit.parts.tools.iter().any(|tool| tool.call.is_some()) =>
        {
            Standing::Alone
        }
        _ => Standing::Nothing,
    }
}

/// The unit whose trace holds the spans of `unit`, as far as the units above it are in memory.
pub fn owner<'a>(known: &'a Known, unit: &'a Unit) -> &'a Unit {
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

/// Follows calls to sub-agents. Every sub-agent is met at most once, so a cycle ends.
pub struct AgentWalk<'f, 'a> {
    agents: &'f dyn Fn(&AgentId) -> Option<&'a Unit>,
    met: HashSet<&'a UnitKey>,
}

/// A sub-agent that a call started.
pub struct Started<'a> {
    pub unit: &'a Unit,
    /// True if it has a trace of its own.
    pub apart: bool,
}

impl<'f, 'a> AgentWalk<'f, 'a> {
    pub fn from(root: &'a Unit, agents: &'f dyn Fn(&AgentId) -> Option<&'a Unit>) -> Self {
        Self { agents, met: HashSet::from([&root.key]) }
    }

    /// The sub-agents that `tool` started, without those whose rows are not known and those that were met before.
    ///
    /// A call that only sent a message to a sub-agent names it too, and is told apart because the sub-agent knows which
    /// call started it.
    pub fn started_by(&mut self, tool: &'a Tool, depth: usize) -> Vec<Started<'a>> {
        let mut started = Vec::new();
        for id in tool.agents().filter(|_| tool.call.is_some()) {
            let Some(unit) = (self.agents)(id) else { continue };
            let Some(agent) = &unit.agent else { continue };
            let is_own = agent.call.as_deref().is_none_or(|call| *call == *tool.id);
            if is_own && self.met.insert(&unit.key) {
                // A sub-agent that does not know its call has a trace of its own.
                let apart = agent.background || agent.call.is_none() || tool.background || depth >= DEPTH_MAX;
                started.push(Started { unit, apart });
            }
        }
        started
    }

    /// `root`, and every sub-agent that its calls lead to.
    pub fn everything(mut self, root: &'a Unit) -> impl Iterator<Item = &'a Unit> {
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

/// The numbers of the turns of a session, and of the turn that each of its sub-agents belongs to.
#[derive(Debug, Default)]
pub struct TurnNumbers(HashMap<UnitId, usize>);

impl TurnNumbers {
    /// Numbers the turns among `units` from 1, by the time of their first rows. Their spans have the same numbers.
    #[must_use]
    pub fn of(units: &[Unit]) -> Self {
        let turns = units.iter().filter(|unit| unit.is_turn()).map(|unit| (unit.first, unit.key.id()));
        let parents = units.iter().filter_map(|unit| Some((unit.key.id(), unit.agent.as_ref()?.parent?)));
        Self::from(turns.collect(), parents.collect())
    }

    /// The same as [`TurnNumbers::of`], from the turns with the times of their first rows, and the unit above each
    /// sub-agent.
    #[must_use]
    pub fn from(mut turns: Vec<(Timestamp, UnitId)>, parents: HashMap<UnitId, UnitId>) -> Self {
        turns.sort_unstable();
        let turns: HashMap<UnitId, usize> = turns.into_iter().map(|(_, turn)| turn).zip(1..).collect();
        let turn_of = |agent: &UnitId| {
            let chain = std::iter::successors(parents.get(agent), |unit| parents.get(*unit));
            chain.take(LEVELS_MAX).find_map(|unit| turns.get(unit)).map(|turn| (*agent, *turn))
        };
        let agents: Vec<_> = parents.keys().filter(|agent| !turns.contains_key(*agent)).filter_map(turn_of).collect();
        Self(turns.into_iter().chain(agents).collect())
    }

    /// Number of the turn that a unit is, or in which it was started; `None` if it belongs to no turn.
    #[must_use]
    pub fn turn(&self, unit: UnitId) -> Option<usize> {
        self.0.get(&unit).copied()
    }
}

/// True for a unit that is shown as a span: a turn, a sub-agent, or rows before the first prompt that did something.
#[must_use]
pub fn has_spans(unit: &Unit) -> bool {
    unit.is_turn()
        || unit.agent.is_some()
        || !unit.is_silent()
        || unit.parts.failures().next().is_some()
        || unit.parts.compactions().next().is_some()
}

/// The units of a session that are at the top of a tree, in order of time: turns, loose units that did something, and
/// sub-agents that no call of another unit leads to.
#[must_use]
pub fn roots<'a>(units: &[&'a Unit]) -> Vec<&'a Unit> {
    let agents: HashMap<&str, &'a Unit> =
        units.iter().filter_map(|unit| Some((unit.agent.as_ref()?.id.plain(), *unit))).collect();
    let find = |id: &AgentId| agents.get(id.plain()).copied();
    let mut in_time = units.to_vec();
    // Turns are looked at before sub-agents: a sub-agent that the calls of a turn lead to is no root, even if its rows
    // are stamped earlier than those of the turn.
    in_time.sort_by_key(|unit| (unit.agent.is_some(), unit.first, unit.key.id()));
    let mut reached: HashSet<UnitId> = HashSet::new();
    let mut roots = Vec::new();
    for unit in in_time {
        if reached.contains(&unit.key.id()) || !has_spans(unit) {
            continue;
        }
        roots.push(unit);
        reached.extend(AgentWalk::from(unit, &find).everything(unit).map(|unit| unit.key.id()));
    }
    roots.sort_by_key(|unit| (unit.first, unit.key.id()));
    roots
}
