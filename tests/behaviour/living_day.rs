//! The sidecar lives through a day, a real Prometheus scrapes it, and everything that is shipped to be asked is asked:
//! recording rules, alerts, and every query of every dashboard. Prints what each answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tailspan::transcript::time::Timestamp;

use crate::support::daemon::{Daemon, sum};
use crate::support::day::{Day, HOURS};
use crate::support::http::{get, request};
use crate::support::panels::{self, Query};
use crate::support::passed_on::PassedOn;
use crate::support::past;
use crate::support::rule_files::{self, Rule, rules};
use crate::support::scraper::{self, Answer, Prometheus};
use crate::support::sink::{self, Sink};
use crate::support::vocabulary::{self, Vocabulary};

/// What answers nothing on this day, and why. An entry that answers is an error: it explains nothing. Queries of
/// dashboards are `file: title query`.
const EXPLAINED: &[(&str, &str)] = &[
    ("TailspanTargetMissing", "the target is there; without it, nothing else would answer"),
    ("TailspanBudgetExpectedOver", "one day is too short for a projection"),
    ("TailspanLimitFullSoon", "one look tells no pace"),
    ("overview: Limits of the account C", "one look tells no pace"),
    ("cost: Budgets D", "one day is too short for a projection"),
    ("insights: Budgets D", "one day is too short for a projection"),
    ("cost: Responses with gaps A", "the usage of every response of this day can be read"),
    ("cost: Responses with gaps B", "no client of this day reports a cost that none can mean"),
    ("health: Series over the limit per hour A", "no metric reaches 500 series; the panel leaves out what never does"),
];

/// Alerts whose condition this day must meet.
const RAISED: &[&str] = &[
    "TailspanCompactionStorm",
    "TailspanDearTurn",
    "TailspanLinesRejected",
    "TailspanSessionWaiting",
    "TailspanSpansDropped",
    "TailspanSpansRejected",
    "TailspanToolFailing",
    "TailspanUnknownRecords",
    "TailspanUnpricedTokens",
];

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

/// One line of the table.
struct Line {
    place: String,
    name: String,
    /// What it answered, or why it need not; an error if it says neither.
    answer: Result<String, String>,
}

impl Line {
    /// As [`EXPLAINED`] writes it.
    fn full_name(&self) -> String {
        if self.place.starts_with("tailspan-") { self.name.clone() } else { format!("{}: {}", self.place, self.name) }
    }
}

/// The sidecar, Prometheus, and when the first scrape was, in seconds since 1970.
struct Lived {
    prometheus: Prometheus,
    first: f64,
    daemon: Daemon,
}

/// Hour by hour: rows are written, counted by the sidecar and scraped, while the trace backend has its own troubles.
fn live(folder: &Path, sink: &Sink) -> Lived {
    let (projects, state) = (folder.join("projects"), folder.join("state"));
    let mut day = Day::ending(now(), &projects);
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("epoch.json"), day.epoch()).unwrap();
    let config = folder.join("tailspan.toml");
    fs::write(&config, "[[budgets]]\nname = \"month\"\nusd = \"200\"\nperiod = \"month\"\n").unwrap();
    let (url, config) = (sink.url(), config.to_str().unwrap().to_owned());
    let options = ["--config", &config, "--otlp-endpoint", &url, "--traces-history-since", "all"];
    let mut daemon = Daemon::start(&projects, &state, &options);
    let address = daemon.address;
    daemon.metrics();
    let prometheus = Prometheus::start(folder, address, &rule_files::files());
    let first = prometheus.until("the first scrape", || prometheus.number("timestamp(up == 1)"));
    for hour in 0..HOURS {
        match hour {
            3 => sink.script([503, 503, 503].map(sink::Answer::status)),
            6 => sink.script([sink::Answer::Partial { rejected: 2, message: "too old" }]),
            8 => sink.poison("execute_tool WebFetch"),
            10 => sink.script([401, 429].map(sink::Answer::status)),
            _ => {}
        }
        day.hour(hour);
        prometheus.until(&format!("hour {hour} is scraped"), || {
            prometheus.number("tailspan_lines_total").filter(|lines| *lines >= day.lines as f64)
        });
        if hour == 8 {
            prometheus.until("a span is given up", || prometheus.number("tailspan_spans_dropped_total > 0"));
            sink.poison("no span has this name");
        }
        if hour == HOURS / 2 {
            assert_eq!(daemon.stop(), Some(0));
            prometheus.until("the sidecar is missed", || prometheus.number("up == 0"));
            daemon =
                Daemon::spawn(&projects, &state, &[&["--listen", &address.to_string()], options.as_slice()].concat());
            daemon.wait_for_log("tailspan is running");
            daemon.address = address;
        }
    }
    let reset = now().0 / 1000 + 7200;
    let told = format!("{{\"rate_limits\": {{\"five_hour\": {{\"used_percentage\": 62, \"resets_at\": {reset}}}}}}}");
    let headers = [("Content-Type", "application/json")];
    assert_eq!(request(daemon.address, "POST", "/api/v1/limits", &headers, told.as_bytes()).status, 200);
    prometheus.until("a limit is scraped", || prometheus.number("tailspan_limit_used_ratio"));
    pass_on(&daemon, &prometheus, &projects, &mut day);
    day.waiting(now());
    prometheus.until("somebody waits", || prometheus.number("sum(tailspan_sessions_waiting) > 0"));
    let done = || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(());
    daemon.until("all spans have left", done);
    assert!(sink.accepted_spans().len() > 500, "the backend got the day");
    prometheus.until("that is scraped", || prometheus.number("tailspan_outbox_spans == 0"));
    Lived { prometheus, first, daemon }
}

