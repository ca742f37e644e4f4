//! Ends sessions for their age, as `retention.facts` says: a walk over all sessions now and then, some of them at a time, so
//! that rows that come meanwhile do not wait.

use std::ops::ControlFlow;
use std::time::Duration;

use super::Engine;
use super::walk::Retired;
use crate::ledger::session::Session;
use crate::ledger::unit::UnitId;
use crate::store::{Due, StoreError};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Pause between two walks, in milliseconds. A session may end so much later than its age says.
const PAUSE_MS: u64 = 3_600_000;

/// Most sessions that are looked at in one call.
const LOOKED_AT_MAX: usize = 1_000;

/// Most sessions that end in one call, and units after which no further session does.
const RETIRED_MAX: u64 = 50;
const UNITS_MAX: u64 = 1_000;

/// After so many units have ended, the database is made smaller if that is worth it.
const REMOVED_MANY: u64 = 1_000;

impl Engine {
    /// Ends some sessions whose last row is older than `age` before `now`. A session waits while spans of it, or of a fork
    /// of it, are still to leave, and all wait while history is being sent. Each session ends in one commit, and what has
    /// ended is durable.
    pub fn retire(&mut self, age: Duration, now: Timestamp) -> Result<Retired, StoreError> {
        let mut retired = Retired::default();
        // A clock that was set back must not put off the next walk for longer.
        let is_soon = |began: Timestamp| now >= began && now.since_ms(began) < PAUSE_MS;
        if self.history.is_active() || (self.retiring.place.is_none() && self.retiring.began.is_some_and(is_soon)) {
            return Ok(retired);
        }
        if self.is_dirty() {
            self.commit(now)?;
        }
        let until = Timestamp(now.0.saturating_sub_unsigned(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)));
        let mut place = self.retiring.place.unwrap_or_else(|| {
            self.retiring.began = Some(now);
            None
        });
        let sessions = self.writer.rows().sessions_after(place, LOOKED_AT_MAX)?;
        let mut is_last = sessions.len() < LOOKED_AT_MAX;
        for Due { place: next, session } in sessions {
            if retired.sessions >= RETIRED_MAX || retired.units >= UNITS_MAX {
                is_last = false;
                break;
            }
            place = Some(next);
            if session.first.is_some() && session.last < Some(until) && !self.is_awaited(&session)? {
                let units = self.retire_session(&session.id)?;
                retired.sessions += u64::from(units.is_some());
                retired.units += units.unwrap_or(0);
            }
        }
        if retired.sessions > 0 {
            // What is in memory may be of these sessions. All of it is stored.
            self.known.forget();
            self.writer.make_durable()?;
        }
        self.retiring.place = (!is_last).then_some(place);
        self.retiring.removed += retired.units;
        if is_last && self.retiring.removed >= REMOVED_MANY {
            self.retiring.removed = 0;
            self.writer.shrink()?;
        }
        retired.is_walking = !is_last;
        Ok(retired)
    }

    /// Ends a session. Returns the number of its units; `None` if it cannot end now.
    fn retire_session(&mut self, id: &SessionId) -> Result<Option<u64>, StoreError> {
        // The index must tell from now on that these identities are counted.
        self.load_index()?;
        let Some(units) = self.writer.retire(id)? else { return Ok(None) };
        let count = units.len() as u64;
        self.known.index.retire(id.clone(), units);
        self.orders.remove(id);
        self.used.forget(id);
        Ok(Some(count))
    }

    /// Whether spans of a session, or of a session that was forked from it, are still to leave.
    fn is_awaited(&self, session: &Session) -> Result<bool, StoreError> {
        let rows = self.writer.rows();
        let forks = if session.has_forks { rows.forks(&session.id)? } else { Vec::new() };
        let is_leaving = |unit: UnitId| self.turns.is_waiting(unit) || self.departures.contains_key(&unit);
        let mut is_awaited = false;
        for id in std::iter::once(&session.id).chain(&forks) {
            rows.each_member(id, |_, member| {
                is_awaited |= is_leaving(member.unit);
                if is_awaited { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok(is_awaited)
    }
}
