//! `/metrics` as text 0.0.4: const metrics, built for each scrape from what is known at that moment.
//!
//! Names, kinds and help come from the catalogue. Totals are those of the last commit; a number that a crash could take
//! back is not shown. Numbers become floats only here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::http::route::problem::{FINE, Problem};
use crate::http::server::counters::RequestCounters;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Kept, Kind};
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::{self, Sample, Snapshot};
use crate::vitals::Vitals;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The route that has been asked by the time anybody can read the numbers.
const OWN_ROUTE: &str = "/metrics";

/// All that a scrape shows.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// Totals of the last commit.
    pub totals: &'a Snapshot,
    /// The sidecar's own state.
    pub vitals: &'a Vitals,
    /// What has left.
    pub deliveries: &'a Deliveries,
    /// What was asked.
    pub requests: &'a RequestCounters,
    /// What runs.
    pub build: Build<'a>,
    /// The time of the scrape.
    pub now: Timestamp,
}

/// What runs.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// Version of the program.
    pub version: &'a str,
    /// Commit it was built from.
    pub revision: &'a str,
}

/// Deliveries since the start of the process. Plain numbers, because the server does not know the exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Spans that the backend took.
    pub spans_exported: u64,
    /// Spans that it refused while it took the rest of their request.
    pub spans_rejected: u64,
    /// Requests that failed, by reason.
    pub failures: Vec<(&'static str, u64)>,
    /// Spans that were given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

/// The totals alone as text, for a pass without a sidecar around it.
///
/// # Errors
/// A family is not one that can be written.
pub fn totals_text(totals: &Snapshot) -> Result<Vec<u8>, prometheus::Error> {
    let stored = catalog::ALL.iter().filter(|metric| metric.kept == Kept::State);
    let families: Vec<_> = stored.map(|metric| totals_family(metric, totals)).collect();
    encode(&families.into_iter().filter(|family| !family.get_metric().is_empty()).collect::<Vec<_>>())
}

fn totals_family(metric: &'static catalog::Metric, totals: &Snapshot) -> MetricFamily {
    family(metric, totals.of(metric).map(|(values, sample)| stored(metric, values, sample)).collect())
}

pub(in crate::http) fn encode(families: &[MetricFamily]) -> Result<Vec<u8>, prometheus::Error> {
    let mut text = Vec::new();
    TextEncoder::new().encode(families, &mut text)?;
    Ok(text)
}

impl Scrape<'_> {
    /// The text and its content type.
    ///
    /// # Errors
    /// An internal problem if a family is not one that can be written.
    pub fn text(&self) -> Result<(String, Vec<u8>), Problem> {
        let text = encode(&self.families());
        let text = text.map_err(|error| Problem::internal(format!("the metrics cannot be written: {error}")))?;
        Ok((CONTENT_TYPE.to_owned(), text))
    }

    /// Every family with at least one series, in the order of the catalogue, then those of the process.
    #[must_use]
    pub fn families(&self) -> Vec<MetricFamily> {
        families_of(&self.points()).into_iter().chain(process()).collect()
    }

    /// Every series of the catalogue, in its order.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let mut live = self.live();
        let points = catalog::ALL.iter().flat_map(|metric| match metric.kept {
            Kept::State => self.stored_points(metric),
            Kept::Process => live.remove(metric.name).unwrap_or_default(),
        });
        points.collect()
    }

    fn stored_points(&self, metric: &'static catalog::Metric) -> Vec<Point> {
        let point = |(labels, sample): (&[Arc<str>], &Sample)| {
            let values: Vec<&str> = labels.iter().map(|value| &**value).collect();
            let is_gauge = metric.kind == Kind::Gauge;
            Point {
                metric,
                labels: labels.to_vec(),
                sample: sample.clone(),
                created: self.totals.created(metric, &values).filter(|_| !is_gauge),
                exemplars: self.totals.exemplars(metric, &values).iter().flatten().copied().collect(),
            }
        };
        self.totals.of(metric).map(point).collect()
    }

    /// The series of metrics that are not stored, by metric name.
    fn live(&self) -> BTreeMap<&'static str, Vec<Point>> {
        let vitals = self.vitals;
        let mut live = Live { started: vitals.started, points: BTreeMap::new() };
        live.add(&catalog::BUILD_INFO, &[self.build.version, self.build.revision], 1);
        live.add(&catalog::START_TIME, &[], i128::from(vitals.started.0));
        live.add(&catalog::INITIAL_SCAN_COMPLETE, &[], i128::from(vitals.initial_scan_complete.get()));
        live.add(&catalog::FILES_WATCHED, &[], i128::from(vitals.files_watched.get()));
        live.add(&catalog::WATCH_DEGRADED, &[], i128::from(vitals.watch_degraded.get()));
        live.add(&catalog::PATHS_UNREADABLE, &[], i128::from(vitals.paths_unreadable.get()));
        live.add(&catalog::READ_LAG, &[], i128::from(vitals.read_lag_bytes.get()));
        live.add(&catalog::STORE_BYTES, &[], i128::from(vitals.store_bytes.get()));
        live.add(&catalog::STATE_WRITABLE, &[], i128::from(vitals.trouble().is_none()));
        live.add(&catalog::STATE_DRIFT, &[], i128::from(vitals.state_drift.get()));
        live.add(&catalog::LOG_LINES_LOST, &[], i128::from(vitals.log_lines_lost.load(Ordering::Relaxed)));
        live.add(&catalog::OUTBOX_SPANS, &[], i128::from(vitals.outbox_spans.get()));
        if let Some(time) = vitals.last_event.get() {
            live.add(&catalog::LAST_EVENT, &[], i128::from(time.0));
        }
        if let Some(time) = vitals.outbox_oldest.get() {
            live.add(&catalog::OUTBOX_OLDEST, &[], i128::from(time.0));
        }
        for (endpoint, waiting) in vitals.history() {
            live.add(&catalog::HISTORY_WAITING, &[&endpoint], i128::from(waiting));
        }
        self.sessions(&mut live);
        self.deliveries(&mut live);
        self.requests(&mut live);
        live.points
    }

    fn sessions(&self, live: &mut Live) {
        let counts = self.vitals.live(self.totals, self.now);
        for entrypoint in crate::views::metrics::labels::ENTRYPOINTS {
            let counts = counts.get(entrypoint).copied().unwrap_or_default();
            live.add(&catalog::SESSIONS_ACTIVE, &[entrypoint], i128::from(counts.active));
            live.add(&catalog::SESSIONS_WAITING, &[entrypoint], i128::from(counts.waiting));
        }
    }

    fn deliveries(&self, live: &mut Live) {
        let Deliveries { spans_exported, spans_rejected, failures, dropped } = self.deliveries;
        live.add(&catalog::SPANS_EXPORTED, &[], i128::from(*spans_exported));
        live.add(&catalog::EXPORT_REJECTED, &[], i128::from(*spans_rejected));
        for (metric, counts) in [(&catalog::EXPORT_FAILURES, failures), (&catalog::SPANS_DROPPED, dropped)] {
            for reason in metric.labels.iter().flat_map(catalog::Label::at_start) {
                let count = counts.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count);
                live.add(metric, &[reason], i128::from(count));
            }
        }
    }

    fn requests(&self, live: &mut Live) {
        let mut counts = self.requests.snapshot();
        counts.entry((OWN_ROUTE, FINE.as_u16())).or_default();
        for ((route, code), count) in counts {
            live.add(&catalog::HTTP_REQUESTS, &[route, &code.to_string()], i128::from(count));
        }
    }
}