/// Three runs of a workflow: their streams come first, and then their session files.
fn pass_on(daemon: &Daemon, prometheus: &Prometheus, projects: &Path, day: &mut Day) {
    for (number, ends) in [(1, "success"), (2, "error_max_turns"), (3, "success")] {
        let run = PassedOn::new(daemon.address, number, now());
        run.stream(ends);
        let path = format!("/api/v1/analytics/runs/{}", run.run);
        daemon.until("the stream is read", || (get(daemon.address, &path).status == 200).then_some(()));
        day.lines += run.file(projects);
        let runs = "sum(tailspan_workflow_runs_total)";
        prometheus.until("a run is scraped", || prometheus.number(runs).filter(|runs| *runs >= f64::from(number)));
        let rows = || prometheus.number("tailspan_lines_total").filter(|lines| *lines >= day.lines as f64);
        prometheus.until("its file is scraped", rows);
    }
}

/// An expression over the whole day, as a dashboard would ask it.
fn asked(lived: &Lived, expression: &str) -> Result<Vec<Answer>, String> {
    let end = now().0 as f64 / 1000.0;
    let step = ((end - lived.first) / 40.0).max(1.0).round();
    // The last step is now, whatever is left over comes before the first.
    let start = end - ((end - lived.first) / step).floor() * step;
    lived.prometheus.range(expression, start, end, step)
}

fn shown(answers: &[Answer]) -> String {
    format!("{} series, {}", answers.len(), answers.first().map_or_else(String::new, Answer::shown))
}

fn explained(name: &str) -> Option<&'static str> {
    EXPLAINED.iter().find(|(explained, _)| *explained == name).map(|(_, why)| *why)
}

/// What an expression that must answer or be explained has to say.
fn verdict(name: &str, answers: Result<Vec<Answer>, String>) -> Result<String, String> {
    let answers = answers.map_err(|error| format!("PROMQL ERROR: {error}"))?;
    match (answers.is_empty(), explained(name)) {
        (true, Some(why)) => Ok(format!("nothing: {why}")),
        (true, None) => Err("EMPTY, and nobody says why".to_owned()),
        (false, Some(_)) => Err(format!("ANSWERS, though it is listed as empty: {}", shown(&answers))),
        (false, None) => Ok(shown(&answers)),
    }
}

/// The alert's condition; where it is not met, what it compares must be there.
fn alert(lived: &Lived, rule: &Rule) -> Result<String, String> {
    let met = asked(lived, &rule.expression);
    if !matches!(&met, Ok(answers) if answers.is_empty()) || explained(&rule.name).is_some() {
        return verdict(&rule.name, met).map(|said| format!("met: {said}").replace("met: nothing", "nothing"));
    }
    if RAISED.contains(&rule.name.as_str()) {
        return Err("NOT MET on a day that must raise it".to_owned());
    }
    verdict(&rule.name, asked(lived, &compared(&rule.expression))).map(|said| format!("not met, compared: {said}"))
}

/// An expression whose comparisons answer 0 or 1 instead of leaving out what does not meet them.
fn compared(expression: &str) -> String {
    let (mut text, mut inside, mut braces) = (String::new(), false, 0);
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        text.push(letter);
        match letter {
            '"' => inside = !inside,
            '{' if !inside => braces += 1,
            '}' if !inside => braces -= 1,
            '<' | '>' | '=' | '!' if !inside && braces == 0 => {
                text.extend(letters.next_if_eq(&'='));
                text.push_str(" bool");
            }
            _ => {}
        }
    }
    text
}

