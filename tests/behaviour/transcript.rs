//! Transcripts: every event of the replay with its whole texts, at every level, the same bytes each time.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::analytics::{World, answer, at, prompt, result, text};
use crate::support::http::{Reply, assert_problem};

pub(crate) const ALL: [&str; 4] = ["1.0.128", "2.0.77", "2.1.330", "2.1.332"];

pub(crate) static RECORDED: LazyLock<World> = LazyLock::new(|| World::of(&ALL));

const LONG: &str = "10065e55-0000-4000-8000-000000000001";

/// The transcript of a session.
pub(crate) fn transcript(world: &World, session: &str, query: &str) -> Reply {
    let reply = world.ask(&format!("/{session}/transcript?{query}"));
    assert_eq!(reply.status, 200, "{session} {query}: {}", reply.text());
    reply
}

/// The transcript as JSON, with secrets, because they are compared with the files.
pub(crate) fn document(world: &World, session: &str, query: &str) -> Value {
    transcript(world, session, &format!("format=json&scrub=false&{query}")).json()
}

pub(crate) fn events(document: &Value) -> &[Value] {
    document["events"].as_array().unwrap()
}

/// The ids of all sessions.
pub(crate) fn sessions(world: &World) -> Vec<String> {
    let list = world.json("?limit=1000");
    list["sessions"].as_array().unwrap().iter().map(|session| text(&session["id"]).to_owned()).collect()
}

/// Every event of the replay, page by page.
fn replayed(world: &World, session: &str) -> Vec<Value> {
    let (mut all, mut from) = (Vec::new(), json!(0));
    while !from.is_null() {
        let page = world.json(&format!("/{session}/replay?limit=50&from={from}"));
        all.extend(page["events"].as_array().unwrap().clone());
        from = page["next_from"].clone();
    }
    all
}

/// An event without its texts.
fn bare(event: &Value) -> Value {
    let mut event = event.clone();
    for field in ["content", "content_unavailable", "context_tokens"] {
        event.as_object_mut().unwrap().remove(field);
    }
    event
}

/// The texts of an event, joined.
pub(crate) fn said(event: &Value) -> String {
    let pieces = event["content"].as_array().unwrap_or_else(|| panic!("no content: {event}"));
    pieces.iter().filter_map(|piece| piece["text"].as_str()).collect::<Vec<_>>().join("|")
}

#[test]
fn every_event_of_every_recording_is_told_with_what_the_files_hold() {
    let rows = RECORDED.rows();
    let (mut compared, mut told) = (0, 0);
    for session in sessions(&RECORDED) {
        let whole = document(&RECORDED, &session, "");
        let replay = replayed(&RECORDED, &session);
        assert_eq!(whole["total_events"], replay.len(), "{session}");
        assert_eq!(events(&whole).iter().map(bare).collect::<Vec<_>>(), replay.iter().map(bare).collect::<Vec<_>>());
        for (own, other) in events(&whole).iter().zip(&replay) {
            assert_eq!(own.get("content_unavailable"), other.get("content_unavailable"), "{own}");
            let (Some(pieces), Some(others)) = (own["content"].as_array(), other["content"].as_array()) else {
                continue;
            };
            assert_eq!(pieces.len(), others.len(), "{own}");
            for (piece, cut) in pieces.iter().zip(others) {
                assert_eq!((&piece["type"], &piece["bytes"]), (&cut["type"], &cut["bytes"]), "{own}");
                let (Some(text), Some(begin)) = (piece["text"].as_str(), cut["text"].as_str()) else { continue };
                assert!(text.starts_with(begin) && text.len() as u64 == piece["bytes"].as_u64().unwrap(), "{own}");
                told += 1;
            }
            // The same, read from the rows by ids alone.
            let texts: BTreeSet<&str> = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
            let expected = held(&rows, own);
            let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            match text(&own["kind"]) {
                "prompt" | "message" => assert_eq!(texts, expected, "{own}"),
                // Copies of a row, in forks and in later rows of a message, may tell the same call in other words.
                "tool_call" | "tool_result" => assert!(texts.is_subset(&expected), "{own}"),
                _ => continue,
            }
            compared += texts.len();
        }
    }
    assert!(compared > 300 && told > 300, "{compared} {told}");
}

