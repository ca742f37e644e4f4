//! `/metrics` as OpenMetrics: read by a strict parser, led by exemplars to spans, begun when it says.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tailspan::http::metrics::scrape::{Build, Deliveries, Scrape};
use tailspan::http::{RequestCounters, wants_openmetrics};
use tailspan::ledger::money::Money;
use tailspan::ledger::unit::{Agent, Message, Tool, Unit, UnitId};
use tailspan::ledger::{ended, family::roots};
use tailspan::measures::Change;
use tailspan::store::{self, Commit};
use tailspan::transcript::ids::{AgentId, RowId};
use tailspan::transcript::record::{Outcome, Reason};
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog::{self, ALL, KeptIn, Metric, MetricKind};
use tailspan::views::metrics::exemplars::{Exemplar, trace_around};
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::text::TextFormat;
use tailspan::views::metrics::totals::{Sample, Series, Snapshot, Totals};
use tailspan::views::traces::ids::{SpanAt, TraceId, root_of_turn, span_id};
use tailspan::views::traces::tree::{TurnFacts, TurnOrder, position_of, turn_spans};
use tailspan::vitals::Vitals;

use crate::support::daemon::Daemon;
use crate::support::units::{agent, message, recordings, run, session, tool, turn};

const EVER: Timestamp = Timestamp(0);
const EPOCH: Timestamp = Timestamp(1_700_000_000_250);
const STARTED: Timestamp = Timestamp(1_700_000_900_500);
const LATER: Timestamp = Timestamp(1_700_001_000_000);
/// Metrics with exemplars.
const EXEMPLIFIED: [&Metric; 5] = [
    &catalog::COST,
    &catalog::API_REQUEST_DURATION,
    &catalog::TOOL_DURATION,
    &catalog::TURN_DURATION,
    &catalog::TURN_COST,
];

fn totals() -> Totals {
    Totals::new(LabelRules::default()).since(EPOCH)
}

fn call_of<'a>(unit: &'a Unit, call: &str) -> Option<&'a Tool> {
    unit.parts.tool(call)
}

fn observe(totals: &mut Totals, units: &[&Unit]) {
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.key.id(), *unit)).collect();
    for unit in units {
        totals.observe(&Change::between(None, unit), EVER, trace_around(unit, &|id| by_id.get(&id).copied(), &call_of));
        totals.observe(&Change::Ended { turn: unit, cost: Some(Money::from_picousd(20_000_000_000)) }, EVER, None);
    }
    totals.committed();
}

/// Totals in which every stored metric has a series, and label values that need escapes beside them.
fn everything() -> Snapshot {
    let mut totals = totals();
    // First: the recordings have more projects than there are values of the label.
    let mut strange = turn(1, "/home/dev/say \"yes\"");
    strange.parts.messages.push(message("strange", "claude-a", 10, Some(500)));
    observe(&mut totals, &[&strange]);
    for (_, pass) in recordings() {
        for session in pass.sessions() {
            observe(&mut totals, &pass.units_of(session).iter().map(|unit| &**unit).collect::<Vec<_>>());
        }
    }
    totals.observe(&Change::new_session(&session("cli", LATER), None).unwrap(), EVER, None);
    totals.observe(&Change::Run { run: &run(1, Some("say \"yes\"")), cost: Money::ZERO }, EVER, None);
    totals.add(&catalog::LINES, 7);
    totals.rejected(Reason::TooLong, 1);
    totals.unknown("pr-link", 2);
    totals.snapshot()
}

fn vitals() -> Vitals {
    let vitals = Vitals::new(STARTED, Duration::from_secs(1800));
    vitals.last_event.advance(LATER);
    vitals.outbox_oldest.set(Some(LATER));
    vitals.set_history(vec![("default".into(), 3)]);
    vitals
}

