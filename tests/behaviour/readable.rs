//! What of the conversation can be read in the files of the state: titles without secrets, and no text that was delivered
//! once the level of content was lowered.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use tailspan::transcript::time::Timestamp;
use tailspan::transcript::title::{TITLE_CHARS_MAX, old_title};
use tailspan::views::traces::content::ContentLevel;
use tailspan::views::traces::finish::SpanRules;

use crate::support::daemon::{Daemon, sum};
use crate::support::database;
use crate::support::receiver::Receiver;
use crate::support::world::{Dice, EVERYTHING, World, append, files_below};

const COMMAND: &str = "grep -r walrus src";
const ASKED: &str = "please find the walrus";
const RESULT: &str = "kitchen/walrus.txt:1:tusk";
const ANSWERED: &str = "the walrus is in the kitchen";
/// Text of spans at `content`, and what of it `details` lets out.
const TEXTS: [&str; 4] = [COMMAND, ASKED, RESULT, ANSWERED];

fn session(number: u32) -> String {
    format!("1f000000-0000-4000-8000-{number:012}")
}

/// A session of one turn with one tool call.
fn conversation(number: u32) -> String {
    let session = session(number);
    let row = |second: u32, kind: &str, message: Json| {
        json!({
            "type": kind, "sessionId": session, "cwd": "/home/dev/zoo", "version": "2.1.330", "isSidechain": false,
            "timestamp": format!("2026-11-22T06:00:{second:02}.000Z"), "promptId": format!("p{number}"),
            "uuid": format!("1f000000-0000-4000-8000-{number:06}{second:06}"), "message": message,
        })
    };
    let answer = |id: &str, block: Json, stop: &str| {
        json!({
            "id": format!("msg_{number}_{id}"), "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [block], "stop_reason": stop, "usage": { "input_tokens": 5, "output_tokens": 5 },
        })
    };
    let call = format!("toolu_{number}");
    let bash = json!({ "type": "tool_use", "id": call, "name": "Bash", "input": { "command": COMMAND } });
    let result = json!({ "type": "tool_result", "tool_use_id": call, "content": RESULT, "is_error": false });
    let rows = [
        row(1, "user", json!({ "role": "user", "content": ASKED })),
        row(2, "assistant", answer("1", bash, "tool_use")),
        row(3, "user", json!({ "role": "user", "content": [result] })),
        row(4, "assistant", answer("2", json!({ "type": "text", "text": ANSWERED }), "end_turn")),
    ];
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn write_session(projects: &Path, number: u32, more: &str) {
    let path = projects.join(format!("-home-dev-zoo/{}.jsonl", session(number)));
    append(&path, format!("{}{more}", conversation(number)).as_bytes());
}

/// Whether any file of a state holds a text.
fn holds(state: &Path, needle: &str) -> bool {
    let holds = |bytes: &[u8]| memchr::memmem::find(bytes, needle.as_bytes()).is_some();
    files_below(state).iter().any(|file| holds(&fs::read(file).unwrap()))
}

fn rules(content: ContentLevel) -> SpanRules {
    SpanRules { content, ..SpanRules::default() }
}

/// A sidecar at a level of content, which delivers everything.
fn start(folder: &Path, level: &str, receiver: &Receiver) -> Daemon {
    let config = folder.join("tailspan.toml");
    fs::write(&config, format!("[traces]\ncontent = \"{level}\"\nsettle = \"0s\"\n[scan]\nrescan = \"50ms\"\n"))
        .unwrap();
    let more = ["--config", config.to_str().unwrap(), "--otlp-endpoint", &receiver.url()];
    Daemon::start(
        &folder.join("projects"),
        &folder.join("state"),
        &[&more[..], &["--traces-history-since", "all"]].concat(),
    )
}

/// Waits until so many spans have come and nothing waits; gives what the sidecar says of all sessions then.
fn delivered(daemon: &Daemon, receiver: &Receiver, spans: usize) -> BTreeMap<String, Json> {
    let come = || receiver.received().iter().map(|request| request.span_ids().len()).sum::<usize>();
    daemon.until("all spans have come", || (come() >= spans).then_some(()));
    daemon.until("nothing waits", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(()));
    assert_eq!(come(), spans);
    totals(daemon)
}

/// Everything that is summed up, by its name.
fn totals(daemon: &Daemon) -> BTreeMap<String, Json> {
    let list: Json = serde_json::from_str(&daemon.get("/api/v1/analytics/sessions?limit=100").1).unwrap();
    let mut totals = BTreeMap::from([("sessions".to_owned(), list["sessions"].clone())]);
    for name in ["tailspan_lifetime_tokens", "tailspan_lifetime_cost_usd", "tailspan_turns_total"] {
        totals.insert(name.to_owned(), json!(sum(&daemon.metrics(), name)));
    }
    totals
}

/// A session's title, as its file says it.
fn titled(number: u32, kind: &str, title: &str) -> String {
    let key = if kind == "custom-title" { "customTitle" } else { "aiTitle" };
    format!("{}\n", json!({ "type": kind, key: title, "sessionId": session(number) }))
}

#[test]
fn a_secret_in_a_title_is_in_no_file_and_in_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let key = format!("ghp_{}", "16C7e42F".repeat(5));
    // The second one stands where a title is cut.
    let cut = format!("{} {key}", "x".repeat(TITLE_CHARS_MAX - 12));
    write_session(&projects, 1, &titled(1, "custom-title", "Deploy the zoo with DB_PASSWORD=hunter2hunter2"));
    write_session(&projects, 2, &titled(2, "ai-title", &cut));
    let receiver = Receiver::start();
    let mut daemon = start(folder.path(), "content", &receiver);
    daemon.wait_for_log("the first scan is complete");
    let base = "/api/v1/analytics/sessions";
    let list: Json = serde_json::from_str(&daemon.get(base).1).unwrap();
    let title_of = |id: &str| {
        let sessions = list["sessions"].as_array().unwrap();
        sessions.iter().find(|session| session["id"] == id).unwrap()["title"].as_str().unwrap()
    };
    assert_eq!(title_of(&session(1)), "Deploy the zoo with DB_PASSWORD=[REDACTED]");
    assert!(title_of(&session(2)).starts_with("xxx") && title_of(&session(2)).ends_with(" ghp_[REDACT"));
    assert_eq!(title_of(&session(2)).chars().count(), TITLE_CHARS_MAX);

    let mut answers = vec![daemon.metrics()];
    for path in [base.to_owned(), "/jaeger/api/traces?service=claude-code".to_owned()] {
        answers.push(daemon.get(&path).1);
    }
    for number in [1, 2] {
        let id = session(number);
        let trace = id.replace('-', "");
        for path in [format!("{base}/{id}"), format!("{base}/{id}/replay"), format!("/jaeger/api/traces/{trace}")] {
            let (status, body) = daemon.get(&path);
            assert_eq!(status, 200, "{path}: {body}");
            answers.push(body);
        }
    }
    delivered(&daemon, &receiver, 2 * 4);
    daemon.stop();
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let scan = scan.args(["scan", "--sessions", "--format", "json"]).arg(&projects).output().unwrap();
    answers.push(String::from_utf8(scan.stdout).unwrap());
    assert!(answers.last().unwrap().contains("Deploy the zoo"), "{answers:?}");
    assert!(holds(&state, "Deploy the zoo"), "the title is not where this test looks");
    for secret in ["hunter2", "16C7"] {
        assert!(!holds(&state, secret), "{secret} is in the state");
        assert!(!answers.iter().any(|answer| answer.contains(secret)), "{secret} is in an answer");
    }
}

