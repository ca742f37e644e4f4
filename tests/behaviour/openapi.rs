//! The description of the API, and the real program held against it: by the answers to what its recordings hold, by a
//! program that judges descriptions, and by one that asks whatever the description allows and forbids.
//!
//! Programs: `openapi-spec-validator` and `schemathesis` as `tests/support/api_tools.sh` installs them. Without them their
//! tests are skipped, except where CI=true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::http::{Reply, get, request};
use crate::support::json_schema::Schemas;
use crate::support::privileges::skip;
use crate::support::stream_files::{run_id, stream_file, streams_of};
use crate::support::world::{append, copy_folder};

const DOCUMENT: &str = "/api/v1/openapi.json";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A sidecar over recordings.
struct Side {
    daemon: Daemon,
    _folder: TempDir,
}

impl Side {
    /// Of all recordings of these versions.
    fn of(versions: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let projects = folder.path().join("projects");
        let (streams, mut runs) = (folder.path().join("state/streams"), 0);
        for version in versions {
            for recording in fs::read_dir(top().join("fixtures/recordings").join(version)).unwrap() {
                let recording = recording.unwrap().path();
                copy_folder(&recording.join("projects"), &projects);
                for stream in streams_of(&recording) {
                    runs += 1;
                    let members = json!({"workflow": "nightly", "labels": {"team": "search"}, "span": runs % 2 == 0});
                    let file = streams.join(format!("{}.jsonl", run_id(runs)));
                    append(&file, &stream_file(&stream, &run_id(runs), &members));
                }
            }
        }
        pictured(&projects);
        let config = folder.path().join("tailspan.toml");
        fs::write(&config, "[metrics]\nclaude_code = true\n").unwrap();
        let more = ["--config", config.to_str().unwrap()];
        let daemon = Daemon::start(&projects, &folder.path().join("state"), &more);
        daemon.metrics();
        Self { daemon, _folder: folder }
    }

    fn ask(&self, target: &str) -> Reply {
        get(self.daemon.address, target)
    }

    fn json(&self, target: &str) -> Value {
        self.ask(target).json()
    }

    fn document(&self) -> Schemas {
        Schemas(self.json(DOCUMENT))
    }
}

/// A session with a picture of one point.
fn pictured(projects: &Path) {
    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
    let row = json!({"type": "user", "uuid": "u1", "sessionId": "91c70e5e", "timestamp": "2026-03-01T12:00:00.000Z",
        "cwd": "/home/dev/pictures", "message": {"role": "user", "content": [{"type": "image", "source": source}]}});
    let folder = projects.join("-home-dev-pictures");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("91c70e5e.jsonl"), format!("{row}\n")).unwrap();
}

/// Asks, and holds the answers against the description.
struct Judge<'s> {
    side: &'s Side,
    schemas: Schemas,
    /// Status by pattern of what was answered.
    seen: BTreeSet<(String, u16)>,
}

impl<'s> Judge<'s> {
    fn of(side: &'s Side) -> Self {
        Self { side, schemas: side.document(), seen: BTreeSet::new() }
    }

    /// Asks a route. `parts` fill its pattern, and `query` is appended.
    fn ask(&mut self, pattern: &str, parts: &[(&str, &str)], query: &str) -> Reply {
        let path =
            parts.iter().fold(pattern.to_owned(), |path, (name, part)| path.replace(&format!("{{{name}}}"), part));
        let reply = self.side.ask(&format!("{path}?{query}"));
        self.judge(pattern, &reply, &format!("{path}?{query}"));
        reply
    }

    fn judge(&mut self, pattern: &str, reply: &Reply, said: &str) {
        self.judge_by("get", pattern, reply, said);
    }

    /// Sends a body to a route, and judges the body too if it is right.
    fn post(&mut self, pattern: &str, parts: &[(&str, &str)], body: &Value) -> Reply {
        let path =
            parts.iter().fold(pattern.to_owned(), |path, (name, part)| path.replace(&format!("{{{name}}}"), part));
        let headers = [("Content-Type", "application/json")];
        let reply = request(self.side.daemon.address, "POST", &path, &headers, body.to_string().as_bytes());
        let takes = &self.schemas.0["paths"][pattern]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let wrong = self.schemas.wrong(takes, body);
        assert_eq!(wrong.is_empty(), reply.status != 400, "{body}: {wrong:#?}");
        self.judge_by("post", pattern, &reply, &format!("{path} {body}"));
        reply
    }

