//! The log of the real program: what becomes of it when nobody takes it, and when the same thing happens again and again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::daemon::{Daemon, sum};

const LOST: &str = "tailspan_log_lines_lost_total";
const REJECTED: &str = "tailspan_rejected_lines_total";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("projects")).unwrap();
        Self { folder }
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    /// Writes a session file of lines that are no JSON.
    fn bad_lines(&self, name: &str, lines: usize) {
        let folder = self.projects().join("w".repeat(240));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.jsonl"));
        fs::write(path, "this is no JSON\n".repeat(lines)).unwrap();
    }

    /// Starts the sidecar with this as its stderr, at a port that nobody else has: the log cannot tell which it took.
    fn start(&self, stderr: impl Into<Stdio>) -> (Child, SocketAddr) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tailspan"))
            .env_clear()
            .args(["run", "--listen", &address.to_string(), "--projects"])
            .arg(self.projects())
            .arg("--state")
            .arg(self.folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        (child, address)
    }
}

/// Waits until this many lines were rejected, and some of the log was lost; then asks for an end.
fn check_goes_on((child, address): (Child, SocketAddr), rejected: f64) {
    let daemon = Daemon::at(child, address);
    daemon.until("it listens", || std::net::TcpStream::connect(address).ok());
    daemon.until_or("all lines are counted and a log line is lost", || {
        let metrics = daemon.metrics();
        let (rows, lost) = (sum(&metrics, REJECTED), sum(&metrics, LOST));
        if rows >= rejected && lost >= 1.0 { Ok(()) } else { Err(format!("{rows} rejected, {lost} lost")) }
    });
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert_eq!(daemon.stop(), Some(0));
}

/// A disk without room.
fn full() -> Option<File> {
    let full = File::options().write(true).open("/dev/full").ok();
    if full.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has /dev/full");
        eprintln!("skipped: this system has no /dev/full");
    }
    full
}

#[test]
fn a_full_disk_of_the_log_stops_nothing() {
    let Some(full) = full() else { return };
    let place = Place::new();
    place.bad_lines("a", 10);
    check_goes_on(place.start(full), 10.0);
}

#[test]
fn a_reader_of_the_log_that_has_gone_stops_nothing() {
    let place = Place::new();
    let (mut child, address) = place.start(Stdio::piped());
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    assert!(!first.is_empty());
    place.bad_lines("a", 10);
    check_goes_on((child, address), 10.0);
}

#[test]
fn a_reader_of_the_log_that_sleeps_stops_nothing() {
    let place = Place::new();
    // More than the pipe and the queue hold, though each file is said three times only.
    for number in 0..400 {
        place.bad_lines(&format!("{number:0>240}"), 4);
    }
    let (mut child, address) = place.start(Stdio::piped());
    let unread = child.stderr.take().unwrap();
    check_goes_on((child, address), 1600.0);
    drop(unread);
}

#[test]
fn what_repeats_itself_is_said_three_times_and_summed() {
    let place = Place::new();
    place.bad_lines("a", 20_000);
    place.bad_lines("b", 2);
    let mut daemon = Daemon::start(&place.projects(), &place.folder.path().join("state"), &[]);
    daemon.until("all lines are counted", || (sum(&daemon.metrics(), REJECTED) >= 20_002.0).then_some(()));
    daemon.signal("-TERM");
    let summed = daemon.wait_for_log("more of the same");
    assert!(summed.contains("further=19997"), "{summed}");
    assert!(summed.contains("a line could not be read") && summed.contains("a.jsonl"), "{summed}");
    assert_eq!(daemon.exit_code(), Some(0));
    let full: Vec<_> = daemon.said.iter().filter(|line| line.contains("could not be read path=")).collect();
    assert_eq!(full.iter().filter(|line| line.contains("a.jsonl") && line.contains("offset=")).count(), 3);
    assert_eq!(full.iter().filter(|line| line.contains("b.jsonl") && line.contains("not_json")).count(), 2);
}

#[test]
fn a_scan_of_a_damaged_file_fills_no_screen() {
    let place = Place::new();
    place.bad_lines("a", 20_000);
    let scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let output = { scan }.env_clear().arg("scan").arg(place.projects()).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.lines().last().unwrap().contains("further=19997"), "{said}");
}

#[test]
fn an_error_without_a_stderr_is_an_exit_code() {
    let Some(full) = full() else { return };
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let status = scan.env_clear().args(["scan", "/absent"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_name_with_a_newline_is_no_line_of_its_own() {
    let place = Place::new();
    place.bad_lines("a\nERROR forged\u{1b}[2J", 1);
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let said = String::from_utf8(scan.env_clear().arg("scan").arg(place.projects()).output().unwrap().stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("forged") && !said.contains('\u{1b}'), "{said}");
}
