//! Which session waits for a program that the client asks whether a call may run, as streams tell: a question ends with what
//! ends it, whatever the clocks of the two say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tailspan::sidecar::clock;
use tailspan::transcript::time::Timestamp;

use crate::support::daemon::Daemon;
use crate::support::followed::Stream;
use crate::support::http::request;
use crate::support::world::{append, recordings};

/// What ends a question.
const ENDS: [&str; 9] = [
    "result of the call",
    "refusal",
    "end of the turn",
    "taken back",
    "answered",
    "end",
    "another run",
    "init",
    "prompt",
];

/// A sidecar without files.
struct Side {
    folder: tempfile::TempDir,
    daemon: Daemon,
}

impl Side {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("projects")).unwrap();
        let daemon = Self::start(folder.path());
        Self { folder, daemon }
    }

    fn start(folder: &Path) -> Daemon {
        let daemon = Daemon::start(&folder.join("projects"), &folder.join("state"), &[]);
        daemon.metrics();
        daemon
    }

    /// The process dies, and is started again.
    fn restart(self) -> Self {
        let Self { folder, daemon } = self;
        drop(daemon);
        let daemon = Self::start(folder.path());
        Self { folder, daemon }
    }

    fn post(&self, run: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let headers = [("Content-Type", "application/x-ndjson"), ("Tailspan-Run", run)];
        let reply = request(self.daemon.address, "POST", "/api/v1/events", &headers, text.as_bytes());
        assert_eq!(reply.status, 202, "{}", reply.text());
    }

    /// The sessions that wait for an answer.
    fn waiting(&self) -> BTreeSet<String> {
        let list = |of: &str| -> Value {
            let path = format!("/api/v1/analytics/sessions?limit=100&waiting={of}");
            serde_json::from_str(&self.daemon.get(&path).1).unwrap()
        };
        let lists = [list("permission"), list("question")];
        let rows = lists.iter().flat_map(|list| list["sessions"].as_array().unwrap());
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    fn until_waiting(&self, wanted: &BTreeSet<String>) {
        self.daemon.until_or("these sessions wait", || {
            let waiting = self.waiting();
            if waiting == *wanted { Ok(()) } else { Err(format!("{waiting:?}, not {wanted:?}")) }
        });
    }

    /// What the stream of events tells of the waits of a session: whether each began or ended.
    fn told(&self, asker: Asker) -> Vec<String> {
        let mut stream = Stream::open(self.daemon.address, "since=2000-01-01&follow=false&event=session", None);
        let mut told = Vec::new();
        while let Some(event) = stream.next() {
            let is_own = event.data["kind"] == "waiting" && event.data["session"] == asker.session();
            told.extend(event.data["state"].as_str().filter(|_| is_own).map(str::to_owned));
        }
        told
    }

    /// Who waits once a session that asked behind all others is seen to wait.
    fn waiting_in_the_end(&self) -> BTreeSet<String> {
        self.post(&LAST.run(), &LAST.asks());
        let id = LAST.session();
        self.daemon.until("the last one waits", || self.waiting().contains(&id).then_some(()));
        let mut waiting = self.waiting();
        waiting.remove(&id);
        waiting
    }
}

/// A session whose client asks whether it may write a file.
#[derive(Clone, Copy)]
struct Asker {
    number: u32,
    /// By how much the clock of the client is off.
    clock_ms: i64,
}

/// One that asks behind all others.
const LAST: Asker = Asker { number: 999, clock_ms: 0 };

impl Asker {
    fn id(self, part: u32) -> String {
        format!("{:08x}-0a5c-4000-8000-{part:012x}", self.number)
    }

    fn session(self) -> String {
        self.id(1)
    }

    fn run(self) -> String {
        self.id(2)
    }

    fn row(self, part: u32, kind: &str, message: &Value) -> String {
        let at = Timestamp(clock::now().0 + self.clock_ms).to_rfc3339();
        let row = json!({"type": kind, "message": message, "uuid": self.id(part), "session_id": self.session(),
            "parent_tool_use_id": null, "timestamp": at});
        format!("{row}\n")
    }

    fn answer(self, part: u32, block: &Value, stop: &str) -> String {
        let message = json!({"id": format!("msg_{}", self.id(part)), "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5", "content": [block], "stop_reason": stop,
            "usage": {"input_tokens": 9, "output_tokens": 40}});
        self.row(part, "assistant", &message)
    }

    fn said(self, part: u32, block: &Value) -> String {
        self.row(part, "user", &json!({"role": "user", "content": [block]}))
    }

