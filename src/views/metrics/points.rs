//! Everything that `/metrics` shows, before it is text or OTLP: one list for both.

use std::sync::Arc;

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::Metric;
use crate::views::metrics::exemplars::Exemplar;
use crate::views::metrics::totals::Sample;

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its metric.
    pub metric: &'static Metric,
    /// Values in the order of the metric's labels.
    pub labels: Vec<Arc<str>>,
    /// What it has reached.
    pub sample: Sample,
    /// When it was at 0; `None` for gauges and where nobody knows.
    pub created: Option<Timestamp>,
    /// The latest observation of each bucket that has one, or the latest increase.
    pub exemplars: Vec<Exemplar>,
}
