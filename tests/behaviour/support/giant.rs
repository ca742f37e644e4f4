//! Sessions of any size, made row by row in the client's form.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;

use super::world::Dice;

pub(crate) const SESSION: &str = "a1a1a1a1-0000-4000-8000-00000000000a";
pub(crate) const SLUG: &str = "-home-dev-made";
pub(crate) const NAMES: [&str; 4] = ["Bash", "Read", "Edit", "mcp__docs__search"];

/// 2026-03-01, noon UTC.
const NOON_MS: i64 = 1_772_366_400_000;

/// The rows of one file.
pub(crate) struct Rows {
    pub(crate) text: String,
    /// Milliseconds since noon of the next row.
    pub(crate) ms: i64,
    file: u32,
    agent: Option<String>,
    rows: u32,
}

impl Rows {
    /// The file of the session itself.
    pub(crate) fn of_session() -> Self {
        Self { text: String::new(), ms: 0, file: 0, agent: None, rows: 0 }
    }

    /// The file of a sub-agent; its number tells it from others.
    pub(crate) fn of_agent(number: u32, ms: i64) -> Self {
        Self { text: String::new(), ms, file: number, agent: Some(agent_id(number)), rows: 0 }
    }

    fn row(&mut self, kind: &str, message: &Value, more: Value) {
        let mut row = json!({"type": kind, "uuid": format!("{:08x}-0000-4000-8000-{:012x}", self.rows, self.file),
            "sessionId": SESSION, "cwd": "/home/dev/made", "version": "2.1.330", "gitBranch": "main",
            "entrypoint": "cli", "timestamp": Timestamp(NOON_MS + self.ms).to_rfc3339(), "message": message});
        if let Some(agent) = &self.agent {
            (row["agentId"], row["isSidechain"]) = (agent.clone().into(), true.into());
        }
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        self.rows += 1;
        self.text.push_str(&row.to_string());
        self.text.push('\n');
    }

    pub(crate) fn prompt(&mut self, text: &str) {
        let id = format!("{:08x}-1111-4000-8000-{:012x}", self.rows, self.file);
        self.row("user", &json!({"role": "user", "content": text}), json!({"promptId": id}));
    }

    /// A response with these blocks.
    pub(crate) fn response(&mut self, id: &str, blocks: &[Value], stop: &str, usage: &Value) {
        let message = json!({"id": id, "role": "assistant", "model": "claude-sonnet-4-5", "content": blocks,
            "stop_reason": stop, "usage": usage});
        self.row("assistant", &message, json!({"requestId": format!("req_{id}")}));
    }

    /// The last words of a turn or sub-agent.
    pub(crate) fn ends(&mut self, id: &str) {
        self.response(id, &[json!({"type": "text", "text": "Done."})], "end_turn", &usage());
    }

    /// A row with these results.
    pub(crate) fn results(&mut self, blocks: &[Value], told: &Value) {
        self.row("user", &json!({"role": "user", "content": blocks}), json!({"toolUseResult": told}));
    }

    pub(crate) fn failure(&mut self) {
        let more = json!({"subtype": "api_error", "error": {"status": 529}, "retryInMs": 100, "retryAttempt": 1});
        self.row("system", &Value::Null, more);
    }

    pub(crate) fn compaction(&mut self) {
        let more = json!({"subtype": "compact_boundary",
            "compactMetadata": {"trigger": "auto", "preTokens": 9000, "postTokens": 100, "durationMs": 40}});
        self.row("system", &Value::Null, more);
    }
}

pub(crate) fn usage() -> Value {
    json!({"input_tokens": 3, "output_tokens": 40, "cache_read_input_tokens": 15_000,
        "cache_creation_input_tokens": 120})
}

pub(crate) fn agent_id(number: u32) -> String {
    format!("a{number:016x}")
}

pub(crate) fn call(number: usize) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_{number:08}"), "name": NAMES[number % 4],
        "input": {"command": format!("echo {number}")}})
}

/// Every seventh one failed.
pub(crate) fn result(number: usize) -> Value {
    json!({"type": "tool_result", "tool_use_id": format!("toolu_{number:08}"), "content": format!("ok {number}"),
        "is_error": number.is_multiple_of(7)})
}

