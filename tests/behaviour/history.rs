//! Turns of the past go to endpoints that come later: each what it misses, and nothing twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::runtime::Runtime;

use crate::support::daemon::{self, Daemon, sum};
use crate::support::sink::{Answer, Sink};
use crate::support::world::{Dice, append};

/// Everything that is said of a history that has arrived.
const SENT: &str = "the history is sent";
const NOTHING: &str = "the history is sent: nothing is missing";

/// Session files and a state, and what is run on them.
struct Bench {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        }
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn sink(&self) -> Sink {
        self.runtime.block_on(Sink::start())
    }

    fn sink_has(&self, sink: &Sink, spans: usize) {
        let wait = async { tokio::time::timeout(daemon::DEADLINE, sink.spans_reach(spans)).await };
        let reached = self.runtime.block_on(wait);
        assert!(reached.is_ok(), "{} of {spans} spans have come", sink.accepted_spans().len());
    }

    /// Starts it with endpoints by name and further settings of `[traces]`.
    fn start(&self, endpoints: &[(&str, &Sink)], traces: &str) -> Daemon {
        self.start_on("state", endpoints, traces)
    }

    fn start_on(&self, state: &str, endpoints: &[(&str, &Sink)], traces: &str) -> Daemon {
        let mut text = format!("[traces]\n{traces}\n[otlp]\n");
        for (name, sink) in endpoints {
            let key = if *name == "default" { "endpoint".to_owned() } else { format!("endpoints.{name}") };
            writeln!(text, "{key} = \"{}\"", sink.url()).unwrap();
        }
        let config = self.folder.path().join("tailspan.toml");
        fs::write(&config, text).unwrap();
        let state = self.folder.path().join(state);
        Daemon::start(&self.projects(), &state, &["--config", config.to_str().unwrap()])
    }

    /// Runs it until all history has arrived at every endpoint, and says what the log said.
    fn run(&self, endpoints: &[(&str, &Sink)], traces: &str) -> Vec<String> {
        let mut daemon = self.start(endpoints, traces);
        for _ in endpoints {
            daemon.wait_for_log(SENT);
        }
        // A settled turn waits for a moment before it leaves.
        empty(&daemon);
        let said = std::mem::take(&mut daemon.said);
        assert_eq!(daemon.stop(), Some(0));
        said
    }

    /// Runs it until all session files are counted.
    fn read_all(&self, endpoints: &[(&str, &Sink)], traces: &str) {
        let daemon = self.start(endpoints, traces);
        daemon.metrics();
        empty(&daemon);
        assert_eq!(daemon.stop(), Some(0));
    }

    /// What a new state exports that has had an endpoint and the history from its first start on.
    fn everything(&self) -> BTreeMap<(Vec<u8>, Vec<u8>), Span> {
        let sink = self.sink();
        let mut daemon = self.start_on("another-state", &[("default", &sink)], FAST);
        daemon.wait_for_log(SENT);
        empty(&daemon);
        assert_eq!(daemon.stop(), Some(0));
        fs::remove_dir_all(self.folder.path().join("another-state")).unwrap();
        once(&sink)
    }
}

const FAST: &str = "history_since = \"all\"\nhistory_rate = 1000000";

/// Waits until nothing waits any more.
fn empty(daemon: &Daemon) {
    let waiting =
        |metrics: &str| sum(metrics, "tailspan_outbox_spans") + sum(metrics, "tailspan_history_waiting_traces");
    daemon.until("nothing waits", || (waiting(&daemon.metrics()) == 0.0).then_some(()));
}

/// What a collector took, by trace and span; each span came once.
fn once(sink: &Sink) -> BTreeMap<(Vec<u8>, Vec<u8>), Span> {
    let spans = sink.accepted_spans();
    let count = spans.len();
    let by_id: BTreeMap<_, _> =
        spans.into_iter().map(|span| ((span.trace_id.clone(), span.span_id.clone()), span)).collect();
    assert_eq!(by_id.len(), count, "a span came twice");
    by_id
}

