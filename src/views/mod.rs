//! What each reader wants from the facts: metrics, spans, answers. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod span;
pub mod summary;
pub mod totals;
