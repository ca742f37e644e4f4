//! What the Grafana dashboards ask: names and labels of the catalogue, PromQL, the API behind tables, a new install.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tailspan::views::metrics::catalog::{self, Metric, MetricKind, Values};

use crate::support::dashboards::{dashboards, installed, list, panels, text};
use crate::support::promql::{Selector, by_labels, made_labels, selectors};

/// Metrics of the catalogue that no panel shows, with the reason.
const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "initial_scan_complete",
        "/metrics is 503 before it is 1, and a push starts after it: a panel could show nothing else",
    ),
    ("stream_bytes_total", "the lines that come in are shown, and the size of the files that hold them"),
    ("event_sent_bytes_total", "how many clients follow is shown, and whether one is too slow"),
    ("search_index_known_bytes", "the files that the index knows are shown, and its size"),
];

/// Counters of which a panel also wants the raw value: a series that is new in the chosen time is all of it.
const RAW: &[&str] = &[
    "tailspan_unpriced_tokens_total",
    "tailspan_responses_without_identity_total",
    "tailspan_workflow_runs_total",
    "tailspan_workflow_cost_usd_total",
    "tailspan_workflow_run_duration_seconds_bucket",
];

/// Metrics of other programs, and of every process, that panels show.
const FOREIGN: &[(&str, MetricKind)] =
    &[("process_cpu_seconds_total", MetricKind::Counter), ("process_resident_memory_bytes", MetricKind::Gauge)];

/// Every PromQL query: where it is, its target.
fn queries() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (place, panel) in panels(&dashboards()) {
        for target in list(&panel["targets"]) {
            if target.get("expr").is_some() {
                found.push((format!("{place} / {}", text(&target["refId"])), target.clone()));
            }
        }
    }
    assert!(found.len() > 100, "{} queries", found.len());
    found
}

/// The metric of the catalogue behind a name in a query; of a histogram's series, the histogram.
fn metric_of(name: &str) -> Option<(&'static Metric, &str)> {
    let plain = name.strip_prefix(catalog::PREFIX)?;
    if let Some(metric) = catalog::find(plain) {
        return (metric.kind != MetricKind::Histogram).then_some((metric, ""));
    }
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
        let metric = catalog::find(plain.strip_suffix(suffix)?)?;
        (metric.kind == MetricKind::Histogram).then_some((metric, *suffix))
    })
}

fn is_counted(selector: &Selector) -> bool {
    match FOREIGN.iter().find(|(name, _)| *name == selector.name) {
        Some((_, kind)) => *kind == MetricKind::Counter,
        None => metric_of(&selector.name).is_some_and(|(metric, _)| metric.kind != MetricKind::Gauge),
    }
}

#[test]
fn queries_use_what_the_catalogue_has() {
    for (place, target) in queries() {
        let expression = text(&target["expr"]);
        let found = selectors(expression);
        assert!(!found.is_empty(), "{place}: {expression}");
        let mut labels: BTreeSet<String> = ["job", "instance"].map(str::to_owned).into();
        for selector in &found {
            known(&place, selector, expression, &mut labels);
            for (label, wanted) in [("job", "=~$job"), ("instance", "=~$instance")] {
                let has = selector.matchers.iter().any(|one| one.label == label && one.text() == wanted);
                assert!(has, "{place}: target-{label}: {expression}");
            }
            let function = selector.function.as_str();
            // When a counter was last seen says nothing of its value.
            if is_counted(selector) && function != "timestamp" {
                let counted = ["rate", "increase"].contains(&function) && selector.range.is_some()
                    || RAW.contains(&selector.name.as_str()) && expression.contains(" unless last_over_time(");
                assert!(counted, "{place}: target-counter-agg: {} in {function:?}: {expression}", selector.name);
            } else {
                assert!(!["rate", "irate", "increase"].contains(&function), "{place}: a gauge: {expression}");
            }
            if function == "rate" {
                let range = selector.range.as_deref();
                assert_eq!(range, Some("$__rate_interval"), "{place}: target-rate-interval: {expression}");
            }
        }
        let mut made: BTreeSet<String> = made_labels(expression);
        made.extend(labels);
        let grouped = by_labels(expression);
        for label in &grouped {
            assert!(made.contains(label), "{place}: nothing has the label {label}: {expression}");
        }
        for part in text(&target["legendFormat"]).split("{{").skip(1) {
            let label = part.split("}}").next().unwrap();
            assert!(grouped.contains(label), "{place}: the legend names {label}: {expression}");
        }
    }
}

