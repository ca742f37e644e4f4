//! The text of a file as a session knew it, event by event.

use std::fs;

use serde_json::{Value, json};

use crate::replay_steps::{ALL, B_TOOLS, events};
use crate::support::analytics::{World, answer, prompt, result, text};
use crate::support::http::assert_problem;

const PATH: &str = "/home/dev/made/a.txt";

/// A session of calls and their results, one second each.
struct Made {
    rows: Vec<Value>,
}

impl Made {
    fn new() -> Self {
        Self { rows: vec![prompt("made", 0, "go")] }
    }

    /// A call and its result. Its message, call and result are three events.
    fn call(mut self, tool: &str, input: Value, content: Value, told: Value) -> Self {
        let second = u32::try_from(self.rows.len()).unwrap();
        let id = format!("toolu_{second}");
        let block = json!([{"type": "tool_use", "id": id, "name": tool, "input": input}]);
        self.rows.push(answer("made", second, &format!("msg_{second}"), block));
        let mut row = result("made", second + 1, &id, content);
        if !told.is_null() {
            row["toolUseResult"] = told;
        }
        self.rows.push(row);
        self
    }

    /// The same with a result that is an error.
    fn failing(self, tool: &str, input: Value, denial: &str) -> Self {
        let mut made = self.call(tool, input, "no".into(), Value::Null);
        let row = made.rows.last_mut().unwrap();
        row["message"]["content"][0]["is_error"] = true.into();
        if !denial.is_empty() {
            row["toolDenialKind"] = denial.into();
            row["permissionDecision"] = json!({"decision": "reject", "source": "config"});
        }
        made
    }

    fn counted(self) -> World {
        let mut world = World::empty();
        world.write("made", &self.rows);
        world.count();
        world
    }
}

/// The position of the result of the n-th call, from 1.
const fn after(call: usize) -> usize {
    call * 3
}

fn known(world: &World, at: usize) -> Value {
    world.json(&format!("/made/replay/file?path={PATH}&at={at}"))
}

fn input(path: &str) -> Value {
    json!({"file_path": path})
}

fn edit(old: &str, new: &str) -> Value {
    json!({"file_path": PATH, "old_string": old, "new_string": new})
}

