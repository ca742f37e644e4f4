//! Waits that only a stream shows, for an answer whether a call may run and for the first piece of a response: on spans, in
//! histograms, on the critical path and in the replay.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, sum};
use crate::support::jaeger::{spans, tag, text};

/// A day after any first start, so that counters count it.
const DAY: &str = "2099-11-28T";

const RUN: &str = "00000000-0000-4000-8000-000000000001";

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.332").join(name)
}

fn later(text: &str) -> String {
    text.replace("2026-11-28T", DAY)
}

fn ms_of(time: &str) -> f64 {
    let [hours, minutes, seconds] = [11..13, 14..16, 17..23].map(|part| time[part].parse::<f64>().unwrap());
    (hours * 3600.0 + minutes * 60.0 + seconds) * 1000.0
}

/// The stream of a recording as the sidecar keeps it, each line at the time at which it arrived.
fn stream_of(recording: &Path) -> String {
    let stream = later(&fs::read_to_string(recording.join("stream.jsonl")).unwrap());
    let lines: Vec<&str> = stream.lines().collect();
    let timing = fs::read_to_string(recording.join("timing.jsonl")).unwrap();
    let timing = timing.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let arrivals: Vec<(&str, f64)> = timing
        .filter(|told| told["side"] == "stream")
        .map(|told| (lines[told["line"].as_u64().unwrap() as usize - 1], told["ms"].as_f64().unwrap()))
        .collect();
    assert_eq!(arrivals.len(), lines.len());
    // No line arrives before the client has stamped it.
    let stamped = arrivals.iter().filter_map(|(line, ms)| {
        let line: Value = serde_json::from_str(line).unwrap();
        Some(ms_of(line["timestamp"].as_str()?) - ms)
    });
    let began = stamped.fold(0.0, f64::max);
    let mut file = format!("{{\"type\":\"tailspan\",\"mark\":\"run\",\"run\":\"{RUN}\"}}\n");
    for (line, ms) in arrivals {
        let at = (began + ms) as u64;
        let time = format!("{:02}:{:02}:{:02}.{:03}", at / 3_600_000, at / 60_000 % 60, at / 1000 % 60, at % 1000);
        file += &format!("{{\"type\":\"tailspan\",\"mark\":\"at\",\"at\":\"{DAY}{time}Z\"}}\n{line}\n");
    }
    file + "{\"type\":\"tailspan\",\"mark\":\"end\"}\n"
}

/// A sidecar that has read a recording, with its stream or without.
struct Side {
    daemon: Daemon,
    session: String,
    _folder: tempfile::TempDir,
}

impl Side {
    fn of(name: &str, with_stream: bool) -> Self {
        Self::with(name, with_stream.then(|| stream_of(&recording(name))))
    }

