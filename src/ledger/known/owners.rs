//! Decides which session owns a unit of which several have rows, where that depends on their other units.

use std::collections::BTreeSet;

use super::Known;
use crate::ledger::holders::Settling;
use crate::ledger::session::RIVALS_MAX;
use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::ids::SessionId;

impl Known {
    /// Applies `change` to what a unit knows of the sessions that have rows of it, and updates what follows from that.
    pub(in crate::ledger) fn change_owner(&mut self, id: UnitId, change: impl FnOnce(&mut Unit, Settling<'_>)) {
        if !self.is_here(id) {
            return;
        }
        let (paths, sessions) = (std::mem::take(&mut self.paths), std::mem::take(&mut self.sessions));
        let settling = Settling {
            by_path: &|one, other| paths.order(one.file, other.file),
            has_own: &|session| sessions.get(session).is_some_and(|session| session.alone > 0),
        };
        let mut alone = None;
        if let Some(unit) = self.unit_mut(id) {
            let before = unit.alone();
            change(unit, settling);
            alone = Some((before, unit.alone()));
        }
        (self.paths, self.sessions) = (paths, sessions);
        let Some((before, after)) = alone else { return };
        if before != after {
            self.stands_alone(id, &before, &after);
        }
        self.meet_rivals(id);
    }

    /// Updates [`Session::alone`](crate::ledger::session::Session::alone) of the sessions that have rows of a unit.
    /// Whether it is 0 may decide who owns other units.
    pub(super) fn stands_alone(&mut self, id: UnitId, before: &[bool], after: &[bool]) {
        let Some(unit) = self.unit(id) else { return };
        let holders = unit.holders.iter().map(|holder| &holder.session);
        let sessions = holders.chain([unit.session()].into_iter().filter(|_| unit.holders.is_empty()));
        let changed = sessions.zip(after).enumerate().filter_map(|(position, (session, is))| {
            let was = before.get(position).copied().unwrap_or(false);
            (was != *is).then(|| (session.clone(), *is))
        });
        for (id, is) in changed.collect::<Vec<_>>() {
            let session = self.session_mut(&id);
            let had = session.alone > 0;
            session.alone = if is { session.alone + 1 } else { session.alone.saturating_sub(1) };
            if (session.alone > 0) != had {
                self.turned.insert(id);
            }
        }
    }

    /// Notes which sessions have rows of a unit, if nothing tells which of them are copies.
    fn meet_rivals(&mut self, id: UnitId) {
        let Some(unit) = self.unit(id).filter(|unit| unit.is_tied()) else { return };
        let sessions: Vec<&SessionId> = unit.holders.iter().map(|holder| &holder.session).take(RIVALS_MAX).collect();
        let knows = |one: &SessionId, other: &SessionId| {
            one == other
                || self.session(one).is_some_and(|one| one.rivals.len() >= RIVALS_MAX || one.rivals.contains(other))
        };
        // Only the session that came last can be new to the others.
        let Some(latest) = sessions.last() else { return };
        let pairs = sessions.iter().flat_map(|other| [(*other, *latest), (*latest, *other)]);
        let new: Vec<_> =
            pairs.filter(|(one, other)| !knows(one, other)).map(|(one, other)| (one.clone(), other.clone())).collect();
        for (one, other) in new {
            self.session_mut(&one).rivals.insert(other);
        }
    }

    /// Takes out the sessions for which `alone` became 0 or greater than 0, together with their rivals. One of these
    /// sessions owns each unit whose owner has to be decided again; those in memory are noted for
    /// [`Known::settle_owners`].
    pub fn turned(&mut self) -> BTreeSet<SessionId> {
        let mut all = std::mem::take(&mut self.turned);
        let rivals = all.iter().filter_map(|id| self.session(id)).flat_map(|session| session.rivals.iter().cloned());
        let rivals: Vec<_> = rivals.collect();
        all.extend(rivals);
        let units = self.units.iter().filter(|(_, loaded)| loaded.now.is_tied() && all.contains(loaded.now.session()));
        self.unsettled.extend(units.map(|(id, _)| *id));
        all
    }

    /// Notes that the owner of a unit has to be decided again.
    pub fn unsettle(&mut self, unit: UnitId) {
        self.unsettled.insert(unit);
    }

    /// Decides again who owns the units that were noted.
    pub fn settle_owners(&mut self) {
        for id in std::mem::take(&mut self.unsettled) {
            if !self.is_here(id) {
                if self.index.has_unit(id) && !self.index.is_retired(id) {
                    self.unsettled.insert(id);
                }
            } else if self.unit(id).is_some_and(Unit::is_tied) {
                self.change_owner(id, Unit::settle_owner);
            }
        }
    }
}
