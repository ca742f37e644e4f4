//! `POST /api/v1/events`: what is taken, what is refused, and what is in the file afterwards.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tailspan::streams::sweep::SweepRules;
use tailspan::streams::{Caller, Folder, Intake, Run, RunId, mark};
use tailspan::transcript::time::Timestamp;
use tailspan::vitals::StreamVitals;
use tempfile::TempDir;

use crate::support::daemon::{Daemon, sum};
use crate::support::http::{Client, Reply, assert_problem, head, request};
use crate::support::privileges::Mount;
use crate::support::stream::{event, events, files, lines, marks, until};

const RUN: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70a";
const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");
const NAMED: (&str, &str) = ("Tailspan-Run", RUN);

struct Side {
    daemon: Daemon,
    state: PathBuf,
    _folder: TempDir,
}

impl Side {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
        fs::create_dir(&projects).unwrap();
        Self { daemon: Daemon::start(&projects, &state, &[]), state, _folder: folder }
    }

    fn post(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
        post(self.daemon.address, headers, body)
    }

    fn text(&self) -> String {
        lines(&self.state).join("\n")
    }
}

fn post(address: SocketAddr, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    request(address, "POST", "/api/v1/events", &[&[NDJSON], headers].concat(), body.as_ref())
}

fn taken(reply: &Reply) -> (u64, u64, Value) {
    assert_eq!(reply.status, 202, "{}", reply.text());
    let answer = reply.json();
    (answer["accepted"].as_u64().unwrap(), answer["rejected"].as_u64().unwrap(), answer["session"].clone())
}

