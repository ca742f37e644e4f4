//! Ends of turns that were told from outside the session files: by hooks of the client.
//!
//! - A turn whose end a hook told has ended once its rows say so too, and say it with the last row that the client writes
//!   of a turn. It then leaves at once, and need not be quiet for a moment. The hook itself comes earlier than these rows,
//!   so it alone ends nothing.
//! - When the process has let go of a session, a turn that its rows leave open has ended with its last row, once no
//!   further row has come for a moment.

use std::collections::HashMap;

use crate::ledger::unit::Unit;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::waiting::rows::is_told_over;
use crate::waiting::{Told, ToldSigns};

/// Most sessions of which something told is kept; that of which was told earliest is forgotten first.
const SESSIONS_MAX: usize = 10_000;

/// What was told, by session.
#[derive(Debug, Default)]
pub(super) struct ToldEnds(HashMap<SessionId, ToldSigns>);

impl ToldEnds {
    /// Takes in what was told of a session.
    pub(super) fn note(&mut self, session: &SessionId, told: &Told) {
        if self.0.len() >= SESSIONS_MAX && !self.0.contains_key(session) {
            let oldest = self.0.iter().min_by_key(|(_, told)| told.last).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        self.0.entry(session.clone()).or_default().note(told);
    }

    /// True if the end of a turn was told and its rows have been read to the last.
    pub(super) fn is_whole(&self, unit: &Unit) -> bool {
        let stopped = self.0.get(unit.session()).and_then(|told| told.stopped);
        let is_behind = |at: Timestamp| unit.told_end.is_some_and(|end| end.time >= at);
        unit.agent.is_none() && stopped.is_some_and(is_behind) && is_told_over(unit)
    }

    /// When the process has let go of a session, if a hook told it and nothing goes on since.
    pub(super) fn let_go(&self, session: &SessionId) -> Option<Timestamp> {
        self.0.get(session).and_then(|told| told.ended)
    }
}
