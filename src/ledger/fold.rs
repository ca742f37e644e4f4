//! One record after the other into the units: the only place that decides what a row means.

use std::sync::Arc;

use super::known::Known;
use super::money::Money;
use super::prices::Prices;
use super::session::{Account, Fork};
use super::unit::{Agent, Claim, Compacted, Context, Failure, Identity, Prompt, Rank, RowPlace, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::record::{AgentMeta, ApiError, Body, CostState, Kind, Origin, Record, Row, Said, User};
use crate::transcript::time::Timestamp;

/// Inline sub-agents that may run at the same time in one file; the oldest is forgotten beyond that.
const INLINE_MAX: usize = 64;

/// Folds the records of one file, in order, into what is known.
pub struct Fold<'a> {
    pub(super) known: &'a mut Known,
    pub(super) prices: &'a Prices,
    pub(super) file: FileNumber,
}

/// A row that was given its unit.
pub(super) struct Seen<'a> {
    pub row: &'a Row,
    pub session: SessionId,
    pub time: Timestamp,
    pub place: RowPlace,
}

impl<'a> Fold<'a> {
    /// Prepares to fold rows of `file`; `restarted` if they are read from its beginning.
    pub fn new(known: &'a mut Known, prices: &'a Prices, file: FileNumber, restarted: bool) -> Self {
        let thread = known.thread_mut(file);
        if restarted {
            let generation = thread.generation.saturating_add(1);
            *thread = super::known::Thread { generation, ..super::known::Thread::default() };
        }
        Self { known, prices, file }
    }

    /// Takes one record. What it touches must have been loaded, as [`Known::keys_of`] says.
    pub fn fold(&mut self, record: &Record) {
        match &record.body {
            Body::Row(row) => self.row(row, record),
            Body::ApiRequest { time } => {
                self.known.thread_mut(self.file).requested.get_or_insert(*time);
            }
            Body::CostState(state) => self.cost_state(state),
            Body::Title { session, title, custom } => {
                let session = self.known.session_mut(session);
                if *custom || !session.title_is_custom {
                    session.title = Some(Arc::clone(title));
                    session.title_is_custom |= custom;
                }
            }
            Body::AgentMeta(meta) => self.agent_meta(meta),
            Body::Noted | Body::Unknown(_) | Body::Rejected(_) => {}
        }
    }

    fn row(&mut self, row: &Row, record: &Record) {
        let stem = self.known.path(self.file).rsplit('/').next().unwrap_or_default();
        let stem: Arc<str> = stem.strip_suffix(".jsonl").unwrap_or(stem).into();
        let thread = self.known.thread_mut(self.file);
        let session = row.session.clone().or_else(|| thread.session.clone()).unwrap_or(SessionId(stem));
        let time = row.time.unwrap_or(thread.last);
        thread.session = Some(session.clone());
        thread.last = thread.last.max(time);
        let place = RowPlace { file: self.file, generation: thread.generation, place: record.place };
        let seen = Seen { row, session, time, place };
        match &row.kind {
            Kind::User(user) => self.user(&seen, user),
            Kind::Assistant(assistant) => {
                if let Some(unit) = self.unit_of(&seen) {
                    self.assistant(&seen, unit, assistant);
                }
            }
            Kind::ApiError(error) => self.failure(&seen, *error),
            Kind::Compaction(what) => {
                let Some(unit) = self.counted_once(&seen) else { return };
                if let Some(unit) = self.known.unit_mut(unit) {
                    unit.compactions.push(Compacted { id: row.id, time: seen.time, what: what.clone() });
                }
            }
            Kind::Other => {
                let current = self.current_of(&seen);
                self.touch(&seen, current);
            }
        }
    }

    fn user(&mut self, seen: &Seen<'_>, user: &User) {
        let agent_row = seen.row.agent.is_some() || seen.row.sidechain;
        if let Said::Prompt(origin) = user.said
            && !agent_row
        {
            return self.prompt(seen, user, origin);
        }
        let Some(unit) = self.unit_of(seen) else { return };
        match &user.said {
            Said::Results(results) => {
                for result in results {
                    self.result(seen, unit, result);
                }
                self.asked(seen.time);
            }
            Said::Prompt(_) => {
                self.agent_prompt(seen, unit, user);
                self.asked(seen.time);
            }
            Said::Interrupt => {
                if let Some(unit) = self.known.unit_mut(unit) {
                    let earlier = unit.interrupted.map_or(seen.time, |known| known.min(seen.time));
                    unit.interrupted = Some(earlier);
                }
            }
            Said::Aside => {}
        }
    }

