//! The `process_*` metrics, which every Prometheus client library has: processor time, memory and files.

use prometheus::proto::{MetricFamily, MetricType};

use crate::views::metrics::catalog::MetricKind;
use crate::views::metrics::text::Single;

/// All `process_*` metrics; none on systems without `/proc`.
pub(super) fn families() -> Vec<Single> {
    collected().iter().filter_map(single).collect()
}

fn single(family: &MetricFamily) -> Option<Single> {
    let metric = family.get_metric().first()?;
    let (kind, number) = match family.get_field_type() {
        MetricType::COUNTER => (MetricKind::Counter, metric.get_counter().get_value()),
        _ => (MetricKind::Gauge, metric.get_gauge().get_value()),
    };
    Some(Single { name: family.name().to_owned(), kind, help: family.help().to_owned(), number })
}

#[cfg(target_os = "linux")]
fn collected() -> Vec<MetricFamily> {
    use prometheus::core::Collector;

    prometheus::process_collector::ProcessCollector::for_self().collect()
}

/// There is nothing to collect, because the collector reads `/proc`.
#[cfg(not(target_os = "linux"))]
const fn collected() -> Vec<MetricFamily> {
    Vec::new()
}
