//! Session files in a temporary folder, a state filled from them, and a server over that state.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tailspan::archive::Archive;
use tailspan::audit::pass::{self, Pass};
use tailspan::engine::ahead::{self, Job, Parsed};
use tailspan::http::api::analytics::cells::{HasCells, SharedCells};
use tailspan::http::api::replay::kept::{HasReplays, Replays};
use tailspan::http::api::replay::{self, cursor, files, outline, text as event_text};
use tailspan::http::api::search::Patience;
use tailspan::http::api::{search, session_detail, sessions, transcript};
use tailspan::http::{App, HasReader, Readers, RequestCounters, Route, Server, ServerLimits};
use tailspan::index::build::Builder;
use tailspan::index::catalogue::SearchIndex;
use tailspan::ledger::fold::Fold;
use tailspan::ledger::known::Known;
use tailspan::ledger::prices::Prices;
use tailspan::ledger::unit::{Section, Unit, UnitId};
use tailspan::store::{self, Commit, FileRow, SectionChange, StoreReader, UnitChange, Writer};
use tailspan::tail::FoundFile;
use tailspan::transcript::chunk::{Cursor, FileNumber};
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::finish::SpanRules;
use tempfile::TempDir;
use tokio::sync::watch;

use super::http::{Reply, get};

/// When everything is asked: 2027-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_798_761_600_000);

pub(crate) struct State {
    reader: StoreReader,
    cells: SharedCells,
    index: Arc<OnceLock<SearchIndex>>,
    replays: Replays,
    now: Arc<AtomicI64>,
}

impl HasCells for State {
    fn cells(&self) -> &SharedCells {
        &self.cells
    }
}

impl HasReplays for State {
    fn replays(&self) -> &Replays {
        &self.replays
    }
}

impl HasReader for State {
    fn reader(&self) -> &StoreReader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn span_rules(&self) -> &SpanRules {
        const { &SpanRules::DEFAULT }
    }

    fn index(&self) -> Arc<OnceLock<SearchIndex>> {
        Arc::clone(&self.index)
    }
}

static ROUTES: &[Route<State>] = &[
    Route::get("/api/v1/analytics/search", &search::SEARCH, search::search),
    // Each page has time for one step only.
    Route::get("/impatient/search", &search::SEARCH, |state, request| {
        search::search_for(state, request, Patience::NONE)
    }),
    // What is not there at once is a stream, of which every step is told.
    Route::get("/told/search", &search::SEARCH, |state, request| {
        let patience = Patience { at_once: Duration::ZERO, beat: Duration::ZERO, ..Patience::ENDLESS };
        search::search_for(state, request, patience)
    }),
    Route::get("/api/v1/analytics/sessions", &sessions::LIST, sessions::list),
    Route::get("/api/v1/analytics/sessions/{id}", &session_detail::ONE, session_detail::one),
    Route::get("/api/v1/analytics/sessions/{id}/replay", &replay::REPLAY, replay::replay),
    Route::post("/api/v1/analytics/sessions/{id}/replay", &cursor::CURSOR, &cursor::MOVE, cursor::step),
    Route::get("/api/v1/analytics/sessions/{id}/replay/files", &files::FILES, files::files),
    Route::get("/api/v1/analytics/sessions/{id}/replay/file", &files::FILE, files::file),
    Route::get("/api/v1/analytics/sessions/{id}/replay/{event}/text", &event_text::TEXT, event_text::text),
    Route::get("/api/v1/analytics/sessions/{id}/replay/turns/{turn}", &outline::ONE_TURN, outline::turn),
    Route::get("/api/v1/analytics/sessions/{id}/transcript", &transcript::TRANSCRIPT, transcript::transcript),
];

