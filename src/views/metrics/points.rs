//! Everything that is shown, as one list for all formats, before it becomes text or OTLP.

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
    /// The number or histogram that the series has reached.
    pub sample: Sample,
    /// When the series was at 0; `None` for gauges, and if that is not known.
    pub created: Option<Timestamp>,
    /// For a histogram, the latest observation of each bucket that has one; for a counter, the latest increase.
    pub exemplars: Vec<Exemplar>,
}

impl Point {
    /// A number without exemplars, of a series that was at 0 at `since`.
    #[must_use]
    pub fn new(metric: &'static Metric, labels: Vec<Arc<str>>, number: i128, since: Option<Timestamp>) -> Self {
        let created = since.filter(|_| metric.kind != MetricKind::Gauge);
        Self { metric, labels, sample: Sample::Number(number), created, exemplars: Vec::new() }
    }
}

/// Every stored series, in the order of the catalogue, then those of custom metrics in the order of their rules.
#[must_use]
pub fn points(totals: &Snapshot) -> Vec<Point> {
    catalog::ALL
        .iter()
        .copied()
        .chain(totals.custom().iter().copied())
        .flat_map(|metric| points_of(metric, totals))
        .collect()
}

/// The stored series of one metric; none if the metric is kept in the process.
pub fn points_of(metric: &'static Metric, totals: &Snapshot) -> impl Iterator<Item = Point> {
    totals.stored(metric).map(move |(series, stored)| Point {
        metric,
        labels: series.labels.clone(),
        sample: stored.sample.clone(),
        created: stored.created.filter(|_| metric.kind != MetricKind::Gauge),
        exemplars: totals.exemplars.get(series).into_iter().flatten().flatten().copied().collect(),
    })
}