fn rule_lines(lived: &Lived) -> Vec<Line> {
    let mut lines = Vec::new();
    for rule in rules() {
        let answer = if rule.is_alert {
            alert(lived, &rule)
        } else {
            let answers = asked(lived, &rule.name);
            let wrong = answers.iter().flatten().find(|answer| labels(answer) != expected_labels(&rule.name));
            match wrong {
                Some(wrong) => Err(format!("HAS OTHER LABELS than its name says: {}", wrong.shown())),
                None => verdict(&rule.name, answers),
            }
        };
        lines.push(Line { place: rule.group, name: rule.name, answer });
    }
    lines
}

fn labels(answer: &Answer) -> BTreeSet<String> {
    answer.labels.keys().filter(|label| *label != "__name__").cloned().collect()
}

fn expected_labels(name: &str) -> BTreeSet<String> {
    let target = if name.starts_with("tailspan") { vec![] } else { vec!["job".to_owned(), "instance".to_owned()] };
    vocabulary::level(name).unwrap().into_iter().chain(target).collect()
}

fn board_lines(lived: &Lived, queries: Vec<Query>, words: &Vocabulary) -> Vec<Line> {
    let mut lines = Vec::new();
    for Query { board, panel, expression } in queries {
        let problems = words.problems(&expression);
        let answer = if problems.is_empty() {
            verdict(&format!("{board}: {panel}"), asked(lived, &expression))
        } else {
            Err(format!("WRONG WORDS: {}", problems.join(", ")))
        };
        lines.push(Line {
            place: board,
            name: panel,
            answer: answer.map_err(|error| format!("{error} — {expression}")),
        });
    }
    lines
}

/// Every query of the dashboards of this repository; none while it has none.
fn board_queries(prometheus: &Prometheus) -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let values = |expression: &str, label: &str| -> Vec<String> {
        let known = prometheus.query(&format!("group by ({label}) ({expression})")).unwrap();
        known.iter().map(|series| series.label(label).to_owned()).collect()
    };
    panels::boards(&folder).iter().flat_map(|(name, json)| panels::queries(name, json, &values)).collect()
}

/// What Prometheus itself says of the rules that it evaluates.
fn evaluated(prometheus: &Prometheus) -> Vec<String> {
    let data = prometheus.api("/api/v1/rules", &[]).unwrap();
    let groups = data["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), rule_files::rules().len(), "Prometheus has loaded every rule");
    let bad = rules.iter().filter(|rule| rule["health"] != "ok");
    bad.map(|rule| format!("{}: {}", rule["name"], rule["lastError"])).collect()
}

/// Prints past the capture of the test harness: the table is wanted when everything is well, too.
fn print(lines: &[Line]) {
    let width = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line).chars().count()).max().unwrap_or_default();
    let (place, name) = (width(|line| &line.place), width(|line| &line.name));
    let mut table = String::from("\n");
    for line in lines {
        let (Ok(answer) | Err(answer)) = &line.answer;
        table += &format!("{:place$} | {:name$} | {answer}\n", line.place, line.name);
    }
    let answered = lines.iter().filter(|line| line.answer.as_ref().is_ok_and(|said| !said.starts_with("nothing")));
    table += &format!("{} of {} answered\n", answered.count(), lines.len());
    std::io::stdout().lock().write_all(table.as_bytes()).unwrap();
}

