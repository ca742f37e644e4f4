//! The parts of lines that both text formats share.

use std::fmt::Display;
use std::sync::Arc;

use crate::views::metrics::catalog::Metric;

/// The beginning of a series' lines: its name and its labels, which are escaped once for all its lines.
#[derive(Debug)]
pub(in crate::views::metrics) struct LineStart<'a> {
    name: &'a str,
    /// The labels as text, without the braces around them.
    labels: String,
}

impl<'a> LineStart<'a> {
    /// The beginning of lines of a series. `name` is the scraped name, with `_total` for a counter.
    pub(in crate::views::metrics) fn new<'b>(name: &'a str, labels: impl Iterator<Item = (&'b str, &'b str)>) -> Self {
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
        Self { name, labels: labels.join(",") }
    }

    /// The beginning of the line of the sample whose name has this `ending`, such as `_sum` or nothing.
    pub(in crate::views::metrics) fn of(&self, ending: &str) -> String {
        self.of_name(&format!("{}{ending}", self.name))
    }

    /// The beginning of the line that tells when the series was 0. A counter's name has no `_total` there.
    pub(super) fn created(&self) -> String {
        self.of_name(&format!("{}_created", family_name(self.name)))
    }

    /// The beginning of the line of the bucket up to `limit`.
    pub(in crate::views::metrics) fn bucket(&self, limit: &str) -> String {
        let Self { name, labels } = self;
        let comma = if labels.is_empty() { "" } else { "," };
        format!("{name}_bucket{{{labels}{comma}le=\"{limit}\"}}")
    }

    fn of_name(&self, name: &str) -> String {
        if self.labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", self.labels) }
    }
}

/// Appends the line of a sample.
pub(super) fn push(text: &mut String, start: &str, number: impl Display) {
    text.push_str(&format!("{start} {number}\n"));
}

/// The labels of a series with their names.
pub(in crate::views::metrics) fn label_pairs<'a>(
    metric: &'static Metric,
    values: &'a [Arc<str>],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    metric.labels.iter().zip(values).map(|(label, value)| (label.name, &**value))
}

/// The limits of a histogram's buckets as its lines show them, the infinite one at the end.
pub(in crate::views::metrics) fn limits(metric: &Metric, shown: fn(f64) -> String) -> impl Iterator<Item = String> {
    let bounds = metric.buckets.iter().map(move |bound| shown(metric.unit.rendered(*bound)));
    bounds.chain(["+Inf".to_owned()])
}

/// The number of observations of each bucket together with those of the buckets below it.
pub(in crate::views::metrics) fn cumulative(buckets: &[u64]) -> impl Iterator<Item = u64> {
    buckets.iter().scan(0u64, |below, count| {
        *below = below.saturating_add(*count);
        Some(*below)
    })
}

/// The name of a family in OpenMetrics, where only the samples of a counter end with `_total`.
pub(super) fn family_name(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// A text with its backslashes and line ends escaped.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// A text that may stand between quotes: its backslashes, line ends and quotes are escaped.
pub(super) fn quoted(text: &str) -> String {
    escaped(text).replace('"', "\\\"")
}
