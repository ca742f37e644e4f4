//! Sums over the whole history, as questions about it ask for them.
//!
//! ```text
//! period         hours, days, weeks and months in a time zone
//! periods        numbers for those that are met
//! cells          what a unit or section comes to in each quarter hour; stored beside it
//! work           what a unit or section did and when, in a small form; stored with its cells
//! names          names as numbers
//! critical_path  what a turn waited for
//! carried        what results of calls cost after they were produced
//! session_cells  the cells of one session, in memory
//! quarters       what they come to in each quarter hour, whoever did it, in memory
//! classes        the same for each kind of turn and sub-agent of the session
//! session_work   its tool calls and what its turns waited for, in memory
//! filter         what is counted of them
//! retired        what stays of the spending of sessions that ended for their age
//! spend          what was spent in each quarter hour, for sums that are asked for all the time
//! cube           all sessions, in memory
//! reach          which sessions must be read for rows of units
//! index          what the list of sessions is filtered and sorted by
//! blocks         five-hour blocks
//! sketch         quantiles
//! figures        money, tokens, durations and shares, rounded for people
//! rows           rows while they are summed up
//! runs           all runs, in memory
//! cost_keys      by what rows of costs are told apart
//! costs          tokens and cost, filtered and grouped
//! tools          tool calls, filtered and grouped
//! bottlenecks    where the time of turns went
//! patterns       what could be done better, and what that would save
//! forecast       what the days to come bring, from the days before
//! projection     the same of a month, week or day of the calendar, and how it would have done in the past
//! budgets        what may be spent, held against what was and what is expected
//! limits         how much of the account's limits is used, and when one will be full
//! runaway        sessions that spend, call or fail far faster than they did
//! ```

pub mod blocks;
pub mod bottlenecks;
pub mod budgets;
mod carried;
pub mod cells;
mod classes;
mod cost_keys;
pub mod costs;
pub mod critical_path;
pub mod cube;
pub mod figures;
pub mod filter;
pub mod forecast;
pub mod index;
pub mod limits;
pub mod names;
pub mod patterns;
pub mod period;
mod periods;
pub mod projection;
mod quarters;
pub mod reach;
pub mod retired;
mod rows;
pub mod runaway;
pub mod runs;
pub mod session_cells;
pub mod session_work;
pub mod sketch;
pub mod spend;
pub mod tools;
pub mod work;
