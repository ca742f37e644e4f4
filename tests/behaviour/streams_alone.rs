//! What streams tell without a session file: what each run cost, and why the client's account differs from ours.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tempfile::TempDir;

use crate::support::costs::{Asked, filled};
use crate::support::stream_files::{put_run, run_id, streams_of};
use crate::support::world::{Dice, World, copy_folder, files_below, recordings};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name)
}

fn usd(value: &Value) -> Money {
    Money::parse_usd(value.as_str().unwrap()).unwrap()
}

/// A state of the streams of a recording alone, each a run of a workflow of its own: `w1`, `w2`, ...
fn alone(recording: &Path) -> (Asked, World, TempDir) {
    filled(|world| {
        fs::create_dir_all(&world.root).unwrap();
        for (stream, number) in streams_of(recording).iter().zip(1..) {
            put_run(world, stream, &run_id(number), &json!({"workflow": format!("w{number}")}));
        }
    })
}

/// Ours, the client's and what is beyond ours of each run, in order.
fn costs_of(asked: &Asked, runs: usize) -> Vec<[String; 3]> {
    let told = |number: usize| {
        let run = asked.answer(&format!("/runs/{}", run_id(number)));
        let costs = ["cost_usd", "client_reported_usd", "unattributed_usd"];
        costs.map(|field| run[field].as_str().unwrap_or("none").to_owned())
    };
    (1..=runs).map(told).collect()
}

#[test]
fn each_run_of_a_resumed_session_has_its_own_rest() {
    let expected = [
        ("2.1.332/ba_parallel_resume", &["0.000795", "0.00204", "0.00207"][..]),
        ("2.1.332/g_resume", &["0.009438", "0.0014646", "0.0014799", "0.0014952", "0.0015105", "0.0015258"]),
        ("2.1.332/ax_retry_budget", &["0.000795", "0.675"]),
    ];
    for (name, costs) in expected {
        let (asked, _world, _folder) = alone(&recording(name));
        let told = costs_of(&asked, costs.len());
        let whole: Vec<[String; 3]> = costs.iter().map(|cost| [cost, cost, "0"].map(str::to_owned)).collect();
        assert_eq!(told, whole, "{name}");
        for (cost, number) in costs.iter().zip(1..) {
            assert_eq!(asked.ask(&format!("workflow=w{number}"))["total"]["cost_usd"], *cost, "{name} {number}");
        }
    }
}

#[test]
fn runs_cost_what_the_client_counted_in_them() {
    let (mut compared, mut cut) = (0, Vec::new());
    for recording in recordings() {
        let runs = streams_of(&recording).len();
        let (asked, _world, _folder) = alone(&recording);
        let told = costs_of(&asked, runs);
        let name = recording.display();
        let sum: Money = told.iter().map(|[ours, ..]| Money::parse_usd(ours).unwrap()).sum();
        assert_eq!(sum, usd(&asked.ask("")["total"]["cost_usd"]), "{name}: all of it is in runs");
        // A process that was killed, or whose result was lost, told nothing.
        for [ours, client, beyond] in told.iter().filter(|[_, client, _]| client != "none") {
            let counted = Money::parse_usd(ours).unwrap() + Money::parse_usd(beyond).unwrap();
            assert_eq!(counted, Money::parse_usd(client).unwrap(), "{name}");
            if beyond != "0" {
                cut.push((recording.file_name().unwrap().to_str().unwrap().to_owned(), beyond.clone()));
            }
            compared += 1;
        }
    }
    // What a response used after it was cut or interrupted completes nothing.
    let expected = [("bq_partial_retry", "0.00009"), ("i2_sigint_stream", "0.00003")];
    assert_eq!(cut, expected.map(|(name, beyond)| (name.to_owned(), beyond.to_owned())));
    assert!(compared >= 80, "{compared}");
}

/// What is told of the session whose id begins like this.
fn session(asked: &Asked, id: &str) -> Value {
    let list = asked.sessions("limit=100");
    let known = list["sessions"].as_array().unwrap().iter().find(|one| one["id"].as_str().unwrap().starts_with(id));
    asked.answer(&format!("/sessions/{}", known.unwrap()["id"].as_str().unwrap()))
}

fn words(reasons: &Value) -> Vec<&str> {
    reasons.as_array().unwrap().iter().map(|reason| reason["reason"].as_str().unwrap()).collect()
}

#[test]
fn nobody_was_killed_if_every_run_told_its_result() {
    let (asked, _world, _folder) = alone(&recording("2.1.332/ba_parallel_resume"));
    let told = session(&asked, "7b1b7857");
    assert_eq!(words(&told["correlation"]["reasons"]), ["parallel_processes"]);
    // Two processes that were killed, and one that was not.
    let (asked, _world, _folder) = alone(&recording("2.1.332/bd_sigterm"));
    let told = session(&asked, "c4d7419f");
    assert_eq!(words(&told["correlation"]["reasons"]), ["killed_process"]);
    assert_eq!(told["client_reported"]["models"]["claude-sonnet-4-5"]["unreported_usd"], "0.000525");
}

