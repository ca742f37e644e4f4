//! Replay: the order of events, sums so far, pages, and text from the session files.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::analytics::{World, answer, at, prompt, result, text};
use crate::support::http::assert_problem;

const B_TOOLS: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";
const E6: &str = "4a8d9d51-618e-4f13-8ae2-76a6fe6d5a51";

static TOOLS: LazyLock<World> = LazyLock::new(|| World::of(&["2.1.330/b_tools"]));

fn events(world: &World, session: &str) -> Vec<Value> {
    world.json(&format!("/{session}/replay?limit=1000"))["events"].as_array().unwrap().clone()
}

/// `prompt`, `tool_call Bash`, ... in order.
fn outline(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| format!("{} {}", text(&event["kind"]), event["tool"].as_str().unwrap_or_default());
    events.iter().map(|event| name(event).trim_end().to_owned()).collect()
}

/// The texts of an event, joined.
fn said(event: &Value) -> String {
    let pieces = event["content"].as_array().unwrap_or_else(|| panic!("no content: {event}"));
    pieces.iter().filter_map(|piece| piece["text"].as_str()).collect::<Vec<_>>().join("|")
}

#[test]
fn events_come_in_the_order_in_which_they_happened() {
    let events = events(&TOOLS, B_TOOLS);
    let outline = outline(&events);
    assert_eq!(outline[..4], ["prompt", "message", "tool_call Bash", "tool_result Bash"]);
    let called: Vec<&str> = outline.iter().filter_map(|line| line.strip_prefix("tool_call ")).collect();
    assert_eq!(called, ["Bash", "Read", "Edit", "Write", "Grep", "Glob", "Bash"]);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["index"], index);
        assert_eq!((&event["agent"], &event["turn"]), (&Value::Null, &1.into()));
    }
    assert!(events.is_sorted_by_key(|event| text(&event["at"]).to_owned()));
    assert_eq!(events[0]["at"], "2026-11-22T06:02:51.075Z");
    assert_eq!((&events[0]["origin"], &events[0]["chars"]), (&"sdk".into(), &25.into()));
    let (message, call, ended) = (&events[1], &events[2], &events[3]);
    assert_eq!(message["duration_seconds"], 0.117, "from api-request 51.460 to the last row 51.577");
    assert_eq!((&message["outcome"], &message["model"]), (&"tool_use".into(), &"claude-sonnet-4-5".into()));
    assert_eq!(call["message_id"], message["message_id"]);
    assert_eq!(call["tool_call_id"], "toolu_01Qk7ArtnUT1rTTM1tsdQoJB");
    assert_eq!(ended["tool_call_id"], call["tool_call_id"]);
    assert_eq!((&ended["outcome"], &ended["duration_seconds"]), (&"ok".into(), &1.214.into()));
    assert_eq!(ended["bytes"], said(ended).len());
}

#[test]
fn sums_so_far_end_at_the_sums_of_the_session() {
    let world = World::of(&["2.1.330/b_tools", "2.1.330/e6_subagent_sync", "2.1.330/g_resume", "2.1.330/d_failing"]);
    let scanned = world.scanned();
    let sessions = scanned["session_list"].as_array().unwrap();
    assert_eq!(sessions.len(), 6);
    for session in sessions {
        let events = events(&world, text(&session["id"]));
        let last = events.last().unwrap();
        assert_eq!(last["cost_usd_so_far"], session["cost_usd"]);
        assert_eq!(last["tokens_so_far"], session["tokens"]);
        let messages: Vec<&Value> = events.iter().filter(|event| event["kind"] == "message").collect();
        assert_eq!(session["messages"], messages.len());
        assert_eq!(messages[0]["cost_usd"], messages[0]["cost_usd_so_far"]);
        assert_eq!(messages[0]["tokens"], messages[0]["tokens_so_far"]);
        assert_eq!(events[0]["cost_usd_so_far"], "0", "before the first message");
        let prompts = events.iter().filter(|event| event["kind"] == "prompt").count();
        assert_eq!(session["turns"], prompts, "a resumed or forked session shows its own turns only");
        assert_eq!(events.iter().filter_map(|event| event["turn"].as_u64()).max(), session["turns"].as_u64());
    }
}