    /// A row that the next response answers.
    fn asked(&mut self, time: Timestamp) {
        self.close_message(None);
        let thread = self.known.thread_mut(self.file);
        thread.asked = Some(time);
        thread.requested = None;
    }

    /// A prompt of the main thread: a new turn, unless the client wrote one prompt as several rows.
    fn prompt(&mut self, seen: &Seen<'_>, user: &User, origin: Origin) {
        self.asked(seen.time);
        let thread = self.known.thread_mut(self.file);
        // A fork writes one `promptId` on all the prompts that it copies: there it tells nothing apart.
        let same = user.prompt_id.is_some()
            && user.prompt_id == thread.prompt
            && user.prompt_id != thread.copied_prompt
            && matches!(thread.current, Some(UnitKey::Turn(_)));
        let resumed = std::mem::take(&mut thread.process_ended);
        let previous = thread.current.clone();
        if same && previous.as_ref() != Some(&UnitKey::Turn(seen.row.id)) {
            let current = previous.map(|unit| unit.id());
            return self.touch(seen, current);
        }
        let key = UnitKey::Turn(seen.row.id);
        thread.current = Some(key.clone());
        thread.prompt = user.prompt_id;
        if resumed {
            self.known.session_mut(&seen.session).resumed = true;
        }
        if let Some(previous) = previous.filter(|previous| *previous != key)
            && let Some(unit) = self.known.unit_mut(previous.id())
        {
            unit.superseded = Some(unit.superseded.map_or(seen.time, |known| known.min(seen.time)));
        }
        let unit = self.ensure(seen, &key);
        let claim_is_ours = self.known.unit(unit).is_some_and(|unit| unit.claim.file == self.file);
        let Some(unit) = self.known.unit_mut(unit) else { return };
        if unit.prompt.is_none() || claim_is_ours {
            unit.prompt = Some(Prompt { origin, time: seen.time, place: seen.place, chars: user.text_chars });
        }
    }

    /// The first prompt of a sub-agent.
    fn agent_prompt(&mut self, seen: &Seen<'_>, unit: UnitId, user: &User) {
        let Some(known) = self.known.unit_mut(unit) else { return };
        let Some(agent) = &mut known.agent else { return };
        let first = (seen.time, seen.row.id);
        if agent.first_row.is_none_or(|known| first <= known) {
            agent.first_row = Some(first);
            agent.prompt = Some(seen.place);
        }
        let unlinked = agent.call.is_none();
        if unlinked && seen.row.agent.is_none() {
            self.link_inline(unit, user.text_hash);
        }
    }

    fn failure(&mut self, seen: &Seen<'_>, error: ApiError) {
        let Some(unit) = self.counted_once(seen) else { return };
        if let Some(unit) = self.known.unit_mut(unit) {
            unit.failures.push(Failure { id: seen.row.id, time: seen.time, error });
        }
    }

    /// The unit for a row that counts by its uuid; `None` if it was counted before.
    pub(super) fn counted_once(&mut self, seen: &Seen<'_>) -> Option<UnitId> {
        let identity = Identity::Row(seen.row.id).hash();
        if let Some(home) = self.known.index.home(identity)
            && self.known.unit(home).is_some_and(|unit| unit.holds_row(seen.row.id))
        {
            return None;
        }
        let unit = self.unit_of(seen)?;
        self.known.index.insert(identity, unit);
        Some(unit)
    }

    fn cost_state(&mut self, state: &CostState) {
        let thread = self.known.thread_mut(self.file);
        thread.process_ended = true;
        let account = Account {
            unit: thread.current.as_ref().map(UnitKey::id),
            after: thread.last,
            cost: Money::from_usd_f64(state.usd),
        };
        self.known.session_mut(&state.session).account(account);
    }

