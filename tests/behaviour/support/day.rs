//! A day of work as session files: each hour appends what Claude Code would have written in it.
//!
//! The day ends now, so that what is said about the last minutes is true. It holds what the metrics tell apart: models,
//! one without a price; tools that work, fail, are denied and are interrupted; sub-agents, compactions, failed requests,
//! a damaged line, an unknown record, a fork, a dear prompt, and a prompt for permission that nobody answers.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;

pub(crate) const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;
const MODELS: [&str; 3] = ["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"];
/// Project and entry point of the sessions that take turns.
const DESKS: [(&str, &str); 3] = [("shop", "cli"), ("billing", "claude-vscode"), ("website", "sdk-cli")];
const TOOLS: [&str; 6] = ["Bash", "Read", "Edit", "Grep", "WebFetch", "mcp__db__query"];

/// The generator; the same start gives the same files.
pub(crate) struct Day {
    projects: PathBuf,
    /// Start, in milliseconds since 1970.
    start: i64,
    serial: u64,
    /// The prompt that was written last.
    prompt: String,
    /// Lines written so far.
    pub(crate) lines: u64,
}

/// A session file that is written.
struct Session {
    file: PathBuf,
    id: String,
    project: &'static str,
    entrypoint: &'static str,
}

impl Day {
    pub(crate) fn ending(now: Timestamp, projects: &Path) -> Self {
        Self {
            projects: projects.to_owned(),
            start: now.0 - HOURS as i64 * HOUR_MS,
            serial: 0,
            prompt: String::new(),
            lines: 0,
        }
    }

    /// What a sidecar that was started at the beginning of the day has beside its database.
    pub(crate) fn epoch(&self) -> String {
        json!({"first_start": Timestamp(self.start).to_rfc3339(), "exported_until": null}).to_string()
    }

    /// Appends what is written in an hour of the day.
    pub(crate) fn hour(&mut self, hour: usize) {
        let begin = self.start + hour as i64 * HOUR_MS;
        for (desk, (project, entrypoint)) in DESKS.into_iter().enumerate() {
            // A new session every eight hours.
            let id = format!("{:08x}-0000-4000-8000-00000000000a", desk * 100 + hour / 8 + 1);
            let file = self.projects.join(format!("-home-dev-{project}/{id}.jsonl"));
            let session = Session { file, id, project, entrypoint };
            let model = if hour % 6 == 5 && desk == 0 { "claude-next-9" } else { MODELS[(hour + desk) % MODELS.len()] };
            for turn in 0..2 {
                self.turn(&session, begin + (turn * 20 + desk as i64 * 5) * 60_000, model, hour);
            }
            self.odds(&session, begin + 50 * 60_000, hour, desk);
        }
    }

    /// A tool that waits since two minutes before `now`.
    pub(crate) fn waiting(&mut self, now: Timestamp) {
        let id = "77777777-0000-4000-8000-00000000000a".to_owned();
        let file = self.projects.join(format!("-home-dev-shop/{id}.jsonl"));
        let session = Session { file, id, project: "shop", entrypoint: "cli" };
        let at = now.0 - 120_000;
        let row = self.prompt(&session, at - 5000, "human");
        self.write(&session.file, &[row]);
        let call = json!({"type": "tool_use", "name": "Bash", "id": "toolu_waits", "input": {"command": "make"}});
        let row = self.answer(&session, at, MODELS[0], &call, "tool_use", 1);
        self.write(&session.file, &[row]);
    }

    fn turn(&mut self, session: &Session, begin: i64, model: &str, hour: usize) {
        let origin = ["human", "human", "task_notification"][hour % 3];
        let mut rows = vec![self.prompt(session, begin, origin)];
        let mut at = begin;
        for (step, name) in TOOLS.into_iter().enumerate() {
            at += 4000 + 700 * step as i64;
            let call = format!("toolu_{:06}", self.next());
            let input = json!({"type": "tool_use", "name": name, "id": call, "input": {"command": "ls"}});
            rows.push(self.answer(session, at, model, &input, "tool_use", 1));
            at += 900 * (step as i64 + 1);
            // The server of the last tool is down all day.
            let end = if step + 1 == TOOLS.len() { 0 } else { (hour + step) % 5 };
            rows.push(self.result(session, at, &call, name, end));
        }
        let text = json!({"type": "text", "text": "Done."});
        // A prompt in the afternoon is dear: more than 10 USD of output.
        let dear = if hour == 20 { 1500 } else { 1 };
        rows.push(self.answer(session, at + 30_000, model, &text, "end_turn", dear));
        self.write(&session.file, &rows);
        if hour.is_multiple_of(3) {
            self.agent(session, at + 60_000, if hour.is_multiple_of(2) { "Explore" } else { "general-purpose" });
        }
    }