fn with_scrape<T>(totals: &Snapshot, revision: &str, act: impl FnOnce(&Scrape<'_>) -> T) -> T {
    act(&Scrape {
        totals,
        vitals: &vitals(),
        deliveries: &Deliveries { spans_exported: 4, failures: vec![("timeout", 3)], ..Deliveries::default() },
        budgets: &crate::budgets::shown(),
        limits: &crate::account_limits::shown(),
        requests: &RequestCounters::default(),
        build: Build { version: "0.1.0", revision },
        now: LATER,
    })
}

// ---- The strict parser ----------------------------------------------------------------------------------------------

const PARSER: &str = "prometheus-client==0.25.0";

/// A Python that has the parser, made once below `target`; `None` if this machine cannot make one.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PARSER);
        let python = folder.join("bin/python3");
        let has_parser = |python: &Path| {
            let mut import = Command::new(python);
            import.args(["-c", "import prometheus_client.openmetrics.parser"]).stderr(Stdio::null());
            import.status().is_ok_and(|status| status.success())
        };
        if !has_parser(&python) {
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output().ok()?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1", PARSER];
            Command::new(&python).args(pip).output().ok()?;
        }
        has_parser(&python).then_some(python)
    };
    let python = PYTHON.get_or_init(make).as_deref();
    if python.is_none() {
        assert!(std::env::var("CI").is_err(), "CI needs python3 with venv, and PyPI");
        println!("skipped: python3 -m venv and pip install {PARSER} do not work here");
    }
    python
}

/// What the parser for `format` reads.
fn parsed(python: &Path, format: &str, text: &str) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/openmetrics.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(format)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every sample but `_created`: name, labels, bound, value.
fn values(families: &[Value]) -> BTreeMap<(String, String, Option<String>), f64> {
    let samples = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
    samples
        .filter(|sample| !sample["name"].as_str().unwrap().ends_with("_created"))
        .map(|sample| {
            let bound = sample["canonical_le"].as_str().map(str::to_owned);
            let key = (sample["name"].as_str().unwrap().to_owned(), sample["labels"].to_string(), bound);
            (key, sample["value"].as_f64().unwrap())
        })
        // They change between two scrapes.
        .filter(|((name, ..), _)| !name.starts_with("process_"))
        .collect()
}

#[test]
fn a_strict_parser_reads_the_numbers_of_the_text_format() {
    let Some(python) = python() else { return };
    let totals = everything();
    let strange = "a \"b\" \\n c\nd\\";
    let (text, open) =
        with_scrape(&totals, strange, |scrape| (scrape.text(TextFormat::Plain), scrape.text(TextFormat::Open)));
    let (text, open) = (parsed(python, "text", &text), parsed(python, "openmetrics", &open));
    assert!(values(&text).len() > 500, "{}", values(&text).len());
    assert!(values(&text) == values(&open), "the two formats say the same");
    let by_name: HashMap<&str, &Value> = open.iter().map(|family| (family["name"].as_str().unwrap(), family)).collect();
    for metric in ALL {
        let full_name = metric.full_name();
        let family = by_name[full_name.strip_suffix("_total").unwrap_or(&full_name)];
        assert_eq!(family["type"], metric.kind.name(), "{full_name}");
        assert_eq!(family["help"], metric.help, "{full_name}");
        let unit = match metric.unit {
            catalog::MetricUnit::Seconds | catalog::MetricUnit::Timestamp => "seconds",
            catalog::MetricUnit::Usd => "usd",
            catalog::MetricUnit::Ratio => "ratio",
            catalog::MetricUnit::Tokens => "tokens",
            catalog::MetricUnit::Bytes => "bytes",
            catalog::MetricUnit::Count | catalog::MetricUnit::Boolean | catalog::MetricUnit::Number => "",
        };
        assert_eq!(family["unit"], unit, "{full_name}");
        let samples = family["samples"].as_array().unwrap();
        let created: Vec<f64> = samples
            .iter()
            .filter(|sample| sample["name"].as_str().unwrap().ends_with("_created"))
            .map(|sample| sample["value"].as_f64().unwrap())
            .collect();
        let series: BTreeSet<String> = samples.iter().map(|sample| sample["labels"].to_string()).collect();
        let expected = if metric.kept == KeptIn::State { 1_700_000_000.25 } else { 1_700_000_900.5 };
        let all = if metric.kind == MetricKind::Gauge { Vec::new() } else { vec![expected; series.len()] };
        assert_eq!(created, all, "{full_name}: since when it counts, and of gauges nothing");
        for sample in samples {
            assert_eq!(sample["le"], sample["canonical_le"], "{full_name}");
        }
        let exemplified = samples.iter().filter(|sample| !sample["exemplar"].is_null()).count();
        assert_eq!(exemplified > 0, EXEMPLIFIED.contains(metric), "{full_name}");
    }
    assert_eq!(by_name["tailspan_build_info"]["samples"][0]["labels"]["revision"], strange);
    let projects = by_name["tailspan_project_tokens"]["samples"].as_array().unwrap();
    assert!(projects.iter().any(|sample| sample["labels"]["project"] == "say \"yes\""));
}

