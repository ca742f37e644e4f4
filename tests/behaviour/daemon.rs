//! The real program: a folder that grows, a restart, a crash, a collector that refuses.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::daemon::{Daemon, sum};
use crate::support::sink::{Answer, Sink};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings")
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::create_dir_all(to).unwrap();
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every recording, below one projects folder.
fn all_recordings(projects: &Path) {
    for version in fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for scenario in fs::read_dir(&version).unwrap().map(|entry| entry.unwrap().path()) {
            let source = scenario.join("projects");
            if !source.is_dir() {
                continue;
            }
            for slug in fs::read_dir(source).unwrap().map(Result::unwrap) {
                let version = version.file_name().unwrap().to_str().unwrap();
                copy_folder(&slug.path(), &projects.join(format!("{}-{version}", slug.file_name().to_str().unwrap())));
            }
        }
    }
}

fn scan(projects: &Path) -> serde_json::Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tailspan")).args(["scan", "--format", "json"]).arg(projects).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The rows of a recording as if they were written long after any first start.
fn rows_of_the_future(scenario: &str) -> Vec<String> {
    let folder = fixtures().join(scenario).join("projects");
    let slug = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let file = fs::read_dir(slug).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| format!("{}\n", line.replace("\"2026-11-22T", "\"2099-11-22T"))).collect()
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The counters and lifetime gauges, without what counts reading or asking.
fn counted(metrics: &str) -> BTreeMap<String, String> {
    let kept = |line: &&str| {
        !line.starts_with('#')
            && (line.contains("_total{")
                || line.contains("_total ")
                || line.contains("lifetime")
                || line.contains("_cost_"))
            && !line.contains("http_requests")
            && !line.starts_with("process_")
            && !line.contains("spans_exported")
    };
    let split = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.to_owned())
    };
    metrics.lines().filter(kept).map(split).collect()
}

#[test]
fn history_shows_in_lifetime_gauges_and_equals_scan() {
    let folder = tempfile::tempdir().unwrap();
    let projects = folder.path().join("projects");
    all_recordings(&projects);
    let scan = scan(&projects);
    let daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    let metrics = daemon.metrics();
    for (model, own) in scan["models"].as_object().unwrap() {
        for (kind, tokens) in own["tokens"].as_object().unwrap() {
            let name = format!("tailspan_lifetime_tokens{{model=\"{model}\",kind=\"{kind}\"}}");
            assert_eq!(sum(&metrics, &name), tokens.as_f64().unwrap(), "{name}");
        }
        let name = format!("tailspan_lifetime_cost_usd{{model=\"{model}\"}}");
        let cost: f64 = own["cost_usd"].as_str().unwrap().parse().unwrap();
        assert_eq!(sum(&metrics, &name), cost, "{name}");
    }
    let client: f64 = scan["client_reported"]["cost_usd"].as_str().unwrap().parse().unwrap();
    assert_eq!(sum(&metrics, "tailspan_client_reported_cost_usd"), client);
    for counter in
        ["tailspan_tokens_total", "tailspan_cost_usd_total", "tailspan_turns_total", "tailspan_tool_calls_total"]
    {
        assert!(metrics.contains(&format!("# TYPE {counter} counter")), "{counter}");
        assert_eq!(sum(&metrics, counter), 0.0, "{counter} counts history");
    }
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn appended_lines_count_once_through_restart_and_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let rows = rows_of_the_future("2.1.330/b_tools");
    let file = projects.join("-home-dev-b-tools/5fb3d16f-f9e3-4142-a37d-c727bd6ab70f.jsonl");
    // No root yet: it waits for one.
    let daemon = Daemon::start(&projects, &state, &[]);
    assert_eq!(sum(&daemon.metrics(), "tailspan_tokens_total"), 0.0);
    let half = rows.len() / 2;
    append(&file, &rows[..half].concat());
    // A line without its end is not a line.
    append(&file, &rows[half][..rows[half].len() / 2]);
    let first = daemon.until("the first half is counted", || {
        let metrics = daemon.metrics();
        (sum(&metrics, "tailspan_lines_total") >= half as f64).then_some(metrics)
    });
    assert!(sum(&first, "tailspan_tokens_total") > 0.0);
    drop(daemon);
    let daemon = Daemon::start(&projects, &state, &[]);
    assert_eq!(counted(&daemon.metrics()), counted(&first), "a crash changes nothing");
    append(&file, &rows[half][rows[half].len() / 2..]);
    append(&file, &rows[half + 1..].concat());
    let second = daemon.until("the second half is counted", || {
        let metrics = daemon.metrics();
        (sum(&metrics, "tailspan_lines_total") >= rows.len() as f64).then_some(metrics)
    });
    assert_eq!(sum(&second, "tailspan_tokens_total"), 109_745.0, "what the API served");
    assert_eq!(sum(&second, "tailspan_cost_usd_total"), 0.047_439);
    assert_eq!(sum(&second, "tailspan_api_requests_total"), 8.0);
    assert_eq!(sum(&second, "tailspan_turns_total"), 1.0);
    assert_eq!(sum(&second, "tailspan_tool_calls_total"), 7.0);
    assert_eq!(sum(&second, "tailspan_lines_changed_total{change=\"added\"}"), 4.0);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = Daemon::start(&projects, &state, &[]);
    let third = daemon.metrics();
    for (series, value) in counted(&second) {
        assert_eq!(counted(&third).get(&series), Some(&value), "a restart changes {series}");
    }
}

