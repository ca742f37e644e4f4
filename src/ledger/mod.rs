//! What happened, counted once: records in, units and sessions out.
//!
//! Pure. A [`unit::Unit`] is what one prompt, or one sub-agent, caused. Each part of it has an identity (`message.id`,
//! `tool_use.id`, row `uuid`) and a merge that does not care about order or repetition. Sums are functions of units
//! ([`tally::Tally`]), so they cannot count anything twice; what a commit changes is the difference of two states.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod agents;
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
pub mod place;
mod price_rates;
mod price_table;
pub mod prices;
mod prompts;
pub mod queue;
pub mod runs;
pub mod session;
pub mod tally;
pub mod tokens;
pub mod unit;
