//! `/metrics/claude-code`: off unless asked for, the names of the original, our numbers.

use crate::support::daemon::{Daemon, sum};
use crate::support::units::{recordings, tool, turn};

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tailspan::config::{Config, Env, Flags};
use tailspan::http::metrics::claude_code::text;
use tailspan::measures::Change;
use tailspan::transcript::record::Outcome;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::points::points;
use tailspan::views::metrics::text::TextFormat;
use tailspan::views::metrics::totals::{Snapshot, Totals};
use tailspan::views::metrics::{claude_code, document};

fn shown(totals: &Snapshot, accept: &str) -> String {
    text(totals, accept).1
}

/// Sum of the samples of a metric whose labels hold all of `parts`.
fn part(metrics: &str, name: &str, parts: &[&str]) -> f64 {
    let own = metrics.lines().filter(|line| line.starts_with('#') || parts.iter().all(|part| line.contains(part)));
    sum(&own.collect::<Vec<_>>().join("\n"), name)
}

#[test]
fn the_numbers_are_those_of_our_own_families() {
    let (mut priced, mut edited) = (0.0, 0.0);
    for (path, pass) in recordings() {
        let totals = pass.totals(LabelRules::default());
        let ours = TextFormat::Plain.write(&points(&totals), &[]);
        let theirs = shown(&totals, "*/*");
        let check = |their: &str, their_parts: &[&str], our: &str, our_parts: &[&str]| {
            let (their_sum, our_sum) = (part(&theirs, their, their_parts), part(&ours, our, our_parts));
            assert!((their_sum - our_sum).abs() < 1e-9, "{their}{their_parts:?} of {}", path.display());
            our_sum
        };
        let tokens = ["claude_code_token_usage_tokens_total", "tailspan_tokens_total"];
        for (there, here) in [("input", "\"input\""), ("output", "\"output\""), ("cacheRead", "\"cache_read\"")] {
            check(tokens[0], &[&format!("type=\"{there}\"")], tokens[1], &[here]);
        }
        check(tokens[0], &["type=\"cacheCreation\""], tokens[1], &["kind=\"cache_write_"]);
        check(tokens[0], &["query_source=\"subagent\""], tokens[1], &["agent=\"subagent\""]);
        let cost = ["claude_code_cost_usage_USD_total", "tailspan_cost_usd_total"];
        priced += check(cost[0], &[], cost[1], &[]);
        check(
            cost[0],
            &["query_source=\"main\"", "model=\"claude-haiku"],
            cost[1],
            &["agent=\"main\"", "model=\"claude-haiku"],
        );
        check("claude_code_session_count_total", &["start_type=\"fresh\""], "tailspan_sessions_started_total", &[]);
        check(
            "claude_code_lines_of_code_count_total",
            &["type=\"added\""],
            "tailspan_lines_changed_total",
            &["\"added\""],
        );
        check(
            "claude_code_lines_of_code_count_total",
            &["\"removed\""],
            "tailspan_lines_changed_total",
            &["\"removed\""],
        );
        check("claude_code_active_time_seconds_total", &["type=\"cli\""], "tailspan_turn_duration_seconds_sum", &[]);
        let decisions = "claude_code_code_edit_tool_decision_total";
        edited += check(decisions, &["\"Edit\""], "tailspan_tool_duration_seconds_count", &["\"Edit\""]);
    }
    assert!(priced > 0.0 && edited > 0.0, "{priced} USD, {edited} edits");
}

#[test]
fn a_refused_edit_is_a_decision_too() {
    let mut totals = Totals::new(LabelRules::default());
    let mut unit = turn(1, "/home/dev/app");
    let calls = [("a", "Edit", Outcome::Ok), ("b", "Edit", Outcome::Denied), ("c", "Edit", Outcome::Failed)];
    unit.parts.tools = calls.iter().map(|(id, name, outcome)| tool(id, name, Some((2500, *outcome)))).collect();
    unit.parts.tools.push(tool("d", "Edit", None));
    unit.parts.tools.push(tool("e", "Bash", Some((2500, Outcome::Denied))));
    totals.observe(&Change::between(None, &unit), Timestamp(0), None);
    let text = shown(&totals.snapshot(), "*/*");
    let decided = |parts: &[&str]| part(&text, "claude_code_code_edit_tool_decision_total", parts);
    assert_eq!(decided(&["tool_name=\"Edit\"", "decision=\"accept\""]).to_string(), "2");
    assert_eq!(decided(&["tool_name=\"Edit\"", "decision=\"reject\""]).to_string(), "1");
    assert_eq!(decided(&[]).to_string(), "3", "Bash is no editing tool");
}