#[test]
fn sub_agents_stand_between_the_call_and_its_result() {
    let events = events(&World::of(&["2.1.330/e6_subagent_sync"]), E6);
    assert_eq!(
        outline(&events),
        [
            "prompt",
            "tool_call Agent",
            "subagent_start",
            "message",
            "tool_call Agent",
            "subagent_start",
            "message",
            "tool_call Bash",
            "message",
            "tool_call Bash",
            "tool_result Bash",
            "message",
            "subagent_end",
            "tool_result Agent",
            "tool_result Bash",
            "message",
            "subagent_end",
            "tool_result Agent",
            "message",
        ]
    );
    let start = &events[2];
    assert_eq!((&start["agent"], &start["agent_type"]), (&"a2a8fd7b8bfc6125f".into(), &"general-purpose".into()));
    assert_eq!(start["tool_call_id"], events[1]["tool_call_id"]);
    assert_eq!((said(start), &start["turn"]), ("COUNT-FILES please".to_owned(), &1.into()));
    let end = &events[12];
    assert_eq!((&end["agent"], &end["outcome"]), (&"a872edc623525376c".into(), &"stop".into()));
    assert_eq!((&end["duration_seconds"], &end["content"]), (&0.769.into(), &json!([])));
}

#[test]
fn failures_compactions_and_interrupts_are_events() {
    let world = World::of(&["2.1.330"]);
    let scanned = world.scanned();
    let sessions = scanned["session_list"].as_array().unwrap();
    let all: Vec<Value> = sessions.iter().flat_map(|session| events(&world, text(&session["id"]))).collect();
    let of = |kind: &str| all.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    let (failures, compactions, interrupts) = (of("api_error"), of("compaction"), of("interrupt"));
    assert_eq!(scanned["api_errors"], failures.len());
    assert_eq!(scanned["compactions"], compactions.len());
    assert_eq!(scanned["messages"], of("message").len());
    assert_eq!(scanned["turns"], of("prompt").len());
    assert_eq!(scanned["subagents"], of("subagent_start").len());
    let reason = |status: u64| failures.iter().find(|event| event["status"] == status).map(|event| &event["outcome"]);
    assert_eq!(reason(401).unwrap(), "authentication");
    assert_eq!(reason(529).unwrap(), "overloaded");
    assert!(compactions.iter().any(|event| event["trigger"] == "manual"));
    let slow = compactions.iter().find(|event| event["tokens_before"] == 314).unwrap();
    assert_eq!(slow["duration_seconds"], 1.296);
    assert!(!interrupts.is_empty());
    assert!(failures.iter().chain(&compactions).chain(&interrupts).all(|event| event["content"] == json!([])));
}

/// What the rows of the session files hold for an event, found by its ids alone.
fn held(rows: &[Value], event: &Value) -> Option<String> {
    let blocks = |row: &Value| row["message"]["content"].as_array().cloned().unwrap_or_default();
    let mut texts = Vec::new();
    for row in rows {
        match text(&event["kind"]) {
            "prompt" if row["uuid"] == event["uuid"] => texts.push(row["message"]["content"].clone()),
            "message" if row["message"]["id"] == event["message_id"] => {
                texts.extend(blocks(row).iter().filter(|block| block["type"] == "text").map(|b| b["text"].clone()));
            }
            "tool_call" => {
                let own = blocks(row).into_iter().find(|block| block["id"] == event["tool_call_id"]);
                texts.extend(own.map(|block| Value::String(block["input"].to_string())));
            }
            "tool_result" => {
                let own = |block: &&Value| block["tool_use_id"] == event["tool_call_id"] && row["type"] == "user";
                for block in blocks(row).iter().filter(own) {
                    match &block["content"] {
                        Value::Array(parts) => texts.extend(parts.iter().map(|part| part["text"].clone())),
                        text => texts.push(text.clone()),
                    }
                }
            }
            _ => {}
        }
    }
    let texts: Vec<&str> = texts.iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join("|"))
}

