//! Turns a span of this crate into a span of the SDK. Ids, times and the order of attributes, events and links stay as
//! they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind as OtelKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value as OtelValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::transcript::time::Timestamp;
use crate::views::traces::ids;
use crate::views::traces::span::{Attribute, Span, SpanKind, SpanStatus, Value};

/// Fills the SDK's form of a finished span.
pub(super) fn span_data(span: &Span, scope: &InstrumentationScope) -> SpanData {
    let mut events = SpanEvents::default();
    events.events = span
        .events
        .iter()
        .map(|event| Event::new(event.name.clone(), system_time(event.time), key_values(&event.attributes), 0))
        .collect();
    let mut links = SpanLinks::default();
    links.links = span
        .links
        .iter()
        .map(|link| Link::new(context(link.trace, link.span), key_values(&link.attributes), 0))
        .collect();
    SpanData {
        span_context: context(span.trace, span.id),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| parent.0.into()),
        parent_span_is_remote: false,
        span_kind: match span.kind {
            SpanKind::Internal => OtelKind::Internal,
            SpanKind::Client => OtelKind::Client,
        },
        name: span.name.clone().into(),
        start_time: system_time(span.start),
        end_time: end_time(span),
        attributes: key_values(&span.attributes),
        dropped_attributes_count: 0,
        events,
        links,
        status: match &span.status {
            SpanStatus::Unset => Status::Unset,
            SpanStatus::Error(description) => Status::error(description.clone()),
        },
        instrumentation_scope: scope.clone(),
    }
}

/// An upper bound for the bytes that the span takes in a request, before compression.
pub(super) fn wire_bytes_max(span: &Span) -> usize {
    let status = match &span.status {
        SpanStatus::Unset => 0,
        SpanStatus::Error(description) => description.len(),
    };
    let events: usize =
        span.events.iter().map(|event| 32 + event.name.len() + attribute_bytes_max(&event.attributes)).sum();
    let links: usize = span.links.iter().map(|link| 48 + attribute_bytes_max(&link.attributes)).sum();
    96 + span.name.len() + status + attribute_bytes_max(&span.attributes) + events + links
}

fn attribute_bytes_max(attributes: &[Attribute]) -> usize {
    let value_bytes = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => 11,
        Value::Texts(texts) => texts.iter().map(|text| 12 + text.len()).sum(),
    };
    attributes.iter().map(|attribute| 32 + attribute.key.len() + value_bytes(&attribute.value)).sum()
}

fn context(trace: ids::TraceId, span: ids::SpanId) -> SpanContext {
    SpanContext::new(TraceId::from(trace.0), SpanId::from(span.0), TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// The end of a span. A span without length ends a nanosecond after its start, because Jaeger takes a span whose end
/// is its start for one of negative length and warns about it.
fn end_time(span: &Span) -> SystemTime {
    let end = system_time(span.end);
    if span.end > span.start { end } else { end.checked_add(Duration::from_nanos(1)).unwrap_or(end) }
}

/// Times before 1970 become 1970: OTLP counts nanoseconds since 1970 as an unsigned number.
fn system_time(time: Timestamp) -> SystemTime {
    let since_epoch = Duration::from_millis(u64::try_from(time.0).unwrap_or(0));
    UNIX_EPOCH.checked_add(since_epoch).unwrap_or(UNIX_EPOCH)
}

fn key_values(attributes: &[Attribute]) -> Vec<KeyValue> {
    attributes.iter().map(|attribute| KeyValue::new(attribute.key.clone(), otel_value(&attribute.value))).collect()
}

fn otel_value(value: &Value) -> OtelValue {
    match value {
        Value::Text(text) => OtelValue::String(text.clone().into()),
        Value::Int(number) => OtelValue::I64(*number),
        Value::Float(number) => OtelValue::F64(*number),
        Value::Bool(flag) => OtelValue::Bool(*flag),
        Value::Texts(texts) => OtelValue::Array(Array::String(texts.iter().cloned().map(StringValue::from).collect())),
    }
}