    fn judge_by(&mut self, method: &str, pattern: &str, reply: &Reply, said: &str) {
        let operation = &self.schemas.0["paths"][pattern][method];
        let response = &operation["responses"][reply.status.to_string()];
        assert!(response.is_object(), "{said}: {} is not described", reply.status);
        let is_told = operation["responses"].get("304").is_some();
        assert!(reply.header("etag").is_none() || is_told, "{said}: it is not described that the answer has an ETag");
        self.seen.insert((pattern.to_owned(), reply.status));
        if reply.status == 304 {
            assert!(reply.body.is_empty() && response.get("content").is_none(), "{said}");
            return;
        }
        let content_type = reply.header("content-type").unwrap();
        let form = response["content"].get(content_type);
        let schema = form.unwrap_or_else(|| panic!("{said}: {} as {content_type} is not described", reply.status));
        // Lines of JSON are no value of JSON.
        if content_type.ends_with("json") && content_type != "application/x-ndjson" {
            let wrong = self.schemas.wrong(&schema["schema"], &reply.json());
            assert!(wrong.is_empty(), "{said}: {wrong:#?}");
        }
    }
}

#[test]
fn the_description_is_of_every_route_and_each_has_a_name_of_its_own() {
    let side = Side::of(&["2.0.77"]);
    let document = side.document().0;
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(operations, tailspan::http::table::ROUTES.len());
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert_eq!(names.insert(name, path), None, "{name}");
            assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
        }
    }
    // A type that is listed twice under one name gets a number behind it.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.keys().all(|name| !name.ends_with(|last: char| last.is_ascii_digit())), "{:?}", schemas.keys());
    let texts = document.to_string();
    assert!(!texts.contains("[`") && !texts.contains("`None`"), "a comment that only its source understands");
    assert!(side.ask("/").text().contains(DOCUMENT));
}

/// Every session, and one that there is not.
fn each_session(judge: &mut Judge, list: &str, one: &str) {
    let sessions = judge.ask(list, &[], "limit=1000").json();
    for id in sessions["sessions"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).chain(["nobody"]) {
        judge.ask(one, &[("id", id)], "");
        judge.ask(&format!("{one}/replay"), &[("id", id)], "limit=1000&context=true");
        judge.ask(&format!("{one}/replay/{{event}}/text"), &[("id", id), ("event", "0")], "bytes=10");
        for format in ["md", "html", "json", "perfetto", "asciicast"] {
            judge.ask(&format!("{one}/transcript"), &[("id", id)], &format!("format={format}"));
        }
        judge.ask("/jaeger/api/traces/{id}", &[("id", id)], "");
        judge.ask("/jaeger/api/v3/traces/{id}", &[("id", id)], "");
    }
}

#[test]
fn every_answer_is_as_the_description_says() {
    let side = Side::of(&["1.0.128", "2.0.77", "2.1.330", "2.1.332"]);
    let mut judge = Judge::of(&side);
    let (costs, list) = ("/api/v1/analytics/costs", "/api/v1/analytics/sessions");
    let by = ["hour", "day", "week", "month", "block", "project", "branch", "model", "agent", "session", "workflow"];
    for by in by.into_iter().chain(["entrypoint", "day,model", "block,agent"]) {
        judge.ask(costs, &[], &format!("group_by={by}&since=2026-11-01&tz=Europe/Berlin"));
    }
    judge.ask(costs, &[], "limit=1");
    for by in ["", "group_by=day,agent", "group_by=project&group_by=month", "group_by=nonsense"] {
        judge.ask("/api/v1/analytics/tools/usage", &[], &format!("{by}&since=2026-11-01"));
    }
    for query in ["since=2026-11-01", "since=2026-11-01&format=folded", "format=nonsense"] {
        judge.ask("/api/v1/analytics/bottlenecks", &[], query);
    }
    for query in ["since=2026-11-01", "since=2026-11-01&tz=Asia/Tokyo&project=nobody", "tz=nonsense"] {
        judge.ask("/api/v1/analytics/patterns", &[], query);
    }
    live(&mut judge);
    for query in ["q=the&limit=3", "q=/[a-z]/&kind=tool_input", "q=the&sort=oldest&until=2020-01-01", "q=%22", "q="] {
        judge.ask("/api/v1/analytics/search", &[], query);
    }
    for query in ["limit=1", "limit=0", "until=2020-01-01", "nonsense=1"] {
        judge.ask(list, &[], query);
    }
    workflows(&mut judge);
    for pattern in [costs, list, "/api/v1/analytics/workflows", "/api/v1/analytics/runs"] {
        let tag = side.ask(pattern).header("etag").unwrap().to_owned();
        let unchanged = request(side.daemon.address, "GET", pattern, &[("If-None-Match", &tag)], b"");
        judge.judge(pattern, &unchanged, pattern);
    }
    let one = format!("{list}/{{id}}");
    each_session(&mut judge, list, &one);
    pages(&mut judge, &format!("{one}/replay"));
    moves(&mut judge, &format!("{one}/replay"));
    let tools = [("id", "5fb3d16f")];
    for at in ["", "at=0", "at=x"] {
        judge.ask(&format!("{one}/replay/files"), &tools, at);
        judge.ask(&format!("{one}/replay/file"), &tools, &format!("path=/home/dev/b-tools/hello.txt&{at}"));
    }
    for table in ["sessions", "turns", "messages", "tools", "costs"] {
        for format in ["json", "ndjson", "csv", "parquet"] {
            judge.ask("/api/v1/export/{file}", &[("file", &format!("{table}.{format}"))], "");
        }
    }
    judge.ask("/api/v1/export/{file}", &[("file", "prompts.json")], "");
    judge.ask(&one, &[("id", "x")], "");
    judge.ask(&format!("{one}/replay"), &[("id", "x")], "from=1&at=2026-11-22");
    jaeger(&mut judge);
    let paths: Vec<String> = judge.schemas.0["paths"].as_object().unwrap().keys().cloned().collect();
    events(&mut judge);
    for pattern in &paths {
        let is_asked = judge.schemas.0["paths"][pattern].get("get").is_some();
        if is_asked && !pattern.contains('{') {
            judge.ask(pattern, &[], "query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2027-01-01T00:00:00Z");
        }
        let method = if is_asked { "get" } else { "post" };
        let foreign = request(side.daemon.address, &method.to_uppercase(), pattern, &[("Host", "example.org")], b"");
        judge.judge_by(method, pattern, &foreign, pattern);
        assert_eq!(foreign.status, 403, "{pattern}");
    }
    let unseen: Vec<&String> = paths
        .iter()
        .filter(|path| ![200, 202, 303].iter().any(|status| judge.seen.contains(&((*path).clone(), *status))))
        .collect();
    // Strict routes refused the query above, and were asked before.
    assert_eq!(unseen, Vec::<&String>::new());
    for status in [304, 400, 403, 404] {
        assert!(judge.seen.iter().any(|(_, seen)| *seen == status), "{status} was not answered");
    }
}

