//! Everything that is shown, before it is text or OTLP: one list for all formats.

use std::sync::Arc;

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Metric, MetricKind};
use crate::views::metrics::exemplars::Exemplar;
use crate::views::metrics::totals::{Sample, Snapshot};

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
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

impl Point {
    /// A number that no span shows, of a series that began at `since`.
    #[must_use]
    pub fn new(metric: &'static Metric, labels: Vec<Arc<str>>, number: i128, since: Option<Timestamp>) -> Self {
        let created = since.filter(|_| metric.kind != MetricKind::Gauge);
        Self { metric, labels, sample: Sample::Number(number), created, exemplars: Vec::new() }
    }
}

/// Every stored series, in the order of the catalogue.
#[must_use]
pub fn points(totals: &Snapshot) -> Vec<Point> {
    catalog::ALL.iter().flat_map(|metric| points_of(metric, totals)).collect()
}

/// The stored series of one metric: none of a metric that belongs to the process.
pub fn points_of(metric: &'static Metric, totals: &Snapshot) -> impl Iterator<Item = Point> {
    totals.stored(metric).map(move |(series, stored)| Point {
        metric,
        labels: series.labels.clone(),
        sample: stored.sample.clone(),
        created: stored.created.filter(|_| metric.kind != MetricKind::Gauge),
        exemplars: totals.exemplars.get(series).into_iter().flatten().flatten().copied().collect(),
    })
}
