//! Spans.
//!
//! ```text
//! ids            trace and span ids: a public contract
//! attributes     the name of every attribute
//! span           a span as it leaves
//! tree           the spans of a turn and of its sub-agents
//! content        text of the conversation on spans; openinference  a second set of names
//! scope          which trace holds a span
//! jaeger         spans in the words of Jaeger's API
//! drawing        spans as a text that a person reads
//! ```

pub mod attributes;
pub mod content;
pub mod drawing;
pub mod ids;
pub mod jaeger;
pub mod openinference;
pub mod scope;
pub mod span;
pub mod tree;
