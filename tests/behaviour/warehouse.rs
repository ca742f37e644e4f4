//! `deploy/warehouse`: lakes of several hosts, asked by DuckDB and by ClickHouse (chdb), as `tests/support/api_tools.sh`
//! installs them. Without them these tests are skipped, except where CI=true.
//!
//! What the answers are held against is worked out by `tests/support/warehouse.py` in plain Python, from `scan` and the rows of
//! the session files of all hosts read at once: there a copy counts once because the ledger knows it, not because of SQL.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tailspan::views::tables::table::Table;
use tempfile::TempDir;

use crate::support::privileges::skip;
use crate::support::world::{append, copy_folder};

/// A name that Hive encodes, and plain ones.
const HOSTS: [&str; 3] = ["ada@büro/1", "bob", "cy"];
const LATE_HOST: &str = "dan";
const TABLES: [&str; 4] = ["messages", "tools", "turns", "sessions"];

/// The script with the engines; `None` without them.
fn script() -> Option<Command> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = top.join("target/api-tools/venv/bin/python");
    let has_engines =
        || Command::new(&python).args(["-c", "import duckdb, chdb, pyarrow"]).output().unwrap().status.success();
    if !python.exists() || !has_engines() {
        skip("tests/support/api_tools.sh has not run");
        return None;
    }
    let mut command = Command::new(python);
    command.arg("-B").arg(top.join("tests/support/warehouse.py"));
    Some(command)
}

