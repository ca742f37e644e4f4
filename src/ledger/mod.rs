//! Turns records into units and sessions, in which everything that happened is counted once.
//!
//! Pure: no files, no clock. A [`unit::Unit`] is what one prompt, or one sub-agent, caused. Each of its parts has an
//! identity (`message.id`, `tool_use.id`, `uuid` of a row) and is merged in a way that does not depend on order or
//! repetition. Sums are computed from units ([`tally::Tally`]), so they cannot count anything twice; what a commit
//! changes is the difference between two states.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod account;
pub mod agents;
mod asked;
mod claim;
mod copies;
mod derived;
pub mod ended;
pub mod family;
pub mod fold;
pub mod gist;
mod holder;
pub mod holders;
mod keys;
pub mod known;
mod merge;
pub mod model_name;
mod moments;
pub mod money;
pub mod parts;
pub mod permission;
pub mod place;
mod price_rates;
mod price_table;
pub mod prices;
mod prompts;
pub mod queue;
pub mod rest;
mod retired;
pub mod run;
pub mod runs;
pub mod session;
pub mod settle;
mod streams;
pub mod tally;
pub mod tokens;
pub mod unit;
