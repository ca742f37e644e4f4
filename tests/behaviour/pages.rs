//! The pages of the real program in a real browser: Debian's Chromium, driven by `tests/support/pages.mjs`, where each case stands.
//!
//! Programs: node, chromium, and what `tests/support/page_tools.sh` installs. Without them these tests are skipped, except where
//! CI=true. With `PICTURES=FOLDER` the cases leave pictures of what they saw there.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::analytics::{answer, prompt, result};
use crate::support::daemon::Daemon;
use crate::support::http::{get, request};
use crate::support::privileges::skip;

pub(crate) const MADE: &str = "0dd5e551-0000-4000-8000-000000000017";
pub(crate) const HOSTILE: &str = "bad5e551-0000-4000-8000-000000000017";

/// Most bytes of the page of a session with all that it loads, as gzip.
const BUDGET: usize = 60 << 10;

/// A picture of one point.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn call(name: &str, id: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input})
}

fn said(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A session with edits, colours, a failure, a picture, a pause of ten minutes and several pages of events.
pub(crate) fn made() -> Vec<Value> {
    let s = MADE;
    let before = "// Animals.\n\nfn main() {\n    count();\n}\n\nlet zebras = 1;\nlet emus = 3;\nlet gnus = 4;\n";
    let file = "/home/dev/made/src/zoo.rs";
    let mut rows = vec![
        json!({"type": "custom-title", "sessionId": s, "customTitle": "Count the zebras"}),
        prompt(s, 0, "Please fix the zebra counter."),
        answer(s, 2, "m1", json!([said("I write it first:\n\n```rust\nlet zebras = 1;\n```\n\nThen I run it.")])),
        answer(s, 3, "m2", json!([call("Write", "c1", &json!({"file_path": file, "content": before}))])),
        result(s, 4, "c1", json!("File created successfully")),
        answer(
            s,
            7,
            "m3",
            json!([call(
                "Edit",
                "c2",
                &json!({"file_path": file, "old_string": "let zebras = 1;", "new_string": "let zebras = 2;"})
            )]),
        ),
        result(s, 8, "c2", json!("The file has been updated.")),
        answer(
            s,
            10,
            "m4",
            json!([call("Bash", "c3", &json!({"command": "cargo test", "description": "Run the tests"}))]),
        ),
        result(
            s,
            25,
            "c3",
            json!(
                "\u{1b}[1mrunning\u{1b}[0m 3 tests\n\u{1b}[32m3 passed\u{1b}[0m; \u{1b}[38;5;196m0 failed\u{1b}[0m\n"
            ),
        ),
        answer(s, 27, "m5", json!([call("Bash", "c4", &json!({"command": "./deploy --now"}))])),
    ];
    let mut failed = result(s, 31, "c4", json!("Exit code 1\n\u{1b}[31mdeploy: no such zoo\u{1b}[0m"));
    failed["message"]["content"][0]["is_error"] = json!(true);
    rows.push(failed);
    rows.push(answer(s, 33, "m6", json!([call("Read", "c5", &json!({"file_path": "/home/dev/made/zebra.png"}))])));
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}});
    rows.push(result(s, 34, "c5", json!([image])));
    let tasks = json!({"todos": [{"content": "Count zebras", "status": "completed", "activeForm": "Counting"},
        {"content": "Count gnus", "status": "in_progress", "activeForm": "Counting"}]});
    rows.push(answer(s, 36, "m8", json!([call("TodoWrite", "c6", &tasks)])));
    rows.push(result(s, 37, "c6", json!("Todos have been modified.")));
    rows.push(prompt(s, 640, "Look for other animals."));
    for round in 0..40 {
        let (second, id) = (645 + round * 8, format!("r{round}"));
        let input = json!({"pattern": format!("animal {round}"), "path": "/home/dev/made"});
        rows.push(answer(s, second, &format!("n{round}"), json!([call("Grep", &id, &input)])));
        let text = if round == 37 { "src/zoo.rs: a quokka" } else { "Found 0 files" };
        rows.push(result(s, second + 3, &id, json!(text)));
    }
    let lines: String = (0..1000)
        .map(|line| format!("line {line} {}\n", if line == 900 { "has a wallaby" } else { "has nothing" }))
        .collect();
    rows.push(answer(s, 970, "m9", json!([call("Read", "c7", &json!({"file_path": "/home/dev/made/list.txt"}))])));
    rows.push(result(s, 971, "c7", json!(lines)));
    rows.push(answer(s, 1000, "m7", json!([said("All animals are counted.")])));
    rows
}