/// What the script prints, as lines of JSON.
fn said(mode: &str, places: &[&Path]) -> Option<Vec<Value>> {
    let output = script()?.arg(mode).args(places).output().unwrap();
    assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Session files of several hosts, and their lake.
struct Hosts {
    folder: TempDir,
}

impl Hosts {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// Three hosts: two with recordings of their own; one session is on two of them, of another the third has the beginning,
    /// and of a fork one has the original and another the fork alone.
    fn recorded() -> Self {
        let hosts = Self::new();
        let [ada, bob, cy] = HOSTS.map(|host| hosts.projects(host));
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        for version in fs::read_dir(top.join("recordings")).unwrap().map(|entry| entry.unwrap().path()) {
            let home = if version.ends_with("2.1.330") { &ada } else { &bob };
            for recording in fs::read_dir(&version).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                if recording.join("projects").is_dir() {
                    copy_folder(&recording.join("projects"), home);
                }
            }
        }
        for copied in ["e1_subagent", "b_tools", "g_resume"] {
            copy_folder(&top.join("recordings/2.1.330").join(copied).join("projects"), &bob);
        }
        let long = "-home-dev-z1-big-transcript/a66c7e74-8ca5-4d09-85bc-6c5ac99a6e0e.jsonl";
        let whole = fs::read_to_string(ada.join(long)).unwrap();
        let begun: String = whole.split_inclusive('\n').take(whole.lines().count() / 2).collect();
        append(&cy.join(long), begun.as_bytes());
        // The original is the first neither by its id nor by its host.
        let fork = top.join("a-fork-counts-its-history-once/projects/-home-dev-app");
        let names = ["a1a1a1a1-0000-4000-8000-00000000000a", "b2b2b2b2-0000-4000-8000-00000000000b"];
        for (home, name) in [&cy, &bob].into_iter().zip(names) {
            let text = fs::read_to_string(fork.join(name).with_extension("jsonl")).unwrap();
            let renamed = |text: &str| text.replace("a1a1a1a1-", "f1f1f1f1-");
            append(&home.join("-home-dev-app").join(renamed(name)).with_extension("jsonl"), renamed(&text).as_bytes());
        }
        let file = "-home-dev-called/0a000000-0000-4000-8000-000000000009.jsonl";
        append(&cy.join(file), called(true).as_bytes());
        append(&bob.join(file), called(false).as_bytes());
        append(
            &cy.join("-home-dev-advised/0a000000-0000-4000-8000-000000000001.jsonl"),
            advised(1, "2026-11-22").as_bytes(),
        );
        hosts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lake(&self) -> PathBuf {
        self.path("lake")
    }

    fn projects(&self, host: &str) -> PathBuf {
        self.path("hosts").join(host.replace('/', "-"))
    }

    fn tailspan(&self, arguments: &[&str], roots: &[PathBuf]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
        command.env_clear().args(arguments);
        for root in roots {
            command.arg("--projects").arg(root);
        }
        if arguments[0] == "export" {
            command.arg("--scan").arg("--state").arg(self.path("state")).args(["--listen", "127.0.0.1:0"]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn export(&self, host: &str) {
        let lake = self.lake();
        let lake = ["export", "--all", "--format", "parquet", "--partition", "day", "--output", lake.to_str().unwrap()];
        self.tailspan(&[&lake[..], &["--host", host]].concat(), &[self.projects(host)]);
    }

    /// The folder of what is known without the lake, as the script wants it.
    fn facts(&self, hosts: &[&str]) -> PathBuf {
        let facts = self.path(&format!("facts-{}", hosts.len()));
        fs::create_dir_all(&facts).unwrap();
        let roots: Vec<PathBuf> = hosts.iter().map(|host| self.projects(host)).collect();
        let scan = self.tailspan(&["scan", "--format", "json", "--sessions"], &roots);
        fs::write(facts.join("scan.json"), scan).unwrap();
        for table in TABLES {
            let rows = self.tailspan(&["export", table, "--format", "ndjson"], &roots);
            fs::write(facts.join(format!("{table}.ndjson")), rows).unwrap();
            for (number, host) in hosts.iter().enumerate() {
                let rows =
                    self.tailspan(&["export", table, "--format", "ndjson", "--host", host], &roots[number..=number]);
                fs::write(facts.join(format!("host-{number}.{table}.ndjson")), rows).unwrap();
            }
        }
        facts
    }
}

/// A row of a session file.
fn row(kind: &str, number: u32, at: &str, message: &Value) -> String {
    let session = format!("0a000000-0000-4000-8000-{number:012}");
    let uuid = format!("0b{}-0000-4000-8000-{number:012}", at[at.len() - 9..at.len() - 1].replace([':', '.'], ""));
    let row = json!({"type": kind, "uuid": uuid, "sessionId": session, "timestamp": at, "cwd": "/home/dev/advised",
        "gitBranch": "main", "requestId": format!("req_{uuid}"), "message": message});
    format!("{row}\n")
}

fn answer(id: u32, model: &str, usage: Value, content: Value) -> Value {
    json!({"id": format!("msg_01advised{id:013}"), "role": "assistant", "model": model, "usage": usage,
        "stop_reason": "end_turn", "content": content})
}

/// A session of a prompt and two responses: one at which two models answered, and one of a model that has no price.
fn advised(number: u32, day: &str) -> String {
    let at = |second: u32| format!("{day}T23:59:{second}.125Z");
    let advice = json!([{"type": "message", "input_tokens": 100, "output_tokens": 20},
        {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 200, "output_tokens": 41}]);
    let both = json!({"input_tokens": 100, "output_tokens": 20, "iterations": advice});
    let unpriced = json!({"input_tokens": 7, "output_tokens": 9});
    [
        row("user", number, &at(10), &json!({"role": "user", "content": "go"})),
        row("assistant", number, &at(11), &answer(number * 10, "claude-sonnet-4-5", both, json!([]))),
        row("assistant", number, &at(12), &answer(number * 10 + 1, "claude-nobody-knows-1", unpriced, json!([]))),
    ]
    .concat()
}

/// A session with a call; the copy that is not whole was made while the first response was being written.
fn called(is_whole: bool) -> String {
    let at = |second: u32| format!("2026-11-23T08:00:{second}.250Z");
    let usage = json!({"input_tokens": 50, "output_tokens": if is_whole { 90_000 } else { 3 }});
    let call = json!([{"type": "tool_use", "id": "toolu_01called", "name": "Read", "input": {}}]);
    let result = json!([{"type": "tool_result", "tool_use_id": "toolu_01called", "content": "text"}]);
    let end = json!({"input_tokens": 60, "output_tokens": 7});
    let rows = [
        row("user", 9, &at(10), &json!({"role": "user", "content": "go"})),
        row("assistant", 9, &at(11), &answer(90, "claude-sonnet-4-5", usage, call)),
        row("user", 9, &at(13), &json!({"role": "user", "content": result})),
        row("assistant", 9, &at(14), &answer(91, "claude-sonnet-4-5", end, json!([]))),
    ];
    rows[..if is_whole { 4 } else { 2 }].concat()
}

/// The script, which asks again for each folder of facts.
struct Asking {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Asking {
    fn start(lake: &Path) -> Option<Self> {
        let piped = Stdio::piped;
        let mut child = script()?.arg("ask").arg(lake).stdin(piped()).stdout(piped()).spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, questions, answers })
    }

    /// The answers to all questions, which were compared with these facts.
    fn ask(&mut self, facts: &Path) -> Value {
        writeln!(self.questions, "{}", facts.display()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answers: Value = serde_json::from_str(&line).expect("the script says what differs");
        assert_totals(&answers["totals"], facts);
        answers
    }

    fn end(mut self) {
        drop(self.questions);
        assert!(self.child.wait().unwrap().success());
    }
}

/// The sums of `messages` and `costs` in both engines are those of `scan`.
fn assert_totals(totals: &Value, facts: &Path) {
    let scan: Value = serde_json::from_str(&fs::read_to_string(facts.join("scan.json")).unwrap()).unwrap();
    let kinds = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
    let mut expected = vec![scan["messages"].clone()];
    expected.extend(kinds.map(|kind| scan["tokens"][kind].clone()));
    expected.push(scan["cost_usd"].clone());
    let totals = totals.as_array().unwrap();
    assert_eq!(totals.len(), 4);
    totals.iter().for_each(|one| assert_eq!(one, &Value::from(expected.clone())));
}

/// The cells of a column of an answer.
fn cells(answers: &Value, question: &str, column: usize) -> Vec<Value> {
    answers["answers"][question].as_array().unwrap().iter().map(|row| row[column].clone()).collect()
}

#[test]
fn both_engines_answer_every_question_of_several_hosts_as_the_facts_do() {
    let hosts = Hosts::recorded();
    let lake = hosts.lake();
    HOSTS.iter().for_each(|host| hosts.export(host));
    // A project goes before a host, both together before either.
    let teams = "host,project,team\nbob,,\"hosts, of bob\"\n,app,apps\nbob,g-resume,both\n,b-tools,tools\n";
    fs::write(lake.join("teams.csv"), teams).unwrap();
    let Some(mut asking) = Asking::start(&lake) else { return };
    let first = asking.ask(&hosts.facts(&HOSTS));
    let teams = cells(&first, "01", 0);
    for team in ["hosts, of bob", "apps", "tools", "unknown"] {
        assert!(teams.contains(&json!(team)), "{teams:?}");
    }
    assert!(cells(&first, "03", 0).contains(&json!("claude-opus-5")), "a model that only advised");
    assert!(cells(&first, "03", 7).contains(&json!(16)), "tokens without a price");
    assert!(cells(&first, "08", 1).contains(&json!("turn")), "{}", first["answers"]["08"]);

    // The views see what comes later: a host, and a row of a day that was there.
    append(
        &hosts.projects(LATE_HOST).join("-home-dev-advised/0a000000-0000-4000-8000-000000000002.jsonl"),
        advised(2, "2026-12-06").as_bytes(),
    );
    append(
        &hosts.projects("bob").join("-home-dev-advised/0a000000-0000-4000-8000-000000000003.jsonl"),
        advised(3, "2026-11-22").as_bytes(),
    );
    let all = [&HOSTS[..], &[LATE_HOST]].concat();
    all.iter().for_each(|host| hosts.export(host));
    let second = asking.ask(&hosts.facts(&all));
    assert_eq!(cells(&second, "12", 0).last(), Some(&json!("2026-W49")), "a Sunday, a second before Monday");
    assert_eq!(cells(&second, "12", 2).last(), Some(&json!(1)), "a host that was not there before");
    asking.end();
}

#[test]
fn a_lake_of_several_versions_has_the_columns_of_the_newest() {
    let hosts = Hosts::recorded();
    HOSTS.iter().for_each(|host| hosts.export(host));
    let of = |host: &str| -> Vec<PathBuf> {
        let days = fs::read_dir(hosts.lake().join(format!("messages/host={host}"))).unwrap();
        days.map(|day| day.unwrap().path().join("part-0.parquet")).collect()
    };
    // Where several models answered is in the files of `cy` alone.
    for (mode, host) in [("older", "bob"), ("newer", "cy")] {
        let files = of(host);
        if said(mode, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>()).is_none() {
            return;
        }
    }
    let facts = hosts.facts(&HOSTS);
    // So does one file for each day in the place of one for each host.
    let compacted = hosts.path("compacted");
    said("compact", &[&hosts.lake(), &compacted]).unwrap();
    assert!(fs::read_dir(compacted.join("messages/host=all")).unwrap().count() > 3);
    for lake in [hosts.lake(), compacted] {
        let mut asking = Asking::start(&lake).unwrap();
        asking.ask(&facts);
        asking.end();
    }
}

#[test]
fn the_views_know_every_column_of_the_tables_that_they_read() {
    let read = |engine: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/warehouse").join(engine).join("views.sql");
        fs::read_to_string(path).unwrap()
    };
    let (duckdb, clickhouse) = (read("duckdb"), read("clickhouse"));
    // The costs are made anew out of the responses.
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Costs) {
        let name = table.name();
        let columns: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
        for (text, begin, end) in [
            (&duckdb, format!("CREATE OR REPLACE TABLE {name}_columns (\n"), "\n);"),
            (&duckdb, format!("CREATE OR REPLACE VIEW lake_{name} AS\nSELECT\n"), "\nFROM"),
            (&clickhouse, format!("file('lake/{name}/host=*/day=*/*.parquet', 'Parquet', '\n"), "'\n)"),
        ] {
            let list = text.split_once(&begin).unwrap().1.split_once(end).unwrap().0.replace("(38, 12)", "");
            let list = list.replace("(6, ''UTC'')", "").replace("(38,12)", "");
            let own: Vec<&str> =
                list.split(',').map(|one| one.split_whitespace().next().unwrap().trim_matches('"')).collect();
            assert_eq!(own, columns, "{begin}");
        }
    }
}

#[test]
fn a_lake_without_files_has_no_rows() {
    let hosts = Hosts::new();
    let nothing = json!({"messages": 0, "tools": 0, "turns": 0, "sessions": 0, "shares": 0, "costs": 0});
    let Some(rows) = said("rows", &[&hosts.lake()]) else { return };
    assert_eq!(rows, [nothing.clone(), nothing]);

    // A session without a tool call: that table has no file yet.
    let file = "-home-dev-advised/0a000000-0000-4000-8000-000000000001.jsonl";
    append(&hosts.projects("bob").join(file), advised(1, "2026-11-22").as_bytes());
    hosts.export("bob");
    assert!(!hosts.lake().join("tools").exists());
    let few = json!({"messages": 2, "tools": 0, "turns": 1, "sessions": 1, "shares": 3, "costs": 3});
    assert_eq!(said("rows", &[&hosts.lake()]).unwrap(), [few.clone(), few]);
    // A part of a lake, from before there was the column of several models.
    let older = hosts.lake().join("messages/host=bob/day=2026-11-22/part-0.parquet");
    said("older", &[&older]).unwrap();
    let fewer = json!({"messages": 2, "tools": 0, "turns": 1, "sessions": 1, "shares": 2, "costs": 2});
    assert_eq!(said("rows", &[&hosts.lake()]).unwrap(), [fewer.clone(), fewer]);
}
