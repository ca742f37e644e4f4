//! Sessions end for their age where the configuration says so, and only there: nothing of them is told any more but their
//! sums by day, and nothing of them is counted again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, sum};
use crate::support::world::append;

const OLD: &str = "aaaaaaaa-1111-4000-8000-000000000000";
const OTHER_OLD: &str = "bbbbbbbb-1111-4000-8000-000000000000";
const NEW: &str = "cccccccc-1111-4000-8000-000000000000";
/// A fork of [`OLD`] that nothing marks as one.
const FORK: &str = "dddddddd-1111-4000-8000-000000000000";

/// Far from any clock that a test may run under: one is old, and one never is.
const OLD_DAY: &str = "2020-03-04";
const NEW_DAY: &str = "2190-05-06";

/// Session files, and the state of a sidecar that reads them.
struct Place {
    folder: TempDir,
}

/// A turn of a session: a prompt, a call with its result, and an answer. Its ids are those of its number.
fn turn(session: &str, day: &str, number: u32, word: &str) -> Vec<Value> {
    let uuid = |row: u32| format!("{number:08x}-0000-4000-8000-{row:012x}");
    let row = |kind: &str, row: u32, message: Value| {
        json!({"type": kind, "sessionId": session, "uuid": uuid(row), "cwd": "/home/dev/shop", "gitBranch": "main",
            "version": "2.1.332", "isSidechain": false, "timestamp": format!("{day}T06:{:02}:0{row}.000Z", number % 60),
            "message": message})
    };
    let answer = |id: &str, content: Value, stop: &str| {
        json!({"id": format!("msg_{number}_{id}"), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": content, "stop_reason": stop, "usage": {"input_tokens": 60, "output_tokens": 40}})
    };
    let call = format!("toolu_{number}");
    let uses = json!([{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": "true"}}]);
    let result = json!([{"type": "tool_result", "tool_use_id": call, "content": "fine"}]);
    vec![
        row("user", 1, json!({"role": "user", "content": format!("please {word}")})),
        row("assistant", 2, answer("a", uses, "tool_use")),
        row("user", 3, json!({"role": "user", "content": result})),
        row("assistant", 4, answer("b", json!([{"type": "text", "text": format!("did {word}")}]), "end_turn")),
    ]
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        place.write(OLD, &[turn(OLD, OLD_DAY, 1, "weed"), turn(OLD, OLD_DAY, 2, "mow")].concat());
        place.write(OTHER_OLD, &turn(OTHER_OLD, "2020-03-05", 3, "rake"));
        place.write(NEW, &turn(NEW, NEW_DAY, 4, "plant"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, session: &str) -> PathBuf {
        self.path("projects").join("slug").join(format!("{session}.jsonl"))
    }

    fn write(&self, session: &str, rows: &[Value]) {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        append(&self.file(session), lines.as_bytes());
    }

    fn daemon(&self, config: &str) -> Daemon {
        let path = self.path("tailspan.toml");
        fs::write(&path, config).unwrap();
        let daemon = Daemon::start(&self.path("projects"), &self.path("state"), &["--config", path.to_str().unwrap()]);
        daemon.until("all files are read", || {
            let metrics = daemon.metrics();
            let read = sum(&metrics, "tailspan_initial_scan_complete") == 1.0
                && sum(&metrics, "tailspan_read_lag_bytes") == 0.0;
            read.then_some(())
        });
        daemon
    }

    /// A sidecar under which sessions end after 30 days, once it has looked at all of them.
    fn ending(&self) -> Daemon {
        let daemon = self.daemon("[retention]\nfacts = \"30d\"\n");
        daemon.until("only one session is left", || (ids(&daemon) == [NEW]).then_some(()));
        daemon
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
        command.env_clear().args(arguments).arg("--state").arg(self.path("state"));
        command.arg("--projects").arg(self.path("projects")).output().unwrap()
    }
}

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let (status, body) = daemon.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// A stream with one turn of a session as a run that ended: its rows but for the prompt, and a result.
fn streamed(rows: &[Value], run: &str) -> String {
    let at = &rows[0]["timestamp"];
    let mark = |mark: &str| {
        format!(
            "{{\"type\":\"tailspan\",\"mark\":\"{mark}\",\"run\":\"{run}\",\"workflow\":\"nightly\",\"at\":{at}}}\n"
        )
    };
    let session = &rows[0]["sessionId"];
    let own = |line: Value| format!("{line}\n");
    let mut text = mark("run")
        + &own(json!({"type": "system", "subtype": "init", "session_id": session, "cwd": "/home/dev/shop"}));
    for row in &rows[1..] {
        text +=
            &own(json!({"type": row["type"], "message": row["message"], "uuid": row["uuid"], "session_id": session,
            "timestamp": row["timestamp"], "parent_tool_use_id": null}));
    }
    let uuid = format!("{}-0000-4000-8000-0000000000ff", &run[..8]);
    let usage = json!({"claude-sonnet-4-5": {"inputTokens": 120, "outputTokens": 80, "cacheReadInputTokens": 0,
        "cacheCreationInputTokens": 0, "webSearchRequests": 0, "costUSD": 0.5}});
    text += &own(json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": 1, "uuid": uuid,
        "session_id": session, "total_cost_usd": 0.5, "terminal_reason": "completed", "modelUsage": usage}));
    text + &mark("end")
}

#[test]
fn what_a_run_cost_whose_session_ended_is_unknown_and_not_nothing() {
    let place = Place::new();
    for (session, day, number, word) in [(OLD, OLD_DAY, 2, "mow"), (NEW, NEW_DAY, 4, "plant")] {
        let run = format!("{number:08x}-0000-4000-9000-000000000000");
        let text = streamed(&turn(session, day, number, word), &run);
        append(&place.path("state").join("streams").join(format!("{run}.jsonl")), text.as_bytes());
    }
    let told = |daemon: &Daemon| {
        let workflow = json_of(daemon, "/api/v1/analytics/workflows")["workflows"][0].clone();
        let run = |number: u32| json_of(daemon, &format!("/api/v1/analytics/runs/{number:08x}"));
        (workflow, run(2), run(4))
    };
    let daemon = place.daemon("");
    let (before, old, new) = daemon.until("both runs", || {
        let list = json_of(&daemon, "/api/v1/analytics/runs");
        let is_known = |run: &Value| run["outcome"] == "success" && run["turns"] == 1;
        let runs = list["runs"].as_array().unwrap();
        (runs.len() == 2 && runs.iter().all(is_known)).then(|| told(&daemon))
    });
    for run in [&old, &new] {
        assert!(run["cost_usd"] != "0" && run["unattributed_usd"] != run["client_reported_usd"], "{run}");
    }
    assert_eq!(before["cost_per_run"]["p50_usd"], old["cost_usd"]);
    drop(daemon);
    let daemon = place.ending();
    let (workflow, old, kept) = told(&daemon);
    assert_eq!((&workflow["runs"], &workflow["cost_per_run"]["p50_usd"]), (&json!(2), &kept["cost_usd"]));
    assert_eq!((&old["client_reported_usd"], &old["unattributed_usd"]), (&json!("0.5"), &Value::Null), "{old}");
    assert_eq!(old["session_list"][0]["unattributed_usd"], Value::Null);
    assert_eq!((&old["outcome"], &old["cost_usd"]), (&json!("success"), &json!("0")));
    assert_eq!((&kept["cost_usd"], &kept["unattributed_usd"]), (&new["cost_usd"], &new["unattributed_usd"]));
}

/// The ids of all sessions in the list.
fn ids(daemon: &Daemon) -> Vec<String> {
    let list = json_of(daemon, "/api/v1/analytics/sessions?limit=1000");
    let mut ids: Vec<String> =
        list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// What the costs of everything are, told apart in every way but by session.
fn costs(daemon: &Daemon) -> BTreeMap<&'static str, Value> {
    let questions = [
        "group_by=day",
        "group_by=day,model&tz=Asia/Kathmandu",
        "group_by=week,agent",
        "group_by=month,entrypoint",
        "group_by=project,branch",
        "group_by=day&origin=human",
        "group_by=day&tool=Bash",
        "group_by=day&tool=Read",
        "group_by=hour&since=2020-03-04&until=2020-03-05",
    ];
    let answer = |question: &'static str| {
        let mut answer = json_of(daemon, &format!("/api/v1/analytics/costs?{question}"));
        let told = answer.as_object_mut().unwrap();
        told.retain(|name, _| ["rows", "total"].contains(&name.as_str()));
        (question, answer)
    };
    questions.into_iter().map(answer).collect()
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    sum(&daemon.metrics(), name)
}

/// The gauges of everything that was ever counted: rows from before the first start are in these.
fn lifetime(daemon: &Daemon) -> [f64; 2] {
    ["tailspan_lifetime_tokens", "tailspan_lifetime_cost_usd"].map(|name| metric(daemon, name))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A file is written anew with the same rows, so that it is read from its beginning.
fn rewrite(file: &Path) {
    let new = file.with_extension("new");
    fs::copy(file, &new).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn sessions_older_than_the_age_end_and_their_sums_stay() {
    let place = Place::new();
    let daemon = place.daemon("");
    let (before, tokens) = (costs(&daemon), lifetime(&daemon));
    assert_eq!(ids(&daemon), [OLD, OTHER_OLD, NEW], "nothing ends unless the configuration says so");
    assert_eq!(before["group_by=day"]["rows"].as_array().unwrap().len(), 3);
    assert_eq!(before["group_by=day"]["total"]["turns"], 4);
    assert_eq!(daemon.stop(), Some(0));

    let mut daemon = place.ending();
    let line = daemon.wait_for_log("sessions ended for their age");
    assert!(line.contains("sessions=2") && line.contains("units=3"), "{line}");
    daemon.until("they are counted", || {
        (metric(&daemon, "tailspan_retention_ended_total{what=\"sessions\"}") == 2.0).then_some(())
    });
    assert_eq!(costs(&daemon), before);
    assert_eq!(lifetime(&daemon), tokens);
    // Nothing else tells of them.
    assert_eq!(daemon.get(&format!("/api/v1/analytics/sessions/{OLD}")).0, 404);
    assert_eq!(daemon.get(&format!("/api/v1/analytics/sessions/{OLD}/replay")).0, 404);
    assert_eq!(daemon.get(&format!("/api/v1/analytics/sessions/{}", &OLD[..8])).0, 404);
    assert_eq!(json_of(&daemon, "/api/v1/analytics/search?q=weed")["hits"], json!([]));
    assert_ne!(json_of(&daemon, "/api/v1/analytics/search?q=plant")["hits"], json!([]));
    for table in ["sessions", "turns", "messages", "tools"] {
        let (status, body) = daemon.get(&format!("/api/v1/export/{table}.ndjson"));
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(NEW) && !body.contains(OLD) && !body.contains(OTHER_OLD), "{table}: {body}");
    }
    let trace = |session: &str| daemon.get(&format!("/jaeger/api/traces/{}", session.replace('-', ""))).0;
    assert_eq!([trace(OLD), trace(NEW)], [404, 200]);
    // Told apart by sessions, they are one row, and the rows add up.
    let by_session = json_of(&daemon, "/api/v1/analytics/costs?group_by=session&sort=key");
    let rows = by_session["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["session"].as_str().unwrap()).collect();
    assert_eq!(names, [NEW, "ended"]);
    let sums = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(by_session["total"], before["group_by=day"]["total"]);
    assert_eq!([sums("messages"), sums("turns"), sums("sessions")], [8, 4, 3]);
    let only = json_of(&daemon, &format!("/api/v1/analytics/costs?session={OLD}"));
    assert_eq!(only["total"]["messages"], 0, "a session that ended cannot be asked for");
    assert_eq!(daemon.stop(), Some(0));
    let output = place.run(&["verify"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("2 sessions are not compared: they ended for their age"), "{}", said(&output));
}

#[test]
fn what_ended_is_not_counted_again_whatever_is_read() {
    let place = Place::new();
    let daemon = place.ending();
    let (before, tokens) = (costs(&daemon), lifetime(&daemon));
    // The file of one is written anew, and an old client copies its rows into a session that goes on with them.
    rewrite(&place.file(OLD));
    let mut copied = [turn(OLD, OLD_DAY, 1, "weed"), turn(OLD, OLD_DAY, 2, "mow")].concat();
    copied.iter_mut().for_each(|row| row["sessionId"] = json!(FORK));
    place.write(FORK, &copied);
    place.write(FORK, &turn(FORK, NEW_DAY, 5, "water"));
    daemon.until("the fork is there", || ids(&daemon).contains(&FORK.to_owned()).then_some(()));
    assert_eq!(ids(&daemon), [NEW, FORK]);
    daemon.until("its own turn is counted", || (lifetime(&daemon)[0] >= tokens[0] + 200.0).then_some(()));
    let detail = json_of(&daemon, &format!("/api/v1/analytics/sessions/{FORK}"));
    assert_eq!(detail["turns"].as_array().unwrap().len(), 1, "only its own turn");
    assert_eq!(lifetime(&daemon)[0], tokens[0] + 200.0);
    assert_eq!(daemon.stop(), Some(0));

    // A restart reads nothing, and neither that nor a look at the rewritten file counts anything.
    rewrite(&place.file(OTHER_OLD));
    let daemon = place.daemon("");
    assert_eq!(ids(&daemon), [NEW, FORK], "without the setting, what ended has still ended");
    assert_eq!(lifetime(&daemon)[0], tokens[0] + 200.0);
    let by_day = |costs: &BTreeMap<&'static str, Value>| costs["group_by=day"]["rows"].as_array().unwrap().clone();
    assert_eq!(by_day(&costs(&daemon))[..2], by_day(&before)[..2], "the days of what ended");

    // A person goes on with a session that has ended.
    place.write(OLD, &turn(OLD, NEW_DAY, 6, "harvest"));
    daemon.until("its turn is counted", || (lifetime(&daemon)[0] >= tokens[0] + 400.0).then_some(()));
    assert_eq!(ids(&daemon), [OLD, NEW, FORK], "the session is there again");
    assert_eq!(lifetime(&daemon)[0], tokens[0] + 400.0);
    let after = costs(&daemon);
    assert_eq!(by_day(&after)[..2], by_day(&before)[..2]);
    assert_eq!(by_day(&after)[2]["turns"], 3);
    let outline = json_of(&daemon, &format!("/api/v1/analytics/sessions/{OLD}/replay"));
    assert!(outline.to_string().contains("harvest") && !outline.to_string().contains("weed"), "{outline}");

    // What the model says without being asked counts too: a session was left open for longer than the age.
    place.write(OTHER_OLD, &turn(OTHER_OLD, NEW_DAY, 7, "rest")[3..]);
    daemon.until("the answer is counted", || (lifetime(&daemon)[0] >= tokens[0] + 500.0).then_some(()));
    assert_eq!(ids(&daemon), [OLD, OTHER_OLD, NEW, FORK]);
    assert_eq!(by_day(&costs(&daemon))[..2], by_day(&before)[..2]);
    assert_eq!(daemon.stop(), Some(0));
    let output = place.run(&["verify"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_kill_while_sessions_end_leaves_each_there_or_ended() {
    let place = Place::new();
    for number in 0..400 {
        let session = format!("eeeeeeee-1111-4000-8000-{number:012x}");
        place.write(&session, &turn(&session, OLD_DAY, 100 + number, "dig"));
    }
    let daemon = place.daemon("");
    let (before, tokens) = (costs(&daemon), lifetime(&daemon));
    assert_eq!(daemon.stop(), Some(0));
    for _ in 0..3 {
        let daemon = place.daemon("[retention]\nfacts = \"30d\"\n");
        daemon.signal("-KILL");
    }
    let daemon = place.daemon("");
    let left = ids(&daemon).len();
    assert_eq!(costs(&daemon), before, "{left} are left");
    assert_eq!(lifetime(&daemon), tokens);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = place.ending();
    assert_eq!(costs(&daemon), before);
    assert_eq!(daemon.stop(), Some(0));
    let output = place.run(&["verify"]);
    assert!(output.status.success(), "{}", said(&output));
}
