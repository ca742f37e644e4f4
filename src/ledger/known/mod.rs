//! What the ledger has in memory: an index of every identity, and the units, sections and sessions that a step touches.
//!
//! ```text
//! arrivals  when rows arrived on streams
//! asked     questions whether calls may run, as streams tell of them
//! index     the unit or section in which each identity is counted
//! thread    how far the conversation of one file has come
//! plan      what has to be loaded before records can be folded (needs)
//! changes   what changed since the last commit (changed), summed up
//! owners    which session owns a unit that several have rows of
//! runs      processes of the client whose streams were passed on
//! paths     the paths of all files
//! ```

mod arrivals;
mod asked;
mod changed;
mod changes;
mod index;
mod needs;
mod owners;
mod paths;
mod plan;
mod runs;
mod thread;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

pub use arrivals::{Arrivals, Delay};
pub use asked::{Asked, AskedCall, AskedNews, AskedWhat, Question};
pub use changed::Changed;
pub use index::Index;
pub use needs::Keys;
pub use paths::Paths;
pub use thread::{Branch, GatewayNamed, Inline, ShellLine, StreamThread, Thread};

use super::holder::Extent;
use super::keys::LEVELS_MAX;
use super::parts::PARTS_MAX;
use super::run::Run;
use super::session::{Session, WaitingAgent};
use super::unit::{Claim, Identity, Parts, Rank, Section, Sections, Surroundings, Unit, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::hash::ById;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// What the ledger has in memory. Units, sections, sessions and threads are loaded from the store when a step needs
/// them.
#[derive(Debug)]
pub struct Known {
    /// The unit or section of every identity.
    pub index: Index,
    /// The paths of all files, by file number.
    pub paths: Paths,
    units: HashMap<UnitId, Loaded<Unit>, ById>,
    sections: HashMap<UnitId, Loaded<Section>, ById>,
    sessions: HashMap<SessionId, Session, ById>,
    /// What is known of sub-agents before any of their rows was read; `None` if it is known that there is nothing.
    waiting: BTreeMap<(SessionId, AgentId), Option<WaitingAgent>>,
    threads: HashMap<FileNumber, Thread, ById>,
    /// Sessions changed since the last commit.
    pub dirty_sessions: HashSet<SessionId, ById>,
    /// Units changed since the last commit.
    pub dirty_units: BTreeSet<UnitId>,
    dirty_sections: BTreeSet<UnitId>,
    dirty_waiting: BTreeSet<(SessionId, AgentId)>,
    /// Pairs of a session and a fork of it that became known since the last commit.
    forks: BTreeSet<(SessionId, SessionId)>,
    /// Units and sections that a fold needed and that were not loaded. The fold must be repeated with them.
    pub missing: BTreeSet<UnitId>,
    /// Sub-agents without rows that a fold needed and that were not loaded. The fold must be repeated with them.
    pub missing_waiting: BTreeSet<(SessionId, AgentId)>,
    /// Sub-agents whose calls have to be decided again, because something was not loaded.
    pub(super) unsettled_agents: BTreeSet<UnitId>,
    /// Units whose owner has to be decided again.
    unsettled: BTreeSet<UnitId>,
    /// Sessions for which [`Session::alone`] became 0 or greater than 0.
    turned: BTreeSet<SessionId>,
    /// Files that are streams.
    pub streams: HashSet<FileNumber, ById>,
    /// Sessions of whose files the first row was read since the last commit.
    pub found_files: BTreeSet<SessionId>,
    /// When rows arrived on streams.
    pub arrivals: Arrivals,
    /// What streams told of questions whether calls may run.
    pub asked: AskedNews,
    /// Lines that new marks in streams say are missing, each with the time of its mark, since the last commit.
    pub losses: Vec<(Timestamp, u64)>,
    runs: HashMap<RunId, Run>,
    /// Runs changed since the last commit.
    pub dirty_runs: BTreeSet<RunId>,
    /// Most parts that a unit or section holds.
    parts_max: usize,
}

/// A unit or section in memory, and its state at the last commit if it has changed since.
#[derive(Debug)]
struct Loaded<T> {
    now: T,
    before: Option<Box<T>>,
    /// True if it was changed or made since the last commit.
    dirty: bool,
}

impl<T: Clone> Loaded<T> {
    const fn stored(now: T) -> Self {
        Self { now, before: None, dirty: false }
    }

    const fn new(now: T) -> Self {
        Self { now, before: None, dirty: true }
    }

    /// Gives it out to be changed, and keeps the state before until the commit. The flag is true for the first change.
    fn change(&mut self) -> (&mut T, bool) {
        let first = !std::mem::replace(&mut self.dirty, true);
        if first {
            self.before = Some(Box::new(self.now.clone()));
        }
        (&mut self.now, first)
    }

    fn committed(&mut self) {
        (self.before, self.dirty) = (None, false);
    }
}

impl Default for Known {
    fn default() -> Self {
        Self::with_parts_max(PARTS_MAX)
    }
}

impl Known {
    /// An empty ledger. A unit or section will hold at most `parts_max` parts, which is [`PARTS_MAX`] except in tests.
    #[must_use]
    pub fn with_parts_max(parts_max: usize) -> Self {
        Self {
            index: Index::default(),
            paths: Paths::default(),
            units: HashMap::default(),
            sections: HashMap::default(),
            sessions: HashMap::default(),
            waiting: BTreeMap::new(),
            threads: HashMap::default(),
            dirty_sessions: HashSet::default(),
            dirty_units: BTreeSet::new(),
            dirty_sections: BTreeSet::new(),
            dirty_waiting: BTreeSet::new(),
            forks: BTreeSet::new(),
            missing: BTreeSet::new(),
            missing_waiting: BTreeSet::new(),
            unsettled_agents: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            turned: BTreeSet::new(),
            streams: HashSet::default(),
            found_files: BTreeSet::new(),
            arrivals: Arrivals::default(),
            asked: AskedNews::default(),
            losses: Vec::new(),
            runs: HashMap::new(),
            dirty_runs: BTreeSet::new(),
            parts_max,
        }
    }

    /// The session that a file is named after.
    pub(super) fn stem(&self, file: FileNumber) -> SessionId {
        let name = self.paths.name(file);
        SessionId(name.strip_suffix(".jsonl").unwrap_or(&name).into())
    }

    /// True if the unit or section is in memory.
    #[must_use]
    pub fn has(&self, id: UnitId) -> bool {
        self.units.contains_key(&id) || self.sections.contains_key(&id)
    }

    /// True if the unit or section is in memory. If it exists and is not, it is noted as missing, so that the fold is
    /// repeated with it. A retired one never is.
    pub(super) fn is_here(&mut self, id: UnitId) -> bool {
        if self.has(id) {
            return true;
        }
        if self.index.has_unit(id) && !self.index.is_retired(id) {
            self.missing.insert(id);
        }
        false
    }

    /// True if the session is in memory.
    #[must_use]
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
    }

    /// True if what is stored of the sub-agent before its rows is in memory, even if that is nothing.
    #[must_use]
    pub fn has_waiting(&self, agent: &(SessionId, AgentId)) -> bool {
        self.waiting.contains_key(agent)
    }

    /// Adds a stored unit, unless it is in memory already.
    pub fn load_unit(&mut self, unit: Unit) {
        self.units.entry(unit.key.id()).or_insert(Loaded::stored(unit));
    }

    /// Adds a stored section, unless it is in memory already.
    pub fn load_section(&mut self, section: Section) {
        self.index.note_section(&section);
        self.sections.entry(section.of.section(section.position)).or_insert(Loaded::stored(section));
    }

    /// Adds a stored session, unless it is in memory already.
    pub fn load_session(&mut self, session: Session) {
        self.sessions.entry(session.id.clone()).or_insert(session);
    }

    /// Adds what is stored of a sub-agent without rows; `None` if nothing is.
    pub fn load_waiting(&mut self, agent: (SessionId, AgentId), waiting: Option<WaitingAgent>) {
        self.waiting.insert(agent, waiting);
    }

    /// Adds the stored thread of a file.
    pub fn load_thread(&mut self, file: FileNumber, thread: Thread) {
        self.threads.insert(file, thread);
    }

    /// A unit, if it is in memory.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(&id).map(|loaded| &loaded.now)
    }

    /// A unit in memory, to be changed. The state before is kept until the commit.
    pub fn unit_mut(&mut self, id: UnitId) -> Option<&mut Unit> {
        let (unit, first) = self.units.get_mut(&id)?.change();
        if first {
            self.dirty_units.insert(id);
        }
        Some(unit)
    }

    /// The parts that a unit holds itself, or those of a section, if it is in memory.
    #[must_use]
    pub fn parts(&self, home: UnitId) -> Option<&Parts> {
        let section = || self.sections.get(&home).map(|loaded| &loaded.now.parts);
        self.unit(home).map(|unit| &unit.parts).or_else(section)
    }

    /// The parts of a unit or section in memory, to be changed.
    pub fn parts_mut(&mut self, home: UnitId) -> Option<&mut Parts> {
        if self.units.contains_key(&home) {
            return self.unit_mut(home).map(|unit| &mut unit.parts);
        }
        let (section, first) = self.sections.get_mut(&home)?.change();
        if first {
            self.dirty_sections.insert(home);
        }
        Some(&mut section.parts)
    }

    /// The units above a sub-agent that are in memory, the nearest first.
    #[must_use]
    pub fn above(&self, unit: &Unit) -> Vec<&Unit> {
        let mut above: Vec<&Unit> = Vec::new();
        let mut parent = unit.agent.as_ref().and_then(|agent| agent.parent);
        while let Some(unit) = parent.and_then(|id| self.unit(id)).filter(|_| above.len() < LEVELS_MAX) {
            above.push(unit);
            parent = unit.agent.as_ref().and_then(|agent| agent.parent);
        }
        above
    }

    /// The turn, or another unit, at the top of the calls that led to a unit, as far as the units are in memory.
    #[must_use]
    pub fn top_of<'a>(&'a self, unit: &'a Unit) -> &'a Unit {
        self.above(unit).pop().unwrap_or(unit)
    }

    /// The unit or section that holds a response.
    #[must_use]
    pub fn home_of_message(&self, id: &str) -> Option<UnitId> {
        self.index.home(Identity::Message(id).hash())
    }

    /// A unit with all of its parts, also those in sections; `None` unless all of it is in memory.
    #[must_use]
    pub fn whole(&self, id: UnitId) -> Option<Cow<'_, Unit>> {
        let unit = self.unit(id)?;
        if unit.sections.is_none() {
            return Some(Cow::Borrowed(unit));
        }
        let mut whole = unit.clone();
        for section in unit.section_ids() {
            whole.parts.append(self.parts(section)?.clone());
        }
        whole.sections = None;
        Some(Cow::Owned(whole))
    }

    /// Where a further part of a unit goes: the unit itself or its last section, which is made if there is no room.
    /// `None` if that is not in memory.
    pub(super) fn room(&mut self, unit: UnitId) -> Option<UnitId> {
        let known = self.unit(unit)?;
        let Some(sections) = &known.sections else {
            if known.parts.len() < self.parts_max {
                return Some(unit);
            }
            let parts = std::mem::take(&mut self.unit_mut(unit)?.parts);
            self.open_section(unit, parts);
            return Some(self.open_section(unit, Parts::default()));
        };
        let last = unit.section(sections.count.saturating_sub(1));
        match self.parts(last).map(Parts::len) {
            None => {
                self.missing.insert(last);
                None
            }
            Some(parts) if parts < self.parts_max => Some(last),
            Some(_) => Some(self.open_section(unit, Parts::default())),
        }
    }

    /// Gives a unit one more section, with these parts.
    fn open_section(&mut self, of: UnitId, parts: Parts) -> UnitId {
        let sections = self.unit_mut(of).map(|unit| unit.sections.get_or_insert_with(Box::<Sections>::default));
        let position = sections.map_or(0, |sections| {
            sections.count += 1;
            sections.count - 1
        });
        let id = self.index.insert_section(of, position);
        for identity in parts.identities() {
            self.index.insert(identity, id);
        }
        self.sections.insert(id, Loaded::new(Section { of, position, parts }));
        self.dirty_sections.insert(id);
        id
    }

    /// The unit of `key`, with the claim of a row on it. It is made if it does not exist. A retired unit stays as it is.
    pub(super) fn claim(&mut self, key: &UnitKey, claim: Claim, context: Surroundings) -> UnitId {
        let id = key.id();
        let Some(known) = self.unit(id) else {
            if self.index.has_unit(id) {
                self.is_here(id);
                return id;
            }
            self.index.insert_unit(id);
            self.dirty_units.insert(id);
            if let (UnitKey::Agent(_, agent), true) = (key, key.is_first_run()) {
                self.index.insert(Identity::Agent(&agent.0).hash(), id);
            }
            let unit = Unit::new(key.clone(), claim, context);
            let alone = unit.alone();
            self.units.insert(id, Loaded::new(unit));
            self.stands_alone(id, &[], &alone);
            return id;
        };
        // A later row of the only session that has rows of the unit does not change the owner.
        let is_later = (known.claim.by, known.claim.time) < (claim.by, claim.time) || known.claim == claim;
        if !(is_later && known.is_held_alone_by(&claim.session)) {
            self.change_owner(id, |unit, settling| {
                unit.claimed(&claim, settling);
                unit.held(&claim.session, &Extent::of(claim.time, context), settling);
            });
        }
        id
    }

    /// True if `new` is the rank of a better variant of a row than `old`. What a session file tells is always better than
    /// what a stream tells.
    pub(super) fn rank_is_better(&self, new: Rank, old: Rank) -> bool {
        let key = |rank: Rank| (self.streams.contains(&rank.file), rank.copy, rank.time);
        key(new).cmp(&key(old)).then_with(|| self.paths.order(new.file, old.file)).is_lt()
    }

    /// A session, to be changed. It is made if it is not in memory.
    pub fn session_mut(&mut self, id: &SessionId) -> &mut Session {
        self.dirty_sessions.insert(id.clone());
        self.sessions.entry(id.clone()).or_insert_with(|| Session::new(id.clone()))
    }

    /// A session, if it is in memory.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Notes that a session was forked from another.
    pub(super) fn note_fork(&mut self, source: &SessionId, fork: &SessionId) {
        if self.forks.insert((source.clone(), fork.clone()))
            && !self.session(source).is_some_and(|known| known.has_forks)
        {
            self.session_mut(source).has_forks = true;
        }
    }

    /// What is known of a sub-agent before any of its rows, to be changed. If that is not in memory, it is noted as
    /// missing.
    pub(super) fn waiting_mut(&mut self, agent: (SessionId, AgentId)) -> &mut Option<WaitingAgent> {
        if !self.waiting.contains_key(&agent) {
            self.missing_waiting.insert(agent.clone());
        }
        self.dirty_waiting.insert(agent.clone());
        self.waiting.entry(agent).or_default()
    }

    /// Takes out what was known of a sub-agent before its rows, when its first row has come.
    pub(super) fn take_waiting(&mut self, agent: (SessionId, AgentId)) -> Option<WaitingAgent> {
        let waiting = self.waiting.get_mut(&agent)?.take();
        if waiting.is_some() {
            self.dirty_waiting.insert(agent);
        }
        waiting
    }

    /// The thread of a file, to be changed. It is made if it is not in memory.
    pub fn thread_mut(&mut self, file: FileNumber) -> &mut Thread {
        self.threads.entry(file).or_default()
    }

    /// The thread of a file, if it is in memory.
    #[must_use]
    pub fn thread(&self, file: FileNumber) -> Option<&Thread> {
        self.threads.get(&file)
    }

    /// Drops units, sections, sessions and threads, which can be loaded again. To be called only after
    /// [`Known::committed`].
    pub fn forget(&mut self) {
        self.units.clear();
        self.sections.clear();
        self.sessions.clear();
        self.waiting.clear();
        self.threads.clear();
        self.runs.clear();
    }

    /// The hashes of everything through which rows of another file could change what is known. Files without a common
    /// hash can be counted separately. Everything must be in memory.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let sessions = self.sessions.values().flat_map(|session| {
            session.fork.iter().map(|fork| &fork.from).chain([&session.id]).map(|id| xxh3_64(id.0.as_bytes()))
        });
        // The file with the call that started a sub-agent may have no other identity of the sub-agent.
        let agents = self.units.values().filter_map(|loaded| loaded.now.agent.as_ref()?.call.as_deref());
        let waiting = self.waiting.values().filter_map(|waiting| waiting.as_ref()?.told.call.as_deref());
        let calls = agents.chain(waiting).map(|call| Identity::Call(call).hash());
        self.index.keys().chain(sessions).chain(calls)
    }

    /// Number of units and sections in memory.
    #[must_use]
    pub fn loaded(&self) -> usize {
        self.units.len() + self.sections.len()
    }

    /// Number of parts in the units and sections in memory.
    #[must_use]
    pub fn loaded_parts(&self) -> usize {
        let units = self.units.values().map(|loaded| loaded.now.parts.len());
        units.chain(self.sections.values().map(|loaded| loaded.now.parts.len())).sum()
    }

    /// Every unit in memory.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values().map(|loaded| &loaded.now)
    }

    /// Every session in memory.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }
}