#[test]
fn a_title_that_was_cut_before_it_was_scrubbed_ends_in_no_half_of_a_secret() {
    let key = format!("ghp_{}", "16C7e42F".repeat(5));
    for before in TITLE_CHARS_MAX - 60..TITLE_CHARS_MAX + 5 {
        let title = format!("{} use {key} for it, and more {}", "ä".repeat(before - 6), "y".repeat(TITLE_CHARS_MAX));
        let kept: String = title.chars().take(TITLE_CHARS_MAX).collect();
        let shown = old_title(&kept).unwrap();
        assert!(!shown.contains("16C7") && shown.starts_with("äää"), "at {before}: {shown}");
    }
    assert_eq!(old_title("A title").as_deref(), Some("A title"));
    assert_eq!(old_title(&"x".repeat(TITLE_CHARS_MAX)), None, "it may be all of it a secret");
}

#[test]
fn text_that_was_delivered_leaves_the_files_when_the_level_is_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let receiver = Receiver::start();
    write_session(&projects, 1, "");
    let mut daemon = start(folder.path(), "content", &receiver);
    delivered(&daemon, &receiver, 4);
    daemon.hear_out();
    assert!(!daemon.said.join("\n").contains("compacted"), "{:?}", daemon.said);
    daemon.stop();
    TEXTS.iter().for_each(|text| assert!(holds(&state, text), "{text:?} is not where this test looks"));

    // At the same level nothing is done for that reason, however often it starts and whatever comes.
    let mut daemon = start(folder.path(), "content", &receiver);
    write_session(&projects, 2, "");
    let before = delivered(&daemon, &receiver, 8);
    daemon.signal("-TERM");
    daemon.wait_for_log("stopped");
    assert!(!daemon.said.join("\n").contains("compacted"), "{:?}", daemon.said);
    drop(daemon);
    TEXTS.iter().for_each(|text| assert!(holds(&state, text), "{text:?} has left"));

    let mut daemon = start(folder.path(), "details", &receiver);
    daemon.wait_for_log("text that was delivered is taken out");
    daemon.wait_for_log("the database was compacted");
    assert_eq!(totals(&daemon), before);
    // What is written from now on is of the new level.
    write_session(&projects, 3, "");
    let before = delivered(&daemon, &receiver, 12);
    daemon.stop();
    assert!(holds(&state, COMMAND));
    TEXTS.iter().skip(1).for_each(|text| assert!(!holds(&state, text), "{text:?} is in the state"));

    let mut daemon = start(folder.path(), "off", &receiver);
    daemon.wait_for_log("the database was compacted");
    assert_eq!(totals(&daemon), before);
    daemon.stop();
    TEXTS.iter().for_each(|text| assert!(!holds(&state, text), "{text:?} is in the state"));

    // That was it: the next start has nothing to do.
    let mut daemon = start(folder.path(), "off", &receiver);
    write_session(&projects, 4, "");
    delivered(&daemon, &receiver, 16);
    daemon.signal("-TERM");
    daemon.wait_for_log("stopped");
    assert!(!daemon.said.join("\n").contains("compacted"), "{:?}", daemon.said);
}

