//! Points as text, held against the text that the Prometheus library makes of the same numbers.

use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog::{self, ALL, Metric, MetricKind};
use tailspan::views::metrics::claude_code;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::points::{Point, points};
use tailspan::views::metrics::text::{Single, TextFormat};
use tailspan::views::metrics::totals::{Histogram, Sample};

use crate::support::units::recordings;

// ---- The same in the library's words -------------------------------------------------------------------------------

fn family(name: &str, kind: MetricKind, help: &str, metrics: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(match kind {
        MetricKind::Counter => MetricType::COUNTER,
        MetricKind::Gauge => MetricType::GAUGE,
        MetricKind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

fn with_number(kind: MetricKind, number: f64, metric: &mut proto::Metric) {
    let (mut counter, mut gauge) = (proto::Counter::default(), proto::Gauge::default());
    counter.set_value(number);
    gauge.set_value(number);
    match kind {
        MetricKind::Counter => metric.set_counter(counter),
        _ => metric.set_gauge(gauge),
    }
}

fn with_histogram(of: &Metric, stored: &Histogram, metric: &mut proto::Metric) {
    let mut below: u64 = 0;
    let buckets = of.buckets.iter().zip(&stored.buckets).map(|(bound, count)| {
        below = below.saturating_add(*count);
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(of.unit.rendered(*bound));
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(stored.count);
    histogram.set_sample_sum(of.unit.rendered(stored.sum));
    metric.set_histogram(histogram);
}

fn metric(point: &Point) -> proto::Metric {
    let pairs = point.metric.labels.iter().zip(&point.labels).map(|(label, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.name.to_owned());
        pair.set_value(value.to_string());
        pair
    });
    let mut metric = proto::Metric::from_label(pairs.collect());
    match &point.sample {
        Sample::Number(number) => with_number(point.metric.kind, point.metric.unit.rendered(*number), &mut metric),
        Sample::Histogram(stored) => with_histogram(point.metric, stored, &mut metric),
    }
    metric
}

/// What the library writes.
fn expected(points: &[Point], singles: &[Single]) -> String {
    let ours = points.chunk_by(|a, b| a.metric == b.metric).map(|points| {
        let of = points[0].metric;
        family(&of.full_name(), of.kind, of.help, points.iter().map(metric).collect())
    });
    let others = singles.iter().map(|Single { name, kind, help, number }| {
        let mut metric = proto::Metric::default();
        with_number(*kind, *number, &mut metric);
        family(name, *kind, help, vec![metric])
    });
    TextEncoder::new().encode_to_string(&ours.chain(others).collect::<Vec<_>>()).unwrap()
}

fn check(points: &[Point], singles: &[Single], what: &str) {
    let (ours, theirs) = (TextFormat::Plain.write(points, singles), expected(points, singles));
    let differs = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    assert!(ours == theirs, "{what}: {differs:?}, {} and {} bytes", ours.len(), theirs.len());
}

// ---- What is written -----------------------------------------------------------------------------------------------

/// Every text of at most `letters` letters of those that need escapes and one that does not.
fn strange(letters: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    for at in 0..letters {
        let longer = texts.iter().filter(|text| text.len() == at);
        let longer: Vec<_> =
            longer.flat_map(|text| ["a", "\\", "\"", "\n"].map(|letter| text.clone() + letter)).collect();
        texts.extend(longer);
    }
    texts.extend(["\t\r\0 é\u{2028}{}=,#".to_owned(), "+Inf".to_owned()]);
    texts
}

/// A series of each metric of the catalogue with this number; of a histogram, in each of its buckets.
fn each(number: i128, labels: &str) -> Vec<Point> {
    let point = |metric: &&'static Metric| {
        let count = u64::try_from(number.max(0)).unwrap_or(u64::MAX);
        let buckets = vec![count / 32; metric.buckets.len() + 1];
        let sample = match metric.kind {
            MetricKind::Histogram => Sample::Histogram(Histogram { buckets, count, sum: number }),
            _ => Sample::Number(number),
        };
        let labels = metric.labels.iter().map(|_| Arc::from(labels)).collect();
        Point { metric, labels, sample, created: Some(Timestamp(1)), exemplars: Vec::new() }
    };
    ALL.iter().map(point).collect()
}

#[test]
fn the_plain_text_is_what_the_library_writes() {
    let mut lines = 0;
    for (path, pass) in recordings() {
        let totals = pass.totals(LabelRules::default());
        let points = points(&totals);
        check(&points, &[], &path.display().to_string());
        check(&claude_code::points(&totals), &[], &path.display().to_string());
        lines += TextFormat::Plain.write(&points, &[]).lines().count();
    }
    assert!(lines > 10_000, "{lines}");
    check(&[], &[], "nothing");
}

#[test]
fn numbers_and_escapes_are_those_of_the_library() {
    for number in [0, 1, -5, (1 << 53) + 1, u64::MAX.into(), 123_456_789_012_345_678_901, i128::MAX, i128::MIN] {
        check(&each(number, "one"), &[], &number.to_string());
    }
    for text in strange(4) {
        let single = Single { name: "up".to_owned(), kind: MetricKind::Gauge, help: format!("{text}."), number: 1.0 };
        check(&each(7, &text), &[single], &format!("{text:?}"));
    }
    let single =
        |number: f64| Single { name: "up_total".into(), kind: MetricKind::Counter, help: "Help.".into(), number };
    let floats = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, f64::MIN_POSITIVE, -0.0, 0.1 + 0.2, 1e21];
    check(&[], &floats.map(single), "floats");
}

#[test]
fn openmetrics_says_the_same_numbers_in_its_own_words() {
    for text in strange(3) {
        let point = &each(7, &text)[ALL.iter().position(|metric| **metric == catalog::PROJECT_COST).unwrap()];
        let single =
            Single { name: "up_seconds_total".into(), kind: MetricKind::Counter, help: text.clone(), number: 2.5 };
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let expected = format!(
            "# TYPE tailspan_project_cost_usd counter\n# UNIT tailspan_project_cost_usd usd\n# HELP \
             tailspan_project_cost_usd {}\ntailspan_project_cost_usd_total{{project=\"{escaped}\"}} 0.000000000007\n\
             tailspan_project_cost_usd_created{{project=\"{escaped}\"}} 0.001\n# TYPE up_seconds counter\n# UNIT \
             up_seconds seconds\n# HELP up_seconds {escaped}\nup_seconds_total 2.5\n# EOF\n",
            catalog::PROJECT_COST.help
        );
        assert_eq!(TextFormat::Open.write(std::slice::from_ref(point), &[single]), expected);
    }
    assert_eq!(TextFormat::Open.write(&[], &[]), "# EOF\n");
    // Counts of observations are whole numbers, where plain text rounds them.
    let open = TextFormat::Open.write(&each(u64::MAX.into(), "one"), &[]);
    for line in [
        "tailspan_turn_duration_seconds_bucket{le=\"+Inf\"} 18446744073709551615",
        "tailspan_turn_duration_seconds_count 18446744073709551615",
        "tailspan_turn_duration_seconds_bucket{le=\"0.1\"} 576460752303423487",
    ] {
        assert!(open.contains(&format!("\n{line}\n")), "{line}");
    }
}
