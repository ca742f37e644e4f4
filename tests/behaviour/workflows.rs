//! Runs and workflows: what streams that were recorded come to as runs, one by one and in sums.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::measures::Change;
use tailspan::transcript::ids::RowId;
use tailspan::transcript::stream::RunId;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::labels::{LabelRules, WORKFLOWS_MAX};
use tailspan::views::metrics::totals::{Sample, Snapshot, Totals};
use tailspan::views::traces::caller::caller;
use tailspan::views::traces::ids::{SpanAt, SpanId, TraceId, run_at};
use tailspan::views::traces::span::{Span, SpanLink, SpanStatus, Value as Attributed};
use tempfile::TempDir;

use crate::support::costs::{Asked, filled};
use crate::support::jaeger::{Served, encoded};
use crate::support::stream_files::{put_run, run_id, streams_of};
use crate::support::units::run;
use crate::support::world::{World, copy_folder, recordings};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name)
}

/// A state with these recordings, of each the session files and its streams as runs of the workflow `nightly`.
fn with(names: &[&str], members: &Value) -> (Asked, World, TempDir) {
    filled(|world| {
        let mut number = 0;
        for name in names {
            copy_folder(&recording(name).join("projects"), &world.root);
            for stream in streams_of(&recording(name)) {
                number += 1;
                put_run(world, &stream, &run_id(number), members);
            }
        }
    })
}

fn usd(value: &Value) -> Money {
    Money::parse_usd(value.as_str().unwrap()).unwrap()
}

fn told(run: &Value) -> (&str, Option<&str>) {
    (run["outcome"].as_str().unwrap(), run["exit_reason"].as_str())
}

#[test]
fn a_run_tells_how_it_ended() {
    let cases = [
        ("2.1.330/a_plain", 1, "success", Some("completed")),
        ("2.0.77/a_plain", 1, "success", Some("success")),
        ("2.1.330/i2_sigint_stream", 1, "interrupted", Some("aborted_streaming")),
        ("2.1.332/bd_sigterm", 1, "killed", None),
        ("2.1.330/j1_kill9_tool", 1, "killed", None),
        ("2.1.330/j2_kill9_stream", 1, "killed", None),
        ("2.1.330/j2_kill9_stream", 2, "success", Some("completed")),
        ("2.1.330/y3_max_turns", 1, "error_max_turns", Some("max_turns")),
        ("2.1.330/y3_max_turns", 2, "error_during_execution", Some("budget_exhausted")),
        ("2.1.332/ax_retry_budget", 2, "error_during_execution", Some("budget_exhausted")),
        ("2.1.330/h2_error_400", 1, "api_error", Some("api_error")),
    ];
    for (name, number, outcome, reason) in cases {
        let (asked, _world, _folder) = with(&[name], &json!({"workflow": "nightly"}));
        let run = asked.answer(&format!("/runs/{}", run_id(number)));
        assert_eq!(told(&run), (outcome, reason), "{name}");
        assert_eq!(run["workflow"], "nightly", "{name}");
        assert!(run["ended_at"].is_string() && run["session"].is_string(), "{name}: {run}");
        assert_eq!(run["session_list"].as_array().unwrap().len(), 1, "{name}");
        let list = asked.answer(&format!("/workflows/nightly?outcome={outcome}"));
        let found: Vec<&Value> = list["runs"].as_array().unwrap().iter().collect();
        assert!(found.iter().any(|one| one["run"] == run["run"]), "{name}: {list}");
        assert!(found.iter().all(|one| one["outcome"] == outcome), "{name}: {list}");
    }
}

#[test]
fn a_run_goes_on_until_its_stream_ends() {
    let (asked, mut world, _folder) = filled(|world| {
        let stream = streams_of(&recording("2.1.330/b_tools")).remove(0);
        let whole = crate::support::stream_files::stream_file(&stream, &run_id(1), &json!({"workflow": "nightly"}));
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        crate::support::world::append(&world.streams().join("a.jsonl"), &lines[..lines.len() / 2].concat());
    });
    let run = asked.answer(&format!("/runs/{}", run_id(1)));
    assert_eq!((told(&run), &run["ended_at"]), (("running", None), &Value::Null));
    assert_eq!(asked.answer("/workflows")["workflows"][0]["success_ratio"], Value::Null);
    // The rest arrives, and the answer is of what is known then.
    put_run(&world, &streams_of(&recording("2.1.330/b_tools"))[0], &run_id(1), &json!({"workflow": "nightly"}));
    world.read(&mut crate::support::world::Dice::new(1), usize::MAX);
    world.settle();
    let run = asked.answer(&format!("/runs/{}", run_id(1)));
    assert_eq!(told(&run), ("success", Some("completed")));
    assert!(run["tools"]["Bash"]["calls"].as_u64().unwrap() > 0, "{run}");
    assert_eq!(asked.answer("/workflows")["workflows"][0]["success_ratio"], 1.0);
}