/// What is tried in every field.
pub(crate) fn tricks() -> String {
    [
        "<script>window.pwned=1</script>",
        "\"><img src=x onerror=window.pwned=2>",
        "</pre></li></script><svg onload=window.pwned=3>",
        "<b class=evil>bold</b> &lt;script&gt; ' onmouseover='window.pwned=4",
        "<iframe src=http://evil.example/></iframe><link rel=stylesheet href=//evil.example/x.css>",
        "[x](javascript:window.pwned=5) http://evil.example/?<a href=\"javascript:window.pwned=6\">y</a>",
        "\u{1b}]8;;http://evil.example\u{7}link\u{1b}]8;;\u{7} \u{1b}[31mred \u{1b}]0;title\u{7} \u{1b}[2J\u{1b}P+q\u{1b}\\",
        "\u{202e}gnp.exe\u{2066}\u{200f} a\u{0}b\u{8}\u{7f} \u{feff}\u{d7ff} e\u{301}\u{1f468}\u{200d}\u{1f469}",
        "=HYPERLINK(\"http://evil.example\",\"x\") @SUM(1) +1 -1 \t;|",
        "{{constructor.constructor('window.pwned=7')()}} ${window.pwned=8} <!-- --> ]]> %00 %3Cscript%3E",
        "__proto__",
    ]
    .join("\n")
}

/// A session with [`tricks`] in every field.
pub(crate) fn hostile() -> Vec<Value> {
    let (s, evil) = (HOSTILE, tricks());
    let keys = json!({"file_path": evil, "command": evil, "description": evil, "old_string": evil, "new_string": format!("{evil}!"),
        "__proto__": {"pwned": evil}, "<script>": evil});
    let mut rows = vec![
        json!({"type": "custom-title", "sessionId": s, "customTitle": evil}),
        prompt(s, 0, &evil),
        answer(
            s,
            1,
            "h1",
            json!([{"type": "thinking", "thinking": evil, "signature": evil}, said(&format!("```{evil}\n{evil}\n```\n{evil}"))]),
        ),
        answer(
            s,
            2,
            "h2",
            json!([
                call(&evil, "hc1", &keys),
                call("Edit", "hc2", &keys),
                call("Write", "hc3", &json!({"file_path": evil, "content": evil}))
            ]),
        ),
        result(s, 3, "hc1", json!(evil)),
        result(s, 4, "hc2", json!([{"type": "text", "text": evil}, {"type": evil, "text": evil}])),
        result(
            s,
            5,
            "hc3",
            json!([{"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"}}]),
        ),
        answer(
            s,
            6,
            "h3",
            json!([call("Task", "hc4", &json!({"subagent_type": evil, "prompt": evil, "description": evil}))]),
        ),
        result(s, 7, "hc4", json!("x")),
        json!({"type": "system", "subtype": "api_error", "uuid": "h-error", "sessionId": s, "timestamp": "2026-03-01T12:00:08.000Z",
            "error": {"status": 500, "message": evil}, "retryAttempt": 1, "retryInMs": 10, "content": evil}),
    ];
    let mut odd = answer(s, 9, "h4", json!([said(&evil)]));
    odd["message"]["model"] = json!(evil);
    odd["message"]["stop_reason"] = json!(evil);
    rows.push(odd);
    for row in &mut rows {
        row["cwd"] = json!(format!("/home/dev/{evil}"));
        row["gitBranch"] = json!(evil);
        row["version"] = json!(evil);
    }
    rows
}

/// A sidecar over both sessions.
pub(crate) struct Side {
    pub(crate) daemon: Daemon,
    pub(crate) folder: TempDir,
}

impl Side {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let project = folder.path().join("projects/-home-dev-made");
        fs::create_dir_all(&project).unwrap();
        for (id, rows) in [(MADE, made()), (HOSTILE, hostile())] {
            let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
            fs::write(project.join(format!("{id}.jsonl")), text).unwrap();
        }
        let daemon = Daemon::start(&folder.path().join("projects"), &folder.path().join("state"), &[]);
        daemon.metrics();
        Self { daemon, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.address
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(format!("projects/-home-dev-made/{MADE}.jsonl"))
    }
}

/// Whether a browser and what drives it are there; says so if not.
fn may_look() -> bool {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].iter().any(|path| Path::new(path).exists());
    let tools = ["playwright-core", "axe-core"]
        .iter()
        .all(|name| top.join("target/page-tools/node_modules").join(name).exists());
    if !browser || !tools {
        skip("there is no chromium, or tests/support/page_tools.sh has not run");
    }
    browser && tools
}

