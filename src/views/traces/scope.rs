//! Moves the spans of a turn to the trace of their session, if the scope asks for it.

use crate::transcript::ids::SessionId;
use crate::views::traces::attributes as name;
use crate::views::traces::ids::TraceScope;
use crate::views::traces::span::{SpanBatch, SpanLink, Value};

/// Moves the spans of one turn of `session` to the trace that `scope` says, and links with them; `source` is the
/// session that this one was forked from.
pub fn apply(scope: TraceScope, session: &SessionId, source: Option<&SessionId>, batches: &mut [SpanBatch]) {
    if scope == TraceScope::Turn {
        return;
    }
    for span in batches.iter_mut().flat_map(|batch| &mut batch.spans) {
        span.trace = scope.trace(session, span.trace);
        for link in &mut span.links {
            let target = source.filter(|_| leads_to_source(link)).unwrap_or(session);
            link.trace = scope.trace(target, link.trace);
        }
        for attribute in &mut span.attributes {
            match &mut attribute.value {
                Value::Text(trace) if attribute.key == name::SUBAGENT_TRACE => *trace = span.trace.to_string(),
                Value::Texts(traces) if attribute.key == name::SUBAGENT_TRACES => traces.fill(span.trace.to_string()),
                _ => {}
            }
        }
    }
}

fn leads_to_source(link: &SpanLink) -> bool {
    let why = Value::Text(name::LINK_FORKED_FROM.to_owned());
    link.attributes.iter().any(|attribute| attribute.key == name::LINK && attribute.value == why)
}