    fn with(name: &str, stream: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (projects, state) = (folder.path().join("projects/-home-dev"), folder.path().join("state"));
        fs::create_dir_all(&projects).unwrap();
        let slug = fs::read_dir(recording(name).join("projects")).unwrap().next().unwrap().unwrap().path();
        let file = fs::read_dir(slug).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
        let session = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if let Some(stream) = stream {
            fs::create_dir_all(state.join("streams")).unwrap();
            fs::write(state.join(format!("streams/{RUN}.jsonl")), stream).unwrap();
        }
        let rows = later(&fs::read_to_string(&file).unwrap());
        fs::write(projects.join(file.file_name().unwrap()), rows).unwrap();
        let daemon = Daemon::start(&folder.path().join("projects"), &state, &[]);
        daemon.until("the turn has ended", || {
            (sum(&daemon.metrics(), "tailspan_turn_duration_seconds_count") == 1.0).then_some(())
        });
        Self { daemon, session, _folder: folder }
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.daemon.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn turn(&self) -> Value {
        let detail = self.json(&format!("/api/v1/analytics/sessions/{}", self.session));
        assert_eq!(detail["turns"].as_array().unwrap().len(), 1);
        detail["turns"][0].clone()
    }

    fn events(&self) -> Vec<Value> {
        let replay = self.json(&format!("/api/v1/analytics/sessions/{}/replay", self.session));
        replay["events"].as_array().unwrap().clone()
    }

    /// The spans of its turn by their beginnings.
    fn spans(&self) -> Vec<Value> {
        let trace = self.json(&format!("/jaeger/api/traces/{}", text(&self.turn()["trace_id"])));
        let mut all = spans(&trace["data"][0]).to_vec();
        all.sort_by_key(|span| span["startTime"].as_u64());
        all
    }

    /// `seconds` of the parts of a kind, by their names.
    fn waited(&self, parts: &Value, kind: &str) -> Vec<(String, f64)> {
        let parts = parts.as_array().unwrap().iter().filter(|part| part["kind"] == kind);
        let mut waited: Vec<_> =
            parts.map(|part| (text(&part["name"]).to_owned(), part["seconds"].as_f64().unwrap())).collect();
        waited.sort_by(|(a, _), (b, _)| a.cmp(b));
        waited
    }
}

fn bottlenecks(side: &Side) -> Value {
    side.json("/api/v1/analytics/bottlenecks?since=2099-11-01")["critical_path"].clone()
}

#[test]
fn a_host_that_was_asked_is_what_the_turn_waited_for() {
    let side = Side::of("ad_host_permission", true);
    // By `timing.jsonl`: a file was written once that was allowed, a command was refused, a question was answered.
    let waits = [("AskUserQuestion", 2.009), ("Bash", 2.014), ("Write", 2.032)];
    let named: Vec<_> = waits.iter().map(|(tool, seconds)| ((*tool).to_owned(), *seconds)).collect();
    let turn = side.turn();
    assert_eq!(side.waited(&turn["critical_path"], "permission"), named);
    let parts = turn["critical_path"].as_array().unwrap().iter();
    let whole: f64 = parts.map(|part| part["seconds"].as_f64().unwrap()).sum();
    assert!((whole - turn["duration_seconds"].as_f64().unwrap()).abs() < 1e-6, "{turn}");
    assert_eq!(side.waited(&bottlenecks(&side), "permission"), named);
    let asked = bottlenecks(&side);
    let asked = asked.as_array().unwrap().iter().find(|row| row["kind"] == "permission").unwrap();
    assert_eq!(asked["slowest"].as_array().unwrap().len(), 1, "it leads to the call: {asked}");

    let metrics = side.daemon.metrics();
    for (tool, seconds) in waits {
        let of_tool =
            |suffix: &str| sum(&metrics, &format!("tailspan_permission_wait_seconds_{suffix}{{tool=\"{tool}\"}}"));
        assert_eq!((of_tool("count"), of_tool("sum")), (1.0, seconds), "{tool}");
    }
    assert_eq!(sum(&metrics, "tailspan_permission_wait_seconds_count"), 3.0, "nobody was asked about ToolSearch");

    let calls: Vec<Value> = side.spans().into_iter().filter(|span| tag(span, "gen_ai.tool.name").is_some()).collect();
    let told = |span: &Value| {
        let logs = span["logs"].as_array().unwrap().iter();
        let asked = logs.filter(|log| log["fields"][0]["value"] == "claude_code.permission_requested");
        let after: Vec<u64> =
            asked.map(|log| log["timestamp"].as_u64().unwrap() - span["startTime"].as_u64().unwrap()).collect();
        let wait = tag(span, "claude_code.permission.wait_seconds").cloned();
        (text(tag(span, "gen_ai.tool.name").unwrap()).to_owned(), after, wait)
    };
    // Microseconds from the call to the question, and seconds from there to the answer.
    let expected = [
        ("Write".to_owned(), vec![85_000], Some(json!(2.032))),
        ("Bash".to_owned(), vec![26_000], Some(json!(2.014))),
        ("AskUserQuestion".to_owned(), vec![10_000], Some(json!(2.009))),
        ("ToolSearch".to_owned(), vec![], None),
    ];
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), expected);

    let events = side.events();
    let of_kind = |kind: &str, field: &str| -> Vec<Value> {
        events.iter().filter(|event| event["kind"] == kind).map(|event| event[field].clone()).collect()
    };
    let times = ["07:59:38.799", "07:59:40.893", "07:59:42.950"].map(|time| json!(format!("{DAY}{time}Z")));
    assert_eq!(of_kind("tool_call", "permission_requested_at"), [&times[..], &[Value::Null]].concat());
    let seconds = [json!(2.032), json!(2.014), json!(2.009), Value::Null];
    assert_eq!(of_kind("tool_result", "permission_wait_seconds"), seconds);
    let refused = side.json("/api/v1/analytics/patterns?since=2099-11-01");
    let waiting = refused["patterns"].as_array().unwrap().iter().find(|found| found["id"] == "waiting_for_person");
    assert!(waiting.is_none_or(|found| found["decided_calls"] != 3), "their waits are told apart: {waiting:?}");
    assert_eq!(side.daemon.stop(), Some(0));
}

