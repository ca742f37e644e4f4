//! Writes metrics as the tables of `docs/metrics.md`.

use std::fmt::Write;

use super::catalog;
use super::metric::{KeptIn, Label, Metric, MetricKind, Values};

/// The catalogue as Markdown tables: all metrics, then the values of their labels, then the buckets of histograms.
#[must_use]
pub fn markdown() -> String {
    markdown_of(catalog::ALL)
}

/// As [`markdown`], for some metrics.
#[must_use]
pub fn markdown_of(metrics: &[&Metric]) -> String {
    let mut text = String::from("| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for metric in metrics {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let labels = labels.join(", ");
        let kept =
            if metric.kept == KeptIn::Process && metric.kind == MetricKind::Counter { " Restarts at 0." } else { "" };
        row(
            &mut text,
            format_args!(
                "| `{}` | {} | {} | {labels} | {}{kept} |",
                metric.full_name(),
                metric.kind.name(),
                metric.unit.name(),
                metric.help,
            ),
        );
    }
    row(&mut text, format_args!("\n| label | of | values |\n|---|---|---|"));
    for metric in metrics {
        for label in metric.labels {
            let first = metrics.iter().find(|other| other.labels.contains(label));
            if first.is_some_and(|first| first.name == metric.name) {
                row(&mut text, format_args!("| `{}` | {} | {} |", label.name, owners(metrics, label), values(label)));
            }
        }
    }
    let histograms: Vec<_> = metrics.iter().filter(|metric| metric.kind == MetricKind::Histogram).collect();
    if !histograms.is_empty() {
        row(&mut text, format_args!("\n| histogram | buckets |\n|---|---|"));
    }
    for metric in histograms {
        let bounds: Vec<_> = metric.buckets.iter().map(|bound| metric.unit.rendered(*bound).to_string()).collect();
        row(&mut text, format_args!("| `{}` | {} |", metric.full_name(), bounds.join(", ")));
    }
    text
}

/// The names of the metrics that have a label.
fn owners(metrics: &[&Metric], label: &Label) -> String {
    let owners = metrics.iter().filter(|metric| metric.labels.contains(label));
    owners.map(|metric| format!("`{}`", metric.name)).collect::<Vec<_>>().join(", ")
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Closed(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        Values::Open { about, .. } => about.to_owned(),
        Values::Said => "what the rule says".to_owned(),
    }
}

fn row(text: &mut String, row: std::fmt::Arguments<'_>) {
    match writeln!(text, "{row}") {
        Ok(()) => {}
        Err(_) => unreachable!("writing to a string does not fail"),
    }
}
