//! A session that runs away, in the real program: metrics, answers, the log, and after a restart.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tailspan::config::{Config, Env, Flags, RunawaySettings};
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::followed::told_of;
use crate::support::http::{get, request};

const ID: &str = "0badc0de-0000-4000-8000-000000000001";
const LIST: &str = "/api/v1/analytics/sessions";

fn now() -> Timestamp {
    Timestamp(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

/// A session whose last rows say that the same command failed so many times in the last so many seconds.
fn failing(folder: &TempDir, from: usize, times: usize, last: Timestamp) {
    let file = file(folder);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    let mut row = |number: usize, at: i64, kind: &str, message: Value| {
        let row = json!({"type": kind, "uuid": format!("{number:08x}-0000-4000-8000-000000000000"), "sessionId": ID,
            "timestamp": Timestamp(at).to_rfc3339(), "cwd": "/home/dev/api", "version": "2.1.332", "message": message});
        writeln!(file, "{row}").unwrap();
    };
    if from == 0 {
        row(0, last.0 - 60_000, "user", json!({"role": "user", "content": "Make it work."}));
    }
    for nth in from..from + times {
        let at = last.0 - i64::try_from(from + times - nth).unwrap() * 2000;
        let call =
            json!({"type": "tool_use", "id": format!("toolu_{nth}"), "name": "Bash", "input": {"command": "npm test"}});
        let usage = json!({"input_tokens": 5, "output_tokens": 50});
        let answer = json!({"id": format!("msg_{nth}"), "role": "assistant", "model": "claude-opus-4-5", "content": [call],
            "stop_reason": "tool_use", "usage": usage});
        row(2 * nth + 1, at, "assistant", answer);
        let result =
            json!({"type": "tool_result", "tool_use_id": format!("toolu_{nth}"), "content": "no", "is_error": true});
        row(2 * nth + 2, at + 500, "user", json!({"role": "user", "content": [result]}));
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join(format!("projects/-home-dev-api/{ID}.jsonl"))
}

fn start(folder: &TempDir, config: &str) -> Daemon {
    let path = folder.path().join("tailspan.toml");
    fs::write(&path, config).unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let daemon = Daemon::start(&projects, &state, &["--config", path.to_str().unwrap()]);
    daemon.metrics();
    daemon
}

fn counts(daemon: &Daemon) -> [String; 3] {
    let metrics = daemon.metrics();
    ["cost", "calls", "failures"].map(|reason| {
        let series = format!("tailspan_sessions_runaway{{reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    })
}

#[test]
fn a_command_that_fails_again_and_again_is_told_everywhere_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    failing(&folder, 0, 3, now());
    let mut daemon = start(&folder, "");
    assert_eq!(counts(&daemon), ["0", "0", "0"]);
    let calm = get(daemon.address, LIST);
    assert_eq!(calm.json()["sessions"][0]["runaway"], Value::Null);
    failing(&folder, 3, 12, now());
    daemon.until("it is noticed", || (counts(&daemon) == ["0", "0", "1"]).then_some(()));
    let line = daemon.wait_for_log("a session runs away");
    assert!(line.contains(ID) && line.contains("failures"), "{line}");
    // The list is another one now, though nothing may have been written since.
    let tag = [("If-None-Match", calm.header("etag").unwrap())];
    let listed = request(daemon.address, "GET", LIST, &tag, b"").json();
    let one = get(daemon.address, &format!("{LIST}/{ID}")).json();
    for told in [&listed["sessions"][0]["runaway"], &one["runaway"]] {
        assert_eq!((told["reason"].as_str(), &told["baseline"]), (Some("failures"), &Value::Null), "{told}");
        assert!(told["value"].as_f64().unwrap() >= 30.0, "{told}");
        assert!(Timestamp::parse(told["since"].as_str().unwrap()).unwrap() <= now());
    }
    let metrics = daemon.metrics();
    assert!(!metrics.contains("0badc0de"), "no label says which session it is");
    assert!(daemon.said_since("a session runs away").is_none(), "it is said once");
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    // One more failure is enough: what was before is read from the state.
    let daemon = start(&folder, "");
    failing(&folder, 15, 1, now());
    daemon.until("it is noticed again", || (counts(&daemon) == ["0", "0", "1"]).then_some(()));
    let word = |state: &str| (state.to_owned(), "failures".to_owned());
    assert_eq!(told_of(daemon.address, "runaway"), [word("began")], "it goes on");
    drop(daemon);
    // Somebody who asks no more is told that it is over.
    let daemon = start(&folder, "[runaway]\nenabled = false\n");
    let told = daemon.until("it is told", || Some(told_of(daemon.address, "runaway")).filter(|told| told.len() > 1));
    assert_eq!(told, [word("began"), word("ended")]);
    drop(daemon);
    // One that begins anew is another one.
    let daemon = start(&folder, "");
    failing(&folder, 16, 15, now());
    let told = daemon.until("it is told", || Some(told_of(daemon.address, "runaway")).filter(|told| told.len() > 2));
    assert_eq!(told, [word("began"), word("ended"), word("began")]);
}

#[test]
fn the_configuration_says_from_where_on_and_whether_at_all() {
    let folder = TempDir::new().unwrap();
    failing(&folder, 0, 15, now());
    let daemon = start(&folder, "[runaway]\nenabled = false\n");
    assert_eq!(counts(&daemon), ["0", "0", "0"]);
    drop(daemon);
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    failing(&folder, 15, 15, now());
    let daemon = start(&folder, "[runaway]\nfailures_per_minute = 1000.5\ncalls_per_minute = 10\n");
    daemon.until("calls are too many", || (counts(&daemon) == ["0", "1", "0"]).then_some(()));
}

fn settings(file: &str) -> Result<RunawaySettings, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file.toml");
    fs::write(&path, file).unwrap();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let read = Config::resolve(&flags, &[("HOME", "/home/dev")].into_iter().collect::<Env>());
    read.map(|config| config.runaway).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

#[test]
fn settings_are_read_and_what_is_wrong_is_said() {
    assert_eq!(settings(""), Ok(RunawaySettings::default()));
    let all = "[runaway]\nenabled = false\nusd_per_minute = 2.5\ncalls_per_minute = \"100\"\nfailures_per_minute = 7\ntimes = 3\n";
    let own = RunawaySettings {
        enabled: false,
        usd_per_minute: 2.5,
        calls_per_minute: 100.0,
        failures_per_minute: 7.0,
        times: 3.0,
    };
    assert_eq!(settings(all), Ok(own));
    for (line, key) in [
        ("usd_per_minute = 0", "runaway.usd_per_minute"),
        ("usd_per_minute = -3", "runaway.usd_per_minute"),
        ("calls_per_minute = \"many\"", "runaway.calls_per_minute"),
        ("failures_per_minute = inf", "runaway.failures_per_minute"),
        ("times = 0.5", "runaway.times"),
        ("times = true", "runaway.times"),
        ("enabled = 1", "runaway.enabled"),
        ("usd_per_minut = 1", "runaway.usd_per_minute"),
    ] {
        let said = settings(&format!("[runaway]\n{line}\n")).unwrap_err();
        assert!(said.contains(key), "{line}: {said}");
    }
}
