//! `/metrics` as OpenMetrics 1.0: the families of the text format, and what that format has no words for.
//!
//! ```text
//! # TYPE, # UNIT, # HELP   the family's name, of a counter without `_total`
//! _created                 when a series was 0: the first start, or when it was first seen
//! # {trace_id,span_id}     the latest observation of a bucket, and the latest increase of the cost
//! # EOF
//! ```
//!
//! - Values are those of the text format, from the same families: a scraper may change between the two. Only `le` is
//!   written differently: `1.0`, where the text format has `1`.
//! - A counter of the process began with the process. The `process_*` counters are the system's: it does not say.
//! - Gauges have no `_created`, so history in a gauge is never taken for an increase.

use std::fmt::{Display, Write};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use crate::http::metrics::accept::wants_openmetrics;
use crate::http::metrics::exposition::Scrape;
use crate::http::route::problem::Problem;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Kept, PREFIX, Unit};
use crate::views::metrics::exemplars::Exemplar;
use crate::views::metrics::openmetrics::{self, bound, head};

/// Content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Scrape<'_> {
    /// The metrics in the format that an `Accept` header asks for, and their content type.
    ///
    /// # Errors
    /// An internal problem if a family is not one that can be written.
    pub fn answer(&self, accept: &str) -> Result<(String, Vec<u8>), Problem> {
        if wants_openmetrics(accept) {
            return Ok((CONTENT_TYPE.to_owned(), self.openmetrics().into_bytes()));
        }
        self.text()
    }

    /// The metrics as OpenMetrics.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut text = String::new();
        for family in self.families() {
            Lines { scrape: self, metric: metric_of(&family), text: &mut text }.family(&family);
        }
        text.push_str("# EOF\n");
        text
    }
}

/// The text of one family in the making.
struct Lines<'a> {
    scrape: &'a Scrape<'a>,
    /// `None` for a family that is not ours.
    metric: Option<&'static catalog::Metric>,
    text: &'a mut String,
}

impl Lines<'_> {
    fn family(&mut self, family: &MetricFamily) {
        let kind = family.get_field_type();
        let name = match kind {
            MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
            _ => family.name(),
        };
        let word = match kind {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        };
        self.text.push_str(&head(name, word, family.help()));
        for metric in family.get_metric() {
            match kind {
                MetricType::COUNTER => self.counter(name, metric),
                MetricType::HISTOGRAM => self.histogram(name, metric),
                _ => self.line(format_args!("{name}{} {}", labels(metric, None), metric.get_gauge().get_value())),
            }
        }
    }

    fn counter(&mut self, name: &str, metric: &Metric) {
        let (labels, value) = (labels(metric, None), metric.get_counter().get_value());
        let exemplar = self.exemplar(self.exemplars(metric).first());
        self.line(format_args!("{name}_total{labels} {value}{exemplar}"));
        self.created(name, metric);
    }

    fn histogram(&mut self, name: &str, metric: &Metric) {
        let histogram = metric.get_histogram();
        let exemplars = self.exemplars(metric);
        let bounds =
            histogram.get_bucket().iter().map(|bucket| (bound(bucket.upper_bound()), bucket.cumulative_count()));
        let beyond = ("+Inf".to_owned(), histogram.get_sample_count());
        for (position, (bound, count)) in bounds.chain([beyond]).enumerate() {
            let exemplar = self.exemplar(exemplars.get(position));
            self.line(format_args!("{name}_bucket{} {count}{exemplar}", labels(metric, Some(&bound))));
        }
        let labels = labels(metric, None);
        self.line(format_args!("{name}_count{labels} {}", histogram.get_sample_count()));
        self.line(format_args!("{name}_sum{labels} {}", histogram.get_sample_sum()));
        self.created(name, metric);
    }

    /// When a series was 0, if that is known.
    fn created(&mut self, name: &str, sample: &Metric) {
        let Some(metric) = self.metric else { return };
        let created = match metric.kept {
            Kept::State => self.scrape.totals.created(metric, &values(sample)),
            Kept::Process => Some(self.scrape.vitals.started),
        };
        if let Some(created) = created {
            self.line(format_args!("{name}_created{} {}", labels(sample, None), seconds(created)));
        }
    }

    fn exemplars(&self, sample: &Metric) -> Vec<Option<Exemplar>> {
        self.metric.map_or_else(Vec::new, |metric| self.scrape.totals.exemplars(metric, &values(sample)).to_vec())
    }

    /// What stands behind a sample: its exemplar, or nothing. The labels have 63 characters of the 128 allowed.
    fn exemplar(&self, exemplar: Option<&Option<Exemplar>>) -> String {
        let (Some(metric), Some(Some(Exemplar { at, value, time }))) = (self.metric, exemplar) else {
            return String::new();
        };
        let (value, time) = (metric.unit.rendered(*value), seconds(*time));
        format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} {value} {time}", at.trace, at.span)
    }

    fn line(&mut self, line: impl Display) {
        match writeln!(self.text, "{line}") {
            Ok(()) => {}
            Err(_) => unreachable!("writing to a string does not fail"),
        }
    }
}

/// The catalogue's entry of a family.
fn metric_of(family: &MetricFamily) -> Option<&'static catalog::Metric> {
    family.name().strip_prefix(PREFIX).and_then(catalog::find)
}

fn values(metric: &Metric) -> Vec<&str> {
    metric.get_label().iter().map(LabelPair::value).collect()
}

/// The labels of a sample in braces, `le` last.
fn labels(metric: &Metric, bound: Option<&str>) -> String {
    let own = metric.get_label().iter().map(|label| (label.name(), label.value()));
    openmetrics::labels(own.chain(bound.map(|bound| ("le", bound))))
}

/// Seconds since 1970-01-01 UTC.
fn seconds(time: Timestamp) -> f64 {
    Unit::Timestamp.rendered(i128::from(time.0))
}