#[test]
fn lines_are_kept_once_however_often_they_come() {
    let side = Side::start();
    let session = json!("5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
    let without = "{\"type\":\"keep_alive\"}\n";
    let body = event(1, 5) + without + "junk\n[1]\n\n" + &event(2, 5) + without;
    assert_eq!(taken(&side.post(&[NAMED], &body)), (4, 2, session.clone()));
    let kept = side.text();
    assert_eq!(events(&side.state), [event(1, 5).trim_end(), without.trim_end(), event(2, 5).trim_end()]);
    assert_eq!((marks(&side.state, "run").len(), marks(&side.state, "at").len()), (1, 1));
    assert_eq!(marks(&side.state, "at")[0]["by"], "sidecar");
    assert_eq!(taken(&side.post(&[NAMED], &body)), (4, 2, session.clone()));
    assert_eq!(side.text(), kept);
    // The last line needs no newline, and another form of the same event is the same event.
    let again = event(2, 5).replace("\"text\":\"xxxxx\"", "\"text\":\"y\"") + event(3, 5).trim_end();
    assert_eq!(taken(&side.post(&[NAMED], again)), (2, 0, session));
    assert_eq!(events(&side.state).len(), 4);
    let metrics = side.daemon.metrics();
    assert_eq!(sum(&metrics, "tailspan_stream_lines_total"), 14.0);
    assert!(metrics.contains("tailspan_stream_lines_total{outcome=\"rejected\"} 4"), "{metrics}");
    assert!(metrics.contains("tailspan_stream_lines_total{outcome=\"new\"} 4"), "{metrics}");
}

#[test]
fn what_is_known_is_known_again_after_a_restart() {
    let mut side = Side::start();
    let body: String = (0..50).map(|number| event(number, 5)).collect();
    side.post(&[NAMED], &body);
    let kept = side.text();
    // A crash in the middle of a line.
    let [file] = files(&side.state).try_into().unwrap();
    fs::write(&file, kept.clone() + "\n{\"type\":\"assis").unwrap();
    let (projects, address) = (side._folder.path().join("projects"), side.daemon.address.to_string());
    drop(std::mem::replace(
        &mut side.daemon,
        Daemon::spawn(&projects, &side._folder.path().join("other"), &["--listen", "127.0.0.1:0"]),
    ));
    side.daemon = Daemon::start_on(&address, &[], &projects, &side.state, &[]);
    assert_eq!(taken(&side.post(&[NAMED], &body)).0, 50);
    assert_eq!(side.text(), kept);
    side.post(&[NAMED], event(50, 5));
    assert_eq!(events(&side.state).len(), 51);
}

#[test]
fn what_headers_do_not_say_of_a_run_its_mark_says() {
    let side = Side::start();
    let mark = json!({
        "type": "tailspan", "mark": "run", "run": RUN, "workflow": "of-the-mark", "labels": {"team": "search"},
        "at": "2026-11-30T01:02:03.456Z", "span": true,
    });
    side.post(&[NAMED, ("Tailspan-Workflow", "nightly")], format!("{mark}\n"));
    let kept = &marks(&side.state, "run")[0];
    let said = json!([kept["workflow"], kept["labels"], kept["span"]]);
    assert_eq!(said, json!(["nightly", {"team": "search"}, true]));
}

#[test]
fn a_run_without_a_name_is_named_after_its_session() {
    let side = Side::start();
    side.post(&[], event(1, 5));
    assert_eq!(files(&side.state)[0].file_stem().unwrap(), "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
    assert_problem(&side.post(&[], "{\"type\":\"x\"}\n"), 400, "`Tailspan-Run` must name the run");
    assert_problem(
        &side.post(&[], "{\"session_id\":\"abc\"}\n"),
        400,
        "the first session of the body is none: \"abc\"",
    );
    assert_problem(&side.post(&[], ""), 400, "`Tailspan-Run` must name the run");
    assert_eq!(taken(&side.post(&[NAMED], "")), (0, 0, Value::Null));
    // A mark of the body names it too.
    let run = "{\"type\":\"tailspan\",\"mark\":\"run\",\"run\":\"00000000-0000-4000-8000-000000000000\",\"workflow\":\"w\",\"at\":\"2026-11-30T01:02:03.456Z\"}\n";
    assert_eq!(taken(&side.post(&[], run)), (0, 0, Value::Null));
    assert_eq!(marks(&side.state, "run")[0]["workflow"], "w");
    assert_problem(
        &side.post(&[NAMED], run),
        400,
        "the body says that it is of run 00000000-0000-4000-8000-000000000000",
    );
}

#[test]
fn a_run_is_named_after_the_first_session_that_any_line_has() {
    let asks = "{\"type\":\"control_request\",\"request_id\":\"1\"}\n";
    let begun = "{\"type\":\"tailspan\",\"mark\":\"at\",\"at\":\"2026-11-30T01:02:03.456Z\"}\n";
    let body = format!("{begun}{asks}junk\n\n{}{}", event(1, 5), event(2, 5).trim_end());
    for step in [1, 7, 64, body.len()] {
        let side = Side::start();
        // However the body comes, and also if it comes again.
        for _ in 0..2 {
            let mut client = Client::connect(side.daemon.address);
            let chunked = ("Transfer-Encoding", "chunked");
            let head = head("POST", "/api/v1/events", &[NDJSON, chunked], 0).replace("Content-Length: 0\r\n", "");
            client.send(head.as_bytes());
            for piece in body.as_bytes().chunks(step) {
                client.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            client.send(b"0\r\n\r\n");
            assert_eq!(taken(&client.read()), (3, 1, json!("5fb3d16f-f9e3-4142-a37d-c727bd6ab70f")));
            assert_eq!(events(&side.state), [asks.trim_end(), event(1, 5).trim_end(), event(2, 5).trim_end()]);
            let [file] = files(&side.state).try_into().unwrap();
            assert_eq!(file.file_stem().unwrap(), "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
            assert!(marks(&side.state, "at").iter().all(|at| at["at"] == "2026-11-30T01:02:03.456Z"));
        }
    }
    let side = Side::start();
    // The only session may be that of the last line, which needs no newline.
    assert_eq!(taken(&side.post(&[], asks.to_owned() + event(1, 5).trim_end())).0, 2);
    assert_problem(&side.post(&[], asks.repeat(1000)), 400, "or a line of the body a session by `session_id`");
    assert_problem(&side.post(&[], format!("{asks}{{\"session_id\":\"abc\"}}")), 400, "is none: \"abc\"");
    assert_eq!(events(&side.state).len(), 2);
}

#[test]
fn lines_of_no_session_wait_for_one_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, _) = intake(folder.path());
    let line = format!("{{\"type\":\"{}\"}}\n", "x".repeat(1 << 20));
    for lines in [60, 70] {
        let mut receiving = intake.begin(None, Caller::default()).unwrap();
        let results: Vec<_> = (0..lines).map(|_| receiving.take(line.as_bytes(), Timestamp(0))).collect();
        let refused = results.into_iter().filter_map(Result::err).next();
        match refused {
            None => {
                receiving.take(event(1, 5).as_bytes(), Timestamp(0)).unwrap();
                assert_eq!((lines, receiving.finish(Timestamp(0)).unwrap().accepted), (60, 61));
            }
            Some(error) => assert!(lines == 70 && error.to_string().contains("must name the run"), "{error}"),
        }
    }
    // That of a single line is the same, whatever comes in one piece with its end.
    let longest = event(1, 0).len() - 1;
    for (bytes, is_taken) in [(64 << 20, true), ((64 << 20) + 1, false)] {
        let mut receiving = intake.begin(None, Caller::default()).unwrap();
        let body = event(2, bytes - longest - 1) + &event(3, 1000);
        let pieces = body.as_bytes().chunks(1 << 20);
        let result = pieces.map(|piece| receiving.take(piece, Timestamp(0))).find(Result::is_err);
        assert_eq!(
            result.map(|result| result.unwrap_err().to_string().contains("a line may have")),
            (!is_taken).then_some(true)
        );
    }
}

#[test]
fn headers_say_what_the_run_is_and_are_held_to_their_limits() {
    let side = Side::start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        NAMED,
        ("Tailspan-Workflow", "n%C3%A4chtlich"),
        ("Tailspan-Labels", "team=se%2Carch, env=ci"),
        ("traceparent", parent),
    ];
    side.post(&headers, event(1, 5));
    let run = &marks(&side.state, "run")[0];
    assert_eq!((&run["workflow"], &run["traceparent"]), (&json!("nächtlich"), &json!(parent)));
    assert_eq!(run["labels"], json!({"team": "se,arch", "env": "ci"}));
    let refused =
        |header: (&str, &str), said: &str| assert_problem(&side.post(&[NAMED, header], event(2, 5)), 400, said);
    refused(("Tailspan-Workflow", "%zz"), "not percent-encoded");
    refused(("Tailspan-Workflow", "a%0Ab"), "without control characters");
    refused(("Tailspan-Workflow", &"w".repeat(129)), "1 to 128 letters");
    refused(("Tailspan-Labels", "team"), "a label is NAME=VALUE");
    refused(("Tailspan-Labels", &format!("a={}", "v".repeat(257))), "at most 256");
    let many: Vec<String> = (0..17).map(|number| format!("l{number}=x")).collect();
    refused(("Tailspan-Labels", &many.join(",")), "at most 16 labels");
    for wrong in ["", "1", "../../etc/passwd", "5fb3d16f-f9e3-4142-a37d-c727bd6ab70"] {
        assert_problem(&side.post(&[("Tailspan-Run", wrong)], event(2, 5)), 400, "takes a UUID");
    }
    assert_eq!(events(&side.state).len(), 1);
}

#[test]
fn a_page_cannot_write_and_another_type_is_refused() {
    let side = Side::start();
    let body = event(1, 5);
    assert_problem(&side.post(&[NAMED, ("Origin", "http://evil.example")], &body), 403, "from another site");
    assert_problem(&side.post(&[NAMED, ("Sec-Fetch-Site", "cross-site")], &body), 403, "from another site");
    for wrong in ["text/plain", "application/json", "application/x-www-form-urlencoded"] {
        let reply =
            request(side.daemon.address, "POST", "/api/v1/events", &[("Content-Type", wrong), NAMED], body.as_bytes());
        assert_problem(&reply, 415, "the body must be `application/x-ndjson`");
    }
    for wrong in ["gzip", "zstd", "identity, gzip"] {
        assert_problem(&side.post(&[NAMED, ("Content-Encoding", wrong)], &body), 415, "must not be compressed");
    }
    assert_problem(&request(side.daemon.address, "PUT", "/api/v1/events", &[NDJSON], b""), 405, "takes");
    assert!(files(&side.state).is_empty());
    assert_eq!(taken(&side.post(&[NAMED, ("Origin", "http://127.0.0.1")], &body)).0, 1);
    assert_eq!(taken(&side.post(&[NAMED, ("Content-Encoding", "Identity")], &body)).0, 1);
}

#[test]
fn a_body_that_stays_open_is_kept_line_by_line() {
    let side = Side::start();
    let mut client = Client::connect(side.daemon.address);
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n\
         Tailspan-Run: {RUN}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    client.send(head.as_bytes());
    let mut chunk = |text: &str| client.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
    for number in 0..5 {
        let line = event(number, 5);
        let (first, rest) = line.split_at(20);
        chunk(first);
        chunk(rest);
        until("the line is kept before the next comes", || (events(&side.state).len() == number + 1).then_some(()));
    }
    // Others are not held up.
    assert_eq!(taken(&side.post(&[NAMED], event(9, 5))).0, 1);
    chunk(&event(5, 5));
    client.send(b"0\r\n\r\n");
    let reply = client.read();
    assert_eq!(taken(&reply).0, 6);
    assert_eq!(events(&side.state).len(), 7);
    // One whose client goes leaves its whole lines.
    let mut gone = Client::connect(side.daemon.address);
    gone.send(head.as_bytes());
    let text = event(20, 5) + "{\"type\":\"to";
    gone.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
    until("its line is kept", || (events(&side.state).len() == 8).then_some(()));
    drop(gone);
    assert_eq!(taken(&side.post(&[NAMED], event(21, 5))).0, 1);
    assert_eq!(events(&side.state).len(), 9);
}

#[test]
fn long_lines_are_taken_and_one_beyond_the_bound_is_refused() {
    let side = Side::start();
    let long = event(1, 20 << 20);
    assert_eq!(taken(&side.post(&[NAMED], &long)).0, 1);
    assert!(events(&side.state) == [long.trim_end()]);
    let too_long = format!("{{\"type\":\"{}\"}}\n", "x".repeat(64 << 20));
    let mut client = Client::connect(side.daemon.address);
    client.send(head("POST", "/api/v1/events", &[NDJSON, NAMED], too_long.len()).as_bytes());
    client.send(&too_long.as_bytes()[..(64 << 20) + 1]);
    assert_problem(&client.read(), 413, "a line may have 67108864 bytes at most");
    assert_eq!(events(&side.state).len(), 1);
}

/// An intake over a folder, with its counters.
fn intake(state: &std::path::Path) -> (Intake, Arc<StreamVitals>) {
    let vitals = Arc::new(StreamVitals::default());
    (Intake::new(Some(Folder::of_state(state)), Arc::clone(&vitals)), vitals)
}

fn keep(intake: &Intake, body: &str, now: i64) -> Result<u64, String> {
    let mut receiving = intake.begin(RunId::parse(RUN), Caller::default()).unwrap();
    receiving.take(body.as_bytes(), Timestamp(now)).map_err(|error| error.to_string())?;
    receiving.finish(Timestamp(now)).map(|taken| taken.accepted).map_err(|error| error.to_string())
}

#[test]
fn a_full_disk_is_said_and_nothing_half_is_kept() {
    let above = tempfile::tempdir().unwrap();
    let disk = above.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=1m") else { return };
    let (intake, _) = intake(&disk);
    assert_eq!(keep(&intake, &event(1, 1000), 0), Ok(1));
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 900 << 10]).unwrap();
    let error = keep(&intake, &event(2, 500_000), 0).unwrap_err();
    assert!(error.contains("the disk is full"), "{error}");
    assert_eq!(events(&disk).len(), 1);
    fs::remove_file(filler).unwrap();
    assert_eq!(keep(&intake, &event(2, 500_000), 0), Ok(1));
    assert_eq!(events(&disk).len(), 2);
    assert!(lines(&disk).iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn the_sender_of_lines_gets_507_while_the_disk_is_full() {
    let above = tempfile::tempdir().unwrap();
    let (projects, disk) = (above.path().join("projects"), above.path().join("disk"));
    fs::create_dir(&projects).unwrap();
    let Some(_mount) = Mount::new(&disk, "size=24m") else { return };
    let daemon = Daemon::start(&projects, &disk.join("state"), &[]);
    let big = event(1, 40 << 20);
    let reply = post(daemon.address, &[NAMED], &big);
    assert_problem(&reply, 507, "the disk is full");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(events(&disk.join("state")).len(), 0);
    assert_eq!(taken(&post(daemon.address, &[NAMED], event(2, 5))).0, 1);
}

#[test]
fn stream_files_end_by_age_and_by_size_but_none_that_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, vitals) = intake(folder.path());
    let keep_for = |days: u64, keep_bytes: u64| SweepRules { keep: Duration::from_secs(days * 86_400), keep_bytes };
    let run = |number: u128| RunId::of_random(number.to_be_bytes());
    for number in 0..3 {
        let mut receiving = intake.begin(Some(run(number)), Caller::default()).unwrap();
        receiving.take(event(1, 10_000).as_bytes(), Timestamp(0)).unwrap();
        receiving.finish(Timestamp(0)).unwrap();
        let path = Folder::of_state(folder.path()).path_of(&run(number), 0);
        let written = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 + u64::try_from(number).unwrap());
        fs::File::options().append(true).open(path).unwrap().set_modified(written).unwrap();
    }
    // Another process reads them: it has none open.
    let (intake, _) = (Intake::new(Some(Folder::of_state(folder.path())), Arc::clone(&vitals)), drop(intake));
    let at = |seconds: i64| Timestamp((1_000_000 + seconds) * 1000);
    let sweep = |rules, now, is_read: bool| intake.sweep(rules, now, &|_, _| is_read).unwrap();
    // A program that another test begins has all files open until it is loaded, and a file that is open is left for later.
    let ended = |rules, now| (0..100_000).map(|_| sweep(rules, now, true)).find(|ended| *ended > 0);
    assert_eq!(sweep(keep_for(7, 1 << 40), at(86_400 * 6), true), 0);
    assert_eq!((vitals.files.get(), vitals.file_bytes.get() > 30_000), (3, true));
    assert_eq!(sweep(keep_for(7, 1 << 40), at(86_400 * 8), false), 0);
    // Of too much, the oldest ends.
    assert_eq!(ended(keep_for(7, 25_000), at(86_400)), Some(1));
    assert!(!Folder::of_state(folder.path()).path_of(&run(0), 0).exists());
    // One that is written stays whatever it is.
    let mut receiving = intake.begin(Some(run(1)), Caller::default()).unwrap();
    receiving.take(b"{\"type\":\"x\"}\n", Timestamp(0)).unwrap();
    assert_eq!(ended(keep_for(7, 1 << 40), Timestamp(i64::MAX)), Some(1));
    assert_eq!(files(folder.path()), [Folder::of_state(folder.path()).path_of(&run(1), 0)]);
    assert_eq!(vitals.ended.get(), 2);
}

