//! The events of every recording of the real client and their order, against an independent reading:
//! `fixtures/recordings/oracle_replay.py` wrote `expected/*.replay.txt` from the rows alone.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::analytics::{World, text};

/// The member that names an event of a kind, where the independent reading names it.
fn name_of(event: &Value) -> &str {
    let member = match text(&event["kind"]) {
        "message" => "message_id",
        "tool_call" | "tool_result" => "tool_call_id",
        "subagent_start" | "subagent_end" => "agent",
        _ => "uuid",
    };
    event[member].as_str().unwrap_or("-")
}

/// The events of all sessions, a line each, as the replay tells them page by page.
fn told(world: &World) -> String {
    let list = world.json("?limit=1000");
    let mut sessions: Vec<&str> =
        list["sessions"].as_array().unwrap().iter().map(|session| text(&session["id"])).collect();
    sessions.sort_unstable();
    let mut lines = String::new();
    for session in sessions {
        let mut from = Some(0);
        while let Some(at) = from {
            let page = world.json(&format!("/{session}/replay?from={at}&limit=100"));
            for event in page["events"].as_array().unwrap() {
                let (at, kind) = (text(&event["at"]), text(&event["kind"]));
                let thread = event["agent"].as_str().unwrap_or("main");
                lines.push_str(&format!("{session} {at} {kind} {} {thread}\n", name_of(event)));
            }
            from = page["next_from"].as_u64();
        }
    }
    lines
}

#[test]
fn every_recording_replays_as_the_independent_reading_says() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
    let expected = fs::read_dir(top.join("expected")).unwrap().map(|entry| entry.unwrap().file_name());
    let expected = expected.filter_map(|name| name.to_str()?.strip_suffix(".replay.txt").map(str::to_owned));
    let mut names: Vec<String> = expected.collect();
    names.sort();
    assert_eq!(names.len(), 69);
    let mut wrong = Vec::new();
    for name in names {
        let world = World::of(&[&name.replace("__", "/")]);
        let wanted = fs::read_to_string(top.join(format!("expected/{name}.replay.txt"))).unwrap();
        let told = told(&world);
        if told != wanted {
            wrong.push(format!("{name}:\n{told}instead of\n{wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
