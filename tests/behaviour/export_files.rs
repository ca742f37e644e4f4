//! `tailspan export`, and Parquet as the engines of others read it: DuckDB and pyarrow, as `tests/support/api_tools.sh`
//! installs them. Without them those tests are skipped, except where CI=true.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::http::get;
use crate::support::privileges::skip;
use crate::support::tables::csv;
use crate::support::world::{copy_folder, recordings};

const TABLES: [&str; 5] = ["sessions", "turns", "messages", "tools", "costs"];

/// Session files, and a folder for a state and for what is written.
struct Place {
    folder: TempDir,
}

impl Place {
    /// All recordings.
    fn recorded() -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &place.projects());
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn projects(&self) -> PathBuf {
        self.path("projects")
    }

    /// `tailspan`, which looks for a sidecar at an address where there is none unless it is told another.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
        command.env_clear().args(arguments);
        if arguments[0] == "export" {
            let state = self.path("state");
            command.arg("--projects").arg(self.projects()).arg("--state").arg(state);
            if !arguments.contains(&"--listen") {
                command.args(["--listen", "127.0.0.1:0"]);
            }
        }
        command.output().unwrap()
    }

    /// What it prints, as a command that succeeds.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn scan(&self) -> Value {
        let projects = self.projects();
        serde_json::from_str(&self.text(&["scan", projects.to_str().unwrap(), "--format", "json"])).unwrap()
    }

    fn daemon(&self) -> Daemon {
        let daemon = Daemon::start(&self.projects(), &self.path("state"), &[]);
        daemon.metrics();
        daemon
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `tests/support/read_tables.py` says; `None` without the engines.
fn read(arguments: &[&str]) -> Option<Value> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = top.join("target/api-tools/venv/bin/python");
    let has_engines =
        || Command::new(&python).args(["-c", "import duckdb, pyarrow"]).output().unwrap().status.success();
    if !python.exists() || !has_engines() {
        skip("tests/support/api_tools.sh has not run");
        return None;
    }
    let output = Command::new(python).arg(top.join("tests/support/read_tables.py")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_command_writes_what_the_sidecar_the_state_and_the_files_have() {
    let place = Place::recorded();
    let of_files = place.text(&["export", "messages", "--format", "ndjson", "--scan", "--host", "here"]);
    let daemon = place.daemon();
    let address = daemon.address.to_string();
    let asked = ["export", "messages", "--format", "ndjson", "--host", "here", "--listen", &address];
    let of_sidecar = place.text(&asked);
    assert!(of_sidecar == of_files && of_sidecar.lines().count() > 200);
    let body = get(daemon.address, "/api/v1/export/messages.ndjson?host=here").body;
    assert_eq!(body, of_sidecar.into_bytes());
    daemon.stop();
    let of_state = place.run(&["export", "messages", "--format", "ndjson", "--host", "here"]);
    assert_eq!(String::from_utf8(of_state.stdout.clone()).unwrap(), of_files, "{}", said(&of_state));
    assert!(said(&of_state).contains("the state in"), "{}", said(&of_state));

    let file = place.path("costs.csv");
    place.text(&["export", "costs", "--output", file.to_str().unwrap(), "--model", "claude-sonnet-4-5"]);
    let cells = csv(&fs::read_to_string(&file).unwrap());
    let model = cells[0].iter().position(|name| name == "model").unwrap();
    assert!(cells.len() > 1 && cells[1..].iter().all(|row| row[model] == "claude-sonnet-4-5"));
    assert!(!place.path("costs.csv.unfinished").exists());
}

#[test]
fn a_command_says_what_is_wrong_with_it() {
    let place = Place { folder: TempDir::new().unwrap() };
    for (arguments, expected, code) in [
        (vec!["export", "costs"], "--format is not given", 2),
        (vec!["export", "prompts", "--format", "csv"], "invalid value 'prompts'", 2),
        (vec!["export", "costs", "--format", "csv", "--since", "soon"], "--since is", 2),
        (vec!["export", "costs", "--format", "csv", "--tz", "Mars"], "--tz is", 2),
        (vec!["export", "--all", "--format", "parquet"], "--partition", 2),
        (vec!["export", "--all", "--format", "csv", "--partition", "day", "--output", "x"], "--all writes Parquet", 2),
        (
            vec!["export", "--all", "--format", "parquet", "--partition", "day", "--output", "x", "--model", "y"],
            "neither times nor filters",
            2,
        ),
        (vec!["export", "costs", "--format", "csv"], "no sidecar answers", 1),
    ] {
        let output = place.run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

/// A value of JSON as Python shows that of Parquet.
fn as_python(name: &str, value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::Bool(is_so) => if *is_so { "True" } else { "False" }.to_owned(),
        Value::String(text) if name.ends_with("_usd") => {
            let money = Money::parse_usd(text).unwrap().picousd();
            format!("{}.{:012}", money / 1_000_000_000_000, money % 1_000_000_000_000)
        }
        Value::String(text) => match Timestamp::parse(text).filter(|_| name == "at" || name.ends_with("_at")) {
            // Python leaves out a fraction of nothing.
            Some(at) => at.to_rfc3339().replace('T', " ").replace(".000Z", "+00:00").replace('Z', "000+00:00"),
            None => text.clone(),
        },
        other => other.to_string(),
    };
    Value::from(text)
}

#[test]
fn parquet_has_the_rows_of_json_in_the_types_that_the_guide_says() {
    let place = Place::recorded();
    let scan = place.scan();
    for table in TABLES {
        let path = place.path(&format!("{table}.parquet"));
        place.text(&["export", table, "--scan", "--output", path.to_str().unwrap()]);
        let Some(found) = read(&[path.to_str().unwrap()]) else { return };
        let lines = place.text(&["export", table, "--scan", "--format", "ndjson"]);
        let rows: Vec<BTreeMap<String, Value>> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected: Vec<Value> = rows
            .iter()
            .map(|row| row.iter().map(|(name, value)| (name.clone(), as_python(name, value))).collect())
            .collect();
        let own = found["rows"].as_array().unwrap();
        assert_eq!(own.len(), expected.len(), "{table}");
        own.iter().zip(&expected).for_each(|(own, expected)| assert_eq!(own, expected, "{table}"));
        assert_eq!(found["codecs"], json!(["ZSTD"]), "{table}");
        assert_eq!(found["metadata"]["schema_version"], "1", "{table}");
        assert_eq!(found["metadata"]["table"], table);
        let known = tailspan::views::tables::table::Table::ALL.into_iter().find(|one| one.name() == table).unwrap();
        for column in known.columns() {
            assert_eq!(found["duckdb"]["types"][column.name], column.kind.in_parquet(), "{table}.{}", column.name);
        }
        assert_eq!(found["duckdb"]["sums"], found["pyarrow"]["sums"], "{table}");
        if table == "messages" || table == "costs" {
            assert_sums_are_of_scan(&found["duckdb"], &scan, table);
        }
    }
}

fn assert_sums_are_of_scan(found: &Value, scan: &Value, table: &str) {
    for (kind, tokens) in scan["tokens"].as_object().unwrap() {
        assert_eq!(found["sums"][kind].as_str().unwrap(), tokens.to_string(), "{table}.{kind}");
    }
    assert_eq!(found["sums"]["cost_usd"], scan["cost_usd"], "{table}");
    let messages = if table == "messages" {
        found["rows"].to_string()
    } else {
        found["sums"]["messages"].as_str().unwrap().to_owned()
    };
    assert_eq!(messages, scan["messages"].to_string(), "{table}");
}

/// Every file below a folder, with its bytes and when it was written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let written = fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), written));
        }
    }
    found
}

