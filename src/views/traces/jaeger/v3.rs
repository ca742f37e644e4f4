//! The JSON of Jaeger's v3 API, which is OTLP as JSON: ids are hexadecimal, enumerations are integers, and 64-bit
//! integers are texts.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::trace::{SCOPE_NAME, SCOPE_VERSION, Trace, is_error};
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::SpanId;
use crate::views::traces::span::{Attribute, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, Value};

/// The attribute in which Jaeger itself keeps the warnings of a span.
const WARNINGS: &str = "@jaeger@warnings";

/// Spans of one resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtlpResourceSpans")]
pub struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpResource")]
struct Resource<'a> {
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpScopeSpans")]
struct ScopeSpans<'a> {
    scope: Scope,
    #[schemars(with = "Vec<SpanV3<'a>>")]
    spans: SpansV3<'a>,
}

/// The spans of some batches. Each is converted when it is written, because there may be thousands. The first span
/// carries the warnings, because OTLP has no other place for them.
#[derive(Debug)]
struct SpansV3<'a> {
    batches: &'a [SpanBatch],
    warnings: &'a [String],
}

impl Serialize for SpansV3<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spans = self.batches.iter().flat_map(|batch| &batch.spans);
        serializer.collect_seq(
            spans.enumerate().map(|(place, span)| span_v3(span, if place == 0 { self.warnings } else { &[] })),
        )
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpScope")]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtlpSpan")]
struct SpanV3<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventV3<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkV3<'a>>,
    status: StatusV3<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtlpEvent")]
struct EventV3<'a> {
    time_unix_nano: String,
    name: &'a str,
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtlpLink")]
struct LinkV3<'a> {
    trace_id: String,
    span_id: String,
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "OtlpStatus")]
struct StatusV3<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpKeyValue")]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpValue")]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "doubleValue")]
    Float(f64),
    #[serde(rename = "arrayValue")]
    List(List<'a>),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtlpList")]
struct List<'a> {
    values: Vec<AnyValue<'a>>,
}

/// What a list of traces shows of one trace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerTraceSummary")]
pub struct TraceSummary<'a> {
    trace_id: String,
    root_service_name: &'a str,
    root_operation_name: &'a str,
    min_start_time_unix_nano: String,
    max_end_time_unix_nano: String,
    span_count: usize,
    error_span_count: usize,
    orphan_span_count: usize,
    services: [ServiceSummary<'a>; 1],
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerServiceSummary")]
struct ServiceSummary<'a> {
    name: &'a str,
    span_count: usize,
    error_span_count: usize,
}

/// `trace` as OTLP, with one entry for each run of batches of the same version of the client. `service` is the service
/// that it comes from.
#[must_use]
pub fn resource_spans<'a>(trace: &'a Trace, service: &'a str) -> Vec<ResourceSpans<'a>> {
    let resource = |version: &'a str| {
        let version = Some(version).filter(|version| !version.is_empty());
        let attributes = [("service.name", Some(service)), ("service.version", version)];
        let text = |(key, value): (&'a str, Option<&'a str>)| Some(KeyValue { key, value: AnyValue::Text(value?) });
        Resource { attributes: attributes.into_iter().filter_map(text).collect() }
    };
    let runs = trace.batches.chunk_by(|a, b| a.service_version == b.service_version);
    let of_run = |(place, run): (usize, &'a [SpanBatch])| {
        let scope = Scope { name: SCOPE_NAME, version: SCOPE_VERSION };
        let version = run.first().map_or("", |batch| &batch.service_version);
        let spans = SpansV3 { batches: run, warnings: if place == 0 { &trace.warnings } else { &[] } };
        ResourceSpans { resource: resource(version), scope_spans: [ScopeSpans { scope, spans }] }
    };
    runs.enumerate().map(of_run).collect()
}

/// A summary of `trace`; `service` is the service that it comes from.
#[must_use]
pub fn summary<'a>(trace: &'a Trace, service: &'a str) -> TraceSummary<'a> {
    let span_count = trace.spans().count();
    let error_span_count = trace.spans().filter(|span| is_error(span)).count();
    let parentless = trace.spans().find(|span| span.parent.is_none());
    let ids: HashSet<SpanId> = trace.spans().map(|span| span.id).collect();
    let is_orphan = |span: &&Span| span.parent.is_some_and(|parent| !ids.contains(&parent));
    TraceSummary {
        trace_id: trace.id().to_string(),
        root_service_name: service,
        root_operation_name: parentless.map_or("", |root| &root.name),
        min_start_time_unix_nano: nanoseconds(trace.start()),
        max_end_time_unix_nano: nanoseconds(trace.spans().map(|span| span.end).max().unwrap_or_default()),
        span_count,
        error_span_count,
        orphan_span_count: trace.spans().filter(is_orphan).count(),
        services: [ServiceSummary { name: service, span_count, error_span_count }],
    }
}

fn span_v3<'a>(span: &'a Span, warnings: &'a [String]) -> SpanV3<'a> {
    SpanV3 {
        trace_id: span.trace.to_string(),
        span_id: span.id.to_string(),
        parent_span_id: span.parent.map(|parent| parent.to_string()),
        name: &span.name,
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: with_warnings(key_values(&span.attributes), warnings),
        events: span.events.iter().map(event_v3).collect(),
        links: span.links.iter().map(link_v3).collect(),
        status: match &span.status {
            SpanStatus::Unset => StatusV3::default(),
            SpanStatus::Error(text) => StatusV3 { message: Some(text), code: Some(2) },
        },
    }
}

/// Adds the warnings as the first attribute, because attributes are in order of their names and `@` sorts before
/// letters.
fn with_warnings<'a>(mut attributes: Vec<KeyValue<'a>>, warnings: &'a [String]) -> Vec<KeyValue<'a>> {
    if !warnings.is_empty() {
        let values = warnings.iter().map(|warning| AnyValue::Text(warning)).collect();
        attributes.insert(0, KeyValue { key: WARNINGS, value: AnyValue::List(List { values }) });
    }
    attributes
}

fn event_v3(event: &SpanEvent) -> EventV3<'_> {
    EventV3 { time_unix_nano: nanoseconds(event.time), name: &event.name, attributes: key_values(&event.attributes) }
}

fn link_v3(link: &SpanLink) -> LinkV3<'_> {
    LinkV3 {
        trace_id: link.trace.to_string(),
        span_id: link.span.to_string(),
        attributes: key_values(&link.attributes),
    }
}

fn key_values(attributes: &[Attribute]) -> Vec<KeyValue<'_>> {
    let value = |value| match value {
        &Value::Bool(flag) => AnyValue::Bool(flag),
        &Value::Float(number) => AnyValue::Float(number),
        Value::Text(text) => AnyValue::Text(text),
        Value::Int(number) => AnyValue::Int(number.to_string()),
        Value::Texts(texts) => AnyValue::List(List { values: texts.iter().map(|text| AnyValue::Text(text)).collect() }),
    };
    attributes.iter().map(|attribute| KeyValue { key: &attribute.key, value: value(&attribute.value) }).collect()
}

/// Nanoseconds since 1970-01-01 UTC as text. An earlier time becomes 0, because OTLP has no sign for it.
fn nanoseconds(time: Timestamp) -> String {
    u64::try_from(time.0).map_or(0, |milliseconds| u128::from(milliseconds) * 1_000_000).to_string()
}
