//! Where the system gives fewer file events than there are changes, and where names and numbers of files are unusual.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::support::daemon::{self, Daemon, sum};
use crate::support::privileges;
use crate::support::world::append;

/// What every response is billed for.
const TOKENS: f64 = 3.0;

/// A prompt and its response, of the future, so that counters count them.
fn turn(number: usize) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{number:08x}-1111-4000-8000-000000000000\",\
         \"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\"message\":{{\"role\":\"user\",\"content\":\"p\"}},\
         \"timestamp\":\"2096-11-22T06:00:00.000Z\"}}\n\
         {{\"type\":\"assistant\",\"sessionId\":\"{number:08x}-1111-4000-8000-000000000000\",\
         \"uuid\":\"{number:08x}-0000-4000-8000-000000000001\",\
         \"message\":{{\"id\":\"m{number}\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":\"end_turn\",\
         \"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}},\"timestamp\":\"2096-11-22T06:00:01.000Z\"}}\n"
    )
}

struct Place {
    folder: tempfile::TempDir,
    turns: usize,
}

impl Place {
    /// `rescan` is the usual pause between two looks at all files.
    fn new(rescan: &str) -> Self {
        // In memory if there is a place for it.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(folder.path().join("projects")).unwrap();
        fs::write(folder.path().join("limits.toml"), format!("scan.rescan = \"{rescan}\"\n")).unwrap();
        Self { folder, turns: 0 }
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn start(&self, wrapper: &[&str]) -> Daemon {
        let config = self.folder.path().join("limits.toml");
        let state = self.folder.path().join("state");
        Daemon::start_within(wrapper, &self.projects(), &state, &["--config", config.to_str().unwrap()])
    }

    /// One more turn in a file.
    fn write(&mut self, file: impl AsRef<Path>) {
        append(&self.projects().join(file), turn(self.turns).as_bytes());
        self.turns += 1;
    }

    /// Waits until every turn is counted; none may be counted twice.
    fn all_counted(&self, daemon: &Daemon) {
        let wanted = self.turns as f64 * TOKENS;
        daemon.until_or("everything is counted", || {
            let tokens = sum(&daemon.metrics(), "tailspan_tokens_total");
            assert!(tokens <= wanted, "{tokens} of {wanted}");
            if tokens == wanted { Ok(()) } else { Err(format!("{tokens} of {wanted}")) }
        });
    }
}

/// Becomes a program in a user namespace of its own, whose limit `name` is `value`.
fn limited(name: &str, value: u32) -> Option<Vec<String>> {
    let namespace = ["--user", "--map-root-user"];
    if !privileges::may_unshare(&namespace) {
        return None;
    }
    let set = format!("echo {value} > /proc/sys/user/{name} && exec \"$0\" \"$@\"");
    Some(["unshare"].iter().chain(&namespace).chain(&["sh", "-c"]).map(ToString::to_string).chain([set]).collect())
}

/// What is polled is counted too, and that is said once.
fn check_polling(limit: &str, value: u32) {
    let Some(wrapper) = limited(limit, value) else { return };
    let mut place = Place::new("20ms");
    (0..30).for_each(|slug| place.write(format!("slug{slug}/s.jsonl")));
    let mut daemon = place.start(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
    place.all_counted(&daemon);
    assert_eq!(sum(&daemon.metrics(), "tailspan_watch_degraded"), 1.0);
    // Each takes a look at least: more than there are between two tries to watch everything after all.
    for round in 0..80 {
        place.write(format!("slug{}/{}.jsonl", round % 40, round / 40));
        place.all_counted(&daemon);
    }
    daemon.hear_out();
    let warned = daemon.said.iter().filter(|line| line.contains("cannot watch all session folders")).count();
    assert_eq!(warned, 1, "{:#?}", daemon.said);
    assert!(daemon.said.iter().any(|line| line.contains("max_user_watches")), "it says what to raise");
}

#[test]
fn too_few_inotify_watches_are_said_once_and_every_file_is_polled() {
    check_polling("max_inotify_watches", 5);
}

#[test]
fn no_inotify_instance_is_said_once_and_every_file_is_polled() {
    check_polling("max_inotify_instances", 0);
}

#[test]
fn an_overflow_of_the_event_queue_leads_to_a_look_at_everything() {
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    // No look at all files but one that an event asks for.
    let mut place = Place::new("1h");
    for file in ["noise/a.jsonl", "noise/b.jsonl", "quiet/s.jsonl"] {
        place.write(file);
    }
    let daemon = place.start(&[]);
    place.all_counted(&daemon);
    daemon.signal("-STOP");
    let noise = ["a", "b"].map(|name| place.projects().join(format!("noise/{name}.jsonl")));
    let mut noise = noise.map(|path| fs::OpenOptions::new().append(true).open(path).unwrap());
    // In turn: two like events in a row would be one.
    for number in 0..queue + 2_000 {
        noise[number % 2].write_all(b"\n").unwrap();
    }
    // The queue is full: nobody is told of these.
    place.write("quiet/s.jsonl");
    place.write("quiet/new.jsonl");
    daemon.signal("-CONT");
    place.all_counted(&daemon);
}

#[test]
fn files_that_make_no_events_are_found_by_looking() {
    let mut place = Place::new("20ms");
    // What lies behind a link is not watched.
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), place.projects().join("linked")).unwrap();
    // Links to themselves, to each other and back up the tree.
    symlink("loop.jsonl", elsewhere.path().join("loop.jsonl")).unwrap();
    symlink("two", elsewhere.path().join("one")).unwrap();
    symlink("one", elsewhere.path().join("two")).unwrap();
    symlink(place.projects(), elsewhere.path().join("up")).unwrap();
    place.write("linked/s.jsonl");
    let daemon = place.start(&[]);
    place.all_counted(&daemon);
    for number in 0..5 {
        place.write("linked/s.jsonl");
        place.write(format!("linked/{number}.jsonl"));
        place.all_counted(&daemon);
    }
    assert_eq!(sum(&daemon.metrics(), "tailspan_watch_degraded"), 0.0);
}

