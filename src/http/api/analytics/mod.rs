//! Sums over the whole history.
//!
//! ```text
//! questions  the parameters that all questions share: filters, time zone, page
//! cells      the cells of all sessions, kept in memory, and the version of the state that they are of
//! costs      tokens and cost
//! ```

pub mod cells;
pub mod costs;
pub(super) mod questions;
