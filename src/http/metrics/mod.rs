//! `/metrics` in its formats.
//!
//! ```text
//! scrape       what `/metrics` shows at one moment; process  the `process_*` families
//! accept       which of the two formats is asked for
//! claude_code  `/metrics/claude-code`
//! descriptions what the routes do
//! ```

pub(super) mod accept;
pub mod claude_code;
pub mod descriptions;
mod process;
pub mod scrape;
