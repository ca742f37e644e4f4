//! A state filled from session files, and Jaeger's query API over it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tailspan::http::jaeger::{v1, v3};
use tailspan::http::{App, HasReader, Readers, RequestCounters, Route, Server, ServerLimits};
use tailspan::store::StoreReader;
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::finish::SpanRules;
use tempfile::TempDir;
use tokio::sync::watch;

use super::http::{Reply, get};
use super::world::{Dice, EVERYTHING, World, copy_folder, files_below, recordings};

pub(crate) struct State {
    reader: StoreReader,
    now: Timestamp,
    rules: SpanRules,
}

impl HasReader for State {
    fn reader(&self) -> &StoreReader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn span_rules(&self) -> &SpanRules {
        &self.rules
    }
}

static ROUTES: &[Route<State>] = &[
    Route::foreign("/jaeger/api/services", &v1::SERVICES, v1::services),
    Route::foreign("/jaeger/api/services/{service}/operations", &v1::OPERATION_NAMES, v1::operation_names),
    Route::foreign("/jaeger/api/operations", &v1::OPERATIONS, v1::operations_with_kinds),
    Route::foreign("/jaeger/api/traces", &v1::TRACES, v1::traces),
    Route::foreign("/jaeger/api/traces/{id}", &v1::TRACE, v1::trace),
    Route::foreign("/jaeger/api/dependencies", &v1::DEPENDENCIES, v1::dependencies),
    Route::foreign("/jaeger/api/v3/services", &v3::SERVICES, v3::services),
    Route::foreign("/jaeger/api/v3/operations", &v3::OPERATIONS, v3::operations_with_kinds),
    Route::foreign("/jaeger/api/v3/traces", &v3::TRACES, v3::traces),
    Route::foreign("/jaeger/api/v3/traces/{id}", &v3::TRACE, v3::trace),
    Route::foreign("/jaeger/api/v3/trace-summaries", &v3::SUMMARIES, v3::summaries),
];

/// Files, state and server; all gone when dropped.
pub(crate) struct Served {
    pub(crate) world: World,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Served {
    /// Every recording.
    pub(crate) fn all() -> Self {
        Self::of(|_| true)
    }

    /// The recordings of these scenarios of the newest client.
    pub(crate) fn scenarios(names: &[&str]) -> Self {
        Self::of(|path| path.parent().unwrap().ends_with("2.1.330") && names.iter().any(|name| path.ends_with(name)))
    }

    fn of(wanted: impl Fn(&Path) -> bool) -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::new(folder.path());
        for recording in recordings().iter().filter(|path| wanted(path)) {
            copy_folder(&recording.join("projects"), &world.root);
        }
        let now = world.now;
        Self::with(folder, world, now)
    }

