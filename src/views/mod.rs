//! Turns the facts into what each reader wants. Pure. The seven wings below do not import each other; what two of them
//! need is a fact, and belongs to [`crate::ledger`]. Exceptions: ids of traces and spans are a public contract, which every
//! wing may name; tables are asked for with the filters and the calendar of analytics; and a transcript is made of the events
//! of a session and their texts.
//!
//! ```text
//! analytics    sums over the whole history, by time, project, model and more
//! metrics      counters, gauges and histograms: their names, what they count, and how they are written
//! sessions     the sums of a session, its parts, and its events in order
//! tables       the tables of an export, with their columns
//! text         the text of a conversation
//! traces       spans: ids, attributes, the tree of a turn, and the JSON of Jaeger's API
//! transcripts  a whole session as one file
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod analytics;
pub mod metrics;
pub mod sessions;
pub mod tables;
pub mod text;
pub mod traces;
pub mod transcripts;
