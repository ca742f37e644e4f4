//! Sessions that run away. What they did lately is not stored as such: after a restart it is read from the facts when the first
//! new row of a session comes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Engine;
use crate::ledger::known::Changed;
use crate::ledger::unit::Unit;
use crate::measures::Change;
use crate::store::StoreError;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::{Runaway, RunawayEvent};
use crate::views::analytics::runaway::reason::Reason;
use crate::views::analytics::runaway::settings::RunawaySettings;

/// Most sections of a long unit that are read for what a session did lately, the last ones.
const SECTIONS_MAX: u32 = 16;

impl Engine {
    /// The same engine, which tells by these settings which sessions run away.
    #[must_use]
    pub fn with_runaways(mut self, settings: RunawaySettings) -> Self {
        self.projections.follow_runaways(settings);
        self
    }

    /// Which runaways began and ended by `now`. To be called after each commit, and now and then without one: a session that is
    /// quiet writes nothing.
    pub fn look_for_runaways(&mut self, now: Timestamp) -> Vec<RunawayEvent> {
        self.projections.runaways_mut().look(now)
    }

    /// The sessions that run away, as of the last look.
    pub fn runaways(&self) -> impl Iterator<Item = &Runaway> {
        self.projections.runaways().running()
    }

    /// Goes on with a runaway that was noticed at `since`, before this process started. To be called before anything is read.
    pub fn resume_runaway(
        &mut self,
        session: &SessionId,
        reason: Reason,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.projections.runaways().lacks(session) {
            self.recall_session(session, now)?;
        }
        self.projections.runaways_mut().resume(session, reason, since);
        Ok(())
    }

    /// Reads from the state what sessions did lately of which something changed and nothing is known yet. To be called before the
    /// changes are observed: what is read is the state before them.
    pub(super) fn recall_pace(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let runaways = self.projections.runaways();
        let is_new = |unit: &Unit| runaways.is_recent(unit.last, now) && runaways.lacks(unit.session());
        let sessions: BTreeSet<SessionId> = self
            .known
            .changes()
            .map(|changed| changed.unit)
            .filter(|unit| is_new(unit))
            .map(|unit| unit.session().clone())
            .collect();
        for session in sessions {
            self.recall_session(&session, now)?;
        }
        Ok(())
    }

    fn recall_session(&mut self, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
        let mut numbers = Vec::new();
        let runaways = self.projections.runaways();
        self.writer.rows().each_member(session, |number, member| {
            if runaways.is_recent(member.last, now) {
                numbers.push(number);
            }
            ControlFlow::Continue(())
        })?;
        for number in numbers {
            let Some(unit) = self.writer.rows().numbered(number)?.filter(|unit| unit.session() == session) else {
                continue;
            };
            self.projections.runaways_mut().observe(&Change::between(None, &unit), now);
            let Some(sections) = &unit.sections else { continue };
            let mut last = Vec::new();
            let from = sections.count.saturating_sub(SECTIONS_MAX);
            self.writer.rows().each_section(unit.key.id(), from, |section| {
                last.push(section);
                ControlFlow::Continue(())
            })?;
            for section in &last {
                let change = Change::Parts(Changed::section(&unit, section));
                self.projections.runaways_mut().observe(&change, now);
            }
        }
        Ok(())
    }
}
