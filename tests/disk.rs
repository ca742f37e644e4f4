//! A disk that is full or may not be written: the sidecar says so, shows what it had counted, and loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise; sums of whole numbers are exact"
)]

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/privileges.rs"]
mod privileges;
#[path = "support/receiver.rs"]
mod receiver;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use daemon::{Daemon, sum};
use privileges::Mount;
use receiver::Receiver;
use world::append;

/// A turn of the future, so that counters count it: a prompt and a response of 100 tokens.
fn turn(session: &str, number: usize) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\
         \"message\":{{\"role\":\"user\",\"content\":\"p\"}},\"timestamp\":\"2096-11-22T06:00:00.000Z\"}}\n\
         {{\"type\":\"assistant\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000001\",\
         \"message\":{{\"id\":\"m{number}\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":\"end_turn\",\
         \"usage\":{{\"input_tokens\":60,\"output_tokens\":40}}}},\"timestamp\":\"2096-11-22T06:00:01.000Z\"}}\n"
    )
}

/// Takes all room that is left on the disk of `folder`.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("filler");
    let mut file = fs::File::create(&path).unwrap();
    for bytes in [1 << 20, 1 << 12, 1] {
        while std::io::Write::write(&mut file, &vec![1; bytes]).is_ok_and(|written| written == bytes) {}
    }
    path
}

#[test]
fn a_full_disk_pauses_reading_and_every_row_counts_once_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=24m") else { return };
    let (projects, state) = (folder.path().join("projects"), disk.join("state"));
    let receiver = Receiver::start();
    let session = |number: usize| format!("{:08x}-1111-4000-8000-000000000000", number / 50);
    let file = |number: usize| projects.join("slug").join(session(number) + ".jsonl");
    let write = |number: usize| append(&file(number), turn(&session(number), number).as_bytes());
    (0..100).for_each(write);
    let mut daemon = Daemon::start(&projects, &state, &["--otlp-endpoint", &receiver.url()]);
    let tokens = |text: &str| sum(text, "tailspan_tokens_total");
    daemon.until("all is counted", || (tokens(&daemon.metrics()) == 10_000.0).then_some(()));
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert_eq!(sum(&daemon.metrics(), "tailspan_state_writable"), 1.0);
    let mut written = 100;
    for _ in 0..2 {
        let filler = fill(&disk);
        // Until the database needs more room than it has.
        let reason = daemon.until("it says that it is not healthy", || {
            (written..written + 50).for_each(write);
            written += 50;
            let (status, body) = daemon.get("/-/healthy");
            (status == 503).then_some(body)
        });
        assert!(reason.contains("cannot be written") && reason.contains("No space left"), "{reason}");
        assert!(reason.contains(state.to_str().unwrap()), "{reason}");
        // What a probe for liveness asks: a restart would be refused.
        assert_eq!(daemon.get("/").0, 200);
        let line = daemon.wait_for_log("reading pauses until it can; nothing is lost");
        assert!(line.contains("No space left on device"), "{line}");
        // What was counted stays in sight, and does not grow.
        let (status, shown) = daemon.get("/metrics");
        assert_eq!(status, 200, "{shown}");
        assert_eq!(sum(&shown, "tailspan_state_writable"), 0.0);
        assert!(tokens(&shown) >= 10_000.0 && tokens(&shown) <= written as f64 * 100.0);
        assert_eq!(daemon.get("/api/v1/analytics/sessions").0, 503);
        (written..written + 50).for_each(write);
        written += 50;
        assert_eq!(tokens(&daemon.metrics()), tokens(&shown), "reading has paused");
        fs::remove_file(filler).unwrap();
        daemon.wait_for_log("the state can be written again: reading goes on");
        daemon.until_or("every row is counted, once", || {
            let metrics = daemon.metrics();
            if tokens(&metrics) == written as f64 * 100.0 { Ok(()) } else { Err(format!("{}", tokens(&metrics))) }
        });
        assert_eq!(daemon.get("/-/healthy").0, 200);
        assert_eq!(daemon.get("/api/v1/analytics/sessions").0, 200);
    }
    let metrics = daemon.metrics();
    for name in ["tailspan_turns_total", "tailspan_api_requests_total"] {
        assert_eq!(sum(&metrics, name), written as f64, "{name}");
    }
    // A root and a response of each turn.
    daemon.until_or("every span has arrived", || {
        let ids: BTreeSet<_> = receiver.received().iter().flat_map(receiver::Received::span_ids).collect();
        if ids.len() == 2 * written { Ok(()) } else { Err(format!("{} of {}", ids.len(), 2 * written)) }
    });
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn an_end_that_is_asked_for_while_the_disk_is_full_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=12m") else { return };
    let projects = folder.path().join("projects");
    let file = projects.join("slug/s.jsonl");
    append(&file, turn("s", 0).as_bytes());
    let daemon = Daemon::start(&projects, &disk.join("state"), &[]);
    daemon.metrics();
    fill(&disk);
    let mut number = 1;
    daemon.until("it says that it is not healthy", || {
        (number..number + 50).for_each(|number| append(&file, turn("s", number).as_bytes()));
        number += 50;
        (daemon.get("/-/healthy").0 == 503).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
}

/// Starts it where it cannot work, and gives what it says.
fn refused(wrapper: &[&str], projects: &Path, state: &Path) -> String {
    let mut daemon = Daemon::spawn_within(wrapper, projects, state, &["--listen", "127.0.0.1:0"]);
    let line = daemon.wait_for_log("tailspan: ");
    assert_eq!(daemon.exit_code(), Some(1), "{line}");
    line
}

#[test]
fn a_start_on_a_full_disk_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(_mount) = Mount::new(&disk, "size=1m") else { return };
    fill(&disk);
    let line = refused(&[], folder.path(), &disk.join("state"));
    assert!(line.contains(disk.to_str().unwrap()) && line.contains("No space left on device"), "{line}");
}

