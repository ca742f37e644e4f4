//! What the state keeps of the inputs of tool calls: hashes and a short word, and no text.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tailspan::ledger::unit::Identity;
use tailspan::views::analytics::work::WorkCall;
use xxhash_rust::xxh3::xxh3_64;

use crate::support::world::{Dice, World, append, files_below};

fn row(kind: &str, second: usize, more: Value) -> Value {
    let mut row = json!({"type": kind, "uuid": format!("row-{second}"), "sessionId": "s", "cwd": "/home/dev/app",
        "timestamp": format!("2026-11-29T10:{:02}:{:02}.000Z", second / 60, second % 60)});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

/// A row that makes a call whose block ends as it is written here.
fn call(second: usize, id: &str, name: &str, rest: &str) -> String {
    let block = format!(r#"{{"type":"tool_use","id":"{id}","name":"{name}"{rest}}}"#);
    let message = json!({"id": format!("msg_01{second:022}"), "role": "assistant", "model": "claude-opus-4-5",
        "content": ["BLOCK"], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}});
    let row = row("assistant", second, json!({"requestId": format!("req_{second}"), "message": message}));
    format!("{row}\n").replace("\"BLOCK\"", &block)
}

fn result(second: usize, id: &str, is_error: bool, more: Value) -> String {
    let block = json!({"type": "tool_result", "tool_use_id": id, "content": "ok", "is_error": is_error});
    let mut row = row("user", second, json!({"message": {"role": "user", "content": [block]}}));
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("{row}\n")
}

/// A state in which a session with these lines was counted.
fn world(lines: &[String]) -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let prompt = row("user", 0, json!({"message": {"role": "user", "content": "Go."}}));
    append(&world.root.join("-home-dev-app/s.jsonl"), format!("{prompt}\n{}", lines.concat()).as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    (folder, world)
}

/// The calls of a state by their ids.
fn calls(world: &World) -> BTreeMap<u64, WorkCall> {
    let (reader, mut calls) = (world.reader.as_ref().unwrap(), BTreeMap::new());
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session.id)).unwrap();
    for unit in sessions.iter().flat_map(|session| reader.cells_of(session).unwrap()) {
        let work = unit.cells.into_iter().flat_map(|(_, cells)| cells.work.calls);
        calls.extend(work.map(|call| (call.id, call)));
    }
    calls
}

fn hash(text: &str) -> u64 {
    if text.is_empty() { 0 } else { xxh3_64(text.as_bytes()) }
}

/// Checks each case: what a call's block ends with, the input as it is written, the path, the extension.
fn check(cases: &[(&str, &str, &str, Option<&str>)]) {
    let line = |(number, case): (usize, &(&str, &str, &str, Option<&str>))| {
        call(number + 1, &format!("t{number}"), "Some", case.0)
    };
    let (_folder, world) = world(&cases.iter().enumerate().map(line).collect::<Vec<_>>());
    let calls = calls(&world);
    assert_eq!(calls.len(), cases.len());
    for (number, (rest, input, path, extension)) in cases.iter().enumerate() {
        let call = &calls[&Identity::Call(&format!("t{number}")).hash()];
        let told = (call.input, call.file, call.extension.as_deref());
        assert_eq!(told, (hash(input), hash(path), *extension), "{rest}");
    }
}

