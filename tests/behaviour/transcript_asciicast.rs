//! Transcripts as recordings of a terminal, played by the player of asciinema. `tests/support/transcript_tools.sh` installs
//! it. Without it, or without node, the tests that play are skipped, except where CI=true.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::replay_steps::{ALL, events, sessions};
use crate::support::analytics::{World, answer, prompt, result, text};

const SESSION: &str = "a5c11ca5-0000-4000-8000-000000000001";
const COLUMNS: usize = 100;

fn recording(world: &World, session: &str, query: &str) -> String {
    let reply = world.ask(&format!("/{session}/transcript?format=asciicast{query}"));
    assert_eq!(reply.status, 200, "{session}");
    assert_eq!(reply.header("content-type"), Some("application/x-asciicast"));
    reply.text().to_owned()
}

/// What the player makes of the recordings of sessions; `None` without it.
fn played(world: &World, sessions: &[String], query: &str) -> Option<Vec<Value>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = top.join("target/transcript-tools");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !tools.join("node_modules/asciinema-player").exists() || !has_node {
        assert!(std::env::var_os("CI").is_none(), "CI needs node and tests/support/transcript_tools.sh");
        println!("skipped: no node, or tests/support/transcript_tools.sh has not run");
        return None;
    }
    let folder = TempDir::new().unwrap();
    let write = |session: &String| {
        let path = folder.path().join(session);
        // As a long session begins, while it is read for its secrets.
        fs::write(&path, format!("  {}", recording(world, session, query))).unwrap();
        path
    };
    let paths: Vec<_> = sessions.iter().map(write).collect();
    let script = top.join("tests/support/play_cast.mjs");
    let output = Command::new("node").arg(script).arg(&tools).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The text without our own colours. Panics at any other control character.
fn uncoloured(output: &str) -> String {
    let mut plain = String::new();
    let mut rest = output;
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        let (codes, after) = behind.split_once('m').expect("only colours");
        assert!(codes.strip_prefix('[').is_some_and(|codes| codes.bytes().all(|byte| b"0123456789;".contains(&byte))));
        rest = after;
    }
    plain.push_str(rest);
    assert!(!plain.replace("\r\n", "").contains(char::is_control), "{plain:?}");
    plain
}

/// Letters alone: lines are cut where the terminal ends.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

#[test]
fn every_recording_is_played_from_its_prompts_to_its_end() {
    let sessions = sessions(&ALL);
    let Some(all) = played(&ALL, &sessions, "&scrub=false") else { return };
    let (mut prompts, mut markers) = (0, 0);
    for (session, played) in sessions.iter().zip(&all) {
        assert_eq!(played["errors"], json!([]), "{session}");
        assert_eq!(played["size"]["size"], json!({"cols": COLUMNS, "rows": 32}), "{session}");
        let shown = uncoloured(text(&played["output"]));
        assert!(shown.split("\r\n").all(|line| line.chars().count() <= COLUMNS), "{session}");
        let events = events(&ALL, session, "");
        let gaps = events.iter().map(|event| event["gap_seconds"].as_f64().unwrap_or(0.0).min(3.0));
        let expected: f64 = gaps.sum();
        assert!(
            (played["duration"].as_f64().unwrap() - expected).abs() < 0.01,
            "{session} {expected}: {}",
            played["duration"]
        );
        let detail = ALL.json(&format!("/{session}"));
        assert_eq!(played["markers"].as_array().unwrap().len(), detail["turns"].as_array().unwrap().len(), "{session}");
        markers += played["markers"].as_array().unwrap().len();
        let shown = letters(&shown);
        for prompt in events.iter().filter(|event| event["kind"] == "prompt" && event["depth"] == 0) {
            let said = prompt["content"][0]["text"].as_str().unwrap_or_default();
            if said.lines().count() < 100 && !said.contains('\u{1b}') {
                assert!(shown.contains(&letters(said)), "{session}: {said:?}");
                prompts += 1;
            }
        }
    }
    assert!(prompts > 20 && markers > 20, "{prompts} {markers}");
}

fn hostile() -> World {
    let mut world = World::empty();
    let nasty =
        "title\u{1b}]0;owned\u{7} \u{1b}[2J\u{1b}[31mred\u{1b}[0m \u{8}\u{8}back \u{202e}turned \u{9b}31m \u{1b}c end";
    let call = json!([{"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": "cat nasty"}}]);
    let rows = [
        prompt(SESSION, 0, &format!("prompt {nasty}")),
        answer(SESSION, 2, "m1", call),
        result(SESSION, 62, "a", json!((0..40).map(|line| format!("line {line} {nasty}\n")).collect::<String>())),
        answer(SESSION, 63, "m2", json!([{"type": "text", "text": format!("漢字{}", "wide ".repeat(60))}])),
    ];
    world.write(SESSION, &rows);
    world.count();
    world
}

#[test]
fn nothing_in_a_session_steers_the_terminal_and_long_results_are_cut() {
    let world = hostile();
    let recording = recording(&world, SESSION, "&scrub=false");
    let mut lines = recording.lines();
    let header: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&header["version"], &header["term"]["cols"]), (&json!(3), &json!(COLUMNS)));
    assert_eq!(header["timestamp"], 1_772_366_400);
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: String = events.iter().filter(|event| event[1] == "o").map(|event| text(&event[2])).collect();
    let shown = uncoloured(&shown);
    for part in ["red", "back", "⟨202E⟩turned", "⟨9B⟩31m", "⟨8⟩", "end", "line 11 ", "… 28 more lines", "漢字wide"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("owned") && !shown.contains("line 12 "), "{shown}");
    // A text goes on between two words.
    let mut wide = shown.split("\r\n").filter(|line| line.contains("wide"));
    assert!(wide.all(|line| line.split_whitespace().all(|word| word.ends_with("wide"))), "{shown}");
    assert!(events.iter().filter(|event| event[1] == "m").count() == 1);
    assert_eq!(events.last().unwrap(), &json!([0.0, "x", "0"]));
    // A minute of waiting is 3 s long.
    let pauses: Vec<f64> =
        events.iter().filter(|event| event[1] == "o").map(|event| event[0].as_f64().unwrap()).collect();
    assert!(pauses.contains(&3.0) && pauses.contains(&2.0) && pauses.iter().all(|pause| *pause <= 3.0), "{pauses:?}");
    let width = |letter: char| if letter > '\u{2e7f}' && letter < '\u{a000}' { 2 } else { 1 };
    assert!(shown.split("\r\n").all(|line| line.chars().map(width).sum::<usize>() <= COLUMNS), "{shown}");
}