/// What the rows of the session files hold for an event, found by its ids alone.
fn held(rows: &[Value], event: &Value) -> Vec<String> {
    let mut held = Vec::new();
    let whole = |content: &Value, take: &dyn Fn(&Value) -> Option<String>| -> Vec<String> {
        match content {
            Value::String(text) => vec![text.clone()],
            Value::Array(blocks) => blocks.iter().filter_map(take).collect(),
            _ => Vec::new(),
        }
    };
    let of_block = |block: &Value| -> Option<String> {
        let name = ["text", "thinking"].into_iter().find(|name| block["type"] == *name)?;
        Some(text(&block[name]).to_owned())
    };
    for row in rows {
        let content = &row["message"]["content"];
        let blocks = content.as_array().into_iter().flatten();
        match text(&event["kind"]) {
            "prompt" if row["uuid"] == event["uuid"] => held.extend(whole(content, &of_block)),
            "message" if row["message"]["id"] == event["message_id"] => held.extend(whole(content, &of_block)),
            "tool_call" => {
                let own = blocks.filter(|block| block["type"] == "tool_use" && block["id"] == event["tool_call_id"]);
                held.extend(own.map(|block| block["input"].to_string()));
            }
            "tool_result" => {
                let own = blocks.filter(|block| block["tool_use_id"] == event["tool_call_id"]);
                held.extend(own.flat_map(|block| whole(&block["content"], &of_block)));
            }
            _ => {}
        }
    }
    held
}

#[test]
fn the_head_tells_the_sums_of_the_session_and_of_its_turns() {
    for session in sessions(&RECORDED) {
        let (whole, detail) = (document(&RECORDED, &session, ""), RECORDED.json(&format!("/{session}")));
        let replay = RECORDED.json(&format!("/{session}/replay?limit=1"));
        assert_eq!(whole["session"], detail["session"]);
        for field in ["left_source", "forks", "total_events", "currency"] {
            assert_eq!(whole[field], replay[field], "{session} {field}");
        }
        let turns = whole["turns"].as_array().unwrap();
        assert_eq!(turns.len(), detail["turns"].as_array().unwrap().len());
        for (own, told) in turns.iter().zip(detail["turns"].as_array().unwrap()) {
            for field in ["index", "started_at", "duration_seconds", "end", "origin"] {
                assert_eq!(own[field], told[field], "{session} {field}");
            }
            if told["subagents"] == json!([]) {
                for field in ["messages", "tool_calls", "tokens", "cost_usd"] {
                    assert_eq!(own[field], told[field], "{session} {field}");
                }
            }
            let begins = &events(&whole)[usize::try_from(own["event"].as_u64().unwrap()).unwrap()];
            assert_eq!((&begins["kind"], &begins["uuid"]), (&json!("prompt"), &told["prompt_uuid"]));
        }
        let failed = |event: &&Value| {
            event["kind"] == "api_error" || event["kind"] == "tool_result" && event["outcome"] == "failed"
        };
        assert_eq!(whole["errors"], events(&whole).iter().filter(failed).count(), "{session}");
    }
}

#[test]
fn a_level_leaves_out_what_it_says() {
    let session = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";
    let (full, less) = (document(&RECORDED, session, ""), document(&RECORDED, session, "level=no_results"));
    assert_eq!(events(&full).len(), events(&less).len());
    for (own, other) in events(&full).iter().zip(events(&less)) {
        if own["kind"] == "tool_result" {
            assert_eq!(
                (&other["content"], &other["content_unavailable"]),
                (&Value::Null, &"left out by the level".into())
            );
            assert_eq!(bare(own), bare(other));
        } else {
            assert_eq!(own, other);
        }
    }
    let prompts = document(&RECORDED, session, "level=prompts_only");
    assert_eq!(events(&prompts), &events(&full)[..1]);
    for format in ["md", "html"] {
        let of =
            |level: &str| transcript(&RECORDED, session, &format!("format={format}&level={level}")).text().to_owned();
        let (full, less, prompts) = (of("full"), of("no_results"), of("prompts_only"));
        let result = "total 12";
        assert!(full.contains(result) && !less.contains(result) && !prompts.contains(result), "{format}");
        assert!(less.contains("Result") && less.contains("text left out") && !prompts.contains("Result"), "{format}");
        assert!(prompts.contains("Turn 1") && full.len() > less.len() && less.len() > prompts.len(), "{format}");
    }
}

