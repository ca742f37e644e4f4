//! What a running sidecar makes of hooks of the client, and of the client's list of its processes.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tailspan::sidecar::clock;
use tailspan::transcript::time::Timestamp;

use crate::hooks::{hook, told};
use crate::support::daemon::{Daemon, sum};
use crate::support::followed::{Stream, told_of};
use crate::support::reports::tailspan;
use crate::support::world::append;

/// A sidecar over a projects folder in a configuration folder, with these settings.
struct Home {
    folder: tempfile::TempDir,
    settings: PathBuf,
}

impl Home {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("config/projects/-home-dev-x")).unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, settings).unwrap();
        Self { folder, settings: path }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn start(&self) -> Daemon {
        let daemon = Daemon::start(
            &self.config().join("projects"),
            &self.state(),
            &["--config", self.settings.to_str().unwrap()],
        );
        daemon.metrics();
        daemon
    }

    fn write(&self, session: &str, rows: &[Value]) {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        append(&self.config().join(format!("projects/-home-dev-x/{session}.jsonl")), text.as_bytes());
    }

    fn hook(&self, session: &str, event: &str, more: &Value) {
        let mut told = told(event, more.clone());
        told["session_id"] = json!(session);
        hook(&["--state", self.state().to_str().unwrap()], &[], told.to_string().as_bytes());
    }
}