struct Live {
    started: Timestamp,
    points: BTreeMap<&'static str, Vec<Point>>,
}

impl Live {
    fn add(&mut self, metric: &'static catalog::Metric, values: &[&str], number: i128) {
        let labels = values.iter().map(|value| Arc::from(*value)).collect();
        let created = (metric.kind != Kind::Gauge).then_some(self.started);
        let point = Point { metric, labels, sample: Sample::Number(number), created, exemplars: Vec::new() };
        self.points.entry(metric.name).or_default().push(point);
    }
}

/// The families of points that stand together.
pub(in crate::http) fn families_of(points: &[Point]) -> Vec<MetricFamily> {
    let families = points.chunk_by(|a, b| a.metric == b.metric).filter_map(|points| {
        let metric = points.first()?.metric;
        Some(family(metric, points.iter().map(|point| stored(metric, &point.labels, &point.sample)).collect()))
    });
    families.collect()
}

fn family(metric: &catalog::Metric, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.full_name());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

fn stored(metric: &'static catalog::Metric, values: &[Arc<str>], stored: &Sample) -> Metric {
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    match stored {
        Sample::Number(number) => sample(metric, &values, *number),
        Sample::Histogram(stored) => {
            let mut sample = Metric::from_label(label_pairs(metric, &values));
            sample.set_histogram(histogram(metric, stored));
            sample
        }
    }
}

fn sample(metric: &'static catalog::Metric, values: &[&str], number: i128) -> Metric {
    let number = metric.unit.rendered(number);
    let mut sample = Metric::from_label(label_pairs(metric, values));
    if metric.kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(number);
        sample.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(number);
        sample.set_gauge(gauge);
    }
    sample
}

fn histogram(metric: &catalog::Metric, stored: &totals::Histogram) -> Histogram {
    let mut cumulative: u64 = 0;
    let buckets = metric.buckets.iter().zip(&stored.buckets).map(|(bound, count)| {
        cumulative = cumulative.saturating_add(*count);
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(metric.unit.rendered(*bound));
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(stored.count);
    histogram.set_sample_sum(metric.unit.rendered(stored.sum));
    histogram
}

fn label_pairs(metric: &catalog::Metric, values: &[&str]) -> Vec<LabelPair> {
    let pair = |(label, value): (&catalog::Label, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.name.to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    metric.labels.iter().zip(values).map(pair).collect()
}

/// The `process_*` families, which every Prometheus client library has.
#[cfg(target_os = "linux")]
fn process() -> Vec<MetricFamily> {
    use prometheus::core::Collector;

    prometheus::process_collector::ProcessCollector::for_self().collect()
}

/// The collector reads `/proc`.
#[cfg(not(target_os = "linux"))]
const fn process() -> Vec<MetricFamily> {
    Vec::new()
}