#[test]
fn an_input_is_kept_as_a_hash_of_all_that_is_written() {
    check(&[
        (r#","input":{"command":"ls"}"#, r#"{"command":"ls"}"#, "", None),
        (r#","input":{"command":"ls","timeout":9}"#, r#"{"command":"ls","timeout":9}"#, "", None),
        (r#","input" : { "a" : [1, {"b": "}"}] } "#, r#"{ "a" : [1, {"b": "}"}] }"#, "", None),
        (r#","input":{}"#, "{}", "", None),
        // The last of two counts.
        (r#","input":{"a":1},"input":{"b":2}"#, r#"{"b":2}"#, "", None),
        (r#","input":{"file_path":"/a.rs"},"input":{"b":2}"#, r#"{"b":2}"#, "", None),
        ("", "", "", None),
        (r#","input":null"#, "", "", None),
        (r#","input":"text""#, "", "", None),
        (r#","input":["text"]"#, "", "", None),
    ]);
}

#[test]
fn a_file_is_kept_as_a_hash_and_an_extension() {
    let path = |path: &str| {
        let input = format!(r#"{{"file_path":"{path}"}}"#);
        (format!(r#","input":{input}"#), input)
    };
    let cases = [
        ("/home/dev/src/main.rs", "/home/dev/src/main.rs", Some("rs")),
        ("/home/dev/Main.TSX", "/home/dev/Main.TSX", Some("tsx")),
        (r"C:\\dev\\caf\u00e9.Cs", r"C:\dev\café.Cs", Some("cs")),
        ("/a/b.tar.gz", "/a/b.tar.gz", Some("gz")),
        ("/a/b.markdown", "/a/b.markdown", Some("markdown")),
        ("/a/b.mp3", "/a/b.mp3", Some("mp3")),
        ("a.rs", "a.rs", Some("rs")),
        // What is no plain short ending is none.
        ("/a/b.properties", "/a/b.properties", None),
        ("/a/b.c++", "/a/b.c++", None),
        ("/a/b.é", "/a/b.é", None),
        ("/a/b.r s", "/a/b.r s", None),
        ("/a/b.", "/a/b.", None),
        ("/a/Makefile", "/a/Makefile", None),
        ("/a/.gitignore", "/a/.gitignore", None),
        ("/a.d/b", "/a.d/b", None),
        (r"C:\\a.d\\b", r"C:\a.d\b", None),
        ("", "", None),
    ];
    let written: Vec<_> = cases.iter().map(|case| path(case.0)).collect();
    let cases = cases.iter().zip(&written);
    check(&cases.map(|(case, (rest, input))| (rest.as_str(), input.as_str(), case.1, case.2)).collect::<Vec<_>>());
    let notebook = r#"{"new_source":"1","notebook_path":"/a/n.ipynb"}"#;
    let both = r#"{"notebook_path":"/a/n.ipynb","file_path":"/a/b.py"}"#;
    let number = r#"{"file_path":7,"notebook_path":"/a/n.ipynb"}"#;
    let [notebook, both, number] = [notebook, both, number].map(|input| (format!(r#","input":{input}"#), input));
    check(&[
        (&notebook.0, notebook.1, "/a/n.ipynb", Some("ipynb")),
        (&both.0, both.1, "/a/b.py", Some("py")),
        (&number.0, number.1, "/a/n.ipynb", Some("ipynb")),
    ]);
}

#[test]
fn the_result_of_a_call_tells_lines_and_whether_a_person_decided() {
    let decided = |source: &str| json!({"permissionDecision": {"decision": "accept", "source": source}});
    let patch = json!({"structuredPatch": [{"lines": ["+a", "+b", "-c", " d"]}, {"lines": ["+e"]}]});
    let mut edited = decided("user_temporary");
    edited["toolUseResult"] = patch;
    let refused = json!({"toolDenialKind": "user-rejected", "toolDenialBeforeRun": true,
        "permissionDecision": {"decision": "reject", "source": "user_reject"}});
    let cases = [
        (Some((false, edited)), (3, 1, true)),
        (Some((false, decided("user_permanent"))), (0, 0, true)),
        (Some((true, refused)), (0, 0, true)),
        (Some((false, decided("config"))), (0, 0, false)),
        (Some((true, decided("hook"))), (0, 0, false)),
        (Some((false, json!({}))), (0, 0, false)),
        (None, (0, 0, false)),
    ];
    let mut lines = Vec::new();
    for (number, (told, _)) in cases.iter().enumerate() {
        let id = format!("t{number}");
        lines.push(call(2 * number + 1, &id, "Edit", r#","input":{"file_path":"/a.rs"}"#));
        lines.extend(told.as_ref().map(|(is_error, more)| result(2 * number + 2, &id, *is_error, more.clone())));
    }
    let (_folder, world) = world(&lines);
    let calls = calls(&world);
    for (number, (_, wanted)) in cases.iter().enumerate() {
        let call = &calls[&Identity::Call(&format!("t{number}")).hash()];
        assert_eq!((call.lines_added, call.lines_removed, call.by_person), *wanted, "call {number}");
    }
}

#[test]
fn no_text_of_an_input_is_in_the_state() {
    let input = r#","input":{"file_path":"/home/dev/hushhush/quietname.rs","old_string":"stillword"}"#;
    let (_folder, mut world) = world(&[call(1, "t1", "Edit", input)]);
    assert_eq!(calls(&world).len(), 1);
    world.close();
    let files = files_below(&world.state);
    assert!(files.iter().any(|file| memchr::memmem::find(&fs::read(file).unwrap(), b"home/dev/app").is_some()));
    for (file, word) in files.iter().flat_map(|file| ["hushhush", "quietname", "stillword"].map(|word| (file, word))) {
        let bytes = fs::read(file).unwrap();
        assert!(memchr::memmem::find(&bytes, word.as_bytes()).is_none(), "{word} is in {}", file.display());
    }
}
