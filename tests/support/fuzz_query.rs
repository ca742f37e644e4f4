//! Addresses that a client may ask for: every route over a small state. Shared with `fuzz/`.

#![allow(dead_code, reason = "not everybody who asks uses all of it")]

use std::fs;
use std::sync::{Arc, OnceLock};

use tailspan::engine::ahead::{Parsed, next_piece};
use tailspan::engine::turns::{Policy, WHOLE_SPANS_MAX};
use tailspan::engine::{Engine, PARTS_MAX, Start};
use tailspan::export::ExportCounters;
use tailspan::http::api::limits::kept::SharedLimits;
use tailspan::http::context::Context;
use tailspan::http::openapi::ApiDocument;
use tailspan::http::table::ROUTES;
use tailspan::http::{RequestCounters, get};
use tailspan::ledger::prices::Prices;
use tailspan::store::{self, Opened};
use tailspan::tail::{self, ReadLimits};
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::limits::sample::LimitSample;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::traces::finish::SpanRules;
use tailspan::vitals::Vitals;
use tempfile::TempDir;
use tokio::sync::watch;

/// Recordings with tools, a fork, failures.
const SESSIONS: [&[u8]; 5] = [
    include_bytes!(
        "../../fixtures/recordings/2.1.330/b_tools/projects/-home-dev-b-tools/5fb3d16f-f9e3-4142-a37d-c727bd6ab70f.jsonl"
    ),
    include_bytes!(
        "../../fixtures/recordings/2.1.330/d_failing/projects/-home-dev-d-failing/52855ae6-8bb3-44bc-9db0-a8cc8070d16f.jsonl"
    ),
    include_bytes!(
        "../../fixtures/recordings/2.1.330/g_resume/projects/-home-dev-g-resume/0c06462b-4991-42df-8e67-1ec74ef843d8.jsonl"
    ),
    include_bytes!(
        "../../fixtures/recordings/2.1.330/g_resume/projects/-home-dev-g-resume/11111111-2222-4333-8444-555555555555.jsonl"
    ),
    include_bytes!(
        "../../fixtures/recordings/2.1.330/g_resume/projects/-home-dev-g-resume/a7fa7939-7b22-4dc2-9f3f-df2ff1293d27.jsonl"
    ),
];

/// The stream of the first of them, as a run with the same id.
const STREAM: &str = include_str!("../../fixtures/recordings/2.1.330/b_tools/stream.jsonl");
const RUN: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";

/// What a request may get from a state that is well.
const STATUSES: [u16; 3] = [200, 400, 404];

const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct State {
    context: Context,
    /// Keep the files of the sessions and the database.
    _folder: TempDir,
    _engine: std::sync::Mutex<Engine>,
}

/// Status and body of an answer.
pub(crate) fn ask(target: &str) -> (u16, Vec<u8>) {
    get(ROUTES, context(), target)
}

fn context() -> &'static Context {
    static STATE: OnceLock<State> = OnceLock::new();
    &STATE.get_or_init(state).context
}

/// Panics if an address makes a handler panic or fail, or an answer that says it is JSON is none.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let target = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    let (status, body) = ask(&target);
    assert!(STATUSES.contains(&status), "{status} for {target:?}");
    // Exported tables may be lines of JSON, or no JSON at all, and events are none.
    if status == 200 && ["/api/v1/export/", "/api/v1/events"].iter().any(|own| target.starts_with(own)) {
        return;
    }
    if target.starts_with("/api/") || target.starts_with("/jaeger/") || status != 200 {
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if let Some(cursor) = answer.get("next_cursor").and_then(serde_json::Value::as_str) {
            turn_page(&target, cursor, &answer);
        }
    }
}

/// The next page is an answer too, and shows nothing of this one again.
fn turn_page(target: &str, cursor: &str, page: &serde_json::Value) {
    // A fragment is not asked for.
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept: Vec<&str> = query.split('&').filter(|part| !part.starts_with("cursor=")).collect();
    let (status, body) = ask(&format!("{path}?{}&cursor={cursor}", kept.join("&")));
    if status == 400 && query.contains('%') {
        // The name of the parameter was written in another way, so that now it is given twice.
        return;
    }
    assert!(status == 200, "{status} for the page behind {target:?}: {}", String::from_utf8_lossy(&body));
    let next: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let rows = page["sessions"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["id"].to_string()).collect()
    };
    let (first, second) = (ids(page), ids(&next));
    assert!(!second.is_empty() && second.iter().all(|id| !first.contains(id)), "{first:?} then {second:?}");
}

