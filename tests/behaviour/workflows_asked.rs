//! What is asked about runs: long names, filters, ends and costs that are known or not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::totals::{Sample, Totals};

use crate::support::costs::filled;
use crate::support::stream_files::{put_run, run_id, stream_file, streams_of};
use crate::support::world::{World, append, copy_folder};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name)
}

/// Puts a recording into a world, its first stream as a run.
fn put(world: &World, name: &str, number: usize, members: &Value) {
    copy_folder(&recording(name).join("projects"), &world.root);
    put_run(world, &streams_of(&recording(name))[0], &run_id(number), members);
}

fn usd(value: &Value) -> Money {
    Money::parse_usd(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_run_whose_client_told_nothing_has_failed_and_was_not_killed() {
    let init = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"5fb3d16f-f9e3-4142-a37d-c727bd6ab70f\"}\n";
    let failed = "error_during_execution";
    for (output, outcome) in [("", failed), ("The answer is 4.\n", failed), ("\n{}\n", failed), (init, "killed")] {
        let (asked, _world, _folder) = filled(|world| {
            let stream = world.root.with_file_name("stream.jsonl");
            fs::write(&stream, output).unwrap();
            put_run(world, &stream, &run_id(1), &json!({"workflow": "nightly"}));
        });
        let run = asked.answer(&format!("/runs/{}", run_id(1)));
        assert_eq!((&run["outcome"], &run["exit_reason"]), (&json!(outcome), &Value::Null), "{output}");
        assert!(run["ended_at"].is_string(), "{run}");
        // It is there as one that did not succeed.
        let workflow = &asked.answer("/workflows")["workflows"][0];
        assert_eq!((&workflow["runs"], &workflow["success_ratio"]), (&json!(1), &json!(0.0)), "{output}");
    }
}

#[test]
fn long_names_of_workflows_and_labels_are_told_whole() {
    let names = ["a", "b"].map(|end| format!("{}{end}", "update-".repeat(12)));
    let urls = ["a", "b"].map(|end| format!("https://example.com/{}{end}", "deep/".repeat(30)));
    let (asked, mut world, _folder) = filled(|world| {
        for (recording, number) in ["2.1.330/a_plain", "2.1.330/b_tools"].iter().zip(0..) {
            put(world, recording, number, &json!({"workflow": names[number], "labels": {"url": urls[number]}}));
        }
    });
    let all = asked.answer("/workflows?sort=workflow");
    let told: Vec<&str> =
        all["workflows"].as_array().unwrap().iter().map(|row| row["workflow"].as_str().unwrap()).collect();
    assert_eq!(told, names);
    for (name, url) in names.iter().zip(&urls) {
        let list = asked.answer(&format!("/workflows/{name}"));
        assert_eq!((&list["total"], &list["runs"][0]["labels"]["url"]), (&json!(1), &json!(url)));
        assert_eq!(asked.answer(&format!("/runs?label=url={url}"))["runs"][0]["workflow"], name.as_str());
        let costs = asked.ask(&format!("workflow={name}"));
        assert_eq!(costs["total"]["cost_usd"], list["runs"][0]["cost_usd"]);
        let exported = asked.text(&format!("/export/turns.ndjson?workflow={name}"));
        assert!(exported.lines().count() == 1 && exported.contains(name), "{exported}");
        let snapshot = world.settle();
        assert!(snapshot.get(&catalog::WORKFLOW_COST, &[name]).is_some(), "{name}");
    }
}

#[test]
fn what_a_run_without_a_turn_of_its_own_cost_is_unattributed() {
    let (asked, _world, _folder) = filled(|world| {
        put(world, "2.1.330/b_tools", 1, &json!({"workflow": "nightly"}));
        // Another process goes on with the session and tells nothing but a result, as for `/compact`.
        let stream = stream_file(&streams_of(&recording("2.1.330/b_tools"))[0], &run_id(2), &json!({}));
        let lines = stream.split_inclusive(|byte| *byte == b'\n');
        let told: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let told = told.iter().filter(|line| !["assistant", "user"].contains(&line["type"].as_str().unwrap()));
        let text: String = told.map(own_line).collect();
        append(&world.streams().join(format!("{}.jsonl", run_id(2))), text.as_bytes());
    });
    let run = asked.answer(&format!("/runs/{}", run_id(2)));
    assert_eq!((&run["turns"], &run["cost_usd"]), (&json!(0), &json!("0")), "{run}");
    assert!(usd(&run["client_reported_usd"]) > Money::ZERO);
    assert_eq!(run["unattributed_usd"], run["client_reported_usd"]);
    assert_eq!(run["session_list"][0]["unattributed_usd"], run["client_reported_usd"]);
    // Where the session is known in whole, the difference is what it was.
    let whole = asked.answer(&format!("/runs/{}", run_id(1)));
    assert!(usd(&whole["unattributed_usd"]) < usd(&whole["client_reported_usd"]), "{whole}");
}

/// A line of a stream with ids of its own; a mark has its name first.
fn own_line(line: &Value) -> String {
    let mut line = line.clone();
    if line["type"] == "tailspan" {
        let fields = line.as_object_mut().unwrap();
        let (_, mark) = (fields.remove("type"), fields.remove("mark").unwrap());
        let rest = line.to_string();
        return format!("{{\"type\":\"tailspan\",\"mark\":{mark},{}\n", rest.trim_start_matches('{'));
    }
    if line["uuid"].is_string() {
        line["uuid"] = format!("77777777{}", &line["uuid"].as_str().unwrap()[8..]).into();
    }
    format!("{line}\n")
}

#[test]
fn runs_are_taken_by_what_one_of_their_turns_was() {
    let names =
        ["2.1.330/b_tools", "2.1.330/a_plain", "2.1.330/e6_subagent_sync", "2.0.77/a_plain", "2.1.330/d_failing"];
    let (asked, _world, _folder) = filled(|world| {
        for (name, number) in names.iter().zip(0..) {
            put(world, name, number, &json!({"workflow": format!("w{number}")}));
        }
    });
    let words = |answer: &Value, list: &str, field: &str| -> BTreeSet<String> {
        let rows = answer[list].as_array().unwrap().iter();
        rows.filter_map(|row| row[field].as_str().map(str::to_owned)).collect()
    };
    let mut filters: Vec<String> =
        ["tool=Bash", "tool=Agent", "tool=Nothing", "agent=Explore&tool=Bash", "branch=nowhere"]
            .map(str::to_owned)
            .into();
    for dimension in ["branch", "model", "agent", "entrypoint"] {
        let known = words(&asked.ask(&format!("group_by={dimension}")), "rows", dimension);
        filters.extend(known.into_iter().map(|value| format!("{dimension}={value}")));
    }
    filters.extend(["human", "sdk", "teammate"].map(|origin| format!("origin={origin}")));
    let mut narrow = 0;
    for filter in &filters {
        // What was spent in turns that are taken was spent in runs that are.
        let expected = words(&asked.ask(&format!("group_by=workflow&{filter}")), "rows", "workflow");
        narrow += usize::from(!expected.is_empty() && expected.len() < names.len());
        assert_eq!(
            words(&asked.answer(&format!("/workflows?{filter}")), "workflows", "workflow"),
            expected,
            "{filter}"
        );
        let runs = asked.answer(&format!("/runs?{filter}"));
        assert_eq!(words(&runs, "runs", "workflow"), expected, "{filter}");
        for run in runs["runs"].as_array().unwrap() {
            // A run that is taken is told whole.
            let (id, workflow) = (run["run"].as_str().unwrap(), run["workflow"].as_str().unwrap());
            assert_eq!(run["cost_usd"], asked.answer(&format!("/runs/{id}"))["cost_usd"], "{filter}");
            assert_eq!(asked.answer(&format!("/workflows/{workflow}?{filter}"))["total"], 1, "{filter}");
            let session = run["session"].as_str().unwrap();
            assert_eq!(
                words(&asked.answer(&format!("/runs?session={session}")), "runs", "run"),
                [id.to_owned()].into()
            );
        }
    }
    assert!(narrow >= 5, "{filters:?}");
    assert_eq!(asked.answer("/workflows/w1?workflow=w2")["total"], 0);
    assert_eq!(asked.answer("/workflows/w1?workflow=w1&workflow=w2")["total"], 1);
    let ended = |outcome: &str| asked.answer(&format!("/workflows?outcome={outcome}"))["total"]["runs"].clone();
    assert_eq!((ended("success"), ended("killed")), (json!(names.len()), json!(0)));
}

#[test]
fn a_run_with_a_result_has_not_ended_while_its_stream_is_open() {
    let (asked, _world, _folder) = filled(|world| {
        copy_folder(&recording("2.1.330/a_plain").join("projects"), &world.root);
        let whole = stream_file(&streams_of(&recording("2.1.330/a_plain"))[0], &run_id(1), &json!({}));
        let end = whole.windows(12).rposition(|text| text == br#""mark":"end""#).unwrap();
        let open = whole[..end].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        append(&world.streams().join("a.jsonl"), &whole[..open]);
    });
    let run = asked.answer(&format!("/runs/{}", run_id(1)));
    assert_eq!((&run["outcome"], &run["ended_at"]), (&json!("success"), &Value::Null), "{run}");
}

#[test]
fn listed_workflows_are_there_at_0_from_the_start() {
    let rules = LabelRules { workflows: Some(["nightly".to_owned()].into()), ..LabelRules::default() };
    let snapshot = Totals::new(rules).snapshot();
    for outcome in ["success", "killed", "error_max_turns"] {
        let sample = snapshot.get(&catalog::WORKFLOW_RUNS, &["nightly", outcome]);
        assert!(matches!(sample, Some(Sample::Number(0))), "{outcome}");
    }
    assert!(matches!(snapshot.get(&catalog::WORKFLOW_COST, &["nightly"]), Some(Sample::Number(0))));
    assert_eq!(Totals::new(LabelRules::default()).snapshot().of(&catalog::WORKFLOW_COST).count(), 0);
}

/// Texts of the prompts of a stream without a session file, or why each is not shown.
fn prompts(name: &str) -> Vec<String> {
    let (asked, _world, _folder) = filled(|world| {
        put_run(world, &streams_of(&recording(name))[0], &run_id(1), &json!({}));
        fs::create_dir_all(&world.root).unwrap();
    });
    let sessions = asked.sessions("");
    let id = sessions["sessions"][0]["id"].as_str().unwrap();
    let replay = asked.answer(&format!("/sessions/{id}/replay"));
    let events = replay["events"].as_array().unwrap();
    let is_prompt = |event: &&Value| event["kind"] == "prompt";
    assert!(events.iter().filter(|event| !is_prompt(event)).all(|event| event["content_unavailable"].is_null()));
    let told = |event: &Value| {
        event["content"][0]["text"].as_str().or(event["content_unavailable"].as_str()).map(str::to_owned)
    };
    events.iter().filter(is_prompt).map(|event| told(event).unwrap()).collect()
}

#[test]
fn a_prompt_that_no_stream_repeats_is_not_said_to_be_rewritten() {
    assert_eq!(prompts("2.1.330/b_tools"), ["not told by the stream"]);
}

#[test]
fn a_prompt_that_the_stream_repeats_is_shown_without_a_file() {
    assert_eq!(prompts("2.1.332/af_queued_prompts"), ["First prompt."]);
}
