//! Writes the points of `/metrics` as OTLP metrics.
//!
//! ```text
//! counter     Sum, monotonic, cumulative     name without `_total`: receivers that write Prometheus names add it
//! gauge       Gauge
//! histogram   Histogram, cumulative, with the bounds of `/metrics`; a bucket counts what lies in it, not all below it
//! start       what OpenMetrics calls `_created`: the first start ever, or when the series was first seen
//! unit        UCUM. Receivers append `seconds` and `bytes` to names that lack them; the names here have them. Units
//!             in braces, such as `{token}`, are annotations that receivers leave out of names
//! ```
//!
//! So a Prometheus that receives these metrics has the names, labels and values that it would have scraped.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as OtlpExemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, MetricKind, MetricUnit};
use crate::views::metrics::exemplars::Exemplar;
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::Sample;

/// Most points in one request. A point takes some 200 bytes, so that a request stays below the limits of receivers.
const POINTS_MAX: usize = 4000;

/// The requests that carry all of `points`, in order. `now` is the time of each point.
pub(super) fn requests(
    points: &[Point],
    resource: &[(String, String)],
    now: Timestamp,
) -> Vec<ExportMetricsServiceRequest> {
    let resource = Resource { attributes: resource.iter().map(pair).collect(), ..Resource::default() };
    let scope = InstrumentationScope {
        name: "tailspan".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let request = |points: &[Point]| {
        let metrics = points.chunk_by(|a, b| a.metric == b.metric).filter_map(|points| metric_of(points, now));
        let scoped = ScopeMetrics { scope: Some(scope.clone()), metrics: metrics.collect(), ..ScopeMetrics::default() };
        let resource = ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![scoped],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }
    };
    points.chunks(POINTS_MAX).map(request).collect()
}

/// One metric with its points, which must all be of the same metric; `None` if there is no point.
fn metric_of(points: &[Point], now: Timestamp) -> Option<Metric> {
    let metric = points.first()?.metric;
    let full_name = metric.full_name();
    let numbers = || points.iter().filter_map(|point| number(point, now)).collect();
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match metric.kind {
        MetricKind::Counter => {
            metric::Data::Sum(Sum { data_points: numbers(), aggregation_temporality: cumulative, is_monotonic: true })
        }
        MetricKind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        MetricKind::Histogram => metric::Data::Histogram(Histogram {
            data_points: points.iter().filter_map(|point| histogram(point, now)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Some(Metric {
        name: full_name.strip_suffix("_total").unwrap_or(&full_name).to_owned(),
        description: metric.help.to_owned(),
        unit: unit(metric.unit).to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

const fn unit(unit: MetricUnit) -> &'static str {
    match unit {
        MetricUnit::Seconds | MetricUnit::Timestamp => "s",
        MetricUnit::Bytes => "By",
        MetricUnit::Tokens => "{token}",
        MetricUnit::Usd => "{USD}",
        MetricUnit::Ratio => "1",
        MetricUnit::Count | MetricUnit::Boolean | MetricUnit::Number => "",
    }
}

fn number(point: &Point, now: Timestamp) -> Option<NumberDataPoint> {
    let Sample::Number(stored) = &point.sample else { return None };
    let value = match point.metric.unit {
        MetricUnit::Count | MetricUnit::Tokens | MetricUnit::Bytes | MetricUnit::Boolean => {
            i64::try_from(*stored).map_or_else(|_| Number::AsDouble(point.metric.unit.rendered(*stored)), Number::AsInt)
        }
        unit => Number::AsDouble(unit.rendered(*stored)),
    };
    Some(NumberDataPoint {
        attributes: labels(point),
        start_time_unix_nano: point.created.map_or(0, nanoseconds),
        time_unix_nano: nanoseconds(now),
        exemplars: exemplars(point),
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram(point: &Point, now: Timestamp) -> Option<HistogramDataPoint> {
    let Sample::Histogram(stored) = &point.sample else { return None };
    let metric = point.metric;
    Some(HistogramDataPoint {
        attributes: labels(point),
        start_time_unix_nano: point.created.map_or(0, nanoseconds),
        time_unix_nano: nanoseconds(now),
        count: stored.count,
        sum: Some(metric.unit.rendered(stored.sum)),
        bucket_counts: stored.buckets.clone(),
        explicit_bounds: metric.buckets.iter().map(|bound| metric.unit.rendered(*bound)).collect(),
        exemplars: exemplars(point),
        ..HistogramDataPoint::default()
    })
}

fn exemplars(point: &Point) -> Vec<OtlpExemplar> {
    let exemplar = |exemplar: &Exemplar| OtlpExemplar {
        time_unix_nano: nanoseconds(exemplar.time),
        trace_id: exemplar.at.trace.0.to_be_bytes().to_vec(),
        span_id: exemplar.at.span.0.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(point.metric.unit.rendered(exemplar.value))),
        ..OtlpExemplar::default()
    };
    point.exemplars.iter().map(exemplar).collect()
}

fn labels(point: &Point) -> Vec<KeyValue> {
    let named = point.metric.labels.iter().zip(&point.labels);
    named.map(|(label, value): (&catalog::Label, _)| pair(&(label.name.to_owned(), value.to_string()))).collect()
}

fn pair((key, value): &(String, String)) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.clone())) };
    KeyValue { key: key.clone(), value: Some(value), ..KeyValue::default() }
}

/// Nanoseconds since 1970. Times before 1970 become 1970, because OTLP has no sign for them.
fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or(0).saturating_mul(1_000_000)
}