/// What is told of what happens now.
fn live(judge: &mut Judge<'_>) {
    judge.post("/api/v1/limits", &[], &json!({"rate_limits": {"five_hour": {"used_percentage": 62.5}, "x": 1}}));
    judge.post("/api/v1/limits", &[], &json!({"rate_limits": 5}));
    for query in ["", "limit=0&window=five_hour&since=2026-11-01", "limit=many"] {
        judge.ask("/api/v1/analytics/limits", &[], query);
    }
    for query in ["follow=false&since=2020-01-01", "follow=false&last_event_id=x", "event=nonsense"] {
        judge.ask("/api/v1/events", &[], query);
    }
}

/// Lines of a run.
fn events(judge: &mut Judge<'_>) {
    let path = "/api/v1/events";
    let ndjson = ("Content-Type", "application/x-ndjson");
    let run = ("Tailspan-Run", "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
    let line = "{\"type\":\"result\",\"session_id\":\"5fb3d16f-f9e3-4142-a37d-c727bd6ab70f\"}\n";
    let json = ("Content-Type", "application/json");
    for (headers, body, status) in [
        (&[ndjson][..], line, 202),
        (&[ndjson, run], "nonsense", 202),
        (&[ndjson], "", 400),
        (&[ndjson, ("Tailspan-Run", "x")], line, 400),
        (&[ndjson, run, ("Tailspan-Labels", "x")], line, 400),
        (&[json, run], line, 415),
        (&[ndjson, ("Origin", "http://example.org")], line, 403),
    ] {
        let reply = request(judge.side.daemon.address, "POST", path, headers, body.as_bytes());
        judge.judge_by("post", path, &reply, body);
        assert_eq!(reply.status, status, "{body}");
    }
}

/// Workflows and their runs, and one that there is not.
fn workflows(judge: &mut Judge<'_>) {
    let (workflows, runs) = ("/api/v1/analytics/workflows", "/api/v1/analytics/runs");
    for query in ["", "sort=cost&limit=1", "label=team", "since=2030-01-01", "sort=nonsense"] {
        judge.ask(workflows, &[], query);
    }
    for query in ["limit=3", "outcome=killed", "label=team=search", "workflow=nobody", "outcome=nonsense"] {
        judge.ask(runs, &[], query);
    }
    for name in ["nightly", "nobody"] {
        judge.ask(&format!("{workflows}/{{name}}"), &[("name", name)], "limit=2");
    }
    let list = judge.ask(runs, &[], "limit=1000").json();
    let ids: Vec<&str> = list["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert!(ids.len() > 50, "{}", ids.len());
    for id in ids.into_iter().chain(["nobody"]) {
        judge.ask(&format!("{runs}/{{id}}"), &[("id", id)], "");
    }
}

/// The page of a session, its pictures, and what it draws.
fn pages(judge: &mut Judge<'_>, replay: &str) {
    for (name, part) in [("outline", ""), ("turns/{turn}", "1"), ("turns/{turn}", "99"), ("turns/{turn}", "x")] {
        judge.ask(&format!("{replay}/{name}"), &[("id", "5fb3d16f"), ("turn", part)], "");
    }
    for (id, event) in [("5fb3d16f", "3"), ("91c70e5e", "0"), ("nobody", "3")] {
        judge.ask("/sessions/{id}", &[("id", id)], "from=1");
        judge.ask("/sessions/{id}/images/{event}/{part}", &[("id", id), ("event", event), ("part", "0")], "");
    }
    let traces = judge.side.json("/jaeger/api/traces?service=claude-code&limit=1");
    let known = &traces["data"][0]["spans"][0];
    let (trace, span) = (known["traceID"].as_str().unwrap(), known["spanID"].as_str().unwrap());
    for (trace, span) in [(trace, span), (trace, "1"), ("1", span), ("x", span), (trace, "x")] {
        judge.ask("/spans/{trace}/{span}", &[("trace", trace), ("span", span)], "");
        judge.ask("/spans/{trace}", &[("trace", trace)], "");
    }
}

fn moves(judge: &mut Judge<'_>, replay: &str) {
    let id = [("id", "5fb3d16f")];
    let opened = judge.post(replay, &id, &json!({"action": "open"}));
    assert_eq!(opened.status, 201);
    let cursor = opened.json()["cursor"].clone();
    judge.post(replay, &[("id", "nobody")], &json!({"action": "open", "to": {"next": "tool"}}));
    for action in ["step", "back", "back", "reset", "close", "close", "jump"] {
        judge.post(replay, &id, &json!({"action": action, "cursor": cursor}));
    }
    for to in
        [json!({"index": 5}), json!({"at": "2026-11-22T06:02:52Z"}), json!({"previous": "error"}), json!({"nth": 1})]
    {
        judge.post(replay, &id, &json!({"action": "open", "to": to}));
    }
    judge.post(replay, &id, &json!({"action": "seek", "cursor": cursor}));
}

fn jaeger(judge: &mut Judge<'_>) {
    judge.ask("/jaeger/api/services/{service}/operations", &[("service", "claude-code")], "");
    for pattern in ["/jaeger/api/operations", "/jaeger/api/v3/operations"] {
        judge.ask(pattern, &[], "service=claude-code");
    }
    for query in ["limit=1000", "limit=x", "traceID=1&traceID=0", "traceID=1&start=x", "tag=nothing"] {
        judge.ask("/jaeger/api/traces", &[], query);
    }
    let always = "query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2030-01-01T00:00:00Z";
    for pattern in ["/jaeger/api/v3/traces", "/jaeger/api/v3/trace-summaries"] {
        judge.ask(pattern, &[], &format!("{always}&query.searchDepth=1000"));
        judge.ask(pattern, &[], &format!("{always}&query.serviceName=nobody"));
        judge.ask(pattern, &[], "");
    }
}

/// A program that `tests/support/api_tools.sh` installs.
fn tool(name: &str) -> Option<PathBuf> {
    let program = top().join("target/api-tools/venv/bin").join(name);
    if program.exists() {
        return Some(program);
    }
    skip("tests/support/api_tools.sh has not run");
    None
}

fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn the_description_is_openapi() {
    let Some(python) = tool("python") else { return };
    let side = Side::of(&["2.0.77"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("openapi.json");
    fs::write(&file, side.ask(DOCUMENT).text()).unwrap();
    let (is_fine, text) = said(Command::new(python).args(["-m", "openapi_spec_validator"]).arg(&file));
    assert!(is_fine, "{text}");
}

/// All checks of schemathesis, with the same requests every time.
#[test]
fn schemathesis_finds_nothing() {
    let Some(program) = tool("schemathesis") else { return };
    let side = Side::of(&["2.0.77", "2.1.330"]);
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder.path()).arg("run").arg(format!("http://{}{DOCUMENT}", side.daemon.address));
    command.args(["--checks", "all", "--generation-deterministic", "--max-examples", "20", "--no-color"]);
    // How much is thrown away while requests are made up says nothing of the server.
    command.args(["--suppress-health-check", "filter_too_much,too_slow", "--continue-on-failure"]);
    command.env("PYTHONPATH", top().join("tests/support")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks");
    let (is_fine, text) = said(&mut command);
    assert!(is_fine, "{text}");
}
