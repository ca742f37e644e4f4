//! The archive: what the client deletes or rewrites is read from copies, and copies count only if they are right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, sum};
use crate::support::dashboards::installed;
use crate::support::http::{get, request};
use crate::support::privileges::{Mount, skip};
use crate::support::world::{append, copy_folder, recordings};

/// Words of the recordings, one of them of no file.
const WORDS: [&str; 5] = ["the", "error", "hello", "\"exit code\"", "qqqqzzzz"];

/// Session files, a state and an archive.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// Some recordings: with sub-agents, failures and a compaction.
    pub(crate) fn recorded() -> Self {
        let place = Self::empty();
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &place.projects());
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn projects(&self) -> PathBuf {
        self.path("projects")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// `tailspan` with the state and the archive of this place.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
        command.env_clear().args(arguments).arg("--state").arg(self.state());
        match arguments[0] {
            "archive" => command.arg("--directory").arg(self.archive()),
            _ => command.env("TAILSPAN_ARCHIVE_DIRECTORY", self.archive()).arg("--projects").arg(self.projects()),
        };
        command.env("TAILSPAN_PROJECTS", self.projects());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints, as a command that succeeds.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", said(&output.stdout), said(&output.stderr));
        said(&output.stdout)
    }

    /// A sidecar that copies everything at once, with more settings.
    pub(crate) fn daemon(&self, more: &str) -> Daemon {
        let config = self.path("tailspan.toml");
        let archive = self.archive();
        let text = format!(
            "[archive]\nenabled = true\nafter = \"0s\"\ndirectory = \"{}\"\n[traces]\ncontent = \"content\"\n{more}",
            archive.display()
        );
        fs::write(&config, text).unwrap();
        let daemon = Daemon::start(&self.projects(), &self.state(), &["--config", config.to_str().unwrap()]);
        daemon.metrics();
        daemon
    }

    /// The paths of all files below a folder.
    pub(crate) fn files(folder: &Path) -> BTreeSet<PathBuf> {
        let mut folders = vec![folder.to_path_buf()];
        let mut files = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    files.insert(entry.path());
                }
            }
        }
        files
    }
}

/// How many files of sessions there are.
pub(crate) fn session_files(place: &Place) -> usize {
    let mut problems = 0;
    let found = tailspan::tail::scan(&place.projects(), &mut |_| problems += 1);
    assert_eq!(problems, 0);
    found.len()
}

pub(crate) fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn copies(daemon: &Daemon, number: usize) {
    daemon.until(&format!("there are {number} copies"), || {
        (sum(&daemon.metrics(), "tailspan_archive_copies") == number as f64).then_some(())
    });
}

pub(crate) fn json_of(daemon: &Daemon, target: &str) -> Value {
    get(daemon.address, target).json()
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Everything that a person reads of a conversation who walks through it: texts, states, files, and where words lead.
pub(crate) fn replay(daemon: &Daemon, id: &str) -> Value {
    let path = format!("/api/v1/analytics/sessions/{id}/replay");
    let page = |query: &str| json_of(daemon, &format!("{path}?limit=1000{query}"))["events"].take();
    let files = json_of(daemon, &format!("{path}/files"))["files"].take();
    let texts: Vec<Value> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| json_of(daemon, &format!("{path}/file?path={}", encoded(file["path"].as_str().unwrap()))))
        .collect();
    let json = [("Content-Type", "application/json")];
    let opened = request(daemon.address, "POST", &path, &json, br#"{"action": "open", "to": {"text": "the"}}"#);
    assert_eq!(opened.status, 201, "{}", opened.text());
    let opened = opened.json();
    let place = opened["position"].as_i64().filter(|_| !opened["event"].is_null());
    let whole = place.map(|place| json_of(daemon, &format!("{path}/{place}/text")));
    json!({
        "events": page(""), "states": page("&context=true"), "matching": page("&q=the"), "files": files, "texts": texts,
        "there": [opened["position"], opened["event"], opened["state"]], "whole": whole,
    })
}

/// Everything that a person reads of conversations.
pub(crate) fn everything(daemon: &Daemon) -> Value {
    let sessions = json_of(daemon, "/api/v1/analytics/sessions?limit=1000");
    let ids: Vec<&str> =
        sessions["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
    let replays: Vec<Value> = ids.iter().map(|id| replay(daemon, id)).collect();
    let traces: Vec<Value> =
        ids.iter().map(|id| json_of(daemon, &format!("/jaeger/api/traces/{}", id.replace('-', "")))).collect();
    let found: Vec<Value> = WORDS
        .iter()
        .map(|words| {
            json_of(daemon, &format!("/api/v1/analytics/search?q={}&limit=1000", encoded(words)))["hits"].take()
        })
        .collect();
    json!({"sessions": sessions["sessions"], "replays": replays, "traces": traces, "found": found})
}

pub(crate) fn row(session: &str, number: u32, text: &str) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000000\",\
         \"message\":{{\"role\":\"user\",\"content\":\"{text}\"}},\"timestamp\":\"2026-11-22T06:{number:02}:00.000Z\"}}\n\
         {{\"type\":\"assistant\",\"sessionId\":\"{session}\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000001\",\
         \"message\":{{\"id\":\"m{number}\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":\"end_turn\",\
         \"usage\":{{\"input_tokens\":60,\"output_tokens\":40}}}},\"timestamp\":\"2026-11-22T06:{number:02}:01.000Z\"}}\n"
    )
}