#[test]
fn a_second_start_on_the_same_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let _first = Daemon::start(&projects, &state, &[]);
    let mut second = Daemon::spawn(&projects, &state, &["--listen", "127.0.0.1:0"]);
    let line = second.wait_for_log("is in use by another tailspan");
    assert!(line.contains("--state"), "it says what to do: {line}");
    assert_eq!(second.exit_code(), Some(1));
}

#[test]
fn wrong_configuration_ends_with_2_and_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::spawn(folder.path(), &folder.path().join("state"), &["--listen", "0.0.0.0:9719"]);
    let said = daemon.wait_for_log("loopback");
    assert!(said.contains("listen"), "{said}");
    assert_eq!(daemon.exit_code(), Some(2));
}

#[test]
fn the_state_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let daemon = Daemon::start(&folder.path().join("projects"), &state, &[]);
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(daemon.stop(), Some(0));
}

/// Spans by id, and how often each came.
fn by_id(sink: &Sink) -> BTreeMap<(Vec<u8>, Vec<u8>), usize> {
    let mut spans = BTreeMap::new();
    for span in sink.accepted_spans() {
        *spans.entry((span.trace_id, span.span_id)).or_default() += 1;
    }
    spans
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Turns and sub-agents of the recordings: the roots that a collector must get, by trace id.
fn expected_traces(projects: &Path) -> usize {
    let output = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .args(["scan", "--format", "trace"])
        .arg(projects)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.starts_with(' ') && line.contains("trace ")).count()
}

#[test]
fn every_span_of_the_history_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    all_recordings(&projects);
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    let options = ["--otlp-endpoint", &sink.url(), "--traces-history-since", "all"];
    let daemon = Daemon::start(&projects, &state, &options);
    let metrics = daemon.until("the outbox is empty", || {
        let metrics = daemon.metrics();
        // History is put in slowly: the outbox is empty on the way as well.
        let waiting = ["tailspan_history_waiting_traces", "tailspan_outbox_spans"];
        let nothing_waits = waiting.iter().all(|name| sum(&metrics, name) == 0.0);
        (nothing_waits && sum(&metrics, "tailspan_spans_exported_total") > 300.0).then_some(metrics)
    });
    assert_eq!(daemon.stop(), Some(0));
    let spans = sink.accepted_spans();
    assert_eq!(sum(&metrics, "tailspan_spans_exported_total"), spans.len() as f64);
    assert!(by_id(&sink).values().all(|times| *times == 1), "a span came twice");
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty()).count();
    assert_eq!(roots, expected_traces(&projects), "one root per trace of `scan --format trace`");
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let parent = spans.iter().find(|other| other.span_id == span.parent_span_id && other.trace_id == span.trace_id);
        let parent = parent.unwrap_or_else(|| panic!("{} has no parent", span.name));
        assert!(
            span.start_time_unix_nano >= parent.start_time_unix_nano,
            "{} starts before {}",
            span.name,
            parent.name
        );
    }
    // Nothing is sent again after a restart.
    let before = sink.received().len();
    let daemon = Daemon::start(&projects, &state, &options);
    daemon.metrics();
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(sink.received().len(), before);
}

#[test]
fn a_collector_that_refuses_twice_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    copy_folder(&fixtures().join("2.1.330/e6_subagent_sync/projects"), &projects);
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    sink.script([Answer::status(503), Answer::status(429)]);
    let options = ["--otlp-endpoint", &sink.url(), "--traces-history-since", "all"];
    let daemon = Daemon::start(&projects, &state, &options);
    runtime.block_on(sink.requests_reach(3));
    daemon.until("the outbox is empty", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(()));
    let metrics = daemon.metrics();
    assert_eq!(sum(&metrics, "tailspan_export_failures_total"), 2.0);
    assert_eq!(daemon.stop(), Some(0));
    // 1 turn, 2 chats, 2 calls of agents, 2 agents with 2 chats and 1 call each.
    assert_eq!(by_id(&sink).len(), 13);
    assert!(by_id(&sink).values().all(|times| *times == 1));
    let received = sink.received();
    assert_eq!(received[0].plain, received[2].plain, "the same bytes go again");
}

