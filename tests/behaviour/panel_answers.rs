//! What dashboards and trace links answer to figures that are known: PromQL by promtool, beside what a sidecar shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::daemon::Daemon;
use crate::support::dashboards::{dashboards, installed, list, panels, text};

const HOUR: u32 = 3600;

/// A question at a moment, in seconds since 1970, and how many series answer it.
struct Asked {
    expression: String,
    at: u32,
    series: usize,
}

impl Asked {
    /// Whether a number is what it should be: promtool compares to the last digit, floats are not that exact.
    fn is(expression: &str, at: u32, number: f64) -> Self {
        Self { expression: format!("abs(({expression}) - {number}) < 1e-6"), at, series: 1 }
    }

    /// The same, seen by how many series there are.
    fn counts(expression: &str, at: u32, series: usize) -> Self {
        Self { expression: expression.to_owned(), at, series }
    }
}

/// Lets promtool answer, from series that have a sample every `interval` from 1970 on; what it says if an answer differs.
fn answers(interval: &str, series: &[(String, &str)], asked: &[Asked]) -> Result<(), String> {
    let input: Vec<Value> = series.iter().map(|(name, values)| json!({"series": name, "values": values})).collect();
    let tests: Vec<Value> = asked
        .iter()
        .map(|one| {
            let (expression, answer) = match one.series {
                0 => (one.expression.clone(), json!([])),
                count => (format!("count({})", one.expression), json!([{"labels": "{}", "value": count}])),
            };
            json!({"expr": expression, "eval_time": format!("{}s", one.at), "exp_samples": answer})
        })
        .collect();
    let file = json!({"tests": [{"interval": interval, "input_series": input, "promql_expr_test": tests}]});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("panels.yaml");
    // JSON is YAML.
    fs::write(&path, file.to_string()).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&path).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// The first query of a panel.
fn query(dashboard: &str, panel: &str, range: &str) -> String {
    queries(dashboard, panel, range).remove(0)
}

/// The queries of a panel, in the words of Prometheus; `range` is the chosen time, with *All* chosen for jobs and instances.
fn queries(dashboard: &str, panel: &str, range: &str) -> Vec<String> {
    let all = dashboards();
    let (_, found) = panels(&all).into_iter().find(|(place, _)| *place == format!("{dashboard} / {panel}")).unwrap();
    let (_, board) = all.iter().find(|(name, _)| *name == dashboard).unwrap();
    let filled = |target: &Value| {
        let mut expression = text(&target["expr"]).to_owned();
        for variable in list(&board["templating"]["list"]) {
            if let Some(all) = variable.get("allValue") {
                expression = expression.replace(&format!("${}", text(&variable["name"])), text(all));
            }
        }
        expression.replace("$__rate_interval", "5m").replace("$__range", range).replace("$__interval", range)
    };
    list(&found["targets"]).iter().map(filled).collect()
}

fn named(name: &str, labels: &str) -> String {
    format!("{name}{{{labels}}}")
}

/// Labels of a scraped series, and of one that came without them.
const SCRAPED: &str = "job=\"tailspan\", instance=\"127.0.0.1:9719\"";

#[test]
fn the_projection_divides_by_the_age_of_the_history() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let cost = |labels: &str| named("tailspan_cost_usd_total", &format!("{labels}, model=\"a\", agent=\"main\""));
    // 1970-01-28T08:00Z: 3 2/3 days of the month are left.
    let (now, left) = (656 * HOUR, 11.0 / 3.0);
    let month = query("cost", "Month-end projection", "656h");
    // A dollar an hour since the first of the month, from a backfill; the sidecar began half an hour ago.
    let history = [
        (cost(SCRAPED), "0+1x655 655"),
        (named("tailspan_build_info", &format!("{SCRAPED}, version=\"1\", revision=\"a\"")), "_x656 1"),
    ];
    let daily = (655.0 - 488.0) / 7.0;
    answers("1h", &history, &[Asked::is(&month, now, 655.0 + daily * left)]).unwrap();
    // Days without a sample but that of midnight do not make the history younger; a dollar each day.
    let midnights: Vec<String> = (0..27).map(|day| format!("{day} _x23")).collect();
    let quiet = format!("{} 27 _x7 27", midnights.join(" "));
    let spent = "sum(increase(tailspan_cost_usd_total[7d]))";
    let added = format!("({month}) - ({})", query("cost", "This month so far", "656h"));
    let days = Asked::is(&format!("{spent} / (({added}) / {left})"), now, 7.0);
    answers("1h", &[(cost(SCRAPED), quiet.as_str())], &[days]).unwrap();
    // Two days old: two are divided by.
    let young = [(cost(SCRAPED), "_x608 0+1x48")];
    answers("1h", &young, &[Asked::is(&month, now, 48.0 + 24.0 * left)]).unwrap();
    // Before the first full hour of a first start there is an answer already.
    let begun = [(cost(SCRAPED), "_x39325 0 1 2 3 4 5")];
    let now = 39_330 * 60;
    let before = query("cost", "Month-end projection", "27d");
    answers("1m", &begun, &[Asked::counts(&before, now, 1)]).unwrap();
}

