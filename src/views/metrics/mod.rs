//! Counters, gauges and histograms.
//!
//! ```text
//! metric                  what a metric is
//! catalog                 every metric, defined once, with the measure that it counts
//! document                writes the catalogue as tables
//! labels                  reduces what session files say to bounded label values
//! entries, gauges         turn observations into numbers with labels
//! totals, series          the stored counters and gauges, and the form in which they are stored
//! exemplars               finds the span that shows an observation
//! rules, custom           the custom metrics of the configuration, and what their rules count of a change
//! history, history_times  what the counters would have shown in the past
//! claude_code             the numbers under the names of Claude Code's own telemetry
//! points                  everything that is shown, before it becomes text or OTLP
//! text                    writes points as text 0.0.4 and as OpenMetrics
//! ```

pub mod catalog;
pub mod claude_code;
pub mod custom;
pub mod document;
mod entries;
pub mod exemplars;
mod gauges;
pub mod history;
mod history_times;
pub mod labels;
mod metric;
pub mod points;
pub mod rules;
mod series;
pub mod text;
pub mod totals;
