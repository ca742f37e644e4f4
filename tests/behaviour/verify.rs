//! `tailspan verify`: the state against the session files, with the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::daemon::Daemon;
use crate::support::database;
use crate::support::world::{append, copy_folder, files_below};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Recordings, all of them counted by a sidecar that has ended.
    fn counted(scenarios: &[&str]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for scenario in scenarios {
            let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(scenario);
            copy_folder(&recording.join("projects"), &place.projects());
        }
        place.count();
        place
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn count(&self) {
        let daemon = Daemon::start(&self.projects(), &self.state(), &[]);
        daemon.metrics();
        assert_eq!(daemon.stop(), Some(0));
    }

    /// Exit code, standard output and standard error.
    fn verify(&self) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tailspan"))
            .env_clear()
            .args(["verify", "--projects", self.projects().to_str().unwrap()])
            .args(["--state", self.state().to_str().unwrap()])
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn a_state_that_is_right_passes() {
    let place = Place::counted(&["2.1.330/g_resume", "2.1.330/e1_subagent", "2.0.77/b_tools"]);
    let (code, out, err) = place.verify();
    assert_eq!((code, out.as_str()), (Some(0), "5 sessions in 10 files compared, 0 differences\n"), "{err}");
}

#[test]
fn a_counter_that_lost_what_it_counted_is_named() {
    let place = Place::counted(&["2.1.330/a_plain"]);
    let database = database::open(&place.state());
    let total = |name: &str| {
        let rows = database.scan_prefix(b"t").keys().map(Result::unwrap);
        rows.filter(|key| String::from_utf8_lossy(key).contains(name)).collect::<Vec<_>>()
    };
    let rows = total("lifetime_tokens");
    assert!(!rows.is_empty());
    rows.iter().for_each(|key| drop(database.remove(key).unwrap()));
    drop(database);
    let (code, out, err) = place.verify();
    assert_eq!(code, Some(1), "{err}");
    assert!(out.contains("tailspan_lifetime_tokens: 0 is counted, the state holds "), "{out}");
    assert!(out.contains(" compared, 1 differences\n"), "{out}");
}

#[test]
fn every_difference_is_named() {
    let place = Place::counted(&["2.1.330/a_plain"]);
    let files = files_below(&place.projects());
    let file = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "jsonl")).unwrap();
    // In place and of the same length, behind the sidecar's back.
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("\"output_tokens\":12"));
    fs::write(file, text.replace("\"output_tokens\":12", "\"output_tokens\":92")).unwrap();
    let (code, out, err) = place.verify();
    assert_eq!(code, Some(1));
    assert!(out.contains("cost_usd is \"0.009189\" in the state, \"0.010389\" in the files\n"), "{out}");
    assert!(out.contains("tokens is {") && out.contains("1 sessions in 1 files compared, 2 differences"), "{out}");
    assert!(err.contains("2 differences between the state and the session files"), "{err}");
}

#[test]
fn what_was_not_read_yet_is_said_and_read_at_the_next_run() {
    let place = Place::counted(&["2.1.330/a_plain"]);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/2.1.330/b_tools/projects");
    copy_folder(&from, &place.projects());
    let (code, out, _) = place.verify();
    assert_eq!(code, Some(1));
    assert!(out.contains(": not in the state\n") && out.contains(" bytes are not read yet"), "{out}");
    place.count();
    assert_eq!(place.verify().0, Some(0));
}

#[test]
fn a_state_that_was_compacted_while_it_was_in_use_is_found() {
    let place = Place::counted(&["2.1.330/a_plain"]);
    // Its name until the next start.
    fs::rename(place.state().join("db"), place.state().join("db-1")).unwrap();
    let (code, out, err) = place.verify();
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn a_session_whose_files_are_gone_is_no_difference() {
    let place = Place::counted(&["2.1.330/a_plain", "2.1.330/b_tools"]);
    fs::remove_file(&files_below(&place.projects())[0]).unwrap();
    let (code, out, _) = place.verify();
    assert_eq!(code, Some(0));
    assert!(out.contains("1 sessions are only in the state: their files are gone\n"), "{out}");
}

#[test]
fn a_state_that_is_missing_or_in_use_cannot_be_checked() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    append(&place.projects().join("slug/s.jsonl"), b"");
    let (code, _, err) = place.verify();
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no state in") && err.contains("`tailspan run`"), "{err}");
    assert!(!place.state().exists(), "checking makes nothing");
    let daemon = Daemon::start(&place.projects(), &place.state(), &[]);
    daemon.metrics();
    let (code, _, err) = place.verify();
    assert_eq!(code, Some(1));
    assert!(err.contains("is in use by another tailspan"), "{err}");
    daemon.stop();
}
