//! `tailspan workflows`, `tailspan runs`, and `--workflow` of every other question: recorded streams in, text out.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

use crate::support::daemon::Daemon;
use crate::support::http::{get, request};
use crate::support::reports::{Printed, tailspan};
use crate::support::stream_files::{run_id, stream_file, streams_of};
use crate::support::world::{append, copy_folder};

/// When everything is asked.
const NOW: &str = "2026-11-29T12:00:00Z";

/// A sidecar with runs of two workflows, and a session that no stream tells of.
struct Side {
    daemon: Daemon,
    _folder: TempDir,
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name)
}

impl Side {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
        let names = ["2.1.330/b_tools", "2.1.330/y3_max_turns", "2.1.332/bd_sigterm", "2.1.330/d_failing"];
        let mut number = 0;
        for (name, workflow) in names.iter().zip(["nightly", "nightly", "review", ""]) {
            copy_folder(&recording(name).join("projects"), &projects);
            for stream in streams_of(&recording(name)).iter().filter(|_| !workflow.is_empty()) {
                number += 1;
                let labels = if workflow == "nightly" { json!({"team": "search", "env": "ci"}) } else { json!({}) };
                let members = json!({"workflow": workflow, "labels": labels});
                let file = state.join("streams").join(format!("{}.jsonl", run_id(number)));
                append(&file, &stream_file(stream, &run_id(number), &members));
            }
        }
        let mut daemon = Daemon::start(&projects, &state, &[]);
        daemon.wait_for_log("the first scan is complete");
        let ended = |run: &Value| run["outcome"] != "running";
        daemon.until("the end of all runs", || {
            let runs: Value = serde_json::from_str(&daemon.get("/api/v1/analytics/runs").1).ok()?;
            let runs = runs["runs"].as_array()?;
            (runs.len() == number && runs.iter().all(ended)).then_some(())
        });
        Self { daemon, _folder: folder }
    }

    fn say(&self, words: &str) -> Printed {
        let listen = self.daemon.address.to_string();
        let words = words.split_whitespace().chain(["--listen", &listen]);
        tailspan(&words.collect::<Vec<_>>(), &[], "")
    }

    fn ask(&self, target: &str) -> Value {
        serde_json::from_str(&self.daemon.get(target).1).unwrap()
    }
}

#[test]
fn workflows_and_runs_are_told_in_the_terminal() {
    let side = Side::start();
    for width in [60, 100, 140] {
        let printed = side.say(&format!("workflows --since all --now {NOW} --width {width}"));
        assert_eq!(printed.code, Some(0), "{}", printed.said);
        assert!(printed.text.lines().all(|line| line.width() <= width), "{}", printed.text);
        assert!(printed.text.contains("nightly") && printed.text.contains("review"), "{}", printed.text);
    }
    let list = side.say(&format!("workflows nightly --since all --now {NOW} --width 140"));
    for word in ["success", "error_max_turns", "error_during_execution"] {
        assert!(list.text.contains(word), "{word}: {}", list.text);
    }
    assert!(!list.text.contains("killed"), "{}", list.text);
    assert!(list.text.contains("OUTCOME") && !list.text.contains("ENDED"), "{}", list.text);
    assert!(list.text.contains("LABELS") && list.text.contains("env=ci,team=search"), "{}", list.text);
    let killed = side.say(&format!("runs --since all --now {NOW} --outcome killed --width 140"));
    assert!(killed.text.contains("review") && !killed.text.contains("nightly"), "{}", killed.text);
    assert!(!killed.text.contains("LABELS"), "no run of this list has any: {}", killed.text);
    let reviews = side.say(&format!("runs --since all --now {NOW} --workflow review --width 140"));
    assert!(reviews.text.contains("success") && !reviews.text.contains("nightly"), "{}", reviews.text);
    let first = side.say(&format!("runs --since all --now {NOW} --limit 1"));
    assert!(first.text.contains("The first run: --limit shows more."), "{}", first.text);
    let of_all = side.say(&format!("workflows --since all --now {NOW} --outcome killed --width 140"));
    assert!(of_all.text.contains("review") && !of_all.text.contains("nightly"), "{}", of_all.text);
    let run = &side.ask("/api/v1/analytics/runs?outcome=error_max_turns")["runs"][0];
    let id = run["run"].as_str().unwrap();
    let one = side.say(&format!("runs {id} --now {NOW} --width 140"));
    for word in [id, "error_max_turns (max_turns)", "team=search", "of nightly"] {
        assert!(one.text.contains(word), "{word}: {}", one.text);
    }
    let turns = side.ask(&format!("/api/v1/analytics/runs/{id}"));
    assert!(one.text.contains(turns["turn_list"][0]["trace_id"].as_str().unwrap()), "{}", one.text);
    let json: Value = serde_json::from_str(&side.say(&format!("runs {id} --json")).text).unwrap();
    assert_eq!(json, turns);
    // The beginning of an id is enough.
    assert_eq!(side.say(&format!("runs {} --now {NOW} --width 140", &id[..13])).text, one.text);
    for (words, said) in [
        ("runs 99999999", "no run whose id begins with"),
        ("workflows nobody --since all", "no run of a workflow"),
        ("runs --outcome nonsense", "`outcome` takes"),
        ("workflows --since nonsense", "--since"),
    ] {
        let printed = side.say(words);
        assert!(printed.code != Some(0) && printed.said.contains(said), "{words}: {}", printed.said);
    }
    let nothing = side.say("workflows --since 2020-01-01 --until 2020-01-02");
    assert!(nothing.text.contains("No run began in this time."), "{}", nothing.text);
    for (words, filters) in [
        ("runs --workflow nope", "--workflow nope"),
        ("runs --project nope --label team", "--project nope --label team"),
        ("workflows --outcome interrupted", "--outcome interrupted"),
        ("workflows review --outcome interrupted", "--outcome interrupted"),
    ] {
        let nothing = side.say(&format!("{words} --since all --now {NOW} --width 140"));
        let said = format!("No run that began in this time matches {filters}.");
        assert!(nothing.text.contains(&said), "{words}: {}", nothing.text);
    }
}

