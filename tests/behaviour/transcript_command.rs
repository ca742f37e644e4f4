//! `tailspan transcript`: the same bytes as the API, whoever answers; files that are there when they are whole.

use std::fs;
use std::os::unix::fs::symlink;

use crate::archive::{Place, copies, json_of, said, session_files};
use crate::support::daemon::Daemon;
use crate::support::http::get;

const TOOLS: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";

fn address(daemon: &Daemon) -> String {
    daemon.address.to_string()
}

#[test]
fn the_command_and_the_api_give_the_same_bytes_whoever_answers() {
    let place = Place::recorded();
    let daemon = place.daemon("");
    let listen = address(&daemon);
    let mut asked = Vec::new();
    for (format, level) in [("md", "full"), ("html", "no_results"), ("json", "full"), ("json", "prompts_only")] {
        let target = format!("/api/v1/analytics/sessions/{TOOLS}/transcript?format={format}&level={level}&scrub=true");
        let reply = get(daemon.address, &target);
        assert_eq!(reply.status, 200);
        let arguments = ["transcript", "5fb3d16f", "--format", format, "--level", level];
        let printed = place.run(&[&arguments[..], &["--listen", &listen]].concat());
        assert!(printed.status.success() && printed.stdout == reply.body, "{format}: {}", said(&printed.stderr));
        asked.push((arguments, printed.stdout));
    }
    assert_eq!(daemon.stop(), Some(0));
    for (arguments, expected) in asked {
        for more in [&["--listen", "127.0.0.1:1"][..], &["--scan"]] {
            let printed = place.run(&[&arguments[..], more].concat());
            assert!(
                printed.status.success() && printed.stdout == expected,
                "{arguments:?} {more:?}: {}",
                said(&printed.stderr)
            );
        }
    }
}

#[test]
fn latest_is_the_session_with_the_latest_row() {
    let place = Place::recorded();
    let latest = place.text(&["transcript", "latest", "--scan", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&latest).unwrap();
    let list = place.text(&["report", "sessions", "--scan", "--json", "--since", "all"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let ended = |session: &serde_json::Value| session["ended_at"].as_str().unwrap_or_default().to_owned();
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(Some(ended(&document["session"])), sessions.iter().map(ended).max());
}

#[test]
fn a_file_is_there_when_it_is_whole_and_its_name_tells_the_form() {
    let place = Place::recorded();
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let ask = |session: &str, output: &str| place.run(&["transcript", session, "--scan", "--output", output]);
    for (name, begin) in
        [("one.HTM", "<!doctype html>"), ("one.json", "{\"exported_by\""), ("one.markdown", "# "), ("one", "# ")]
    {
        let output = ask(TOOLS, &path(name));
        assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output.stderr));
        let told = said(&output.stderr);
        assert!(told.contains(&format!("wrote {} (", path(name))) && told.contains(" kB)"), "{told}");
        assert!(fs::read_to_string(path(name)).unwrap().starts_with(begin), "{name}");
    }
    // What was there before stays if there is nothing to put in its place.
    fs::write(path("kept.md"), "kept").unwrap();
    let refused = ask("nobody", &path("kept.md"));
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused.stderr));
    assert!(said(&refused.stderr).contains("there is no session nobody"), "{}", said(&refused.stderr));
    assert_eq!(fs::read_to_string(path("kept.md")).unwrap(), "kept");
    assert!(!place.path("kept.md.unfinished").exists());
    // A link stays, and leads to what is new.
    symlink(path("kept.md"), path("link.md")).unwrap();
    assert!(ask(TOOLS, &path("link.md")).status.success());
    assert!(fs::read_to_string(path("kept.md")).unwrap().starts_with("# "));
    assert!(fs::symlink_metadata(path("link.md")).unwrap().is_symlink());
    for wrong in [["--format", "pdf"], ["--level", "some"]] {
        let output = place.run(&["transcript", TOOLS, "--scan", wrong[0], wrong[1]]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_ending_that_tells_no_form_writes_nothing_and_the_format_decides() {
    let place = Place::recorded();
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let refused = place.run(&["transcript", TOOLS, "--scan", "-o", &path("one.pdf")]);
    let told = said(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains(".pdf tells no form: expected .md, .markdown, .html,") && !place.path("one.pdf").exists());
    // Without a session it is the latest one.
    for (name, format, begin) in [("one.pdf", "md", "# "), ("two.html", "json", "{\"exported_by\"")] {
        let written = place.run(&["transcript", "--scan", "-o", &path(name), "--format", format]);
        assert!(written.status.success(), "{}", said(&written.stderr));
        assert!(fs::read_to_string(path(name)).unwrap().starts_with(begin), "{name}");
        let is_told = said(&written.stderr).contains("is written as json and not as html");
        assert_eq!(is_told, name == "two.html", "{}", said(&written.stderr));
    }
    for (name, begin) in [("t.pftrace", "\n"), ("t.cast", "{\"term\"")] {
        assert!(place.run(&["transcript", TOOLS, "--scan", "-o", &path(name)]).status.success());
        assert!(fs::read(path(name)).unwrap().starts_with(begin.as_bytes()), "{name}");
    }
}

#[test]
fn a_session_that_the_client_deleted_is_read_from_its_copies() {
    let place = Place::recorded();
    let daemon = place.daemon("");
    copies(&daemon, session_files(&place));
    let ids: Vec<String> = json_of(&daemon, "/api/v1/analytics/sessions?limit=1000")["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect();
    let all = || -> Vec<Vec<u8>> {
        ids.iter().map(|id| get(daemon.address, &format!("/api/v1/analytics/sessions/{id}/transcript")).body).collect()
    };
    let before = all();
    assert!(before.len() > 30);
    fs::rename(place.projects(), place.path("gone")).unwrap();
    fs::create_dir(place.projects()).unwrap();
    assert!(before == all());
}