pub(crate) const SESSION: &str = "aaaaaaaa-1111-4000-8000-000000000000";

pub(crate) fn own_file(place: &Place) -> PathBuf {
    place.projects().join("slug").join(format!("{SESSION}.jsonl"))
}

#[test]
fn what_the_client_deletes_answers_as_before() {
    let place = Place::recorded();
    let files = session_files(&place);
    let daemon = place.daemon("");
    copies(&daemon, files);
    let before = everything(&daemon);
    assert!(before["found"][0].as_array().unwrap().len() > 20 && before["found"][4] == json!([]));
    let told = |name: &str| {
        let of = |replay: &Value| replay[name].as_array().unwrap().clone();
        before["replays"].as_array().unwrap().iter().flat_map(of).collect::<Vec<_>>()
    };
    assert!(told("matching").len() > 20 && told("files").len() > 10);
    assert!(told("texts").iter().filter(|text| text["known"] == "whole").count() > 5);
    assert!(told("there").iter().filter(|there| there["kind"].is_string()).count() > 5);

    fs::remove_dir_all(place.projects()).unwrap();
    assert_eq!(everything(&daemon), before, "from the copies");
    daemon.stop();
    let verified = place.text(&["verify"]);
    assert!(verified.contains("0 differences") && !verified.contains("only in the state"), "{verified}");
    let daemon = place.daemon("");
    assert_eq!(everything(&daemon), before, "after a restart");
    daemon.stop();

    fs::remove_dir_all(place.state()).unwrap();
    let daemon = place.daemon("");
    assert_eq!(everything(&daemon), before, "whole before it is shown");
}