#[test]
fn what_was_spent_before_the_first_run_is_not_compared() {
    let (asked, _world, _folder) = alone(&recording("2.1.332/g_resume"));
    // A fork in two runs, which inherited what its source had used.
    let told = session(&asked, "34b7c360");
    assert_eq!(told["client_reported"]["cost_usd"], "0.0030057");
    assert_eq!(told["client_reported"]["unattributed_usd"], "0");
    let model = &told["client_reported"]["models"]["claude-sonnet-4-5"];
    assert_eq!((&model["cost_usd"], &model["unattributed_usd"]), (&json!("0.0030057"), &json!("0")), "{model}");
    assert_eq!(model["unattributed_tokens"]["input"], 0);
    assert_eq!(words(&told["correlation"]["reasons"]), [""; 0]);
}

#[test]
fn models_differ_by_what_their_session_differs_by() {
    let mut seen = 0;
    let mut found = Vec::new();
    for recording in recordings() {
        let (asked, _world, _folder) = alone(&recording);
        for one in asked.sessions("limit=100")["sessions"].as_array().unwrap() {
            let told = session(&asked, one["id"].as_str().unwrap());
            let (account, name) = (&told["client_reported"], recording.display());
            let Some(models) = account["models"].as_object() else { continue };
            let rest = |of: &Value| usd(&of["unattributed_usd"]) - usd(&of["unreported_usd"]);
            assert_eq!(models.values().map(rest).sum::<Money>(), rest(account), "{name}: {account}");
            assert_eq!(words(&account["reasons"]).is_empty(), rest(account) == Money::ZERO, "{name}: {account}");
            assert!(!words(&account["reasons"]).contains(&"unknown"), "{name}: {account}");
            seen += 1;
            let reasons = words(&account["reasons"]).into_iter();
            found.extend(reasons.map(|word| (recording.file_name().unwrap().to_owned(), word.to_owned())));
        }
    }
    assert!(seen > 50, "{seen}");
    let expected = [
        ("j1_kill9_tool", "killed_process"),
        ("j2_kill9_stream", "killed_process"),
        ("ba_parallel_resume", "parallel_processes"),
        ("bd_sigterm", "killed_process"),
        ("bq_partial_retry", "cut_response"),
        ("i2_sigint_stream", "interrupted_response"),
    ];
    assert_eq!(found, expected.map(|(name, word)| (name.into(), word.to_owned())));
}

#[test]
fn a_run_that_is_killed_leaves_no_turn_open() {
    let killed = recording("2.1.330/j1_kill9_tool");
    for has_file in [false, true] {
        let (asked, _world, _folder) = filled(|world| {
            fs::create_dir_all(&world.root).unwrap();
            put_run(world, &streams_of(&killed)[0], &run_id(1), &json!({}));
            if has_file {
                copy_folder(&killed.join("projects"), &world.root);
                // Later rows are of the next process.
                let file =
                    files_below(&world.root).into_iter().find(|path| path.extension().unwrap() == "jsonl").unwrap();
                let rows = fs::read_to_string(&file).unwrap();
                fs::write(&file, &rows[..rows.rfind(r#"{"type":"queue-operation","operation":"enqueue""#).unwrap()])
                    .unwrap();
            }
        });
        let run = asked.answer(&format!("/runs/{}", run_id(1)));
        let turns = session(&asked, run["session"].as_str().unwrap())["turns"].clone();
        let ends: Vec<&Value> = turns.as_array().unwrap().iter().map(|turn| &turn["end"]).collect();
        assert_eq!((run["outcome"].as_str(), ends), (Some("killed"), vec![&json!("exit")]), "{has_file}: {turns:#?}");
    }
}

#[test]
fn what_is_not_decided_yet_is_not_said_to_be_cut() {
    let (asked, mut world, _folder) = filled(|world| fs::create_dir_all(&world.root).unwrap());
    put_run(&world, &streams_of(&recording("2.1.332/a_plain"))[0], &run_id(1), &json!({}));
    world.read(&mut Dice::new(1), usize::MAX);
    let now = world.now;
    world.engine.as_mut().unwrap().commit(now).unwrap();
    let id = asked.sessions("")["sessions"][0]["id"].as_str().unwrap().to_owned();
    let early = session(&asked, &id)["correlation"].clone();
    assert_eq!((&early["is_final"], words(&early["reasons"])), (&json!(false), vec!["not_final"]));
    world.settle();
    let told = session(&asked, &id)["correlation"].clone();
    assert_eq!((&told["is_final"], words(&told["reasons"])), (&json!(true), vec![]));
    assert_eq!(told["unattributed_usd"], "0");
}
