//! Session files that come into the archive from elsewhere, and go out of it again.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{Place, SESSION, copies, json_of, own_file, row, said, session_files};
use crate::support::daemon::Daemon;
use crate::support::shim::Shim;
use crate::support::world::append;

#[test]
fn sessions_of_another_machine_count_once() {
    let (place, other) = (Place::recorded(), Place::recorded());
    // A session that only the other machine has, and one that both have.
    append(&own_file(&other), row(SESSION, 1, "of the other machine").as_bytes());
    let scan = |place: &Place| -> Value {
        let projects = place.projects();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
        let output = command.env_clear().args(["scan", "--format", "json"]).arg(projects).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (both, folder) = (scan(&other), other.projects());
    let daemon = place.daemon("");
    let total = |daemon: &Daemon| json_of(daemon, "/api/v1/analytics/costs")["total"].take();
    let told = place.text(&["archive", "import", folder.to_str().unwrap()]);
    assert!(told.contains("the running sidecar counts them"), "{told}");
    let is_whole = |total: &Value| total["cost_usd"] == both["cost_usd"] && total["messages"] == both["messages"];
    daemon.until_or("they are counted", || {
        let total = total(&daemon);
        if is_whole(&total) { Ok(()) } else { Err(format!("{total} {}", both["cost_usd"])) }
    });
    let again = place.text(&["archive", "import", folder.to_str().unwrap()]);
    assert!(again.starts_with("0 files of 0 bytes taken in"), "{again}");
    fs::remove_dir_all(&folder).unwrap();
    let hits = json_of(&daemon, "/api/v1/analytics/search?q=%22of+the+other+machine%22")["hits"].take();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    daemon.stop();
    assert!(place.text(&["verify"]).contains("0 differences"));

    // An archive is taken in as a whole, and counted where no sidecar runs.
    let third = Place::empty();
    fs::create_dir_all(third.projects()).unwrap();
    third.daemon("").stop();
    let archive = place.archive();
    let told = third.text(&["archive", "import", archive.to_str().unwrap()]);
    assert!(told.contains("files counted"), "{told}");
    let daemon = third.daemon("");
    assert!(is_whole(&total(&daemon)), "{}", total(&daemon));
    daemon.stop();
    assert!(third.text(&["archive", "verify"]).contains(" 0 damaged"));
}

#[test]
fn a_session_is_restored_where_it_was_or_elsewhere() {
    let place = Place::recorded();
    let session = "aaaaaaaa";
    append(&own_file(&place), row(SESSION, 1, "to be restored").as_bytes());
    let agent = place.projects().join("slug").join(SESSION).join("subagents/agent-a1.jsonl");
    append(&agent, row(SESSION, 2, "an agent").as_bytes());
    let written = fs::read(own_file(&place)).unwrap();
    let daemon = place.daemon("");
    let files = session_files(&place);
    copies(&daemon, files);
    fs::remove_dir_all(place.projects().join("slug")).unwrap();

    let elsewhere = place.path("elsewhere");
    place.text(&["archive", "restore", session, "--to", elsewhere.to_str().unwrap()]);
    let restored = Place::files(&elsewhere);
    let own = elsewhere.join("slug").join(format!("{SESSION}.jsonl"));
    assert_eq!(fs::read(&own).unwrap(), written);
    assert_eq!(restored.len(), 2, "{restored:?}");
    assert!(!own_file(&place).exists());
    place.text(&["archive", "restore", session]);
    assert_eq!(fs::read(own_file(&place)).unwrap(), written);
    assert!(place.text(&["archive", "restore", SESSION]).contains("is there"));
    fs::write(own_file(&place), "{\"mine\":1}\n").unwrap();
    let output = place.run(&["archive", "restore", session]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stdout).contains("was left alone"), "{}", said(&output.stdout));
    assert_eq!(fs::read_to_string(own_file(&place)).unwrap(), "{\"mine\":1}\n");
    let unknown = place.run(&["archive", "restore", "zzzz"]);
    assert!(said(&unknown.stderr).contains("no session in the archive has the id zzzz"));

    let listed = place.text(&["archive", "list"]);
    assert!(listed.lines().filter(|line| !line.contains("; gone")).all(|line| line.chars().count() <= 80), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("slug ") && line.contains(&SESSION[..8])), "{listed}");
    let lines: Vec<Value> =
        place.text(&["archive", "list", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), files);
    assert!(lines.iter().any(|line| line["session"] == SESSION && line["file_bytes"] == json!(written.len())));
}

