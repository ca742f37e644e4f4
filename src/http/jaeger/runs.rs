//! The spans of runs whose callers asked for one. A trace of them is that of their caller, in which further spans are
//! elsewhere, or that of the run alone.

use std::collections::HashMap;

use crate::http::jaeger::lookup::Lookup;
use crate::ledger::run::Run;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::RowId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runs::{RunSums, spent_in};
use crate::views::traces::caller::caller;
use crate::views::traces::finish::finish_run;
use crate::views::traces::ids::{TraceId, root_of_turn, run_at};
use crate::views::traces::jaeger::{Filter, Trace};
use crate::views::traces::tree::{RunFacts, run_span};

/// The runs whose spans are in one trace.
#[derive(Debug)]
pub(super) struct RunTrace {
    /// When the first of them began.
    pub(super) began: Timestamp,
    trace: TraceId,
    runs: Vec<RunId>,
}

fn trace_of(run: &Run) -> TraceId {
    run_at(run.id, run.caller.as_deref().and_then(caller)).trace
}

fn began(run: &Run) -> Timestamp {
    run.began.or(run.last).unwrap_or_default()
}

/// The traces of runs that may have spans within the filter's times, the latest last.
pub(super) fn run_traces(reader: &StoreReader, filter: &Filter) -> Result<Vec<RunTrace>, StoreError> {
    let mut traces: HashMap<TraceId, RunTrace> = HashMap::new();
    reader.each_run(|run| {
        let (trace, began) = (trace_of(&run), began(&run));
        if run.span && filter.may_take(began, run.last.unwrap_or(began).max(began)) {
            let known = traces.entry(trace).or_insert_with(|| RunTrace { began, trace, runs: Vec::new() });
            known.began = known.began.min(began);
            known.runs.push(run.id);
        }
    })?;
    let mut traces: Vec<RunTrace> = traces.into_values().collect();
    traces.sort_unstable_by_key(|trace| (trace.began, trace.trace));
    Ok(traces)
}

/// The trace with this id that is made of spans of runs; `None` if there is none. To find the runs of a caller all runs
/// are read.
pub(super) fn by_id(lookup: &Lookup<'_>, trace: TraceId) -> Result<Option<Trace>, StoreError> {
    let own = lookup.reader.run(RunId(RowId(trace.0)))?.filter(|run| run.span && trace_of(run) == trace);
    let mut runs: Vec<(Timestamp, RunId)> = own.iter().map(|run| (began(run), run.id)).collect();
    if runs.is_empty() {
        lookup.reader.each_run(|run| {
            if run.span && trace_of(&run) == trace {
                runs.push((began(&run), run.id));
            }
        })?;
    }
    runs.sort_unstable();
    let first = runs.first().map_or_else(Timestamp::default, |(began, _)| *began);
    let runs = runs.into_iter().map(|(_, run)| run).collect();
    build(lookup, &RunTrace { began: first, trace, runs })
}

/// Builds a trace; `None` if its runs are gone.
pub(super) fn build(lookup: &Lookup<'_>, of: &RunTrace) -> Result<Option<Trace>, StoreError> {
    let mut batches = Vec::with_capacity(of.runs.len());
    for id in &of.runs {
        let Some(run) = lookup.reader.run(*id)? else { continue };
        let (mut sums, mut turns) = (RunSums::default(), Vec::new());
        for session in &run.sessions {
            let (spent, rows) = spent_in(&lookup.reader.cells_of(&session.id)?, *id);
            sums.add(&spent);
            turns.extend(rows.into_iter().map(|row| lookup.rules.scope.place(&session.id, root_of_turn(row))));
        }
        let facts = RunFacts { run: &run, turns: &turns, cost: sums.spent.cost, now: lookup.now };
        let mut batch = run_span(&facts);
        finish_run(&mut batch, &lookup.rules);
        batches.push(batch);
    }
    Ok(Trace::of_parts(of.trace, batches))
}
