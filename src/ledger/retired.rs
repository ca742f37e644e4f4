//! Rows of what is retired: sessions that ended for their age, with their units. Their files may still be there, copies of
//! their rows may come in forks, and a person may go on with such a session.
//!
//! - A row whose identity was counted in a retired unit counts nothing again, whichever file and session it stands in.
//! - Rows without an identity belong to the unit before them, and change nothing if that is retired.
//! - A response that was never counted, behind rows of a retired unit, begins a unit of its own.

use super::derived::names_of;
use super::fold::{Fold, PlacedRow};
use super::unit::{Identity, UnitId, UnitKey};
use crate::transcript::record::{Assistant, IdentityBy};

impl Fold<'_> {
    /// The unit that a response belongs to. If that is retired and the response is new, the response begins a unit.
    pub(super) fn unit_of_answer(&mut self, seen: &PlacedRow<'_>, answer: &Assistant) -> Option<UnitId> {
        let unit = self.unit_of(seen);
        let is_retired = unit.map_or_else(|| self.is_of_retired(seen), |unit| self.known.index.is_retired(unit));
        if !is_retired || answer.synthetic || self.is_retired_answer(seen, answer) {
            return unit;
        }
        let key = match (&seen.row.agent, seen.row.sidechain) {
            (Some(agent), _) => {
                let run = UnitKey::agent(&seen.session, agent).run(seen.row.id)?;
                self.known.thread_mut(self.file).run = Some(run.clone());
                run
            }
            (None, true) => {
                let key = UnitKey::inline(seen.row.id);
                self.inline_mut(seen)?.unit = key.clone();
                key
            }
            (None, false) => {
                let key = UnitKey::Loose(seen.row.id);
                let thread = self.known.thread_mut(self.file);
                thread.leave_current();
                thread.current = Some(key.clone());
                key
            }
        };
        Some(self.ensure(seen, &key))
    }

    /// Takes in that a row belongs to a retired unit. Of a row that came after the unit ended only the time is kept.
    pub(super) fn seen_in_retired(&mut self, seen: &PlacedRow<'_>) {
        let session = self.known.session(&seen.session).filter(|session| session.is_retired());
        if session.is_some_and(|session| session.last < Some(seen.time)) {
            self.known.session_mut(&seen.session).last = Some(seen.time);
        }
    }

    /// True for a row of a retired session from before it ended. In front of every prompt of a file it begins no unit: the
    /// rows that began its unit may have been cut off.
    pub(super) fn is_of_retired(&self, seen: &PlacedRow<'_>) -> bool {
        let session = self.known.session(&seen.session).filter(|session| session.is_retired());
        session.is_some_and(|session| Some(seen.time) <= session.last)
    }

    /// True for a row of a response that was counted in a unit which is retired.
    pub(super) fn is_retired_answer(&self, seen: &PlacedRow<'_>, row: &Assistant) -> bool {
        let index = &self.known.index;
        if row.identity == IdentityBy::Gateway {
            // The id in the row may be that of any other response.
            return names_of(seen.row, row).into_iter().any(|name| index.was_retired(name));
        }
        index.was_retired(Identity::Message(&row.message).hash())
    }
}