#[test]
fn exemplars_and_beginnings_are_written_behind_their_samples() {
    let mut unit = turn(0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b, "/home/dev/app");
    let end = Timestamp(1_700_000_950_500);
    let start = Timestamp(end.0 - 2500);
    let sent = message("m1", "claude-a", 10, Some(250_000_000_000));
    unit.parts.messages.push(Message { start, end, closed: true, ..sent });
    let mut totals = totals();
    observe(&mut totals, &[&unit]);
    let text = with_scrape(&totals.snapshot(), "abc", |scrape| scrape.text(TextFormat::Open));
    let trace = TraceId(0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b);
    let ids = format!("{{trace_id=\"{trace}\",span_id=\"{}\"}}", span_id(trace, "chat", "m1"));
    for line in [
        &*format!("tailspan_cost_usd_total{{model=\"claude-a\",agent=\"main\"}} 0.25 # {ids} 0.25 1700000950.5"),
        "tailspan_cost_usd_created{model=\"claude-a\",agent=\"main\"} 1700000000.25",
        "tailspan_api_request_duration_seconds_bucket{model=\"claude-a\",le=\"1.28\"} 0",
        &*format!(
            "tailspan_api_request_duration_seconds_bucket{{model=\"claude-a\",le=\"2.56\"}} 1 # {ids} 2.5 1700000950.5"
        ),
        "tailspan_api_request_duration_seconds_bucket{model=\"claude-a\",le=\"5.12\"} 1",
        "tailspan_turn_cost_usd_bucket{le=\"1.0\"} 1",
        "# TYPE tailspan_cost_usd counter\n# UNIT tailspan_cost_usd usd\n# HELP tailspan_cost_usd List price of API \
         responses. What has no known price is in tailspan_unpriced_tokens_total instead.",
        "# TYPE tailspan_turns counter\n# HELP tailspan_turns Prompts that reached the model, by who asked.",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
    }
    assert!(ids.len() < 128 && text.ends_with("\n# EOF\n"));
}

// ---- Negotiation ----------------------------------------------------------------------------------------------------

