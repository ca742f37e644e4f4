//! `/metrics` in its formats.
//!
//! ```text
//! scrape        collects what `/metrics` shows at one moment
//! process       the `process_*` metrics
//! accept        decides which of the two formats is asked for
//! claude_code   `/metrics/claude-code`
//! descriptions  descriptions of the routes
//! ```

pub(super) mod accept;
pub mod claude_code;
pub mod descriptions;
mod process;
pub mod scrape;