#[test]
fn endpoints_of_a_file_fail_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    copy_folder(&fixtures().join("2.1.330/b_tools/projects"), &projects);
    let runtime = runtime();
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // One that signs itself is its own authority.
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, own.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key);
    let secure = runtime.block_on(Sink::start_tls(tls.unwrap()));
    let config = folder.path().join("tailspan.toml");
    let file = format!(
        "traces.history_since = \"all\"\n[otlp]\nendpoint = \"http://{down}\"\nheaders = {{ x-key = \"of the first\" }}\n\
         [otlp.endpoints]\nsecure = {{ endpoint = \"https://localhost:{}\", ca = \"{}\" }}\n",
        secure.port(),
        ca.display()
    );
    fs::write(&config, file).unwrap();
    let mut daemon = Daemon::start(&projects, &state, &["--config", config.to_str().unwrap()]);
    daemon.wait_for_log("endpoint=\"default\"");
    // 1 turn, 8 chats, 7 calls.
    runtime.block_on(secure.spans_reach(16));
    assert_eq!(sum(&daemon.metrics(), "tailspan_outbox_spans"), 16.0);
    let late = runtime.block_on(Sink::start_at(down));
    runtime.block_on(late.spans_reach(16));
    daemon.until("the outbox is empty", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(()));
    assert_eq!(sum(&daemon.metrics(), "tailspan_spans_exported_total"), 32.0);
    assert_eq!(daemon.stop(), Some(0));
    let header = |sink: &Sink| sink.received()[0].headers.get("x-key").cloned();
    assert_eq!((header(&late).unwrap(), header(&secure)), ("of the first".parse().unwrap(), None));
}

#[test]
fn spans_survive_a_crash_before_they_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    copy_folder(&fixtures().join("2.1.330/b_tools/projects"), &projects);
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    sink.script((0..1000).map(|_| Answer::status(503)));
    let options = ["--otlp-endpoint", &sink.url(), "--traces-history-since", "all"];
    let daemon = Daemon::start(&projects, &state, &options);
    runtime.block_on(sink.requests_reach(1));
    drop(daemon);
    let other = runtime.block_on(Sink::start());
    let options = ["--otlp-endpoint", &other.url(), "--traces-history-since", "all"];
    let daemon = Daemon::start(&projects, &state, &options);
    runtime.block_on(other.requests_reach(1));
    daemon.until("the outbox is empty", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(sink.received()[0].raw, other.received()[0].raw, "the first request is the one that was not taken");
    // 1 turn, 8 chats, 7 calls.
    assert_eq!(by_id(&other).len(), 16);
    let sent: Vec<_> = sink.received()[0].spans();
    assert_eq!(sent, other.accepted_spans(), "the same spans with the same ids");
}

/// A session of many turns, all in the past: a prompt, eight tool calls with their responses, an answer.
fn busy_session(turns: usize) -> String {
    let mut text = String::new();
    for turn in 0..turns {
        let time = |second: usize| {
            let all = turn * 30 + second;
            format!("2026-11-{:02}T{:02}:{:02}:{:02}.000Z", 1 + all / 86_400, all / 3_600 % 24, all / 60 % 60, all % 60)
        };
        let row = |kind: &str, number: usize, rest: String| {
            let base = "\"sessionId\":\"5e551011-0000-4000-8000-000000000000\",\"version\":\"2.1.330\"";
            let (uuid, time) = (format!("{turn:08}-0000-4000-8000-{number:012}"), time(number));
            format!(
                "{{\"type\":\"{kind}\",\"uuid\":\"{uuid}\",\"timestamp\":\"{time}\",{base},\"message\":{{{rest}}}}}\n"
            )
        };
        let answer = |step: usize, content: String, stop: &str| {
            format!(
                "\"id\":\"msg_{turn}_{step}\",\"model\":\"claude-sonnet-4-5\",\"content\":[{content}],\
                 \"stop_reason\":\"{stop}\",\"usage\":{{\"input_tokens\":1,\"output_tokens\":1}}"
            )
        };
        text += &row("user", 0, "\"role\":\"user\",\"content\":\"go\"".to_owned());
        for step in 0..4 {
            let id = format!("toolu_{turn}_{step}");
            let call = format!("{{\"type\":\"tool_use\",\"id\":\"{id}\",\"name\":\"Bash\",\"input\":{{}}}}");
            text += &row("assistant", 1 + 2 * step, answer(step, call, "tool_use"));
            let result = format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"{id}\",\"content\":\"x\"}}");
            text += &row("user", 2 + 2 * step, format!("\"role\":\"user\",\"content\":[{result}]"));
        }
        text += &row("assistant", 9, answer(9, "{\"type\":\"text\",\"text\":\"done\"}".to_owned(), "end_turn"));
    }
    text
}