/// The metric exists, with these labels and values; adds its labels.
fn known(place: &str, selector: &Selector, expression: &str, labels: &mut BTreeSet<String>) {
    if FOREIGN.iter().any(|(name, _)| *name == selector.name) {
        return;
    }
    let Some((metric, suffix)) = metric_of(&selector.name) else { panic!("{place}: {} does not exist", selector.name) };
    labels.extend(metric.labels.iter().map(|label| label.name.to_owned()));
    if suffix == "_bucket" {
        labels.insert("le".to_owned());
        assert!(by_labels(expression).contains("le"), "{place}: buckets are summed by le: {expression}");
    }
    for matcher in selector.matchers.iter().filter(|one| !["job", "instance"].contains(&one.label.as_str())) {
        let label = metric.labels.iter().find(|label| label.name == matcher.label);
        let Some(label) = label else { panic!("{place}: {} has no label {}", selector.name, matcher.label) };
        if let Values::Closed(values) = label.values {
            assert!(values.contains(&matcher.value.as_str()), "{place}: {} is no {}", matcher.value, label.name);
        }
    }
}

#[test]
fn every_metric_is_shown() {
    let mut shown = BTreeSet::new();
    for (_, target) in queries() {
        for selector in selectors(text(&target["expr"])) {
            shown.extend(metric_of(&selector.name).map(|(metric, _)| metric.name));
        }
    }
    for metric in catalog::ALL {
        let excused = NOT_SHOWN.iter().any(|(name, reason)| *name == metric.name && !reason.is_empty());
        assert!(shown.contains(metric.name) != excused, "{} is shown: {}", metric.name, shown.contains(metric.name));
    }
}

#[test]
fn model_calls_tools_and_turns_have_exemplars() {
    let with: BTreeSet<String> = queries()
        .iter()
        .filter(|(_, target)| target.get("exemplar") == Some(&json!(true)))
        .flat_map(|(_, target)| selectors(text(&target["expr"])))
        .map(|selector| selector.name)
        .collect();
    let wanted = [
        "api_request_duration_seconds",
        "permission_wait_seconds",
        "time_to_first_chunk_seconds",
        "tool_duration_seconds",
        "turn_cost_usd",
        "turn_duration_seconds",
    ];
    assert_eq!(with, wanted.map(|name| format!("tailspan_{name}_bucket")).into());
}

#[test]
fn every_query_is_valid_promql() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let replaced = |expression: &str| {
        let times = expression.replace("$__rate_interval", "5m").replace("$__interval", "5m").replace("$__range", "1d");
        times.replace("$job", ".*").replace("$instance", ".*")
    };
    let queries = queries();
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(number, (_, target))| json!({"record": format!("panel:{number}"), "expr": replaced(text(&target["expr"]))}))
        .collect();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("rules.yaml");
    // JSON is YAML.
    fs::write(&path, json!({"groups": [{"name": "panels", "rules": rules}]}).to_string()).unwrap();
    let checked = Command::new("promtool").arg("check").arg("rules").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("{} rules found", queries.len())), "{said}");
}

/// A real Prometheus and a sidecar without a session, then one with a single session: every query is answered, or its
/// panel says in words of its own what it waits for. Eight full days are asked by the same script with `--table`.
#[test]
fn a_new_install_has_an_answer_in_every_panel() {
    if !installed("python3", "python3") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dashboards/preview.py");
    for install in ["empty", "one"] {
        let asked = Command::new("python3")
            .args(["-B", script, "--install", install, "--binary", env!("CARGO_BIN_EXE_tailspan")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&asked.stdout).into_owned() + &String::from_utf8_lossy(&asked.stderr);
        // 77: a program is missing, and the script says which.
        if asked.status.code() == Some(77) {
            assert!(std::env::var_os("CI").is_none(), "{said}");
            println!("skipped: {said}");
            return;
        }
        assert!(asked.status.success(), "{said}");
        let answered = said.lines().filter(|line| line.starts_with("| ")).count();
        assert!(answered > 100, "{said}");
        println!("{said}");
    }
}