#[test]
fn content_is_what_the_files_hold() {
    for (name, session) in [("b_tools", B_TOOLS), ("e6_subagent_sync", E6)] {
        let world = World::of(&[&format!("2.1.330/{name}")]);
        let rows = world.rows();
        let mut compared = 0;
        for event in events(&world, session) {
            if let Some(expected) = held(&rows, &event) {
                assert_eq!(said(&event), expected, "{event}");
                compared += 1;
            }
            assert!(event.get("content_unavailable").is_none(), "{event}");
        }
        assert!(compared >= 13, "{name}: {compared}");
    }
    let thinking = World::of(&["2.1.330/p_thinking"]);
    let shown = events(&thinking, "f8331cf8-5929-47b6-a763-3e27b719686b");
    let pieces = shown.iter().filter_map(|event| event["content"].as_array()).flatten();
    let thought: Vec<&Value> = pieces.filter(|piece| piece["type"] == "thinking").collect();
    assert!(thought.iter().any(|piece| !text(&piece["text"]).is_empty()), "{thought:?}");
}

#[test]
fn pages_put_together_are_the_whole_replay() {
    let whole = events(&TOOLS, B_TOOLS);
    let (mut paged, mut from) = (Vec::new(), Some(0));
    while let Some(start) = from {
        let page = TOOLS.json(&format!("/{B_TOOLS}/replay?from={start}&limit=5"));
        assert_eq!((&page["from"], &page["total_events"]), (&start.into(), &whole.len().into()));
        assert_eq!(page["session"]["id"], B_TOOLS);
        paged.extend(page["events"].as_array().unwrap().clone());
        from = page["next_from"].as_u64();
        assert!(from.is_none_or(|next| next == start + 5));
    }
    assert_eq!(paged, whole);
    let behind = TOOLS.json(&format!("/{B_TOOLS}/replay?from=100000"));
    assert_eq!((&behind["events"], &behind["next_from"]), (&json!([]), &Value::Null));
    assert_eq!(behind["from"], whole.len());
}

#[test]
fn a_time_starts_at_the_first_event_at_or_after_it() {
    let whole = events(&TOOLS, B_TOOLS);
    let from = |time: &str| TOOLS.json(&format!("/5fb3d16f/replay?limit=1&at={time}"))["from"].as_u64().unwrap();
    assert_eq!(from("2026-11-22"), 0);
    assert_eq!(from("2026-11-22T06:02:51.075Z"), 0);
    assert_eq!(from("2026-11-22T06:02:51.076Z"), 1);
    assert_eq!(from(text(&whole[3]["at"])), 3);
    assert_eq!(from("2026-11-23"), whole.len() as u64);
    let refused =
        |query: &str, detail: &str| assert_problem(&TOOLS.ask(&format!("/{B_TOOLS}/replay?{query}")), 400, detail);
    refused("from=1&at=2026-11-22", "`from` and `at` exclude each other");
    refused("limit=1001", "`limit` takes a whole number from 1 to 1000");
    refused("from=-1", "`from` takes a whole number from 0");
    refused("at=noon", "`at` takes a time in RFC 3339");
}

/// Reasons why the events that have text do not show it; everything else of the replay must be as before.
fn reasons(world: &World, before: &[Value]) -> Vec<Option<String>> {
    let after = events(world, B_TOOLS);
    assert_eq!(after.len(), before.len());
    let mut reasons = Vec::new();
    for (one, other) in after.iter().zip(before) {
        assert_eq!((&one["at"], &one["cost_usd_so_far"]), (&other["at"], &other["cost_usd_so_far"]));
        let reason = one.get("content_unavailable").map(|reason| text(reason).to_owned());
        assert_eq!(one["content"].is_null(), reason.is_some(), "{one}");
        if reason.is_none() {
            assert_eq!(one["content"], other["content"]);
        }
        reasons.push(reason);
    }
    reasons
}

