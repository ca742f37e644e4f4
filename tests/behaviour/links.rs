//! The address that a span carries leads to its event on the page of its session: as it is exported, as Jaeger tells it, and
//! as an exemplar names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::analytics::{answer, prompt, result};
use crate::support::daemon::{Daemon, sum};
use crate::support::http::{Reply, assert_problem, get};
use crate::support::jaeger::{spans, tag, text};
use crate::support::reports::tailspan;
use crate::support::sink::Sink;
use crate::support::world::{copy_folder, recordings};

/// The address of the pages, behind a proxy that takes `/tail` off.
const PAGES: &str = "https://pages.example:8443/tail";

/// Forks, sub-agents in each other, further runs of one, a compaction between turns.
const FIXTURES: [&str; 6] = [
    "a-fork-counts-its-history-once",
    "a-fork-after-an-interrupted-prompt-starts-its-own-turn",
    "sub-agents-nest",
    "a-sub-agent-that-gets-more-work-has-a-span-for-each-run",
    "a-compaction-between-turns-is-inside-neither",
    "a-session-that-goes-on-in-the-background-keeps-its-own-rows",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Everything that is told of in these tests.
fn everything(projects: &Path) {
    for recording in recordings() {
        copy_folder(&recording.join("projects"), projects);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A sidecar over session files, whose pages are at [`PAGES`].
struct Side {
    folder: TempDir,
    daemon: Option<Daemon>,
    options: Vec<String>,
}

impl Side {
    fn start(write: impl FnOnce(&Path), more: &str, options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let projects = folder.path().join("projects");
        fs::create_dir_all(&projects).unwrap();
        write(&projects);
        let config = folder.path().join("tailspan.toml");
        fs::write(&config, format!("[web]\nurl = \"{PAGES}/\"\n{more}")).unwrap();
        let mut all = vec!["--config".to_owned(), config.to_str().unwrap().to_owned()];
        all.extend(options.iter().map(|option| (*option).to_owned()));
        let mut side = Self { folder, daemon: None, options: all };
        side.again();
        side
    }

    /// Ends the sidecar if it runs, and starts it over the same state.
    fn again(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            assert_eq!(daemon.stop(), Some(0));
        }
        let (projects, state) = (self.folder.path().join("projects"), self.folder.path().join("state"));
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let daemon = Daemon::start(&projects, &state, &options);
        daemon.metrics();
        self.daemon = Some(daemon);
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn ask(&self, path: &str) -> Reply {
        get(self.daemon().address, path)
    }

    /// Follows an address as a browser does, and gives the session and the event that it leads to.
    fn follow(&self, url: &str) -> (String, Value) {
        let path = url.strip_prefix(PAGES).unwrap_or_else(|| panic!("{url} is not below {PAGES}"));
        let reply = self.ask(path);
        assert_eq!(reply.status, 303, "{url}: {}", reply.text());
        let page = resolved(url, reply.header("location").unwrap());
        let page = page.strip_prefix(PAGES).unwrap_or_else(|| panic!("{page} is not below {PAGES}")).to_owned();
        let (page, fragment) = page.split_once('#').unwrap();
        let (session, from) = page.strip_prefix("/sessions/").unwrap().split_once("?from=").unwrap();
        assert_eq!(fragment, format!("event={from}"), "with JavaScript and without it the same event");
        let replay = format!("/api/v1/analytics/sessions/{session}/replay?from={from}&limit=1");
        let events = self.ask(&replay).json();
        (session.to_owned(), events["events"][0].clone())
    }

    /// The page that the address leads to, as it is without JavaScript.
    fn page(&self, url: &str) -> String {
        let reply = self.ask(url.strip_prefix(PAGES).unwrap());
        let page = resolved(url, reply.header("location").unwrap());
        let reply = self.ask(page.strip_prefix(PAGES).unwrap().split('#').next().unwrap());
        assert_eq!(reply.status, 200, "{page}");
        reply.text().to_owned()
    }
}

/// A relative address as browsers resolve it.
fn resolved(base: &str, relative: &str) -> String {
    let mut above = base.rsplit_once('/').unwrap().0;
    let mut rest = relative;
    while let Some(further) = rest.strip_prefix("../") {
        (above, rest) = (above.rsplit_once('/').unwrap().0, further);
    }
    format!("{above}/{rest}")
}

fn exported(span: &Span) -> BTreeMap<String, String> {
    let told = |value: Option<&Wire>| match value {
        Some(Wire::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    let attributes = span.attributes.iter();
    attributes.map(|one| (one.key.clone(), told(one.value.as_ref().and_then(|value| value.value.as_ref())))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts a sidecar over everything, and gives all of its spans as they arrive.
fn all_spans(more: &str) -> (Side, Vec<Span>) {
    let runtime = runtime();
    let sink = runtime.block_on(Sink::start());
    let side = Side::start(everything, more, &["--otlp-endpoint", &sink.url(), "--traces-history-since", "all"]);
    side.daemon().until("everything is sent", || {
        let metrics = side.daemon().metrics();
        let waiting = ["tailspan_history_waiting_traces", "tailspan_outbox_spans"];
        let nothing_waits = waiting.iter().all(|name| sum(&metrics, name) == 0.0);
        (nothing_waits && sum(&metrics, "tailspan_spans_exported_total") > 300.0).then_some(())
    });
    (side, sink.accepted_spans())
}

/// Follows the address of a span, which is told by its attributes, and checks that it is its event. Returns the kind of the
/// event.
fn check(side: &Side, told: &BTreeMap<String, String>) -> String {
    let url = told.get("url.full").unwrap_or_else(|| panic!("{told:?} leads nowhere"));
    let (session, event) = side.follow(url);
    assert_eq!(session, told["session.id"], "{url}");
    let kind = text(&event["kind"]).to_owned();
    match told["gen_ai.operation.name"].as_str() {
        "chat" => {
            assert_eq!((kind.as_str(), text(&event["message_id"])), ("message", told["gen_ai.response.id"].as_str()))
        }
        "execute_tool" => {
            assert_eq!(
                (kind.as_str(), text(&event["tool_call_id"])),
                ("tool_call", told["gen_ai.tool.call.id"].as_str())
            );
        }
        "invoke_agent" => match told.get("gen_ai.agent.id") {
            Some(agent) => assert_eq!((kind.as_str(), text(&event["agent"])), ("subagent_start", agent.as_str())),
            None if kind == "prompt" => {
                let row = text(&event["uuid"]).replace('-', "");
                let trace = url.split("/spans/").nth(1).unwrap().split('/').next().unwrap();
                assert_eq!(row, trace, "the trace of a turn has the id of its prompt");
            }
            // Rows that nobody asked for, such as a compaction between turns.
            None => assert!(event["agent"].is_null(), "{event}"),
        },
        _ => assert_eq!(kind, "compaction", "{told:?}"),
    }
    kind
}

#[test]
fn every_span_leads_to_its_event() {
    let (mut side, spans_sent) = all_spans("");
    let kinds: BTreeSet<String> = spans_sent.iter().map(|span| check(&side, &exported(span))).collect();
    for kind in ["prompt", "message", "tool_call", "subagent_start", "compaction"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    // Jaeger is told the same addresses.
    let sent: BTreeMap<String, String> = spans_sent
        .iter()
        .map(|span| (format!("{}/{}", hex(&span.trace_id), hex(&span.span_id)), exported(span)["url.full"].clone()))
        .collect();
    let traces = side.ask("/jaeger/api/traces?service=claude-code&limit=1000").json();
    let v1: BTreeMap<String, String> = traces["data"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(spans)
        .map(|span| {
            let at = format!("{}/{}", text(&span["traceID"]), text(&span["spanID"]));
            (at, text(tag(span, "url.full").unwrap()).to_owned())
        })
        .collect();
    let differs = sent.iter().find(|(at, url)| v1.get(*at) != Some(url));
    assert!(differs.is_none() && v1.len() == sent.len(), "{differs:?}");
    let (trace, _) = sent.keys().next().unwrap().split_once('/').unwrap();
    let v3 = side.ask(&format!("/jaeger/api/v3/traces/{trace}")).text().to_owned();
    assert!(sent.iter().filter(|(at, _)| at.starts_with(trace)).all(|(_, url)| v3.contains(url)), "{v3}");
    // A restart changes nothing.
    let addresses: Vec<(String, Value)> = sent.values().map(|url| side.follow(url)).collect();
    side.again();
    assert_eq!(sent.values().map(|url| side.follow(url)).collect::<Vec<_>>(), addresses);
    // Without JavaScript the page begins with the event.
    for (url, (_, event)) in sent.values().zip(&addresses).take(20) {
        let (page, index) = (side.page(url), event["index"].as_u64().unwrap());
        assert!(
            page.contains(&format!("start=\"{index}\"")) && page.contains(&format!("<li id=\"e{index}\"")),
            "{url}"
        );
    }
}

#[test]
fn spans_of_forks_and_of_nested_sub_agents_lead_to_their_events() {
    for name in FIXTURES {
        let side = Side::start(|projects| copy_folder(&fixtures().join(name).join("projects"), projects), "", &[]);
        let traces = side.ask("/jaeger/api/traces?service=claude-code&limit=1000").json();
        let all: Vec<&Value> = traces["data"].as_array().unwrap().iter().flat_map(spans).collect();
        assert!(all.len() > 1, "{name}");
        for span in all {
            let tags = span["tags"].as_array().unwrap().iter();
            check(
                &side,
                &tags
                    .map(|tag| (text(&tag["key"]).to_owned(), tag["value"].as_str().unwrap_or_default().to_owned()))
                    .collect(),
            );
        }
    }
}

#[test]
fn ids_of_exemplars_lead_there_too_in_one_trace_per_session() {
    let (side, spans_sent) = all_spans("[traces]\nscope = \"session\"\n");
    assert!(spans_sent.len() > 300);
    for span in &spans_sent {
        check(&side, &exported(span));
        // An exemplar names the trace that the span was sent in.
        let by_exemplar = format!("{PAGES}/spans/{}/{}", hex(&span.trace_id), hex(&span.span_id));
        assert_eq!(side.follow(&by_exemplar), side.follow(&exported(span)["url.full"]), "{by_exemplar}");
    }
}

#[test]
fn exemplars_of_metrics_lead_to_their_events() {
    const LATER: &str = "77777777-0000-4000-8000-000000000077";
    let side =
        Side::start(|projects| copy_folder(&fixtures().join("recordings/2.1.330/b_tools/projects"), projects), "", &[]);
    // Exemplars are of what happens after the first start ever.
    let folder = side.folder.path().join("projects/-home-dev-b-tools");
    let file = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let rows = fs::read_to_string(&file).unwrap().replace("\"2026-11-22T", "\"2099-11-22T");
    let rows =
        ["toolu_", "msg_", "req_"].iter().fold(rows, |rows, start| rows.replace(start, &format!("{start}later")));
    let rows =
        ["\"uuid\":\"", "\"parentUuid\":\""].iter().fold(rows, |rows, key| rows.replace(key, &format!("{key}later-")));
    let name = file.file_stem().unwrap().to_str().unwrap();
    fs::write(folder.join(format!("{LATER}.jsonl")), rows.replace(name, LATER)).unwrap();
    let found = side.daemon().until("there are exemplars", || {
        let metrics = side.daemon().get_as("/metrics", "application/openmetrics-text; version=1.0.0");
        let ids = metrics.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" # {trace_id=\"")?;
            let (trace, rest) = rest.split_once("\",span_id=\"")?;
            Some(format!("{PAGES}/spans/{trace}/{}", rest.split('"').next()?))
        });
        let ids: BTreeSet<String> = ids.collect();
        (!ids.is_empty()).then_some(ids)
    });
    for url in found {
        let (session, event) = side.follow(&url);
        assert_eq!(session, LATER, "{url}");
        assert!(["message", "tool_call", "prompt"].contains(&text(&event["kind"])), "{event}");
    }
}

#[test]
fn rows_that_come_late_move_the_event_and_not_its_address() {
    const SESSION: &str = "1a7e5e55-0000-4000-8000-000000000001";
    let call =
        |id: &str| serde_json::json!([{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "ls"}}]);
    let path = |projects: &Path| projects.join("-home-dev-made").join(format!("{SESSION}.jsonl"));
    let written = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let rows = [
        prompt(SESSION, 0, "Look."),
        answer(SESSION, 20, "m1", call("c1")),
        result(SESSION, 30, "c1", "a file".into()),
        answer(SESSION, 40, "m2", serde_json::json!([{"type": "text", "text": "It is there."}])),
    ];
    let mut side = Side::start(
        |projects| {
            fs::create_dir_all(path(projects).parent().unwrap()).unwrap();
            fs::write(path(projects), written(&rows)).unwrap();
        },
        "",
        &[],
    );
    let traces = side.ask("/jaeger/api/traces?service=claude-code&limit=10").json();
    let all: Vec<Value> = spans(&traces["data"][0]).to_vec();
    let urls: BTreeMap<&str, &str> =
        all.iter().map(|span| (text(&span["operationName"]), text(tag(span, "url.full").unwrap()))).collect();
    let before = side.follow(urls["execute_tool Bash"]).1;
    assert_eq!((text(&before["tool_call_id"]), text(&before["kind"])), ("c1", "tool_call"));
    let late = [answer(SESSION, 5, "m0", call("c0")), result(SESSION, 7, "c0", "nothing".into())];
    let file = path(&side.folder.path().join("projects"));
    fs::write(&file, written(&rows) + &written(&late)).unwrap();
    let after = side.daemon().until("the late rows were read", || {
        let (_, event) = side.follow(urls["execute_tool Bash"]);
        (event["index"] != before["index"]).then_some(event)
    });
    assert_eq!((text(&after["tool_call_id"]), text(&after["kind"])), ("c1", "tool_call"));
    assert_eq!(after["index"].as_u64().unwrap(), before["index"].as_u64().unwrap() + 3);
    side.again();
    assert_eq!(side.follow(urls["execute_tool Bash"]).1, after);
    // A trace by itself is its first event, and a slash at the end leads there too.
    let (_, first) = side.follow(urls["invoke_agent claude-code"]);
    assert_eq!(text(&first["kind"]), "prompt");
    let trace = urls["invoke_agent claude-code"].rsplit_once('/').unwrap().0;
    for url in [trace.to_owned(), format!("{trace}/"), format!("{}/", urls["invoke_agent claude-code"])] {
        assert_eq!(side.follow(&url).1, first, "{url}");
    }
}

#[test]
fn what_is_unknown_or_hostile_leads_nowhere() {
    let side =
        Side::start(|projects| copy_folder(&fixtures().join("recordings/2.1.330/b_tools/projects"), projects), "", &[]);
    let traces = side.ask("/jaeger/api/traces?service=claude-code&limit=1").json();
    let known = &spans(&traces["data"][0])[0];
    let (trace, span) = (text(&known["traceID"]), text(&known["spanID"]));
    assert_problem(&side.ask(&format!("/spans/{trace}/0123456789abcdef")), 404, "there is no span 0123456789abcdef");
    assert_problem(&side.ask(&format!("/spans/0123456789abcdef0123456789abcdef/{span}")), 404, "there is no span");
    assert_problem(&side.ask("/spans/0123456789abcdef0123456789abcdef"), 404, "there is no trace");
    assert_problem(&side.ask("/sessions/deadbeef-0000-4000-8000-000000000000"), 404, "there is no session");
    let tricks =
        ["0", "x", "%2e%2e%2f%2e%2e", "%0d%0aLocation:%20http:%2f%2fevil.example", "%3Cscript%3E", "-1", "%E2%80%AE"];
    for trick in tricks.iter().copied().chain([&*"f".repeat(33)]) {
        for path in [format!("/spans/{trick}/{span}"), format!("/spans/{trick}"), format!("/spans/{trace}/{trick}")] {
            let reply = side.ask(&path);
            assert_problem(&reply, 400, "takes the id of a");
            assert!(reply.header("location").is_none(), "{path}");
        }
    }
}

#[test]
fn without_an_address_that_lasts_spans_lead_nowhere() {
    let folder = TempDir::new().unwrap();
    let projects = folder.path().join("projects");
    copy_folder(&fixtures().join("recordings/2.1.330/b_tools/projects"), &projects);
    let ask = |listen: &str, more: &[&str]| {
        let daemon = Daemon::start_on(listen, &[], &projects, &folder.path().join("state"), more);
        daemon.metrics();
        let told = get(daemon.address, "/jaeger/api/traces?service=claude-code&limit=1").json();
        let url = tag(&spans(&told["data"][0])[0], "url.full").map(|url| text(url).to_owned());
        (daemon.address, url)
    };
    let (address, none) = ask("127.0.0.1:0", &[]);
    assert_eq!(none, None, "a free port is another one tomorrow");
    let (_, url) = ask(&address.to_string(), &[]);
    assert!(url.as_ref().is_some_and(|url| url.starts_with(&format!("http://{address}/spans/"))), "{url:?}");
}

#[test]
fn answers_of_the_api_tell_the_pages_of_what_they_name() {
    let side = Side::start(
        |projects| recordings().iter().for_each(|one| copy_folder(&one.join("projects"), projects)),
        "",
        &[],
    );
    let at = |one: &Value| match one["event"].as_u64() {
        Some(event) => format!("{PAGES}/sessions/{}?from={event}#event={event}", text(&one["session"])),
        None => format!("{PAGES}/sessions/{}", text(&one["session"])),
    };
    let sessions = side.ask("/api/v1/analytics/sessions?limit=1000").json();
    for session in sessions["sessions"].as_array().unwrap() {
        assert_eq!(session["page"], format!("{PAGES}/sessions/{}", text(&session["id"])));
    }
    let listed = |path: &str, rows: &str, of_row: &str| {
        let answer = side.ask(path).json();
        let rows: Vec<Value> = answer[rows].as_array().unwrap().clone();
        let all: Vec<Value> = rows.iter().flat_map(|row| row[of_row].as_array().unwrap().clone()).collect();
        assert!(!all.is_empty(), "{path}");
        all
    };
    let since = "since=2025-01-01";
    let waits = listed(&format!("/api/v1/analytics/bottlenecks?{since}"), "critical_path", "slowest");
    let calls = listed(&format!("/api/v1/analytics/tools/usage?{since}"), "tools", "slowest");
    for one in waits.iter().chain(&calls) {
        assert_eq!(text(&one["page"]), at(one), "{one}");
    }
    let shown = listed(&format!("/api/v1/analytics/patterns?{since}"), "patterns", "evidence");
    for one in shown.iter().filter(|one| !one["session"].is_null()) {
        assert_eq!(text(&one["page"]), at(one), "{one}");
    }
    assert!(shown.iter().all(|one| one["page"].is_null() == one["session"].is_null()), "{shown:?}");
    let found = side.ask("/api/v1/analytics/search?q=the&limit=50").json();
    for hit in found["hits"].as_array().unwrap() {
        assert_eq!(text(&hit["page"]), at(hit));
    }
}

#[test]
fn reports_and_search_link_to_the_pages_and_pipes_stay_as_they_were() {
    let side =
        Side::start(|projects| copy_folder(&fixtures().join("recordings/2.1.330/b_tools/projects"), projects), "", &[]);
    let address = side.daemon().address.to_string();
    let printed = |command: &[&str]| {
        let printed = tailspan(&[command, &["--since", "2026-11-01", "--listen", &address]].concat(), &[], "");
        assert_eq!(printed.code, Some(0), "{command:?}: {}", printed.said);
        printed.text
    };
    let json: Value = serde_json::from_str(&printed(&["report", "sessions", "--json"])).unwrap();
    let page = text(&json["sessions"][0]["page"]).to_owned();
    let short = &text(&json["sessions"][0]["id"])[..8];
    let html = printed(&["report", "sessions", "--html"]);
    assert!(html.contains(&format!("<a rel=\"noreferrer\" href=\"{page}\">{short}</a>")), "{html}");
    assert!(printed(&["report", "sessions", "--markdown"]).contains(&format!("[{short}]({page})")));
    let csv = printed(&["report", "sessions", "--csv"]);
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().ends_with(",page") && lines.next().unwrap().ends_with(&format!(",{page}")), "{csv}");
    let linked = |page: &str| format!("\u{1b}]8;;{page}\u{1b}\\");
    for report in ["sessions", "bottlenecks", "tools", "costs"] {
        let (coloured, plain) = (printed(&["report", report, "--color", "always"]), printed(&["report", report]));
        assert!(
            coloured.contains(&linked(&page)) || coloured.contains(&format!("\u{1b}]8;;{page}?from=")),
            "{report}: {coloured:?}"
        );
        assert!(!plain.contains('\u{1b}') && !plain.contains("http"), "{report}: {plain}");
    }
    let found: Value = serde_json::from_str(&printed(&["search", "hello", "--json"])).unwrap();
    let hit = text(&found["hits"][0]["page"]).to_owned();
    assert!(hit.starts_with(&page) && hit.contains("#event="), "{hit}");
    let (coloured, plain) = (printed(&["search", "hello", "--color", "always"]), printed(&["search", "hello"]));
    assert!(coloured.contains(&linked(&hit)), "{coloured:?}");
    assert!(!plain.contains('\u{1b}') && !plain.contains("http"), "{plain}");
}

#[test]
fn the_pages_find_each_other_below_any_path() {
    let side =
        Side::start(|projects| copy_folder(&fixtures().join("recordings/2.1.330/b_tools/projects"), projects), "", &[]);
    let sessions = side.ask("/api/v1/analytics/sessions").json();
    let page = text(&sessions["sessions"][0]["page"]).to_owned();
    // With a slash at the end of the address as without.
    for url in [format!("{PAGES}/"), page.clone(), format!("{page}/")] {
        let html = side.ask(url.strip_prefix(PAGES).unwrap()).text().to_owned();
        let links: Vec<&str> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|name| html.split(*name).skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(links.len() > 3, "{url}: {links:?}");
        for link in links.iter().filter(|link| !link.starts_with('?')) {
            let target = resolved(&url, link.strip_prefix("./").unwrap_or(link));
            let path = target.strip_prefix(PAGES).unwrap_or_else(|| panic!("{url}: {link} leads out of the path"));
            assert!([200, 400].contains(&side.ask(path).status), "{url}: {link}");
        }
    }
    for script in ["replay", "sessions", "text", "detail", "draw"] {
        let text = side.ask(&format!("/pages/{script}.js")).text().to_owned();
        let absolute = ["\"/api", "`/api", "\"/sessions", "`/sessions", "\"/pages", "`/pages"];
        assert!(absolute.iter().all(|begin| !text.contains(begin)), "{script}: below a path this leads nowhere");
    }
}