#[test]
fn the_result_of_work_in_the_background_is_a_result_wherever_it_stands() {
    let mut world = World::empty();
    let told = "<task-notification>\n<task-id>b1</task-id>\n<result>MARKED words</result>\n</task-notification>";
    let mut woken = prompt("work", 2, told);
    woken["origin"] = json!({"kind": "task-notification"});
    let queued = json!({"type": "attachment", "uuid": "work-queued", "sessionId": "work", "timestamp": at(4),
        "attachment": {"type": "queued_command", "prompt": told, "commandMode": "task-notification"}});
    world.write(
        "work",
        &[
            prompt("work", 0, "a person asks"),
            answer("work", 1, "msg_1", json!([{"type": "text", "text": "on it"}])),
            woken,
            answer("work", 3, "msg_2", json!([{"type": "text", "text": "read"}])),
            queued,
            answer("work", 5, "msg_3", json!([{"type": "text", "text": "read again"}])),
        ],
    );
    world.count();
    for format in ["md", "html", "json", "perfetto", "asciicast"] {
        let told = |level: &str| {
            let reply = transcript(&world, "work", &format!("format={format}&level={level}"));
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            (text.contains("a person asks"), text.contains("MARKED"))
        };
        assert_eq!(told("full"), (true, true), "{format}");
        assert_eq!((told("no_results"), told("prompts_only")), ((true, false), (true, false)), "{format}");
    }
}

#[test]
fn the_same_session_gives_the_same_bytes() {
    let again = World::of(&ALL);
    for session in sessions(&RECORDED) {
        for format in ["md", "html", "json"] {
            let (one, other) =
                (transcript(&RECORDED, &session, &format!("format={format}")), format!("format={format}"));
            assert!(one.body == transcript(&again, &session, &other).body, "{session} {format}");
        }
    }
}

#[test]
fn a_transcript_is_saved_as_a_file_and_is_kept_by_nobody() {
    let session = "5fb3d16f";
    for (format, content_type) in
        [("md", "text/markdown; charset=utf-8"), ("html", "text/html; charset=utf-8"), ("json", "application/json")]
    {
        let reply = transcript(&RECORDED, session, &format!("format={format}"));
        assert_eq!(reply.header("content-type"), Some(content_type));
        let name = format!("attachment; filename=\"tailspan-5fb3d16f-f9e3-4142-a37d-c727bd6ab70f.{format}\"");
        assert_eq!(reply.header("content-disposition"), Some(&*name));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none';"));
    }
    assert!(transcript(&RECORDED, session, "").text().starts_with("# "), "Markdown, if nothing is asked for");
    assert_problem(&RECORDED.ask("/nobody/transcript"), 404, "there is no session nobody");
    assert_eq!(RECORDED.ask("/5fb3d16f/transcript?format=pdf").status, 400);
    assert_eq!(RECORDED.ask("/5fb3d16f/transcript?level=some").status, 400);
}

/// A session whose texts are longer than what a page of the replay holds.
fn long() -> World {
    let mut world = World::empty();
    let words: String = (0..40_000).map(|number| format!("wörd{number} ")).collect();
    let mut rows = vec![prompt(LONG, 0, &format!("{words}the end of the prompt"))];
    for round in 0..8 {
        let (id, call) = (format!("m{round}"), format!("c{round}"));
        let input = json!({"command": format!("echo {words}; true {round}")});
        let block = json!([{"type": "tool_use", "id": call, "name": "Bash", "input": input}]);
        rows.push(answer(LONG, 2 + round * 4, &id, block));
        rows.push(result(LONG, 3 + round * 4, &call, json!(format!("{words}the end of result {round}"))));
    }
    // Halves of letters, as the client writes them where it cuts.
    rows.push(prompt(LONG, 400, "cut-here"));
    world.write(LONG, &rows);
    let path = world.projects_folder().join("-home-dev-made").join(format!("{LONG}.jsonl"));
    let mended = fs::read(&path).unwrap();
    let place = mended.windows(8).position(|window| window == b"cut-here").unwrap();
    let mut cut = mended[..place + 3].to_vec();
    cut.extend_from_slice(b"\xe2\x82\\ud83d");
    cut.extend_from_slice(&mended[place + 3..]);
    fs::write(&path, cut).unwrap();
    world.count();
    world
}

