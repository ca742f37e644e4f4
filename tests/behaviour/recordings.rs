//! Every recording of the real client, and generated corpora, against independent readings.
//!
//! `fixtures/recordings/oracle.py` read the recordings in two simple passes, from the rules alone;
//! `benches/gen_corpus.py` knows the totals of what it writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings")
}

fn scan(targets: &[PathBuf]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .args(["scan", "--format", "json", "--sessions"])
        .args(targets)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `version/scenario` of every recording.
fn recordings() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for version in fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for scenario in fs::read_dir(&version).unwrap().map(|entry| entry.unwrap().path()) {
            let projects = scenario.join("projects");
            if projects.is_dir() {
                let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
                found.push((format!("{}__{}", name(&version), name(&scenario)), projects));
            }
        }
    }
    found.sort();
    found
}

/// Where two readings differ, by path. The oracle counts calls per tool and has no word for `resumed`.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).filter(|key| *key != "resumed") {
                differences(&format!("{path}/{key}"), &ours[key], &theirs[key], found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (position, (ours, theirs)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{position}"), ours, theirs, found);
            }
        }
        (Value::Object(counts), Value::Number(_)) => differences(path, &counts["calls"], theirs, found),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: {ours} instead of {theirs}")),
    }
}

fn sorted_by_id(mut summary: Value) -> Value {
    summary["session_list"].as_array_mut().unwrap().sort_by_key(|session| session["id"].to_string());
    summary
}

