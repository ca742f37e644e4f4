//! What the ledger knows: an index of every identity, and the units and sessions that a step touches.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::queue::Queue;
use super::session::Session;
use super::tally::Tally;
use super::unit::{Claim, Context, Identity, Rank, Unit, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::hash::ById;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{Body, Kind, Record, Said};
use crate::transcript::time::Timestamp;

/// Which unit an identity belongs to, for every identity ever counted. About 20 bytes of memory each.
#[derive(Debug, Default)]
pub struct Index {
    units: Vec<UnitId>,
    numbers: HashMap<UnitId, u32, ById>,
    homes: HashMap<u64, u32, ById>,
}

impl Index {
    /// Notes that `identity` is counted in `unit`.
    pub fn insert(&mut self, identity: u64, unit: UnitId) {
        let number = self.insert_unit(unit);
        self.homes.insert(identity, number);
    }

    /// Notes that `unit` exists, even if it has no identity yet. Returns its number.
    pub fn insert_unit(&mut self, unit: UnitId) -> u32 {
        *self.numbers.entry(unit).or_insert_with(|| {
            self.units.push(unit);
            u32::try_from(self.units.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Takes in a stored unit with its number and identities, in the order of the numbers. They may have gaps, where a
    /// unit was given up; false if it is too large a one to be true.
    #[must_use]
    pub fn load(&mut self, number: u32, unit: UnitId, identities: impl IntoIterator<Item = u64>) -> bool {
        const GAP_MAX: usize = 100_000;
        let position = usize::try_from(number).unwrap_or(usize::MAX);
        if !(self.units.len()..self.units.len() + GAP_MAX).contains(&position) {
            return false;
        }
        self.units.resize(position, UnitId(0));
        self.units.push(unit);
        self.numbers.insert(unit, number);
        self.homes.extend(identities.into_iter().map(|identity| (identity, number)));
        true
    }

    /// The number of a unit: units are numbered in the order in which they are first seen.
    #[must_use]
    pub fn number(&self, unit: UnitId) -> Option<u32> {
        self.numbers.get(&unit).copied()
    }

    /// The unit that holds `identity`.
    #[must_use]
    pub fn home(&self, identity: u64) -> Option<UnitId> {
        self.units.get(usize::try_from(*self.homes.get(&identity)?).ok()?).copied()
    }

    /// Everything by which another file could meet what is known: identities and units, hashed.
    fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.homes.keys().copied().chain(self.units.iter().map(|unit| xxh3_64(&unit.0.to_be_bytes())))
    }

    /// Forgets a unit that the store does not have: its rows make it anew.
    pub fn forget_unit(&mut self, unit: UnitId) {
        self.numbers.remove(&unit);
    }

    /// True if the unit exists.
    #[must_use]
    pub fn has_unit(&self, unit: UnitId) -> bool {
        self.numbers.contains_key(&unit)
    }
}

/// How far the conversation of one file has come: the context that its next row needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// How often the file was read from its beginning.
    pub generation: u32,
    /// `sessionId` of the last row.
    pub session: Option<SessionId>,
    /// The unit that rows belong to.
    pub current: Option<UnitKey>,
    /// `promptId` of the current turn.
    pub prompt: Option<RowId>,
    /// The `promptId` that a fork put on all the prompts it copied.
    pub copied_prompt: Option<RowId>,
    /// Time of the last row.
    pub last: Timestamp,
    /// Version of the client that wrote the last row.
    pub version: Option<Arc<str>>,
    /// Time of the last prompt or tool result: what the next response answers.
    pub asked: Option<Timestamp>,
    /// Time of the first `api-request` since then. A retried call has several.
    pub requested: Option<Timestamp>,
    /// The response whose rows are coming.
    pub open_message: Option<Box<str>>,
    /// The process that wrote the rows so far has ended.
    pub process_ended: bool,
    /// `turnPosition.turnIndex` of the current turn's prompt.
    pub turn_index: Option<u32>,
    /// Inline sub-agents (clients before 2.0).
    pub inline: Vec<Inline>,
    /// Prompts that wait to be asked.
    pub queue: Queue,
}

/// An inline sub-agent: rows between those of the main thread, told apart by their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inline {
    /// Its unit.
    pub unit: UnitKey,
    /// Its latest rows, the last one last: further rows hang on any of them.
    pub rows: Vec<RowId>,
    /// Time of its last prompt or tool result.
    pub asked: Option<Timestamp>,
}

/// What a step needs to know.
#[derive(Debug, Default)]
pub struct Known {
    /// Every identity.
    pub index: Index,
    /// Paths by file number.
    pub paths: Vec<Arc<str>>,
    units: HashMap<UnitId, Loaded, ById>,
    sessions: HashMap<SessionId, Session, ById>,
    threads: HashMap<FileNumber, Thread, ById>,
    /// Sessions changed since the last commit.
    pub dirty_sessions: HashSet<SessionId, ById>,
    /// Units changed since the last commit.
    pub dirty_units: BTreeSet<UnitId>,
    /// Units that a fold needed and that were not loaded: it has to be done again with them.
    pub missing: BTreeSet<UnitId>,
}

/// A unit in memory, and as it was at the last commit.
#[derive(Debug)]
struct Loaded {
    unit: Unit,
    before: Option<Box<Unit>>,
    /// It was changed since the last commit.
    dirty: bool,
}

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default)]
pub struct Keys {
    /// Units.
    pub units: BTreeSet<UnitId>,
    /// Sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Whose rows came last: those of the next row, most often.
    owner: Option<(SessionId, Option<AgentId>)>,
    /// The response whose rows came last.
    message: Option<Box<str>>,
    /// A row of the main thread has a unit before it, so that it begins none but as a prompt.
    is_led: bool,
}

