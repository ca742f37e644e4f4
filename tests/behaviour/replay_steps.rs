//! Replay, step by step: states, filters, texts as a whole; each held against the rows or the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::analytics::{World, answer, prompt, result, text};
use crate::support::http::assert_problem;
use crate::support::world::copy_folder;

pub(crate) const B_TOOLS: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";

pub(crate) static ALL: LazyLock<World> = LazyLock::new(|| World::of(&["1.0.128", "2.0.77", "2.1.330", "2.1.332"]));

/// Ids of all sessions.
pub(crate) fn sessions(world: &World) -> Vec<String> {
    let list = world.json("?limit=1000");
    list["sessions"].as_array().unwrap().iter().map(|session| text(&session["id"]).to_owned()).collect()
}

pub(crate) fn events(world: &World, session: &str, query: &str) -> Vec<Value> {
    world.json(&format!("/{session}/replay?limit=1000{query}"))["events"].as_array().unwrap().clone()
}

pub(crate) fn without(event: &Value, key: &str) -> Value {
    let mut event = event.clone();
    event.as_object_mut().unwrap().remove(key);
    event
}

/// Every row of the session files of a world, by what it tells: the times of messages, calls and results by their ids.
#[derive(Default)]
struct Rows {
    messages: BTreeMap<String, BTreeSet<String>>,
    calls: BTreeMap<String, BTreeSet<String>>,
    results: BTreeMap<String, BTreeSet<String>>,
    inputs: BTreeMap<String, Value>,
}

impl Rows {
    fn of(world: &World) -> Self {
        let mut rows = Self::default();
        for row in world.rows() {
            let (Some(at), Some(blocks)) = (row["timestamp"].as_str(), row["message"]["content"].as_array()) else {
                continue;
            };
            let id = row["message"]["id"].as_str().filter(|_| row["type"] == "assistant");
            if let Some(id) = id.filter(|_| row["message"]["model"] != "<synthetic>") {
                rows.messages.entry(id.to_owned()).or_default().insert(at.to_owned());
            }
            for block in blocks {
                if let Some(id) = block["id"].as_str().filter(|_| block["type"] == "tool_use") {
                    rows.calls.entry(id.to_owned()).or_default().insert(at.to_owned());
                    rows.inputs.insert(id.to_owned(), block["input"].clone());
                }
                if let Some(id) = block["tool_use_id"].as_str() {
                    rows.results.entry(id.to_owned()).or_default().insert(at.to_owned());
                }
            }
        }
        rows
    }
}

#[test]
fn each_row_is_an_event_once_at_its_time_and_causes_come_first() {
    let rows = Rows::of(&ALL);
    let mut seen: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for session in sessions(&ALL) {
        let events = events(&ALL, &session, "");
        assert!(events.is_sorted_by_key(|event| text(&event["at"]).to_owned()), "{session}");
        let mut called = BTreeSet::new();
        for event in &events {
            let (kind, key) = match text(&event["kind"]) {
                "message" => ("message", "message_id"),
                "tool_call" => ("tool_call", "tool_call_id"),
                "tool_result" => ("tool_result", "tool_call_id"),
                _ => continue,
            };
            let id = text(&event[key]).to_owned();
            match kind {
                "tool_call" => assert!(called.insert(id.clone()), "{id} is called twice"),
                "tool_result" => assert!(called.contains(&id), "{id} returned before it was called: {event}"),
                _ => {}
            }
            let before = seen.entry(kind).or_default().insert(id.clone(), text(&event["at"]).to_owned());
            assert_eq!(before, None, "{kind} {id} is in two places");
        }
    }
    for (kind, rows) in [("message", &rows.messages), ("tool_call", &rows.calls), ("tool_result", &rows.results)] {
        let events = &seen[kind];
        assert!(events.len() > 100, "{kind}: {}", events.len());
        assert_eq!(events.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "{kind}");
        for (id, at) in events {
            assert!(rows[id].contains(at), "{kind} {id} at {at}, not at {:?}", rows[id]);
        }
    }
}

/// The state of a session, worked out from its events and the inputs in its rows alone.
#[derive(Default)]
struct Model {
    open: Vec<(String, u64)>,
    agents: Vec<String>,
    files: Vec<String>,
    turn: Option<u64>,
    tokens: [u64; 5],
}

const KINDS_OF_TOKENS: [&str; 5] = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];