/// Writes a session of one turn with so many calls, and a sub-agent after every fortieth response.
pub(crate) fn long_turn(root: &Path, calls: usize, seed: u64) {
    let (mut dice, mut rows, mut agent) = (Dice::new(seed), Rows::of_session(), 0);
    let folder = root.join(SLUG);
    fs::create_dir_all(folder.join(SESSION).join("subagents")).unwrap();
    rows.prompt("go");
    for first in (0..calls).step_by(10) {
        let some: Vec<usize> = (first..(first + 10).min(calls)).collect();
        rows.ms += 700;
        let blocks: Vec<Value> = some.iter().map(|number| call(*number)).collect();
        rows.response(&format!("msg_{first:08}"), &blocks, "tool_use", &usage());
        rows.ms += 300;
        let blocks: Vec<Value> = some.iter().map(|number| result(*number)).collect();
        rows.results(&blocks, &Value::Null);
        if first % 400 == 0 {
            agent += 1;
            sub_agent(&mut rows, &folder, agent, calls + first, &mut dice);
        }
    }
    rows.ms += 1_000;
    rows.ends("msg_end");
    fs::write(folder.join(format!("{SESSION}.jsonl")), rows.text).unwrap();
}

/// Writes a session of one turn whose calls are all in one row, and their results in another.
pub(crate) fn at_once(root: &Path, calls: usize) {
    let mut rows = Rows::of_session();
    rows.prompt("go");
    rows.ms += 1_000;
    rows.response("msg_1", &(0..calls).map(call).collect::<Vec<_>>(), "tool_use", &usage());
    rows.ms += 1_000;
    rows.results(&(0..calls).map(result).collect::<Vec<_>>(), &Value::Null);
    rows.ends("msg_2");
    fs::create_dir_all(root.join(SLUG)).unwrap();
    fs::write(root.join(SLUG).join(format!("{SESSION}.jsonl")), rows.text).unwrap();
}

/// Writes a session that has more than ten thousand parts, most at the same second as others: turns of any length,
/// sub-agents in front and in the background, some without an end, failures and compactions.
pub(crate) fn mixed(root: &Path, seed: u64) {
    let (mut dice, mut rows, mut number, mut agent) = (Dice::new(seed), Rows::of_session(), 0, 0);
    let folder = root.join(SLUG);
    fs::create_dir_all(folder.join(SESSION).join("subagents")).unwrap();
    for turn in 0..12 {
        rows.prompt("go");
        let long = if turn == 5 { 700 } else { 30 };
        for _ in 0..long + dice.below(20) {
            rows.ms += [0, 0, 1_000][dice.below(3)];
            let some: Vec<usize> = (number..number + 1 + dice.below(20)).collect();
            number += some.len();
            let blocks: Vec<Value> = some.iter().map(|number| call(*number)).collect();
            rows.response(&format!("msg_{number:08}"), &blocks, "tool_use", &usage());
            rows.ms += [0, 0, 1_000][dice.below(3)];
            // Some never return.
            let ended: Vec<Value> = some.iter().filter(|_| !dice.one_in(50)).map(|number| result(*number)).collect();
            if !ended.is_empty() {
                rows.results(&ended, &Value::Null);
            }
            match dice.below(12) {
                0 => rows.failure(),
                1 if dice.one_in(8) => rows.compaction(),
                2 => {
                    agent += 1;
                    number += 2;
                    sub_agent(&mut rows, &folder, agent, number - 2, &mut dice);
                }
                _ => {}
            }
        }
        rows.ms += [0, 5_000][dice.below(2)];
        if !dice.one_in(4) {
            rows.ends(&format!("msg_end_{turn}"));
        }
    }
    fs::write(folder.join(format!("{SESSION}.jsonl")), rows.text).unwrap();
}

