//! Spans for Jaeger's query API: which traces match a search, and both forms of JSON.
//!
//! ```text
//! trace        a trace to be shown
//! filter       decides which traces match a search
//! go_duration  reads durations such as `1m30s`, as Jaeger's clients write them
//! tags         writes attributes as Jaeger's typed tags
//! v1           the JSON of `/api/traces`, which Grafana's data source reads
//! v3           the JSON of `/api/v3/traces`, which is OTLP, and summaries
//! ```
//!
//! - They are made from the same spans that are exported: ids, names, times and attributes are equal.
//! - Within a trace the root comes first, then the other spans in order of their start: Grafana takes the earliest span
//!   for the root, and of equally early spans the first. Attributes are in order of their names, as in Jaeger's
//!   answers.
//! - A trace without spans cannot be made, because Grafana's data source reads the first span of every trace.

mod filter;
mod go_duration;
mod tags;
mod trace;
mod v1;
mod v3;

pub use filter::Filter;
pub use go_duration::parse as parse_go_duration;
pub use trace::{Trace, mark_in_progress, operation_of};
pub use v1::{TraceV1, trace as trace_v1};
pub use v3::{ResourceSpans, TraceSummary, resource_spans, summary};