#[test]
fn the_fullest_budget_is_the_one_with_the_largest_share() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let gauge = |name: &str, budget: &str| named(name, &format!("{SCRAPED}, budget=\"{budget}\""));
    let series = [
        (gauge("tailspan_budget_usd", "month"), "200x10"),
        (gauge("tailspan_budget_spent_usd", "month"), "60x10"),
        (gauge("tailspan_budget_usd", "day"), "10x10"),
        (gauge("tailspan_budget_spent_usd", "day"), "4x10"),
        // Nothing may be spent: there is no share of it.
        (gauge("tailspan_budget_usd", "none"), "0x10"),
        (gauge("tailspan_budget_spent_usd", "none"), "1x10"),
    ];
    let asked = [
        Asked::is(&query("insights", "Fullest budget", "1h"), 600, 0.4),
        Asked::counts(&query("insights", "Budgets over time", "1h"), 600, 2),
    ];
    answers("1m", &series, &asked).unwrap();
}

#[test]
fn panels_of_the_process_show_sidecars_only() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let process = |name: &str, labels: &str| named(&format!("process_{name}"), labels);
    let prometheus = "job=\"prometheus\", instance=\"127.0.0.1:9090\"";
    let series = [
        (process("resident_memory_bytes", SCRAPED), "100x10"),
        (process("resident_memory_bytes", prometheus), "300x10"),
        (process("cpu_seconds_total", SCRAPED), "0+1x10"),
        (process("cpu_seconds_total", prometheus), "0+3x10"),
        (named("tailspan_build_info", &format!("{SCRAPED}, version=\"1\", revision=\"a\"")), "1x10"),
    ];
    for panel in ["Memory", "Processor"] {
        let asked = query("health", panel, "10m");
        let own = format!("({asked}) and on (instance) tailspan_build_info");
        answers("1m", &series, &[Asked::counts(&asked, 600, 1), Asked::counts(&own, 600, 1)])
            .unwrap_or_else(|said| panic!("{panel}: {said}"));
    }
}

#[test]
fn what_is_pushed_without_a_job_counts_with_what_is_scraped() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let own = |labels: &str| {
        let all = if labels.is_empty() { "model=\"a\"".to_owned() } else { format!("{labels}, model=\"a\"") };
        named("tailspan_cost_usd_total", &all)
    };
    let series = [(own(SCRAPED), "0+1x60"), (own("instance=\"7f3c\""), "0+2x60"), (own(""), "0+4x60")];
    let asked = [
        Asked::is(&query("overview", "Spend today", "1h"), HOUR, 7.0 * 60.0),
        Asked::is(&query("cost", "This month so far", "1h"), HOUR, 7.0 * 60.0),
    ];
    answers("1m", &series, &asked).unwrap();
}

#[test]
fn the_first_run_of_a_workflow_is_shown() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let of = |name: &str, labels: &str| named(&format!("tailspan_workflow_{name}"), &format!("{SCRAPED}, {labels}"));
    // The series of a workflow begin with its first run; those of one that is listed, and did not run yet, are at 0.
    let series = [
        (of("runs_total", "workflow=\"nightly\", outcome=\"success\""), "_x30 1x30"),
        (of("runs_total", "workflow=\"nightly\", outcome=\"killed\""), "_x30 0x30"),
        (of("cost_usd_total", "workflow=\"nightly\""), "_x30 0.5x30"),
        (of("last_run_timestamp_seconds", "workflow=\"nightly\""), "_x30 1800x30"),
        (of("run_duration_seconds_bucket", "workflow=\"nightly\", le=\"10\""), "_x30 0x30"),
        (of("run_duration_seconds_bucket", "workflow=\"nightly\", le=\"20\""), "_x30 1x30"),
        (of("run_duration_seconds_bucket", "workflow=\"nightly\", le=\"+Inf\""), "_x30 1x30"),
        (of("runs_total", "workflow=\"weekly\", outcome=\"success\""), "0x60"),
        (of("cost_usd_total", "workflow=\"weekly\""), "0x60"),
        (of("last_run_timestamp_seconds", "workflow=\"weekly\""), "0x60"),
    ];
    let cells = queries("cost", "Workflows", "1h");
    let told =
        [("runs", 0, 1.0), ("no success", 1, 0.0), ("cost", 2, 0.5), ("cost per run", 3, 0.5), ("last run", 6, 1800.0)];
    for (what, position, number) in told {
        let asked = [Asked::is(&cells[position], HOUR, number), Asked::counts(&cells[position], HOUR, 1)];
        answers("1m", &series, &asked).unwrap_or_else(|said| panic!("{what}: {said}"));
    }
    let by_outcome = query("cost", "Runs by outcome", "1h");
    let asked =
        [Asked::is(&cells[5], HOUR, 15.0), Asked::is(&by_outcome, HOUR, 1.0), Asked::counts(&by_outcome, HOUR, 1)];
    answers("1m", &series, &asked).unwrap();
}

