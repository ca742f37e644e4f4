//! What streams tell without a session file: what each run cost, and why the client's account differs from ours.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tempfile::TempDir;

use crate::support::costs::{Asked, filled};
use crate::support::stream_files::{put_run, run_id, streams_of};
use crate::support::world::{World, recordings};

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
    let mut compared = 0;
    for recording in recordings() {
        let runs = streams_of(&recording).len();
        let (asked, _world, _folder) = alone(&recording);
        let told = costs_of(&asked, runs);
        let name = recording.display();
        let sum: Money = told.iter().map(|[ours, ..]| Money::parse_usd(ours).unwrap()).sum();
        assert_eq!(sum, usd(&asked.ask("")["total"]["cost_usd"]), "{name}: all of it is in runs");
        // A process that was killed, or whose result was lost, told nothing.
        for [ours, client, beyond] in told.iter().filter(|[_, client, _]| client != "none") {
            assert_eq!((ours, &**beyond), (client, "0"), "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 80, "{compared}");
}
