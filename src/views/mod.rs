//! What each reader wants from the facts: metrics, spans, answers. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod attributes;
pub mod catalog;
pub mod claude_code;
pub mod content;
pub mod exemplars;
pub mod history;
mod history_times;
pub mod ids;
pub mod jaeger;
pub mod labels;
pub mod moments;
pub mod openinference;
pub mod openmetrics;
pub mod outline;
pub mod points;
pub mod replay;
pub mod replay_detail;
pub mod span;
pub mod summary;
pub mod timeline;
pub mod totals;
mod totals_items;
mod totals_series;
pub mod trace;
pub mod tree;