#[test]
fn what_a_killed_writer_left_behind_the_last_line_keeps_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, vitals) = intake(folder.path());
    let (folder, run) = (Folder::of_state(folder.path()), |number: u128| RunId::of_random(number.to_be_bytes()));
    folder.make().unwrap();
    let whole = mark::run(&Run { id: run(0), caller: Caller::default() }, Timestamp(0), false) + &event(1, 10);
    let torn = whole.clone() + "{\"type\":\"assis";
    for (number, text) in [torn.as_str(), "", "{\"type\":\"tail"].iter().enumerate() {
        let path = folder.path_of(&run(number as u128), 0);
        fs::write(&path, text).unwrap();
        let written = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
        fs::File::options().append(true).open(path).unwrap().set_modified(written).unwrap();
    }
    let rules = SweepRules { keep: Duration::from_secs(86_400), keep_bytes: 1 << 40 };
    let sweep = |counted: usize| {
        intake.sweep(rules, Timestamp(i64::MAX), &|_, bytes| usize::try_from(bytes).unwrap() <= counted).unwrap()
    };
    // Not before the last whole line is counted.
    assert_eq!((sweep(whole.len() - 1), sweep(whole.len())), (2, 1));
    assert_eq!((vitals.files.get(), vitals.file_bytes.get(), folder.files().unwrap().len()), (0, 0, 0));
}