#[test]
fn files_that_are_written_right_after_their_folders_are_made_are_read_at_once() {
    // No look at all files but the first.
    let mut place = Place::new("1h");
    let daemon = place.start(&[]);
    place.write("first/s.jsonl");
    place.all_counted(&daemon);
    for number in 0..40 {
        place.write(format!("slug{number}/s.jsonl"));
        place.write(format!("slug{number}/00000000-0000-4000-8000-000000000000/subagents/agent-{number}.jsonl"));
        place.write(format!("first/{number:08}-0000-4000-8000-000000000000/subagents/agent-{number}.jsonl"));
        if number % 8 == 0 {
            place.all_counted(&daemon);
        }
    }
    place.all_counted(&daemon);
    for number in 0..40 {
        place.write(format!("slug{number}/00000000-0000-4000-8000-000000000000/subagents/agent-{number}.jsonl"));
    }
    place.all_counted(&daemon);
}

#[test]
fn names_that_are_not_utf_8_are_read_told_apart_and_remembered() {
    let mut place = Place::new("50ms");
    let names = |ending: &[u8]| OsStr::from_bytes(&[b"s-\xff", ending].concat()).to_owned();
    // As text, all of these look alike.
    let files: Vec<PathBuf> =
        [(&b"slug-\xfe"[..], &b"\xfe.jsonl"[..]), (b"slug-\xfe", b"\xfd.jsonl"), (b"slug-\xfd", b"\xfe.jsonl")]
            .into_iter()
            .map(|(folder, file)| Path::new(OsStr::from_bytes(folder)).join(names(file)))
            .collect();
    files.iter().for_each(|file| place.write(file));
    for _ in 0..3 {
        let daemon = place.start(&[]);
        files.iter().for_each(|file| place.write(file));
        place.all_counted(&daemon);
        assert_eq!(daemon.stop(), Some(0));
    }
    let verified = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .env_clear()
        .arg("verify")
        .arg("--projects")
        .arg(place.projects())
        .arg("--state")
        .arg(place.folder.path().join("state"))
        .output()
        .unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(said, format!("{} sessions in 3 files compared, 0 differences\n", place.turns));
}

/// Makes folders in `folder` until the path of the last is longer than any call takes.
fn too_deep(folder: &Path) {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut above = openat(CWD, folder, flags, Mode::empty()).unwrap();
    for _ in 0..20 {
        let name = "d".repeat(250);
        mkdirat(&above, &name, Mode::RWXU).unwrap();
        above = openat(&above, &name, flags, Mode::empty()).unwrap();
    }
}

#[test]
fn a_path_that_is_too_long_is_said_once_and_everything_else_is_watched() {
    // No look at all files but the first and those that a folder without a watch would ask for.
    let mut place = Place::new("1h");
    place.write("slug/s.jsonl");
    let deep = place.projects().join("slug/00000000-0000-4000-8000-000000000000/subagents");
    fs::create_dir_all(&deep).unwrap();
    too_deep(&deep);
    place.write("slug/00000000-0000-4000-8000-000000000000/subagents/agent-1.jsonl");
    let mut daemon = place.start(&[]);
    place.all_counted(&daemon);
    let metrics = daemon.metrics();
    assert_eq!(sum(&metrics, "tailspan_watch_degraded"), 0.0);
    assert_eq!(sum(&metrics, "tailspan_paths_unreadable"), 1.0);
    for number in 0..5 {
        place.write("slug/s.jsonl");
        place.write(format!("new{number}/s.jsonl"));
        place.write("slug/00000000-0000-4000-8000-000000000000/subagents/agent-1.jsonl");
        place.all_counted(&daemon);
    }
    daemon.hear_out();
    let warned: Vec<_> = daemon.said.iter().filter(|line| line.contains("WARN")).collect();
    assert!(warned.len() == 1 && warned[0].contains("File name too long"), "{warned:#?}");
}

#[test]
fn fifty_thousand_files_are_counted_and_followed() {
    let mut place = Place::new("3s");
    for number in 0..50_000 {
        let file = format!("slug{}/{number}.jsonl", number / 200);
        // Most sessions of a large folder are short; what they cost here is being found, opened and remembered.
        if number % 20 == 0 {
            place.write(file);
        } else {
            append(&place.projects().join(file), b"{\"type\":\"mode\",\"mode\":\"default\"}\n");
        }
    }
    let mut daemon = place.start(&[]);
    daemon.wait_for_log_within("the first scan is complete", daemon::DEADLINE * 5);
    place.all_counted(&daemon);
    assert_eq!(sum(&daemon.metrics(), "tailspan_files_watched"), 50_000.0);
    for number in [0, 25_000, 49_999] {
        place.write(format!("slug{}/{number}.jsonl", number / 200));
        place.write(format!("slug{}/new-{number}.jsonl", number / 200));
    }
    place.all_counted(&daemon);
    let lines = sum(&daemon.metrics(), "tailspan_lines_total");
    assert_eq!(daemon.stop(), Some(0));
    // Everything is as it was: nothing is read again.
    let mut daemon = place.start(&[]);
    daemon.wait_for_log_within("the first scan is complete files=0 bytes=0", daemon::DEADLINE * 5);
    place.all_counted(&daemon);
    assert_eq!(sum(&daemon.metrics(), "tailspan_lines_total"), lines);
}