#[test]
fn text_that_is_gone_or_was_rewritten_is_a_reason_not_an_error() {
    let world = World::of(&["2.1.330/b_tools"]);
    let before = events(&world, B_TOOLS);
    let path = world.projects.join("-home-dev-b-tools").join(format!("{B_TOOLS}.jsonl"));
    let bytes = fs::read(&path).unwrap();
    let all = |reason: &str| reasons(&world, &before).iter().all(|found| found.as_deref() == Some(reason));

    let cut = bytes.len() / 2;
    fs::write(&path, &bytes[..cut]).unwrap();
    let half = reasons(&world, &before);
    assert_eq!(half.first().unwrap(), &None, "what is still there is shown");
    assert_eq!(half.last().unwrap().as_deref(), Some("file was rewritten"));

    fs::write(&path, [b"{\"type\":\"mode\"}\n".as_slice(), &bytes].concat()).unwrap();
    assert!(all("file was rewritten"), "every row has moved");

    // The same lengths and valid rows, but others than those that were counted.
    let other = String::from_utf8(bytes.clone()).unwrap().replace("toolu_", "toolv_").replace("msg_", "msh_");
    fs::write(&path, other.replace("55c98515", "55c98516")).unwrap();
    assert!(all("file was rewritten"), "other ids");

    fs::remove_file(&path).unwrap();
    assert!(all("file is gone"));
    fs::create_dir(&path).unwrap();
    assert!(all("file is gone"), "something else has its name");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(reasons(&world, &before).iter().all(Option::is_none));
}

#[test]
fn long_text_is_cut_and_says_how_long_it_was() {
    let mut world = World::empty();
    let (long, image) = ("ä".repeat(40_000), json!({"type": "image", "source": {"data": "iVBORw0KGgo="}}));
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"b": 1, "a": [true, null]}}]);
    let path = world.write(
        "cut",
        &[
            prompt("cut", 0, &format!("x{long}")),
            answer("cut", 1, "msg_1", call),
            result("cut", 2, "toolu_1", json!([{"type": "text", "text": "half HALF"}, image])),
            answer("cut", 3, "msg_2", json!([{"type": "thinking", "thinking": "first"}])),
            answer("cut", 4, "msg_2", json!([{"type": "text", "text": "second"}, {"type": "text", "text": "third"}])),
        ],
    );
    // Half a surrogate pair, as the client writes it when it cuts a string; and a whole pair, which stays.
    let bytes = fs::read_to_string(&path).unwrap().replace("half HALF", "half \\ud83d \\\\ud83d \\ud83d\\ude00");
    fs::write(&path, bytes).unwrap();
    world.count();
    let events = events(&world, "cut");
    assert_eq!(outline(&events), ["prompt", "message", "tool_call Read", "tool_result Read", "message"]);
    let piece = &events[0]["content"][0];
    assert_eq!((&piece["bytes"], &piece["truncated"]), (&80_001.into(), &true.into()));
    assert_eq!(text(&piece["text"]), format!("x{}", "ä".repeat(32_767)), "no character is cut in two");
    assert_eq!(events[1]["content"], json!([]), "calls are events of their own");
    let input: Value = serde_json::from_str(&said(&events[2])).unwrap();
    assert_eq!((input, &events[2]["content"][0]["truncated"]), (json!({"b": 1, "a": [true, null]}), &false.into()));
    assert_eq!(said(&events[3]), "half \u{fffd} \\ud83d \u{1f600}");
    assert_eq!((said(&events[4]), &events[4]["at"]), ("first|second|third".to_owned(), &at(4).into()), "all its rows");
    let shown = &events[3]["content"][1];
    assert_eq!((&shown["type"], &shown["text"], &shown["truncated"]), (&"image".into(), &Value::Null, &true.into()));
}