impl Known {
    /// Everything that folding `records` of a file may touch.
    #[must_use]
    pub fn keys_of(&self, file: FileNumber, records: &[Record], restarted: bool) -> Keys {
        let mut keys = Keys::default();
        let (stem, thread) = (self.stem(file), self.threads.get(&file));
        if let Some(thread) = thread {
            let open = thread.open_message.as_deref().map(|id| Identity::Message(id).hash());
            keys.units.extend(open.and_then(|open| self.index.home(open)));
            keys.units.extend(thread.current.as_ref().map(UnitKey::id));
            keys.units.extend(thread.inline.iter().map(|inline| inline.unit.id()));
            keys.sessions.extend(thread.session.clone());
            keys.is_led = thread.current.is_some() && !restarted;
        }
        let mut session = thread.and_then(|thread| thread.session.as_ref()).filter(|_| !restarted);
        for record in records {
            if let Body::Row(row) = &record.body {
                // A row without a session belongs to that of the rows before it.
                session = row.session.as_ref().or(session).or(Some(&stem));
            }
            self.keys_of_body(&record.body, session, &mut keys);
        }
        // The units above a sub-agent say which trace its observations belong to.
        let mut open: Vec<UnitId> = keys.units.iter().copied().collect();
        while let Some(unit) = open.pop() {
            let parent = self.unit(unit).and_then(|unit| unit.agent.as_ref()?.parent);
            open.extend(parent.filter(|parent| keys.units.insert(*parent)));
        }
        keys.units.retain(|unit| self.index.has_unit(*unit));
        keys
    }

    /// The session that a file's name tells.
    pub(super) fn stem(&self, file: FileNumber) -> SessionId {
        let name = self.path(file).rsplit('/').next().unwrap_or_default();
        SessionId(name.strip_suffix(".jsonl").unwrap_or(name).into())
    }

    fn keys_of_body(&self, body: &Body, session: Option<&SessionId>, keys: &mut Keys) {
        let home = |identity: Identity<'_>| self.index.home(identity.hash());
        // Of most rows there is no such unit.
        let known = |id: UnitId| Some(id).filter(|id| self.index.has_unit(*id));
        match body {
            Body::Row(row) => {
                match &row.kind {
                    Kind::User(user) => match &user.said {
                        Said::Results(results) => {
                            for result in results {
                                keys.units.extend(home(Identity::Call(&result.call)));
                            }
                            for result in results.iter().filter(|result| result.agent.is_some()) {
                                self.keys_of_owner(session, result.agent.as_ref(), keys);
                                let owner = home(Identity::Call(&result.call))
                                    .and_then(|home| self.unit(home))
                                    .map(Unit::session);
                                self.keys_of_owner(owner, result.agent.as_ref(), keys);
                            }
                        }
                        _ => keys.units.extend(known(UnitKey::Turn(row.id).id())),
                    },
                    Kind::Assistant(assistant) => {
                        if keys.message.as_deref() != Some(&*assistant.message) {
                            keys.units.extend(home(Identity::Message(&assistant.message)));
                            keys.message = Some(assistant.message.clone());
                        }
                        for call in &assistant.calls {
                            keys.units.extend(home(Identity::Call(&call.id)));
                            keys.units.extend(home(Identity::Link(&call.id)));
                        }
                        keys.sessions.extend(assistant.copied_from.clone());
                        // The report of a failure counts by its row.
                        if assistant.synthetic {
                            keys.units.extend(home(Identity::Row(row.id)));
                        }
                    }
                    Kind::ApiError(_) | Kind::Compaction(_) | Kind::Hook(_) | Kind::Fallback(_) => {
                        keys.units.extend(home(Identity::Row(row.id)));
                    }
                    Kind::TurnDuration(_) | Kind::Other => {}
                }
                // What a row may begin that is no prompt.
                match (&row.agent, row.sidechain) {
                    (Some(_), _) => {}
                    (None, true) => keys.units.extend(known(UnitKey::inline_id(row.id))),
                    (None, false) if keys.is_led => {}
                    (None, false) => {
                        keys.units.extend(known(UnitKey::Loose(row.id).id()));
                        // A row that was counted before leaves the next one to begin a unit.
                        keys.is_led = matches!(row.kind, Kind::User(_) | Kind::Assistant(_));
                    }
                }
                self.keys_of_owner(session, row.agent.as_ref(), keys);
            }
            Body::CostState(state) => keys.sessions.extend([state.session.clone()]),
            Body::Title { session, .. } => keys.sessions.extend([session.clone()]),
            Body::AgentMeta(meta) => {
                if let Some(call) = &meta.call {
                    keys.units.extend(home(Identity::Call(call)));
                }
                self.keys_of_owner(Some(&meta.session), Some(&meta.agent), keys);
            }
            _ => {}
        }
    }