#[test]
fn an_answer_about_a_run_is_asked_for_again_only_if_it_changed() {
    let side = Side::start();
    let address = side.daemon.address;
    let id = side.ask("/api/v1/analytics/runs")["runs"][0]["run"].as_str().unwrap().to_owned();
    let again = |path: &str, tag: &str| request(address, "GET", path, &[("If-None-Match", tag)], b"");
    for path in [format!("/api/v1/analytics/runs/{id}"), "/api/v1/analytics/workflows/nightly".to_owned()] {
        let first = get(address, &path);
        let tag = first.header("etag").unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            (first.status, again(&path, tag).status, again(&path, "\"other\"").status),
            (200, 304, 200),
            "{path}"
        );
    }
    // What is not there is not unchanged.
    for path in ["/api/v1/analytics/runs/99999999", "/api/v1/analytics/workflows/nobody"] {
        assert_eq!(again(path, "*").status, 404, "{path}");
    }
}

#[test]
fn every_other_question_takes_a_workflow() {
    let side = Side::start();
    let rows = |words: &str| -> Value {
        let printed = side.say(words);
        assert_eq!(printed.code, Some(0), "{words}: {}", printed.said);
        serde_json::from_str(&printed.text).unwrap_or_else(|error| panic!("{words}: {error}: {}", printed.text))
    };
    let sessions = |workflow: &str| -> Vec<String> {
        let runs = side.ask(&format!("/api/v1/analytics/workflows/{workflow}"));
        let mut ids: Vec<String> = runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|run| run["sessions"].as_array().unwrap())
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    };
    for workflow in ["nightly", "review"] {
        let costs = rows(&format!("report costs --since all --now {NOW} --json --workflow {workflow}"));
        let sum = side.ask(&format!("/api/v1/analytics/workflows?workflow={workflow}"));
        assert_eq!(costs["total"]["cost_usd"], sum["total"]["cost_usd"], "{workflow}");
        let list = rows(&format!("report sessions --since all --now {NOW} --json --workflow {workflow}"));
        let mut ids: Vec<&str> =
            list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, sessions(workflow), "{workflow}");
        let tools = rows(&format!("report tools --since all --now {NOW} --json --workflow {workflow}"));
        let calls: u64 = side.ask(&format!("/api/v1/analytics/workflows/{workflow}"))["runs"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|run| run["tools"].as_object().unwrap().values())
            .map(|tool| tool["calls"].as_u64().unwrap())
            .sum();
        assert_eq!(tools["total"]["calls"].as_u64(), Some(calls), "{workflow}");
        let found = side.say(&format!("search /[a-z]/ --json --limit 1000 --workflow {workflow}"));
        let pages = found.text.lines().map(|page| serde_json::from_str::<Value>(page).unwrap());
        let hits: Vec<Value> = pages.flat_map(|page| page["hits"].as_array().unwrap().clone()).collect();
        assert!(!hits.is_empty(), "{workflow}");
        assert!(hits.iter().all(|hit| sessions(workflow).iter().any(|id| hit["session"] == id.as_str())), "{workflow}");
        let exported = side.say(&format!("export turns --format ndjson --workflow {workflow}"));
        let lines: Vec<Value> = exported.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!lines.is_empty() && lines.iter().all(|row| row["workflow"] == workflow), "{}", exported.said);
    }
    assert_eq!(rows(&format!("report costs --since all --now {NOW} --json --workflow nobody"))["total"]["messages"], 0);
    let by = rows(&format!("report costs --since all --now {NOW} --json --by workflow"));
    let mut keys: Vec<&Value> = by["rows"].as_array().unwrap().iter().map(|row| &row["workflow"]).collect();
    keys.sort_by_key(|key| key.to_string());
    assert_eq!(keys, [&json!("nightly"), &json!("review"), &Value::Null]);
}

#[test]
fn the_metrics_of_workflows_are_scraped_by_the_names_that_are_listed() {
    let folder = TempDir::new().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    fs::create_dir_all(&projects).unwrap();
    let config = folder.path().join("tailspan.toml");
    fs::write(&config, "[metrics]\nworkflows = [\"nightly\"]\n").unwrap();
    let daemon = Daemon::start(&projects, &state, &["--config", config.to_str().unwrap()]);
    daemon.metrics();
    for (name, workflow, number) in [("2.1.330/b_tools", "nightly", 1), ("2.1.330/a_plain", "weekly", 2)] {
        copy_folder(&recording(name).join("projects"), &projects);
        let file = state.join("streams").join(format!("{}.jsonl", run_id(number)));
        append(&file, &stream_file(&streams_of(&recording(name))[0], &run_id(number), &json!({"workflow": workflow})));
    }
    // The runs are older than the first start, so that counters do not have them.
    let last = |name: &str| format!("tailspan_workflow_last_run_timestamp_seconds{{workflow=\"{name}\"}} ");
    let metrics = daemon.until("both runs", || {
        let metrics = daemon.metrics();
        (metrics.contains(&last("nightly")) && metrics.contains(&last("other"))).then_some(metrics)
    });
    assert!(!metrics.contains("weekly"), "{metrics}");
}