    fn own(self, part: u32, more: &Value) -> String {
        let mut line = json!({"uuid": self.id(part), "session_id": self.session()});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{line}\n")
    }

    fn init(self, part: u32) -> String {
        self.own(part, &json!({"type": "system", "subtype": "init", "cwd": "/home/dev/asks"}))
    }

    fn result(self, subtype: &str) -> String {
        self.own(50, &json!({"type": "result", "subtype": subtype, "num_turns": 1, "total_cost_usd": 0.001}))
    }

    /// The beginning of its stream, up to the question.
    fn asks(self) -> String {
        let call = json!({"type": "tool_use", "id": self.call(), "name": "Write", "input": {}});
        let asked = json!({"type": "control_request", "request_id": self.id(9),
            "request": {"subtype": "can_use_tool", "tool_name": "Write", "tool_use_id": self.call()}});
        format!("{}{}{asked}\n", self.init(3), self.answer(4, &call, "tool_use"))
    }

    fn call(self) -> String {
        format!("toolu_{}", self.number)
    }

    fn returns(self, more: &Value) -> String {
        let mut block = json!({"type": "tool_result", "tool_use_id": self.call(), "content": "done"});
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.said(5, &block)
    }

    /// The lines of its stream that end the question; none if something else ends it.
    fn ends(self, how: &str) -> String {
        match how {
            "result of the call" => self.returns(&json!({})),
            "refusal" => {
                let text = json!({"type": "text", "text": "[Request interrupted by user for tool use]"});
                let refused = self.returns(&json!({"is_error": true, "content": "The user doesn't want to proceed."}));
                refused + &self.said(6, &text) + &self.result("error_during_execution")
            }
            "end of the turn" => self.result("error_max_budget_usd"),
            "taken back" => format!("{}\n", json!({"type": "control_cancel_request", "request_id": self.id(9)})),
            "answered" => format!(
                "{}\n",
                json!({"type": "control_response", "response": {"subtype": "success", "request_id": self.id(9), "response": {}}})
            ),
            "end" => format!("{}\n", json!({"type": "tailspan", "mark": "end", "at": clock::now().to_rfc3339()})),
            _ => String::new(),
        }
    }

    /// Ends the question by what is not in its stream.
    fn ends_elsewhere(self, how: &str, side: &Side) {
        let text = json!({"type": "text", "text": "Going on."});
        match how {
            "another run" => side.post(&self.id(7), &(self.init(8) + &self.answer(10, &text, "end_turn"))),
            "init" => side.post(&self.id(7), &self.init(8)),
            "prompt" => {
                let at = Timestamp(clock::now().0 + self.clock_ms).to_rfc3339();
                let row = json!({"type": "user", "uuid": self.id(11), "sessionId": self.session(), "timestamp": at,
                    "cwd": "/home/dev/asks", "version": "2.1.332", "entrypoint": "cli", "userType": "external",
                    "isSidechain": false, "promptSource": "typed", "promptId": "p1",
                    "message": {"role": "user", "content": "Go on."}});
                let file = format!("projects/-home-dev-asks/{}.jsonl", self.session());
                append(&side.folder.path().join(file), format!("{row}\n").as_bytes());
            }
            _ => {}
        }
    }
}

/// A session for each way to end a question, with a clock that is behind, right and ahead.
fn askers() -> Vec<(&'static str, Asker)> {
    let clocks = [(0, -40_000), (100, 0), (200, 40_000)];
    let of = |(first, clock_ms): (u32, i64)| {
        ENDS.into_iter().zip(first..).map(move |(how, number)| (how, Asker { number, clock_ms }))
    };
    clocks.into_iter().flat_map(of).collect()
}