/// A world at `off` after one at `content`, whose spans still wait.
fn lowered(folder: &Path) -> World {
    let mut world = World::shaped(folder, EVERYTHING, rules(ContentLevel::Content));
    write_session(&world.root, 1, "");
    world.read(&mut Dice::new(1), usize::MAX);
    world.close();
    world.spans = rules(ContentLevel::Off);
    world.start();
    world
}

fn give_back(world: &mut World, later_ms: i64) {
    let now = Timestamp(world.now.0 + later_ms);
    let engine = world.engine.as_mut().unwrap();
    engine.flush().unwrap();
    engine.give_back(now).unwrap();
    engine.flush().unwrap();
}

#[test]
fn spans_that_wait_when_the_level_is_lowered_leave_as_they_are_and_then_their_text_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = lowered(folder.path());
    write_session(&world.root, 2, "");
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    give_back(&mut world, 0);
    TEXTS.iter().for_each(|text| assert!(holds(&world.state, text), "{text:?} waits"));
    // A start in between forgets nothing.
    world.restart();
    let before = world.summary();
    let spans = format!("{:?}", world.take_spans());
    assert_eq!(spans.matches(ANSWERED).count(), 2, "the answer and the turn, of the first session alone: {spans}");
    give_back(&mut world, 0);
    TEXTS.iter().for_each(|text| assert!(!holds(&world.state, text), "{text:?} is in the state"));
    assert_eq!(world.summary(), before);
    world.restart();
    assert_eq!(world.summary(), before);
}

#[test]
fn a_copy_that_cannot_be_made_is_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = lowered(folder.path());
    world.take_spans();
    // As good as a full disk: the copy cannot be made.
    let obstacle = world.state.join("db.new");
    fs::write(&obstacle, "").unwrap();
    give_back(&mut world, 0);
    fs::remove_file(&obstacle).unwrap();
    give_back(&mut world, 599_999);
    assert!(holds(&world.state, ANSWERED), "a log would be flooded");
    give_back(&mut world, 600_000);
    assert!(!holds(&world.state, ANSWERED));
}

#[test]
fn a_state_that_does_not_say_what_it_holds_is_taken_to_hold_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::shaped(folder.path(), EVERYTHING, rules(ContentLevel::Content));
    write_session(&world.root, 1, "");
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    world.take_spans();
    world.close();
    let database = database::open(&world.state);
    assert!(database.remove(b"mcontent").unwrap().is_some());
    database.flush().unwrap();
    drop(database);
    assert!(holds(&world.state, ANSWERED));
    world.spans = rules(ContentLevel::Off);
    world.start();
    give_back(&mut world, 0);
    assert!(!holds(&world.state, ANSWERED));
}