impl Model {
    fn apply(&mut self, event: &Value, rows: &Rows) {
        let call = event["tool_call_id"].as_str().unwrap_or_default().to_owned();
        match text(&event["kind"]) {
            "prompt" => self.turn = event["turn"].as_u64(),
            "message" => {
                for (sum, kind) in self.tokens.iter_mut().zip(KINDS_OF_TOKENS) {
                    *sum += event["tokens"][kind].as_u64().unwrap();
                }
            }
            "tool_call" => {
                let input = &rows.inputs[&call];
                if let Some(path) = input["file_path"].as_str().or_else(|| input["notebook_path"].as_str()) {
                    self.files.retain(|known| known != path);
                    self.files.insert(0, path.to_owned());
                }
                self.open.push((call, event["index"].as_u64().unwrap()));
            }
            "tool_result" => self.open.retain(|(open, _)| *open != call),
            "subagent_start" => self.agents.push(text(&event["agent"]).to_owned()),
            "subagent_end" => {
                let at = self.agents.iter().position(|agent| event["agent"] == **agent).unwrap();
                self.agents.remove(at);
            }
            _ => {}
        }
    }

    fn assert_is(&self, state: &Value, event: &Value) {
        assert_eq!(state["turn"].as_u64(), self.turn, "{event}");
        let open: Vec<u64> = self.open.iter().map(|(_, event)| *event).collect();
        assert_eq!(state["open_calls"], json!(open), "{event}");
        assert_eq!(state["open_calls_total"], open.len());
        let agents = |list: &mut Vec<String>| {
            list.sort();
            list.clone()
        };
        let mut told: Vec<String> = serde_json::from_value(state["subagents_running"].clone()).unwrap();
        assert_eq!(agents(&mut told), agents(&mut self.agents.clone()), "{event}");
        assert_eq!(state["files"], json!(self.files.iter().take(20).collect::<Vec<_>>()), "{event}");
        assert_eq!(state["files_total"], self.files.len());
        for (sum, kind) in self.tokens.iter().zip(KINDS_OF_TOKENS) {
            assert_eq!(state["tokens_so_far"][kind], *sum, "{event}");
        }
        assert_eq!(state["cost_usd_so_far"], event["cost_usd_so_far"]);
    }
}

#[test]
fn a_state_is_what_the_events_before_it_come_to() {
    let rows = Rows::of(&ALL);
    let (mut files, mut agents, mut contexts) = (0, 0, 0);
    for session in sessions(&ALL) {
        let plain = events(&ALL, &session, "");
        let with_states = events(&ALL, &session, "&context=true");
        assert_eq!(plain.len(), with_states.len());
        let mut model = Model::default();
        for (event, told) in plain.iter().zip(&with_states) {
            assert_eq!(*event, without(told, "state"), "a state changes nothing else");
            model.apply(event, &rows);
            model.assert_is(&told["state"], event);
            let used: u64 = ["input", "cache_read", "cache_write_5m", "cache_write_1h"]
                .iter()
                .map(|kind| event["tokens"][kind].as_u64().unwrap_or_default())
                .sum();
            // A response may be billed at several models, or iterate; most are not.
            contexts += u64::from(event["agent"].is_null() && used > 0 && told["state"]["context_tokens"] == used);
        }
        files += model.files.len();
        agents += plain.iter().filter(|event| event["kind"] == "subagent_end").count();
    }
    assert!(files > 15 && agents > 20 && contexts > 200, "{files} files, {agents} agents, {contexts} contexts");
}

