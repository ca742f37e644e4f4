//! Turns the facts into what each reader wants. Pure. The five wings below do not import each other; what two of them
//! need is a fact, and belongs to [`crate::ledger`]. One exception: ids of traces and spans are a public contract,
//! which every wing may name.
//!
//! ```text
//! analytics  sums over the whole history, by time, project, model and more
//! metrics    counters, gauges and histograms: their names, what they count, and how they are written
//! sessions   the sums of a session, its parts, and its events in order
//! text       the text of a conversation
//! traces     spans: ids, attributes, the tree of a turn, and the JSON of Jaeger's API
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod analytics;
pub mod metrics;
pub mod sessions;
pub mod text;
pub mod traces;