#[test]
fn requests_with_the_same_lines_at_the_same_time_leave_each_line_once() {
    let body: String = (0..200).map(|number| event(number, 5)).collect();
    let body = mark::lost(7, 70, Timestamp(0)) + &body;
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let (intake, vitals) = intake(folder.path());
        let accepted = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| keep(&intake, &body, 0).unwrap())).collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(accepted, [200; 4]);
        assert_eq!((events(folder.path()).len(), marks(folder.path(), "lost").len()), (200, 1));
        assert_eq!((vitals.accepted.get(), vitals.known.get()), (200, 600));
    }
}

#[test]
fn a_mark_that_says_more_than_can_be_missing_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, vitals) = intake(folder.path());
    let lost = |lines, bytes| mark::lost(lines, bytes, Timestamp(0));
    let body = lost(u64::MAX, 1) + &lost(1, u64::MAX) + &lost(3, 1 << 40) + &event(1, 5);
    assert_eq!(keep(&intake, &body, 0), Ok(1));
    let kept: Vec<_> = marks(folder.path(), "lost").iter().map(|mark| mark["lines"].clone()).collect();
    assert_eq!((vitals.rejected.get(), kept), (2, vec![json!(3)]));
}

#[test]
fn all_runs_together_remember_a_million_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, vitals) = intake(folder.path());
    let send = |run: u128, lines: std::ops::Range<u32>| {
        let mut receiving = intake.begin(Some(RunId::of_random(run.to_be_bytes())), Caller::default()).unwrap();
        let body: String = lines.map(|number| format!("{{\"uuid\":\"{number}\"}}\n")).collect();
        receiving.take(body.as_bytes(), Timestamp(0)).unwrap();
        receiving
    };
    // Both stay open, so that neither can be closed to make room.
    let _open = [send(1, 0..600_000), send(2, 0..600_000)];
    assert_eq!(vitals.known.get(), 0);
    send(2, 599_990..600_000);
    send(1, 599_990..600_000);
    assert_eq!(vitals.known.get(), 20, "the latest are known");
    send(1, 0..10);
    send(2, 0..10);
    assert!(vitals.known.get() < 40, "some of the oldest are forgotten");
}