#[test]
fn openmetrics_is_for_who_asks_for_it() {
    let open = [
        // Prometheus 2.5, 2.28, 2.42 with native histograms, 3.0, 3.0 with protobuf, Grafana Alloy.
        "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
         application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
         escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text",
        "Application/OpenMetrics-Text ; Version=\"1.0.0\" ; charset=utf-8 ; Q=0.001",
        "text/plain,application/openmetrics-text;version=1.0.0",
        "text/plain;q=0,application/openmetrics-text;q=0.5,*/*",
    ];
    let text = [
        "*/*",
        "",
        "application/*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/plain;version=0.0.4;q=1,*/*;q=0.1",
        "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=2.0.0;q=0.9,text/plain;q=0.1",
        "application/openmetrics-text;q=0.5,text/plain;q=0.6",
        "application/openmetrics-text;q=0.5,text/*;q=0.6",
        "application/openmetrics-text;q=0.5,*/*",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=many",
        "application/openmetrics-text;q=1.5",
        ",;=,;q",
    ];
    for (accept, expected) in open.iter().map(|accept| (accept, true)).chain(text.iter().map(|accept| (accept, false)))
    {
        assert_eq!(wants_openmetrics(accept), expected, "{accept}");
    }
    let totals = totals().snapshot();
    with_scrape(&totals, "abc", |scrape| {
        let (content_type, body) = scrape.answer(open[0]);
        assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(body.ends_with("# EOF\n"));
        let (content_type, body) = scrape.answer("*/*");
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        assert!(!["_created", "# UNIT", "# EOF", " # {"].iter().any(|more| body.contains(more)), "as it was");
    });
}

#[test]
fn the_sidecar_answers_in_the_format_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/b_tools/projects");
    let daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    assert!(!daemon.metrics().contains("# EOF"), "text is what people get");
    let mut stream = TcpStream::connect(daemon.address).unwrap();
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let head = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\n# EOF\n") && answer.contains("\ntailspan_tokens_created{"), "{answer}");
    assert!(!answer.contains(" # {"), "history has no exemplars");
    if let Some(python) = python() {
        parsed(python, "openmetrics", answer.split_once("\r\n\r\n").unwrap().1);
    }
    assert_eq!(daemon.stop(), Some(0));
}

// ---- Exemplars ------------------------------------------------------------------------------------------------------

/// Every exemplar of some totals.
fn exemplars(snapshot: &Snapshot) -> Vec<(&'static Metric, usize, Exemplar)> {
    let mut found = Vec::new();
    for metric in ALL {
        for (labels, _) in snapshot.of(metric) {
            let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
            let own = snapshot.exemplars(metric, &labels).iter().enumerate();
            found.extend(own.filter_map(|(position, exemplar)| Some((*metric, position, (*exemplar)?))));
        }
    }
    found
}

#[test]
fn exemplars_lead_to_spans_that_exist() {
    let (mut seen, mut below) = (BTreeSet::new(), 0);
    for (path, pass) in recordings() {
        for session in pass.sessions() {
            let whole = pass.units_of(session);
            let units: Vec<&Unit> = whole.iter().map(|unit| &**unit).collect();
            let agents: HashMap<&str, &Unit> =
                units.iter().filter_map(|unit| Some((unit.agent.as_ref()?.id.plain(), *unit))).collect();
            let find = |id: &AgentId| agents.get(id.plain()).copied();
            let batches = roots(&units).into_iter().flat_map(|unit| {
                let position = position_of(session, unit, TurnOrder::among(units.iter().copied()).earlier(unit));
                turn_spans(&TurnFacts { turn: unit, agents: &find, position, end: ended::so_far(unit) })
            });
            let spans: HashSet<SpanAt> =
                batches.flat_map(|batch| batch.spans).map(|span| SpanAt { trace: span.trace, span: span.id }).collect();
            // One at a time: a later one would take the place of an earlier one.
            for unit in &units {
                let mut totals = totals();
                let find = |id| units.iter().copied().find(|unit| unit.key.id() == id);
                let trace = trace_around(unit, &find, &call_of);
                totals.observe(&Change::between(None, unit), EVER, trace);
                totals.observe(&Change::Ended { turn: unit, cost: Some(unit.gist().cost) }, EVER, None);
                let found = exemplars(&totals.snapshot());
                below += usize::from(unit.agent.is_some() && !found.is_empty());
                for (metric, position, exemplar) in found {
                    assert!(spans.contains(&exemplar.at), "{}: {} {exemplar:?}", path.display(), metric.name);
                    let above = metric.buckets.get(position).is_none_or(|bound| exemplar.value <= *bound);
                    let below = position == 0 || exemplar.value > metric.buckets[position - 1];
                    assert!(above && below, "{} {position} {exemplar:?}", metric.name);
                    seen.insert(metric.name);
                }
            }
        }
    }
    assert_eq!(seen, EXEMPLIFIED.iter().map(|metric| metric.name).collect());
    assert!(below > 5, "sub-agents too: {below}");
}

