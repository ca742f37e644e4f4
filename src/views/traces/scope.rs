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
        for link in span.links.iter_mut().filter(|link| !leads_elsewhere(link)) {
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
    is_for(link, name::LINK_FORKED_FROM)
}

/// Whether a link leads to a span that is in no trace of a session.
fn leads_elsewhere(link: &SpanLink) -> bool {
    is_for(link, name::LINK_CALLER) || is_for(link, name::LINK_RUN)
}

fn is_for(link: &SpanLink, why: &str) -> bool {
    let is_it = |value: &Value| matches!(value, Value::Text(text) if text == why);
    link.attributes.iter().any(|attribute| attribute.key == name::LINK && is_it(&attribute.value))
}
