//! A span as it leaves: ids, times, attributes. Pure data; `export` turns it into OTLP.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{SpanId, TraceId};

/// One finished span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace that it is in.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The parent in the same trace; `None` for a root.
    pub parent: Option<SpanId>,
    /// `INTERNAL` or `CLIENT`.
    pub kind: SpanKind,
    /// Name, at most 128 bytes.
    pub name: String,
    /// Start time.
    pub start: Timestamp,
    /// End time, never before the start.
    pub end: Timestamp,
    /// Attributes in a fixed order, so that a span sent again has the same bytes.
    pub attributes: Vec<Attribute>,
    /// Events in order of time.
    pub events: Vec<SpanEvent>,
    /// Links to other traces.
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
    /// No error.
    Unset,
    /// Failed; the text is a class such as `exit code 3`, never output of a tool.
    Error(String),
}

/// Name and value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Name, from `views::attributes`.
    pub key: Cow<'static, str>,
    pub value: Value,
}

/// Value of an attribute.
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
    /// When.
    pub time: Timestamp,
    /// Attributes in a fixed order.
    pub attributes: Vec<Attribute>,
}

/// A pointer to a span of another trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanLink {
    /// The trace of the target.
    pub trace: TraceId,
    /// The target.
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
