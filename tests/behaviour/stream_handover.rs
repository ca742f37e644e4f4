//! What `tailspan stream` hands over: to a sidecar that is there, is not, hangs, refuses, dies and returns.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::daemon::{Daemon, sum};
use crate::support::stream::{Stream, event, events, files, flags, is_mark, lines, marks, nobody, pretender, until};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("projects")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn sidecar(&self, state: &str) -> Daemon {
        Daemon::start(&self.path("projects"), &self.path(state), &[])
    }

    fn sidecar_on(&self, listen: &str, state: &str) -> Daemon {
        Daemon::start_on(listen, &[], &self.path("projects"), &self.path(state), &[])
    }
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| event(number, 50).trim_end().to_owned()).collect()
}

fn write(stream: &mut Stream, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let line = event(number, 50);
        stream.write(line.as_bytes());
        assert_eq!(stream.read(line.len()), line.as_bytes());
    }
}

/// Whether the line of a number lies in a spool; `None` while it is in no file.
fn is_spooled(state: &Path, number: usize) -> Option<bool> {
    let line = event(number, 50);
    let texts = files(state).into_iter().rev().filter_map(|path| fs::read_to_string(path).ok());
    let text = texts.into_iter().find(|text| text.contains(&line))?;
    let mark: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    Some(mark["spool"] == true)
}

/// Has later runs hand over what a busy machine left behind at the end of one.
fn settle(own: &Path, address: &str) {
    until("nothing waits any more", || {
        if files(own).is_empty() {
            return Some(());
        }
        assert_eq!(Stream::start(&flags(own, address)).end().code(), 0);
        None
    });
}

fn wait_for(state: &Path, numbers: std::ops::Range<usize>) {
    let wanted = expected(numbers);
    until("the events arrive", || (events(state) == wanted).then_some(()));
}

#[test]
fn a_sidecar_has_each_line_while_the_run_goes_on() {
    let place = Place::new();
    let (own, other) = (place.path("own"), place.path("sidecar"));
    let daemon = place.sidecar("sidecar");
    let address = daemon.address.to_string();
    let more = ["--workflow", "nightly build", "--label", "team=se,arch", "--label", "x=100%"];
    let mut stream = Stream::start(&[&flags(&own, &address)[..], &more].concat());
    until("the run is known before its first line", || (marks(&other, "run").len() == 1).then_some(()));
    for number in 0..5 {
        write(&mut stream, number..number + 1);
        wait_for(&other, 0..number + 1);
    }
    assert_eq!(stream.end().code(), 0);
    settle(&own, &address);
    let run = marks(&other, "run").into_iter().find(|run| run.get("workflow").is_some()).unwrap();
    assert_eq!(run["workflow"], "nightly build");
    assert_eq!(run["labels"], serde_json::json!({"team": "se,arch", "x": "100%"}));
    assert!(run.get("spool").is_none());
    assert!(!marks(&other, "end").is_empty());
    assert!(!marks(&other, "at").is_empty() && marks(&other, "at").iter().all(|at| at.get("by").is_none()));
    let metrics = daemon.metrics();
    assert!(metrics.contains("tailspan_stream_lines_total{outcome=\"new\"} 5"), "{metrics}");
    assert!(sum(&metrics, "tailspan_stream_bytes_total") > 500.0);
}

#[test]
fn a_result_without_a_newline_ends_its_run_whichever_way_it_comes() {
    let place = Place::new();
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/a_plain/stream.jsonl");
    let bytes = fs::read(recording).unwrap().trim_ascii_end().to_vec();
    for way in ["directly", "from a spool elsewhere", "from a spool in its own state"] {
        let (own, other) = (place.path(&format!("{way}: own")), format!("{way}: sidecar"));
        let own = if way.ends_with("own state") { place.path(&other) } else { own };
        let address = nobody();
        let early = (way == "directly").then(|| place.sidecar_on(&address, &other));
        let mut stream = Stream::start(&flags(&own, &address));
        stream.write(&bytes);
        let ended = stream.end();
        assert_eq!((ended.code(), ended.stdout == bytes), (0, true), "{way}: {}", ended.said);
        let daemon = early.unwrap_or_else(|| place.sidecar_on(&address, &other));
        if own != place.path(&other) {
            settle(&own, &address);
        }
        until(way, || {
            let runs: serde_json::Value = serde_json::from_str(&daemon.get("/api/v1/analytics/runs").1).ok()?;
            let run = runs["runs"].as_array()?.iter().find(|run| run["session"].is_string())?.clone();
            (run["ended_at"].is_string() && run["outcome"] == "success" && run["torn_bytes"] == 0).then_some(())
        });
    }
}

