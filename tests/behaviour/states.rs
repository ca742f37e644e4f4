//! States that earlier programs left behind: `fixtures/states/layout-N`. Each opens with everything that it told, though not
//! one session file is there any more, and a kill while it is brought to the layout of today costs nothing.
//!
//! `python3 -B fixtures/states/make.py PROGRAM --check layout-N` compares every attribute of every span as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use tailspan::store;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::work::{Work, WorkCall};

use crate::support::daemon::{Daemon, is_of_the_process, sum};
use crate::support::database;
use crate::support::receiver::Receiver;
use crate::support::shim::Shim;
use crate::support::world::{Dice, copy_folder, files_below};

/// Kills of an upgrade in an ordinary run of the tests.
const KILLS: usize = 200;
/// A state that is to be opened by the test that is told of it, which then ends.
const TO_OPEN: &str = "TAILSPAN_TEST_STATE_TO_OPEN";
const ENDPOINTS: [&str; 3] = ["default", "archive", "jaeger"];

fn stored_states() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/states");
    let mut states: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    states.retain(|path| path.is_dir() && !path.ends_with("__pycache__"));
    states.sort();
    states
}

/// A file of a fixture, whether it is compressed or not.
fn read(path: &Path) -> Vec<u8> {
    let compressed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().to_str().unwrap()));
    if path.exists() {
        return fs::read(path).unwrap();
    }
    let mut plain = Vec::new();
    GzDecoder::new(fs::File::open(compressed).unwrap()).read_to_end(&mut plain).unwrap();
    plain
}

/// Puts a stored state where a sidecar finds it.
fn unpack(stored: &Path, state: &Path) {
    fs::create_dir_all(state).unwrap();
    fs::copy(stored.join("epoch.json"), state.join("epoch.json")).unwrap();
    for file in files_below(&stored.join("db")) {
        let name = state.join(file.strip_prefix(stored).unwrap().with_extension(""));
        let inside = match file.file_name().unwrap().to_str().unwrap().strip_suffix(".gz") {
            Some(plain) => name.with_file_name(plain),
            None => panic!("{} is not compressed", file.display()),
        };
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        fs::write(&inside, read(&stored.join(inside.strip_prefix(state).unwrap()))).unwrap();
    }
}

fn expected(stored: &Path, name: &str) -> Value {
    serde_json::from_slice(&read(&stored.join("expected").join(name))).unwrap()
}

