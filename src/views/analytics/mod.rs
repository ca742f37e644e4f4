//! Sums over the whole history, as questions about it ask for them.
//!
//! ```text
//! period         hours, days, weeks and months in a time zone
//! cells          what a unit or section comes to in each quarter hour; stored beside it
//! work           what a unit or section did and when, in a small form; stored with its cells
//! names          names as numbers
//! session_cells  the cells of one session, in memory
//! session_work   its tool calls, in memory
//! carried        what results of calls cost after they were produced
//! sketch         quantiles
//! cube           all sessions, in memory
//! filter         what is counted of them
//! index          what the list of sessions is filtered and sorted by
//! critical_path  what a turn waited for
//! blocks         five-hour blocks
//! costs          tokens and cost, filtered and grouped
//! tools          tool calls, filtered and grouped
//! bottlenecks    where the time of turns went
//! periods        numbers for hours, days, weeks and months
//! ```

pub mod blocks;
pub mod bottlenecks;
mod carried;
pub mod cells;
pub mod costs;
pub mod critical_path;
pub mod cube;
pub mod filter;
pub mod index;
pub mod names;
pub mod period;
mod periods;
pub mod session_cells;
pub mod session_work;
pub mod sketch;
pub mod tools;
pub mod work;
