//! What both versions answer: the traces of a search, one trace, the names of operations.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::http::api::state::HasReader;
use crate::http::api::state::unreadable;
use crate::http::jaeger::parameters::TraceSearch;
use crate::http::jaeger::trace_id;
use crate::http::jaeger::traces::{SPANS_MAX, Traces};
use crate::http::route::problem::Problem;
use crate::store::StoreError;
use crate::views::traces::content::ContentLevel;
use crate::views::traces::ids::TraceId;
use crate::views::traces::jaeger::{Filter, Trace, operation_of};

/// Most traces that one search builds. After that the search ends with what it has found.
const TRACES_BUILT_MAX: usize = 2_000;

/// The names of operations come from this many of the newest traces.
const TRACES_OF_OPERATIONS_MAX: usize = 500;

/// Traces of a search, newest first.
pub(super) struct FoundTraces {
    pub(super) traces: Vec<Trace>,
    /// Why there may be more traces, a sentence for people; `None` if all were found or the limit was reached.
    pub(super) partial: Option<String>,
}

pub(super) fn find<C: HasReader>(context: &C, search: &TraceSearch) -> Result<FoundTraces, Problem> {
    let mut found = FoundTraces { traces: Vec::new(), partial: None };
    if search.service.as_ref().is_some_and(|service| *service != context.span_rules().service) {
        return Ok(found);
    }
    let (mut built, mut spans) = (0usize, 0usize);
    let take = |trace: Trace| {
        built += 1;
        if search.filter.takes(&trace) {
            spans = spans.saturating_add(trace.spans().count());
            if spans > SPANS_MAX && !found.traces.is_empty() {
                found.partial = Some(format!("there are more traces: an answer has {SPANS_MAX} spans at most"));
                return ControlFlow::Break(());
            }
            found.traces.push(trace);
            if found.traces.len() >= search.limit {
                return ControlFlow::Break(());
            }
        }
        if built >= TRACES_BUILT_MAX {
            let bound = format!("the search ended after {TRACES_BUILT_MAX} traces: narrow its time range");
            found.partial = Some(bound);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    // Where no tag is looked for, text decides nothing: it is read of the traces that are found, and of no other.
    if !search.filter.tags.is_empty() || context.span_rules().content == ContentLevel::Off {
        Traces::of(context).newest_first(&search.filter, take).map_err(unreadable)?;
        return Ok(found);
    }
    Traces::without_text(context).newest_first(&search.filter, take).map_err(unreadable)?;
    let with_text = Traces::of(context);
    for trace in &mut found.traces {
        if let Some(whole) = by_id(&with_text, trace.id()).map_err(unreadable)? {
            *trace = whole;
        }
    }
    Ok(found)
}

/// The trace with this id; if it is the id of a session, all traces of the session as one.
pub(super) fn one<C: HasReader>(context: &C, id: &str) -> Result<Trace, Problem> {
    let traces = Traces::of(context);
    if let Some(known) = trace_id::parse(id) {
        return by_id(&traces, known).map_err(unreadable)?.ok_or_else(not_found);
    }
    // The client's own session ids are UUIDs, but files from elsewhere may have other ids.
    let takes = "a trace id of up to 32 hexadecimal digits, or the id of a session";
    traces.of_session(id, SPANS_MAX).map_err(unreadable)?.ok_or_else(|| Problem::bad_parameter("traceID", takes, id))
}

/// The trace with this id, or all traces of the session with this id as one.
fn by_id(traces: &Traces<'_>, id: TraceId) -> Result<Option<Trace>, StoreError> {
    let trace = traces.by_id(id)?;
    if trace.is_some() { Ok(trace) } else { traces.of_session(&trace_id::uuid(id), SPANS_MAX) }
}

/// About how large an answer with these traces is, in bytes.
pub(super) fn bytes_of(traces: &[Trace]) -> usize {
    /// About how many bytes one span has as JSON.
    const SPAN_BYTES: usize = 1_536;
    traces.iter().map(|trace| trace.spans().count().saturating_mul(SPAN_BYTES)).sum::<usize>().max(1024)
}

fn not_found() -> Problem {
    Problem::not_found("trace with this id")
}

/// The names and kinds of the spans in the newest traces, each pair once, in order.
pub(super) fn operations<C: HasReader>(
    context: &C,
    service: Option<&str>,
) -> Result<BTreeSet<(String, &'static str)>, Problem> {
    let mut operations = BTreeSet::new();
    if service.is_some_and(|service| *service != context.span_rules().service) {
        return Ok(operations);
    }
    let mut left = TRACES_OF_OPERATIONS_MAX;
    let take = |trace: Trace| {
        for (name, kind) in trace.spans().map(operation_of) {
            if !operations.iter().any(|(known, of)| known == name && *of == kind) {
                operations.insert((name.to_owned(), kind));
            }
        }
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Traces::without_text(context).newest_first(&Filter::default(), take).map_err(unreadable)?;
    Ok(operations)
}
