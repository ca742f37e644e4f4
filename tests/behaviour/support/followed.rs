//! A sidecar whose events are followed, and session files that grow.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use super::daemon::Daemon;
use super::http::{Client, head};
use super::world::append;

/// An event as it comes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Told {
    /// What it is about, in short.
    pub(crate) fn key(&self) -> String {
        let data = &self.data;
        let id = ["tool_call_id", "message_id", "prompt_uuid", "uuid", "agent", "session"];
        let id = id.iter().find_map(|name| data[name].as_str()).unwrap_or_default();
        format!("{} {id}", data["kind"].as_str().unwrap())
    }
}

/// A client of the stream.
pub(crate) struct Stream {
    client: Client,
    rest: String,
    /// The id that came last.
    pub(crate) last: String,
}

impl Stream {
    /// Follows with a query, from behind an id if there is one.
    pub(crate) fn open(address: SocketAddr, query: &str, last: Option<&str>) -> Self {
        let mut client = Client::connect(address);
        let headers: Vec<(&str, &str)> = last.iter().map(|id| ("Last-Event-ID", *id)).collect();
        client.send(head("GET", &format!("/api/v1/events?{query}"), &headers, 0).as_bytes());
        let (reply, length) = client.read_head();
        assert_eq!((reply.status, length), (200, None), "{:?}", reply.headers);
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        Self { client, rest: String::new(), last: last.unwrap_or_default().to_owned() }
    }

    /// The next event; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.rest.find("\n\n") {
                let event: String = self.rest.drain(..end + 2).collect();
                let field = |name: &str| {
                    let value = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    value.map(str::to_owned)
                };
                let (Some(id), Some(name), Some(data)) = (field("id"), field("event"), field("data")) else { continue };
                self.last.clone_from(&id);
                return Some(Told { id, name, data: serde_json::from_str(&data).unwrap() });
            }
            let chunk = self.client.read_chunk().filter(|chunk| !chunk.is_empty())?;
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The events up to one of this name, itself included, without heartbeats.
    pub(crate) fn until(&mut self, last: &str) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            let event = self.next().unwrap_or_else(|| panic!("it ended before {last}: {told:?}"));
            let is_last = event.name == last || event.key() == last;
            if event.name != "heartbeat" || is_last {
                told.push(event);
            }
            if is_last {
                return told;
            }
        }
    }

    /// Waits for the end: whether it was a proper one.
    pub(crate) fn ends(mut self) -> bool {
        self.client.read_chunks().1
    }
}

/// Folders with a sidecar that comes and goes.
pub(crate) struct Side {
    pub(crate) folder: TempDir,
    pub(crate) daemon: Option<Daemon>,
    settings: String,
}

impl Side {
    pub(crate) fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("projects")).unwrap();
        let settings = format!("[events]\n{settings}\n");
        let mut side = Self { folder, daemon: None, settings };
        side.start();
        side
    }

    pub(crate) fn start(&mut self) {
        let config = self.folder.path().join("tailspan.toml");
        fs::write(&config, &self.settings).unwrap();
        let path = |name| self.folder.path().join(name);
        let daemon = Daemon::start(&path("projects"), &path("state"), &["--config", config.to_str().unwrap()]);
        daemon.until("it has read everything", || (daemon.get("/-/ready").0 == 200).then_some(()));
        self.daemon = Some(daemon);
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// As a kill does it.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    pub(crate) fn open(&self, query: &str, last: Option<&str>) -> Stream {
        Stream::open(self.daemon().address, query, last)
    }

    /// When the state was begun.
    pub(crate) fn begun(&self) -> Timestamp {
        let text = fs::read_to_string(self.folder.path().join("state/epoch.json")).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        Timestamp::parse(told["first_start"].as_str().unwrap()).unwrap()
    }

    /// A session file that grows, with rows from the first start on.
    pub(crate) fn session(&self, project: &str, number: u32) -> Growing {
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        let path = self.folder.path().join(format!("projects/-home-dev-{project}/{id}.jsonl"));
        Growing { id, project: project.to_owned(), path, at: self.begun(), rows: 0, answers: 0, parent: Value::Null }
    }
}