#[test]
fn a_copy_that_was_interrupted_is_none() {
    let place = Place::empty();
    let other = Place::empty();
    append(&own_file(&other), row(SESSION, 1, "of the other machine").as_bytes());
    append(&own_file(&other).with_file_name("bbbbbbbb-1111-4000-8000-000000000000.jsonl"), b"{}\n");
    let Some(shim) = Shim::build(&place.path("")) else { return };
    let folder = other.projects();
    let import = || place.command(&["archive", "import", folder.to_str().unwrap()]);
    let calls = shim.calls(import(), &place.archive());
    assert!(calls > 8, "{calls}");
    for call in 1..=calls {
        fs::remove_dir_all(place.archive()).unwrap_or_default();
        shim.kill_at(import(), &place.archive(), call);
        let verified = said(&place.run(&["archive", "verify"]).stdout);
        assert!(!verified.contains("damaged:"), "killed at call {call}: {verified}");
        place.text(&["archive", "import", folder.to_str().unwrap()]);
        let verified = place.text(&["archive", "verify"]);
        assert!(verified.contains("2 copies of ") && verified.contains(" 0 damaged"), "call {call}: {verified}");
    }
}

#[test]
fn an_import_mends_what_is_damaged_and_takes_single_files() {
    let (place, other) = (Place::empty(), Place::empty());
    append(&own_file(&other), row(SESSION, 1, "whole").as_bytes());
    let file = own_file(&other);
    place.text(&["archive", "import", file.to_str().unwrap()]);
    let copy = Place::files(&place.archive().join("files")).into_iter().next().unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    bytes[20] ^= 1;
    fs::write(&copy, bytes).unwrap();
    assert_eq!(place.run(&["archive", "verify"]).status.code(), Some(1));
    let told = place.text(&["archive", "import", other.projects().to_str().unwrap()]);
    assert!(told.starts_with("1 files of"), "{told}");
    assert!(place.text(&["archive", "verify"]).contains("1 copies of"));
    // It was never below a projects folder of this machine.
    let output = place.run(&["archive", "restore", SESSION]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stdout).contains("--to names one"), "{}", said(&output.stdout));
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    let output = place.run(&["archive", "import", empty.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("session files in"), "{}", said(&output.stderr));
}

#[test]
fn imports_at_the_same_time_lose_nothing() {
    let place = Place::empty();
    // Four archives with the same file, each with an end of its own.
    let archives: Vec<Place> = (0..4)
        .map(|number| {
            let other = Place::empty();
            let target = place.path("one").join("projects").join("slug").join(format!("{SESSION}.jsonl"));
            fs::remove_file(&target).unwrap_or_default();
            append(&target, (row(SESSION, 1, "common") + &row(SESSION, 2 + number, "own")).as_bytes());
            other.text(&["archive", "import", place.path("one").to_str().unwrap()]);
            other
        })
        .collect();
    let imports: Vec<_> = archives
        .iter()
        .map(|other| place.command(&["archive", "import", other.archive().to_str().unwrap()]).spawn().unwrap())
        .collect();
    for mut import in imports {
        assert!(import.wait().unwrap().success());
    }
    let verified = place.text(&["archive", "verify"]);
    assert!(verified.starts_with("4 copies of "), "{verified}");
}