/// One look at a window that goes on.
fn limits() -> SharedLimits {
    let limits = SharedLimits::default();
    let (resets_at, at) = (Some(Timestamp(NOW.0 + 3_600_000)), Timestamp(NOW.0 - 60_000));
    limits.take(LimitSample { window: "five_hour".into(), used_ppm: 620_000, resets_at, at }).unwrap();
    limits
}

fn state() -> State {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("projects");
    fs::create_dir_all(root.join("p")).unwrap();
    for (bytes, number) in SESSIONS.iter().zip(0..) {
        fs::write(root.join(format!("p/{number}.jsonl")), bytes).unwrap();
    }
    let streams = folder.path().join("streams");
    fs::create_dir_all(&streams).unwrap();
    let begin = format!(
        r#"{{"type":"tailspan","mark":"run","run":"{RUN}","workflow":"nightly","at":"2026-11-22T06:00:00.000Z"}}"#
    );
    let end = r#"{"type":"tailspan","mark":"end","at":"2026-11-22T07:00:00.000Z"}"#;
    fs::write(streams.join("run.jsonl"), format!("{begin}\n{STREAM}{end}\n")).unwrap();
    let Opened { writer, outbox, reader, epoch, recovered, .. } =
        // Before all that the files tell, so that there are events.
        store::open(&folder.path().join("state"), Timestamp(0)).unwrap();
    let policy = Policy {
        export: false,
        since: Timestamp(0),
        epoch: Timestamp(0),
        settle_ms: 1_000,
        hold_ms: 60_000,
        history_rate: u64::MAX,
        whole_spans_max: WHOLE_SPANS_MAX,
    };
    let (prices, labels, spans) = (Prices::embedded(), LabelRules::default(), SpanRules::default());
    let start = Start { writer, recovered, epoch, prices, labels, policy, spans, parts_max: PARTS_MAX };
    let mut engine = Engine::new(start, NOW).unwrap();
    let mut found = tail::scan(&root, &mut |problem| panic!("{problem}"));
    found.extend(tail::scan_streams(&streams, &mut |problem| panic!("{problem}")));
    let mut files = tail::FileReader::new(ReadLimits::default());
    for job in engine.jobs(found).unwrap() {
        if let (Parsed::Piece(piece), _) = next_piece(&mut files, &job) {
            engine.step(&piece, NOW).unwrap();
        }
    }
    engine.commit(NOW).unwrap();
    let snapshot = engine.flush().unwrap();
    let vitals = Arc::new(Vitals::new(NOW, std::time::Duration::from_secs(1800)));
    vitals.initial_scan_complete.set(true);
    drop(outbox);
    let events = tailspan::http::api::events::hub::Events::new(
        reader.clone(),
        tailspan::archive::Archive::default(),
        std::time::Duration::from_secs(15),
    );
    let context = Context {
        events,
        spans: SpanRules::default(),
        host: "fuzz".into(),
        reader,
        vitals,
        totals: watch::channel(Some(snapshot)).1,
        outbox: engine.outbox(),
        limits: Arc::new(limits()),
        export: Arc::new(ExportCounters::default()),
        requests: Arc::new(RequestCounters::default()),
        archive: tailspan::archive::Archive::default(),
        index: Arc::default(),
        intake: Arc::new(tailspan::streams::Intake::new(None, Arc::default())),
        cells: tailspan::http::api::analytics::cells::SharedCells::new(Prices::embedded()),
        replays: tailspan::http::api::replay::kept::Replays::default(),
        claude_code: false,
        document: ApiDocument::of(ROUTES),
        clock: || NOW,
        at: None,
    };
    State { context, _folder: folder, _engine: std::sync::Mutex::new(engine) }
}
