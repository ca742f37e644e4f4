//! A span in its own type: ids, times, attributes. Pure data; `export` turns it into OTLP.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{SpanId, TraceId};

/// One finished span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace that the span is in.
    pub trace: TraceId,
    /// The id of the span.
    pub id: SpanId,
    /// The parent in the same trace; `None` for a root.
    pub parent: Option<SpanId>,
    /// The kind that OTLP calls `INTERNAL` or `CLIENT`.
    pub kind: SpanKind,
    /// Name, at most 128 bytes.
    pub name: String,
    /// Start time, in milliseconds.
    pub start: Timestamp,
    /// End time, never before the start.
    pub end: Timestamp,
    /// Attributes in a fixed order, so that a span sent again has the same bytes.
    pub attributes: Vec<Attribute>,
    /// Events in order of time.
    pub events: Vec<SpanEvent>,
    /// Links to other spans, most often of other traces.
    pub links: Vec<SpanLink>,
    /// Unset unless the work failed.
    pub status: SpanStatus,
}

/// Kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanKind {
    /// Work inside the client: turns, tools, sub-agents.
    Internal,
    /// A call of the model API.
    Client,
}

/// Status of a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanStatus {
    /// The work did not fail.
    Unset,
    /// The work failed. The text is a class such as `exit code 3`, never output of a tool.
    Error(String),
}

/// An attribute of a span, an event or a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Name, one of those in `views::traces::attributes` or `views::traces::openinference`.
    pub key: Cow<'static, str>,
    pub value: Value,
}

/// Value of an attribute. Each variant names the field of OTLP's `AnyValue` that it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `stringValue`
    Text(String),
    /// `intValue`
    Int(i64),
    /// `doubleValue`
    Float(f64),
    /// `boolValue`
    Bool(bool),
    /// `arrayValue` of strings
    Texts(Vec<String>),
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanEvent {
    /// Name of the event.
    pub name: Cow<'static, str>,
    /// When it happened.
    pub time: Timestamp,
    /// Attributes in a fixed order.
    pub attributes: Vec<Attribute>,
}

/// A pointer to another span, most often of another trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanLink {
    /// The trace of the span that is pointed to.
    pub trace: TraceId,
    /// The id of that span.
    pub span: SpanId,
    /// Attributes in a fixed order.
    pub attributes: Vec<Attribute>,
}

/// Spans that share a resource: one entry of the outbox, one `ResourceSpans` on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanBatch {
    /// `service.version`: the client's version, empty if no row said it.
    pub service_version: String,
    /// The spans, children before their root.
    pub spans: Vec<Span>,
}
