//! What happens at one moment: rows that count or show by themselves, and what a row says of the end of its turn.

use std::sync::Arc;

use super::derived::pull_request_id;
use super::fold::{Fold, PlacedRow};
use super::money::Money;
use super::session::Account;
use super::unit::{Identity, RowFact, RowPlace, ToldEnd, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Compaction, CostState, Ending, Fact, Note, PullRequest, Record, TitleBy};
use crate::transcript::time::Timestamp;

/// Titles that wait in one file for the row whose session they name.
const TITLES_MAX: usize = 64;

/// Notes that wait in one file for the first prompt.
const EARLY_MAX: usize = 16;

impl Fold<'_> {
    /// `told` is when it happened, if that was before the row was written.
    pub(super) fn fact(&mut self, seen: &PlacedRow<'_>, told: Option<Timestamp>, what: &Fact) {
        match what {
            Fact::Compaction(what) => self.compaction(seen, what),
            Fact::Failure(_) | Fact::Hook(_) | Fact::Fallback(_) => self.counted(seen, seen.row.id, || what.clone()),
            // It only shows.
            _ => self.note(seen, told, what.clone()),
        }
    }

    /// Something that the client does for the unit: it begins one if there is none, and lasts as long as it goes on.
    pub(super) fn counted(&mut self, seen: &PlacedRow<'_>, id: RowId, what: impl FnOnce() -> Fact) {
        let Some(parts) = self.counted_once(seen, id, seen.time) else { return };
        parts.rows.push(RowFact { id, time: seen.time, place: None, what: what(), sent: false });
    }

    /// It begins nothing and lengthens nothing: one that stands before the first prompt belongs to it.
    pub(super) fn note(&mut self, seen: &PlacedRow<'_>, told: Option<Timestamp>, what: Fact) {
        let (id, time, place) = (seen.row.id, told.unwrap_or(seen.time), Some(seen.place));
        let note = RowFact { id, time, place, what, sent: false };
        match self.current_of(seen) {
            Some(unit) => self.noted(unit, note),
            None => {
                let early = &mut self.known.thread_mut(self.file).early;
                if early.len() < EARLY_MAX {
                    early.push(note);
                }
            }
        }
    }

    /// Gives a note to a unit, unless it was counted before.
    pub(super) fn noted(&mut self, unit: UnitId, note: RowFact) {
        let identity = Identity::Row(note.id).hash();
        let known = self.known.index.home(identity).and_then(|home| self.known.parts(home)?.row(note.id));
        if known.is_none()
            && let Some(parts) = self.room_for(unit, identity)
        {
            parts.rows.push(note);
        }
    }

    /// A row that says that the current turn is over, and is none of its own.
    pub(super) fn told_end(&mut self, seen: &PlacedRow<'_>, why: Ending) {
        if let Some(current) = self.current_of(seen) {
            self.tell_end(current, seen.time, why);
        }
    }

    /// One that a person asked for stands between turns, and so for itself.
    pub(super) fn compaction(&mut self, seen: &PlacedRow<'_>, what: &Compaction) {
        let (id, time) = (seen.row.id, seen.time);
        let new = || Fact::Compaction(what.clone());
        let key = UnitKey::Loose(id);
        let home = self.known.index.home(Identity::Row(id).hash());
        let is_in_a_turn = home.is_some_and(|home| home != key.id());
        if !what.manual || is_in_a_turn || seen.row.agent.is_some() || seen.row.sidechain {
            return self.counted(seen, id, new);
        }
        let unit = self.ensure(seen, &key);
        match seen.row.forked_from.as_ref().filter(|source| **source != seen.session) {
            Some(source) => self.copied(seen, unit, source),
            None => self.note_unmarked(unit),
        }
        let began = Timestamp(time.0.saturating_sub_unsigned(what.duration_ms));
        self.touch_at(seen, Some(unit), began);
        self.tell_end(unit, time, Ending::Stop);
        if home.is_none()
            && let Some(parts) = self.room_for(unit, Identity::Row(id).hash())
        {
            parts.rows.push(RowFact { id, time, place: None, what: new(), sent: false });
        }
    }

    /// A row that says that the current turn is over, or only that it was alive.
    pub(super) fn ended(&mut self, seen: &PlacedRow<'_>, why: Option<Ending>) {
        let current = self.current_of(seen);
        self.touch(seen, current);
        if let (Some(current), Some(why)) = (current, why) {
            self.tell_end(current, seen.time, why);
        }
    }

    /// The later of two ends counts; of one moment that which says more.
    pub(super) fn tell_end(&mut self, unit: UnitId, time: Timestamp, why: Ending) {
        let known = self.known.unit(unit).map(|unit| unit.told_end.map(|end| (end.time, std::cmp::Reverse(end.why))));
        if known.is_some_and(|known| known < Some((time, std::cmp::Reverse(why))))
            && let Some(unit) = self.known.unit_mut(unit)
        {
            unit.told_end = Some(ToldEnd { time, why });
        }
    }

    pub(super) fn cost_state(&mut self, state: &CostState) {
        let thread = self.known.thread_mut(self.file);
        thread.process_ended = true;
        let account = Account {
            unit: thread.current.as_ref().map(UnitKey::id),
            after: thread.last,
            cost: Money::from_usd_f64(state.usd),
            started: state.started,
        };
        if let Some(unit) = account.unit {
            self.tell_end(unit, account.after, Ending::Exit);
        }
        self.known.session_mut(&state.session).account(account);
    }

    pub(super) fn pull_request(
        &mut self,
        session: &SessionId,
        time: Option<Timestamp>,
        what: &PullRequest,
        record: &Record,
    ) {
        self.known.session_mut(session).pull_request(what);
        let id = pull_request_id(session, what);
        let identity = Identity::Row(id).hash();
        let thread = self.known.thread_mut(self.file);
        let (time, generation, current) = (time.unwrap_or(thread.last), thread.generation, thread.current.clone());
        let is_known = self.known.index.home(identity).is_some();
        let Some(unit) = current.map(|current| current.id()).filter(|_| !is_known) else { return };
        let place = Some(RowPlace { file: self.file, generation, place: record.place });
        if let Some(parts) = self.room_for(unit, identity) {
            let what = Fact::Note(Note::PullRequest(what.clone()));
            parts.rows.push(RowFact { id, time, place, what, sent: false });
        }
    }

    /// A title of the session that owns the row `leaf`: that of this file if the row has just been there, else it waits for
    /// the row.
    pub(super) fn summary(&mut self, leaf: RowId, title: &Arc<str>) {
        let thread = self.known.thread_mut(self.file);
        if thread.rows.contains(&leaf)
            && let Some(session) = thread.session.clone()
        {
            return self.known.session_mut(&session).entitle(title, TitleBy::Summary);
        }
        if thread.titles.len() >= TITLES_MAX {
            thread.titles.remove(0);
        }
        thread.titles.push((leaf, Arc::clone(title)));
    }

    /// Gives the session of a row the title that waited for it.
    pub(super) fn entitle(&mut self, seen: &PlacedRow<'_>) {
        let titles = &mut self.known.thread_mut(self.file).titles;
        let Some(position) = titles.iter().position(|(leaf, _)| *leaf == seen.row.id) else { return };
        let (_, title) = titles.remove(position);
        self.known.session_mut(&seen.session).entitle(&title, TitleBy::Summary);
    }
}