    /// What `fill` puts into a world.
    pub(crate) fn with_world(fill: impl FnOnce(&World)) -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::new(folder.path());
        fill(&world);
        let now = world.now;
        Self::with(folder, world, now)
    }

    /// Every recording, with settings.
    pub(crate) fn ruled(rules: SpanRules) -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::shaped(folder.path(), EVERYTHING, rules);
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &world.root);
        }
        let now = world.now;
        Self::with(folder, world, now)
    }

    /// One session made of `rows`, asked at `now`.
    pub(crate) fn session(id: &str, rows: &[Value], now: &str) -> Self {
        Self::made(now, |root| {
            let path = root.join("-home-dev-made").join(format!("{id}.jsonl"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        })
    }

    /// The same with settings.
    pub(crate) fn session_ruled(id: &str, rows: &[Value], now: &str, rules: SpanRules) -> Self {
        let folder = TempDir::new().unwrap();
        let mut world = World::shaped(folder.path(), EVERYTHING, rules);
        world.now = Timestamp::parse(now).unwrap();
        let path = world.root.join("-home-dev-made").join(format!("{id}.jsonl"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        let now = world.now;
        Self::with(folder, world, now)
    }

    /// A recording of the newest client as it was at `now`: without the rows that were written later.
    pub(crate) fn at(scenario: &str, now: &str) -> Self {
        Self::made(now, |root| {
            let all = recordings();
            let recording = all.iter().find(|path| path.ends_with(Path::new("2.1.330").join(scenario))).unwrap();
            copy_folder(&recording.join("projects"), root);
            for file in files_below(root).iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl")) {
                let text = fs::read_to_string(file).unwrap();
                let earlier = |line: &&str| {
                    let row: Value = serde_json::from_str(line).unwrap();
                    row["timestamp"].as_str().is_none_or(|time| time <= now)
                };
                fs::write(file, text.lines().filter(earlier).map(|line| format!("{line}\n")).collect::<String>())
                    .unwrap();
            }
        })
    }

    /// Files that `write` makes below the folder it is given, asked at `now`.
    pub(crate) fn made(now: &str, write: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut world = World::new(folder.path());
        world.now = Timestamp::parse(now).unwrap();
        write(&world.root);
        let now = world.now;
        Self::with(folder, world, now)
    }

    fn with(folder: TempDir, mut world: World, now: Timestamp) -> Self {
        world.read(&mut Dice::new(1), usize::MAX);
        world.settle();
        let context = State { reader: world.reader.clone().unwrap(), now, rules: world.spans.clone() };
        let counters = Arc::new(RequestCounters::default());
        let app =
            Arc::new(App { context, counters, routes: ROUTES, allowed_hosts: Vec::new(), readers: Readers::default() });
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerLimits::default()).unwrap();
        let (addr, (stop, stopped)) = (server.local_addr(), watch::channel(false));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(server.run(app, stopped)).unwrap();
            runtime.shutdown_background();
        });
        Self { world, addr, stop, thread: Some(thread), _folder: folder }
    }

    /// What stands behind `/jaeger/api`.
    pub(crate) fn ask(&self, rest: &str) -> Reply {
        get(self.addr, &format!("/jaeger/api{rest}"))
    }

    pub(crate) fn json(&self, rest: &str) -> Value {
        let reply = self.ask(rest);
        assert_eq!(reply.status, 200, "{rest}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        reply.json()
    }

    /// The traces of a v1 answer.
    pub(crate) fn traces(&self, rest: &str) -> Vec<Value> {
        let answer = self.json(rest);
        assert_eq!((&answer["total"], &answer["limit"], &answer["offset"]), (&0.into(), &0.into(), &0.into()));
        let traces = answer["data"].as_array().unwrap().clone();
        assert!(traces.iter().all(|trace| !spans(trace).is_empty()), "Grafana reads the first span of each: {rest}");
        traces
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn spans(trace: &Value) -> &[Value] {
    trace["spans"].as_array().unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// The value of a tag of a span.
pub(crate) fn tag<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let mut found = span["tags"].as_array().unwrap().iter().filter(|tag| tag["key"] == key);
    let first = found.next().map(|tag| &tag["value"]);
    assert!(found.next().is_none(), "{key} stands twice");
    first
}

/// Text that may stand in a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What both forms and the exporter must agree on: name, kind, parent, times in nanoseconds, error text, attributes,
/// events, links.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) parent: Option<String>,
    pub(crate) start: i128,
    pub(crate) end: i128,
    pub(crate) error: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) events: Vec<(i128, String, BTreeMap<String, String>)>,
    pub(crate) links: Vec<(String, String)>,
}

/// Trace id and span id.
pub(crate) type At = (String, String);

/// Compares with a file below `fixtures/jaeger`; `UPDATE=1` writes it. The version of the program is left out.
pub(crate) fn check(name: &str, answer: &Reply) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/jaeger").join(format!("{name}.json"));
    let own = format!("\"value\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let own_v3 = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let body = serde_json::to_string_pretty(&answer.json()).unwrap() + "\n";
    let body = body.replace(&own, "\"value\": \"(version)\"").replace(&own_v3, "\"version\": \"(version)\"");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &body).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(body == expected, "{}: run with UPDATE=1 and look at the difference\n{body}", path.display());
}
