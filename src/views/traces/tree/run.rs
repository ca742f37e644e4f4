//! The span of a run, if its caller asked for one: `invoke_workflow nightly`, from the first to the last line of its stream.
//!
//! - If the caller told the span within which it called (`TRACEPARENT`), the run is a child of that, in its trace. Else the
//!   run is the root of a trace of its own.
//! - Turns keep the traces that they have without a run. The run is linked to them, and they to the run.
//! - It leaves once, when the run has ended. Its ids are derived, so a span that is sent again is the same.

use super::describe::link;
use super::list::AttributeList;
use super::text;
use crate::ledger::money::Money;
use crate::ledger::run::{Run, RunOutcome};
use crate::transcript::time::Timestamp;
use crate::views::traces::attributes as name;
use crate::views::traces::ids::{SpanAt, run_at};
use crate::views::traces::span::{Attribute, Span, SpanBatch, SpanKind, SpanStatus, Value};

/// Most turns that the span of a run is linked to, the first ones; OpenTelemetry allows 128 links.
const LINKS_MAX: usize = 128;

/// A run and what it came to.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// The run.
    pub run: &'a Run,
    /// Roots of its turns, in order.
    pub turns: &'a [SpanAt],
    /// List price of what it spent.
    pub cost: Money,
    /// The time until which a run lasts that goes on.
    pub now: Timestamp,
}

/// The span of a run, as a batch.
#[must_use]
pub fn run_span(facts: &RunFacts<'_>) -> SpanBatch {
    let run = facts.run;
    let caller = run.caller.as_deref().and_then(crate::views::traces::caller::caller);
    let at = run_at(run.id, caller);
    let start = run.began.or(run.last).unwrap_or_default();
    let outcome = run.outcome();
    let goes_on = outcome == RunOutcome::Running;
    let last = run.end().or(run.last).unwrap_or(start);
    let end = if goes_on { last.max(facts.now) } else { last };
    let version = run.sessions.iter().find_map(|session| session.version.as_deref());
    let links = facts.turns.iter().take(LINKS_MAX).map(|turn| link(*turn, name::LINK_TURN));
    let span = Span {
        trace: at.trace,
        id: at.span,
        parent: caller.map(|caller| caller.span),
        kind: SpanKind::Internal,
        name: text::span_name("invoke_workflow", run.workflow.as_deref().unwrap_or_default()),
        start,
        end: end.max(start),
        attributes: attributes(facts, outcome),
        events: Vec::new(),
        links: links.collect(),
        status: status(outcome),
    };
    SpanBatch { service_version: version.unwrap_or_default().to_owned(), spans: vec![span] }
}

fn attributes(facts: &RunFacts<'_>, outcome: RunOutcome) -> Vec<Attribute> {
    let run = facts.run;
    let mut list = AttributeList::default();
    list.word(name::OPERATION, "invoke_workflow");
    list.maybe_text(name::WORKFLOW_NAME, run.workflow.as_deref());
    list.maybe_text(name::SESSION, run.sessions.first().map(|session| &*session.id.0));
    list.maybe_text(name::WORKFLOW, run.workflow.as_deref());
    list.text(name::RUN_ID, &run.id.0.to_string());
    list.word(name::RUN_OUTCOME, outcome.name());
    list.maybe_text(name::RUN_EXIT_REASON, run.exit_reason());
    list.count(name::RUN_TURNS, facts.turns.len() as u64);
    list.dollars(name::RUN_COST, facts.cost);
    if matches!(status(outcome), SpanStatus::Error(_)) {
        list.word(name::ERROR_TYPE, outcome.name());
    }
    if outcome == RunOutcome::Running {
        list.flag(name::IN_PROGRESS);
    }
    let mut attributes = list.done();
    attributes.extend(run.labels.iter().map(|(label, value)| Attribute {
        key: format!("{}{}", name::RUN_LABEL, text::printable(label, text::NAME_BYTES_MAX)).into(),
        value: Value::Text(text::printable(value, text::VALUE_BYTES_MAX)),
    }));
    attributes
}

/// A run that somebody interrupted did what was wanted.
fn status(outcome: RunOutcome) -> SpanStatus {
    match outcome {
        RunOutcome::Success | RunOutcome::Interrupted | RunOutcome::Running => SpanStatus::Unset,
        RunOutcome::MaxTurns | RunOutcome::DuringExecution | RunOutcome::ApiError | RunOutcome::Killed => {
            SpanStatus::Error(outcome.name().to_owned())
        }
    }
}