fn expected(name: &str) -> Value {
    let path = fixtures().join(format!("expected/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_recording_reads_as_the_independent_reading_says() {
    let mut found = Vec::new();
    let recordings = recordings();
    assert_eq!(recordings.len(), 69);
    for (name, projects) in &recordings {
        differences(
            name,
            &sorted_by_id(scan(std::slice::from_ref(projects))),
            &sorted_by_id(expected(name)),
            &mut found,
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn all_recordings_together_read_as_the_independent_reading_says() {
    let roots: Vec<PathBuf> = recordings().into_iter().map(|(_, projects)| projects).collect();
    let mut found = Vec::new();
    differences("all", &sorted_by_id(scan(&roots)), &sorted_by_id(expected("all")), &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

/// `UPDATE=1 cargo test --test behaviour recordings::` rewrites the trees: read the difference before it is committed.
#[test]
fn every_recording_has_its_tree() {
    let mut wrong = Vec::new();
    for (name, projects) in recordings() {
        let output = Command::new(env!("CARGO_BIN_EXE_tailspan"))
            .args(["scan", "--format", "trace"])
            .arg(projects)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = fixtures().join(format!("expected/{name}.trace.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &output.stdout).unwrap();
        }
        let (tree, expected) = (String::from_utf8(output.stdout).unwrap(), fs::read_to_string(path).unwrap());
        if tree != expected {
            wrong.push(format!("{name}:\n{tree}instead of\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Scenarios whose `cost-state` differs from the session files, each for a reason of the format.
const CLIENT_DIFFERS: [(&str, &str); 7] = [
    ("2.1.330__i2_sigint_stream", "an interrupted stream leaves no row"),
    ("2.1.330__j1_kill9_tool", "the killed process never wrote its part"),
    ("2.1.330__k1_compact_manual", "the call that wrote the summary has no row"),
    ("2.1.330__z1_big_transcript", "the calls that wrote the summaries have no row"),
    ("2.1.332__ba_parallel_resume", "each of the two processes knows only its own part"),
    ("2.1.332__bq_partial_retry", "the client estimates what a stream had said when it was cut"),
    ("2.1.332__i2_sigint_stream", "the client estimates what a stream had said when it was interrupted"),
];

#[test]
fn cost_equals_the_clients_own_account_wherever_the_files_are_complete() {
    let mut equal = 0;
    for (name, projects) in recordings() {
        let summary = scan(&[projects]);
        let reported: Vec<&Value> = summary["session_list"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|session| !session["client_reported_usd"].is_null())
            .collect();
        let differs = reported.iter().any(|session| session["client_reported_usd"] != session["cost_usd"]);
        let excused = CLIENT_DIFFERS.iter().find(|(scenario, _)| *scenario == name);
        assert_eq!(differs, excused.is_some(), "{name}: {excused:?}");
        equal += usize::from(!reported.is_empty() && !differs);
    }
    assert_eq!(equal, 55);
}

/// Scenarios in which the API served more than the session files show, each for a reason of the format.
const SERVED_DIFFERS: [(&str, &str); 17] = [
    ("1.0.128__c2_slow_stream", "two side calls have no row; rows keep the first usage of a slow stream"),
    ("1.0.128__c_parallel", "two side calls have no row"),
    ("2.0.77__a_plain", "the call for a title has no row"),
    ("2.0.77__b_tools", "the call for a title has no row"),
    ("2.0.77__e8_subagent_task_name", "the call for a title has no row"),
    ("2.1.330__h1_errors_retried", "the rows of a response that was cut early vanish"),
    ("2.1.330__h5_cut_after_block", "the rows of a response that was cut early vanish"),
    ("2.1.330__h6_cut_after_tool", "the rows of a response that was cut early vanish"),
    ("2.1.330__i2_sigint_stream", "an interrupted stream leaves no row"),
    ("2.1.330__j2_kill9_stream", "a killed process writes nothing of a stream"),
    ("2.1.330__k1_compact_manual", "the call that wrote the summary has no row"),
    ("2.1.330__z1_big_transcript", "the calls that wrote the summaries have no row"),
    ("2.1.332__ao_no_persistence", "one session was told to leave no file"),
    ("2.1.332__bd_sigterm", "SIGTERM in the middle of a stream leaves no row"),
    ("2.1.332__bf_tui_background", "the calls for a label and a state of the background have no row"),
    ("2.1.332__bq_partial_retry", "the row of a stream that was cut keeps its first usage"),
    ("2.1.332__i2_sigint_stream", "the row of an interrupted stream keeps its first usage"),
];

/// Responses, and their tokens, that the API served.
fn served(truth: &Value) -> [u64; 5] {
    const KINDS: [&str; 4] =
        ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    let calls = truth["served"].as_array().unwrap().iter();
    let answered = calls.filter(|call| call["status"] == 200 && call["usage"].is_object());
    answered.fold([0; 5], |[responses, tokens @ ..], call| {
        let mut counted = [responses + 1, 0, 0, 0, 0];
        for (place, (known, kind)) in tokens.iter().zip(KINDS).enumerate() {
            counted[place + 1] = known + call["usage"][kind].as_u64().unwrap_or(0);
        }
        counted
    })
}

#[test]
fn tokens_equal_what_the_api_served_wherever_the_files_are_complete() {
    for (name, projects) in recordings() {
        let truth = fs::read_to_string(projects.with_file_name("truth.json")).unwrap();
        let theirs = served(&serde_json::from_str(&truth).unwrap());
        let summary = scan(&[projects]);
        let of = |kind: &str| summary["tokens"][kind].as_u64().unwrap();
        let written = of("cache_write_5m") + of("cache_write_1h");
        let responses = summary["messages"].as_u64().unwrap();
        let ours = [responses, of("input"), of("output"), of("cache_read"), written];
        let excused = SERVED_DIFFERS.iter().find(|(scenario, _)| *scenario == name);
        assert_eq!(ours != theirs, excused.is_some(), "{name}: {ours:?} of {theirs:?}, {excused:?}");
        assert!(ours.iter().zip(theirs).all(|(ours, theirs)| *ours <= theirs), "{name}: {ours:?} of {theirs:?}");
    }
}

#[test]
fn generated_corpora_equal_their_own_truth() {
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gen_corpus.py");
    for seed in ["1", "2", "3"] {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("python3")
            .arg(&generator)
            .arg(folder.path())
            .args(["--files", "40", "--mb", "6", "--seed", seed])
            .output();
        let Ok(made) = made else {
            assert!(std::env::var_os("CI").is_none(), "CI needs python3");
            println!("skipped: python3 is not installed");
            return;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let truth: Value =
            serde_json::from_str(&fs::read_to_string(folder.path().join("truth.json")).unwrap()).unwrap();
        let summary = scan(&[folder.path().join(".claude")]);
        for (dated, own) in truth["by_model"].as_object().unwrap() {
            let model = &summary["models"][dated.rsplit_once('-').unwrap().0];
            assert_eq!(model["messages"], own["messages"], "{dated}");
            let kinds = [
                ("input", "input"),
                ("output", "output"),
                ("cache_read", "cread"),
                ("cache_write_5m", "cw5m"),
                ("cache_write_1h", "cw1h"),
            ];
            for (ours, theirs) in kinds {
                assert_eq!(model["tokens"][ours], own[theirs], "{dated} {ours}");
            }
        }
        for (tool, calls) in truth["tools"].as_object().unwrap() {
            assert_eq!(summary["tools"][tool]["calls"], *calls, "{tool}");
        }
        // The generator's own floating point sum, rounded to four decimals.
        let cost: f64 = summary["cost_usd"].as_str().unwrap().parse().unwrap();
        assert_eq!(format!("{cost:.4}"), format!("{:.4}", truth["totals"]["correct"]["cost"].as_f64().unwrap()));
        assert_eq!(summary["files"]["lines"], truth["counts"]["lines"]);
    }
}
