//! Folds events at one moment: rows that are counted or shown by themselves, and rows that tell the end of a turn.

use std::sync::Arc;

use super::account::{Account, AccountSource, models_of};
use super::derived::pull_request_id;
use super::fold::{Fold, PlacedRow};
use super::money::Money;
use super::unit::{Identity, RowFact, RowPlace, ToldEnd, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::{Compaction, CostState, Ending, Fact, Note, PullRequest, Record, TitleBy};
use crate::transcript::time::Timestamp;

/// Most titles of one file that wait for a row, whose session gets the title.
const TITLES_MAX: usize = 64;

/// Most notes of one file that wait for the first prompt.
const EARLY_MAX: usize = 16;

impl Fold<'_> {
    /// Takes in an event. `told` is when it happened, if that was before the row was written.
    pub(super) fn fact(&mut self, seen: &PlacedRow<'_>, told: Option<Timestamp>, what: &Fact) {
        match what {
            Fact::Compaction(what) => self.compaction(seen, what),
            Fact::Failure(_) | Fact::Hook(_) | Fact::Fallback(_) => self.counted(seen, seen.row.id, || what.clone()),
            // The others are only shown, or only stored, and not counted.
            _ => self.note(seen, told, what.clone()),
        }
    }

    /// Counts an event that belongs to the work of a unit. If there is no unit yet, the event begins one, and the times
    /// of the unit are extended to it.
    pub(super) fn counted(&mut self, seen: &PlacedRow<'_>, id: RowId, what: impl FnOnce() -> Fact) {
        let Some(parts) = self.counted_once(seen, id, seen.time) else { return };
        parts.rows.push(RowFact { id, time: seen.time, place: None, what: what(), sent: false });
    }

    /// Takes in an event that is only shown or stored. It begins no unit and does not extend its times. Before the first prompt
    /// it waits for the turn of that prompt.
    pub(super) fn note(&mut self, seen: &PlacedRow<'_>, told: Option<Timestamp>, what: Fact) {
        // What the model was offered is not read again.
        let place = (!matches!(what, Fact::Offer(_))).then_some(seen.place);
        let (id, time) = (seen.row.id, told.unwrap_or(seen.time));
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

    /// Adds a note to a unit, unless it is known already.
    pub(super) fn noted(&mut self, unit: UnitId, note: RowFact) {
        let identity = Identity::Row(note.id).hash();
        self.take_from_stream(identity, note.id);
        let home = self.known.index.home(identity);
        let known = home.and_then(|home| Some((home, self.known.parts(home)?.row(note.id)?)));
        if let Some((home, known)) = known {
            // Of two copies the time of the earlier one counts.
            if matches!(known.what, Fact::Offer(_))
                && note.time < known.time
                && let Some(known) = self.known.parts_mut(home).and_then(|parts| parts.row_mut(note.id))
            {
                known.time = note.time;
            }
            return;
        }
        if let Some(parts) = self.room_for(unit, identity) {
            parts.rows.push(note);
        }
    }

    /// Takes in a row that tells that the current turn is over, without extending the times of the turn to it.
    pub(super) fn told_end(&mut self, seen: &PlacedRow<'_>, why: Ending) {
        if let Some(current) = self.current_of(seen) {
            self.tell_end(current, seen.time, why);
        }
    }

    /// Takes in a compaction. One that a person asked for stands between turns and is a unit of its own.
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

    /// Takes in a row that belongs to the current turn and tells that it is over; `None` if it tells nothing.
    pub(super) fn ended(&mut self, seen: &PlacedRow<'_>, why: Option<Ending>) {
        let current = self.current_of(seen);
        self.touch(seen, current);
        if let (Some(current), Some(why)) = (current, why) {
            self.tell_end(current, seen.time, why);
        }
    }

    /// Notes that a row tells the end of a unit. The later of two ends counts; at the same time the first [`Ending`].
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
            models: models_of(&state.models),
            source: AccountSource::CostState,
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

    /// Takes in a title for the session of the row `leaf`: for that of this file if the row is one of the latest,
    /// otherwise the title waits for the row.
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

    /// Gives the session of a row the title that waited for the row.
    pub(super) fn entitle(&mut self, seen: &PlacedRow<'_>) {
        let titles = &mut self.known.thread_mut(self.file).titles;
        let Some(position) = titles.iter().position(|(leaf, _)| *leaf == seen.row.id) else { return };
        let (_, title) = titles.remove(position);
        self.known.session_mut(&seen.session).entitle(&title, TitleBy::Summary);
    }
}
