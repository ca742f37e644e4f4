//! A disk that is full or may not be written: the sidecar says so, shows what it had counted, and loses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tailspan::sidecar::watchdog::{SLOW, STUCK, Watchdog};
use tailspan::store::Pulse;
use tailspan::vitals::Vitals;

use crate::support::daemon::{Daemon, sum};
use crate::support::privileges::{self, Mount};
use crate::support::receiver::{self, Receiver};
use crate::support::shim::Shim;
use crate::support::world::append;

/// A turn of the future, so that counters count it: a prompt and a response of 100 tokens.
fn turn(session: &str, number: usize) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\
         \"message\":{{\"role\":\"user\",\"content\":\"p{number}\"}},\"timestamp\":\"2096-11-22T06:00:00.000Z\"}}\n\
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
        // The trouble is said before the database is closed, which takes a while.
        daemon.until("the state cannot be asked", || (daemon.get("/api/v1/analytics/sessions").0 == 503).then_some(()));
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

/// A sidecar behind a shim.
fn behind(shim: &Shim, projects: &Path, state: &Path, variables: &[String]) -> Daemon {
    let wrapper = shim.wrapper(state, variables);
    Daemon::start_within(&wrapper.iter().map(String::as_str).collect::<Vec<_>>(), projects, state, &[])
}

/// What `tailspan verify` says, with its exit code.
fn verify(projects: &Path, state: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let output = command.env_clear().arg("verify").arg("--projects").arg(projects).arg("--state").arg(state).output();
    let output = output.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn writes_that_fail_at_any_call_count_nothing_twice_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = Shim::build(folder.path()) else { return };
    for at in (1..40).step_by(3) {
        let (projects, state) =
            (folder.path().join(format!("{at}/projects")), folder.path().join(format!("{at}/state")));
        let write = |turns: std::ops::Range<usize>| {
            turns.for_each(|number| append(&projects.join("slug/s.jsonl"), turn("s", number).as_bytes()));
        };
        write(0..20);
        let flag = folder.path().join(format!("{at}/fails"));
        let variables = [
            format!("SHIM_FAIL_FROM={}", flag.display()),
            format!("SHIM_FAIL_AT={at}"),
            format!("SHIM_FAIL_CALLS={}", 1 + at % 4),
            "SHIM_ERRNO=5".to_owned(),
        ];
        let daemon = behind(&shim, &projects, &state, &variables);
        daemon.metrics();
        fs::write(&flag, "").unwrap();
        let mut written = 20;
        let counted = |daemon: &Daemon| sum(&daemon.metrics(), "tailspan_tokens_total");
        for _ in 0..6 {
            write(written..written + 60);
            written += 60;
            daemon.until_or("everything is counted once", || {
                let counted = counted(&daemon);
                if counted == written as f64 * 100.0 {
                    Ok(())
                } else {
                    Err(format!("{counted} of {written} turns, {at}"))
                }
            });
        }
        fs::remove_file(&flag).unwrap();
        assert_eq!(daemon.stop(), Some(0));
        assert_eq!(verify(&projects, &state).0, Some(0), "{at}: {}", verify(&projects, &state).1);
    }
}

#[test]
fn a_state_that_was_moved_away_is_said_once_and_taken_up_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let write = |number| append(&projects.join("slug/s.jsonl"), turn("s", number).as_bytes());
    write(0);
    let mut daemon = Daemon::start(&projects, &state, &[]);
    daemon.metrics();
    fs::rename(&state, folder.path().join("elsewhere")).unwrap();
    write(1);
    let reason = daemon.until("it is not healthy", || {
        let (status, body) = daemon.get("/-/healthy");
        (status == 503).then_some(body)
    });
    assert!(reason.contains("was removed, renamed or replaced while it was in use"), "{reason}");
    daemon.wait_for_log("the state cannot be written: reading pauses until it can");
    let line = refused(&[], &projects, &state);
    assert!(line.contains("is in use by another tailspan"), "{line}");
    assert_eq!(sum(&daemon.metrics(), "tailspan_tokens_total"), 100.0, "what was counted stays in sight");
    assert!(!state.exists(), "the second one left nothing behind");
    fs::rename(folder.path().join("elsewhere"), &state).unwrap();
    daemon.wait_for_log("the state can be written again: reading goes on");
    daemon
        .until("each row is counted once", || (sum(&daemon.metrics(), "tailspan_tokens_total") == 200.0).then_some(()));
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_state_that_was_replaced_is_never_taken_for_the_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let write = |number| append(&projects.join("slug/s.jsonl"), turn("s", number).as_bytes());
    write(0);
    for name in ["", "db"] {
        let daemon = Daemon::start(&projects, &state, &[]);
        daemon.metrics();
        fs::remove_dir_all(state.join(name)).unwrap();
        write(if name.is_empty() { 1 } else { 2 });
        daemon.until("it is not healthy", || (daemon.get("/-/healthy").0 == 503).then_some(()));
        assert_eq!(daemon.stop(), Some(0));
        assert!(!state.join(name).exists(), "nothing is begun in its place");
        let daemon = Daemon::start(&projects, &state, &[]);
        assert_eq!(daemon.get("/-/healthy").0, 200);
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn a_disk_that_never_answers_does_not_keep_the_process_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = Shim::build(folder.path()) else { return };
    let (projects, state, flag) =
        (folder.path().join("projects"), folder.path().join("state"), folder.path().join("hangs"));
    let file = projects.join("slug/s.jsonl");
    append(&file, turn("s", 0).as_bytes());
    let daemon = behind(&shim, &projects, &state, &[format!("SHIM_HANG_FLAG={}", flag.display())]);
    daemon.metrics();
    fs::write(&flag, "").unwrap();
    append(&file, turn("s", 1).as_bytes());
    assert_eq!(daemon.stop(), Some(1), "it ended with a reason");
    let daemon = Daemon::start(&projects, &state, &[]);
    daemon
        .until("each row is counted once", || (sum(&daemon.metrics(), "tailspan_tokens_total") == 200.0).then_some(()));
}

#[test]
fn a_write_that_takes_too_long_is_said_once_and_ends_the_process_if_it_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slug/s.jsonl");
    append(&file, turn("s", 0).as_bytes());
    let size = fs::metadata(&file).unwrap().len();
    let vitals = Arc::new(Vitals::new(tailspan::sidecar::clock::now(), Duration::from_secs(1_800)));
    vitals.counted_bytes.set(size);
    let pulse = Pulse::default();
    let mut watchdog = Watchdog::new(pulse.clone(), Arc::clone(&vitals), vec![folder.path().to_owned()]);
    let begun = Instant::now();
    let after = |wait: Duration| begun + wait + Duration::from_secs(1);
    let write = pulse.begin("a commit");
    assert!(watchdog.look(begun).is_continue());
    assert_eq!(vitals.trouble(), None);
    append(&file, turn("s", 1).as_bytes());
    assert!(watchdog.look(after(SLOW)).is_continue());
    let reason = vitals.trouble().unwrap();
    assert_eq!(reason, "the database does not answer: a commit takes longer than 30 seconds");
    assert_eq!(vitals.read_lag_bytes.get(), fs::metadata(&file).unwrap().len() - size, "from the sizes of the files");
    drop(write);
    assert!(watchdog.look(after(SLOW)).is_continue());
    assert_eq!(vitals.trouble(), None, "it answers again");
    let _write = pulse.begin("a commit");
    let end = watchdog.look(Instant::now() + STUCK + Duration::from_secs(1));
    assert!(end.break_value().is_some_and(|reason| reason.contains("a commit has taken 5 minutes")));
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
