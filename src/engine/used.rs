//! What the responses of sessions used that have no session file: read once, and kept in memory from then on.
//!
//! A host may go on with one such session for thousands of turns, and each of them is settled: to read all of them each time
//! would cost more with every turn.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::ledger::known::Known;
use crate::ledger::rest::Used;
use crate::store::{Rows, StoreError};
use crate::transcript::ids::SessionId;

/// Most sessions whose sums are kept. Beyond that all are dropped, and read again when they are needed.
const SESSIONS_MAX: usize = 1_000;

/// What the responses of some sessions used, as of the last commit.
#[derive(Debug, Default)]
pub(super) struct UsedSums(HashMap<SessionId, Used>);

impl UsedSums {
    /// Takes in what a commit wrote. To be called before [`Known::committed`].
    pub(super) fn change(&mut self, known: &Known) {
        if self.0.is_empty() {
            return;
        }
        for (before, unit) in known.changed_units() {
            if let Some(before) = before.filter(|before| Used::moves_sections(before, unit)) {
                self.forget(before.session());
                self.forget(unit.session());
            }
        }
        for changed in known.changes() {
            if let Some((unit, parts)) = changed.before.zip(changed.parts_before)
                && let Some(used) = self.0.get_mut(unit.session())
            {
                used.subtract(unit, parts);
            }
            if let Some(used) = self.0.get_mut(changed.unit.session()) {
                used.add(changed.unit, changed.parts);
            }
        }
    }

    /// What the responses of a session used. All changes must be committed.
    pub(super) fn of(&mut self, id: &SessionId, rows: Rows<'_>) -> Result<Used, StoreError> {
        if let Some(kept) = self.0.get(id) {
            debug_assert_eq!(*kept, read(id, rows)?, "what is kept of {id:?} is what is stored");
            return Ok(kept.clone());
        }
        let used = read(id, rows)?;
        if self.0.len() >= SESSIONS_MAX {
            self.0.clear();
        }
        self.0.insert(id.clone(), used.clone());
        Ok(used)
    }

    /// Drops the sums of a session.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.0.remove(session);
    }
}

/// Reads what all responses of a session used.
fn read(id: &SessionId, rows: Rows<'_>) -> Result<Used, StoreError> {
    let (mut used, mut members) = (Used::default(), Vec::new());
    rows.each_member(id, |_, member| {
        members.push(member.unit);
        ControlFlow::Continue(())
    })?;
    for id in members {
        let Some(unit) = rows.unit(id)? else { continue };
        used.add(&unit, &unit.parts);
        for position in 0..unit.sections.as_ref().map_or(0, |sections| sections.count) {
            let section = rows.section(id, position)?;
            section.into_iter().for_each(|section| used.add(&unit, &section.parts));
        }
    }
    Ok(used)
}