#[test]
fn a_question_that_has_ended_leaves_nobody_waiting() {
    let side = Side::new();
    for (how, asker) in askers() {
        side.post(&asker.run(), &(asker.asks() + &asker.ends(how)));
        if asker.ends(how).is_empty() {
            // Files are read in any order, so the question has to be read before what ends it elsewhere.
            let path = format!("/api/v1/analytics/sessions/{}", asker.session());
            side.daemon.until("it is read", || (side.daemon.get(&path).0 == 200).then_some(()));
        }
        asker.ends_elsewhere(how, &side);
    }
    // Of a prompt in a file the sidecar may hear a moment later.
    let prompts: Vec<String> =
        askers().into_iter().filter(|(how, _)| *how == "prompt").map(|(_, asker)| asker.session()).collect();
    let name = |session: &String| {
        let known: Value =
            serde_json::from_str(&side.daemon.get(&format!("/api/v1/analytics/sessions/{session}")).1).unwrap();
        known["correlation"]["sources"]["file"] == true
    };
    side.daemon.until("the prompts are read", || prompts.iter().all(name).then_some(()));
    assert_eq!(side.waiting_in_the_end(), BTreeSet::new());
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn a_question_stands_until_something_ends_it() {
    let side = Side::new();
    askers().into_iter().for_each(|(_, asker)| side.post(&asker.run(), &asker.asks()));
    let mut waiting: BTreeSet<String> = askers().into_iter().map(|(_, asker)| asker.session()).collect();
    side.until_waiting(&waiting);
    for (how, asker) in askers() {
        side.post(&asker.run(), &asker.ends(how));
        asker.ends_elsewhere(how, &side);
        waiting.remove(&asker.session());
        side.until_waiting(&waiting);
    }
    assert_eq!(side.waiting_in_the_end(), BTreeSet::new());
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn another_start_neither_loses_a_question_nor_brings_one_back() {
    let side = Side::new();
    let [stands, ended, over] = [300, 301, 302].map(|number| Asker { number, clock_ms: -40_000 });
    side.post(&ended.run(), &(ended.asks() + &ended.ends("result of the call")));
    side.post(&over.run(), &(over.asks() + &over.ends("end")));
    side.post(&stands.run(), &stands.asks());
    let only = BTreeSet::from([stands.session()]);
    side.until_waiting(&only);
    let told = |side: &Side| side.told(stands);
    side.daemon.until("it is told", || (told(&side) == ["began"]).then_some(()));
    let side = side.restart();
    side.until_waiting(&only);
    side.post(&stands.run(), &stands.ends("result of the call"));
    side.until_waiting(&BTreeSet::new());
    side.daemon.until("its end is told", || (told(&side).len() > 1).then_some(()));
    assert_eq!(told(&side), ["began", "ended"], "it did not end with the first process");
    let side = side.restart();
    assert_eq!(side.waiting_in_the_end(), BTreeSet::new());
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn a_question_that_its_rows_tell_as_well_is_one_wait() {
    let side = Side::new();
    let [first, last] = [400, 401].map(|number| Asker { number, clock_ms: -2_000 });
    for asker in [first, last] {
        side.post(&asker.run(), &asker.asks().replace("\"Write\"", "\"AskUserQuestion\""));
        side.daemon.until("it is told", || (!side.told(asker).is_empty()).then_some(()));
    }
    // Of the first, the client's own question has stood for long enough by then.
    assert_eq!(side.waiting_in_the_end(), BTreeSet::from([first.session(), last.session()]));
    side.daemon.until("the last one is told", || (!side.told(LAST).is_empty()).then_some(()));
    assert_eq!([first, last].map(|asker| side.told(asker)), [["began"], ["began"]]);
    assert_eq!(side.daemon.stop(), Some(0));
}

/// A stream with every timestamp moved by so many milliseconds.
fn moved(text: &str, ms: i64) -> String {
    const NAME: &str = "\"timestamp\":\"";
    let mut moved = String::new();
    for (number, part) in text.split(NAME).enumerate() {
        let time = part.split('"').next().and_then(Timestamp::parse).filter(|_| number > 0);
        moved += if number > 0 { NAME } else { "" };
        match time {
            Some(time) => {
                moved += &format!("{}{}", Timestamp(time.0 + ms).to_rfc3339(), &part[part.find('"').unwrap()..])
            }
            None => moved += part,
        }
    }
    moved
}

#[test]
fn no_recorded_stream_leaves_somebody_waiting() {
    let streams: Vec<String> =
        recordings().iter().filter_map(|folder| fs::read_to_string(folder.join("stream.jsonl")).ok()).collect();
    assert!(streams.iter().any(|stream| stream.contains("can_use_tool")));
    let last = |stream: &str| {
        let rows = stream.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
        rows.filter_map(|row| Timestamp::parse(row["timestamp"].as_str()?)).max()
    };
    for is_moved in [false, true] {
        let side = Side::new();
        for (stream, number) in streams.iter().zip(500..) {
            let behind = last(stream).map_or(0, |last| clock::now().0 - 30_000 - last.0);
            let run = Asker { number, clock_ms: 0 }.run();
            side.post(&run, &moved(stream, if is_moved { behind } else { 0 }));
        }
        assert_eq!(side.waiting_in_the_end(), BTreeSet::new(), "moved: {is_moved}");
        assert_eq!(side.daemon.stop(), Some(0));
    }
}
