//! OpenMetrics 1.0: the metrics of the plain text, with more lines for what that format cannot tell.
//!
//! ```text
//! # TYPE, # UNIT, # HELP   with the name of the metric family, for a counter without `_total`
//! _created                 when a series was 0: the first start, or when it was first seen
//! # {trace_id,span_id}     the latest observation of a bucket, and the latest increase of the cost
//! # EOF
//! ```
//!
//! - Values are those of the plain text. Only limits of buckets are written differently, `1.0` for `1`, and counts of
//!   observations are whole numbers.
//! - Gauges have no `_created`, so that history in a gauge is never taken for an increase. Counters have none either if
//!   it is not known since when they count, such as the `process_*` counters of the system.

use super::line::{LineStart, cumulative, family_name, limits, push, quoted};
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{MetricKind, MetricUnit};
use crate::views::metrics::points::Point;
use crate::views::metrics::series::bucket_of;
use crate::views::metrics::totals::Sample;

/// The last line. Without it, readers take a text for an incomplete one.
pub(in crate::views::metrics) const END: &str = "# EOF\n";

/// Units that a family's name may end with.
const UNITS: &[&str] = &["seconds", "bytes", "tokens", "usd", "ratio"];

/// The lines before the samples of a metric; `name` is the name of its samples, with `_total` for a counter.
pub(in crate::views::metrics) fn head(name: &str, kind: MetricKind, help: &str) -> String {
    let name = family_name(name);
    let is_unit = |unit: &&&str| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'));
    let unit = UNITS.iter().find(is_unit).map_or_else(String::new, |unit| format!("# UNIT {name} {unit}\n"));
    format!("# TYPE {name} {}\n{unit}# HELP {name} {}\n", kind.name(), quoted(help))
}

/// A bound as a canonical float of OpenMetrics. Between 0.0001 and 1,000,000, where all bounds are, Rust's `Debug` form
/// is the canonical one.
pub(in crate::views::metrics) fn bound(bound: f64) -> String {
    format!("{bound:?}")
}

/// Appends the lines of a series.
pub(super) fn samples(point: &Point, start: &LineStart<'_>, text: &mut String) {
    let metric = point.metric;
    match &point.sample {
        Sample::Number(number) => {
            let value = metric.unit.rendered(*number);
            push(text, &start.of(""), format_args!("{value}{}", exemplar(point, 0)));
        }
        Sample::Histogram(histogram) => {
            let counts = cumulative(&histogram.buckets).take(metric.buckets.len()).chain([histogram.count]);
            for (bucket, (limit, count)) in limits(metric, bound).zip(counts).enumerate() {
                push(text, &start.bucket(&limit), format_args!("{count}{}", exemplar(point, bucket)));
            }
            push(text, &start.of("_count"), histogram.count);
            push(text, &start.of("_sum"), metric.unit.rendered(histogram.sum));
        }
    }
    if let Some(created) = point.created {
        push(text, &start.created(), seconds(created));
    }
}

/// The text after a sample: the exemplar of its bucket, or nothing. The exemplar's labels have 63 characters;
/// OpenMetrics allows 128.
fn exemplar(point: &Point, bucket: usize) -> String {
    let metric = point.metric;
    let own = point.exemplars.iter().find(|exemplar| bucket_of(metric.buckets, exemplar.value) == bucket);
    own.map_or_else(String::new, |exemplar| {
        let (value, time) = (metric.unit.rendered(exemplar.value), seconds(exemplar.time));
        format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} {value} {time}", exemplar.at.trace, exemplar.at.span)
    })
}

/// Seconds since 1970-01-01 UTC.
fn seconds(time: Timestamp) -> f64 {
    MetricUnit::Timestamp.rendered(i128::from(time.0))
}