#[test]
fn a_list_of_events_takes_the_beginnings_of_their_texts() {
    let mut world = World::empty();
    world.write(
        "list",
        &[prompt("list", 0, "xää, a long prompt"), answer("list", 1, "msg_1", json!([{"type": "text", "text": "ab"}]))],
    );
    world.count();
    for (bytes, prompt, answer) in [(0, "", ""), (2, "x", "ab"), (3, "xä", "ab"), (1000, "xää, a long prompt", "ab")]
    {
        let page = world.json(&format!("/list/replay?text_bytes={bytes}"));
        let (first, second) = (&page["events"][0], &page["events"][1]);
        assert_eq!((said(first), said(second)), (prompt.to_owned(), answer.to_owned()), "{bytes} bytes of each");
        let piece = &first["content"][0];
        assert_eq!(
            (&piece["bytes"], &piece["truncated"]),
            (&20.into(), &(prompt.len() < 20).into()),
            "the whole is told"
        );
    }
    assert_problem(&world.ask("/list/replay?text_bytes=65537"), 400, "text_bytes");
}

#[test]
fn a_page_has_a_limit_and_goes_on_behind_it() {
    let mut world = World::empty();
    let mut rows = vec![prompt("full", 0, "start")];
    for number in 1..=100 {
        let id = format!("toolu_{number}");
        let call = json!([{"type": "tool_use", "id": id, "name": "Read", "input": {}}]);
        rows.push(answer("full", 2 * number, &format!("msg_{number}"), call));
        rows.push(result("full", 2 * number + 1, &id, "y".repeat(70_000).into()));
    }
    rows.push(prompt("full", 300, &"z".repeat(9 << 20)));
    rows.push(prompt("full", 301, "the end"));
    world.write("full", &rows);
    world.count();
    let reply = world.ask("/full/replay?limit=1000");
    assert!(reply.body.len() < 6 << 20, "{} bytes", reply.body.len());
    let events = reply.json()["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 303);
    let full = events.iter().position(|event| event["content_unavailable"] == "page is full").unwrap();
    assert!(events[..full].iter().all(|event| event["content"].is_array()));
    assert!(events[full..].iter().all(|event| event["content_unavailable"] == "page is full"), "no holes");
    assert_eq!(full, 3 * 63 + 3, "63 results of 64 KiB fill 4 MiB");
    let next = world.json(&format!("/full/replay?limit=1000&from={full}"));
    assert_eq!(said(&next["events"][0]).len(), 64 << 10, "the next page begins with what had no room");
    let last = world.json(&format!("/full/replay?at={}", at(300)));
    assert_eq!(last["events"][0]["content_unavailable"], "too large");
    assert_eq!(said(&last["events"][1]), "the end");
}

#[test]
fn what_a_person_was_told_is_an_event() {
    const SESSION: &str = "00000000-0000-4000-8000-000000000158";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/what-a-person-was-told-shows-in-the-trace");
    let file = fs::read_to_string(folder.join(format!("projects/-w-demo/{SESSION}.jsonl"))).unwrap();
    let mut world = World::empty();
    world.write(SESSION, &file.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>());
    world.count();
    let events = events(&world, SESSION);
    let wanted = ["prompt", "plan_mode", "server_tool advisor", "message", "plan_mode", "pull_request", "away_summary"];
    assert_eq!(outline(&events), wanted);
    assert_eq!((&events[1]["begins"], &events[4]["begins"]), (&true.into(), &false.into()));
    assert_eq!(events[2]["duration_seconds"], 60.0);
    let request = (&events[5]["number"], &events[5]["repository"], &events[5]["url"]);
    assert_eq!(request, (&7.into(), &"dev/app".into(), &"https://github.com/dev/app/pull/7".into()));
    assert_eq!((said(&events[6]), &events[6]["chars"]), ("A plan was made.".to_owned(), &16.into()));
}