/// The names of files that differ.
fn changed(
    before: &BTreeMap<PathBuf, (Vec<u8>, SystemTime)>,
    after: &BTreeMap<PathBuf, (Vec<u8>, SystemTime)>,
) -> Vec<String> {
    let names = after.iter().filter(|(path, file)| before.get(*path) != Some(file)).map(|(path, _)| path);
    names
        .map(|path| path.iter().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect::<PathBuf>())
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn a_second_export_of_days_writes_what_is_new_or_changed_and_nothing_else() {
    let place = Place::recorded();
    let lake = place.path("lake");
    let export = ["export", "--all", "--format", "parquet", "--partition", "day", "--scan", "--host", "a/b"];
    let export = [&export[..], &["--output", lake.to_str().unwrap()]].concat();
    place.text(&export);
    let first = files(&lake);
    let of = |table: &str| first.keys().filter(|path| path.starts_with(lake.join(table))).count();
    assert!(TABLES.iter().all(|table| of(table) > 0), "{:?}", first.keys());
    assert!(first.keys().all(|path| path.extension().is_some_and(|end| end != "unfinished")), "{:?}", first.keys());
    let again = place.run(&export);
    assert!(said(&again).contains("0 files written"), "{}", said(&again));
    assert_eq!(changed(&first, &files(&lake)), Vec::<String>::new());
    if let Some(found) = read(&["--lake", lake.to_str().unwrap()]) {
        let scan = place.scan();
        for table in ["messages", "costs"] {
            assert_sums_are_of_scan(&found[table]["duckdb"], &scan, table);
            assert_sums_are_of_scan(&found[table]["pyarrow"], &scan, table);
        }
        assert_eq!(found["messages"]["hosts"], json!(["a/b"]));
        assert_eq!(found["sessions"]["duckdb"]["rows"], scan["sessions"]);
        assert_eq!(found["turns"]["duckdb"]["rows"], scan["turns"]);
    }

    // A row that comes late belongs to its own day, and only the files of that day are written again.
    let session = "0a000000-0000-4000-8000-00000000000a";
    let late = json!({"type": "user", "uuid": "0b000000-0000-4000-8000-00000000000b", "sessionId": session,
        "timestamp": "2025-03-01T12:00:00.000Z", "cwd": "/home/dev/late", "message": {"role": "user", "content": "go"}});
    let answer = json!({"type": "assistant", "uuid": "0c000000-0000-4000-8000-00000000000c", "sessionId": session,
        "timestamp": "2025-03-01T12:00:05.000Z", "cwd": "/home/dev/late", "requestId": "req_late",
        "message": {"id": "msg_01late0000000000000000000", "role": "assistant", "model": "claude-sonnet-4-5",
            "usage": {"input_tokens": 7, "output_tokens": 9}, "stop_reason": "end_turn", "content": []}});
    let file = place.projects().join("-late").join(format!("{session}.jsonl"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{late}\n{answer}\n")).unwrap();
    let third = place.run(&export);
    assert!(said(&third).contains("4 files written"), "{}", said(&third));
    let written = changed(&first, &files(&lake));
    let path = |table: &str| format!("{table}/host=a%2Fb/day=2025-03-01/part-0.parquet");
    let expected: Vec<String> = ["costs", "messages", "sessions", "turns"].into_iter().map(path).collect();
    let (own, tables): (Vec<String>, Vec<String>) = written.into_iter().partition(|path| path.contains("_tailspan"));
    assert_eq!((tables, own.len()), (expected, 1));

    // A file that somebody removed comes back; days of which the state has lost the rows stay.
    fs::remove_file(lake.join(path("costs"))).unwrap();
    let fourth = place.run(&export);
    assert!(said(&fourth).contains("1 files written"), "{}", said(&fourth));
    fs::remove_file(&file).unwrap();
    let fifth = place.run(&export);
    assert!(said(&fifth).contains("0 files written") && said(&fifth).contains("4 of days"), "{}", said(&fifth));
    assert!(lake.join(path("messages")).exists());

    // So do days of which it has lost some.
    let whole = files(&lake);
    let mut sessions: Vec<PathBuf> = files(&place.projects()).into_keys().collect();
    sessions.pop();
    sessions.iter().for_each(|path| fs::remove_file(path).unwrap());
    let sixth = place.run(&export);
    assert!(said(&sixth).contains("0 files written") && said(&sixth).contains("more rows"), "{}", said(&sixth));
    assert_eq!(changed(&whole, &files(&lake)), Vec::<String>::new());
}

#[test]
fn an_export_of_a_sidecar_in_which_nothing_changed_asks_once() {
    let place = Place::recorded();
    let daemon = place.daemon();
    let (lake, address) = (place.path("lake"), daemon.address.to_string());
    let export = ["export", "--all", "--format", "parquet", "--partition", "day", "--listen", &address];
    let export = [&export[..], &["--output", lake.to_str().unwrap()]].concat();
    place.text(&export);
    let first = files(&lake);
    let again = place.run(&export);
    assert!(said(&again).contains("nothing has changed"), "{}", said(&again));
    assert_eq!(changed(&first, &files(&lake)), Vec::<String>::new());
}
