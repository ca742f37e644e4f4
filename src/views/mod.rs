//! Turns the facts into what each reader wants. Pure. The six wings below do not import each other; what two of them
//! need is a fact, and belongs to [`crate::ledger`]. Exceptions: ids of traces and spans are a public contract, which every
//! wing may name; and tables are asked for with the filters and the calendar of analytics.
//!
//! ```text
//! analytics  sums over the whole history, by time, project, model and more
//! metrics    counters, gauges and histograms: their names, what they count, and how they are written
//! sessions   the sums of a session, its parts, and its events in order
//! tables     the tables of an export, with their columns
//! text       the text of a conversation
//! traces     spans: ids, attributes, the tree of a turn, and the JSON of Jaeger's API
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod analytics;
pub mod metrics;
pub mod sessions;
pub mod tables;
pub mod text;
pub mod traces;
