//! Decides which session owns a copied row. A fork copies the rows of its source into a file of its own. What each kind
//! of fork writes into copied rows, and which rule holds if it writes nothing, is in `contract.md` section 3.

use super::fold::{Fold, PlacedRow};
use super::session::Fork;
use super::unit::{Claim, ClaimBy, Message, Unit, UnitId, UnitKey};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Most turns of one file that are remembered while no answer has told whether they are copies. Further turns follow
/// the general rules.
const UNMARKED_MAX: usize = 4_096;

impl Fold<'_> {
    /// Takes in the session that a row was copied from, if the row names one (`forkedFrom`).
    pub(super) fn copied_row(&mut self, seen: &PlacedRow<'_>) {
        let Some(source) = seen.row.forked_from.as_ref().filter(|source| **source != seen.session) else { return };
        if let Some(unit) = self.current_of(seen) {
            self.copied(seen, unit, source);
        }
    }

    /// Notes that rows of a fork are copies of rows of `source`. So `source` owns `unit`, and the turns before it of
    /// which nothing was known.
    pub(super) fn copied(&mut self, seen: &PlacedRow<'_>, unit: UnitId, source: &SessionId) {
        let thread = self.known.thread_mut(self.file);
        thread.is_copied = true;
        let mut units = std::mem::take(&mut thread.unmarked);
        units.retain(|known| *known != unit);
        units.push(unit);
        for unit in units {
            self.owned_by(unit, source, &seen.session, seen.time);
        }
        self.forked(source, &seen.session, Fork { from: source.clone(), unit, time: seen.time });
    }

    /// Takes in a copied response. A client that marks responses writes the same `promptId` into all prompts that it
    /// copies.
    pub(super) fn copied_answer(&mut self, seen: &PlacedRow<'_>, unit: UnitId, source: &SessionId) {
        let thread = self.known.thread_mut(self.file);
        thread.copied_prompt = thread.prompt;
        self.copied(seen, unit, source);
    }

    /// Notes that a unit belongs to `source` and that `copy` has copies of its rows, because a row tells so.
    fn owned_by(&mut self, unit: UnitId, source: &SessionId, copy: &SessionId, time: Timestamp) {
        let is_agent = |unit: &Unit| matches!(unit.key, UnitKey::Agent(..));
        if self.known.unit(unit).is_none_or(|unit| is_agent(unit) || unit.is_known_to_copy(copy, source)) {
            return;
        }
        let word = Claim { by: ClaimBy::Word, time, file: self.file, session: source.clone() };
        self.known.change_owner(unit, |unit, settling| unit.copied(copy, &word, settling));
    }

    /// Notes where a session was forked: the latest copied row tells.
    fn forked(&mut self, source: &SessionId, session: &SessionId, fork: Fork) {
        self.known.note_fork(source, session);
        let known = self.known.session(session).and_then(|session| session.fork.as_ref());
        if known.is_none_or(|known| known.time <= fork.time) && known != Some(&fork) {
            self.known.session_mut(session).fork = Some(fork);
        }
    }

    /// Takes in `continued-in`: another session, in the background, goes on with the current turn.
    pub(super) fn continued(&mut self, session: &SessionId, into: &SessionId) {
        let thread = self.known.thread_mut(self.file);
        let (unit, time) = (thread.current.as_ref().map(UnitKey::id), thread.last);
        if let Some(unit) = unit {
            self.owned_by(unit, session, into, time);
            self.forked(session, into, Fork { from: session.clone(), unit, time });
        }
    }

    /// Remembers a turn of which no row has told yet whether it is a copy.
    pub(super) fn note_unmarked(&mut self, unit: UnitId) {
        let thread = self.known.thread_mut(self.file);
        if thread.unmarked.len() < UNMARKED_MAX && !thread.unmarked.contains(&unit) {
            thread.unmarked.push(unit);
        }
    }

    /// Takes in that a row is earlier than the row before it. If the response before it has no `requestId`, a client of
    /// version 1.0 copied that response at a resume and gave it the time of the resume, so its times are not used.
    /// Source: `claude-code-format.md` section 15.8.
    pub(super) fn stamped_anew(&mut self) {
        let Some(open) = self.known.thread_mut(self.file).open_message.clone() else { return };
        let Some(home) = self.known.home_of_message(&open) else { return };
        let known = self.known.parts(home).and_then(|parts| parts.message(&open));
        let is_stamped = |known: &Message| {
            let is_copy = known.request.is_none() && known.rank.copy && !known.unidentified;
            is_copy && known.rank.file == self.file && !known.undated
        };
        if known.is_some_and(is_stamped)
            && let Some(message) = self.known.parts_mut(home).and_then(|parts| parts.message_mut(&open))
        {
            message.undated = true;
            let moment = message.end;
            self.known.thread_mut(self.file).stamped = Some(moment);
        }
    }
}
