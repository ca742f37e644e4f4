//! The stored form of the totals: series, their absolute samples, and when they began.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::Metric;
use crate::views::metrics::exemplars::Exemplar;

/// One series: a metric and the values of its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// Name of the metric without prefix. It is stored as text, so that stored samples outlive changes of the
    /// catalogue.
    pub metric: Cow<'static, str>,
    /// Values in the order of the metric's labels.
    pub labels: Vec<Arc<str>>,
}

/// The number or histogram that a series has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample {
    /// The number of a counter or gauge, in the stored unit: see
    /// [`MetricUnit`](crate::views::metrics::catalog::MetricUnit).
    Number(i128),
    Histogram(Histogram),
}

/// Observations by size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Observations in each bucket, without those of lower buckets; the last bucket is beyond all bounds.
    pub buckets: Vec<u64>,
    /// Number of all observations.
    pub count: u64,
    /// Exact sum in milliseconds or picodollars, as the metric's unit says.
    pub sum: i128,
}

/// What is stored of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The number or histogram that it has reached.
    pub sample: Sample,
    /// When it was first at 0; `None` if that is not known.
    pub created: Option<Timestamp>,
}

/// The latest observation of each bucket of a series; a counter has one bucket.
pub(super) type Exemplars = Vec<Option<Exemplar>>;

/// All series at one moment. A clone is cheap, because it shares the data.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(super) series: Arc<BTreeMap<Series, Stored>>,
    pub(super) exemplars: Arc<BTreeMap<Series, Exemplars>>,
    pub(super) custom: Arc<[&'static Metric]>,
}

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
        if let Some(bucket) = self.buckets.get_mut(bucket_of(bounds, value)) {
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

impl From<Sample> for Stored {
    /// A sample of a series for which it is not known when it was 0.
    fn from(sample: Sample) -> Self {
        Self { sample, created: None }
    }
}

impl Snapshot {
    /// The custom metrics, in the order of their rules.
    #[must_use]
    pub fn custom(&self) -> &[&'static Metric] {
        &self.custom
    }

    /// Every series with its sample, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, &Sample)> {
        self.series.iter().map(|(series, stored)| (series, &stored.sample))
    }

    /// The sample of one series; `None` if the series does not exist.
    #[must_use]
    pub fn get(&self, metric: &'static Metric, labels: &[&str]) -> Option<&Sample> {
        self.series.get(&named(metric, labels)).map(|stored| &stored.sample)
    }

    /// When a series was first at 0; `None` if that is not known.
    #[must_use]
    pub fn created(&self, metric: &'static Metric, labels: &[&str]) -> Option<Timestamp> {
        self.series.get(&named(metric, labels)).and_then(|stored| stored.created)
    }

    /// The latest observation of each bucket of a series, the bucket beyond all bounds included; for a counter, the
    /// latest increase. Empty if there is none.
    #[must_use]
    pub fn exemplars(&self, metric: &'static Metric, labels: &[&str]) -> &[Option<Exemplar>] {
        self.exemplars.get(&named(metric, labels)).map_or(&[], Vec::as_slice)
    }

    /// The series of one metric, in order of their label values.
    pub fn of(&self, metric: &'static Metric) -> impl Iterator<Item = (&[Arc<str>], &Sample)> {
        self.stored(metric).map(|(series, stored)| (series.labels.as_slice(), &stored.sample))
    }

    /// The series of one metric with the times at which they were first at 0, in order of their label values.
    pub(super) fn stored(&self, metric: &'static Metric) -> impl Iterator<Item = (&Series, &Stored)> {
        let own = self.series.range(Series::new(metric, Vec::new())..);
        own.take_while(|(series, _)| series.metric == metric.name)
    }
}

/// Position of the bucket that a value is counted in; without bounds there is one bucket.
pub(super) fn bucket_of(bounds: &[i128], value: i128) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

fn named(metric: &'static Metric, labels: &[&str]) -> Series {
    Series::new(metric, labels.iter().map(|label| Arc::from(*label)).collect())
}

/// Every combination of one value of each label.
pub(super) fn product(values: &[&[&str]]) -> Vec<Vec<Arc<str>>> {
    let mut combinations = vec![Vec::new()];
    for values in values {
        let longer = |labels: &Vec<Arc<str>>| {
            let labels = labels.clone();
            values.iter().map(move |value| labels.iter().cloned().chain([Arc::from(*value)]).collect())
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    combinations
}
