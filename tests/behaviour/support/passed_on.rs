//! A stream that is handed to a sidecar now, as `tailspan stream` does it: one run with one session.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;

use super::http::request;
use super::world::append;

/// A run whose stream comes now and whose session file comes later.
pub(crate) struct PassedOn {
    address: SocketAddr,
    now: Timestamp,
    pub(crate) run: String,
    session: String,
    rows: Vec<Value>,
}

impl PassedOn {
    /// The lines of a run that began half a minute ago: it asks whether it may write a file, waits for two seconds, and ends.
    pub(crate) fn new(address: SocketAddr, number: u32, now: Timestamp) -> Self {
        let (run, session) = (id(number, 1), id(number, 2));
        let call = json!({"type": "tool_use", "id": format!("toolu_run_{number}"), "name": "Write",
            "input": {"file_path": "/home/dev/nightly/a.txt"}});
        let result = json!({"type": "tool_result", "tool_use_id": format!("toolu_run_{number}"), "content": "written"});
        let text = json!({"type": "text", "text": "Done."});
        let message = |step: u32, block: Value, stop: &str| {
            json!({"id": format!("msg_run_{number}_{step}"), "type": "message", "role": "assistant",
                "model": "claude-sonnet-4-5", "content": [block], "stop_reason": stop,
                "usage": {"input_tokens": 9, "output_tokens": 400, "cache_read_input_tokens": 20_000}})
        };
        let said = [
            ("assistant", 20_000, message(1, call, "tool_use")),
            ("user", 18_000, json!({"role": "user", "content": [result]})),
            ("assistant", 10_000, message(2, text, "end_turn")),
        ];
        let rows = said.into_iter().zip(3..).map(|((kind, before, message), row)| {
            json!({"type": kind, "message": message, "uuid": id(number, row), "session_id": session,
                "parent_tool_use_id": null, "timestamp": Timestamp(now.0 - before).to_rfc3339()})
        });
        Self { address, now, rows: rows.collect(), run, session }
    }

    /// Hands over the stream. `ends` is the subtype of its result.
    pub(crate) fn stream(&self, ends: &str) {
        let Self { run, session, rows, .. } = self;
        let mark = |mark: &str, before: i64| json!({"type": "tailspan", "mark": mark, "run": run, "at": Timestamp(self.now.0 - before).to_rfc3339()});
        let mut start = rows[0]["message"].clone();
        start["usage"]["output_tokens"] = 1.into();
        let own = |kind: &str, more: Value| {
            let mut line = json!({"type": kind, "session_id": session, "uuid": format!("{}-{kind}", &session[..8])});
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        let asked = json!({"subtype": "can_use_tool", "tool_name": "Write",
            "tool_use_id": rows[0]["message"]["content"][0]["id"]});
        let lines = [
            mark("run", 30_000),
            mark("at", 29_000),
            own("system", json!({"subtype": "init", "cwd": "/home/dev/nightly"})),
            mark("at", 21_000),
            own("stream_event", json!({"event": {"type": "message_start", "message": start}, "ttft_ms": 800})),
            mark("at", 20_000),
            rows[0].clone(),
            json!({"type": "control_request", "request_id": "1", "request": asked}),
            mark("at", 18_000),
            rows[1].clone(),
            mark("at", 10_000),
            rows[2].clone(),
            own(
                "result",
                json!({"subtype": ends, "is_error": ends != "success", "num_turns": 2, "total_cost_usd": 0.024_054,
                "terminal_reason": if ends == "success" { "completed" } else { "max_turns" }}),
            ),
            mark("end", 9_000),
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let headers = [("Content-Type", "application/x-ndjson"), ("Tailspan-Workflow", "nightly")];
        assert_eq!(request(self.address, "POST", "/api/v1/events", &headers, text.as_bytes()).status, 202);
    }

    /// Writes the session file. Returns how many lines it has.
    pub(crate) fn file(&self, projects: &Path) -> u64 {
        let folder = projects.join("-home-dev-nightly");
        fs::create_dir_all(&folder).unwrap();
        for row in &self.rows {
            let mut row = row.clone();
            let fields = row.as_object_mut().unwrap();
            let session = fields.remove("session_id").unwrap();
            fields.remove("parent_tool_use_id");
            fields.extend([("sessionId".to_owned(), session), ("cwd".to_owned(), json!("/home/dev/nightly"))]);
            append(&folder.join(format!("{}.jsonl", self.session)), format!("{row}\n").as_bytes());
        }
        self.rows.len() as u64
    }
}

fn id(number: u32, part: u32) -> String {
    format!("{number:08x}-00ab-4000-8000-{part:012x}")
}