#[test]
fn names_and_labels_are_those_of_the_original() {
    let (_, pass) = recordings().into_iter().next().unwrap();
    let totals = pass.totals(LabelRules::default());
    let text = shown(&totals, "*/*");
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap();
        let names = rest.split_once('}').unwrap().0.split(',').map(|label| label.split('=').next().unwrap());
        labels.entry(name).or_default().extend(names);
    }
    let expected = [
        ("claude_code_active_time_seconds_total", ["type"].as_slice()),
        ("claude_code_code_edit_tool_decision_total", &["decision", "tool_name"]),
        ("claude_code_cost_usage_USD_total", &["model", "query_source"]),
        ("claude_code_lines_of_code_count_total", &["type"]),
        ("claude_code_session_count_total", &["start_type"]),
        ("claude_code_token_usage_tokens_total", &["model", "query_source", "type"]),
    ];
    let expected: BTreeMap<_, BTreeSet<_>> =
        expected.into_iter().map(|(name, labels)| (name, labels.iter().copied().collect())).collect();
    assert_eq!(labels, expected);
    let open = shown(&totals, "application/openmetrics-text");
    assert!(open.contains("# TYPE claude_code_cost_usage_USD counter\n") && open.ends_with("\n# EOF\n"));
    let values = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| !line.starts_with('#') && !line.contains("_created")).map(str::to_owned).collect()
    };
    assert_eq!(values(&open), values(&text), "both formats show the same");
}

#[test]
fn it_is_off_until_the_configuration_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/b_tools/projects");
    let daemon = Daemon::start(&projects, &folder.path().join("off"), &[]);
    daemon.metrics();
    let (status, problem) = daemon.get("/metrics/claude-code");
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((status, &problem["title"]), (404, &"Not found".into()));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`metrics.claude_code = true`") && detail.contains("TAILSPAN_METRICS_CLAUDE_CODE=true"));
    assert_eq!(daemon.stop(), Some(0));

    let config = folder.path().join("tailspan.toml");
    fs::write(&config, "metrics.claude_code = true\n").unwrap();
    let daemon = Daemon::start(&projects, &folder.path().join("on"), &["--config", config.to_str().unwrap()]);
    assert!(!daemon.metrics().contains("claude_code_"), "on a page of its own");
    let (status, text) = daemon.get("/metrics/claude-code");
    assert_eq!(status, 200);
    assert!(
        text.contains("claude_code_session_count_total{start_type=\"fresh\"} 0\n"),
        "history is not counted as live"
    );
    let open = daemon.get_as("/metrics/claude-code", "application/openmetrics-text;version=1.0.0");
    assert!(open.contains("claude_code_session_count_created{start_type=\"fresh\"} "), "{open}");
    check_with_promtool(&text);

    let variable: Env = [("TAILSPAN_METRICS_CLAUDE_CODE", "true")].into_iter().collect();
    assert!(Config::resolve(&Flags::default(), &variable).unwrap().metrics.claude_code);
    assert!(!Config::resolve(&Flags::default(), &Env::default()).unwrap().metrics.claude_code);
}

/// `promtool check metrics` has nothing to say.
fn check_with_promtool(text: &str) {
    let child =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool: apt-get install prometheus");
        println!("skipped: promtool is not installed");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_documentation_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/claude-code-metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- catalogue -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of catalogue -->").unwrap();
    let table = document::markdown_of(claude_code::ALL);
    let expected = format!("{before}<!-- catalogue -->\n{table}<!-- end of catalogue -->{after}");
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/claude-code-metrics.md is behind the catalogue: run the test with UPDATE=1");
}
