//! The days before a generated day: every series that Prometheus has, as if it had been there for eight days.

use std::fmt::Write as _;

use super::scraper::{Answer, Prometheus};

const DAY: u64 = 86_400;
const DAYS: u64 = 8;
/// Within the five minutes for which Prometheus looks back.
const OFTEN: u64 = 240;
const SELDOM: u64 = 3 * 3600;
/// How long before and after the same time of a day samples come often.
const AROUND: (u64, u64) = (4500, 600);

/// The samples for `promtool tsdb create-blocks-from openmetrics`; the last a minute before `first`, in seconds since
/// 1970.
pub(crate) fn openmetrics(prometheus: &Prometheus, first: f64) -> String {
    let everything = "last_over_time({__name__=~\"tailspan_.+|.+:.+|up|process_.+\"}[15m])";
    let mut series = prometheus.query(everything).unwrap();
    series.sort_by_cached_key(|answer| (answer.label("__name__").to_owned(), named(answer)));
    let (end, ages) = (first - 60.0, ages());
    let mut text = String::new();
    for answer in &series {
        let (name, last) = (named(answer), answer.values.first().copied().unwrap());
        for age in &ages {
            let time = end - *age as f64;
            let value = value_then(answer.label("__name__"), last, *age as f64 / (DAYS * DAY) as f64, time, end);
            writeln!(text, "{name} {value} {time:.3}").unwrap();
        }
    }
    text + "# EOF\n"
}

/// Seconds before the end at which there are samples, the oldest first.
fn ages() -> Vec<u64> {
    let mut ages: Vec<u64> = (0..DAYS * DAY / SELDOM).map(|step| step * SELDOM).collect();
    for day in 0..DAYS {
        let (before, after) = AROUND;
        ages.extend((0..(before + after) / OFTEN).filter_map(|step| (day * DAY + before).checked_sub(step * OFTEN)));
    }
    ages.sort_unstable();
    ages.dedup();
    ages.reverse();
    ages
}

/// A value as it may have been: counters have grown evenly, the rest was a little smaller. `share` is how much of the
/// past lies behind, from 0 (now) to 1.
fn value_then(name: &str, last: f64, share: f64, time: f64, end: f64) -> f64 {
    let is_counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
    match name {
        "up" | "tailspan_build_info" | "tailspan_initial_scan_complete" => 1.0,
        _ if name.ends_with("start_time_seconds") => end - (DAYS * DAY) as f64,
        _ if name.ends_with("timestamp_seconds") => time,
        _ if is_counter => last * (1.0 - share),
        _ => last * (1.0 - share / 4.0),
    }
}

fn named(answer: &Answer) -> String {
    let labels = answer.labels.iter().filter(|(label, _)| *label != "__name__");
    // The two formats escape quotes, backslashes and newlines alike.
    let labels: Vec<_> = labels.map(|(label, value)| format!("{label}={value}")).collect();
    format!("{}{{{}}}", answer.label("__name__"), labels.join(","))
}
