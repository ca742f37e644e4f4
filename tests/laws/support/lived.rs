//! A world with one session and one run of it, whose lines are written by hand.

use serde_json::{Value, json};
use tailspan::ledger::run::Run;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::{Sample, Snapshot};

use super::follower::Stream;
use super::world::{Dice, World, append};

pub(crate) const SESSION: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";

/// The world, whose clock is the time at which lines arrive.
pub(crate) struct Lived {
    pub(crate) world: World,
    _keep: tempfile::TempDir,
    /// Whether the sender tells when lines arrived.
    tells_times: bool,
    rows: u32,
}

impl Lived {
    pub(crate) fn new(tells_times: bool) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let world = World::new(keep.path());
        Self { world, _keep: keep, tells_times, rows: 0 }
    }

    pub(crate) fn now(&self) -> String {
        self.world.now.to_rfc3339()
    }

    /// A `uuid` that no other line has.
    pub(crate) fn uuid(&mut self) -> String {
        self.rows += 1;
        format!("{:08x}-0000-4000-8000-000000000001", self.rows)
    }

    /// Appends lines to the stream of a run, with the time at which they arrive, and has them read.
    pub(crate) fn stream(&mut self, run: u32, lines: &[Value]) {
        let id = format!("{run:08x}-0000-4000-8000-00000000000f");
        let path = self.world.streams().join(format!("{id}.jsonl"));
        let at = self.now();
        let mut text = String::new();
        if !path.exists() {
            text +=
                &format!("{}\n", json!({"type": "tailspan", "mark": "run", "run": id, "workflow": "demo", "at": at}));
        }
        let by = if self.tells_times { json!({}) } else { json!({"by": "sidecar"}) };
        let mut mark = json!({"type": "tailspan", "mark": "at", "at": at});
        mark.as_object_mut().unwrap().extend(by.as_object().unwrap().clone());
        text += &format!("{mark}\n");
        lines.iter().for_each(|line| text += &format!("{line}\n"));
        append(&path, text.as_bytes());
        self.read();
    }

    /// Appends rows to the session file, or to that of their sub-agent, and has them read.
    pub(crate) fn file(&mut self, rows: &[Value]) {
        let folder = self.world.root.join("-home-dev-app");
        for row in rows {
            let name = match row["agentId"].as_str() {
                Some(agent) => format!("{SESSION}/subagents/agent-{agent}.jsonl"),
                None => format!("{SESSION}.jsonl"),
            };
            append(&folder.join(name), format!("{row}\n").as_bytes());
        }
        self.read();
    }

    fn read(&mut self) {
        self.world.read(&mut Dice::new(1), usize::MAX);
    }

    pub(crate) fn init(&mut self) -> Value {
        let uuid = self.uuid();
        json!({"type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/home/dev/app", "uuid": uuid})
    }

    /// A completed answer, as it stands in the session file, and as it comes on the stream.
    pub(crate) fn answer(&mut self, output: u64) -> (Value, Value) {
        let (uuid, at) = (self.uuid(), self.now());
        let message = |stop: Option<&str>| {
            json!({"id": format!("msg_01{}", uuid.replace('-', "")), "type": "message", "role": "assistant",
                "model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "Yes."}], "stop_reason": stop,
                "usage": {"input_tokens": 3, "output_tokens": output}})
        };
        let row = json!({"type": "assistant", "uuid": uuid, "timestamp": at, "sessionId": SESSION,
            "cwd": "/home/dev/app", "message": message(Some("end_turn"))});
        let line = json!({"type": "assistant", "uuid": uuid, "timestamp": at, "session_id": SESSION,
            "parent_tool_use_id": null, "message": message(None)});
        (row, line)
    }

    /// A prompt of the session file.
    pub(crate) fn prompt(&mut self, text: &str) -> Value {
        let (uuid, at) = (self.uuid(), self.now());
        json!({"type": "user", "uuid": uuid, "timestamp": at, "sessionId": SESSION, "cwd": "/home/dev/app",
            "promptId": uuid, "message": {"role": "user", "content": text}})
    }

    /// A result, with what else it tells.
    pub(crate) fn result(&mut self, more: &Value) -> Value {
        let uuid = self.uuid();
        let mut line = json!({"type": "result", "subtype": "success", "is_error": false, "session_id": SESSION,
            "num_turns": 1, "total_cost_usd": 0.01, "terminal_reason": "completed", "uuid": uuid});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    }

    pub(crate) fn end(&self) -> Value {
        json!({"at": self.now(), "mark": "end", "type": "tailspan"})
    }

    /// Lets so many milliseconds pass, and settles.
    pub(crate) fn pass(&mut self, ms: i64) -> Snapshot {
        self.world.now = Timestamp(self.world.now.0 + ms);
        self.world.settle()
    }

    /// The runs, by their numbers.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        self.world.reader.as_ref().unwrap().each_run(|run| runs.push(run)).unwrap();
        runs.sort_by_key(|run| run.id);
        runs
    }

    /// What the summary tells of the session.
    pub(crate) fn session(&self) -> Value {
        let summary = serde_json::to_value(self.world.summary()).unwrap();
        let sessions = summary["session_list"].as_array().unwrap();
        sessions.iter().find(|session| session["id"] == SESSION).unwrap().clone()
    }

    /// The states of the runs that were told: `began` and `ended`.
    pub(crate) fn told(&self) -> Vec<String> {
        let events = Stream::of(self.world.reader.clone().unwrap()).read("event=run&since=2000-01-01");
        events.into_iter().filter_map(|(_, _, data)| Some(data["state"].as_str()?.to_owned())).collect()
    }
}

/// How many runs of each workflow and outcome the counters have.
pub(crate) fn counted(snapshot: &Snapshot) -> Vec<(String, i128)> {
    let series = snapshot.of(&catalog::WORKFLOW_RUNS).filter_map(|(labels, sample)| match sample {
        Sample::Number(number) if *number > 0 => Some((labels.join(" "), *number)),
        _ => None,
    });
    series.collect()
}
