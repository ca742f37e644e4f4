//! Folds one record after the other into units. Only this file and the ones below decide what a row means.
//!
//! ```text
//! fold      which unit a row belongs to, and where its parts go
//! prompts   where turns begin
//! copies    which session owns a copied row
//! merge     responses and tool calls
//! agents    sub-agents, their runs, and the calls that started them
//! retired   rows of what ended for its age
//! streams   lines of a stream
//! moments   events that are counted or shown by themselves, and ends of turns
//! ```

use super::derived::hash_of;
use super::holder::Extent;
use super::known::Known;
use super::prices::Prices;
use super::unit::{Claim, ClaimBy, INLINE, Identity, Parts, Rank, RowPlace, Surroundings, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Ending, Fact, Record, Row, RowBody, RowKind, Said, User};
use crate::transcript::time::Timestamp;

/// Folds the records of one file, in order, into [`Known`].
pub struct Fold<'a> {
    pub(super) known: &'a mut Known,
    pub(super) prices: &'a Prices,
    pub(super) file: FileNumber,
}

/// A row with its session, time and place, all of which are filled in if the row lacks them.
pub(super) struct PlacedRow<'a> {
    pub row: &'a Row,
    pub session: SessionId,
    pub time: Timestamp,
    pub place: RowPlace,
}

impl<'a> Fold<'a> {
    /// Prepares to fold rows of `file`; `restarted` is true if they are read from the beginning of the file.
    pub fn new(known: &'a mut Known, prices: &'a Prices, file: FileNumber, restarted: bool) -> Self {
        let thread = known.thread_mut(file);
        if restarted {
            let generation = thread.generation.saturating_add(1);
            *thread = super::known::Thread { generation, ..super::known::Thread::default() };
        }
        Self { known, prices, file }
    }

    /// Folds one record. Everything that [`Known::keys_of`] returns for it must have been loaded.
    pub fn fold(&mut self, record: &Record) {
        match &record.body {
            RowBody::Row(row) if self.is_stream() => self.stream_row(row, record),
            RowBody::Row(row) => self.row(row, record),
            RowBody::Stream(line) => self.stream_line(line, record),
            RowBody::ApiRequest { time } => {
                let thread = self.known.thread_mut(self.file);
                // A request that began before the last response was the request for that response.
                if thread.answered.is_none_or(|answered| *time >= answered) {
                    thread.requested.get_or_insert(*time);
                }
            }
            RowBody::Queue { step, time } => self.known.thread_mut(self.file).queue.step(*step, *time),
            RowBody::CostState(state) => self.cost_state(state),
            RowBody::Title { session, title, by } => self.known.session_mut(session).entitle(title, *by),
            RowBody::Summary { leaf, title } => self.summary(*leaf, title),
            RowBody::Continued { session, into } => self.continued(session, into),
            RowBody::PullRequest { session, time, what } => self.pull_request(session, *time, what, record),
            RowBody::AgentMeta(meta) => self.agent_meta(meta),
            RowBody::Noted | RowBody::Unknown(_) | RowBody::Rejected(_) | RowBody::Implausible => {}
        }
    }

    fn row(&mut self, row: &Row, record: &Record) {
        let told = row.session.clone().or_else(|| self.known.thread_mut(self.file).session.clone());
        let session = told.unwrap_or_else(|| self.known.stem(self.file));
        let thread = self.known.thread_mut(self.file);
        let time = row.time.unwrap_or(thread.last);
        thread.session = Some(session.clone());
        let went_back = time < thread.last;
        thread.last = thread.last.max(time);
        if row.version.is_some() && row.version != thread.version {
            // A process has one version, so another version is another process.
            thread.process_ended |= thread.version.is_some();
            thread.version.clone_from(&row.version);
        }
        let place = RowPlace { file: self.file, generation: thread.generation, place: record.place };
        if row.session.is_some() && !self.known.session(&session).is_some_and(|known| known.own_rows) {
            self.known.session_mut(&session).own_rows = true;
            self.known.found_files.insert(session.clone());
        }
        let seen = PlacedRow { row, session, time, place };
        let is_main = row.agent.is_none() && !row.sidechain;
        if is_main {
            self.follow(&seen);
            if went_back {
                self.stamped_anew();
            }
        }
        self.row_of_kind(&seen);
        self.copied_row(&seen);
        if is_main {
            self.entitle(&seen);
            self.known.thread_mut(self.file).passed(row.id);
        }
    }