/// Rows of a session: prompts that come on one day of November, each with some calls of a tool and an answer.
struct Session {
    number: u32,
    day: &'static str,
}

impl Session {
    fn path(&self, projects: &Path) -> PathBuf {
        projects.join(format!("-home-dev-past/{:08x}-0000-4000-8000-000000000000.jsonl", self.number))
    }

    fn row(&self, turn: usize, position: usize, kind: &str, message: &str) -> String {
        let Self { number, day } = self;
        let (second, millisecond) = (turn * 60 + position / 1_000, position % 1_000);
        let time = format!("{day}T{:02}:{:02}:{:02}.{millisecond:03}Z", second / 3_600, second / 60 % 60, second % 60);
        format!(
            "{{\"type\":\"{kind}\",\"uuid\":\"{number:08x}-{turn:04x}-4000-8000-{position:012x}\",\"timestamp\":\"{time}\",\
             \"sessionId\":\"{number:08x}-0000-4000-8000-000000000000\",\"version\":\"2.1.330\",\"message\":{{{message}}}}}\n"
        )
    }

    fn answer(&self, turn: usize, position: usize, content: &str, stop: &str) -> String {
        let id = format!("msg_{}_{turn}_{position}", self.number);
        let message = format!(
            "\"id\":\"{id}\",\"model\":\"claude-sonnet-4-5\",\"content\":[{content}],\"stop_reason\":\"{stop}\",\
             \"usage\":{{\"input_tokens\":1,\"output_tokens\":1}}"
        );
        self.row(turn, position, "assistant", &message)
    }

    /// A prompt and calls with their results: two spans each.
    fn begin(&self, turn: usize, calls: usize) -> String {
        let mut text = self.row(turn, 0, "user", "\"role\":\"user\",\"content\":\"Go, and say sesame.\"");
        for call in 0..calls {
            let id = format!("toolu_{}_{turn}_{call}", self.number);
            let content = format!("{{\"type\":\"tool_use\",\"id\":\"{id}\",\"name\":\"Bash\",\"input\":{{}}}}");
            text += &self.answer(turn, 1 + 2 * call, &content, "tool_use");
            let result = format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"{id}\",\"content\":\"x\"}}");
            text += &self.row(turn, 2 + 2 * call, "user", &format!("\"role\":\"user\",\"content\":[{result}]"));
        }
        text
    }

    /// The answer that ends a turn: two spans with the root.
    fn end(&self, turn: usize, calls: usize) -> String {
        self.answer(turn, 1 + 2 * calls, "{\"type\":\"text\",\"text\":\"Sesame.\"}", "end_turn")
    }

    /// Writes whole turns, each of `2 * calls + 2` spans.
    fn write(&self, projects: &Path, turns: usize, calls: usize) {
        let text: String = (0..turns).map(|turn| self.begin(turn, calls) + &self.end(turn, calls)).collect();
        append(&self.path(projects), text.as_bytes());
    }
}

