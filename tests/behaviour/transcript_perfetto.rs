//! Transcripts as traces of Perfetto, read with the messages that Google publishes. `tests/support/transcript_tools.sh`
//! installs them. Without them these tests are skipped, except where CI=true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::replay_steps::{ALL, events, sessions};
use crate::support::analytics::{World, answer, prompt, result, text};

const SESSION: &str = "9e7fe770-0000-4000-8000-000000000001";

/// What a reader makes of the traces of sessions; `None` without one.
fn read(world: &World, sessions: &[String], query: &str) -> Option<Vec<Value>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = top.join("target/transcript-tools/venv/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "CI needs tests/support/transcript_tools.sh");
        println!("skipped: tests/support/transcript_tools.sh has not run");
        return None;
    }
    let folder = TempDir::new().unwrap();
    let write = |session: &String| {
        let path = folder.path().join(session);
        // As a long session begins, while it is read for its secrets.
        fs::write(&path, [b"\x0a\x02\x50\x01", trace(world, session, query).as_slice()].concat()).unwrap();
        path
    };
    let paths = sessions.iter().map(write);
    let output =
        Command::new(python).arg("-B").arg(top.join("tests/support/read_perfetto.py")).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn trace(world: &World, session: &str, query: &str) -> Vec<u8> {
    let reply = world.ask(&format!("/{session}/transcript?format=perfetto{query}"));
    assert_eq!(reply.status, 200, "{session}");
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    reply.body
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

/// The slices of a category.
fn slices<'v>(read: &'v Value, category: &str) -> Vec<&'v Value> {
    list(read, "slices").iter().filter(|slice| slice["categories"] == json!([category])).collect()
}

fn ns(at: &Value) -> u64 {
    u64::try_from(Timestamp::parse(text(at)).unwrap().0).unwrap() * 1_000_000
}

/// Begin of something that ended with an event, in nanoseconds.
fn began(event: &Value) -> u64 {
    ns(&event["at"]) - (event["duration_seconds"].as_f64().unwrap_or(0.0) * 1e3).round() as u64 * 1_000_000
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}

#[test]
fn every_event_of_every_recording_is_a_slice_or_an_instant_at_its_time() {
    let sessions = sessions(&ALL);
    let Some(traces) = read(&ALL, &sessions, "&scrub=false") else { return };
    let (mut calls_seen, mut agents_seen, mut open_seen) = (0, 0, 0);
    for (session, read) in sessions.iter().zip(&traces) {
        assert_eq!(read["errors"], json!([]), "{session}");
        let events = events(&ALL, session, "");
        let messages: BTreeSet<(u64, u64, &str)> = slices(read, "message")
            .iter()
            .map(|slice| (slice["at"].as_u64().unwrap(), slice["end"].as_u64().unwrap(), text(&slice["name"])))
            .collect();
        let told = of_kind(&events, "message");
        assert_eq!(slices(read, "message").len(), told.len(), "{session}");
        assert_eq!(
            messages,
            told.iter().map(|event| (began(event), ns(&event["at"]), text(&event["model"]))).collect()
        );

        let calls = slices(read, "tool");
        let told = of_kind(&events, "tool_call");
        assert_eq!(calls.len(), told.len(), "{session}");
        let results = of_kind(&events, "tool_result");
        for (slice, call) in calls.iter().zip(told) {
            let id = &slice["annotations"]["tool_call_id"];
            let call = if &call["tool_call_id"] == id { call } else { find(&events, "tool_call", id).unwrap() };
            assert_eq!((&slice["at"], &slice["name"]), (&json!(ns(&call["at"])), &call["tool"]), "{session}");
            match results.iter().find(|result| &result["tool_call_id"] == id) {
                Some(result) if result["filled_in"] == true => assert_eq!(slice["at"], slice["end"]),
                Some(result) => {
                    assert_eq!(slice["end"], ns(&result["at"]), "{session} {id}");
                    assert_eq!(slice["annotations"]["result"]["index"], result["index"]);
                }
                None => {
                    assert_eq!(slice["annotations"]["open"], true, "{session} {id}");
                    open_seen += 1;
                }
            }
            calls_seen += 1;
        }
        agents_seen += agents(read, &events);
        let shown = ["message", "tool_call", "subagent_start"].map(|kind| of_kind(&events, kind).len());
        let ended = list(read, "slices").iter().map(|slice| &slice["annotations"]);
        let ended = ended.filter(|told| told["result"].is_object() || told["end"].is_object()).count();
        let instants = list(read, "instants").iter().filter(|shown| shown["categories"] != json!(["start"])).count();
        assert_eq!(shown.iter().sum::<usize>() + ended + instants, events.len(), "{session}");
        assert_eq!(slices(read, "turn").len(), list(&ALL.json(&format!("/{session}")), "turns").len(), "{session}");
        let last = events.last().unwrap();
        let cost: f64 = text(&last["cost_usd_so_far"]).parse().unwrap();
        assert_eq!(counter(read, "Cost").last().unwrap()[1].as_f64().unwrap(), cost, "{session}");
    }
    assert!(calls_seen > 100 && agents_seen > 5 && open_seen > 0, "{calls_seen} {agents_seen} {open_seen}");
}

fn find<'e>(events: &'e [Value], kind: &str, id: &Value) -> Option<&'e Value> {
    events.iter().find(|event| event["kind"] == kind && &event["tool_call_id"] == id)
}

