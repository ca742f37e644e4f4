//! The stored form of the totals: series and their absolute samples.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalog::Metric;

/// One series: a metric and the values of its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// Name of the metric without prefix. Text and not a number, so that stored samples outlive changes of the list.
    pub metric: Cow<'static, str>,
    /// Values in the order of the metric's labels.
    pub labels: Vec<Arc<str>>,
}

/// What a series has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample {
    /// Of a counter or gauge: a count, or picodollars if the metric's unit is money.
    Number(i128),
    /// Of a histogram.
    Histogram(Histogram),
}

/// Observations by size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Observations in each bucket alone; the last one is that beyond all bounds.
    pub buckets: Vec<u64>,
    /// All observations.
    pub count: u64,
    /// Exact sum in milliseconds or picodollars, as the metric's unit says.
    pub sum: i128,
}

/// All series at one moment. A clone is a pointer.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(pub(super) Arc<BTreeMap<Series, Sample>>);

impl Series {
    /// A series of the catalogue.
    #[must_use]
    pub const fn new(metric: &'static Metric, labels: Vec<Arc<str>>) -> Self {
        Self { metric: Cow::Borrowed(metric.name), labels }
    }
}

impl Histogram {
    pub(super) fn new(metric: &Metric) -> Self {
        Self { buckets: vec![0; metric.buckets.len() + 1], count: 0, sum: 0 }
    }

    pub(super) fn observe(&mut self, bounds: &[i128], value: i128) {
        let position = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(bucket) = self.buckets.get_mut(position) {
            *bucket = bucket.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(value);
    }

    /// The value below which `per_cent` of the observations are, interpolated inside its bucket as PromQL's
    /// `histogram_quantile` does; the highest bound if it is beyond all of them, `None` without observations.
    #[must_use]
    pub fn quantile(&self, bounds: &[i128], per_cent: u64) -> Option<i128> {
        let rank = i128::from(self.count) * i128::from(per_cent);
        let (mut below, mut lower) = (0, 0);
        for (bucket, upper) in self.buckets.iter().zip(bounds) {
            let inside = i128::from(*bucket) * 100;
            if inside > 0 && below + inside >= rank {
                return Some(lower + (upper - lower) * (rank - below) / inside);
            }
            below += inside;
            lower = *upper;
        }
        (self.count > 0).then_some(lower)
    }
}

impl Sample {
    pub(super) fn zero(metric: &Metric) -> Self {
        if metric.buckets.is_empty() { Self::Number(0) } else { Self::Histogram(Histogram::new(metric)) }
    }

    /// True if the sample is one that `metric` could have now.
    pub(super) fn fits(&self, metric: &Metric) -> bool {
        match self {
            Self::Number(_) => metric.buckets.is_empty(),
            Self::Histogram(histogram) => {
                !metric.buckets.is_empty() && histogram.buckets.len() == metric.buckets.len() + 1
            }
        }
    }
}

impl Snapshot {
    /// Every series with its sample, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, &Sample)> {
        self.0.iter()
    }

    /// The sample of one series.
    #[must_use]
    pub fn get(&self, metric: &'static Metric, labels: &[&str]) -> Option<&Sample> {
        let labels = labels.iter().map(|label| Arc::from(*label)).collect();
        self.0.get(&Series::new(metric, labels))
    }

    /// The series of one metric, in order of their label values.
    pub fn of(&self, metric: &'static Metric) -> impl Iterator<Item = (&[Arc<str>], &Sample)> {
        let own = self.0.range(Series::new(metric, Vec::new())..);
        own.take_while(|(series, _)| series.metric == metric.name)
            .map(|(series, sample)| (series.labels.as_slice(), sample))
    }
}