    fn row_of_kind(&mut self, seen: &PlacedRow<'_>) {
        self.known.arrivals.stands_in_file(hash_of(seen.row.id), &seen.session);
        match &seen.row.kind {
            RowKind::User(user) => self.user(seen, user),
            RowKind::Assistant(assistant) => {
                self.answers(seen, assistant);
                if let Some(unit) = self.unit_of_answer(seen, assistant) {
                    self.assistant(seen, unit, assistant);
                }
            }
            RowKind::Fact { what, time } => self.fact(seen, *time, what),
            RowKind::StopHooks { hooks, ends_turn } => {
                for (position, hook) in (0..).zip(hooks) {
                    self.counted(seen, seen.row.id.of_part(position), || Fact::Hook(hook.clone()));
                }
                self.ended(seen, ends_turn.then_some(Ending::Stop));
            }
            RowKind::TurnDuration(active_ms) => {
                self.ended(seen, Some(Ending::Stop));
                let current = self.current_of(seen);
                if let Some(unit) = current.and_then(|current| self.known.unit_mut(current)) {
                    unit.active_ms = unit.active_ms.max(*active_ms);
                }
            }
            RowKind::Ended(why) => self.told_end(seen, *why),
            RowKind::Other => self.ended(seen, None),
        }
    }

    /// Goes on with the turn that the parent of a row belongs to, if that is not the current turn: two processes may
    /// write into one file.
    fn follow(&mut self, seen: &PlacedRow<'_>) {
        let thread = self.known.thread_mut(self.file);
        let Some(position) = thread.hangs_on_other(seen.row.parent) else { return };
        let unit = thread.others.get(position).map(|other| other.unit.id());
        if unit.is_some_and(|unit| self.known.is_here(unit) || self.known.index.is_retired(unit)) {
            self.close_message(None);
            self.known.thread_mut(self.file).go_on_with(position);
        }
    }

    fn user(&mut self, seen: &PlacedRow<'_>, user: &User) {
        let agent_row = seen.row.agent.is_some() || seen.row.sidechain;
        if let Said::Prompt(origin) = user.said
            && !agent_row
        {
            return self.prompt(seen, user, origin);
        }
        match (&user.said, &seen.row.agent) {
            (Said::Prompt(_), Some(agent)) => self.begin_run(seen, agent),
            (Said::ShellLine, _) if !agent_row => {
                self.shell_line(seen, user);
                // The line may become a turn, so before the first prompt it does not begin a loose unit.
                if self.known.thread_mut(self.file).current.is_none() {
                    return self.asked(seen);
                }
            }
            _ => {}
        }
        let Some(unit) = self.unit_of(seen) else { return };
        match &user.said {
            Said::Results(results) => {
                for result in results {
                    self.result(seen, unit, result);
                }
                self.asked(seen);
                if user.ends_turn {
                    self.tell_end(unit, seen.time, Ending::Stop);
                }
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
                self.asked(seen);
                self.known.thread_mut(self.file).rested = true;
            }
            Said::Feedback => {
                self.asked(seen);
                if let Some(unit) = self.known.unit_mut(unit) {
                    unit.asked_again = unit.asked_again.max(Some(seen.time));
                }
            }
            // The next response may be an answer to this row, whoever wrote it.
            Said::Aside | Said::ShellLine => self.asked(seen),
        }
    }