/// Checks that sub-agents stand below who started them, and that an arrow leads there. Returns how many there are.
fn agents(read: &Value, events: &[Value]) -> usize {
    let runs = slices(read, "agent");
    let told = of_kind(events, "subagent_start");
    assert_eq!(runs.len(), told.len());
    let name = |uuid: &Value| text(&read["tracks"][text(uuid)]["name"]);
    for run in &runs {
        let event = &events[usize::try_from(run["annotations"]["index"].as_u64().unwrap()).unwrap()];
        assert!(name(&run["track"]).ends_with(text(&event["agent"])) || name(&run["track"]) == "Turns");
        let parent = name(&read["tracks"][text(&run["track"])]["parent"]);
        let expected = event["parent_agent"].as_str().unwrap_or("Main");
        assert!(parent.ends_with(expected), "{parent} {expected}");
        if let Some(call) = find(events, "tool_call", &event["tool_call_id"]) {
            assert_ne!(run["ends_flows"], json!([]));
            let from = slices(read, "tool").into_iter().find(|slice| slice["annotations"]["index"] == call["index"]);
            let from = from.unwrap();
            // A call that starts several, or has ended, has an instant for each.
            let begins = |shown: &Value| shown["flows"] == run["ends_flows"];
            let starts = list(read, "instants").iter().find(|shown| begins(shown));
            let is_right = |start: &Value| {
                let is_within = start["track"] == from["track"] && start["at"].as_u64() <= from["end"].as_u64();
                let is_behind = start["track"] == read["tracks"][text(&run["track"])]["parent"];
                let is_apart = from["end"].as_u64() <= run["at"].as_u64() || run["at"].as_u64() <= from["at"].as_u64();
                start["at"] == run["at"] && (is_within || (is_behind && is_apart))
            };
            assert!(begins(from) || starts.is_some_and(is_right), "{event}");
        }
    }
    runs.len()
}

fn counter<'v>(read: &'v Value, name: &str) -> &'v [Value] {
    let tracks = read["tracks"].as_object().unwrap();
    let (uuid, _) = tracks.iter().find(|(_, track)| track["name"] == name).unwrap();
    list(&read["counters"], uuid)
}

fn call(id: &str, command: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}})
}

/// Three calls at once, of which the first ends last; one that begins when another ends, and one that never ends.
fn overlapping() -> World {
    let mut world = World::empty();
    let rows = [
        prompt(SESSION, 0, "use AKIA0000PLANTEDKEY00, please"),
        answer(SESSION, 1, "m1", json!([call("a", "sleep 9")])),
        answer(SESSION, 2, "m1", json!([call("b", "sleep 2")])),
        answer(SESSION, 3, "m1", json!([call("c", "sleep 3")])),
        result(SESSION, 4, "b", json!("b is done")),
        answer(SESSION, 4, "m2", json!([call("d", "sleep 1")])),
        result(SESSION, 6, "c", json!("c is done")),
        result(SESSION, 7, "d", json!("d is done")),
        answer(SESSION, 8, "m3", json!([call("e", "sleep 99")])),
        result(SESSION, 10, "a", json!("a is done")),
    ];
    world.write(SESSION, &rows);
    world.count();
    world
}

#[test]
fn calls_that_overlap_stand_on_tracks_of_their_own() {
    let world = overlapping();
    let Some(traces) = read(&world, &[SESSION.to_owned()], "") else { return };
    let read = &traces[0];
    assert_eq!(read["errors"], json!([]));
    let start = ns(&json!("2026-03-01T12:00:00.000Z"));
    let mut tracks = BTreeMap::new();
    let mut shown = Vec::new();
    for slice in slices(read, "tool") {
        let number = tracks.len();
        let number = *tracks.entry(text(&slice["track"])).or_insert(number);
        let seconds = |name: &str| (slice[name].as_u64().unwrap() - start) / 1_000_000_000;
        let told = &slice["annotations"];
        let said = told["result"]["tool_result"].as_str().unwrap_or("open");
        shown.push((text(&told["tool_call_id"]), number, seconds("at"), seconds("end"), said));
    }
    let expected = [
        ("a", 0, 1, 10, "a is done"),
        ("b", 1, 2, 4, "b is done"),
        ("c", 2, 3, 6, "c is done"),
        ("d", 3, 4, 7, "d is done"),
        ("e", 1, 8, 10, "open"),
    ];
    // Which of the free tracks a call takes does not matter, but that it shares none with a call that runs.
    assert_eq!(shown, expected);
    assert!(tracks.keys().all(|track| read["tracks"][*track]["name"] == "Tool calls"));
}

#[test]
fn level_and_secrets_are_those_that_were_asked_for_and_the_bytes_are_the_same_each_time() {
    let world = overlapping();
    let holds = |trace: &[u8], part: &str| trace.windows(part.len()).any(|window| window == part.as_bytes());
    let (whole, bare) = (trace(&world, SESSION, "&scrub=false"), trace(&world, SESSION, ""));
    assert!(holds(&whole, "AKIA0000PLANTEDKEY00") && holds(&whole, "b is done"));
    assert!(!holds(&bare, "0000PLANTEDKEY00") && holds(&bare, "AKIA[REDACTED]") && holds(&bare, "sleep 9"));
    let short = trace(&world, SESSION, "&level=no_results");
    assert!(!holds(&short, "is done") && holds(&short, "left out") && holds(&short, "sleep 9"));
    let prompts = trace(&world, SESSION, "&level=prompts_only");
    assert!(!holds(&prompts, "sleep 9") && holds(&prompts, "please"));
    assert_eq!(whole, trace(&world, SESSION, "&scrub=false"));
}
