//! Counters, gauges and histograms.
//!
//! ```text
//! metric                  what a metric is
//! catalog                 every metric, defined once, with the measure that it counts; document  the same as tables
//! labels                  what session files say, reduced to bounded words
//! entries, gauges         observations as metrics see them: in a series
//! totals, series          the stored counters and gauges, and their form
//! exemplars               which span shows an observation
//! history, history_times  what the counters would have shown in the past
//! claude_code             our numbers by the names of Claude Code's own telemetry
//! points                  everything that is shown, before it is text or OTLP
//! text                    points as text 0.0.4 and as OpenMetrics
//! ```

pub mod catalog;
pub mod claude_code;
pub mod document;
mod entries;
pub mod exemplars;
mod gauges;
pub mod history;
mod history_times;
pub mod labels;
mod metric;
pub mod points;
mod series;
pub mod text;
pub mod totals;