    /// What happens once in a while.
    fn odds(&mut self, session: &Session, at: i64, hour: usize, desk: usize) {
        let mut rows = Vec::new();
        let id = &session.id;
        if hour % 4 == 1 {
            let triggers = ["auto", "manual", "auto", "auto", "auto"].into_iter().enumerate();
            rows.extend(triggers.map(|(nth, trigger)| {
                let compact = json!({"trigger": trigger, "preTokens": 150_000, "postTokens": 9000, "durationMs": 8000});
                self.row(
                    session,
                    at + nth as i64 * 1000,
                    json!({"type": "system", "subtype": "compact_boundary",
                    "content": "Conversation compacted", "compactMetadata": compact}),
                )
            }));
        }
        if hour % 5 == 2 {
            let failures = [(529, "request_retry"), (500, "request_retry"), (429, "request_retry")];
            rows.extend(failures.map(|(status, source)| {
                self.row(
                    session,
                    at + 10_000,
                    json!({"type": "system", "subtype": "api_error", "level": "error",
                    "error": {"message": status.to_string(), "status": status}, "retryInMs": 500, "retryAttempt": 1,
                    "maxRetries": 10, "source": source}),
                )
            }));
        }
        if hour == 9 || hour == 13 {
            rows.push(json!({"type": "brand-new-type", "sessionId": id}));
        }
        rows.push(json!({"type": "cost-state", "sessionId": id, "totalCostUSD": 3.5 * (hour + 1) as f64}));
        self.write(&session.file, &rows);
        if hour == 11 {
            self.append(&session.file, "{\"type\":\"user\",\"mess\n");
        }
        if hour == 15 && desk == 0 {
            self.fork(session);
        }
    }

    /// A sub-agent's file with the side file that names its type.
    fn agent(&mut self, session: &Session, begin: i64, kind: &str) {
        let agent = format!("a{:016}", self.next());
        let stem = session.file.with_extension("").join("subagents").join(format!("agent-{agent}"));
        fs::create_dir_all(stem.parent().unwrap()).unwrap();
        let meta = json!({"agentType": kind, "spawnDepth": 1, "requestShape": "foreground", "finished": true});
        fs::write(stem.with_extension("meta.json"), meta.to_string()).unwrap();
        let mut rows = vec![self.prompt(session, begin, "human")];
        for step in 0..3 {
            let call = format!("toolu_{:06}", self.next());
            let input = json!({"type": "tool_use", "name": "Grep", "id": call, "input": {"pattern": "x"}});
            rows.push(self.answer(session, begin + step * 9000 + 4000, MODELS[2], &input, "tool_use", 1));
            rows.push(self.result(session, begin + step * 9000 + 5000, &call, "Grep", 1));
        }
        let text = json!({"type": "text", "text": "Found."});
        rows.push(self.answer(session, begin + 40_000, MODELS[2], &text, "end_turn", 1));
        for row in &mut rows {
            row["isSidechain"] = true.into();
            row["agentId"] = agent.clone().into();
        }
        self.write(&stem.with_extension("jsonl"), &rows);
    }

    /// A session that begins with a copy of another.
    fn fork(&mut self, session: &Session) {
        let id = "f0f0f0f0-0000-4000-8000-00000000000a";
        let text = fs::read_to_string(&session.file).unwrap();
        let mut rows = Vec::new();
        for line in text.lines() {
            let Ok(mut row) = serde_json::from_str::<Value>(line) else { continue };
            if row["type"] == "assistant" {
                row["requestSessionId"] = session.id.clone().into();
            }
            row["sessionId"] = id.into();
            rows.push(row);
        }
        self.write(&session.file.with_file_name(format!("{id}.jsonl")), &rows);
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A row with an identity, a time and a session.
    fn row(&mut self, session: &Session, at: i64, mut row: Value) -> Value {
        row["uuid"] = format!("{:08x}-0000-4000-8000-000000000000", self.next()).into();
        row["timestamp"] = Timestamp(at).to_rfc3339().into();
        row["sessionId"] = session.id.clone().into();
        row["entrypoint"] = session.entrypoint.into();
        row["cwd"] = format!("/home/dev/{}", session.project).into();
        row["version"] = "2.1.330".into();
        row
    }

    fn prompt(&mut self, session: &Session, at: i64, origin: &str) -> Value {
        self.prompt = format!("{:08x}-1111-4000-8000-000000000000", self.next());
        let message = json!({"role": "user", "content": "Go."});
        self.row(
            session,
            at,
            json!({"type": "user", "promptId": self.prompt, "turnOrigin": origin, "message": message}),
        )
    }

    fn answer(&mut self, session: &Session, at: i64, model: &str, block: &Value, stop: &str, factor: u64) -> Value {
        let id = self.next();
        let usage = json!({"input_tokens": 900, "output_tokens": 400 * factor, "cache_read_input_tokens": 52_000,
            "cache_creation_input_tokens": 3000,
            "cache_creation": {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 1000}});
        let message = json!({"id": format!("msg_{id:06}"), "role": "assistant", "model": model, "content": [block],
            "stop_reason": stop, "usage": usage});
        self.row(session, at, json!({"type": "assistant", "requestId": format!("req_{id:06}"), "message": message}))
    }

    /// The result of a tool call; how it ended is 0 failed, 2 denied, 3 interrupted, else well.
    fn result(&mut self, session: &Session, at: i64, call: &str, tool: &str, end: usize) -> Value {
        let failed = matches!(end, 0 | 2 | 3);
        let result = json!({"type": "tool_result", "tool_use_id": call, "content": "text", "is_error": failed});
        let message = json!({"role": "user", "content": [result]});
        let mut row = json!({"type": "user", "promptId": self.prompt, "message": message});
        match end {
            2 => {
                row["toolDenialKind"] = "user-rejected".into();
                row["toolDenialBeforeRun"] = true.into();
            }
            3 => row["toolDenialKind"] = "interrupted".into(),
            _ if tool == "Edit" => {
                row["toolUseResult"] = json!({"structuredPatch": [{"lines": ["-old", "+new", "+more", " same"]}]});
            }
            _ => {}
        }
        self.row(session, at, row)
    }

    fn write(&mut self, file: &Path, rows: &[Value]) {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        self.append(file, &text);
    }

    fn append(&mut self, file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        OpenOptions::new().create(true).append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
        self.lines += text.lines().count() as u64;
    }
}
