//! Spans in the words of Jaeger's query API: what a search takes, and both forms of JSON.
//!
//! ```text
//! trace        a trace to be shown
//! filter       which traces a search takes
//! go_duration  `1m30s`: how Jaeger's clients write durations
//! tags         attributes as Jaeger's typed tags
//! v1           the JSON behind `/api/traces`: what Grafana's data source reads
//! v3           OTLP as JSON behind `/api/v3/traces`, and summaries
//! ```
//!
//! - Made from the same spans that are exported: ids, names, times and attributes are equal.
//! - Within a trace the root comes first, then the others in order of their start: Grafana takes the earliest span for
//!   the root, and of equally early ones the first. Attributes stand in order of their names, as in Jaeger's answers.
//! - A trace without spans cannot be made: Grafana's data source reads the first span of every trace it is given.

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