#[test]
fn gaps_depths_and_parents_are_told() {
    let e6 = events(&ALL, "4a8d9d51-618e-4f13-8ae2-76a6fe6d5a51", "");
    assert_eq!(e6[0]["gap_seconds"], Value::Null);
    let sum: f64 = e6.iter().filter_map(|event| event["gap_seconds"].as_f64()).sum();
    let time = |event: &Value| chrono::DateTime::parse_from_rfc3339(text(&event["at"])).unwrap().timestamp_millis();
    let whole = time(e6.last().unwrap()) - time(&e6[0]);
    assert_eq!((sum * 1000.0).round() as i64, whole);
    assert!(e6.iter().filter(|event| event["agent"].is_null()).all(|event| event["depth"] == 0));

    // What the side files of sub-agents say, which the client wrote.
    let nested = of_fixture("sub-agents-nest");
    let mut deepest = 0;
    for world in [&*ALL, &nested] {
        let all: Vec<Value> = sessions(world).iter().flat_map(|session| events(world, session, "")).collect();
        for (agent, meta) in side_files(&world.projects) {
            let (Some(depth), true) = (meta["spawnDepth"].as_u64(), meta["toolUseId"].is_string()) else { continue };
            let of_agent: Vec<&Value> = all.iter().filter(|event| event["agent"] == *agent).collect();
            assert!(!of_agent.is_empty(), "{agent}");
            for event in of_agent {
                assert_eq!(
                    (&event["depth"], &event["parent_agent"]),
                    (&depth.into(), &meta["parentAgentId"]),
                    "{event}"
                );
            }
            deepest = deepest.max(depth);
        }
    }
    assert_eq!(deepest, 2);
}

/// The session files of a fixture.
fn of_fixture(name: &str) -> World {
    let mut world = World::empty();
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("projects"), &world.projects);
    world.count();
    world
}

/// The side file of each sub-agent, by its id.
fn side_files(folder: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(side_files(&path));
        } else if let Some(agent) = name.strip_prefix("agent-").and_then(|name| name.strip_suffix(".meta.json")) {
            found.push((agent.to_owned(), serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()));
        }
    }
    found
}

#[test]
fn filters_take_what_the_whole_page_has_and_pages_of_them_add_up() {
    for session in sessions(&ALL) {
        let whole = events(&ALL, &session, "");
        let only = |takes: &dyn Fn(&Value) -> bool| -> Vec<Value> {
            whole.iter().filter(|event| takes(event)).cloned().collect()
        };
        let kinds = events(&ALL, &session, "&kind=tool_call&kind=prompt");
        assert_eq!(kinds, only(&|event| event["kind"] == "tool_call" || event["kind"] == "prompt"));
        assert_eq!(events(&ALL, &session, "&agent=main"), only(&|event| event["agent"].is_null()));
        if let Some(agent) = whole.iter().find_map(|event| event["agent"].as_str()) {
            assert_eq!(events(&ALL, &session, &format!("&agent={agent}")), only(&|event| event["agent"] == agent));
        }
        let Some(middle) = whole.get(whole.len() / 2).map(|event| text(&event["at"])) else { continue };
        assert_eq!(events(&ALL, &session, &format!("&until={middle}")), only(&|event| text(&event["at"]) < middle));
        let (mut paged, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let page = ALL.json(&format!("/{session}/replay?from={start}&limit=1&kind=tool_call&kind=prompt"));
            paged.extend(page["events"].as_array().unwrap().clone());
            assert_eq!(page["total_events"], whole.len());
            from = page["next_from"].as_u64();
        }
        assert_eq!(paged, kinds);
    }
    let refused =
        |query: &str, detail: &str| assert_problem(&ALL.ask(&format!("/{B_TOOLS}/replay?{query}")), 400, detail);
    refused("kind=tool", "`kind` takes one of `prompt`");
    refused("q=%22open", "`q` cannot be read at column 1");
    refused("context=yes", "`context` takes `true` or `false`");
}

#[test]
fn a_model_change_is_an_event() {
    let world = of_fixture("hooks-skills-and-a-model-change-show-in-the-trace");
    let changes: Vec<Value> =
        sessions(&world).iter().flat_map(|session| events(&world, session, "&kind=model_change")).collect();
    let rows = world.rows();
    let told: Vec<&Value> = rows.iter().filter(|row| row["subtype"] == "model_fallback").collect();
    assert!(!told.is_empty());
    for row in &told {
        let event = changes.iter().find(|event| event["uuid"] == row["uuid"]).unwrap();
        assert_eq!((&event["from"], &event["to"]), (&row["originalModel"], &row["fallbackModel"]));
        assert_eq!((&event["trigger"], &event["at"]), (&row["trigger"], &row["timestamp"]));
    }
    assert_eq!(told.len(), changes.len());
}

