//! What the state keeps of the tools and instructions of MCP servers that the model is told of. It shows nowhere else.

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;

use crate::support::analytics;
use crate::support::world::{Dice, World, append};

fn row(kind: &str, second: u32, more: Value) -> Value {
    let mut row = json!({"type": kind, "uuid": format!("row-{second}"), "sessionId": "s", "cwd": "/home/dev/made",
        "timestamp": analytics::at(second)});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn attachment(second: u32, attachment: Value) -> Value {
    row("attachment", second, json!({ "attachment": attachment }))
}

fn tools(second: u32, added: &[&str], removed: &[&str]) -> Value {
    let lists = json!({"addedNames": added, "addedLines": added, "removedNames": removed, "readdedNames": []});
    let mut delta = json!({"type": "deferred_tools_delta"});
    delta.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
    attachment(second, delta)
}

fn instructions(second: u32, blocks: &[(&str, &str)]) -> Value {
    let (names, blocks): (Vec<_>, Vec<_>) = blocks.iter().copied().unzip();
    attachment(
        second,
        json!({"type": "mcp_instructions_delta", "addedNames": names, "addedBlocks": blocks,
        "removedNames": []}),
    )
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A state in which these files were read one after the other.
fn world(files: &[(&str, String)]) -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    for (name, text) in files {
        append(&world.root.join("-home-dev-made").join(name), text.as_bytes());
        world.read(&mut Dice::new(1), usize::MAX);
    }
    world.settle();
    (folder, world)
}

/// `time server bytes tools removed` of each offer, as seconds after noon.
fn told(world: &World) -> Vec<String> {
    let (reader, mut sessions) = (world.reader.as_ref().unwrap(), Vec::new());
    reader.each_session(|session| sessions.push(session.id)).unwrap();
    let noon = Timestamp::parse(&analytics::at(0)).unwrap();
    let units = sessions.iter().flat_map(|session| reader.cells_of(session).unwrap());
    let offers = units.flat_map(|unit| unit.cells).flat_map(|(_, cells)| cells.work.offers);
    let offers = offers.map(|offer| {
        let second = (offer.at.0 - noon.0) / 1000;
        format!("{second} {} {} {} {}", offer.server, offer.bytes, offer.tools, offer.removed)
    });
    offers.collect()
}

fn offers(rows: &[Value]) -> Vec<String> {
    let prompt = analytics::prompt("s", 0, "Go.");
    told(&world(&[("s.jsonl", lines(&[&[prompt], rows].concat()))]).1)
}

#[test]
fn tools_are_kept_by_their_server_with_the_bytes_of_their_lines() {
    let rows = [
        tools(1, &["Monitor", "mcp__tiny__add", "mcp__git_hub__get_issue", "mcp__tiny__big"], &[]),
        tools(2, &["Monitor"], &["WebFetch"]),
        tools(3, &[], &["mcp__tiny__add", "Monitor", "mcp__tiny__big"]),
        tools(4, &["mcp__tiny__add"], &["mcp__git_hub__get_issue"]),
    ];
    // Each line has an end: 14 and 14 bytes of tiny.
    let wanted = ["1 git_hub 24 1 0", "1 tiny 30 2 0", "3 tiny 0 0 2", "4 git_hub 0 0 1", "4 tiny 15 1 0"];
    assert_eq!(offers(&rows), wanted);
}

#[test]
fn instructions_are_kept_by_the_server_as_its_tools_name_it() {
    let rows = [
        instructions(1, &[("tiny", "## tiny\nAdd."), ("plugin:a:b", "é")]),
        instructions(2, &[("claude.ai Some (Thing)", "x"), ("Über Server", "yz")]),
    ];
    let wanted = ["1 plugin_a_b 3 0 0", "1 tiny 13 0 0", "2 _ber_Server 3 0 0", "2 claude_ai_Some_Thing 2 0 0"];
    assert_eq!(offers(&rows), wanted);
    let removed = attachment(
        1,
        json!({"type": "mcp_instructions_delta", "addedNames": [], "addedBlocks": [],
        "removedNames": ["tiny"]}),
    );
    assert!(offers(&[removed]).is_empty(), "their text stays in the prompt");
}

#[test]
fn strange_lists_count_as_far_as_they_go() {
    let delta = |more: Value| {
        let mut delta = json!({"type": "deferred_tools_delta"});
        delta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attachment(1, delta)
    };
    let name = "mcp__a__x";
    for (more, wanted) in [
        (json!({"addedNames": [name]}), vec!["1 a 10 1 0"]),
        (json!({"addedNames": [name, name], "addedLines": [null]}), vec!["1 a 20 2 0"]),
        (json!({"addedNames": [7, name, null, {"a": [name]}], "addedLines": ["", "longer: than"]}), vec!["1 a 13 1 0"]),
        (json!({"addedNames": name, "removedNames": [name]}), vec!["1 a 0 0 1"]),
        (json!({"addedNames": ["mcp__a", "mcp____x", "mcp__", "__a__x", ""]}), vec![]),
        (json!({"addedNames": {"0": name}}), vec![]),
        (json!({}), vec![]),
    ] {
        assert_eq!(offers(&[delta(more.clone())]), wanted, "{more}");
    }
    let long = format!("mcp__{}__x", "l".repeat(300));
    assert_eq!(offers(&[tools(1, &[&long], &[])]), [format!("1 {} 309 1 0", "l".repeat(64))]);
    let many: Vec<String> = (0..70).map(|number| format!("mcp__s{number}__x")).collect();
    assert_eq!(offers(&[tools(1, &many.iter().map(String::as_str).collect::<Vec<_>>(), &[])]).len(), 64);
}

#[test]
fn a_copy_in_a_fork_counts_once_at_the_time_of_the_original() {
    let own = [
        analytics::prompt("s", 0, "Go."),
        tools(1, &["mcp__tiny__add"], &[]),
        analytics::answer("s", 3, "m", json!([])),
    ];
    let mut copies = own.clone();
    for (copy, second) in copies.iter_mut().zip([0, 30, 31]) {
        copy["sessionId"] = json!("t");
        copy["forkedFrom"] = json!({"sessionId": "s", "messageUuid": copy["uuid"]});
        copy["timestamp"] = json!(analytics::at(second));
    }
    let (own, copies) = (("s.jsonl", lines(&own)), ("t.jsonl", lines(&copies)));
    for files in [[own.clone(), copies.clone()], [copies, own]] {
        assert_eq!(told(&world(&files).1), ["1 tiny 15 1 0"]);
    }
}

#[test]
fn what_is_offered_before_the_first_prompt_is_of_its_turn() {
    let rows = [tools(0, &["mcp__tiny__add"], &[]), analytics::prompt("s", 1, "Go.")];
    assert_eq!(told(&world(&[("s.jsonl", lines(&rows))]).1), ["0 tiny 15 1 0"]);
}

/// The row of `2.1.330/m_mcp` as the client wrote it; in `fixtures/recordings` its lists are cut.
#[test]
fn a_recorded_row_tells_the_tools_of_its_server() {
    let names = ["TaskUpdate", "WebFetch", "WebSearch", "mcp__tiny__add", "mcp__tiny__big", "mcp__tiny__fail"];
    let recorded = json!({"type": "deferred_tools_delta", "addedNames": names, "addedLines": names, "removedNames": [],
        "wireHiddenNames": [], "readdedNames": [], "pendingMcpServers": [], "needsAuthMcpServers": [],
        "failedMcpServers": []});
    assert_eq!(offers(&[attachment(1, recorded)]), ["1 tiny 46 3 0"]);
}

/// Neither sums nor spans nor the replay differ from those of the same session without these rows.
#[test]
fn an_offer_is_no_event() {
    let offered =
        [tools(1, &["mcp__tiny__add"], &[]), instructions(2, &[("tiny", "Add.")]), tools(9, &[], &["mcp__tiny__add"])];
    let talk = [
        analytics::prompt("s", 0, "Go."),
        analytics::answer(
            "s",
            4,
            "m1",
            json!([{"type": "tool_use", "id": "t1", "name": "mcp__tiny__add", "input": {}}]),
        ),
        analytics::result("s", 6, "t1", json!("2")),
        analytics::answer("s", 8, "m2", json!([{"type": "text", "text": "2"}])),
    ];
    let mut with = [&talk[..], &offered[..]].concat();
    with.sort_by_key(|row| row["timestamp"].as_str().unwrap().to_owned());
    let all = [&talk[..], &with[..]].map(|rows| {
        let (_folder, mut world) = world(&[("s.jsonl", lines(rows))]);
        let offers = told(&world).len();
        let summary = world.summary();
        (offers, serde_json::to_value(&summary).unwrap(), world.take_spans())
    });
    let [(none, summary, spans), (some, same_summary, same_spans)] = all;
    assert_eq!((none, some), (0, 3));
    let without_lines = |mut summary: Value| {
        summary.as_object_mut().unwrap().remove("files");
        summary
    };
    assert_eq!(without_lines(same_summary), without_lines(summary));
    assert!(spans.len() > 3 && spans == same_spans, "{same_spans:#?}");

    let replays = [&talk[..], &with[..]].map(|rows| {
        let mut world = analytics::World::empty();
        world.write("s", rows);
        world.count();
        let events = world.json("/s/replay")["events"].clone();
        let plain = |event: &Value| {
            let mut event = event.clone();
            event.as_object_mut().unwrap().retain(|name, _| !name.starts_with("content"));
            event
        };
        events.as_array().unwrap().iter().map(plain).collect::<Vec<_>>()
    });
    assert!(replays[0].len() >= 4 && replays[0] == replays[1], "{replays:#?}");
}
