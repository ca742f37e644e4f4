//! Observations of a run that has ended.

use super::dimensions::Dimensions;
use super::measure::Measure;
use super::observation::{Item, Observation, Slot, SpanPlace, State};
use super::unit::Take;
use crate::ledger::money::Money;
use crate::ledger::run::Run;

/// Gives to `take` that a run has ended, what it cost at list prices, and how long it took.
pub(super) fn observe<'a>(run: &'a Run, cost: Money, take: Take<'_, 'a>) {
    let Some(at) = run.end().or(run.last) else { return };
    let dimensions = Dimensions {
        workflow: run.workflow.as_deref(),
        run_outcome: Some(run.outcome().name()),
        ..Dimensions::default()
    };
    let mut say = |measure, amount| {
        let (item, slot, place) = (Item::Run(run.id), Slot::default(), SpanPlace::Nowhere);
        take(State::After, &Observation { item, slot, measure, dimensions, amount, at, place });
    };
    say(Measure::WorkflowRuns, 1);
    say(Measure::WorkflowCost, cost.picousd());
    say(Measure::WorkflowDuration, i128::from(run.took_ms()));
    say(Measure::WorkflowLastRun, i128::from(at.0));
}
