//! Sessions that are open: which were active lately, and what is told of them from outside their files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::Engine;
use crate::ledger::known::{Asked, AskedCall, AskedWhat, Changed, Question};
use crate::ledger::run::Run;
use crate::ledger::unit::{Tool, Unit};
use crate::store::StoreError;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::vitals::LiveSession;
use crate::waiting::Told;

/// Most sessions that are recalled after a restart.
const RECALLED_MAX: usize = 1_000;

/// Most units of a session that are recalled: the latest.
const UNITS_MAX: usize = 64;

impl Engine {
    /// Sessions with a row at or after `since`, and those of `open`; others are forgotten. A file belongs to the
    /// configuration folder above the one of `roots` that it lies in.
    #[must_use]
    pub fn live(&mut self, since: Timestamp, open: &BTreeSet<SessionId>, roots: &[PathBuf]) -> Vec<LiveSession> {
        let known = &self.known;
        let config = |file| {
            let path = super::jobs::path_of(known, file)?;
            let root = roots.iter().find(|root| path.starts_with(root))?;
            root.parent().map(PathBuf::from)
        };
        self.projections.live().since(since, open, &config)
    }

    /// Makes sessions known that were active before this process started, so that it is told at once which of them wait.
    /// Sessions that are not there are passed over.
    pub fn recall(&mut self, sessions: &[SessionId]) -> Result<(), StoreError> {
        for id in sessions.iter().take(RECALLED_MAX) {
            let rows = self.writer.rows();
            let Some(session) = rows.session(id)? else { continue };
            let mut members: BTreeMap<(Timestamp, u32), u32> = BTreeMap::new();
            rows.each_member(id, |number, member| {
                members.insert((member.last, number), number);
                if members.len() > UNITS_MAX {
                    members.pop_first();
                }
                ControlFlow::Continue(())
            })?;
            for number in members.into_values() {
                let Some(unit) = rows.numbered(number)? else { continue };
                self.projections.recall(&Changed::new(&unit));
                let last = unit.sections.as_ref().and_then(|sections| sections.count.checked_sub(1));
                let section = last.map(|last| rows.section(unit.key.id(), last)).transpose()?.flatten();
                if let Some(section) = &section {
                    self.projections.recall(&Changed::section(&unit, section));
                }
                let run = unit.of_run.as_ref().filter(|of_run| session.runs.last() == Some(&of_run.run));
                let run = run.map(|of_run| rows.run(of_run.run)).transpose()?.flatten();
                let tools = unit.parts.tools.iter().chain(section.iter().flat_map(|section| &section.parts.tools));
                let asked = run.map(|run| asked_in(&run, &unit, tools)).unwrap_or_default();
                asked.into_iter().for_each(|asked| self.known.asked.push(asked));
            }
            self.projections.live().note_session(&session);
        }
        Ok(())
    }

    /// Takes in what was told of sessions. If that is that a turn has ended, and its rows were read to the last, it need
    /// not be quiet for a moment before its spans leave.
    pub fn note_told(&mut self, news: &[(SessionId, Told)], now: Timestamp) -> Result<(), StoreError> {
        let mut ended = BTreeSet::new();
        for (session, told) in news {
            if self.turns.note_told(session, told) {
                ended.insert(session.clone());
            }
        }
        self.hurry(&ended, now)
    }

    /// Has the turns of sessions looked at soon, because they may have ended.
    pub(super) fn hurry(&mut self, sessions: &BTreeSet<SessionId>, now: Timestamp) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        for id in self.turns.live() {
            self.load(id)?;
            if let Some(unit) = self.known.unit(id).filter(|unit| sessions.contains(unit.session())) {
                self.turns.hurry(unit, now);
            }
        }
        Ok(())
    }
}

/// The questions of a unit that a stream told of and that nothing has ended, or that its run has ended.
fn asked_in<'t>(run: &Run, unit: &Unit, tools: impl Iterator<Item = &'t Tool>) -> Vec<Asked> {
    let asked = |at, what| Asked { session: unit.session().clone(), at, what };
    if let Some(at) = run.end() {
        return vec![asked(at, AskedWhat::RunEnded(run.id))];
    }
    let is_background = unit.agent.as_ref().is_some_and(|agent| agent.background);
    let question = Question { run: run.id, request: None, is_background };
    let open = tools.filter(|tool| tool.is_open() && (run.is_working || is_background));
    open.filter_map(|tool| Some(asked(tool.asked?, AskedWhat::Began(question, AskedCall::of(unit, tool))))).collect()
}