#[test]
fn lines_wait_until_a_sidecar_is_there_and_are_handed_over_while_the_run_goes_on() {
    let place = Place::new();
    let address = nobody();
    let own = place.path("own");
    let mut stream = Stream::start(&flags(&own, &address));
    write(&mut stream, 0..100);
    wait_for(&own, 0..100);
    let _daemon = place.sidecar_on(&address, "sidecar");
    wait_for(&place.path("sidecar"), 0..100);
    until("the spool is removed", || files(&own).is_empty().then_some(()));
    write(&mut stream, 100..120);
    wait_for(&place.path("sidecar"), 0..120);
    let ended = stream.end();
    assert_eq!((ended.code(), ended.said.matches("tailspan:").count()), (0, 1), "{}", ended.said);
    settle(&own, &address);
    assert_eq!(events(&place.path("sidecar")), expected(0..120));
}

#[test]
fn a_sidecar_that_hangs_or_refuses_is_not_waited_for() {
    let refusal = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops";
    for (answer, reason) in
        [(None, "no time to wait"), (Some(refusal), "it refuses: 500 oops"), (Some("nonsense\r\n\r\n"), "")]
    {
        let place = Place::new();
        let (address, requests) = pretender(answer);
        let address = address.to_string();
        let own = place.path("own");
        let mut stream = Stream::start(&flags(&own, &address));
        let request = requests.recv().unwrap();
        assert!(request.starts_with("POST /api/v1/events HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("Content-Type: application/x-ndjson\r\n") && request.contains("Tailspan-Run: "),
            "{request}"
        );
        write(&mut stream, 0..10);
        let begun = Instant::now();
        let ended = stream.end();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(ended.code(), 0);
        assert!(ended.said.contains(reason) && ended.said.matches("tailspan:").count() == 1, "{}", ended.said);
        assert_eq!(events(&own), expected(0..10));
        assert_eq!(marks(&own, "end").len(), 1);
    }
}

#[test]
fn a_sidecar_that_dies_in_between_gets_the_rest_when_it_is_back() {
    let place = Place::new();
    let (own, other) = (place.path("own"), place.path("sidecar"));
    let mut daemon = place.sidecar("sidecar");
    let address = daemon.address.to_string();
    let mut stream = Stream::start(&flags(&own, &address));
    let mut sent = 0;
    for _ in 0..3 {
        write(&mut stream, sent..sent + 10);
        wait_for(&other, 0..sent + 10);
        drop(daemon);
        write(&mut stream, sent + 10..sent + 20);
        daemon = place.sidecar_on(&address, "sidecar");
        wait_for(&other, 0..sent + 20);
        sent += 20;
    }
    assert_eq!(stream.end().code(), 0);
    settle(&own, &address);
    assert_eq!(events(&other), expected(0..sent));
    assert_eq!(files(&other).iter().filter(|file| fs::read_to_string(file).unwrap().contains("assistant")).count(), 1);
}

#[test]
fn spools_of_earlier_runs_are_handed_over_by_a_later_one() {
    let place = Place::new();
    let (own, other) = (place.path("own"), place.path("sidecar"));
    for run in 0..3 {
        let mut stream = Stream::start(&[&flags(&own, &nobody())[..], &["--workflow", &format!("w{run}")]].concat());
        write(&mut stream, run * 10..run * 10 + 10);
        stream.end();
    }
    assert_eq!(files(&own).len(), 3);
    // One that is still written stays with its run.
    let absent = nobody();
    let mut busy = Stream::start(&flags(&own, &absent));
    write(&mut busy, 900..901);
    until("it is spooled", || (files(&own).len() == 4).then_some(()));
    let daemon = place.sidecar("sidecar");
    let address = daemon.address.to_string();
    let mut stream = Stream::start(&flags(&own, &address));
    until("they are handed over", || (files(&own).len() == 1 && events(&other).len() == 30).then_some(()));
    write(&mut stream, 30..31);
    assert_eq!(stream.end().code(), 0);
    until("the last line", || {
        Stream::start(&flags(&own, &address)).end();
        (events(&other).len() == 31 && files(&own).len() == 1).then_some(())
    });
    let mut all = events(&other);
    all.sort();
    assert_eq!(all, expected(0..31));
    let mut workflows: Vec<String> =
        marks(&other, "run").iter().filter_map(|run| run["workflow"].as_str().map(str::to_owned)).collect();
    workflows.sort();
    assert_eq!(workflows, ["w0", "w1", "w2"]);
    assert_eq!(busy.end().code(), 0);
    // A run that ends at once hands over as well.
    settle(&own, &address);
    assert_eq!(events(&other).len(), 32);
}

#[test]
fn a_sidecar_with_the_same_state_reads_spools_where_they_are() {
    let place = Place::new();
    let state = place.path("state");
    let address = nobody();
    let mut stream = Stream::start(&flags(&state, &address));
    write(&mut stream, 0..10);
    wait_for(&state, 0..10);
    let daemon = place.sidecar_on(&address, "state");
    let mut sent = 10;
    let mut write_until = |what: &str, spooled: bool| {
        until(what, || {
            write(&mut stream, sent..sent + 1);
            sent += 1;
            (is_spooled(&state, sent - 1) == Some(spooled)).then_some(())
        });
    };
    write_until("lines come directly", false);
    drop(daemon);
    write_until("lines are spooled again", true);
    let _daemon = place.sidecar_on(&address, "state");
    write_until("and come directly again", false);
    assert_eq!(stream.end().code(), 0);
    let mut all = events(&state);
    all.sort();
    // A busy sidecar may answer too late, and has the line then beside the spool. The ledger counts it once.
    all.dedup();
    assert_eq!(all, expected(0..sent));
    assert!(marks(&state, "run").iter().filter(|run| run["spool"] == true).count() >= 2);
    // A later run does not send to the sidecar what it has.
    let before = lines(&state);
    Stream::start(&flags(&state, &address)).end();
    assert!(before.iter().all(|line| lines(&state).contains(line)));
    assert_eq!(events(&state).len(), before.iter().filter(|line| !is_mark(line)).count());
}

/// Lines that the marks below a state say are missing.
fn lost(state: &Path) -> f64 {
    marks(state, "lost").iter().map(|mark| mark["lines"].as_f64().unwrap()).sum()
}

#[test]
fn each_loss_counts_once_whichever_way_it_came() {
    const LOST: &str = "tailspan_stream_lost_lines_total";
    let place = Place::new();
    let (state, other, address) = (place.path("state"), place.path("elsewhere"), nobody());
    let config = place.path("tailspan.toml");
    fs::write(&config, "[stream]\nspool_bytes = \"64KiB\"\n").unwrap();
    let lose = |own: &Path| {
        let mut stream = Stream::start(&[&flags(own, &address)[..], &["--config", config.to_str().unwrap()]].concat());
        stream.write((0..100).map(|number| event(number, 900)).collect::<String>().as_bytes());
        assert_eq!(stream.end().code(), 0);
        lost(own)
    };
    let counts = |daemon: &Daemon, lines: f64| {
        until("the losses are counted", || (sum(&daemon.metrics(), LOST) == lines).then_some(()));
    };
    let told = |daemon: &Daemon| {
        let runs: serde_json::Value = serde_json::from_str(&daemon.get("/api/v1/analytics/runs").1).unwrap();
        runs["runs"].as_array().unwrap().iter().map(|run| run["lost_lines"].as_f64().unwrap()).sum::<f64>()
    };
    // Before the first start it is history, of which the run alone tells.
    let early = lose(&state);
    let daemon = place.sidecar("state");
    counts(&daemon, 0.0);
    assert!(early > 0.0 && told(&daemon) == early, "{early}");
    assert_eq!(daemon.stop(), Some(0));
    // A spool of its own state is read where it lies, and another is handed over.
    let later = lose(&state) - early;
    assert!(later > 0.0);
    let daemon = place.sidecar("state");
    counts(&daemon, later);
    assert_eq!(daemon.stop(), Some(0));
    let handed = lose(&other);
    assert!(handed > 0.0);
    let daemon = place.sidecar_on(&address, "state");
    settle(&other, &address);
    counts(&daemon, later + handed);
    assert_eq!(told(&daemon), early + later + handed);
    // A restart reads nothing twice.
    assert_eq!(daemon.stop(), Some(0));
    let daemon = place.sidecar("state");
    assert_eq!(sum(&daemon.metrics(), LOST), later + handed);
}

#[test]
fn many_runs_at_once_keep_their_lines_apart() {
    let place = Place::new();
    let (own, other) = (place.path("own"), place.path("sidecar"));
    let daemon = place.sidecar("sidecar");
    let address = daemon.address.to_string();
    std::thread::scope(|scope| {
        for run in 0..8 {
            let (own, address) = (&own, &address);
            scope.spawn(move || {
                let mut stream = Stream::start(&[&flags(own, address)[..], &["--workflow", &run.to_string()]].concat());
                write(&mut stream, run * 1000..run * 1000 + 100);
                assert_eq!(stream.end().code(), 0);
            });
        }
    });
    settle(&own, &address);
    assert_eq!(events(&other).len(), 800);
    for file in files(&other) {
        let text = fs::read_to_string(file).unwrap();
        let run: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        // A run that only handed over what others left has none.
        if run.get("workflow").is_none() {
            continue;
        }
        let first = run["workflow"].as_str().unwrap().parse::<usize>().unwrap() * 1000;
        let own: Vec<&str> = text.lines().filter(|line| !line.contains("tailspan")).collect();
        assert_eq!(own, expected(first..first + 100));
    }
}