#[test]
fn turns_of_a_resumed_session_belong_to_the_run_that_asked_for_them() {
    let (asked, _world, _folder) = with(&["2.1.330/g_resume"], &json!({"workflow": "nightly"}));
    let runs = asked.answer("/runs")["runs"].as_array().unwrap().clone();
    assert!(runs.len() > 3);
    let mut turns: BTreeMap<(String, u64), String> = BTreeMap::new();
    for run in &runs {
        let one = asked.answer(&format!("/runs/{}", run["run"].as_str().unwrap()));
        assert_eq!(one["turn_list"].as_array().unwrap().len() as u64, one["turns"].as_u64().unwrap());
        assert!(one["turns"].as_u64().unwrap() > 0, "{one}");
        for turn in one["turn_list"].as_array().unwrap() {
            let key = (turn["session"].as_str().unwrap().to_owned(), turn["turn"].as_u64().unwrap());
            assert_eq!(turns.insert(key, run["run"].as_str().unwrap().to_owned()), None, "a turn is in one run");
        }
        let of_turns: Money = one["turn_list"].as_array().unwrap().iter().map(|turn| usd(&turn["cost_usd"])).sum();
        assert_eq!(of_turns, usd(&one["cost_usd"]), "{one}");
        // Every request of these runs has rows, so that the client's account of the run is ours.
        assert_eq!(one["client_reported_usd"].as_str().map(rounded), Some(rounded(one["cost_usd"].as_str().unwrap())));
        assert_eq!(one["reasons"], json!([]));
    }
    let sessions: BTreeSet<&String> = turns.keys().map(|(session, _)| session).collect();
    assert!(sessions.len() < runs.len(), "a session goes on in several runs");
}

/// An amount to a billionth of a dollar: the client adds floating point numbers.
fn rounded(usd: &str) -> i128 {
    (Money::parse_usd(usd).unwrap().picousd() + 500) / 1_000
}