#[test]
fn texts_are_whole_however_long_they_are() {
    let world = long();
    let whole = document(&world, LONG, "");
    assert!(said(&events(&whole)[0]).ends_with("wörd39999 the end of the prompt"));
    let results: Vec<&Value> = events(&whole).iter().filter(|event| event["kind"] == "tool_result").collect();
    assert_eq!(results.len(), 8, "6 MB in all, and a page of the replay has 4");
    for (round, event) in results.iter().enumerate() {
        assert!(said(event).ends_with(&format!("wörd39999 the end of result {round}")));
    }
    let last = events(&whole).last().unwrap();
    assert_eq!(said(last), "cut\u{fffd}\u{fffd}-here", "broken bytes and halves of letters are shown as such");
    for format in ["md", "html"] {
        let reply = transcript(&world, LONG, &format!("format={format}&scrub=false"));
        let text = reply.text();
        for round in 0..8 {
            assert!(text.contains(&format!("the end of result {round}")), "{format} {round}");
        }
    }
}

#[test]
fn a_text_that_is_gone_is_said_to_be() {
    let mut world = World::empty();
    let session = "90e5e551-0000-4000-8000-000000000001";
    let path = world.write(
        session,
        &[prompt(session, 0, "Where is it?"), answer(session, 2, "m1", json!([{"type": "text", "text": "Gone."}]))],
    );
    world.count();
    assert!(transcript(&world, session, "").text().contains("Where is it?"));
    fs::remove_file(path).unwrap();
    for (format, said) in [("md", "no text: file is gone"), ("html", "no text: file is gone"), ("json", "file is gone")]
    {
        let reply = transcript(&world, session, &format!("format={format}"));
        assert_eq!(reply.text().matches(said).count(), 2, "{format}: {}", reply.text());
        assert!(!reply.text().contains("Where is it?"), "{format}");
    }
    assert!(transcript(&world, session, "").text().contains(&at(0)[..10]));
}

#[test]
fn secrets_leave_when_they_are_asked_for_alone() {
    let mut world = World::empty();
    let (session, key) = ("5ec5e551-0000-4000-8000-000000000001", "ghp_16C7e42F292c6912E7710c838347Ae178B4a");
    let input = json!({"command": format!("export GITHUB_TOKEN={key}"), "env": {"password": "hunter2-hunter2"}});
    let coloured = format!("\u{1b}[31mghp_16C7e42F\u{1b}[1m{}\u{1b}[0m", &key[12..]);
    world.write(
        session,
        &[
            json!({"type": "custom-title", "sessionId": session, "customTitle": format!("Use {key}")}),
            prompt(session, 0, &format!("My key is {key}.")),
            answer(
                session,
                2,
                "m1",
                json!([{"type": "tool_use", "id": "c1", "name": format!("mcp__{key}"), "input": input}]),
            ),
            result(session, 3, "c1", json!(coloured)),
        ],
    );
    world.count();
    for format in ["md", "html", "json"] {
        let reply = transcript(&world, session, &format!("format={format}"));
        assert!(!reply.text().contains(&key[12..]) && !reply.text().contains("hunter2"), "{format}: {}", reply.text());
        assert!(reply.text().contains("REDACTED"), "{format}");
        let open = transcript(&world, session, &format!("format={format}&scrub=false"));
        assert!(open.text().contains(&key[12..]) && open.text().contains("hunter2"), "{format}");
    }
}