/// A session file that grows.
pub(crate) struct Growing {
    pub(crate) id: String,
    project: String,
    pub(crate) path: PathBuf,
    pub(crate) at: Timestamp,
    rows: u32,
    answers: u32,
    parent: Value,
}

impl Growing {
    fn row(&mut self, kind: &str, own: &Value) -> String {
        self.rows += 1;
        self.at = Timestamp(self.at.0 + 1);
        let uuid = format!("{}-{:04x}-4000-9000-{:012x}", &self.id[..8], self.rows % 0x1_0000, self.rows);
        let mut row = json!({"parentUuid": self.parent, "isSidechain": false, "type": kind, "uuid": uuid,
            "timestamp": self.at.to_rfc3339(), "userType": "external", "entrypoint": "cli", "sessionId": self.id,
            "cwd": format!("/home/dev/{}", self.project), "version": "2.1.332", "gitBranch": "main"});
        for (name, value) in own.as_object().unwrap() {
            row[name] = value.clone();
        }
        self.parent = uuid.into();
        format!("{row}\n")
    }

    pub(crate) fn prompt(&mut self, text: &str) {
        let own = json!({"promptId": format!("p{}", self.rows), "message": {"role": "user", "content": text}});
        let row = self.row("user", &own);
        append(&self.path, row.as_bytes());
    }

    fn answer(&mut self, content: &Value, stop: &str) -> String {
        self.answers += 1;
        let id = format!("msg_{}_{}", &self.id[..8], self.answers);
        self.row(
            "assistant",
            &json!({"requestId": format!("req_{id}"), "message": {"id": id, "type": "message",
            "role": "assistant", "model": "claude-sonnet-4-5", "content": content, "stop_reason": stop,
            "usage": {"input_tokens": 3, "output_tokens": 20, "cache_read_input_tokens": 1_000}}}),
        )
    }

    /// The last answer of a turn.
    pub(crate) fn stop(&mut self, text: &str) {
        let row = self.answer(&json!([{"type": "text", "text": text}]), "end_turn");
        append(&self.path, row.as_bytes());
    }

    /// Rows of calls with their results.
    pub(crate) fn calls(&mut self, count: usize, tool: &str, text: &str) {
        let mut rows = String::new();
        for _ in 0..count {
            let call = format!("toolu_{}_{}", &self.id[..8], self.answers + 1);
            let content = json!([{"type": "tool_use", "id": call, "name": tool, "input": {"command": "ls"}}]);
            rows.push_str(&self.answer(&content, "tool_use"));
            let content = json!([{"type": "tool_result", "tool_use_id": call, "content": text}]);
            let own = json!({"message": {"role": "user", "content": content}, "toolUseResult": {"stdout": text}});
            rows.push_str(&self.row("user", &own));
        }
        append(&self.path, rows.as_bytes());
    }

    /// A call that fails.
    pub(crate) fn fails(&mut self, tool: &str, text: &str) {
        let call = format!("toolu_{}_{}", &self.id[..8], self.answers + 1);
        let content = json!([{"type": "tool_use", "id": call, "name": tool, "input": {"command": "ls"}}]);
        let mut rows = self.answer(&content, "tool_use");
        let content = json!([{"type": "tool_result", "tool_use_id": call, "content": text, "is_error": true}]);
        rows.push_str(
            &self.row("user", &json!({"message": {"role": "user", "content": content}, "toolUseResult": text})),
        );
        append(&self.path, rows.as_bytes());
    }
}

/// What the events of all sessions tell of a kind, `waiting` or `runaway`: what began or ended, and why.
pub(crate) fn told_of(address: SocketAddr, kind: &str) -> Vec<(String, String)> {
    let mut stream = Stream::open(address, "since=2000-01-01&follow=false&event=session", None);
    let mut told = Vec::new();
    while let Some(event) = stream.next() {
        let word = |name: &str| event.data[name].as_str().map(str::to_owned);
        told.extend(word("state").filter(|_| event.data["kind"] == kind).zip(word("reason")));
    }
    told
}
