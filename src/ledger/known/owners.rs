//! Which of the sessions that have rows of a unit owns it, where that depends on what else they have.

use std::collections::BTreeSet;

use super::Known;
use crate::ledger::holders::Settling;
use crate::ledger::session::Session;
use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::ids::SessionId;

impl Known {
    /// Changes what is known of the sessions that have rows of a unit.
    pub(in crate::ledger) fn change_owner(&mut self, id: UnitId, change: impl FnOnce(&mut Unit, Settling<'_>)) {
        if !self.is_here(id) {
            return;
        }
        let (paths, sessions) = (std::mem::take(&mut self.paths), std::mem::take(&mut self.sessions));
        let settling = Settling {
            by_path: &|one, other| paths.order(one.file, other.file),
            has: &|session| sessions.get(session).map(Session::has).unwrap_or_default(),
        };
        let mut held = None;
        if let Some(unit) = self.unit_mut(id) {
            let (before, was_tied) = (unit.held_by(), unit.is_tied());
            change(unit, settling);
            held = Some((before, unit.held_by(), was_tied, unit.is_tied()));
        }
        (self.paths, self.sessions) = (paths, sessions);
        let Some((before, after, was_tied, is_tied)) = held else { return };
        if was_tied || is_tied {
            for (session, _) in &after {
                let is_listed = self.session(session).is_some_and(|session| session.tied.contains(&id));
                if is_listed != is_tied {
                    let tied = &mut self.session_mut(session).tied;
                    if is_tied {
                        tied.insert(id)
                    } else {
                        tied.remove(&id)
                    };
                }
            }
        }
        if before != after {
            self.holds(&before, &after);
        }
    }

    /// Takes in which sessions have rows of a unit, and which has the last of them alone. What they have besides may say
    /// whose the units are that nothing else tells.
    pub(super) fn holds(&mut self, before: &[(SessionId, bool)], after: &[(SessionId, bool)]) {
        let sessions: BTreeSet<&SessionId> = before.iter().chain(after).map(|(session, _)| session).collect();
        for id in sessions {
            let of =
                |held: &[(SessionId, bool)]| held.iter().find(|(session, _)| session == id).map(|(_, alone)| *alone);
            let (was, is) = (of(before), of(after));
            if was == is {
                continue;
            }
            let session = self.session_mut(id);
            let had = session.has();
            session.held = (session.held + u64::from(is.is_some())).saturating_sub(u64::from(was.is_some()));
            let (is, was) = (u64::from(is == Some(true)), u64::from(was == Some(true)));
            session.alone = (session.alone + is).saturating_sub(was);
            if session.has() != had {
                let tied = session.tied.clone();
                self.unsettled.extend(tied);
            }
        }
    }

    /// Finds out again whose the units are whose sessions have more, or less, than they had.
    pub fn settle_owners(&mut self) {
        for id in std::mem::take(&mut self.unsettled) {
            if self.is_here(id) {
                self.change_owner(id, Unit::settle_owner);
            } else if self.index.has_unit(id) {
                self.unsettled.insert(id);
            }
        }
    }
}
