//! The JSON of Jaeger's v1 API. All times and durations are integers in microseconds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::tags::{self, JsonTag};
use super::trace::Trace;
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{SpanId, TraceId};
use crate::views::traces::span::{Span, SpanEvent};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JaegerTrace")]
pub struct TraceV1<'a> {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[schemars(with = "Vec<SpanV1<'a>>")]
    spans: SpansV1<'a>,
    /// Processes by number, so that `p10` comes after `p9`; the number is written as `p1`, `p2`, ...
    #[schemars(with = "BTreeMap<String, Process<'a>>")]
    processes: BTreeMap<ProcessId, Process<'a>>,
    warnings: Option<&'a [String]>,
}

/// The spans of a trace. Each is converted when it is written, because there may be thousands.
#[derive(Debug)]
struct SpansV1<'a> {
    trace: &'a Trace,
    /// The process of each batch.
    processes: Vec<ProcessId>,
}

impl Serialize for SpansV1<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let batches = self.trace.batches.iter().zip(&self.processes);
        serializer
            .collect_seq(batches.flat_map(|(batch, process)| batch.spans.iter().map(|span| span_v1(span, *process))))
    }
}

/// Number of a process in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ProcessId(usize);

impl Serialize for ProcessId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("p{}", self.0))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerSpan")]
struct SpanV1<'a> {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: &'a str,
    references: Vec<Reference>,
    start_time: i64,
    duration: i64,
    tags: Vec<JsonTag<'a>>,
    logs: Vec<SpanLog<'a>>,
    #[serde(rename = "processID")]
    #[schemars(with = "String")]
    process_id: ProcessId,
    /// Always null: Jaeger puts warnings about adjusted clocks here, and nothing is adjusted.
    warnings: Option<&'a [String]>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JaegerReference")]
struct Reference {
    #[serde(rename = "refType")]
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JaegerLog")]
struct SpanLog<'a> {
    timestamp: i64,
    fields: Vec<JsonTag<'a>>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "JaegerProcess")]
struct Process<'a> {
    #[serde(rename = "serviceName")]
    service_name: &'a str,
    tags: Vec<JsonTag<'a>>,
}

/// `trace` in the JSON of the v1 API; `service` is the service that it comes from.
#[must_use]
pub fn trace<'a>(trace: &'a Trace, service: &'a str) -> TraceV1<'a> {
    let mut processes: BTreeMap<ProcessId, Process<'a>> = BTreeMap::new();
    let mut of_batches = Vec::with_capacity(trace.batches.len());
    for batch in &trace.batches {
        let process = Process { service_name: service, tags: tags::of_process(batch) };
        let known = processes.iter().find(|(_, known)| **known == process).map(|(id, _)| *id);
        let id = known.unwrap_or(ProcessId(processes.len() + 1));
        processes.entry(id).or_insert(process);
        of_batches.push(id);
    }
    let warnings = Some(&*trace.warnings).filter(|warnings| !warnings.is_empty());
    TraceV1 { trace_id: trace.id().to_string(), spans: SpansV1 { trace, processes: of_batches }, processes, warnings }
}

fn span_v1(span: &Span, process_id: ProcessId) -> SpanV1<'_> {
    SpanV1 {
        trace_id: span.trace.to_string(),
        span_id: span.id.to_string(),
        operation_name: &span.name,
        references: references(span),
        start_time: microseconds(span.start),
        duration: microseconds(span.end).saturating_sub(microseconds(span.start)).max(0),
        tags: tags::of_span(span),
        logs: span.events.iter().map(log).collect(),
        process_id,
        warnings: None,
    }
}

/// References to the parent and to the targets of links. The parent comes first, because readers take the first
/// `CHILD_OF` for it.
fn references(span: &Span) -> Vec<Reference> {
    let reference = |ref_type, trace: TraceId, span: SpanId| Reference {
        ref_type,
        trace_id: trace.to_string(),
        span_id: span.to_string(),
    };
    let parent = span.parent.map(|parent| reference("CHILD_OF", span.trace, parent));
    let links = span.links.iter().map(|link| reference("FOLLOWS_FROM", link.trace, link.span));
    parent.into_iter().chain(links).collect()
}

fn log(event: &SpanEvent) -> SpanLog<'_> {
    SpanLog { timestamp: microseconds(event.time), fields: tags::of_event(event) }
}

const fn microseconds(time: Timestamp) -> i64 {
    time.0.saturating_mul(1000)
}