/// A sub-agent below call `number`, with call `number + 1` of its own.
fn sub_agent(rows: &mut Rows, folder: &Path, agent: u32, number: usize, dice: &mut Dice) {
    let started = format!("toolu_{number:08}");
    let call_of_agent = json!({"type": "tool_use", "id": started, "name": "Agent",
        "input": {"prompt": format!("look {number}"), "subagent_type": "Explore"}});
    rows.response(&format!("msg_{number:08}_a"), &[call_of_agent], "tool_use", &usage());
    let mut own = Rows::of_agent(agent, rows.ms);
    own.prompt(&format!("look {number}"));
    own.response(&format!("msg_{number:08}_b"), &[call(number + 1)], "tool_use", &usage());
    own.results(&[result(number + 1)], &Value::Null);
    if !dice.one_in(3) {
        own.ms += 1_000;
        own.ends(&format!("msg_{number:08}_c"));
    }
    let below = folder.join(SESSION).join("subagents");
    fs::write(below.join(format!("agent-{}.jsonl", agent_id(agent))), &own.text).unwrap();
    let background = dice.one_in(3);
    if !dice.one_in(3) {
        let shape = if background { "background" } else { "foreground" };
        let meta = json!({"agentType": "Explore", "toolUseId": started, "requestShape": shape});
        fs::write(below.join(format!("agent-{}.meta.json", agent_id(agent))), meta.to_string()).unwrap();
    }
    rows.ms += [0, 2_000][dice.below(2)];
    let status = if background { "async_launched" } else { "completed" };
    rows.results(&[result(number)], &json!({"status": status, "agentId": agent_id(agent), "agentType": "Explore"}));
}

/// Writes a session with so many sub-agents, each in a file of its own.
pub(crate) fn many_agents(root: &Path, agents: u32) {
    let (mut rows, folder) = (Rows::of_session(), root.join(SLUG));
    let below = folder.join(SESSION).join("subagents");
    fs::create_dir_all(&below).unwrap();
    rows.prompt("go");
    rows.ends("msg_end");
    fs::write(folder.join(format!("{SESSION}.jsonl")), rows.text).unwrap();
    for number in 1..=agents {
        let mut own = Rows::of_agent(number, i64::from(number));
        own.prompt("look");
        own.ends(&format!("msg_{number:08}"));
        fs::write(below.join(format!("agent-{}.jsonl", agent_id(number))), &own.text).unwrap();
    }
}

/// Writes a session of one turn with one sub-agent that makes so many calls.
pub(crate) fn long_agent(root: &Path, calls: usize) {
    let (mut rows, folder) = (Rows::of_session(), root.join(SLUG));
    let below = folder.join(SESSION).join("subagents");
    fs::create_dir_all(&below).unwrap();
    rows.prompt("go");
    let started = json!({"type": "tool_use", "id": "toolu_started", "name": "Agent",
        "input": {"prompt": "look", "subagent_type": "Explore"}});
    rows.response("msg_started", &[started], "tool_use", &usage());
    let mut own = Rows::of_agent(1, rows.ms);
    own.prompt("look");
    for first in (0..calls).step_by(10) {
        let some: Vec<usize> = (first..(first + 10).min(calls)).collect();
        own.ms += 700;
        let blocks: Vec<Value> = some.iter().map(|number| call(*number)).collect();
        own.response(&format!("msg_{first:08}"), &blocks, "tool_use", &usage());
        own.ms += 300;
        let blocks: Vec<Value> = some.iter().map(|number| result(*number)).collect();
        own.results(&blocks, &Value::Null);
    }
    own.ends("msg_own_end");
    fs::write(below.join(format!("agent-{}.jsonl", agent_id(1))), &own.text).unwrap();
    let meta = json!({"agentType": "Explore", "toolUseId": "toolu_started", "requestShape": "foreground"});
    fs::write(below.join(format!("agent-{}.meta.json", agent_id(1))), meta.to_string()).unwrap();
    rows.ms = own.ms + 1_000;
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_started", "content": "ok"});
    rows.results(&[result], &json!({"status": "completed", "agentId": agent_id(1), "agentType": "Explore"}));
    rows.ms += 1_000;
    rows.ends("msg_end");
    fs::write(folder.join(format!("{SESSION}.jsonl")), rows.text).unwrap();
}