    /// Takes in a row that the next response may answer: the rows of the last response are complete.
    pub(super) fn asked(&mut self, seen: &PlacedRow<'_>) {
        if let Some(inline) = self.inline_mut(seen) {
            inline.asked = Some(seen.time);
            return;
        }
        self.close_message(None);
        let thread = self.known.thread_mut(self.file);
        thread.asked = Some(seen.time);
        thread.requested = None;
        thread.named = None;
        thread.rested = false;
    }

    /// When the request for the response in a row began, as far as earlier rows tell; not before the end of the
    /// response before it.
    pub(super) fn request_began(&mut self, seen: &PlacedRow<'_>) -> Timestamp {
        let (told, answered) = match self.inline_mut(seen) {
            Some(inline) => (inline.asked, None),
            None => {
                let thread = self.known.thread_mut(self.file);
                (thread.requested.or(thread.asked), thread.answered)
            }
        };
        told.unwrap_or(seen.time).max(answered.unwrap_or(Timestamp(i64::MIN))).min(seen.time)
    }

    /// Where a fact goes that is identified by the id of a row; `None` if it was counted before.
    pub(super) fn counted_once(&mut self, seen: &PlacedRow<'_>, id: RowId, time: Timestamp) -> Option<&mut Parts> {
        let identity = Identity::Row(id).hash();
        self.take_from_stream(identity, id);
        if let Some(home) = self.known.index.home(identity)
            && let Some(known) = self.known.parts(home).and_then(|parts| parts.row(id)).map(|row| row.time)
        {
            // Of two copies the time of the earlier one counts.
            if time < known
                && let Some(row) = self.known.parts_mut(home).and_then(|parts| parts.row_mut(id))
            {
                row.time = time;
            }
            self.unit_of(seen);
            return None;
        }
        let unit = self.unit_of(seen)?;
        self.room_for(unit, identity)
    }

    /// Where a new part of a unit goes. Its identity leads there from now on. `None` if the unit is retired, or if the part
    /// was counted in a unit that is.
    pub(super) fn room_for(&mut self, unit: UnitId, identity: u64) -> Option<&mut Parts> {
        if self.known.index.was_retired(identity) {
            return None;
        }
        let home = self.known.room(unit)?;
        self.known.index.insert(identity, home);
        self.known.parts_mut(home)
    }

