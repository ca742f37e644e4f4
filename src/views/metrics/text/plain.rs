//! Text 0.0.4: what a browser shows, `scan --format prometheus` prints, and every scraper reads.
//!
//! Every number is a float, counts of observations too, so that beyond 2^53 the last digits are lost.

use super::line::{LineStart, cumulative, escaped, limits, push};
use crate::views::metrics::catalog::{MetricKind, MetricUnit};
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::Sample;

/// The lines before the samples of a metric.
pub(super) fn head(name: &str, kind: MetricKind, help: &str) -> String {
    format!("# HELP {name} {}\n# TYPE {name} {}\n", escaped(help), kind.name())
}

/// Appends the lines of a series.
pub(super) fn samples(point: &Point, start: &LineStart<'_>, text: &mut String) {
    let metric = point.metric;
    match &point.sample {
        Sample::Number(number) => push(text, &start.of(""), metric.unit.rendered(*number)),
        Sample::Histogram(histogram) => {
            let counts = cumulative(&histogram.buckets).take(metric.buckets.len()).chain([histogram.count]);
            for (limit, count) in limits(metric, |bound| bound.to_string()).zip(counts) {
                push(text, &start.bucket(&limit), float(count));
            }
            push(text, &start.of("_sum"), metric.unit.rendered(histogram.sum));
            push(text, &start.of("_count"), float(histogram.count));
        }
    }
}

fn float(count: u64) -> f64 {
    MetricUnit::Count.rendered(i128::from(count))
}
