//! Counters, gauges and histograms.
//!
//! ```text
//! catalog                 every metric, defined once: name, kind, unit, help, labels
//! labels                  what session files say, reduced to bounded words
//! items                   what a unit contributes to the totals
//! totals, series          the stored counters and gauges, and their form
//! exemplars               which span shows an observation
//! history, history_times  what the counters would have shown in the past
//! points                  everything that `/metrics` shows, before it is text or OTLP
//! openmetrics             lines that OpenMetrics and the history have in common
//! claude_code             our numbers by the names of Claude Code's own telemetry
//! ```

pub mod catalog;
pub mod claude_code;
pub mod exemplars;
pub mod history;
mod history_times;
mod items;
pub mod labels;
pub mod openmetrics;
pub mod points;
mod series;
pub mod totals;
