//! The address at which the event of a span is shown.
//!
//! It holds the ids of the span and not the position of its event, because a span leaves once, and rows that are read later
//! may move the event. They are the ids in [`TraceScope::Turn`](super::ids::TraceScope::Turn), by which the turn is found
//! without a search, whichever trace the span is put into.

use super::attributes as name;
use super::ids::SpanAt;
use super::span::{Attribute, Span, Value};

/// The address of a span below that of the pages, which has no slash at its end.
#[must_use]
pub fn address(pages: &str, at: SpanAt) -> String {
    format!("{pages}/spans/{}/{}", at.trace, at.span)
}

/// Adds its address to a span that is still in the trace of its turn.
pub(super) fn add(span: &mut Span, pages: &str) {
    let at = SpanAt { trace: span.trace, span: span.id };
    // Not `push`, which would make room for several more.
    span.attributes.reserve_exact(1);
    span.attributes.push(Attribute { key: name::URL.into(), value: Value::Text(address(pages, at)) });
}