    fn agent_meta(&mut self, meta: &AgentMeta) {
        let key = UnitKey::Agent(meta.session.clone(), meta.agent.clone());
        if !self.known.index.has_unit(key.id()) {
            // Rows make a unit, a side file alone does not: its link waits until a row of the agent comes.
            self.known.session_mut(&meta.session).waiting_agents.insert(meta.agent.clone(), meta.clone().into());
            return;
        }
        self.apply_meta(key.id(), meta.agent_type.clone(), meta.call.as_deref(), meta.background);
    }

    /// What a side file says about an agent.
    fn apply_meta(&mut self, unit: UnitId, agent_type: Option<Arc<str>>, call: Option<&str>, background: bool) {
        let Some(agent) = self.known.unit_mut(unit).and_then(|unit| unit.agent.as_mut()) else { return };
        agent.background |= background;
        if agent_type.is_some() {
            agent.agent_type = agent_type;
        }
        if let Some(call) = call {
            self.link(call, unit);
        }
    }

    /// The unit a row belongs to, made if need be, with its times widened.
    pub(super) fn unit_of(&mut self, seen: &Seen<'_>) -> Option<UnitId> {
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => UnitKey::Agent(seen.session.clone(), agent.clone()),
            (None, true) => self.inline_of(seen)?,
            (None, false) => match self.known.thread_mut(self.file).current.clone() {
                // A sub-agent's file has rows of that agent only; this is a strange row in it.
                Some(current) => current,
                None => {
                    let key = UnitKey::Loose(seen.row.id);
                    self.known.thread_mut(self.file).current = Some(key.clone());
                    key
                }
            },
        };
        let unit = self.ensure(seen, &key);
        Some(unit)
    }

    /// The current unit, without making one.
    fn current_of(&mut self, seen: &Seen<'_>) -> Option<UnitId> {
        let key = match &seen.row.agent {
            Some(agent) => Some(UnitKey::Agent(seen.session.clone(), agent.clone())),
            None => self.known.thread_mut(self.file).current.clone(),
        };
        key.map(|key| key.id()).filter(|id| self.known.has_unit(*id))
    }

    fn ensure(&mut self, seen: &Seen<'_>, key: &UnitKey) -> UnitId {
        let claim = Claim { explicit: false, time: seen.time, file: self.file, session: seen.session.clone() };
        // Only what starts a unit may claim it; later rows of a fork must not take it over by a tie.
        let starts = match key {
            UnitKey::Turn(row) | UnitKey::Loose(row) => *row == seen.row.id,
            UnitKey::Agent(..) => true,
        };
        let id = key.id();
        let new = !self.known.index.has_unit(id);
        if new || starts {
            self.known.claim(key, claim, context_of(seen.row));
        }
        self.touch(seen, Some(id));
        if new && let UnitKey::Agent(session, agent) = key {
            let waiting = self.known.session_mut(session).waiting_agents.remove(agent);
            if let Some(meta) = waiting {
                self.apply_meta(id, meta.agent_type, meta.call.as_deref(), meta.background);
            }
        }
        id
    }

    /// Widens a unit's times to a row of its own session.
    fn touch(&mut self, seen: &Seen<'_>, unit: Option<UnitId>) {
        let Some(unit) = unit.and_then(|unit| self.known.unit(unit).map(|known| (unit, known))) else { return };
        let (id, known) = unit;
        let inside = (known.first..=known.last).contains(&seen.time);
        if inside || known.claim.session != seen.session {
            return;
        }
        let earlier = seen.time < known.first;
        if let Some(unit) = self.known.unit_mut(id) {
            unit.first = unit.first.min(seen.time);
            unit.last = unit.last.max(seen.time);
            if earlier {
                unit.context = context_of(seen.row);
            }
        }
    }

    /// The unit of an inline sub-agent's row (clients before 2.0), found by its parent row.
    fn inline_of(&mut self, seen: &Seen<'_>) -> Option<UnitKey> {
        let thread = self.known.thread_mut(self.file);
        let known = thread.inline.iter_mut().find(|(row, _)| Some(*row) == seen.row.parent || *row == seen.row.id);
        if let Some((row, unit)) = known {
            *row = seen.row.id;
            return Some(unit.clone());
        }
        let agent = crate::transcript::ids::AgentId(format!("inline-{}", seen.row.id).into());
        let unit = UnitKey::Agent(seen.session.clone(), agent);
        if thread.inline.len() >= INLINE_MAX {
            thread.inline.remove(0);
        }
        thread.inline.push((seen.row.id, unit.clone()));
        Some(unit)
    }

    /// Starts an inline sub-agent below the call of the current turn that has the same prompt.
    fn link_inline(&mut self, unit: UnitId, text_hash: u64) {
        let current = self.known.thread_mut(self.file).current.clone().map(|key| key.id());
        let call = current.and_then(|current| self.known.unit(current)).and_then(|current| {
            let mut free = current.tools.iter().filter(|tool| tool.agent.is_none());
            free.find(|tool| tool.call.as_ref().is_some_and(|call| call.prompt_hash == text_hash && text_hash != 0))
                .map(|tool| tool.id.clone())
        });
        if let Some(call) = call {
            self.link(&call, unit);
        }
    }

    /// Joins a sub-agent and the call that started it, whichever came first.
    pub(super) fn link(&mut self, call: &str, agent_unit: UnitId) {
        self.known.index.insert(Identity::Link(call).hash(), agent_unit);
        let parent = self.known.index.home(Identity::Call(call).hash());
        let Some(agent) = self.known.unit(agent_unit).and_then(|unit| unit.agent.clone()) else { return };
        let mut background = agent.background;
        let mut agent_type = agent.agent_type.clone();
        if let Some(tool) = parent.and_then(|parent| self.known.unit_mut(parent)).and_then(|unit| unit.tool_mut(call)) {
            tool.agent = Some(agent.id.clone());
            tool.background |= background;
            background = tool.background;
            agent_type = agent_type.or_else(|| tool.call.as_ref().and_then(|call| call.agent_type.clone()));
        }
        let linked =
            Agent { call: Some(call.into()), parent: parent.or(agent.parent), background, agent_type, ..agent.clone() };
        if linked != agent
            && let Some(unit) = self.known.unit_mut(agent_unit)
        {
            unit.agent = Some(linked);
        }
    }

    /// Marks that rows of a fork are copies of `source`, which owns the current unit.
    pub(super) fn copied(&mut self, seen: &Seen<'_>, unit: UnitId, source: &SessionId) {
        let thread = self.known.thread_mut(self.file);
        thread.copied_prompt = thread.prompt;
        let claim = Claim { explicit: true, time: seen.time, file: self.file, session: source.clone() };
        if let Some(known) = self.known.unit(unit)
            && !matches!(known.key, UnitKey::Agent(..))
            && self.known.claim_is_better(&claim, &known.claim)
            && let Some(unit) = self.known.unit_mut(unit)
        {
            unit.claim = claim;
        }
        self.known.session_mut(source).forks.insert(seen.session.clone());
        let fork = Fork { from: source.clone(), unit, time: seen.time };
        let session = self.known.session_mut(&seen.session);
        if session.fork.as_ref().is_none_or(|known| known.time <= fork.time) {
            session.fork = Some(fork);
        }
    }

    /// Says that no more rows of the open message will come, unless it is `next`.
    pub(super) fn close_message(&mut self, next: Option<&str>) {
        let thread = self.known.thread_mut(self.file);
        if thread.open_message.as_deref() == next {
            return;
        }
        let Some(open) = std::mem::replace(&mut thread.open_message, next.map(Into::into)) else { return };
        let Some(home) = self.known.index.home(Identity::Message(&open).hash()) else { return };
        if let Some(message) = self.known.unit_mut(home).and_then(|unit| unit.message_mut(&open)) {
            message.closed = true;
        }
    }

    /// Rank of a row; `copy` if it says itself that it is one.
    pub(super) fn rank(&self, seen: &Seen<'_>, copy: bool) -> Rank {
        Rank { copy, time: seen.time, file: self.file }
    }
}

fn context_of(row: &Row) -> Context {
    Context {
        cwd: row.cwd.clone(),
        branch: row.branch.clone(),
        version: row.version.clone(),
        entrypoint: row.entrypoint.clone(),
    }
}
