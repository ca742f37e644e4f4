//! One record after the other into the units: the only place that decides what a row means.

use std::sync::Arc;

use super::known::Known;
use super::money::Money;
use super::prices::Prices;
use super::session::{Account, Fork};
use super::unit::{
    Claim, Compacted, Context, Failure, FellBack, HookRun, INLINE, Identity, Parts, Prompt, Rank, RowPlace, Unit,
    UnitId, UnitKey,
};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::record::{ApiError, Body, CostState, Kind, Origin, Record, Row, Said, User};
use crate::transcript::time::Timestamp;

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
            Body::Queue { step, time } => self.known.thread_mut(self.file).queue.step(*step, *time),
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
        let told = row.session.clone().or_else(|| self.known.thread_mut(self.file).session.clone());
        let session = told.unwrap_or_else(|| self.known.stem(self.file));
        let thread = self.known.thread_mut(self.file);
        let time = row.time.unwrap_or(thread.last);
        thread.session = Some(session.clone());
        thread.last = thread.last.max(time);
        if row.version.is_some() && row.version != thread.version {
            // One process has one version.
            thread.process_ended |= thread.version.is_some();
            thread.version.clone_from(&row.version);
        }
        let place = RowPlace { file: self.file, generation: thread.generation, place: record.place };
        if row.session.is_some() && !self.known.session(&session).is_some_and(|known| known.own_rows) {
            self.known.session_mut(&session).own_rows = true;
        }
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
                let Some(parts) = self.counted_once(&seen) else { return };
                parts.compactions.push(Compacted { id: row.id, time: seen.time, what: what.clone(), sent: false });
            }
            Kind::Hook(what) => {
                let Some(parts) = self.counted_once(&seen) else { return };
                parts.hooks.push(HookRun { id: row.id, time: seen.time, what: what.clone() });
            }
            Kind::Fallback(what) => {
                let Some(parts) = self.counted_once(&seen) else { return };
                parts.fallbacks.push(FellBack { id: row.id, time: seen.time, what: what.clone() });
            }
            Kind::TurnDuration(active_ms) => {
                let current = self.current_of(&seen);
                self.touch(&seen, current);
                if let Some(unit) = current.and_then(|current| self.known.unit_mut(current)) {
                    unit.active_ms = unit.active_ms.max(Some(*active_ms));
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
                self.asked(seen);
            }
            Said::Prompt(_) => {
                self.agent_prompt(seen, unit, user);
                self.asked(seen);
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
    fn asked(&mut self, seen: &Seen<'_>) {
        if let Some(inline) = self.inline_mut(seen) {
            inline.asked = Some(seen.time);
            return;
        }
        self.close_message(None);
        let thread = self.known.thread_mut(self.file);
        thread.asked = Some(seen.time);
        thread.requested = None;
    }

    /// When the request of the response in a row began, as far as the rows before it tell.
    pub(super) fn request_began(&mut self, seen: &Seen<'_>) -> Timestamp {
        let told = match self.inline_mut(seen) {
            Some(inline) => inline.asked,
            None => {
                let thread = self.known.thread_mut(self.file);
                thread.requested.or(thread.asked)
            }
        };
        told.unwrap_or(seen.time).min(seen.time)
    }

    /// A prompt of the main thread: a new turn, unless the client wrote one prompt as several rows.
    fn prompt(&mut self, seen: &Seen<'_>, user: &User, origin: Origin) {
        self.asked(seen);
        let thread = self.known.thread_mut(self.file);
        // A fork writes one `promptId` on all the prompts that it copies: there only their number tells them apart.
        let told_apart = match (user.turn_index, thread.turn_index) {
            (Some(new), Some(known)) => new != known,
            _ => user.prompt_id == thread.copied_prompt,
        };
        let same = user.prompt_id.is_some()
            && user.prompt_id == thread.prompt
            && !told_apart
            && matches!(thread.current, Some(UnitKey::Turn(_)));
        let process_ended = std::mem::take(&mut thread.process_ended);
        let previous = thread.current.clone();
        if same && previous.as_ref() != Some(&UnitKey::Turn(seen.row.id)) {
            let current = previous.map(|unit| unit.id());
            return self.touch(seen, current);
        }
        let key = UnitKey::Turn(seen.row.id);
        let queued_ms = thread.queue.asked(seen.time);
        thread.current = Some(key.clone());
        thread.prompt = user.prompt_id;
        thread.turn_index = user.turn_index;
        // A fork goes on where another session's process ended: that does not make it a resumed one.
        let before = previous.as_ref().and_then(|previous| self.known.unit(previous.id()));
        let resumes = process_ended && before.is_some_and(|before| *before.session() == seen.session);
        if let Some(previous) = previous.filter(|previous| *previous != key)
            && let Some(unit) = self.known.unit_mut(previous.id())
        {
            unit.superseded = Some(unit.superseded.map_or(seen.time, |known| known.min(seen.time)));
        }
        let unit = self.ensure(seen, &key);
        let file = self.file;
        let claim_is_ours = self.known.unit(unit).is_some_and(|unit| {
            unit.claim.file == file || unit.prompt.as_ref().is_some_and(|prompt| prompt.place.file == file)
        });
        let Some(unit) = self.known.unit_mut(unit) else { return };
        unit.resumes |= resumes;
        let known = unit.prompt.as_ref().and_then(|prompt| prompt.queued_ms);
        if let Some(prompt) = &mut unit.prompt {
            prompt.queued_ms = known.or(queued_ms);
        }
        if unit.prompt.is_none() || claim_is_ours {
            unit.prompt = Some(Prompt {
                origin,
                time: seen.time,
                place: seen.place,
                chars: user.text_chars,
                command: user.command.clone(),
                queued_ms: queued_ms.or(known),
            });
        }
    }

    pub(super) fn failure(&mut self, seen: &Seen<'_>, error: ApiError) {
        let Some(parts) = self.counted_once(seen) else { return };
        parts.failures.push(Failure { id: seen.row.id, time: seen.time, error });
    }

    /// Where a row goes that counts by its uuid; `None` if it was counted before.
    fn counted_once(&mut self, seen: &Seen<'_>) -> Option<&mut Parts> {
        let identity = Identity::Row(seen.row.id).hash();
        if let Some(home) = self.known.index.home(identity)
            && let Some(known) = self.known.parts(home).and_then(|parts| parts.row_time(seen.row.id))
        {
            // Of two copies the earlier one tells when it happened.
            if seen.time < known
                && let Some(time) = self.known.parts_mut(home).and_then(|parts| parts.row_time_mut(seen.row.id))
            {
                *time = seen.time;
            }
            return None;
        }
        let unit = self.unit_of(seen)?;
        self.room_for(unit, identity)
    }

    /// Where a new part of a unit goes, by its identity.
    pub(super) fn room_for(&mut self, unit: UnitId, identity: u64) -> Option<&mut Parts> {
        let home = self.known.room(unit)?;
        self.known.index.insert(identity, home);
        self.known.parts_mut(home)
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

    /// The unit a row belongs to, made if need be, with its times widened.
    pub(super) fn unit_of(&mut self, seen: &Seen<'_>) -> Option<UnitId> {
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => UnitKey::agent(&seen.session, agent),
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
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => Some(UnitKey::agent(&seen.session, agent)),
            (None, true) => self.inline_mut(seen).map(|inline| {
                inline.rows.push(seen.row.id);
                inline.unit.clone()
            }),
            (None, false) => self.known.thread_mut(self.file).current.clone(),
        };
        key.map(|key| key.id()).filter(|id| self.known.has(*id))
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
        let speaks = matches!(seen.row.kind, Kind::User(_) | Kind::Assistant(_));
        if speaks
            && self.known.unit(id).is_some_and(|unit| !unit.spoken)
            && let Some(unit) = self.known.unit_mut(id)
        {
            unit.spoken = true;
        }
        if new
            && let UnitKey::Agent(session, agent) = key
            && !agent.0.starts_with(INLINE)
            && let Some(meta) = self.known.take_waiting((session.clone(), agent.clone()))
        {
            self.apply_meta(id, meta.agent_type, meta.call.as_deref(), meta.background);
        }
        id
    }

    /// Widens a unit's times to a row of its own session.
    fn touch(&mut self, seen: &Seen<'_>, unit: Option<UnitId>) {
        let Some(unit) = unit.and_then(|unit| self.known.unit(unit).map(|known| (unit, known))) else { return };
        let (id, known) = unit;
        let inside = (known.first..=known.last).contains(&seen.time);
        if inside || !(known.claim.session == seen.session || self.is_copy_of_a_lost_row(seen, known)) {
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

    /// True if a row is a copy in a fork whose source has no file any more: then the copy's time is all there is.
    fn is_copy_of_a_lost_row(&self, seen: &Seen<'_>, unit: &Unit) -> bool {
        let aside = matches!(&seen.row.kind, Kind::User(User { said: Said::Aside, .. }) | Kind::Other);
        unit.claim.explicit
            && unit.claim.file == self.file
            && !aside
            && self.known.session(&unit.claim.session).is_none_or(|source| !source.own_rows)
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
        self.known.note_fork(source, &seen.session);
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
        if let Some(message) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&open)) {
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