/// Keys with values: a span as Grafana sees it, its tags and those of its process.
type Tags = Vec<(String, String)>;

/// A link from spans to metrics.
struct Link {
    name: String,
    /// Tags of spans, with the labels that they become.
    tags: Tags,
    query: String,
}

fn links() -> Vec<Link> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose/grafana/datasources");
    let mut found = Vec::new();
    for file in ["tailspan.yaml", "tempo.yaml"] {
        let yaml = YamlLoader::load_from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap().remove(0);
        for source in yaml["datasources"].as_vec().unwrap() {
            let settings = &source["jsonData"]["tracesToMetrics"];
            let word = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
            let tags = settings["tags"].as_vec().into_iter().flatten();
            let tags: Tags = tags.map(|tag| (word(&tag["key"]), word(&tag["value"]))).collect();
            for query in settings["queries"].as_vec().into_iter().flatten() {
                // `$$` is a dollar sign: Grafana replaces variables of the environment.
                let text = word(&query["query"]).replace("$$", "$");
                found.push(Link { name: word(&query["name"]), tags: tags.clone(), query: text });
            }
        }
    }
    assert_eq!(found.len(), 6, "three for each data source of traces");
    found
}

impl Link {
    /// What Grafana asks for a span. Source: `createSpanLink.tsx` of Grafana, `getFormattedTags`.
    fn asked_for(&self, span: &Tags) -> String {
        let tags = span.iter().filter_map(|(key, value)| {
            let (_, label) = self.tags.iter().find(|(tag, _)| tag == key)?;
            Some(format!("{label}=\"{value}\""))
        });
        self.query.replace("$__tags", &tags.collect::<Vec<_>>().join(", "))
    }
}

fn spans_of(daemon: &Daemon) -> Vec<Tags> {
    let (status, body) = daemon.get("/jaeger/api/traces?service=claude-code&limit=100");
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let pair = |tag: &Value| (text(&tag["key"]).to_owned(), text(&tag["value"]).to_owned());
    let spans = list(&answer["data"]).iter().flat_map(|trace| {
        let process = |span: &Value| list(&trace["processes"][text(&span["processID"])]["tags"]).to_vec();
        let spans = list(&trace["spans"]).iter();
        spans.map(|span| list(&span["tags"]).iter().chain(&process(span)).map(pair).collect()).collect::<Vec<Tags>>()
    });
    spans.collect()
}

#[test]
fn a_link_from_a_span_finds_the_metrics_of_its_tool_or_model() {
    if !installed("promtool", "prometheus") {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/e6_subagent_sync/projects");
    let daemon = Daemon::start(&projects, state.path(), &[]);
    let metrics = daemon.metrics();
    let mut spans = spans_of(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    let tagged = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    // Spellings that recordings lack: a model with its date or from Bedrock, tools of an MCP server that is listed or not.
    for model in
        ["claude-sonnet-4-5-20250929", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5[1m]"]
    {
        spans.push(tagged("gen_ai.request.model", model));
    }
    for tool in ["mcp__github__create_issue", "mcp__docs__search"] {
        spans.push(tagged("gen_ai.tool.name", tool));
    }
    let names = ["tailspan_tool_calls_total{", "tailspan_tool_failures_total{", "tailspan_cost_usd_total{"];
    let own = metrics.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let mut series: BTreeSet<String> = own.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    for tool in ["mcp", "mcp__docs"] {
        series.insert(named("tailspan_tool_calls_total", &format!("tool=\"{tool}\"")));
        series.insert(named("tailspan_tool_failures_total", &format!("tool=\"{tool}\", reason=\"error\"")));
    }
    // Others that no link may lead to.
    series.insert(named("tailspan_cost_usd_total", "model=\"claude-sonnet-4\", agent=\"main\""));
    let series: Vec<_> = series.into_iter().map(|name| (name, "0+1x10")).collect();
    let mut asked = Vec::new();
    for link in links() {
        let wanted = if link.name.contains("model") { "gen_ai.request.model" } else { "gen_ai.tool.name" };
        for span in &spans {
            let value = span.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
            // An MCP tool counts under its server if that is listed, else with all others: either may have been so once.
            let found = match value {
                None => 0,
                Some("mcp__docs__search") => 2,
                Some(_) => 1,
            };
            let each = format!("count by (tool, model) ({})", link.asked_for(span));
            asked.push(Asked::counts(&each, 600, found));
        }
    }
    assert!(asked.iter().filter(|one| one.series > 0).count() > 20);
    answers("1m", &series, &asked).unwrap_or_else(|said| panic!("{said}"));
}
