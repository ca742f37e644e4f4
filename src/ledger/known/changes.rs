//! What changed since the last commit: it is summed up once, and then the store and the totals take it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::changed::Changed;
use super::{Known, Loaded};
use crate::ledger::gist::Gist;
use crate::ledger::keys::LEVELS_MAX;
use crate::ledger::session::{Session, WaitingAgent};
use crate::ledger::unit::{Section, Tool, Unit, UnitId, UnitKey};
use crate::transcript::ids::{AgentId, SessionId};

impl Known {
    /// Every unit and section that is in memory, as if all were new.
    pub fn everything(&self) -> impl Iterator<Item = Changed<'_>> {
        let sections = self.sections.values().map(|loaded| &loaded.now);
        let sections = sections.filter_map(|section| Some(Changed::section(self.unit(section.of)?, section)));
        self.units().map(Changed::new).chain(sections)
    }

    /// Marks everything in memory as over: no more rows will come. See
    /// [`Parts::give_up`](crate::ledger::unit::Parts::give_up).
    pub fn give_up(&mut self) {
        self.units.values_mut().for_each(|loaded| loaded.now.parts.give_up());
        self.sections.values_mut().for_each(|loaded| loaded.now.parts.give_up());
    }

    /// Every changed unit: its state at the last commit (`None` for a new unit), and its state now.
    pub fn changed_units(&self) -> impl Iterator<Item = (Option<&Unit>, &Unit)> {
        self.dirty_units
            .iter()
            .filter_map(|id| self.units.get(id))
            .map(|loaded| (loaded.before.as_deref(), &loaded.now))
    }

    /// Every changed section: its id, its state at the last commit (`None` for a new section), and its state now.
    pub fn changed_sections(&self) -> impl Iterator<Item = (UnitId, Option<&Section>, &Section)> {
        self.dirty_sections
            .iter()
            .filter_map(|id| Some((*id, self.sections.get(id)?)))
            .map(|(id, loaded)| (id, loaded.before.as_deref(), &loaded.now))
    }

    /// All changes: units with the parts that they hold themselves, then sections.
    pub fn changes(&self) -> impl Iterator<Item = Changed<'_>> {
        let units = self.changed_units().map(|(before, unit)| Changed::between(before, unit));
        let sections = self.changed_sections().filter_map(|(home, before, section)| {
            let owner = self.units.get(&section.of)?;
            Some(Changed {
                home,
                before: owner.before.as_deref().or((!owner.dirty).then_some(&owner.now)),
                unit: &owner.now,
                parts_before: before.map(|section| &section.parts),
                parts: &section.parts,
            })
        });
        units.chain(sections)
    }

    /// The units that [`Known::roll_up`] needs and that are not in memory: those above changed sub-agents, and those of
    /// changed sections.
    #[must_use]
    pub fn missing_above(&self) -> BTreeSet<UnitId> {
        let owners = self.changed_sections().map(|(_, _, section)| section.of);
        let mut missing: BTreeSet<UnitId> = owners.filter(|id| self.unit(*id).is_none()).collect();
        for (before, unit) in self.changed_units() {
            for start in before.into_iter().chain([unit]) {
                let mut above = start.leaves_with();
                for _ in 0..LEVELS_MAX {
                    let Some(id) = above else { break };
                    match self.unit(id) {
                        Some(unit) => above = unit.leaves_with(),
                        None => {
                            missing.insert(id);
                            break;
                        }
                    }
                }
            }
        }
        missing
    }

    /// Hands the run of a unit down to the sub-agents below it, of which a stream tells half or nothing. Returns those that
    /// are not in memory: they must be loaded, and this be called again.
    pub fn spread_runs(&mut self) -> BTreeSet<UnitId> {
        let mut missing = BTreeSet::new();
        let mut open: Vec<UnitId> = self.dirty_units.iter().copied().collect();
        while let Some(id) = open.pop() {
            let Some(unit) = self.unit(id) else { continue };
            let parent = unit.agent.as_ref().and_then(|agent| agent.parent).and_then(|parent| self.unit(parent));
            let above = parent.and_then(|parent| parent.of_run.clone()).filter(|_| unit.of_run.is_none());
            let Some(of_run) = above.clone().or_else(|| unit.of_run.clone()) else { continue };
            let had = self.units.get(&id).and_then(|loaded| loaded.before.as_ref()?.of_run.as_ref());
            if above.is_none() && had == Some(&of_run) {
                continue;
            }
            let parts = std::iter::once(id).chain(unit.section_ids()).filter_map(|home| self.parts(home));
            let agents = parts.flat_map(|parts| &parts.tools).flat_map(Tool::agents);
            let session = unit.session();
            let below: Vec<UnitId> = agents.map(|agent| UnitKey::agent(session, agent).id()).collect();
            if let Some(unit) = self.unit_mut(id).filter(|unit| unit.of_run.is_none()) {
                unit.of_run = Some(of_run.clone());
            }
            for agent in below {
                match self.unit(agent).map(|unit| unit.of_run.is_some()) {
                    None if self.index.has_unit(agent) && !self.index.is_retired(agent) => {
                        missing.insert(agent);
                    }
                    Some(false) => {
                        if let Some(unit) = self.unit_mut(agent) {
                            unit.of_run = Some(of_run.clone());
                        }
                        open.push(agent);
                    }
                    _ => {}
                }
            }
        }
        missing
    }

    /// Brings the sums of all changed units and sessions up to date. To be called once before each commit.
    pub fn roll_up(&mut self) {
        self.sum_sections();
        self.sum_below();
        let Self { units, sessions, dirty_sessions, dirty_units, .. } = self;
        let mut session_of = |id: &SessionId, change: &mut dyn FnMut(&mut Session)| {
            if !dirty_sessions.contains(id) {
                dirty_sessions.insert(id.clone());
            }
            change(sessions.entry(id.clone()).or_insert_with(|| Session::new(id.clone())));
        };
        for id in dirty_units.iter() {
            let Some(loaded) = units.get(id) else { continue };
            let (before, unit) = (loaded.before.as_deref(), &loaded.now);
            match before.filter(|before| before.session() != unit.session()) {
                Some(moved) => {
                    session_of(moved.session(), &mut |session| session.change(Some(moved), None));
                    session_of(unit.session(), &mut |session| session.change(None, Some(unit)));
                }
                None => session_of(unit.session(), &mut |session| session.change(before, Some(unit))),
            }
        }
        // Rows of a retired session that are read again tell its title once more, which is not kept.
        for id in dirty_sessions.iter() {
            if let Some(session) = sessions.get_mut(id).filter(|session| session.is_retired()) {
                session.retire();
            }
        }
    }

    /// Updates the sums of units to the changes of their sections.
    fn sum_sections(&mut self) {
        let Self { units, sections, dirty_sections, dirty_units, .. } = self;
        for loaded in dirty_sections.iter().filter_map(|id| sections.get(id)) {
            let section = &loaded.now;
            let Some((unit, first)) = units.get_mut(&section.of).map(Loaded::change) else { continue };
            if first {
                dirty_units.insert(section.of);
            }
            if let Some(sums) = &mut unit.sections {
                let before = loaded.before.as_deref().map(|before| &before.parts);
                sums.change(section.position, before, &section.parts);
            }
        }
    }

    /// Updates the gist of sub-agents in the units above them, up to the top.
    fn sum_below(&mut self) {
        let mut handed_up: HashMap<UnitId, Option<(UnitId, Gist)>> = HashMap::new();
        let mut open = self.dirty_units.clone();
        // Bounded, because damaged files can describe a circle of sub-agents.
        let mut steps = open.len().saturating_mul(LEVELS_MAX);
        while let Some(id) = open.pop_first() {
            let Some(loaded) = self.units.get(&id).filter(|loaded| loaded.now.agent.is_some()) else { continue };
            let told = |unit: &Unit| Some((self.leaves_with(unit)?, unit.gist_with_below()));
            let (new, old) = (told(&loaded.now), handed_up.remove(&id));
            let old = old.unwrap_or_else(|| loaded.before.as_deref().and_then(told));
            if new == old || steps == 0 {
                continue;
            }
            steps -= 1;
            let changes = match (old, new) {
                (Some((above, before)), Some((now, after))) if above == now => vec![(above, before, after)],
                (old, new) => {
                    let out = old.map(|(above, before)| (above, before, Gist::default()));
                    out.into_iter().chain(new.map(|(above, after)| (above, Gist::default(), after))).collect()
                }
            };
            handed_up.insert(id, new);
            for (above, before, after) in changes {
                if let Some(unit) = self.unit_mut(above) {
                    unit.below.get_or_insert_default().change(&before, &after);
                    open.insert(above);
                }
            }
        }
    }

    /// The unit with whose spans those of a sub-agent leave, if it is in memory; `None` if that would be a circle.
    fn leaves_with(&self, unit: &Unit) -> Option<UnitId> {
        let first = unit.leaves_with().filter(|id| self.units.contains_key(id))?;
        let mut above = Some(first);
        for _ in 0..LEVELS_MAX {
            match above {
                Some(id) if id == unit.key.id() => return None,
                Some(id) => above = self.unit(id).and_then(Unit::leaves_with),
                None => return Some(first),
            }
        }
        None
    }

    /// Every changed session.
    pub fn changed_sessions(&self) -> impl Iterator<Item = &Session> {
        self.dirty_sessions.iter().filter_map(|id| self.sessions.get(id))
    }

    /// Every sub-agent without rows of which more became known; the last value is `None` if its rows have come.
    pub fn changed_waiting(&self) -> impl Iterator<Item = (&SessionId, &AgentId, Option<&WaitingAgent>)> {
        self.dirty_waiting.iter().map(|key| (&key.0, &key.1, self.waiting.get(key).and_then(Option::as_ref)))
    }

    /// Pairs of a session and a fork of it that became known since the last commit.
    pub fn new_forks(&self) -> impl Iterator<Item = &(SessionId, SessionId)> {
        self.forks.iter()
    }

    /// Number of changed units, and of the parts that they and the changed sections hold: the size of the next commit.
    #[must_use]
    pub fn dirty_parts(&self) -> usize {
        let units = self.changed_units().map(|(_, unit)| 1 + unit.parts.len());
        units.chain(self.changed_sections().map(|(_, _, section)| section.parts.len())).sum()
    }

    /// Notes that all changes are stored.
    pub fn committed(&mut self) {
        for id in std::mem::take(&mut self.dirty_units) {
            if let Some(loaded) = self.units.get_mut(&id) {
                loaded.committed();
            }
        }
        for id in std::mem::take(&mut self.dirty_sections) {
            if let Some(loaded) = self.sections.get_mut(&id) {
                loaded.committed();
            }
        }
        self.dirty_sessions.clear();
        self.dirty_waiting.clear();
        self.dirty_runs.clear();
        self.found_files.clear();
        self.forks.clear();
    }

    /// Finds the first and last units of each loose session again, for a pass that has everything in memory.
    pub(crate) fn tighten_sessions(&mut self) {
        let mut members: BTreeMap<SessionId, Vec<_>> = BTreeMap::new();
        members
            .extend(self.sessions().filter(|session| session.is_loose).map(|session| (session.id.clone(), Vec::new())));
        if members.is_empty() {
            return;
        }
        for unit in self.units.values().map(|loaded| &loaded.now).filter(|unit| !unit.is_shell()) {
            if let Some(own) = members.get_mut(unit.session()) {
                own.push(crate::ledger::session::Member::of(unit));
            }
        }
        for (id, members) in members {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let context = |unit| Ok(self.units.get(&unit).map(|loaded| loaded.now.context.clone()));
            match session.tighten::<std::convert::Infallible>(&members, context) {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
    }
}
