//! Counts runs that have ended, and lets their spans leave: each once, in the commit that notes it.

use super::Engine;
use crate::engine::turns::Leaving;
use crate::ledger::run::Run;
use crate::measures::Change;
use crate::store::StoreError;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runs::{RunSums, spent_in};
use crate::views::traces::finish::finish_run;
use crate::views::traces::ids::root_of_turn;
use crate::views::traces::tree::{RunFacts, run_span};

impl Engine {
    /// Lets a run leave that has ended and that everything is decided of, unless it left before. Every change must be
    /// stored. False if it is not known yet what the run cost, because cells are being made after an upgrade.
    pub(super) fn let_run_leave(&mut self, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
        self.load_run(id)?;
        let is_due = |run: &&Run| run.settled && run.end().is_some() && !run.left;
        let Some(run) = self.known.run(id).filter(is_due).cloned() else { return Ok(true) };
        if !self.writer.has_all_cells() {
            return Ok(false);
        }
        let (mut sums, mut turns) = (RunSums::default(), Vec::new());
        for session in &run.sessions {
            let (spent, of_session) = spent_in(&self.writer.rows().cells_of(&session.id)?, id);
            sums.add(&spent);
            let roots = of_session.into_iter().map(root_of_turn);
            turns.extend(roots.map(|root| self.spans.scope.place(&session.id, root)));
        }
        let mut leaving = Leaving::default();
        if run.span && run.end().is_some_and(|ended| self.turns.wants_end(ended)) {
            let mut batch = run_span(&RunFacts { run: &run, turns: &turns, cost: sums.spent.cost, now });
            finish_run(&mut batch, &self.spans);
            leaving.spans.push(batch);
        }
        self.projections.observe(&Change::Run { run: &run, cost: sums.spent.cost }, None, now);
        self.known.run_mut(id).left = true;
        self.write(leaving, now)?;
        Ok(true)
    }
}