#[test]
fn a_sub_agent_is_where_its_call_leads() {
    let mut above = turn(7, "/home/dev/app");
    above.parts.tools.push(tool("toolu_1", "Agent", None));
    let mut below = agent(1, Some("Explore"));
    let known = below.agent.as_mut().unwrap();
    (known.call, known.parent) = (Some("toolu_1".into()), Some(above.key.id()));
    known.first_row = Some((EPOCH, RowId(9)));
    let around = |unit: &Unit| trace_around(unit, &|id| (id == above.key.id()).then_some(&above), &call_of);
    assert_eq!([trace_around(&above, &|_| None, &call_of), around(&below)], [Some(TraceId(7)); 2]);
    assert_eq!(trace_around(&below, &|_| None, &call_of), None, "the turn is not at hand");
    let change = |change: &dyn Fn(&mut Agent)| {
        let mut changed = below.clone();
        change(changed.agent.as_mut().unwrap());
        around(&changed)
    };
    assert_eq!(change(&|agent| agent.background = true), Some(TraceId(9)), "it has a trace of its own");
    assert_eq!(change(&|agent| agent.parent = None), None, "nobody knows yet");
    assert_eq!(change(&|agent| agent.call = Some("toolu_2".into())), None);
    let mut itself = below.clone();
    itself.agent.as_mut().unwrap().parent = Some(below.key.id());
    itself.parts.tools.push(tool("toolu_1", "Agent", None));
    assert_eq!(trace_around(&itself, &|_| Some(&itself), &call_of), None, "a circle ends");
}

#[test]
fn the_latest_observation_of_each_bucket_stays() {
    let mut unit = turn(7, "/home/dev/app");
    let ended = |id: &str, time| tool(id, "Bash", Some((time, Outcome::Ok)));
    // Calls are at 2000: these take 1.5 s, 1.4 s, 1.3 s in one bucket, and 1 h.
    unit.parts.tools = vec![ended("t1", 3300), ended("t2", 3500), ended("t3", 3400), ended("t4", 3_602_000)];
    unit.parts.messages = vec![message("m1", "claude-a", 1, Some(100)), message("m2", "claude-a", 1, Some(200))];
    unit.parts.messages[1].request = Some("req_1".into());
    unit.parts.messages[0].request = Some("req_1".into());
    unit.parts.messages[0].end = Timestamp(9000);
    let mut totals = totals();
    observe(&mut totals, &[&unit]);
    let snapshot = totals.snapshot();
    let durations = snapshot.exemplars(&catalog::TOOL_DURATION, &["Bash"]);
    let of = |kind, key, value, time| {
        let at = SpanAt { trace: TraceId(7), span: span_id(TraceId(7), kind, key) };
        Some(Exemplar { at, value, time: Timestamp(time) })
    };
    assert_eq!(durations[8], of("execute_tool", "t2", 1500, 3500));
    assert_eq!(durations[17], of("execute_tool", "t4", 3_600_000, 3_602_000), "beyond all bounds");
    assert_eq!(durations.iter().flatten().count(), 2);
    let costs = |snapshot: &Snapshot| snapshot.exemplars(&catalog::COST, &["claude-a", "main"])[0];
    assert_eq!(costs(&snapshot), of("chat", "req_1", 100, 9000), "the first of a request has its name");
    let mut more = unit.clone();
    more.parts.messages[1].shares[0].cost = Some(Money::from_picousd(300));
    more.parts.messages[1].end = Timestamp(9500);
    totals.observe(&Change::between(Some(&unit), &more), EVER, Some(TraceId(7)));
    assert_eq!(costs(&totals.snapshot()), of("chat", "m2", 300, 9500), "the whole cost of what has grown");
    assert_eq!(costs(&snapshot), of("chat", "req_1", 100, 9000), "what was shown does not change");
    let root = snapshot.exemplars(&catalog::TURN_COST, &[]).iter().flatten().next().unwrap().at;
    assert_eq!(root, root_of_turn(RowId(7)));
    more.parts.messages[1].shares[0].cost = Some(Money::from_picousd(400));
    totals.observe(&Change::between(Some(&unit), &more), EVER, None);
    assert_eq!(costs(&totals.snapshot()), of("chat", "m2", 300, 9500), "without a trace there is none");
}