#[test]
fn a_folder_gets_its_identity_however_its_first_write_ended() {
    let state = tempfile::tempdir().unwrap();
    let folder = Folder::of_state(state.path());
    folder.make().unwrap();
    let identity = folder.identity().unwrap();
    assert_eq!(folder.identity().unwrap(), identity);
    // A full disk left a file without its text.
    for left in [&b""[..], b"5fb3d16f-f9", b"\xff\xfe"] {
        fs::write(folder.path().join(".folder"), left).unwrap();
        let identity = folder.identity().unwrap();
        assert_eq!(folder.identity().unwrap(), identity);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays");
    }
}

/// A response of the client with a text of so many bytes.
fn response(number: usize, bytes: usize) -> String {
    let message = json!({
        "id": format!("msg_{number}"), "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "x".repeat(bytes)}], "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let row = json!({
        "type": "assistant", "uuid": format!("{number:08x}-0000-4000-8000-000000000001"), "message": message,
        "session_id": "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f", "timestamp": "2026-11-30T01:02:03.456Z",
    });
    format!("{row}\n")
}

#[test]
fn a_long_stream_is_counted_to_its_end() {
    let side = Side::start();
    // Each piece is larger than a file of a sub-agent's facts may be, and one line is.
    for piece in 0..3 {
        let responses = (0..100).map(|number| response(piece * 100 + number, 15_000));
        let body = responses.chain([response(1_000 + piece, 2_000_000)]).collect::<String>();
        assert_eq!(taken(&side.post(&[NAMED], &body)).0, 101);
        let counted = (piece as u64 + 1) * 101;
        side.daemon.until("all responses", || {
            let costs: Value = serde_json::from_str(&side.daemon.get("/api/v1/analytics/costs").1).unwrap();
            (costs["total"]["messages"] == counted).then_some(())
        });
    }
}