#[test]
fn everything_that_is_shipped_to_be_asked_answers_after_a_day() {
    if !scraper::installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sink = runtime.block_on(Sink::start());
    let mut lived = live(folder.path(), &sink);
    // Exemplars have the time at which a turn ended.
    let (start, end) = (format!("{}", lived.first - 86_400.0), format!("{}", now().0 / 1000 + 1));
    let exemplars = [("query", "tailspan_turn_cost_usd_bucket"), ("start", &*start), ("end", &*end)];
    let exemplars = lived.prometheus.api("/api/v1/query_exemplars", &exemplars).unwrap();
    assert!(exemplars[0]["exemplars"][0]["labels"]["trace_id"].is_string(), "exemplars lead to traces: {exemplars}");
    // A week of history, so that what compares with yesterday or with last week has something to compare with.
    let past = past::openmetrics(&lived.prometheus, lived.first);
    lived.prometheus = lived.prometheus.given_a_past(&past);
    let prometheus = &lived.prometheus;
    let again = format!("(up == 1) and (timestamp(up) > {})", now().0 as f64 / 1000.0);
    prometheus.until("it scrapes again", || prometheus.number(&again));
    for figure in ["tailspan_tokens_total offset 1d", "instance:tailspan_cost_usd:increase1h_p95_7d", "ALERTS"] {
        prometheus.until(figure, || prometheus.number(&format!("count({figure})")));
    }
    // The last rule that needs the past, by the order of the files.
    prometheus.until("the rules know of it", || prometheus.number("instance:tailspan_store_bytes:delta1d"));
    let words = Vocabulary::with(rules().iter().filter(|rule| !rule.is_alert).map(|rule| rule.name.as_str()));
    let mut lines = rule_lines(&lived);
    lines.extend(board_lines(&lived, board_queries(&lived.prometheus), &words));
    print(&lines);
    let places: BTreeSet<_> = lines.iter().map(|line| line.place.as_str()).collect();
    let names: BTreeSet<_> = lines.iter().map(Line::full_name).collect();
    // A dashboard that is not there needs no explanation.
    let stale = |name: &str| match name.split_once(": ") {
        Some((place, _)) => places.contains(place) && !names.contains(name),
        None => !names.contains(name),
    };
    let unknown: Vec<_> = EXPLAINED.iter().filter(|(name, _)| stale(name)).collect();
    assert!(unknown.is_empty(), "explanations of what is not there: {unknown:?}");
    let wrong: Vec<_> =
        lines.iter().filter_map(|line| line.answer.as_ref().err().map(|why| (&line.place, &line.name, why))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(evaluated(&lived.prometheus), Vec::<String>::new());
    assert_eq!(lived.daemon.stop(), Some(0));
}

#[test]
fn the_walk_finds_every_query_and_fills_in_every_variable() {
    let json = json!({
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "query": "prometheus"},
            {"type": "query", "name": "job", "query": "label_values(up, job)", "includeAll": true, "allValue": ".+"},
            {"type": "query", "name": "model", "query": {"query": "label_values(tailspan_tokens_total{job=~\"$job\"}, model)"}},
            {"type": "query", "name": "project", "query": "label_values(project)", "includeAll": true, "multi": true},
            {"type": "custom", "name": "top", "query": "5,10"},
            {"type": "interval", "name": "window", "query": "1h,1d"},
            {"type": "query", "name": "session", "query": {"url": "/api"}, "datasource": {"type": "infinity"}},
            {"type": "textbox", "name": "q", "query": "x"},
        ]},
        "annotations": {"list": [{"name": "Starts", "expr": "changes(tailspan_start_time_seconds{job=~\"$job\"}[$__interval])"}]},
        "panels": [
            {"title": "Cost", "targets": [{"refId": "A", "expr": "topk($top, rate(c{job=~\"$job\", m=\"${model}\"}[$__rate_interval]))"}]},
            {"type": "row", "title": "More", "panels": [
                {"title": "Inside", "targets": [{"refId": "A", "expr": "a{p=~\"${project:regex}\"}[$window]"},
                    {"refId": "B", "expr": "b{q=\"[[q]]\"} / $__range_s"}]},
                {"title": "A trace list", "targets": [{"refId": "A", "query": "no expression"}]},
            ]},
        ],
        "rows": [{"panels": [{"title": "Old", "targets": [{"refId": "A", "expr": "increase(c[$__range])"}]}]}],
    });
    let values = |expression: &str, label: &str| {
        assert_eq!((expression, label), ("tailspan_tokens_total{job=~\".+\"}", "model"));
        vec!["claude-a".to_owned(), "claude-b".to_owned()]
    };
    let found = panels::queries("board", &json, &values);
    let found: BTreeMap<_, _> = found.iter().map(|query| (&*query.panel, &*query.expression)).collect();
    let expected = [
        ("variable job", "group by (job) (up)"),
        ("variable model", "group by (model) (tailspan_tokens_total{job=~\".+\"})"),
        ("variable project", "group by (project) ({__name__=~\"tailspan_.+\"})"),
        ("annotation Starts", "changes(tailspan_start_time_seconds{job=~\".+\"}[15s])"),
        ("Cost A", "topk(5, rate(c{job=~\".+\", m=\"claude-a\"}[1m]))"),
        ("Inside A", "a{p=~\".*\"}[1h]"),
        ("Inside B", "b{q=\"x\"} / 86400"),
        ("Old A", "increase(c[1d])"),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn a_comparison_that_is_not_met_shows_what_it_compares() {
    let expression = "a{x=~\">1\", y!=\"b\"} > 1 and on (job) (c == 0 or d{z!~\"e\"} >= 2) unless f != 3";
    let expected =
        "a{x=~\">1\", y!=\"b\"} > bool 1 and on (job) (c == bool 0 or d{z!~\"e\"} >= bool 2) unless f != bool 3";
    assert_eq!(compared(expression), expected);
}