/// Files, state and server; all gone when dropped.
pub(crate) struct World {
    pub(crate) projects: PathBuf,
    known: Known,
    folded: HashSet<PathBuf>,
    writer: Writer,
    app: Arc<App<State>>,
    address: SocketAddr,
    now: Arc<AtomicI64>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl World {
    pub(crate) fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let projects = folder.path().join("projects");
        fs::create_dir_all(&projects).unwrap();
        let opened = store::open(&folder.path().join("state"), Timestamp(0)).unwrap();
        let counters = Arc::new(RequestCounters::default());
        let now = Arc::new(AtomicI64::new(NOW.0));
        let context = State {
            reader: opened.reader,
            cells: SharedCells::new(Prices::embedded()),
            index: Arc::default(),
            replays: Replays::default(),
            now: Arc::clone(&now),
        };
        let allowed_hosts = Vec::new();
        let app = Arc::new(App { context, counters, routes: ROUTES, allowed_hosts, readers: Readers::default() });
        let asked = Arc::clone(&app);
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerLimits::default()).unwrap();
        let (address, (stop, stopped)) = (server.local_addr(), watch::channel(false));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(server.run(app, stopped)).unwrap();
            runtime.shutdown_background();
        });
        let (known, folded, writer) = (Known::default(), HashSet::new(), opened.writer);
        Self { projects, known, folded, writer, app: asked, address, now, stop, thread: Some(thread), _folder: folder }
    }

    /// Copies of recordings, for example `2.1.330/b_tools`; a bare version is all of its scenarios.
    pub(crate) fn of(recordings: &[&str]) -> Self {
        let mut world = Self::empty();
        recordings.iter().for_each(|name| world.record(name));
        world.count();
        world
    }

    pub(crate) fn record(&self, name: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings").join(name);
        if source.join("projects").is_dir() {
            copy(&source.join("projects"), &self.projects);
        } else {
            for scenario in fs::read_dir(&source).unwrap() {
                copy(&scenario.unwrap().path().join("projects"), &self.projects);
            }
        }
    }

    /// Writes a session file of its own from rows.
    pub(crate) fn write(&self, session: &str, rows: &[Value]) -> PathBuf {
        let path = self.projects.join("-home-dev-made").join(format!("{session}.jsonl"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        path
    }

    /// The folder of all projects.
    pub(crate) fn projects_folder(&self) -> &Path {
        &self.projects
    }

    fn found(&self) -> Vec<FoundFile> {
        pass::find(std::slice::from_ref(&self.projects), &mut Vec::new()).unwrap()
    }

    /// Folds every file that was not folded yet, and commits.
    pub(crate) fn count(&mut self) {
        let mut jobs = Vec::new();
        for found in self.found() {
            if !self.folded.insert(found.path.clone()) {
                continue;
            }
            let number = self.known.paths.push(found.path.as_os_str().as_encoded_bytes());
            jobs.push(Job { file: number, found, cursor: None });
        }
        let rows: Vec<_> = jobs.iter().map(|job| (job.file, job.found.clone())).collect();
        let (prices, mut cursors) = (Prices::embedded(), HashMap::<FileNumber, Cursor>::new());
        ahead::for_each(&jobs, 1, |parsed| {
            if let Parsed::Piece(piece) = parsed {
                let mut fold = Fold::new(&mut self.known, &prices, piece.file, piece.restarted);
                piece.batch.records.iter().for_each(|record| fold.fold(record));
                cursors.insert(piece.file, piece.cursor);
            }
            ControlFlow::Continue(())
        });
        self.known.roll_up();
        let rows: Vec<(FileNumber, FileRow)> = rows
            .into_iter()
            .map(|(file, found)| {
                let (cursor, thread) = (cursors.remove(&file), self.known.thread(file).cloned().unwrap_or_default());
                (file, FileRow { path: found.path.as_os_str().as_bytes().to_vec(), role: found.role, cursor, thread })
            })
            .collect();
        let commit = Commit {
            files: rows.iter().map(|(file, row)| (*file, row)).collect(),
            units: self.known.changed_units().map(|(before, unit)| changed(&self.known, before, unit)).collect(),
            sections: self.known.changed_sections().map(|change| changed_section(&self.known, change)).collect(),
            sessions: self.known.changed_sessions().collect(),
            ..Commit::default()
        };
        self.writer.commit(&commit).unwrap();
        drop(commit);
        self.known.committed();
    }

    /// What `scan --sessions --format json` says about the same files, without the durations of tools in the lines of
    /// the sessions.
    pub(crate) fn scanned(&self) -> Value {
        let pass = Pass::over(&self.found(), &Prices::embedded(), |_, _| {});
        let mut summary = pass.summary(true);
        let tools = summary.session_list.iter_mut().flatten().flat_map(|session| session.tools.values_mut());
        tools.for_each(|tool| tool.duration_seconds = None);
        serde_json::to_value(summary).unwrap()
    }

    /// Every row of every session file.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let texts = self.found().into_iter().filter(|found| found.path.extension().is_some_and(|end| end == "jsonl"));
        let texts: Vec<String> = texts.map(|found| fs::read_to_string(found.path).unwrap()).collect();
        texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn ask(&self, rest: &str) -> Reply {
        get(self.address, &format!("/api/v1/analytics/sessions{rest}"))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets time pass for the server.
    pub(crate) fn pass(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// The answer to a search.
    pub(crate) fn search(&self, query: &str) -> Value {
        let reply = get(self.address, &format!("/api/v1/analytics/search?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()
    }

    /// Makes the index of search in a folder, with a column for each line.
    pub(crate) fn make_index(&self, folder: &Path) {
        let index = SearchIndex::open_for(folder, &Archive::default(), self.reader()).unwrap();
        assert!(Builder::small(1, 8).pass(&index, self.reader(), &|| true).unwrap().unwrap());
        self.app.context.index.set(index).unwrap();
    }

    pub(crate) fn reader(&self) -> &StoreReader {
        self.app.context.reader()
    }

    /// The answer to a search is written to `sink`, step by step. Fails if it cannot be.
    pub(crate) fn search_into(&self, query: &str, sink: &mut dyn Write) -> io::Result<u16> {
        let (status, _) = tailspan::http::write(ROUTES, &self.app.context, &format!("/told/search?{query}"), sink)?;
        Ok(status)
    }

    /// The same from a server that has no time for it.
    pub(crate) fn search_impatiently(&self, query: &str) -> Value {
        let reply = get(self.address, &format!("/impatient/search?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()
    }

    pub(crate) fn json(&self, rest: &str) -> Value {
        let reply = self.ask(rest);
        assert_eq!(reply.status, 200, "{rest}: {}", reply.text());
        reply.json()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A time on 2026-03-01, so many seconds after noon UTC.
pub(crate) fn at(second: u32) -> String {
    format!("2026-03-01T12:{:02}:{:02}.000Z", second / 60, second % 60)
}

pub(crate) fn prompt(session: &str, second: u32, text: &str) -> Value {
    json!({"type": "user", "uuid": format!("{session}-prompt-{second}"), "sessionId": session, "timestamp": at(second),
        "cwd": "/home/dev/made", "message": {"role": "user", "content": text}})
}

pub(crate) fn answer(session: &str, second: u32, id: &str, content: Value) -> Value {
    json!({"type": "assistant", "uuid": format!("{session}-{id}-{second}"), "sessionId": session,
        "timestamp": at(second), "cwd": "/home/dev/made", "requestId": format!("req_{id}"),
        "message": {"id": id, "role": "assistant", "model": "claude-sonnet-4-5", "content": content,
            "stop_reason": "tool_use", "usage": {"input_tokens": 10, "output_tokens": 20}}})
}

pub(crate) fn result(session: &str, second: u32, call: &str, content: Value) -> Value {
    json!({"type": "user", "uuid": format!("{session}-{call}-{second}"), "sessionId": session,
        "timestamp": at(second), "cwd": "/home/dev/made", "message": {"role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call, "content": content, "is_error": false}]}})
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn changed_section<'a>(
    known: &Known,
    (id, before, section): (UnitId, Option<&'a Section>, &'a Section),
) -> SectionChange<'a> {
    let unit = known.index.number(section.of).unwrap();
    SectionChange { id, number: known.index.number(id), unit, before, section }
}

/// A unit to be written with all that belongs to it.
fn changed<'a>(known: &Known, before: Option<&'a Unit>, unit: &'a Unit) -> UnitChange<'a> {
    UnitChange { number: known.index.number(unit.key.id()).unwrap(), before, unit }
}