/// Every recording, below one projects folder: sub-agents, forks, compactions and whatever else there is.
fn recordings(projects: &Path) {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
    for version in folders(&all) {
        for slug in folders(&version).iter().flat_map(|scenario| folders(&scenario.join("projects"))) {
            let name = format!("{}-{}", slug.file_name().unwrap().display(), version.file_name().unwrap().display());
            copy(&slug, &projects.join(name));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_was_read_without_an_endpoint_is_sent_once_there_is_one() {
    let bench = Bench::new();
    recordings(&bench.projects());
    bench.read_all(&[], "");
    let (first, second) = (bench.sink(), bench.sink());
    let endpoints = [("default", &first), ("second", &second)];
    let said = bench.run(&endpoints, FAST);
    let expected = bench.everything();
    assert!(expected.len() > 300);
    for (name, sink) in endpoints {
        assert!(once(sink) == expected, "{name} has got {} of {} spans", once(sink).len(), expected.len());
        let line = format!("sessions to endpoint {name}, at most 1000000 spans a second");
        assert!(said.iter().any(|said| said.contains("sending the traces of ") && said.contains(&line)), "{said:#?}");
    }
    for _ in 0..2 {
        let said = bench.run(&endpoints, FAST);
        assert!(!said.iter().any(|line| line.contains("sending the traces of ")), "{said:#?}");
    }
    assert_eq!((once(&first).len(), once(&second).len()), (expected.len(), expected.len()));
}

#[test]
fn an_endpoint_that_is_added_later_gets_the_history_and_the_others_nothing_twice() {
    let bench = Bench::new();
    recordings(&bench.projects());
    let (first, second) = (bench.sink(), bench.sink());
    bench.run(&[("default", &first)], FAST);
    let expected = once(&first);
    let endpoints = [("default", &first), ("second", &second)];
    let said = bench.run(&endpoints, FAST);
    assert!(said.iter().any(|line| line.contains(NOTHING) && line.contains("default")), "{said:#?}");
    assert!(once(&second) == expected, "{} of {} spans", once(&second).len(), expected.len());
    bench.run(&endpoints, FAST);
    assert_eq!((once(&first).len(), once(&second).len()), (expected.len(), expected.len()));
    // Without the setting a new endpoint gets what comes from now on.
    let third = bench.sink();
    bench.read_all(&[("third", &third)], "");
    assert_eq!(third.accepted_spans(), []);
}

#[test]
fn a_new_endpoint_gets_once_what_waits_for_another() {
    let bench = Bench::new();
    let (down, up) = (bench.sink(), bench.sink());
    down.script((0..10_000).map(|_| Answer::status(503)));
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 20, 4);
    let daemon = bench.start(&[("down", &down)], FAST);
    daemon.until("all waits", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 200.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
    let mut daemon = bench.start(&[("down", &down), ("up", &up)], FAST);
    daemon.wait_for_log(NOTHING);
    bench.sink_has(&up, 200);
    down.forget_script();
    empty(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!((once(&up).len(), once(&down).len()), (200, 200));
}

#[test]
fn a_setting_that_is_widened_sends_what_is_missing() {
    let bench = Bench::new();
    for (number, day) in (1..).zip(["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]) {
        Session { number, day }.write(&bench.projects(), 5, 4);
    }
    let sink = bench.sink();
    let since = |day: &str| format!("history_since = \"{day}T00:00:00Z\"\nhistory_rate = 1000000");
    for (setting, spans) in [
        (String::new(), 0),
        (since("2026-11-04"), 50),
        (since("2026-11-03"), 100),
        // Narrower again, and wide.
        (since("2026-11-04"), 100),
        (FAST.to_owned(), 200),
    ] {
        match setting.as_str() {
            "" => bench.read_all(&[("default", &sink)], ""),
            setting => drop(bench.run(&[("default", &sink)], setting)),
        }
        assert_eq!(once(&sink).len(), spans, "{setting}");
    }
    assert!(once(&sink) == bench.everything());
}

#[test]
fn an_endpoint_that_was_away_gets_what_it_missed() {
    let bench = Bench::new();
    let (first, second) = (bench.sink(), bench.sink());
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 3, 4);
    bench.run(&[("first", &first)], FAST);
    // A file that is found later tells of the past, too.
    Session { number: 2, day: "2026-11-02" }.write(&bench.projects(), 3, 4);
    bench.run(&[("second", &second)], FAST);
    Session { number: 3, day: "2026-11-03" }.write(&bench.projects(), 3, 4);
    bench.read_all(&[], "");
    assert_eq!((once(&first).len(), once(&second).len()), (30, 60));
    bench.run(&[("first", &first), ("second", &second)], FAST);
    let expected = bench.everything();
    assert_eq!(expected.len(), 90);
    assert!(once(&first) == expected && once(&second) == expected);
}

#[test]
fn files_that_are_found_while_it_runs_are_sent_as_well() {
    let bench = Bench::new();
    let sink = bench.sink();
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 3, 4);
    let mut daemon = bench.start(&[("default", &sink)], FAST);
    daemon.wait_for_log(SENT);
    Session { number: 2, day: "2026-11-02" }.write(&bench.projects(), 3, 4);
    daemon.wait_for_log("sending the traces of ");
    daemon.wait_for_log(SENT);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(once(&sink).len(), 60);
}

#[test]
fn what_is_live_leaves_before_the_history() {
    let bench = Bench::new();
    let (first, second) = (bench.sink(), bench.sink());
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 40, 4);
    bench.run(&[("first", &first)], FAST);
    // One of ten spans per ten seconds, after the first.
    let slow = "history_since = \"all\"\nhistory_rate = 1";
    let endpoints = [("first", &first), ("second", &second)];
    let mut daemon = bench.start(&endpoints, slow);
    daemon.wait_for_log("sending the traces of 1 sessions to endpoint second, at most 1 spans a second");
    Session { number: 2, day: "2099-11-01" }.write(&bench.projects(), 1, 4);
    bench.sink_has(&first, 410);
    let is_live = |span: &&Span| span.start_time_unix_nano > 4_000_000_000_000_000_000;
    daemon.until("live spans come", || (second.accepted_spans().iter().filter(is_live).count() == 10).then_some(()));
    let waiting = "tailspan_history_waiting_traces";
    let metrics = daemon.metrics();
    assert!(sum(&metrics, waiting) > 20.0, "{metrics}");
    assert!(metrics.contains("tailspan_history_waiting_traces{endpoint=\"first\"} 0\n"), "{metrics}");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(once(&first).len(), 410);
    bench.run(&endpoints, FAST);
    assert!(once(&second) == once(&first));
}

#[test]
fn a_turn_that_goes_on_is_caught_up_at_a_new_endpoint() {
    let bench = Bench::new();
    let (first, second) = (bench.sink(), bench.sink());
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 1, 100);
    let session = Session { number: 2, day: "2099-11-01" };
    // Long enough to send its finished parts early; its answer is still to come.
    append(&session.path(&bench.projects()), session.begin(0, 250).as_bytes());
    let daemon = bench.start(&[("first", &first)], FAST);
    bench.sink_has(&first, 202 + 499);
    empty(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    assert!(once(&first).len() < 202 + 502);
    // After the older session it would be minutes before it is the turn of this one.
    let daemon = bench.start(&[("first", &first), ("second", &second)], "history_since = \"all\"\nhistory_rate = 1");
    bench.sink_has(&second, 202);
    append(&session.path(&bench.projects()), session.end(0, 250).as_bytes());
    for sink in [&first, &second] {
        bench.sink_has(sink, 202 + 502);
    }
    assert_eq!(daemon.stop(), Some(0));
    bench.run(&[("first", &first), ("second", &second)], FAST);
    assert!(once(&second) == once(&first));
}

#[test]
fn a_turn_that_is_too_long_to_be_in_memory_leaves_again_in_pieces() {
    let bench = Bench::new();
    let (first, second) = (bench.sink(), bench.sink());
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 1, 2_600);
    bench.read_all(&[], "");
    bench.run(&[("first", &first)], FAST);
    let expected = once(&first);
    assert_eq!(expected.len(), 5_202);
    bench.run(&[("first", &first), ("second", &second)], FAST);
    assert!(once(&second) == expected, "{} of 5202 spans", once(&second).len());
    assert!(expected == bench.everything());
}

#[test]
fn sessions_whose_files_are_gone_are_sent_without_text() {
    let bench = Bench::new();
    let sink = bench.sink();
    for number in [1, 2] {
        Session { number, day: "2026-11-01" }.write(&bench.projects(), 1, 1);
    }
    bench.read_all(&[], "");
    fs::remove_file(Session { number: 1, day: "2026-11-01" }.path(&bench.projects())).unwrap();
    bench.run(&[("default", &sink)], &format!("{FAST}\ncontent = \"content\""));
    let spans = once(&sink);
    let with = |name: &str| spans.values().filter(|span| span.attributes.iter().any(|own| own.key == name)).count();
    // Of the other one a prompt, two responses and the answer at the root.
    assert_eq!((spans.len(), with("gen_ai.input.messages"), with("gen_ai.output.messages")), (8, 1, 3));
    assert_eq!(with("claude_code.content.unavailable"), 4);
}

#[test]
fn a_kill_in_the_middle_of_the_history_costs_at_most_what_is_under_way() {
    const SPANS: usize = 3_000;
    /// Most spans of a request.
    const REQUEST: usize = 512;
    let seed = std::env::var("TAILSPAN_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    let mut dice = Dice::new(seed);
    let bench = Bench::new();
    let (first, second) = (bench.sink(), bench.sink());
    for (number, day) in (1..).zip(["2026-11-01", "2026-11-02", "2026-11-03"]) {
        Session { number, day }.write(&bench.projects(), 100, 4);
    }
    bench.read_all(&[], "");
    let traces = "history_since = \"all\"\nhistory_rate = 1500";
    // First for all endpoints that there are, then for a new one alone.
    for (endpoints, sink) in
        [(vec![("default", &first)], &first), (vec![("default", &first), ("second", &second)], &second)]
    {
        let (mut kills, mut known) = (0, 0);
        while known < SPANS && kills < 8 {
            let daemon = bench.start(&endpoints, traces);
            bench.sink_has(sink, (known + 1 + dice.below(700)).min(SPANS));
            drop(daemon);
            kills += 1;
            known = sink.accepted_spans().len();
        }
        assert!(kills > 2, "seed {seed}: it was killed {kills} times");
        bench.run(&endpoints, FAST);
        let spans = sink.accepted_spans();
        let ids: BTreeMap<_, _> =
            spans.iter().map(|span| ((span.trace_id.clone(), span.span_id.clone()), span.clone())).collect();
        assert_eq!(ids.len(), SPANS, "seed {seed}: spans are lost");
        let most = SPANS + kills * REQUEST;
        assert!(spans.len() <= most, "seed {seed}: {} spans after {kills} kills", spans.len());
        assert!(ids == bench.everything(), "seed {seed}");
    }
    assert!(first.accepted_spans().len() < SPANS + 8 * REQUEST, "seed {seed}: nothing more came with the second");
}

#[test]
fn history_for_an_endpoint_that_is_down_waits_outside_the_outbox() {
    let bench = Bench::new();
    let (up, down) = (bench.sink(), bench.sink());
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 400, 4);
    bench.run(&[("up", &up)], FAST);
    down.script((0..10_000).map(|_| Answer::status(503)));
    let daemon = bench.start(&[("up", &up), ("down", &down)], FAST);
    daemon.until("some waits", || (sum(&daemon.metrics(), "tailspan_outbox_spans") >= 2_000.0).then_some(()));
    Session { number: 2, day: "2099-11-01" }.write(&bench.projects(), 1, 4);
    bench.sink_has(&up, 4_010);
    let metrics = daemon.metrics();
    assert!(sum(&metrics, "tailspan_outbox_spans") < 3_000.0, "{metrics}");
    assert!(metrics.contains("tailspan_history_waiting_traces{endpoint=\"up\"} 0\n"), "{metrics}");
    assert!(sum(&metrics, "tailspan_history_waiting_traces") > 100.0, "{metrics}");
    down.forget_script();
    bench.sink_has(&down, 4_010);
    empty(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    assert!(once(&down) == once(&up));
}

#[test]
fn an_endpoint_that_left_before_it_had_taken_all_gets_it_when_it_is_back() {
    let bench = Bench::new();
    let (stays, leaves) = (bench.sink(), bench.sink());
    leaves.script((0..10_000).map(|_| Answer::status(503)));
    Session { number: 1, day: "2026-11-01" }.write(&bench.projects(), 20, 4);
    let both = [("stays", &stays), ("leaves", &leaves)];
    let daemon = bench.start(&both, FAST);
    bench.sink_has(&stays, 200);
    daemon.until("all waits", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 200.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
    bench.run(&[("stays", &stays)], FAST);
    assert_eq!(leaves.accepted_spans(), []);
    leaves.forget_script();
    bench.run(&both, FAST);
    assert_eq!(once(&stays).len(), 200);
    assert!(once(&leaves) == once(&stays));
}