#[test]
fn words_find_the_events_that_have_them() {
    let mut found = 0;
    for (session, words) in [(B_TOOLS, "total"), (B_TOOLS, "hello"), (B_TOOLS, "/t[o]tal \\d+/"), (B_TOOLS, "-nowhere")]
    {
        let query = words.replace(' ', "%20").replace('+', "%2B").replace('\\', "%5C");
        let here: Vec<u64> = events(&ALL, session, &format!("&q={query}"))
            .iter()
            .map(|event| event["index"].as_u64().unwrap())
            .collect();
        let hits = ALL.search(&format!("q={query}&session={session}&limit=1000"));
        let hits = hits["hits"].as_array().unwrap();
        let there: BTreeSet<u64> = hits.iter().filter_map(|hit| hit["event"].as_u64()).collect();
        assert_eq!(here, there.into_iter().collect::<Vec<_>>(), "{words}");
        found += here.len();
    }
    assert!(found > 20, "{found}");
    assert_eq!(events(&ALL, B_TOOLS, "&q=absolutely-nowhere"), Vec::<Value>::new());
}

#[test]
fn a_long_text_can_be_read_range_by_range() {
    let mut world = World::empty();
    let long = format!("x{}", "ä😀".repeat(30_000));
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a"}}]);
    let image = json!({"type": "image", "source": {"data": "iVBORw0KGgo="}});
    let parts = json!([{"type": "text", "text": "first"}, {"type": "text", "text": long}, image]);
    world.write(
        "long",
        &[prompt("long", 0, "go"), answer("long", 1, "msg_1", call), result("long", 2, "toolu_1", parts)],
    );
    world.count();
    let at = |rest: &str| format!("/long/replay/{rest}");
    for bytes in [1, 7, 1000, 65536, 1 << 20] {
        // Of ranges of a byte only the beginning, because there are so many.
        let (mut read, mut from, mut left) = (String::new(), Some(0), 300);
        while let Some(start) = from.filter(|_| left > 0) {
            let range = world.json(&at(&format!("3/text?part=1&from={start}&bytes={bytes}")));
            assert_eq!((&range["bytes"], &range["from"]), (&long.len().into(), &start.into()));
            assert_eq!(
                (&range["type"], &range["part"], &range["event"]),
                (&"tool_result".into(), &1.into(), &3.into())
            );
            read.push_str(text(&range["text"]));
            (from, left) = (range["next_from"].as_u64(), left - 1);
        }
        assert!(long.starts_with(&read), "{bytes}");
        assert_eq!(read.len() == long.len(), bytes >= 1000, "{bytes}");
    }
    assert_eq!(world.json(&at("3/text?part=1&from=2&bytes=3"))["from"], 1, "within a character");
    assert_eq!(world.json(&at("3/text"))["text"], "first");
    assert_eq!(world.json(&at("3/text?part=2"))["text"], Value::Null);
    let behind = world.json(&at("3/text?from=100"));
    assert_eq!((&behind["text"], &behind["next_from"]), (&"".into(), &Value::Null));
    assert_problem(&world.ask(&at("3/text?part=3")), 404, "piece 3 of event 3");
    assert_problem(&world.ask(&at("17/text")), 404, "there is no event 17: the session has 4");
    assert_problem(&world.ask(&at("x/text")), 400, "`event` takes a whole number");
    assert_problem(&world.ask("/nobody/replay/0/text"), 404, "session nobody");
}

#[test]
fn a_long_turn_is_told_around_an_event() {
    let mut world = World::empty();
    let said = |second: u32| answer("long", second, &format!("msg_{second}"), json!([{"type": "text", "text": "on"}]));
    let rows: Vec<Value> = std::iter::once(prompt("long", 0, "go on")).chain((1..1205).map(said)).collect();
    world.write("long", &rows);
    world.count();
    // The turn has its prompt and 1,204 messages.
    for (near, first, before) in [(0, 0, 0), (300, 0, 0), (600, 100, 100), (1200, 205, 205), (999_999, 205, 205)] {
        let turn = world.json(&format!("/long/replay/turns/1?near={near}"));
        let told = turn["events"].as_array().unwrap();
        let told: Vec<u64> = told.iter().map(|event| event["index"].as_u64().unwrap()).collect();
        assert_eq!(told, (first..first + 1000).collect::<Vec<_>>(), "near {near}");
        assert_eq!((&turn["events_omitted"], &turn["events_omitted_before"]), (&205.into(), &before.into()));
    }
    let whole = ALL.json(&format!("/{B_TOOLS}/replay/turns/1"));
    assert_eq!((&whole["events_omitted"], &whole["events_omitted_before"]), (&0.into(), &0.into()));
}
