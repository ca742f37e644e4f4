//! Spans.
//!
//! ```text
//! ids            trace and span ids: a public contract
//! attributes     the name of every attribute
//! caller         the span within which a run was called
//! span           a span as it leaves
//! tree           the spans of a turn and of its sub-agents, and that of a run
//! finish         gives a span its final form, with these in this order:
//!   content, texts   text of the conversation, and the rows that hold it
//!   address          where the event of the span is shown
//!   scope            the trace that holds the span
//!   openinference    a second set of names
//! jaeger         spans for Jaeger's API
//! drawing        spans as text for people
//! ```

pub mod address;
pub mod attributes;
pub mod caller;
pub mod content;
pub mod drawing;
pub mod finish;
pub mod ids;
pub mod jaeger;
pub mod openinference;
pub mod scope;
pub mod span;
mod texts;
pub mod tree;