// ---- Beginnings -----------------------------------------------------------------------------------------------------

fn created(totals: &mut Totals, metric: &'static Metric, labels: &[&str]) -> Option<Timestamp> {
    totals.snapshot().created(metric, labels)
}

#[test]
fn a_series_begins_when_it_is_first_seen_and_a_restart_does_not_change_that() {
    let folder = tempfile::tempdir().unwrap();
    let unit = |number: u128, model: &str| {
        let mut unit = turn(number, "/home/dev/app");
        unit.parts.messages.push(message(&format!("m{number}"), model, 10, Some(5)));
        unit
    };
    let open = |now| {
        let opened = store::open(folder.path(), now).unwrap();
        let totals = Totals::load(LabelRules::default(), opened.recovered.totals).since(opened.epoch.first_start);
        (opened.writer, totals)
    };
    let (mut writer, mut totals) = open(EPOCH);
    totals.set_time(STARTED);
    totals.observe(&Change::between(None, &unit(1, "claude-a")), EVER, None);
    let requests = |totals: &mut Totals, model| created(totals, &catalog::API_REQUESTS, &[model]);
    assert_eq!(requests(&mut totals, "claude-a"), Some(EPOCH), "an older state may have shown it");
    totals.set_time(LATER);
    totals.observe(&Change::between(None, &unit(2, "claude-b")), EVER, None);
    writer.commit(&Commit { totals: totals.dirty().collect(), ..Commit::default() }).unwrap();
    totals.committed();
    writer.flush().unwrap();
    let before: Vec<_> = all_created(&mut totals);
    drop((writer, totals));

    let (_writer, mut totals) = open(Timestamp(LATER.0 + 1));
    assert!(all_created(&mut totals) == before);
    totals.set_time(Timestamp(LATER.0 + 2));
    totals.observe(&Change::between(None, &unit(3, "claude-b")), EVER, None);
    totals.observe(&Change::between(None, &unit(4, "claude-d")), EVER, None);
    let number = totals.snapshot().get(&catalog::API_REQUESTS, &["claude-b"]).cloned();
    assert_eq!(number, Some(Sample::Number(2)), "it goes on");
    assert_eq!(requests(&mut totals, "claude-a"), Some(EPOCH));
    assert_eq!(requests(&mut totals, "claude-b"), Some(LATER));
    assert_eq!(requests(&mut totals, "claude-d"), Some(Timestamp(LATER.0 + 2)));
    assert_eq!(created(&mut totals, &catalog::TURNS, &["human"]), Some(EPOCH), "it is there from the start");
    assert_eq!(created(&mut totals, &catalog::TURN_COST, &[]), Some(EPOCH), "though it was never written");
    let mut untold = Totals::new(LabelRules::default());
    assert_eq!(created(&mut untold, &catalog::TURNS, &["human"]), None, "nobody said since when");
}

/// When each series began.
fn all_created(totals: &mut Totals) -> Vec<(Series, Option<Timestamp>)> {
    let snapshot = totals.snapshot();
    let created = |series: &Series| {
        let labels: Vec<&str> = series.labels.iter().map(|label| &**label).collect();
        snapshot.created(catalog::find(&series.metric).unwrap(), &labels)
    };
    snapshot.iter().map(|(series, _)| (series.clone(), created(series))).collect()
}