#[test]
fn what_a_file_was_before_it_was_rewritten_stays() {
    let place = Place::empty();
    append(&own_file(&place), (row(SESSION, 1, "the first walrus") + &row(SESSION, 2, "the second")).as_bytes());
    let mut daemon = place.daemon("");
    copies(&daemon, 1);
    append(&own_file(&place), row(SESSION, 3, "a third, appended").as_bytes());
    daemon.wait_for_log("rewritten=0");
    daemon.wait_for_log("rewritten=0");
    copies(&daemon, 1);
    // As `/rewind` of some versions does: the file begins anew.
    fs::write(own_file(&place), row(SESSION, 4, "all new: a penguin")).unwrap();
    daemon.wait_for_log("rewritten=1");
    copies(&daemon, 2);
    let prompts = |daemon: &Daemon| {
        let replay = json_of(daemon, &format!("/api/v1/analytics/sessions/{SESSION}/replay?limit=100"));
        let events = replay["events"].as_array().cloned().unwrap_or_default();
        let prompts = events.iter().filter(|event| event["kind"] == "prompt");
        prompts.map(|event| event["content"][0]["text"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let all =
        ["the first walrus", "the second", "a third, appended", "all new: a penguin"].map(str::to_owned).map(Some);
    assert_eq!(prompts(&daemon), all);
    for word in ["walrus", "appended", "penguin"] {
        let hits = json_of(&daemon, &format!("/api/v1/analytics/search?q={word}"))["hits"].take();
        assert_eq!(hits.as_array().unwrap().len(), 1, "{word}");
    }
    daemon.stop();
    assert!(place.text(&["verify"]).contains("0 differences"));

    // The state is made again of the file and of both copies; and of both copies alone.
    for is_gone in [false, true] {
        fs::remove_dir_all(place.state()).unwrap();
        if is_gone {
            fs::remove_file(own_file(&place)).unwrap();
        }
        let daemon = place.daemon("");
        daemon.until("all prompts are there", || (prompts(&daemon) == all).then_some(()));
        let hits = json_of(&daemon, "/api/v1/analytics/search?q=walrus")["hits"].take();
        assert_eq!(hits.as_array().unwrap().len(), 1);
        let total = json_of(&daemon, "/api/v1/analytics/costs")["total"]["tokens"]["input"].take();
        assert_eq!(total, json!(240), "four responses");
        daemon.stop();
        assert!(place.text(&["verify"]).contains("0 differences"));
    }
}

#[test]
fn a_copy_can_be_read_without_tailspan() {
    let place = Place::empty();
    let rows: String = (0..50).map(|number| row(SESSION, number, &"long ".repeat(4_000))).collect();
    append(&own_file(&place), rows.as_bytes());
    let daemon = place.daemon("");
    copies(&daemon, 1);
    let copy = Place::files(&place.archive().join("files")).into_iter().next().unwrap();
    assert!(fs::metadata(&copy).unwrap().len() * 20 < rows.len() as u64);
    let Ok(output) = Command::new("zstd").arg("-dc").arg(&copy).output() else {
        return skip("zstd is not installed");
    };
    assert!(output.status.success() && output.stdout == rows.as_bytes(), "{}", said(&output.stderr));
}

#[test]
fn a_damaged_copy_is_named_and_the_rest_goes_on() {
    let place = Place::recorded();
    let daemon = place.daemon("");
    let files = session_files(&place);
    copies(&daemon, files);
    daemon.stop();
    fs::remove_dir_all(place.projects()).unwrap();
    let all: Vec<PathBuf> = Place::files(&place.archive().join("files")).into_iter().collect();
    // One byte of a frame, the end, all of it, and a newer version.
    let [frame, end, whole] = [0, 1, 2].map(|number| &all[number * 3]);
    let mut bytes = fs::read(frame).unwrap();
    bytes[20] ^= 1;
    fs::write(frame, bytes).unwrap();
    let bytes = fs::read(end).unwrap();
    fs::write(end, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(whole, []).unwrap();
    let output = place.run(&["archive", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output.stdout);
    for path in [frame, end, whole] {
        assert!(text.contains(&format!("damaged: {}", path.display())), "{text}");
    }
    assert_eq!(text.lines().count(), 5, "{text}");
    let mut daemon = place.daemon("");
    daemon.wait_for_log("copies in the archive cannot be read");
    let sessions = json_of(&daemon, "/api/v1/analytics/sessions?limit=1000")["sessions"].take();
    let mut hidden = BTreeSet::new();
    for session in sessions.as_array().unwrap() {
        let id = session["id"].as_str().unwrap();
        let replay = json_of(&daemon, &format!("/api/v1/analytics/sessions/{id}/replay?limit=1000"));
        let why = replay["events"].as_array().unwrap().iter().filter_map(|event| event["content_unavailable"].as_str());
        hidden.extend(why.map(str::to_owned));
    }
    assert_eq!(hidden, BTreeSet::from(["file is gone".to_owned()]));
}

#[test]
fn a_root_behind_a_link_is_archived_as_what_it_is() {
    let place = Place::empty();
    append(&own_file(&place), row(SESSION, 1, "behind a link").as_bytes());
    let real = place.path("real");
    fs::rename(place.projects(), &real).unwrap();
    std::os::unix::fs::symlink(&real, place.projects()).unwrap();
    let daemon = place.daemon("");
    copies(&daemon, 1);
    fs::remove_file(own_file(&place)).unwrap();
    let hits = json_of(&daemon, "/api/v1/analytics/search?q=%22behind+a+link%22")["hits"].take();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    let replay = json_of(&daemon, &format!("/api/v1/analytics/sessions/{SESSION}/replay?limit=100"));
    assert_eq!(replay["events"][0]["content"][0]["text"], "behind a link");
    daemon.stop();
    assert!(place.text(&["verify"]).contains("0 differences"));
}

#[test]
fn a_file_that_cannot_be_copied_holds_up_no_other() {
    let place = Place::empty();
    let long = place.projects().join("a").join("n".repeat(248) + ".jsonl");
    append(&long, row(SESSION, 1, "too long").as_bytes());
    append(&own_file(&place), row(SESSION, 2, "usual").as_bytes());
    let mut daemon = place.daemon("");
    let line = daemon.wait_for_log("it has no copy in the archive for now");
    assert!(line.contains("File name too long"), "{line}");
    copies(&daemon, 1);
    let metrics = daemon.metrics();
    assert_eq!(sum(&metrics, "tailspan_archive_writable"), 1.0);
    assert!(sum(&metrics, "tailspan_archive_failures_total") >= 1.0);
}

#[test]
fn a_full_disk_pauses_the_archive_and_deletes_nothing() {
    let place = Place::empty();
    let disk = place.archive();
    let Some(_mount) = Mount::new(&disk, "size=4m") else { return };
    append(&own_file(&place), row(SESSION, 1, "kept").as_bytes());
    let mut daemon = place.daemon("");
    let line = daemon.wait_for_log("the archive pauses until they can");
    assert!(line.contains("bytes are free") && line.contains("nothing is deleted"), "{line}");
    daemon.until("it shows", || (sum(&daemon.metrics(), "tailspan_archive_writable") == 0.0).then_some(()));
    assert_eq!(daemon.get("/-/healthy").0, 200, "counting goes on");
    _mount.remount("size=200m");
    daemon.wait_for_log("copies can be written again");
    copies(&daemon, 1);
    assert_eq!(sum(&daemon.metrics(), "tailspan_archive_writable"), 1.0);
}

#[test]
fn sessions_that_the_client_deletes_soon_are_told() {
    let place = Place::empty();
    let now = std::time::SystemTime::now();
    for (number, days) in [(1, 1), (2, 24), (3, 28), (4, 29), (5, 40)] {
        let path = place.projects().join("slug").join(format!("{number:08x}-1111-4000-8000-000000000000.jsonl"));
        append(&path, row(SESSION, number, "old").as_bytes());
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - std::time::Duration::from_secs(days * 86_400 + 60)).unwrap();
    }
    let mut daemon = Daemon::start(&place.projects(), &place.state(), &[]);
    let line = daemon.wait_for_log("the client deletes session files that have no copy");
    assert!(line.contains("within_a_day=2 within_a_week=4"), "{line}");
    let expiring = |daemon: &Daemon| {
        let metrics = daemon.metrics();
        ["1d", "7d"].map(|within| sum(&metrics, &format!("tailspan_sessions_expiring{{within=\"{within}\"}}")))
    };
    daemon.until_or("30 days, as without settings", || {
        let expiring = expiring(&daemon);
        if expiring == [2.0, 4.0] { Ok(()) } else { Err(format!("{expiring:?}")) }
    });
    daemon.stop();
    fs::write(place.projects().with_file_name("settings.json"), "{\"cleanupPeriodDays\": 45}").unwrap();
    let daemon = Daemon::start(&place.projects(), &place.state(), &[]);
    daemon.until("45 days", || (expiring(&daemon) == [0.0, 1.0]).then_some(()));
    daemon.stop();
    // What has a copy is lost to nobody.
    let daemon = place.daemon("");
    copies(&daemon, 5);
    daemon.until("none", || (expiring(&daemon) == [0.0, 0.0]).then_some(()));
}

#[test]
fn copies_end_only_if_the_configuration_says_so() {
    if !installed("faketime", "faketime") {
        return;
    }
    let place = Place::empty();
    let now = std::time::SystemTime::now();
    let day = |days: u64| std::time::Duration::from_secs(days * 86_400);
    let write = |number: u32, modified: std::time::SystemTime| {
        let path = place.projects().join("slug").join(format!("{number:08x}-1111-4000-8000-000000000000.jsonl"));
        append(&path, row(SESSION, number, "old").as_bytes());
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    // One that is dated in the future, and two of the past.
    write(1, now + day(100));
    write(2, now - day(100));
    write(3, now - day(500));
    let daemon = place.daemon("");
    copies(&daemon, 3);
    daemon.stop();
    // What was copied lately stays, however old its file is.
    let mut daemon = place.daemon("[retention]\narchive = \"99d\"\n");
    copies(&daemon, 3);
    daemon.wait_for_log("the first scan is complete");
    daemon.stop();
    let config = place.path("tailspan.toml");
    // The command `faketime` stays beside what it starts, which then outlives a test: its library alone does not.
    let library = fs::read_dir("/usr/lib")
        .unwrap()
        .map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists());
    let preload = format!("LD_PRELOAD={}", library.unwrap().display());
    let later = ["env", &preload, "FAKETIME=+120d", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    let more = ["--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start_within(&later, &place.projects(), &place.state(), &more);
    let line = daemon.wait_for_log("ended for their age");
    assert!(line.contains("copies=2"), "{line}");
    daemon.until("they are counted", || {
        let metrics = daemon.metrics();
        (sum(&metrics, "tailspan_retention_ended_total{what=\"copies\"}") == 2.0).then_some(())
    });
    copies(&daemon, 1);
    // Their files are still there, and are not copied again with the next one.
    write(4, now + day(119));
    daemon.wait_for_log("were copied into the archive");
    copies(&daemon, 2);
}