/// Looks at a session with the browser.
fn look(case: &str, session: &str) {
    if !may_look() {
        return;
    }
    let (side, top) = (Side::new(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut command = Command::new("node");
    command.arg(top.join("tests/support/pages.mjs")).arg(top.join("target/page-tools")).arg(case);
    command.arg(format!("http://{}", side.address())).arg(session).arg(side.file());
    let output = command.output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{case}: {told}");
}

#[test]
fn the_page_shows_a_window_without_scripts_and_the_event_of_a_link() {
    look("load", MADE);
}

#[test]
fn arrows_step_through_events() {
    look("step", MADE);
}

#[test]
fn keys_scrubber_and_map_lead_anywhere() {
    look("seek", MADE);
}

#[test]
fn a_session_plays_at_a_speed_and_long_gaps_are_short() {
    look("play", MADE);
}

#[test]
fn words_are_found() {
    look("find", MADE);
}

#[test]
fn a_session_that_goes_on_is_followed() {
    look("follow", MADE);
}

#[test]
fn edits_colours_and_pictures_are_readable() {
    look("texts", MADE);
}

#[test]
fn whatever_a_session_holds_is_text() {
    look("hostile", HOSTILE);
}

#[test]
fn everything_is_reached_by_keys() {
    look("keyboard", MADE);
}

#[test]
fn axe_finds_nothing_at_any_width_light_or_dark() {
    look("axe", MADE);
}

#[test]
fn a_transcript_needs_nothing_and_is_readable() {
    look("transcript", MADE);
}

#[test]
fn whatever_a_transcript_holds_is_text() {
    look("transcript_hostile", HOSTILE);
}

#[test]
fn an_address_that_leads_nowhere_is_told_by_a_page() {
    look("refusal", MADE);
}

/// Browsers get a page that says what is wrong, programs JSON, each with the same status.
#[test]
fn a_refusal_is_a_page_for_people_and_json_for_programs() {
    const PERSON: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let side = Side::new();
    let ask = |path: &str, accept: &str| request(side.address(), "GET", path, &[("Accept", accept)], b"");
    let is_page = |path: &str, accept: &str| {
        ask(path, accept).header("content-type").is_some_and(|form| form.starts_with("text/html"))
    };
    for (path, status, up) in [
        ("/sessions/nope-nope", 404, "./../"),
        ("/sessions/5", 400, "./../"),
        ("/sessions/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 404, "./../"),
        ("/spans/1234/5678", 404, "./../../"),
        ("/spans/x/y", 400, "./../../"),
        ("/nothing", 404, "./"),
    ] {
        let (told, page) = (ask(path, "*/*"), ask(path, PERSON));
        assert_eq!((told.status, page.status), (status, status), "{path}");
        assert_eq!(told.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none';"), "{path}");
        let (told, html) = (serde_json::from_slice::<Value>(&told.body).unwrap(), page.text());
        let reason = told["detail"].as_str().unwrap().replace('<', "&lt;").replace('>', "&gt;");
        assert!(html.replace("&#39;", "'").contains(&reason), "{path}: {reason}: {html}");
        assert!(html.contains(&format!("<a href=\"{up}\">")) && !html.contains("<script"), "{path}: {html}");
        for accept in ["application/json", "text/html;q=0, */*", "application/problem+json, */*;q=0.1"] {
            assert!(!is_page(path, accept), "{path} {accept}");
        }
    }
    for path in ["/api/v1/analytics/sessions/nope-nope", "/api/nothing", "/jaeger/api/traces/x", "/metrics/nothing"] {
        assert!(!is_page(path, PERSON), "{path}");
    }
}

#[test]
fn sessions_are_listed_and_found() {
    look("list", MADE);
}

#[test]
fn the_page_and_all_that_it_loads_are_small_and_kept_by_browsers() {
    let side = Side::new();
    let path = format!("/sessions/{MADE}");
    let zipped = |path: &str| request(side.address(), "GET", path, &[("Accept-Encoding", "gzip")], b"");
    let page = get(side.address(), &path);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let (mut files, mut next) =
        (["icon.svg", "style.css", "replay.js"].map(|name| format!("/pages/{name}")).to_vec(), 0);
    for file in &files {
        assert!(page.text().contains(file.as_str()), "{file}");
    }
    let mut sum = zipped(&path).body.len();
    while let Some(file) = files.get(next).cloned() {
        next += 1;
        let reply = get(side.address(), &file);
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-cache")), "{file}");
        let tag = reply.header("etag").unwrap();
        let again = request(side.address(), "GET", &file, &[("If-None-Match", tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{file}");
        for name in reply.text().split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
            let imported = format!("/pages/{name}");
            if !files.contains(&imported) {
                files.push(imported);
            }
        }
        sum += zipped(&file).body.len();
    }
    assert_eq!(files.len(), 7, "{files:?}");
    assert!(sum <= BUDGET, "{sum} bytes");
    // A program that asks for `/` gets a page of the program alone.
    let landing = get(side.address(), "/");
    assert_eq!(landing.status, 200);
    assert!(landing.text().contains("/pages/sessions.js") && !landing.text().contains("zebra"));
}