#[test]
fn a_recorded_session_knows_what_its_calls_told() {
    let events = events(&ALL, B_TOOLS, "&context=true");
    let path = "/home/dev/b-tools/hello.txt";
    let at = |tool: &str| {
        let is_it = |event: &&Value| event["kind"] == "tool_result" && event["tool"] == tool;
        events.iter().find(is_it).unwrap()["index"].as_u64().unwrap()
    };
    let file = |at: u64| ALL.json(&format!("/{B_TOOLS}/replay/file?path={path}&at={at}"));
    let (read, edited, last) = (file(at("Read")), file(at("Edit")), file(events.len() as u64 - 1));
    assert_eq!((&read["known"], &read["text"]), (&"whole".into(), &"hello world\nsecond line\n".into()));
    assert_eq!((&edited["text"], &edited["total_lines"]), (&"goodbye world\nsecond line\n".into(), &3.into()));
    assert_eq!((&edited["unknown_since"], &edited["known_at"]), (&Value::Null, &at("Edit").into()));
    // The last call of this session is a command.
    let command = events.iter().rfind(|event| event["kind"] == "tool_call" && event["tool"] == "Bash").unwrap();
    assert_eq!((&last["text"], &last["unknown_since"]), (&edited["text"], &command["index"]));
    assert_problem(
        &ALL.ask(&format!("/{B_TOOLS}/replay/file?path={path}&at=0")),
        404,
        "names `/home/dev/b-tools/hello.txt`",
    );
    assert_problem(&ALL.ask(&format!("/{B_TOOLS}/replay/file")), 400, "`path` is required");

    for event in &events {
        let list = ALL.json(&format!("/{B_TOOLS}/replay/files?at={}", event["index"]));
        let paths: Vec<&Value> = list["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
        assert_eq!(json!(paths), event["state"]["files"]);
        assert_eq!(list["event"], event["index"]);
    }
    let list = ALL.json(&format!("/{B_TOOLS}/replay/files"));
    let own = list["files"].as_array().unwrap().iter().find(|file| file["path"] == path).unwrap();
    assert_eq!((&own["reads"], &own["edits"], &own["writes"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!((&own["known_at"], &own["unknown_since"]), (&last["known_at"], &last["unknown_since"]));
}

#[test]
fn every_text_that_the_recordings_tell_is_told() {
    // A plain reading of the rows: the text after each edit and write of the main thread.
    let mut told = 0;
    for row in ALL.rows() {
        let change = &row["toolUseResult"];
        let (Some(path), Some(call)) =
            (change["filePath"].as_str(), row["message"]["content"][0]["tool_use_id"].as_str())
        else {
            continue;
        };
        let expected = match (change["content"].as_str(), change["originalFile"].as_str()) {
            (Some(content), _) => content.to_owned(),
            (None, Some(original)) => original.replacen(text(&change["oldString"]), text(&change["newString"]), 1),
            (None, None) => continue,
        };
        let session = text(&row["sessionId"]);
        let event = |kind: &str| {
            let of_kind = events(&ALL, session, &format!("&kind={kind}"));
            of_kind.into_iter().find(|event| event["tool_call_id"] == call)
        };
        // A fork leaves the rows that it copied to its source.
        let Some(event) = event("tool_result") else { continue };
        let file = ALL.json(&format!("/{session}/replay/file?path={path}&at={}", event["index"]));
        assert_eq!((&file["known"], &file["text"]), (&"whole".into(), &expected.into()), "{row}");
        told += 1;
    }
    assert!(told >= 8, "{told}");
}

#[test]
fn lines_that_were_read_are_known_and_no_others() {
    let lines: Vec<String> = (100..=200).map(|line| format!("line {line}")).collect();
    let told = json!({"type": "text", "file": {"filePath": PATH, "content": lines.join("\n"), "numLines": 101,
        "startLine": 100, "totalLines": 300}});
    // A row of a sub-agent has only what the model is shown.
    let shown = "   250\u{2192}two hundred fifty\n   251\tnext\n\n<system-reminder>\nmind it\n</system-reminder>";
    let world = Made::new()
        .call("Read", json!({"file_path": PATH, "offset": 100, "limit": 101}), "shown".into(), told)
        .call("Read", json!({"file_path": PATH, "offset": 250, "limit": 2}), shown.into(), Value::Null)
        .call("Edit", edit("line 150\n", "first\nsecond\n"), "done".into(), Value::Null)
        .call("Edit", edit("line 7", "line seven"), "done".into(), Value::Null)
        .call("Edit", edit("line 299\n", ""), "done".into(), Value::Null)
        .counted();
    let parts = |at: usize| -> Vec<(u64, u64)> {
        let file = known(&world, at);
        assert_eq!(file["text"], Value::Null);
        let parts = file["parts"].as_array().unwrap().iter();
        parts.map(|part| (part["from_line"].as_u64().unwrap(), part["lines"].as_u64().unwrap())).collect()
    };
    assert_eq!((parts(after(1)), known(&world, after(1))["total_lines"].clone()), (vec![(100, 101)], 300.into()));
    assert_eq!(parts(after(1) - 1), [], "a call tells nothing before its result");
    assert_eq!(known(&world, after(1) - 1)["known"], "nothing");
    assert_eq!(parts(after(2)), [(100, 101), (250, 2)]);
    assert_eq!(known(&world, after(2))["parts"][1]["text"], "two hundred fifty\nnext");
    assert_eq!(parts(after(3)), [(100, 102), (251, 2)], "a line more, and what stands behind has moved");
    assert_eq!(parts(after(4)), [(100, 102), (251, 2)], "an edit elsewhere");
    assert_eq!((parts(after(5)), known(&world, after(5))["known"].clone()), (vec![], "nothing".into()));
}

#[test]
fn what_may_change_a_file_casts_doubt_until_it_is_read_again() {
    let write = json!({"file_path": PATH, "content": "one\ntwo\n"});
    let whole = json!({"type": "text", "file": {"filePath": PATH, "content": "three\n", "numLines": 2, "startLine": 1, "totalLines": 2}});
    let world = Made::new()
        .call("Write", write, "done".into(), Value::Null)
        .call("Grep", json!({"pattern": "x"}), "none".into(), Value::Null)
        .failing("Bash", json!({"command": "rm a.txt"}), "permission-rule")
        .failing("Write", json!({"file_path": PATH, "content": "never"}), "")
        .call("Bash", json!({"command": "make"}), "done".into(), Value::Null)
        .call("Read", input(PATH), "shown".into(), whole)
        .call("mcp__files__put", json!({"at": PATH}), "done".into(), Value::Null)
        .call("Read", input(PATH), "Wasted call".into(), json!({"type": "file_unchanged", "file": {"filePath": PATH}}))
        .counted();
    let state = |at: usize| {
        let file = known(&world, at);
        (text(&file["text"]).to_owned(), file["unknown_since"].as_u64())
    };
    let (one, three) = ("one\ntwo\n".to_owned(), "three\n".to_owned());
    assert_eq!(state(after(2)), (one.clone(), None), "a search changes nothing");
    assert_eq!(state(after(3) - 1), (one.clone(), Some(after(3) as u64 - 1)), "a command may have begun");
    assert_eq!(state(after(4)), (one.clone(), None), "it was refused, and a write failed");
    assert_eq!(state(after(5)), (one, Some(after(5) as u64 - 1)), "a command ran");
    assert_eq!(state(after(6)), (three.clone(), None), "it was read again");
    assert_eq!(state(after(7)), (three.clone(), Some(after(7) as u64 - 1)), "nobody knows what another tool does");
    assert_eq!(state(after(8)), (three, None), "the client says that it is the same");
    assert_eq!(known(&world, after(8))["evidence"], json!([after(6), after(8)]));
}

#[test]
fn a_text_that_cannot_be_followed_is_forgotten() {
    let write = |content: &str| json!({"file_path": PATH, "content": content});
    let several = json!({"file_path": PATH, "edits": [{"old_string": "a", "new_string": "b", "replace_all": true},
        {"old_string": "bb", "new_string": "c"}]});
    let world = Made::new()
        .call("Write", write("aa a"), "done".into(), Value::Null)
        .call("MultiEdit", several, "done".into(), Value::Null)
        .call("Edit", edit("c b", "d"), "done".into(), json!({"userModified": true, "originalFile": "c b"}))
        .call("Write", write("x"), "done".into(), Value::Null)
        .call("Edit", edit("nowhere", "y"), "done".into(), Value::Null)
        .call("Edit", edit("q", "r"), "done".into(), json!({"originalFile": "p q", "userModified": false}))
        .counted();
    let told = |call: usize| known(&world, after(call))["text"].clone();
    assert_eq!([told(1), told(2), told(4)], ["aa a", "c b", "x"]);
    assert_eq!([told(3), told(5)], [Value::Null, Value::Null], "a person changed it; it was another text");
    assert_eq!(told(6), "p r", "the client told the text before");

    // The rows are gone, and with them what they told.
    let path = world.projects.join("-home-dev-made/made.jsonl");
    fs::remove_file(path).unwrap();
    let gone = known(&world, after(6));
    assert_eq!((&gone["known"], &gone["incomplete"]), (&"nothing".into(), &true.into()));
    let list = world.json("/made/replay/files");
    assert_eq!(list["files"].as_array().unwrap().len(), 1);
}
