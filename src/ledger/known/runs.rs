//! The runs in memory.

use super::{Delay, Known};
use crate::ledger::derived::hash_of;
use crate::ledger::run::Run;
use crate::ledger::unit::UnitId;
use crate::transcript::stream::{RunId, StreamResult};
use crate::transcript::time::Timestamp;

impl Known {
    /// A run, to be changed. It is made if it is not in memory.
    pub fn run_mut(&mut self, id: RunId) -> &mut Run {
        self.dirty_runs.insert(id);
        self.runs.entry(id).or_insert_with(|| Run::new(id))
    }

    /// Has a run look again at provisional turns of it that it does not list any more. They stand before the others, as
    /// they began earlier. The run must be in memory.
    pub fn list_again(&mut self, id: RunId, turns: &[UnitId]) {
        let Some(run) = self.run(id) else { return };
        // The one that goes on is the last.
        let is_listed = |turn: &UnitId| run.provisional.iter().rev().any(|listed| listed == turn);
        let new = turns.iter().filter(|turn| !is_listed(turn));
        let new: Vec<UnitId> = new.copied().collect();
        if !new.is_empty() {
            self.run_mut(id).provisional.splice(0..0, new);
        }
    }

    /// Takes out which of the changed runs began, and which ended, that was not told yet.
    pub fn untold_runs(&mut self) -> Vec<(RunId, bool, Timestamp)> {
        let mut untold = Vec::new();
        for id in self.dirty_runs.clone() {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            if let Some(at) = run.began.filter(|_| !run.told_began) {
                run.told_began = true;
                untold.push((id, false, at));
            }
            if let Some(at) = run.end().filter(|_| !run.told_ended) {
                run.told_ended = true;
                untold.push((id, true, at));
            }
        }
        untold
    }

    /// Whether another run of the session has told a result, because the same stream was passed on twice. The runs of the
    /// session must be in memory.
    #[must_use]
    pub fn is_told_elsewhere(&self, own: RunId, result: &StreamResult) -> bool {
        let hash = hash_of(result.id);
        let Some(session) = self.session(&result.session) else { return false };
        let mut others = session.runs.iter().filter(|run| **run != own).filter_map(|run| self.run(*run));
        others.any(|run| run.session(&result.session).is_some_and(|told| told.results.contains(&hash)))
    }

    /// A run, if it is in memory.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Adds a stored run, unless it is in memory already.
    pub fn load_run(&mut self, run: Run) {
        self.runs.entry(run.id).or_insert(run);
    }

    /// Adds a delay to its run, which must be in memory.
    pub fn delayed(&mut self, delay: &Delay) {
        if self.runs.contains_key(&delay.run) {
            let at = self.run(delay.run).and_then(|run| run.last).unwrap_or_default();
            if let Some(session) = self.run_mut(delay.run).session_mut(&delay.session, at) {
                session.delayed(delay.ms);
            }
        }
    }

    /// Every run in memory.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Every changed run.
    pub fn changed_runs(&self) -> impl Iterator<Item = &Run> {
        self.dirty_runs.iter().filter_map(|id| self.runs.get(id))
    }
}
