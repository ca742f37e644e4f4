//! Sums over the whole history.
//!
//! ```text
//! questions  the parameters that all questions share: filters, time zone, page
//! cells      the cells of all sessions, kept in memory, and the version of the state that they are of
//! bottlenecks  where the time of turns went
//! costs      tokens and cost
//! tools      tool calls
//! places     where single calls and responses stand, as links
//! ```

pub mod bottlenecks;
pub mod cells;
pub mod costs;
pub(super) mod places;
pub(super) mod questions;
pub mod tools;