#[test]
fn an_outage_of_twenty_thousand_spans_loses_nothing_and_keeps_the_order() {
    const TURNS: usize = 2_000;
    const SPANS: usize = TURNS * 10;
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    append(&projects.join("-home-dev-busy/5e551011-0000-4000-8000-000000000000.jsonl"), &busy_session(TURNS));
    let config = folder.path().join("tailspan.toml");
    fs::write(&config, "[traces]\nhistory_rate = 1000000\n").unwrap();
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    // Down until everything waits: only then the sink gets its one free refusal and accepts.
    sink.script((0..10_000).map(|_| Answer::status(503)));
    let (url, config) = (sink.url(), config.display().to_string());
    let options = ["--config", &config, "--otlp-endpoint", &url, "--traces-history-since", "all"];
    let daemon = Daemon::start(&projects, &state, &options);
    let waiting = |daemon: &Daemon| sum(&daemon.metrics(), "tailspan_outbox_spans");
    daemon.until("all spans wait", || (waiting(&daemon) >= SPANS as f64).then_some(()));
    assert_eq!(sink.accepted_spans(), []);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 300_000, "{peak} kB while {SPANS} spans wait");
    sink.forget_script();
    daemon.until("the outbox is empty", || (waiting(&daemon) == 0.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
    let spans = sink.accepted_spans();
    assert_eq!(spans.len(), SPANS);
    let requests = sink.received().iter().filter(|request| request.answer == Answer::Accept).count();
    assert!(requests < 2 * SPANS / 512, "{requests} requests: what has piled up leaves in large ones");
    assert!(by_id(&sink).values().all(|times| *times == 1), "a span came twice");
    let roots: Vec<u64> =
        spans.iter().filter(|span| span.parent_span_id.is_empty()).map(|span| span.end_time_unix_nano).collect();
    assert_eq!(roots.len(), TURNS);
    assert!(roots.is_sorted(), "oldest first");
}

#[test]
fn a_full_outbox_pauses_reading_and_loses_nothing() {
    const TURNS: usize = 1_000;
    const SPANS: usize = TURNS * 10;
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    append(&projects.join("-home-dev-busy/5e551011-0000-4000-8000-000000000000.jsonl"), &busy_session(TURNS));
    let config = folder.path().join("tailspan.toml");
    fs::write(&config, "[traces]\nhistory_rate = 1000000\n[outbox]\nbytes_max = \"1MiB\"\n").unwrap();
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    sink.script((0..10_000).map(|_| Answer::status(503)));
    let (url, config) = (sink.url(), config.display().to_string());
    let options = ["--config", &config, "--otlp-endpoint", &url, "--traces-history-since", "all"];
    let mut daemon = Daemon::start(&projects, &state, &options);
    daemon.wait_for_log("the outbox is full: reading pauses");
    let waiting = sum(&daemon.metrics(), "tailspan_outbox_spans");
    assert!(waiting > 1_000.0 && waiting < SPANS as f64 / 2.0, "{waiting} spans are some 1 MiB");
    // What is written now stays in its file, which nobody reads.
    copy_folder(&fixtures().join("2.1.330/b_tools/projects"), &projects);
    let lines = sum(&daemon.metrics(), "tailspan_lines_total");
    daemon.until("more is refused", || (sink.received().len() > 1).then_some(()));
    assert_eq!(sum(&daemon.metrics(), "tailspan_lines_total"), lines);
    assert_eq!(sum(&daemon.metrics(), "tailspan_outbox_spans"), waiting);
    sink.forget_script();
    daemon.wait_for_log("the outbox has room again: reading goes on");
    let all = SPANS + 16;
    runtime.block_on(sink.spans_reach(all));
    assert!(sum(&daemon.metrics(), "tailspan_lines_total") > lines);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(by_id(&sink).len(), all);
    assert!(by_id(&sink).values().all(|times| *times == 1), "a span came twice");
}

#[test]
fn the_time_of_the_latest_row_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    all_recordings(&projects);
    let mut told = Vec::new();
    for _ in 0..2 {
        let daemon = Daemon::start(&projects, &state, &[]);
        told.push(sum(&daemon.metrics(), "tailspan_last_event_timestamp_seconds"));
        assert_eq!(daemon.stop(), Some(0));
    }
    assert!(told[0] > 1.0e9, "{told:?}");
    assert_eq!(told[0], told[1]);
}