    /// The unit that a row belongs to. It is made if it does not exist, and its times are extended to the row.
    pub(super) fn unit_of(&mut self, seen: &PlacedRow<'_>) -> Option<UnitId> {
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => self.run_of(seen, agent),
            (None, true) => self.inline_of(seen)?,
            (None, false) => match self.known.thread_mut(self.file).current.clone() {
                // A row without `agentId` in the file of a sub-agent gets here too; it belongs to the current unit.
                Some(current) => current,
                None if self.is_of_retired(seen) => return None,
                None => {
                    let key = UnitKey::Loose(seen.row.id);
                    self.known.thread_mut(self.file).current = Some(key.clone());
                    self.note_unmarked(key.id());
                    key
                }
            },
        };
        let unit = self.ensure(seen, &key);
        Some(unit)
    }

    /// The unit that a row belongs to, also a retired one; `None` if it does not exist yet.
    pub(super) fn current_of(&mut self, seen: &PlacedRow<'_>) -> Option<UnitId> {
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => Some(self.run_of(seen, agent)),
            (None, true) => self.inline_mut(seen).map(|inline| {
                inline.rows.push(seen.row.id);
                inline.unit.clone()
            }),
            (None, false) => self.known.thread_mut(self.file).current.clone(),
        };
        key.map(|key| key.id()).filter(|id| self.known.has(*id) || self.known.index.is_retired(*id))
    }

    pub(super) fn ensure(&mut self, seen: &PlacedRow<'_>, key: &UnitKey) -> UnitId {
        let claim = Claim { by: ClaimBy::Row, time: seen.time, file: self.file, session: seen.session.clone() };
        // Only the row that begins a unit may claim it: later rows of a fork must not win it in a tie.
        let starts = match key {
            UnitKey::Turn(row) | UnitKey::Loose(row) => *row == seen.row.id,
            UnitKey::Agent(..) => true,
        };
        if starts || !self.known.index.has_unit(key.id()) {
            return self.ensure_claimed(seen, key, claim);
        }
        self.seen_in(seen, key.id());
        key.id()
    }

    /// The unit of a key, with a claim on it. It is made if it does not exist.
    pub(super) fn ensure_claimed(&mut self, seen: &PlacedRow<'_>, key: &UnitKey, claim: Claim) -> UnitId {
        let id = key.id();
        let new = !self.known.index.has_unit(id);
        self.known.claim(key, claim, context_of(seen.row));
        self.seen_in(seen, id);
        if new
            && let UnitKey::Agent(session, agent) = key
            && !agent.0.starts_with(INLINE)
            && let Some(meta) = self.known.take_waiting((session.clone(), agent.clone()))
        {
            self.waited(id, meta);
        }
        id
    }

    /// Takes in that a row belongs to a unit.
    pub(super) fn seen_in(&mut self, seen: &PlacedRow<'_>, id: UnitId) {
        if self.known.index.is_retired(id) {
            return self.seen_in_retired(seen);
        }
        self.touch(seen, Some(id));
        let speaks = matches!(seen.row.kind, RowKind::User(_) | RowKind::Assistant(_));
        if speaks
            && self.known.unit(id).is_some_and(|unit| !unit.spoken)
            && let Some(unit) = self.known.unit_mut(id)
        {
            unit.spoken = true;
        }
        self.first_row(seen, id);
    }

    /// Extends the times of a unit to the time of a row.
    pub(super) fn touch(&mut self, seen: &PlacedRow<'_>, unit: Option<UnitId>) {
        self.touch_at(seen, unit, seen.time);
    }

    /// Extends the times of a unit to the moment that a row tells of.
    pub(super) fn touch_at(&mut self, seen: &PlacedRow<'_>, unit: Option<UnitId>, time: Timestamp) {
        let Some((id, unit)) = unit.and_then(|id| Some((id, self.known.unit(id)?))) else { return };
        if unit.is_known_to_hold(&seen.session, time) {
            return;
        }
        // Rows that a fork adds to copied turns do not belong to these turns.
        let aside = matches!(&seen.row.kind, RowKind::User(User { said: Said::Aside, .. }) | RowKind::Other);
        if aside && self.known.thread(self.file).is_some_and(|thread| thread.is_copied) {
            return;
        }
        let is_alone = unit.is_held_alone_by(&seen.session);
        let rows = Extent::of(time, context_of(seen.row));
        if is_alone {
            if let Some(unit) = self.known.unit_mut(id) {
                unit.widen(&rows);
            }
            return;
        }
        self.known.change_owner(id, |unit, settling| unit.held(&seen.session, &rows, settling));
    }

    /// Closes the response whose rows were coming, unless `next` is its id: no further row of it is expected.
    ///
    /// The session file has further rows, or later ones, of a response that a stream tells, so a stream closes none.
    pub(super) fn close_message(&mut self, next: Option<&str>) {
        if self.is_stream() {
            return;
        }
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

    /// The rank of a row; `copy` is true if the row tells that it is a copy.
    pub(super) fn rank(&self, seen: &PlacedRow<'_>, copy: bool) -> Rank {
        Rank { copy, time: seen.time, file: self.file }
    }
}

pub(super) fn context_of(row: &Row) -> Surroundings {
    Surroundings {
        cwd: row.cwd.clone(),
        branch: row.branch.clone(),
        version: row.version.clone(),
        entrypoint: row.entrypoint.clone(),
    }
}
