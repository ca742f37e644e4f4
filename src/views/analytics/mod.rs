//! Sums over the whole history, as questions about it ask for them.
//!
//! ```text
//! period         hours, days, weeks and months in a time zone
//! cells          what a unit or section comes to in each quarter hour; stored beside it
//! work           what a unit or section did and when, in a small form; stored with its cells
//! names          names as numbers
//! session_cells  the cells of one session, in memory
//! cube           all sessions, in memory
//! filter         what is counted of them
//! index          what the list of sessions is filtered and sorted by
//! blocks         five-hour blocks
//! costs          tokens and cost, filtered and grouped
//! ```

pub mod blocks;
pub mod cells;
pub mod costs;
pub mod cube;
pub mod filter;
pub mod index;
pub mod names;
pub mod period;
pub mod session_cells;
pub mod work;
