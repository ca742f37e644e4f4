//! Sums over the whole history.
//!
//! ```text
//! questions    the parameters that all questions share: filters, time zone, page
//! cells        the cells of all sessions, kept in memory, and the version of the state that they are of
//! costs        tokens and cost
//! projection   what the month will have cost
//! budgets      the budgets of the configuration
//! tools        tool calls
//! bottlenecks  where the time of turns went
//! patterns     what could be done better
//! runs         runs of workflows
//! usage        when and how much people work
//! place        where a single call or response stands
//! places       finds that, so that answers can link to it
//! ```

pub mod bottlenecks;
pub mod budgets;
pub mod cells;
pub mod costs;
pub mod patterns;
mod place;
pub(super) mod places;
mod projection;
pub(super) mod questions;
pub mod runs;
pub mod tools;
mod usage;