/// A row of a session that a person types in a terminal, at a moment.
fn row(session: &str, number: u32, at: Timestamp, more: &Value) -> Value {
    let mut row = json!({"uuid": format!("{number:08}-0000-4000-8000-{}", &session[24..]), "sessionId": session,
        "timestamp": at.to_rfc3339(), "cwd": "/home/dev/x", "version": "2.1.332", "entrypoint": "cli", "userType": "external",
        "isSidechain": false});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn prompt(session: &str, number: u32, at: Timestamp) -> Value {
    let message = json!({"role": "user", "content": "Go."});
    row(
        session,
        number,
        at,
        &json!({"type": "user", "promptSource": "typed", "promptId": format!("p{number}"), "message": message}),
    )
}

fn answer(session: &str, number: u32, at: Timestamp, stop: &str, block: &Value) -> Value {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({"role": "assistant", "id": format!("msg_{session}{number}"), "model": "claude-sonnet-4-5",
        "stop_reason": stop, "usage": usage, "content": [block]});
    row(
        session,
        number,
        at,
        &json!({"type": "assistant", "requestId": format!("r{session}{number}"), "message": message}),
    )
}

fn call(tool: &str, id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": tool, "input": {}})
}

fn result(session: &str, number: u32, at: Timestamp, id: &str) -> Value {
    let content = json!([{"type": "tool_result", "tool_use_id": id, "content": "ok"}]);
    row(
        session,
        number,
        at,
        &json!({"type": "user", "message": {"role": "user", "content": content}, "toolUseResult": {}}),
    )
}

fn session(number: u32) -> String {
    format!("5e550000-0000-4000-8000-{number:012}")
}

/// How many turns have ended, as the histogram of their durations counts them.
fn ended(daemon: &Daemon) -> f64 {
    sum(&daemon.metrics(), "tailspan_turn_duration_seconds_count")
}

#[test]
fn a_hook_closes_a_turn_once_its_last_row_is_read() {
    // Without hooks these turns would be open for as long as the test may take.
    let home = Home::new("[traces]\nsettle = \"1h\"\n");
    let daemon = home.start();
    let now = clock::now();
    let after = |ms: i64| Timestamp(now.0 + ms);
    let text = json!({"type": "text", "text": "Done."});
    let summary = |session: &str| {
        row(
            session,
            3,
            after(4_000),
            &json!({"type": "system", "subtype": "stop_hook_summary", "hookCount": 1,
            "hookInfos": [{"command": "tailspan hook", "durationMs": 3}], "hookErrors": [], "preventedContinuation": false}),
        )
    };
    let duration = |session: &str| {
        row(session, 4, after(4_001), &json!({"type": "system", "subtype": "turn_duration", "durationMs": 900}))
    };
    let begin = |session: &str| {
        home.write(session, &[prompt(session, 1, now), answer(session, 2, after(10), "end_turn", &text)]);
    };
    // The hook comes before the rows that the client writes behind the hooks of a turn.
    let [whole, waits, plain] = [session(1), session(2), session(3)];
    [&whole, &waits, &plain].into_iter().for_each(|session| begin(session));
    home.hook(&waits, "Stop", &json!({}));
    home.write(&waits, &[summary(&waits)]);
    home.hook(&whole, "Stop", &json!({}));
    home.write(&whole, &[summary(&whole), duration(&whole)]);
    home.write(&plain, &[summary(&plain), duration(&plain)]);
    daemon.until("the whole turn has ended", || (ended(&daemon) == 1.0).then_some(()));
    // Its row comes, and a hook that is told late closes a turn as well.
    home.write(&waits, &[duration(&waits)]);
    daemon.until("the other turn has ended", || (ended(&daemon) == 2.0).then_some(()));
    home.hook(&plain, "Stop", &json!({}));
    daemon.until("all turns have ended", || (ended(&daemon) == 3.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_session_that_ends_ends_its_open_turn() {
    let home = Home::new("[traces]\nsettle = \"10ms\"\nidle = \"24h\"\n");
    let one = session(1);
    // A hook may be there before the first sidecar.
    home.hook(&one, "SessionStart", &json!({"source": "startup"}));
    let daemon = home.start();
    let now = clock::now();
    home.write(&one, &[prompt(&one, 1, now), answer(&one, 2, now, "tool_use", &call("Bash", "toolu_1"))]);
    daemon.until("it is read", || (sum(&daemon.metrics(), "tailspan_tool_calls_total") == 1.0).then_some(()));
    assert_eq!(ended(&daemon), 0.0, "its call is open");
    assert_eq!(shown(&daemon, &one), [Value::Null, json!("open"), json!("true")]);
    home.hook(&one, "SessionEnd", &json!({"reason": "prompt_input_exit"}));
    daemon.until("its turn has ended", || (ended(&daemon) == 1.0).then_some(()));
    assert_eq!(shown(&daemon, &one), [json!("exit"), json!("exit"), Value::Null]);
    // Who takes the session up again may have the tool run on: the turn goes on with its result.
    let later = Timestamp(clock::now().0 + 1);
    home.hook(&one, "SessionStart", &json!({"source": "resume"}));
    home.write(&one, &[result(&one, 3, later, "toolu_1")]);
    daemon.until("it goes on", || (shown(&daemon, &one)[0] == Value::Null).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
}

/// How the first turn of a session ended, by the analytics and by its trace, and whether its trace says that it goes on.
fn shown(daemon: &Daemon, session: &str) -> [Value; 3] {
    let one: Value = serde_json::from_str(&daemon.get(&format!("/api/v1/analytics/sessions/{session}")).1).unwrap();
    let turn = &one["turns"][0];
    let trace = turn["trace_id"].as_str().unwrap();
    let trace: Value = serde_json::from_str(&daemon.get(&format!("/jaeger/api/traces/{trace}")).1).unwrap();
    let spans = trace["data"][0]["spans"].as_array().unwrap();
    let root = spans.iter().find(|span| span["references"] == json!([])).unwrap();
    let tag = |key: &str| {
        let tag = root["tags"].as_array().unwrap().iter().find(|tag| tag["key"] == key);
        tag.map_or(Value::Null, |tag| json!(tag["value"].to_string().trim_matches('"')))
    };
    [turn["end"].clone(), tag("claude_code.turn.end"), tag("claude_code.in_progress")]
}

/// What a session waits for, as the list tells it.
fn waiting(daemon: &Daemon, session: &str) -> Value {
    let list: Value = serde_json::from_str(&daemon.get("/api/v1/analytics/sessions?waiting=any").1).unwrap();
    let rows = list["sessions"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == session).map_or(Value::Null, |row| row["waiting"].clone())
}

fn until_waiting(daemon: &Daemon, session: &str, what: &str, tool: Value) {
    daemon.until_or("it waits", || {
        let waiting = waiting(daemon, session);
        let one: Value = serde_json::from_str(&daemon.get(&format!("/api/v1/analytics/sessions/{session}")).1).unwrap();
        let is_wanted = match what {
            "" => waiting.is_null(),
            _ => waiting["for"] == what && waiting["tool"] == tool,
        };
        let is_so = is_wanted && one["waiting"] == waiting;
        if is_so { Ok(()) } else { Err(format!("it waits for {waiting}, not {what}")) }
    });
}

/// How many sessions wait, as the metric tells it: for a permission, a question, a prompt, or nobody knows what.
fn counted(daemon: &Daemon) -> [f64; 4] {
    let metrics = daemon.metrics();
    ["permission", "question", "idle", "unknown"].map(|of| {
        let lines = metrics.lines().filter(|line| line.starts_with("tailspan_sessions_waiting{"));
        let own = lines.filter(|line| line.contains(&format!("for=\"{of}\"")));
        own.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    })
}

#[test]
fn a_permission_is_told_from_a_question_and_from_idle() {
    let home = Home::new("");
    let mut daemon = home.start();
    let one = session(1);
    let now = Timestamp(clock::now().0 - 20_000);
    let after = |ms: i64| Timestamp(now.0 + ms);
    home.write(&one, &[prompt(&one, 1, now), answer(&one, 2, after(10), "tool_use", &call("Bash", "toolu_1"))]);
    daemon.until("it is read", || (daemon.get(&format!("/api/v1/analytics/sessions/{one}")).0 == 200).then_some(()));
    assert_eq!(waiting(&daemon, &one), Value::Null, "a call that runs looks the same as one that waits");
    home.hook(&one, "PermissionRequest", &json!({"tool_name": "Bash"}));
    until_waiting(&daemon, &one, "permission", json!("Bash"));
    // What was told outlives the process.
    drop(daemon);
    daemon = home.start();
    until_waiting(&daemon, &one, "permission", json!("Bash"));
    assert_eq!(counted(&daemon), [1.0, 0.0, 0.0, 0.0]);
    let address = daemon.address.to_string();
    let report = tailspan(&["report", "waiting", "--listen", &address, "--width", "100"], &[], "");
    assert!(
        report.text.contains("permission") && report.text.contains("Bash") && report.text.contains("5e550000"),
        "{}",
        report.text
    );
    let csv = tailspan(&["report", "waiting", "--listen", &address, "--csv"], &[], "").text;
    assert!(
        csv.starts_with("for,since,tool,id,") && csv.contains("\npermission,") && csv.lines().count() == 2,
        "{csv}"
    );
    let refused = tailspan(&["report", "waiting", "--since", "7d", "--listen", &address], &[], "");
    assert_eq!((refused.code, refused.said.contains("is about now")), (Some(2), true));
    let page = daemon.get(&format!("/sessions/{one}")).1;
    assert!(
        page.contains("class=\"waits permission\" role=\"status\">waits for permission: Bash since <time"),
        "{page}"
    );
    let answered = clock::now();
    let text = json!({"type": "text", "text": "Done."});
    home.write(
        &one,
        &[
            result(&one, 3, answered, "toolu_1"),
            answer(&one, 4, answered, "tool_use", &call("AskUserQuestion", "toolu_2")),
        ],
    );
    until_waiting(&daemon, &one, "question", json!("AskUserQuestion"));
    assert_eq!(counted(&daemon), [0.0, 1.0, 0.0, 0.0]);
    let answered = clock::now();
    home.write(&one, &[result(&one, 5, answered, "toolu_2"), answer(&one, 6, answered, "end_turn", &text)]);
    until_waiting(&daemon, &one, "idle", Value::Null);
    assert_eq!(counted(&daemon), [0.0, 0.0, 1.0, 0.0]);
    home.hook(&one, "SessionEnd", &json!({"reason": "prompt_input_exit"}));
    until_waiting(&daemon, &one, "", Value::Null);
    assert_eq!(counted(&daemon), [0.0; 4]);
    assert_eq!(daemon.stop(), Some(0));
}

/// A process that stands for the client.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Writes what the client says of its process, as it does: in place.
fn register(home: &Home, session: &str, pid: u32, status: &str, waiting_for: Option<&str>) {
    let folder = home.config().join("sessions");
    fs::create_dir_all(&folder).unwrap();
    let at = clock::now().0;
    let mut entry = json!({"pid": pid, "sessionId": session, "cwd": "/home/dev/x", "entrypoint": "cli", "kind": "interactive",
        "status": status, "statusUpdatedAt": at, "updatedAt": at});
    if let Some(waiting_for) = waiting_for {
        entry["waitingFor"] = json!(waiting_for);
    }
    fs::write(folder.join(format!("{pid}.json")), entry.to_string()).unwrap();
}

#[test]
fn the_clients_own_list_tells_waits_without_hooks() {
    let home = Home::new("");
    let daemon = home.start();
    let one = session(1);
    let now = Timestamp(clock::now().0 - 20_000);
    let text = json!({"type": "text", "text": "Done."});
    let mut client =
        Client(Command::new("sleep").arg("3600").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let pid = client.0.id();
    register(&home, &one, pid, "busy", None);
    home.write(&one, &[prompt(&one, 1, now), answer(&one, 2, now, "tool_use", &call("Bash", "toolu_1"))]);
    daemon.until("it is read", || (daemon.get(&format!("/api/v1/analytics/sessions/{one}")).0 == 200).then_some(()));
    assert_eq!(waiting(&daemon, &one), Value::Null);
    register(&home, &one, pid, "waiting", Some("permission prompt"));
    until_waiting(&daemon, &one, "permission", json!("Bash"));
    // It was allowed, and runs.
    register(&home, &one, pid, "busy", None);
    until_waiting(&daemon, &one, "", Value::Null);
    home.write(&one, &[result(&one, 3, clock::now(), "toolu_1"), answer(&one, 4, clock::now(), "end_turn", &text)]);
    register(&home, &one, pid, "idle", None);
    until_waiting(&daemon, &one, "idle", Value::Null);
    // It is killed, and leaves its file behind.
    client.0.kill().unwrap();
    client.0.wait().unwrap();
    until_waiting(&daemon, &one, "", Value::Null);
    assert_eq!(daemon.stop(), Some(0));
}

/// A sidecar that has read a session whose command has no result.
fn calling() -> (Home, Daemon, String) {
    let home = Home::new("");
    let daemon = home.start();
    let one = session(1);
    let now = Timestamp(clock::now().0 - 20_000);
    home.write(&one, &[prompt(&one, 1, now), answer(&one, 2, now, "tool_use", &call("Bash", "toolu_1"))]);
    daemon.until("it is read", || (daemon.get(&format!("/api/v1/analytics/sessions/{one}")).0 == 200).then_some(()));
    (home, daemon, one)
}

#[test]
fn the_tag_of_the_list_changes_with_who_waits() {
    let (home, daemon, one) = calling();
    let none: Value = serde_json::from_str(&daemon.get("/api/v1/analytics/sessions?waiting=permission").1).unwrap();
    assert_eq!(none["total"], 0);
    home.hook(&one, "PermissionRequest", &json!({"tool_name": "Bash"}));
    until_waiting(&daemon, &one, "permission", json!("Bash"));
    let list = |of: &str| -> Value {
        serde_json::from_str(&daemon.get(&format!("/api/v1/analytics/sessions?waiting={of}")).1).unwrap()
    };
    assert_eq!((list("permission")["total"].clone(), list("idle")["total"].clone()), (json!(1), json!(0)));
    let (status, refusal) = daemon.get("/api/v1/analytics/sessions?waiting=perm");
    assert!(status == 400 && refusal.contains("permission"), "{refusal}");
    assert_eq!(daemon.stop(), Some(0));
}

/// What the stream of events tells of waits: what began or ended, and why.
fn waits_told(daemon: &Daemon) -> Vec<(String, String)> {
    told_of(daemon.address, "waiting")
}

#[test]
fn a_wait_is_told_once_and_its_end_too_whenever_the_sidecar_is_away() {
    let home = Home::new("");
    let mut daemon = home.start();
    let sessions = [session(1), session(2)];
    let now = Timestamp(clock::now().0 - 20_000);
    let asks = |id: &str, daemon: &Daemon| {
        home.write(id, &[prompt(id, 1, now), answer(id, 2, now, "tool_use", &call("Bash", "toolu_1"))]);
        daemon.until("it is read", || (daemon.get(&format!("/api/v1/analytics/sessions/{id}")).0 == 200).then_some(()));
        home.hook(id, "PermissionRequest", &json!({"tool_name": "Bash"}));
        until_waiting(daemon, id, "permission", json!("Bash"));
    };
    let told_until = |daemon: &Daemon, count: usize| {
        let told = daemon.until("it is told", || Some(waits_told(daemon)).filter(|told| told.len() >= count));
        told.into_iter().map(|(state, _)| state).collect::<Vec<_>>()
    };
    asks(&sessions[0], &daemon);
    assert_eq!(told_until(&daemon, 1), ["began"]);
    // A second session, told after the restart, shows that the first was not told again before it.
    drop(daemon);
    daemon = home.start();
    asks(&sessions[1], &daemon);
    assert_eq!(told_until(&daemon, 2), ["began"; 2]);
    // The first ends while nobody is there.
    drop(daemon);
    let answered = clock::now();
    let text = json!({"type": "text", "text": "Done."});
    let id = &sessions[0];
    home.write(id, &[result(id, 3, answered, "toolu_1"), answer(id, 4, answered, "end_turn", &text)]);
    daemon = home.start();
    assert_eq!(told_until(&daemon, 3), ["began", "began", "ended"]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn the_next_wait_is_told_behind_the_end_of_the_last() {
    let (home, daemon, one) = calling();
    home.hook(&one, "PermissionRequest", &json!({"tool_name": "Bash"}));
    daemon.until("it is told", || (waits_told(&daemon).len() == 1).then_some(()));
    // Both rows are read at once, and the question began before that.
    let asked = Timestamp(clock::now().0 - 10);
    let asks = call("AskUserQuestion", "toolu_2");
    home.write(&one, &[result(&one, 3, asked, "toolu_1"), answer(&one, 4, asked, "tool_use", &asks)]);
    daemon.until("it is told", || (waits_told(&daemon).len() == 3).then_some(()));
    let word = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
    let expected = [word("began", "permission"), word("ended", "permission"), word("began", "question")];
    assert_eq!(waits_told(&daemon), expected);
    assert_eq!(daemon.stop(), Some(0));
}

/// The places of what is told of a session in the stream of events: its waits that begin, those that end, and its turns.
fn places(daemon: &Daemon, session: &str) -> [Option<usize>; 3] {
    let mut stream = Stream::open(daemon.address, "since=2000-01-01&follow=false", None);
    let (mut places, mut place) = ([None; 3], 0);
    while let Some(event) = stream.next() {
        let kind = (event.data["kind"].as_str().unwrap(), event.data["state"].as_str());
        let of = [("waiting", Some("began")), ("waiting", Some("ended")), ("turn", None)];
        if let Some(of) = of.iter().position(|of| *of == kind).filter(|_| event.data["session"] == session) {
            places[of] = Some(place);
        }
        place += 1;
    }
    places
}

#[test]
fn a_wait_is_told_before_a_turn_that_ended_with_it_is_settled() {
    // A wait that were looked for once a second would be told too late nearly always.
    let home = Home::new("[traces]\nsettle = \"900ms\"\n");
    let daemon = home.start();
    let text = json!({"type": "text", "text": "Done."});
    for round in 0..3 {
        let [asks, ends] = [session(round * 2 + 1), session(round * 2 + 2)];
        let now = clock::now();
        home.write(&asks, &[prompt(&asks, 1, now), answer(&asks, 2, now, "tool_use", &call("Bash", "toolu_1"))]);
        home.write(&ends, &[prompt(&ends, 1, now)]);
        let is_read = |id: &str| daemon.get(&format!("/api/v1/analytics/sessions/{id}")).0 == 200;
        daemon.until("both are read", || (is_read(&asks) && is_read(&ends)).then_some(()));
        home.hook(&asks, "PermissionRequest", &json!({"tool_name": "Bash"}));
        home.write(&ends, &[answer(&ends, 2, clock::now(), "end_turn", &text)]);
        let turn = daemon.until("the turn is told", || places(&daemon, &ends)[2]);
        let began = daemon.until("the wait is told", || places(&daemon, &asks)[0]);
        assert!(began < turn, "round {round}: {began} {turn}");
        let now = clock::now();
        home.write(&asks, &[result(&asks, 3, now, "toolu_1"), answer(&asks, 4, now, "end_turn", &text)]);
        let turn = daemon.until("the turn is told", || places(&daemon, &asks)[2]);
        let ended = daemon.until("the end is told", || places(&daemon, &asks)[1]);
        assert!(ended < turn, "round {round}: {ended} {turn}");
    }
    assert_eq!(daemon.stop(), Some(0));
}