#[test]
fn a_read_only_state_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(mount) = Mount::new(&disk, "size=16m") else { return };
    let state = disk.join("state");
    let file = folder.path().join("projects/slug/s.jsonl");
    append(&file, turn("s", 0).as_bytes());
    let projects = folder.path().join("projects");
    let daemon = Daemon::start(&projects, &state, &[]);
    daemon.metrics();
    assert_eq!(daemon.stop(), Some(0));
    mount.remount("ro");
    for state in [state.clone(), disk.join("other")] {
        let line = refused(&[], &projects, &state);
        assert!(line.contains(state.to_str().unwrap()) && line.contains("Read-only file system"), "{line}");
    }
    mount.remount("rw");
    append(&file, turn("s", 1).as_bytes());
    let daemon = Daemon::start(&projects, &state, &[]);
    daemon.until("everything is counted", || (sum(&daemon.metrics(), "tailspan_tokens_total") == 200.0).then_some(()));
}

#[test]
fn a_state_folder_without_permission_is_refused_with_the_reason() {
    // Nobody inside of it is root for the files outside.
    if !privileges::may_unshare(&["--user"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    let line = refused(&["unshare", "--user"], folder.path(), &locked.join("state"));
    assert!(line.contains(locked.to_str().unwrap()) && line.contains("Permission denied"), "{line}");
}

#[test]
fn a_database_that_is_no_longer_one_is_set_aside_loudly_and_everything_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    (0..20).for_each(|number| append(&projects.join("slug/s.jsonl"), turn("s", number).as_bytes()));
    let lifetime = |daemon: &Daemon| sum(&daemon.metrics(), "tailspan_lifetime_tokens");
    let daemon = Daemon::start(&projects, &state, &[]);
    assert_eq!(lifetime(&daemon), 2_000.0);
    assert_eq!(daemon.stop(), Some(0));
    let database = state.join("db/db");
    let length = fs::metadata(&database).unwrap().len();
    fs::write(&database, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    let daemon = Daemon::start(&projects, &state, &[]);
    assert!(daemon.said.iter().any(|line| line.contains("ERROR") && line.contains("the database is set aside")));
    assert_eq!(lifetime(&daemon), 2_000.0);
    assert_eq!(sum(&daemon.metrics(), "tailspan_tokens_total"), 2_000.0);
    let aside = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(aside.filter(|name| name.starts_with("db.bad-")).count(), 1, "renamed, never deleted");
}
