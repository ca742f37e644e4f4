//! Recording rules, alerts and the runbook: what they say is true, tested and explained.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::rule_files::{self, Rule, asked, folder, rules};
use crate::support::vocabulary::Vocabulary;

/// Counters of which a rule wants the raw value: what is new since an hour ago is all of it.
const RAW: [&str; 3] =
    ["tailspan_unpriced_tokens_total", "tailspan_unknown_records_total", "tailspan_workflow_runs_total"];

/// Runs promtool; `false` where it is not installed.
fn promtool(arguments: &[&str], files: Vec<std::path::PathBuf>) -> bool {
    let missing =
        Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    if missing {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool: apt-get install prometheus");
        println!("skipped: promtool is not installed");
        return false;
    }
    let output = Command::new("promtool").args(arguments).args(files).current_dir(folder()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    true
}

fn alerts() -> Vec<Rule> {
    rules().into_iter().filter(|rule| rule.is_alert).collect()
}

fn recorded() -> Vec<Rule> {
    rules().into_iter().filter(|rule| !rule.is_alert).collect()
}

fn names(rules: &[Rule]) -> BTreeSet<String> {
    rules.iter().map(|rule| rule.name.clone()).collect()
}

fn words() -> Vocabulary {
    Vocabulary::with(recorded().iter().map(|rule| rule.name.as_str()))
}

fn runbook() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap()
}

/// Sections of the runbook by the name of their alert.
fn sections(runbook: &str) -> BTreeMap<String, String> {
    let parts = runbook.split("\n### ").skip(1);
    let section = |part: &str| {
        let (name, text) = part.split_once('\n').unwrap();
        (name.to_owned(), text.split("\n## ").next().unwrap().to_owned())
    };
    parts.map(section).collect()
}

#[test]
fn promtool_finds_nothing_wrong() {
    promtool(&["check", "rules", "--lint-fatal"], rule_files::files());
}

#[test]
fn every_rule_gives_what_its_tests_expect() {
    promtool(&["test", "rules"], rule_files::tests());
}

#[test]
fn every_alert_is_seen_firing_and_quiet_and_every_figure_has_a_value() {
    let asked = asked();
    let alerts = names(&alerts());
    assert_eq!(asked.firing, alerts, "alerts that a test wants to fire");
    assert_eq!(asked.quiet, alerts, "alerts that a test wants to stay quiet");
    assert_eq!(asked.values, names(&recorded()), "figures whose value a test states");
}

#[test]
fn names_are_used_once() {
    let (rules, groups) = (rules(), rules().into_iter().map(|rule| (rule.group, rule.file)).collect::<BTreeSet<_>>());
    assert_eq!(names(&rules).len(), rules.len(), "a name is there twice");
    let distinct: BTreeSet<_> = groups.iter().map(|(group, _)| group).collect();
    assert_eq!(distinct.len(), groups.len(), "two files share a name of a group");
}

#[test]
fn names_labels_and_kinds_are_those_of_the_catalogue() {
    let words = words();
    let mut wrong = Vec::new();
    for rule in rules() {
        wrong.extend(words.problems(&rule.expression).into_iter().map(|problem| format!("{}: {problem}", rule.name)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn counters_are_read_by_their_increase() {
    for rule in rules() {
        // A selector of a counter is followed by a range, after its matchers.
        for (at, name) in rule.expression.match_indices("tailspan_") {
            let rest = &rule.expression[at..];
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let (metric, mut rest) = rest.split_at(end);
            let is_counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| metric.ends_with(suffix));
            if !is_counter || rest.starts_with(':') || RAW.contains(&metric) {
                continue;
            }
            rest = rest.strip_prefix('{').map_or(rest, |inside| inside.split_once('}').unwrap().1);
            assert!(rest.starts_with('['), "{}: the raw value of {metric}, found by {name}", rule.name);
        }
    }
}

#[test]
fn the_vocabulary_tells_wrong_words_from_right_ones() {
    let words = words();
    let right = [
        "sum by (tool) (rate(tailspan_tool_calls_total{job=~\"$job\", instance=~\"$instance\"}[$__rate_interval]))",
        "histogram_quantile(0.95, sum by (le, model) (rate(tailspan_api_request_duration_seconds_bucket[5m] offset 1d)))",
        "label_replace(tailspan_build_info, \"short\", \"$1\", \"revision\", \"(.{7}).*\")",
        "tailspan_tool_failures_total{reason=~\"error|denied\"} and on (job, instance) up == 1",
        "max(instance_tool:tailspan_tool_failures:ratio_increase1h{tool=\"Bash\"}) # with a comment",
    ];
    for expression in right {
        assert_eq!(words.problems(expression), Vec::<String>::new(), "{expression}");
    }
    let wrong = [
        ("rate(tailspan_tool_call_total[5m])", "there is no tailspan_tool_call_total"),
        ("sum by (model) (rate(tailspan_tool_calls_total[5m]))", "no label model"),
        ("rate(tailspan_tool_calls_total{reason=\"error\"}[5m])", "tailspan_tool_calls_total has no label reason"),
        ("tailspan_tokens_total{kind=\"cached\"}", "tailspan_tokens_total: kind is never \"cached\""),
        ("rate(tailspan_store_bytes[5m])", "rate of the gauge tailspan_store_bytes"),
        ("deriv(tailspan_cost_usd_total[5m])", "deriv of the counter tailspan_cost_usd_total"),
        ("tailspan_turn_cost_usd", "there is no tailspan_turn_cost_usd"),
        ("sum(instance:tailspan_cost_usd:increase2h)", "there is no instance:tailspan_cost_usd:increase2h"),
        ("up and on (tool) tailspan_build_info", "no label tool"),
    ];
    for (expression, problem) in wrong {
        assert_eq!(words.problems(expression), [problem], "{expression}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() {
    for Rule { name, labels, annotations, .. } in alerts() {
        assert!(["critical", "warning", "info"].contains(&labels["severity"].as_str()), "{name}");
        assert_eq!(labels.len(), 1, "{name}");
        let known: Vec<_> = annotations.keys().map(String::as_str).collect();
        assert_eq!(known, ["description", "runbook_url", "summary"], "{name}");
        assert!(annotations["description"].ends_with('.') && !annotations["summary"].ends_with('.'), "{name}");
        assert_eq!(annotations["runbook_url"], format!("docs/runbook.md#{}", name.to_lowercase()), "{name}");
    }
}

#[test]
fn the_runbook_has_a_section_for_each_alert_and_for_nothing_else() {
    let runbook = runbook();
    let sections = sections(&runbook);
    assert_eq!(sections.keys().cloned().collect::<BTreeSet<_>>(), names(&alerts()));
    for (name, text) in &sections {
        let parts = ["**Means.** ", "**Look.**", "**Do.** ", "**Silence.** "].map(|part| text.find(part));
        assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{name}: means, look, do, silence");
    }
    for link in runbook.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(sections.keys().any(|name| name.to_lowercase() == link), "a link to #{link}");
    }
}

#[test]
fn the_runbook_names_metrics_that_exist() {
    let (runbook, words) = (runbook(), words());
    let text = runbook.replace("tailspan_.+", "");
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':') {
        let word = word.trim_matches(':');
        let is_metric = word.starts_with("tailspan_") || word.contains(":tailspan_") || word.starts_with("process_");
        assert!(!is_metric || words.knows(word), "there is no {word}");
    }
}