fn json(daemon: &Daemon, path: &str) -> Value {
    let (status, body) = daemon.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// All elements of a list that comes in pages.
fn pages(daemon: &Daemon, path: &str, list: &str, next: &str, parameter: &str) -> Vec<Value> {
    let (mut all, mut from) = (Vec::new(), String::new());
    loop {
        let mut page = json(daemon, &format!("{path}{from}"));
        all.append(page[list].as_array_mut().unwrap());
        match &page[next] {
            Value::Null => return all,
            Value::String(text) => from = format!("&{parameter}={text}"),
            number => from = format!("&{parameter}={number}"),
        }
    }
}

/// Samples of what the state keeps, with the times at which their series began.
fn kept(daemon: &Daemon) -> BTreeSet<String> {
    let begun = daemon.get_as("/metrics", "application/openmetrics-text; version=1.0.0");
    let begun = begun.lines().filter(|line| line.split(['{', ' ']).next().unwrap().ends_with("_created"));
    let plain = daemon.metrics();
    let is_kept = |line: &&str| !line.starts_with('#') && !is_of_the_process(line);
    plain.lines().chain(begun).filter(is_kept).map(str::to_owned).collect()
}

/// The metrics become those that are expected: what is durable may be delivered a moment before it is shown.
fn assert_metrics(daemon: &Daemon, stored: &Path, name: &str) {
    let wanted = String::from_utf8(read(&stored.join("expected").join(name))).unwrap();
    let wanted: BTreeSet<_> = wanted.lines().map(str::to_owned).collect();
    daemon.until_or(&format!("the metrics of {}", stored.display()), || {
        let told = kept(daemon);
        let (lost, new): (Vec<_>, Vec<_>) = (wanted.difference(&told).collect(), told.difference(&wanted).collect());
        let is_same = lost.is_empty() && new.is_empty();
        is_same.then_some(()).ok_or_else(|| format!("not told: {lost:#?}\nnew: {new:#?}"))
    });
}

fn assert_same(what: &str, told: &Value, wanted: &Value) {
    assert!(told == wanted, "{what}\ntold:   {told}\nwanted: {wanted}");
}

/// Sums by session are those of the list, once cells are made for a state that had none.
fn assert_costs(daemon: &Daemon, list: &[Value]) {
    let rows = daemon.until("the cells of all sessions are there", || {
        let costs = json(daemon, "/api/v1/analytics/costs?group_by=session");
        (costs["complete"] == true).then(|| costs["rows"].as_array().unwrap().clone())
    });
    let spent = |cost: &Value| cost.as_str().filter(|cost| *cost != "0").map(str::to_owned);
    let row = |row: &Value| Some((row["session"].as_str()?.to_owned(), spent(&row["cost_usd"])?));
    let session = |session: &Value| Some((session["id"].as_str()?.to_owned(), spent(&session["cost_usd"])?));
    let (told, listed): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (rows.iter().filter_map(row).collect(), list.iter().filter_map(session).collect());
    assert!(!listed.is_empty());
    assert_eq!(told, listed);
}

/// A span of Jaeger's answer without what a later version of tailspan changes.
fn span(span: &Value, processes: &Value) -> Value {
    let tags = |tags: &Value| {
        let pairs = tags.as_array().unwrap().iter().filter(|tag| tag["key"] != "otel.scope.version");
        Value::Object(pairs.map(|tag| (tag["key"].as_str().unwrap().to_owned(), tag["value"].clone())).collect())
    };
    let log = |log: &Value| serde_json::json!({"at": log["timestamp"], "fields": tags(&log["fields"])});
    serde_json::json!({
        "id": span["spanID"],
        "name": span["operationName"],
        "start": span["startTime"],
        "duration": span["duration"],
        "references": span["references"],
        "tags": tags(&span["tags"]),
        "logs": span["logs"].as_array().unwrap().iter().map(log).collect::<Vec<_>>(),
        "process": tags(&processes[span["processID"].as_str().unwrap()]["tags"]),
    })
}

#[test]
fn a_stored_state_tells_every_session_though_no_file_of_it_is_left() {
    for stored in stored_states() {
        let folder = tempfile::tempdir().unwrap();
        let (state, projects) = (folder.path().join("state"), folder.path().join("projects"));
        unpack(&stored, &state);
        let config = folder.path().join("tailspan.toml");
        // Turns that wait stay as they are stored.
        fs::write(&config, "[traces]\nsettle = \"1h\"\n").unwrap();
        let mut daemon = Daemon::start(&projects, &state, &["--config", config.to_str().unwrap()]);
        daemon.wait_for_log("the first scan is complete");
        assert_metrics(&daemon, &stored, "metrics.txt");

        let base = "/api/v1/analytics/sessions";
        let list = pages(&daemon, &format!("{base}?limit=100"), "sessions", "next_cursor", "cursor");
        assert_same("the list", &Value::Array(list.clone()), &expected(&stored, "sessions.json"));
        assert_costs(&daemon, &list);
        let (details, replays) = (expected(&stored, "details.json"), expected(&stored, "replay.json"));
        assert_eq!(details.as_object().unwrap().len(), list.len());
        for (id, wanted) in details.as_object().unwrap() {
            assert_same(id, &json(&daemon, &format!("{base}/{id}")), wanted);
            let events = pages(&daemon, &format!("{base}/{id}/replay?limit=1000"), "events", "next_from", "from");
            let without_text = |mut event: Value| {
                let event = event.as_object_mut().unwrap();
                event.retain(|name, _| name != "content" && name != "content_unavailable");
                Value::Object(std::mem::take(event))
            };
            assert_same(id, &events.into_iter().map(without_text).collect(), &replays[id]);
        }
        for (id, wanted) in expected(&stored, "traces.json").as_object().unwrap() {
            let trace = &json(&daemon, &format!("/jaeger/api/traces/{id}"))["data"][0];
            let spans = trace["spans"].as_array().unwrap().iter().map(|of| span(of, &trace["processes"]));
            assert_same(id, &spans.collect(), wanted);
        }
        daemon.stop();
    }
}

#[test]
fn what_waits_in_a_stored_state_leaves_once_to_each_endpoint_that_has_not_got_it() {
    for stored in stored_states() {
        let folder = tempfile::tempdir().unwrap();
        let (state, projects) = (folder.path().join("state"), folder.path().join("projects"));
        unpack(&stored, &state);
        let receivers = ENDPOINTS.map(|name| (name, Receiver::start()));
        let mut config = "[otlp.endpoints]\n".to_owned();
        receivers[1..].iter().for_each(|(name, receiver)| config += &format!("{name} = \"{}\"\n", receiver.url()));
        let path = folder.path().join("tailspan.toml");
        fs::write(&path, config).unwrap();
        let options = ["--config", path.to_str().unwrap(), "--otlp-endpoint", &receivers[0].1.url()];
        let more = ["--traces-history-since", "all"];
        let mut daemon = Daemon::start(&projects, &state, &[&options[..], &more].concat());

        let wanted = expected(&stored, "spans.json");
        let key = |one: &Value| (one["trace"].as_str().unwrap().to_owned(), one["id"].as_str().unwrap().to_owned());
        let goes_to = |name: &str| {
            let is_to = |one: &&Value| one["to"].as_array().unwrap().iter().any(|to| to == name);
            wanted.as_array().unwrap().iter().filter(is_to).map(key).collect::<BTreeSet<_>>()
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (name, receiver) in &receivers {
            let wanted = goes_to(name);
            let received = || {
                let ids = receiver.received().into_iter().flat_map(|request| request.span_ids());
                ids.map(|(trace, span)| (hex(&trace), hex(&span))).collect::<Vec<_>>()
            };
            daemon.until("all spans have come", || (received().len() >= wanted.len()).then_some(()));
            let received = received();
            assert_eq!(received.len(), wanted.len(), "{name} got some twice");
            assert!(received.into_iter().collect::<BTreeSet<_>>() == wanted, "{name} got others");
        }
        daemon.until("nothing waits", || (sum(&daemon.metrics(), "tailspan_outbox_spans") == 0.0).then_some(()));
        assert_metrics(&daemon, &stored, "metrics-settled.txt");
        if stored.ends_with("layout-4") {
            // Nobody knows at which level they were written; later layouts say it.
            daemon.wait_for_log("text that was delivered is taken out");
        }
        daemon.stop();
    }
}

/// Everything that a state holds, as text; it is opened for that, and brought to the layout of today if it was not.
fn told(state: &Path) -> BTreeMap<String, String> {
    let opened = store::open(state, Timestamp(1)).unwrap();
    assert_eq!(opened.set_aside, None);
    let mut told = BTreeMap::new();
    let mut note = |name: String, value: String| assert!(told.insert(name, value).is_none());
    let mut sessions = Vec::new();
    opened.reader.each_session(|session| sessions.push(session)).unwrap();
    for session in sessions {
        for fork in opened.reader.forks(&session.id).unwrap() {
            note(format!("fork {} {fork}", session.id), String::new());
        }
        let each = |unit: tailspan::ledger::unit::Unit| {
            note(format!("unit {:?}", unit.key), format!("{unit:?}"));
            for position in 0..unit.sections.as_ref().map_or(0, |sections| sections.count) {
                let section = opened.reader.section(unit.key.id(), position).unwrap().unwrap();
                note(format!("section {:?} {position}", unit.key), format!("{section:?}"));
            }
            Ok(ControlFlow::Continue(()))
        };
        opened.reader.each_unit_of(&session.id, each).unwrap();
        note(format!("session {}", session.id), format!("{session:?}"));
    }
    opened.reader.each_file(|number, file| note(format!("file {number:?}"), format!("{file:?}"))).unwrap();
    for (series, stored) in &opened.recovered.totals {
        note(format!("total {series:?}"), format!("{stored:?}"));
    }
    for unit in &opened.recovered.pending {
        note(format!("waits {unit:?}"), String::new());
    }
    note("epoch".to_owned(), format!("{:?}", opened.epoch));
    for (endpoint, mut queue) in ENDPOINTS.iter().zip(opened.outbox.readers(&ENDPOINTS).unwrap()) {
        for (id, batch) in queue.peek(usize::MAX, usize::MAX).unwrap() {
            note(format!("to {endpoint} {id}"), format!("{batch:?}"));
        }
    }
    told
}

/// Opens a state, if there is one to open: the process that does that is to be killed.
#[test]
fn a_state_is_opened_by_a_process_of_its_own() {
    if let Some(state) = std::env::var_os(TO_OPEN) {
        store::open(Path::new(&state), Timestamp(1)).unwrap();
    }
}

#[test]
fn a_kill_while_a_state_is_carried_over_leaves_the_old_one_or_the_new_one() {
    let seed = std::env::var("TAILSPAN_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = Shim::build(folder.path()) else { return };
    for stored in stored_states() {
        let (original, state) = (folder.path().join("original"), folder.path().join("state"));
        unpack(&stored, &original);
        let restore = || {
            fs::remove_dir_all(&state).ok();
            copy_folder(&original, &state);
        };
        let open = || {
            let mut open = Command::new(std::env::current_exe().unwrap());
            open.args(["--exact", "states::a_state_is_opened_by_a_process_of_its_own"]).env(TO_OPEN, &state);
            open.stdout(Stdio::null()).stderr(Stdio::null());
            open
        };
        restore();
        let calls = shim.calls(open(), &state);
        assert!(calls > 0, "no state was opened");
        let wanted = told(&state);
        let (mut before, mut after) = (0, 0);
        for _ in 0..KILLS {
            restore();
            let last = 1 + dice.below(calls);
            shim.kill_at(open(), &state, last);
            let is_new = fs::read_dir(&state).unwrap().any(|entry| {
                let name = entry.unwrap().file_name();
                name == "db.old" || name.to_str().unwrap().starts_with("db-")
            });
            *(if is_new { &mut after } else { &mut before }) += 1;
            let found = told(&state);
            let differing: Vec<_> = wanted.iter().filter(|(name, value)| found.get(*name) != Some(value)).collect();
            assert!(found.len() == wanted.len() && differing.is_empty(), "call {last} of {calls}: {differing:#?}");
        }
        println!("{calls} calls; of {KILLS} kills {before} left the old state and {after} a new one beside it");
        assert!(before > 0, "no kill was early");
    }
}

/// Layouts up to 7 did not keep what a call was given.
#[test]
fn calls_of_an_older_state_have_no_input_that_is_known() {
    for stored in stored_states() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        unpack(&stored, &state);
        let opened = store::open(&state, Timestamp(1)).unwrap();
        let mut sessions = Vec::new();
        opened.reader.each_session(|session| sessions.push(session)).unwrap();
        let units = sessions.iter().flat_map(|session| opened.reader.units_of(session).unwrap());
        let calls: Vec<_> = units.flat_map(|unit| Work::of(&unit.parts).calls).collect();
        assert!(calls.len() > 500, "{}: {} calls", stored.display(), calls.len());
        let is_known = |call: &WorkCall| (call.input, call.file) != (0, 0) || call.extension.is_some();
        // Layout 8 is the first that keeps what calls were about.
        assert_eq!(calls.iter().any(is_known), stored.ends_with("layout-8"), "{}", stored.display());
        // Results told these already.
        assert!(calls.iter().any(|call| call.by_person) && calls.iter().any(|call| call.lines_added > 0));
    }
}

#[test]
fn a_title_loses_its_secrets_when_a_state_is_carried_over() {
    // As long as each other: the row can be changed where it stands.
    const TITLE: &[u8] = br#"{"title": "neutral test session"}"#;
    const SECRET: &[u8] = b"deploy with DB_PASSWORD=hunter2ab";
    // From layout 5 on they are stored without.
    for stored in stored_states().into_iter().filter(|stored| stored.ends_with("layout-4")) {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        unpack(&stored, &state);
        let database = database::open(&state);
        let mut changed = 0;
        for row in database.scan_prefix(b"s") {
            let (key, mut value) = row.unwrap();
            if let Some(at) = memchr::memmem::find(&value, TITLE) {
                value[at..at + TITLE.len()].copy_from_slice(SECRET);
                database.insert(key, value).unwrap();
                changed += 1;
            }
        }
        database.flush().unwrap();
        drop(database);
        assert!(changed > 0, "no session of {} has the title", stored.display());

        let opened = store::open(&state, Timestamp(1)).unwrap();
        let mut titles = Vec::new();
        opened.reader.each_session(|session| titles.extend(session.title)).unwrap();
        drop(opened);
        let scrubbed = titles.iter().filter(|title| &***title == "deploy with DB_PASSWORD=[REDACTED]").count();
        assert_eq!(scrubbed, changed, "{titles:?}");
        for file in files_below(&state) {
            let bytes = fs::read(&file).unwrap();
            assert!(memchr::memmem::find(&bytes, b"hunter2ab").is_none(), "a secret is in {}", file.display());
        }
    }
}

/// What a further variant of an enum that is stored asks for: the rows can be read as they are, and say that they are newer.
#[test]
fn rows_of_an_older_version_are_taken_over_as_they_are() {
    let stored = stored_states().pop().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    unpack(&stored, &state);
    let wanted = told(&state);
    // The version of units, behind the header of the value and the number of kinds.
    let versions = |change: i8| {
        let database = database::open(&state);
        let mut versions = database.get(b"mversions").unwrap().unwrap();
        let unit = versions[4..].chunks_mut(2).find(|kind| kind[0] == b'u').unwrap();
        unit[1] = unit[1].checked_add_signed(change).unwrap();
        let version = unit[1];
        database.insert(b"mversions", versions).unwrap();
        database.flush().unwrap();
        version
    };
    let own = versions(0);
    versions(-1);
    let found = told(&state);
    let differing: Vec<_> = wanted.iter().filter(|(name, value)| found.get(*name) != Some(value)).collect();
    assert!(found.len() == wanted.len() && differing.is_empty(), "{differing:#?}");
    assert_eq!(versions(1), own + 1, "the state says that it has the newer version, and now one that nobody knows");
    let refused = store::open(&state, Timestamp(1)).unwrap_err().to_string();
    assert!(refused.contains(&format!("rows `u` of version {}", own + 1)), "{refused}");
}

#[test]
fn a_stored_state_says_how_it_was_made() {
    for stored in stored_states() {
        let about = fs::read_to_string(stored.join("about.md")).unwrap();
        assert!(about.contains("Made by"), "{}", stored.display());
        let answers: Map<String, Value> = expected(&stored, "details.json").as_object().unwrap().clone();
        assert!(answers.len() > 100, "{} holds few sessions", stored.display());
    }
}