    fn keys_of_owner(&self, session: Option<&SessionId>, agent: Option<&AgentId>, keys: &mut Keys) {
        let Some(session) = session else { return };
        if keys.owner.as_ref().is_some_and(|(known, of)| known == session && of.as_ref() == agent) {
            return;
        }
        keys.owner = Some((session.clone(), agent.cloned()));
        keys.sessions.insert(session.clone());
        let Some(agent) = agent else { return };
        keys.units.insert(UnitKey::agent(session, agent).id());
        // A call that waits for this agent's first row.
        let waiting = self.sessions.get(session).and_then(|session| session.waiting_agents.get(agent));
        if let Some(call) = waiting.and_then(|waiting| waiting.call.as_deref()) {
            keys.units.extend(self.index.home(Identity::Call(call).hash()));
        }
    }

    /// True if the unit is in memory.
    #[must_use]
    pub fn has_unit(&self, unit: UnitId) -> bool {
        self.units.contains_key(&unit)
    }

    /// True if the session is in memory.
    #[must_use]
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
    }

    /// Takes a stored unit in.
    pub fn load_unit(&mut self, unit: Unit) {
        self.units.entry(unit.key.id()).or_insert(Loaded { unit, before: None, dirty: false });
    }

    /// Takes a stored session in.
    pub fn load_session(&mut self, session: Session) {
        self.sessions.entry(session.id.clone()).or_insert(session);
    }

    /// Takes a stored thread in.
    pub fn load_thread(&mut self, file: FileNumber, thread: Thread) {
        self.threads.insert(file, thread);
    }

    /// A loaded unit.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(&id).map(|loaded| &loaded.unit)
    }

    /// A loaded unit, to be changed: its state before is kept until the commit.
    pub fn unit_mut(&mut self, id: UnitId) -> Option<&mut Unit> {
        let loaded = self.units.get_mut(&id)?;
        if !std::mem::replace(&mut loaded.dirty, true) {
            self.dirty_units.insert(id);
            loaded.before = Some(Box::new(loaded.unit.clone()));
        }
        Some(&mut loaded.unit)
    }

    /// The unit of `key`, made if it does not exist, with the claim of a row on it.
    pub(super) fn claim(&mut self, key: &UnitKey, claim: Claim, context: Context) -> UnitId {
        let id = key.id();
        let Some(known) = self.unit(id) else {
            if self.index.has_unit(id) {
                self.missing.insert(id);
                return id;
            }
            self.index.insert_unit(id);
            self.dirty_units.insert(id);
            self.units.insert(id, Loaded { unit: Unit::new(key.clone(), claim, context), before: None, dirty: true });
            return id;
        };
        let other = known.claim.session != claim.session;
        let moved = claim.time != known.claim.time;
        if self.claim_is_better(&claim, &known.claim)
            && let Some(unit) = self.unit_mut(id)
        {
            if other && moved {
                // Times and surroundings were those of a copy.
                (unit.first, unit.last, unit.context) = (claim.time, claim.time, context);
            }
            unit.claim = claim;
        }
        id
    }

    pub(super) fn claim_is_better(&self, new: &Claim, old: &Claim) -> bool {
        let key = |claim: &Claim| (!claim.explicit, claim.time);
        key(new).cmp(&key(old)).then_with(|| self.path(new.file).cmp(self.path(old.file))).is_lt()
    }

    /// True if `new` is a better variant of a row than `old`.
    pub(super) fn rank_is_better(&self, new: Rank, old: Rank) -> bool {
        let key = |rank: Rank| (rank.copy, rank.time);
        key(new).cmp(&key(old)).then_with(|| self.path(new.file).cmp(self.path(old.file))).is_lt()
    }

    /// Path of a file.
    #[must_use]
    pub fn path(&self, file: FileNumber) -> &str {
        usize::try_from(file.0).ok().and_then(|number| self.paths.get(number)).map_or("", |path| path)
    }

    /// A session, to be changed; a new one if nothing is known of it.
    pub fn session_mut(&mut self, id: &SessionId) -> &mut Session {
        self.dirty_sessions.insert(id.clone());
        self.sessions.entry(id.clone()).or_insert_with(|| Session::new(id.clone()))
    }

    /// A loaded session.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// The thread of a file, to be changed.
    pub fn thread_mut(&mut self, file: FileNumber) -> &mut Thread {
        self.threads.entry(file).or_default()
    }

    /// The thread of a file.
    #[must_use]
    pub fn thread(&self, file: FileNumber) -> Option<&Thread> {
        self.threads.get(&file)
    }

    /// Every changed unit: as it was at the last commit, and as it is.
    pub fn changes(&self) -> impl Iterator<Item = (Option<&Unit>, &Unit)> {
        self.dirty_units
            .iter()
            .filter_map(|id| self.units.get(id))
            .map(|loaded| (loaded.before.as_deref(), &loaded.unit))
    }

    /// Brings the sessions of all changed units up to date. Once before each commit.
    pub fn roll_up(&mut self) {
        let Self { units, sessions, dirty_sessions, dirty_units, .. } = self;
        let mut session_of = |unit: &Unit, change: &mut dyn FnMut(&mut Session)| {
            let id = unit.session();
            if !dirty_sessions.contains(id) {
                dirty_sessions.insert(id.clone());
            }
            change(sessions.entry(id.clone()).or_insert_with(|| Session::new(id.clone())));
        };
        for id in dirty_units.iter() {
            let Some(Loaded { unit, before, .. }) = units.get(id) else { continue };
            if let Some(before) = before {
                session_of(before, &mut |session| {
                    session.tally.subtract(&Tally::of(before));
                    if before.session() != unit.session() {
                        session.units.remove(id);
                    }
                });
            }
            session_of(unit, &mut |session| {
                session.tally.add(&Tally::of(unit));
                session.put(unit);
            });
        }
    }

    /// Every changed session.
    pub fn changed_sessions(&self) -> impl Iterator<Item = &Session> {
        self.dirty_sessions.iter().filter_map(|id| self.sessions.get(id))
    }

    /// Says that everything changed is stored now.
    pub fn committed(&mut self) {
        for id in std::mem::take(&mut self.dirty_units) {
            if let Some(loaded) = self.units.get_mut(&id) {
                loaded.before = None;
                loaded.dirty = false;
            }
        }
        self.dirty_sessions.clear();
    }

    /// Forgets units, sessions and threads, which the store can give back. Only after [`Known::committed`].
    pub fn forget(&mut self) {
        self.units.clear();
        self.sessions.clear();
        self.threads.clear();
    }

    /// Everything by which rows of another file could change what is known, hashed: files without a common key can be
    /// counted apart. Needs everything in memory.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let sessions = self.sessions.values().flat_map(|session| {
            let other = session.fork.iter().map(|fork| &fork.from).chain(&session.forks);
            other.chain([&session.id]).map(|id| xxh3_64(id.0.as_bytes()))
        });
        // The call that started a sub-agent may stand in a file that has nothing else of it.
        let agents = self.units.values().filter_map(|loaded| loaded.unit.agent.as_ref()?.call.as_deref());
        let waiting = self.sessions.values().flat_map(|session| session.waiting_agents.values());
        let calls = agents.chain(waiting.filter_map(|waiting| waiting.call.as_deref()));
        self.index.keys().chain(sessions).chain(calls.map(|call| Identity::Call(call).hash()))
    }

    /// Number of units in memory.
    #[must_use]
    pub fn units_loaded(&self) -> usize {
        self.units.len()
    }

    /// Every loaded unit.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values().map(|loaded| &loaded.unit)
    }

    /// Every loaded session.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }
}