/// All runs of a workflow, of which a list has this row.
fn page_by_page(asked: &Asked, workflow: &str, row: &Value) -> Vec<Value> {
    let (mut runs, mut cursor): (Vec<Value>, _) = (Vec::new(), String::new());
    loop {
        let page = asked.answer(&format!("/workflows/{workflow}?limit=7{cursor}"));
        assert_eq!((&page["workflow"], &page["total"]), (&row["workflow"], &row["runs"]));
        runs.extend(page["runs"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(runs.is_sorted_by_key(|run| Reverse(run["started_at"].as_str().unwrap().to_owned())), "newest first");
    runs
}

#[test]
fn runs_add_up_to_what_the_filter_by_workflow_takes() {
    let (asked, _world, _folder) = filled(|world| {
        for (recording, first) in recordings().into_iter().zip((1..).step_by(10)) {
            copy_folder(&recording.join("projects"), &world.root);
            for (stream, number) in streams_of(&recording).iter().zip(first..) {
                let members = match number % 3 {
                    0 => json!({}),
                    1 => json!({"workflow": "nightly", "labels": {"team": "search"}}),
                    _ => json!({"workflow": "pull requests", "labels": {"team": "maps", "kind": "review"}}),
                };
                put_run(world, stream, &run_id(number), &members);
            }
        }
    });
    let all = asked.answer("/workflows");
    let rows = all["workflows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let mut sum = Money::ZERO;
    for row in rows {
        let Some(name) = row["workflow"].as_str() else {
            sum += usd(&row["cost_usd"]);
            continue;
        };
        let encoded = name.replace(' ', "%20");
        let costs = asked.ask(&format!("workflow={encoded}"));
        assert_eq!(usd(&row["cost_usd"]), usd(&costs["total"]["cost_usd"]), "{name}");
        assert!(usd(&row["cost_usd"]) > Money::ZERO);
        assert_eq!(row["turns"], costs["total"]["turns"], "{name}");
        let runs = page_by_page(&asked, &encoded, row);
        let ids: BTreeSet<&str> = runs.iter().map(|run| run["run"].as_str().unwrap()).collect();
        assert_eq!(
            (ids.len() as u64, runs.len() as u64),
            (row["runs"].as_u64().unwrap(), row["runs"].as_u64().unwrap())
        );
        assert_eq!(row["last_run"]["run"], runs[0]["run"]);
        let of_runs: Money = runs.iter().map(|run| usd(&run["cost_usd"])).sum();
        assert_eq!(of_runs, usd(&row["cost_usd"]), "{name}");
        let messages: u64 = runs.iter().map(|run| run["messages"].as_u64().unwrap()).sum();
        assert_eq!(Some(messages), costs["total"]["messages"].as_u64(), "{name}");
        let mut ended: Vec<Money> =
            runs.iter().filter(|run| run["outcome"] != "running").map(|run| usd(&run["cost_usd"])).collect();
        ended.sort();
        assert_eq!(usd(&row["cost_per_run"]["p50_usd"]), ended[ended.len().div_ceil(2) - 1], "{name}");
        for run in &runs {
            let client = run["client_reported_usd"].as_str().map(|_| usd(&run["client_reported_usd"]));
            let rest = run["unattributed_usd"].as_str().map(|_| usd(&run["unattributed_usd"]));
            assert_eq!(client.is_some(), rest.is_some());
            assert!(rest.is_none_or(|rest| rest >= Money::ZERO), "{run}");
        }
        sum += of_runs;
    }
    assert_eq!(usd(&all["total"]["cost_usd"]), sum);
}

#[test]
fn runs_are_found_by_their_labels() {
    let (asked, _world, _folder) = filled(|world| {
        let runs = [
            ("2.1.330/a_plain", json!({"workflow": "nightly", "labels": {"team": "search"}})),
            ("2.1.330/b_tools", json!({"workflow": "review", "labels": {"team": "maps", "kind": "review"}})),
            ("2.1.330/d_failing", json!({})),
        ];
        for ((name, members), number) in runs.iter().zip(1..) {
            copy_folder(&recording(name).join("projects"), &world.root);
            put_run(world, &streams_of(&recording(name))[0], &run_id(number), members);
        }
    });
    assert_eq!(asked.answer("/runs")["total"], 3);
    // A label takes the runs that have it, and two labels those that have both.
    for (query, workflow) in [
        ("label=team=search", Some("nightly")),
        ("label=kind", Some("review")),
        ("label=team=maps&label=kind=review", Some("review")),
        ("label=team=maps&label=kind=other", None),
    ] {
        let found = asked.answer(&format!("/runs?limit=1000&{query}"));
        let runs = found["runs"].as_array().unwrap();
        assert_eq!(runs.is_empty(), workflow.is_none(), "{query}");
        assert!(runs.iter().all(|run| run["workflow"].as_str() == workflow), "{query}");
    }
}

#[test]
fn lists_of_sessions_exports_and_sums_know_workflows() {
    let (asked, _world, _folder) = filled(|world| {
        for (name, workflow) in [("2.1.330/b_tools", "nightly"), ("2.1.332/a_plain", "weekly")] {
            copy_folder(&recording(name).join("projects"), &world.root);
            let number = workflow.len();
            put_run(world, &streams_of(&recording(name))[0], &run_id(number), &json!({"workflow": workflow}));
        }
        copy_folder(&recording("2.1.330/d_failing").join("projects"), &world.root);
    });
    for workflow in ["nightly", "weekly"] {
        let run = &asked.answer(&format!("/workflows/{workflow}"))["runs"][0];
        let sessions = asked.sessions(&format!("workflow={workflow}"));
        assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{workflow}: {sessions}");
        assert_eq!(sessions["sessions"][0]["id"], run["session"]);
        let text = asked.text(&format!("/export/turns.ndjson?workflow={workflow}"));
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len() as u64, run["turns"].as_u64().unwrap());
        assert!(rows.iter().all(|row| row["workflow"] == workflow && row["session"] == run["session"]), "{rows:?}");
        let tools = asked.answer(&format!("/tools?since=2020-01-01&workflow={workflow}"));
        let calls: u64 = run["tools"].as_object().unwrap().values().map(|tool| tool["calls"].as_u64().unwrap()).sum();
        assert_eq!(tools["total"]["calls"].as_u64(), Some(calls), "{workflow}");
    }
    assert_eq!(asked.sessions("workflow=monthly")["total"], 0);
    assert_eq!(asked.sessions("")["total"], 3);
}

/// The value of an attribute of a span as text.
fn attribute(span: &Span, key: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| match &attribute.value {
        Attributed::Text(text) => text.clone(),
        Attributed::Int(number) => number.to_string(),
        Attributed::Float(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Where a span leads to, by why it does.
fn links(span: &Span) -> Vec<(String, SpanAt)> {
    let why = |link: &SpanLink| match &link.attributes[0].value {
        Attributed::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    span.links.iter().map(|link| (why(link), SpanAt { trace: link.trace, span: link.span })).collect()
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A state with a recorded stream as a run, and the spans that left.
fn left(name: &str, members: &Value) -> (Vec<Span>, World, TempDir) {
    let (_, mut world, folder) = with(&[name], members);
    world.settle();
    let spans = world.take_spans();
    (spans, world, folder)
}

#[test]
fn a_turn_says_which_run_it_belongs_to_and_who_called() {
    let caller =
        SpanAt { trace: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), span: SpanId(0xb7ad_6b71_6920_3331) };
    for (traceparent, valid) in [
        (CALLER, true),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-will-be", true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false),
        ("", false),
    ] {
        let members = json!({"workflow": "nightly", "traceparent": traceparent});
        let (spans, _world, _folder) = left("2.1.330/b_tools", &members);
        let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_none()).collect();
        assert!(!roots.is_empty());
        for root in roots {
            assert_eq!(attribute(root, "claude_code.workflow").as_deref(), Some("nightly"));
            assert_eq!(attribute(root, "claude_code.run.id"), Some(run_id(1)));
            let to_caller: Vec<SpanAt> =
                links(root).into_iter().filter(|(why, _)| why == "caller").map(|(_, at)| at).collect();
            assert_eq!(to_caller, if valid { vec![caller] } else { Vec::new() }, "{traceparent}");
        }
        assert!(
            spans.iter().all(|span| !span.name.starts_with("invoke_workflow")),
            "nobody asked for a span of the run"
        );
    }
}

#[test]
fn a_run_is_a_span_of_its_own_if_it_is_asked_for() {
    let run = RunId(RowId::of(&run_id(1)));
    for (name, traceparent, outcome, status) in [
        ("2.1.330/b_tools", Some(CALLER), "success", SpanStatus::Unset),
        ("2.1.330/b_tools", None, "success", SpanStatus::Unset),
        ("2.1.330/i2_sigint_stream", None, "interrupted", SpanStatus::Unset),
        ("2.1.330/h2_error_400", None, "api_error", SpanStatus::Error("api_error".to_owned())),
    ] {
        let mut members = json!({"workflow": "nightly", "labels": {"team": "search"}, "span": true});
        if let Some(traceparent) = traceparent {
            members["traceparent"] = traceparent.into();
        }
        let (spans, mut world, _folder) = left(name, &members);
        let of_runs: Vec<&Span> = spans.iter().filter(|span| span.name.starts_with("invoke_workflow")).collect();
        assert_eq!(of_runs.len(), 1, "{name}");
        let span = of_runs[0];
        let called = traceparent.map(|text| caller(text).unwrap());
        assert_eq!((span.trace, span.id), (run_at(run, called).trace, run_at(run, called).span));
        assert_eq!((span.parent, span.trace == TraceId(run.0.0)), (called.map(|at| at.span), called.is_none()));
        assert_eq!((span.name.as_str(), &span.status), ("invoke_workflow nightly", &status), "{name}");
        assert_eq!(attribute(span, "claude_code.run.outcome").as_deref(), Some(outcome));
        assert_eq!(attribute(span, "gen_ai.workflow.name").as_deref(), Some("nightly"));
        assert_eq!(attribute(span, "claude_code.run.label.team").as_deref(), Some("search"));
        let asked = Asked::of(&world);
        let told = asked.answer(&format!("/runs/{}", run_id(1)));
        assert_eq!(attribute(span, "claude_code.run.turns"), Some(told["turns"].to_string()));
        let cost: f64 = attribute(span, "claude_code.run.cost_usd").unwrap().parse().unwrap();
        assert_eq!(cost, usd(&told["cost_usd"]).to_f64(), "{name}");
        assert_eq!(told["started_at"], span.start.to_rfc3339());
        assert_eq!(told["ended_at"], span.end.to_rfc3339());
        drop(asked);
        // Turns and run lead to each other.
        let roots = spans.iter().filter(|other| other.parent.is_none() && other.id != span.id);
        let turns: Vec<SpanAt> = roots.map(|root| SpanAt { trace: root.trace, span: root.id }).collect();
        let linked: Vec<SpanAt> = links(span).into_iter().map(|(_, at)| at).collect();
        assert_eq!((linked.len(), &linked), (1, &turns), "{name}");
        for root in spans.iter().filter(|other| turns.iter().any(|turn| turn.span == other.id)) {
            let at = SpanAt { trace: span.trace, span: span.id };
            assert!(links(root).contains(&("run".to_owned(), at)), "{name}");
        }
        // It leaves once, also if the stream is read again after a crash.
        world.die();
        put_run(&world, &streams_of(&recording(name))[0], &run_id(1), &members);
        world.read(&mut crate::support::world::Dice::new(3), usize::MAX);
        world.settle();
        world.restart();
        world.settle();
        let again = world.take_spans();
        assert!(again.iter().all(|span| !span.name.starts_with("invoke_workflow")), "{name}: {again:?}");
    }
}

#[test]
fn jaeger_finds_turns_by_workflow_and_shows_runs() {
    let served = |traceparent: Option<&str>| {
        Served::with_world(|world| {
            for (name, number) in [("2.1.330/b_tools", 1), ("2.1.330/a_plain", 2)] {
                copy_folder(&recording(name).join("projects"), &world.root);
                let mut members = json!({"workflow": if number == 1 { "nightly" } else { "weekly" }, "span": true});
                if let Some(traceparent) = traceparent {
                    members["traceparent"] = traceparent.into();
                }
                put_run(world, &streams_of(&recording(name))[0], &run_id(number), &members);
            }
        })
    };
    let names = |traces: &[Value]| -> BTreeSet<String> {
        let spans = traces.iter().flat_map(|trace| trace["spans"].as_array().unwrap());
        spans.map(|span| span["operationName"].as_str().unwrap().to_owned()).collect()
    };
    let tags = |key: &str, value: &str| {
        let tags = json!({key: value}).to_string();
        format!("/traces?service=claude-code&limit=100&tags={}", encoded(&tags))
    };
    let alone = served(None);
    let found = alone.traces(&tags("claude_code.workflow", "nightly"));
    assert!(names(&found).contains("invoke_workflow nightly") && names(&found).contains("invoke_agent claude-code"));
    assert!(!names(&found).contains("invoke_workflow weekly"), "{found:?}");
    let by_run = alone.traces(&tags("claude_code.run.id", &run_id(2)));
    assert!(names(&by_run).contains("invoke_workflow weekly") && by_run.len() == 2, "{by_run:?}");
    let own = alone.traces(&format!("/traces/{}", run_id(1).replace('-', "")));
    assert_eq!((own.len(), names(&own)), (1, ["invoke_workflow nightly".to_owned()].into()));
    let operations = alone.json("/services/claude-code/operations");
    assert!(operations["data"].as_array().unwrap().contains(&json!("invoke_workflow nightly")), "{operations}");
    // Both runs were called by one job, and are in its trace.
    let called = served(Some(CALLER));
    let job = called.traces("/traces/0af7651916cd43dd8448eb211c80319c");
    assert_eq!(names(&job), ["invoke_workflow nightly", "invoke_workflow weekly"].map(str::to_owned).into());
    let all = called.traces("/traces?service=claude-code&limit=100");
    let ids: Vec<&str> = all.iter().map(|trace| trace["traceID"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().filter(|id| id.ends_with("11c80319c")).count(), 1, "{ids:?}");
    assert_eq!(called.ask("/traces/00000000000000000000000000000077").status, 404);
}

/// The numbers of a workflow: runs by outcome, cost in picodollars, runs and milliseconds of the histogram, the last end.
fn numbers(snapshot: &Snapshot, workflow: &str) -> (BTreeMap<String, i128>, i128, (u64, i128), i128) {
    let number = |sample: Option<&Sample>| match sample {
        Some(Sample::Number(number)) => *number,
        _ => 0,
    };
    let runs = snapshot.of(&catalog::WORKFLOW_RUNS).filter(|(labels, _)| &*labels[0] == workflow);
    let runs = runs.map(|(labels, sample)| (labels[1].to_string(), number(Some(sample))));
    let took = match snapshot.get(&catalog::WORKFLOW_DURATION, &[workflow]) {
        Some(Sample::Histogram(histogram)) => (histogram.count, histogram.sum),
        _ => (0, 0),
    };
    (
        runs.filter(|(_, runs)| *runs > 0).collect(),
        number(snapshot.get(&catalog::WORKFLOW_COST, &[workflow])),
        took,
        number(snapshot.get(&catalog::WORKFLOW_LAST_RUN, &[workflow])),
    )
}

#[test]
fn metrics_count_each_run_once_when_it_has_ended() {
    let names = ["2.1.330/b_tools", "2.1.330/y3_max_turns", "2.1.330/j2_kill9_stream", "2.1.330/h2_error_400"];
    let (asked, mut world, _folder) = with(&names, &json!({"workflow": "nightly"}));
    let snapshot = world.settle();
    let told = asked.answer("/workflows")["workflows"][0].clone();
    let (runs, cost, (count, took_ms), last) = numbers(&snapshot, "nightly");
    let expected: BTreeMap<String, i128> = told["outcomes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(outcome, runs)| (outcome.clone(), runs.as_i64().unwrap().into()))
        .filter(|(_, runs)| *runs > 0)
        .collect();
    assert_eq!(runs, expected);
    assert_eq!(runs.len(), 5, "success, max turns, budget, killed, API error: {runs:?}");
    assert_eq!(cost, usd(&told["cost_usd"]).picousd());
    assert_eq!(count, told["runs"].as_u64().unwrap());
    let list = asked.answer("/workflows/nightly");
    let of = |name: &str| list["runs"].as_array().unwrap().iter().map(|run| run[name].clone()).collect::<Vec<_>>();
    let seconds: f64 = of("duration_seconds").iter().map(|took| took.as_f64().unwrap()).sum();
    assert!((seconds - took_ms as f64 / 1000.0).abs() < 1e-6);
    let ends = of("ended_at").iter().map(|at| Timestamp::parse(at.as_str().unwrap()).unwrap().0).max();
    assert_eq!(Some(last), ends.map(i128::from));
    // A crash, a restart and the same streams once more change nothing.
    drop(asked);
    world.die();
    put_run(&world, &streams_of(&recording(names[0]))[0], &run_id(1), &json!({"workflow": "nightly"}));
    world.read(&mut crate::support::world::Dice::new(5), usize::MAX);
    world.settle();
    world.restart();
    assert_eq!(numbers(&world.settle(), "nightly"), (runs, cost, (count, took_ms), last));
}

#[test]
fn the_label_of_a_workflow_is_bounded() {
    let runs_of = |rules: LabelRules, names: &[String]| {
        let mut totals = Totals::new(rules);
        for (name, number) in names.iter().zip(1..) {
            let run = run(number, Some(name.as_str()).filter(|name| !name.is_empty()));
            let change = Change::Run { run: &run, cost: Money::from_picousd(1) };
            totals.observe(&change, Timestamp(0), None);
            totals.committed();
        }
        let snapshot = totals.snapshot();
        let sums = snapshot.of(&catalog::WORKFLOW_COST).map(|(labels, sample)| match sample {
            Sample::Number(number) => (labels[0].to_string(), *number),
            Sample::Histogram(_) => unreachable!("a counter"),
        });
        (sums.collect::<BTreeMap<String, i128>>(), snapshot)
    };
    let many: Vec<String> = (0..80).map(|number| format!("build-{number}")).chain([String::new()]).collect();
    let (sums, snapshot) = runs_of(LabelRules::default(), &many);
    assert!(sums.len() <= WORKFLOWS_MAX + 1, "{}", sums.len());
    assert_eq!(sums.values().sum::<i128>(), 81, "nothing is lost");
    assert_eq!(numbers(&snapshot, "other").3, 1_081, "the last of the others");
    let listed = LabelRules { workflows: Some(["nightly".to_owned()].into()), ..LabelRules::default() };
    let names = ["nightly", "weekly", "nightly", ""].map(str::to_owned);
    let (sums, _) = runs_of(listed, &names);
    assert_eq!(sums, BTreeMap::from([("nightly".to_owned(), 2), ("other".to_owned(), 1), ("none".to_owned(), 1)]));
}
