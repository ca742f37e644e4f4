//! `/metrics` in its formats.
//!
//! ```text
//! exposition   text 0.0.4, and what belongs to the process
//! openmetrics  OpenMetrics 1.0; accept  which of the two is asked for
//! claude_code  `/metrics/claude-code`
//! descriptions what the routes do
//! ```

pub(super) mod accept;
pub mod claude_code;
pub mod descriptions;
pub mod exposition;
pub mod openmetrics;