#[test]
fn without_a_stream_a_wait_is_a_part_of_its_call() {
    let side = Side::of("ad_host_permission", false);
    let turn = side.turn();
    assert_eq!(side.waited(&turn["critical_path"], "permission"), []);
    let tools = side.waited(&turn["critical_path"], "tool");
    assert!(tools.iter().any(|(name, seconds)| name == "Write" && *seconds > 2.0), "{tools:?}");
    assert_eq!(sum(&side.daemon.metrics(), "tailspan_permission_wait_seconds_count"), 0.0);
    assert!(side.events().iter().all(|event| event.get("permission_requested_at").is_none()));
}

#[test]
fn a_stream_that_is_passed_on_later_tells_no_waits() {
    let name = "ad_host_permission";
    let lines = later(&fs::read_to_string(recording(name).join("stream.jsonl")).unwrap());
    let mark = |mark: &str| {
        format!("{{\"type\":\"tailspan\",\"mark\":\"{mark}\",\"run\":\"{RUN}\",\"at\":\"2099-12-03T00:00:00.000Z\"}}\n")
    };
    let side = Side::with(name, Some(mark("run") + &mark("at") + &lines + &mark("end")));
    assert_eq!(sum(&side.daemon.metrics(), "tailspan_permission_wait_seconds_count"), 0.0);
    let asked = |event: &&Value| !event["permission_requested_at"].is_null();
    assert_eq!(side.events().iter().find(asked), None);
}

#[test]
fn an_allowed_command_tells_no_more_than_that_it_was_asked_for() {
    // The wait and the run of a command are not told apart: here it may be all run.
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    fs::create_dir_all(&projects).unwrap();
    fs::create_dir_all(state.join("streams")).unwrap();
    let stream = stream_of(&recording("ad_host_permission")).replace("\"Write\"", "\"Bash\"");
    fs::write(state.join(format!("streams/{RUN}.jsonl")), stream).unwrap();
    let daemon = Daemon::start(&projects, &state, &[]);
    let count = |metrics: &str| sum(metrics, "tailspan_permission_wait_seconds_count");
    daemon.until("two waits are known", || (count(&daemon.metrics()) == 2.0).then_some(()));
    let metrics = daemon.metrics();
    assert_eq!(sum(&metrics, "tailspan_permission_wait_seconds_count{tool=\"Bash\"}"), 1.0, "the one that was refused");
}

#[test]
fn a_stream_with_partial_messages_tells_when_each_response_began() {
    // The client begins to count some milliseconds before it notes the request, so of the short responses of the second
    // recording no more than their 12 and 6 ms lie on the path.
    let recordings =
        [("aa_partial_messages", vec![0.018, 0.011], 0.029), ("bq_partial_retry", vec![0.019, 0.006, 0.008], 0.024)];
    for (name, pieces, on_path) in recordings {
        let side = Side::of(name, true);
        let metrics = side.daemon.metrics();
        let of_model = |suffix: &str| {
            sum(&metrics, &format!("tailspan_time_to_first_chunk_seconds_{suffix}{{model=\"claude-sonnet-4-5\"}}"))
        };
        let whole: f64 = pieces.iter().sum();
        assert_eq!(of_model("count"), pieces.len() as f64, "{name}");
        assert!((of_model("sum") - whole).abs() < 1e-9, "{name}");
        let key = "gen_ai.response.time_to_first_chunk";
        let told: Vec<f64> =
            side.spans().iter().filter_map(|span| tag(span, key)).map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(told, pieces, "{name}");
        let events = side.events();
        let told: Vec<f64> = events.iter().filter_map(|event| event.get("ttft_seconds")?.as_f64()).collect();
        assert_eq!(told, pieces, "{name}");
        for parts in [&side.turn()["critical_path"], &bottlenecks(&side)] {
            let mut parts = parts.as_array().unwrap().iter();
            let model = parts.find(|part| part["kind"] == "model").unwrap();
            assert!((model["first_chunk_seconds"].as_f64().unwrap() - on_path).abs() < 1e-9, "{name}: {model}");
            assert!(parts.all(|part| part.get("first_chunk_seconds").is_none()), "{name}");
        }
        let without = Side::of(name, false);
        assert_eq!(sum(&without.daemon.metrics(), "tailspan_time_to_first_chunk_seconds_count"), 0.0, "{name}");
    }
}
