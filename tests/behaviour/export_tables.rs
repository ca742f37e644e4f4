//! `/api/v1/export/…`: every table says what the other answers and `scan` say, in every format and under every filter.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::transcript::time::Timestamp;
use tailspan::views::tables::column::{About, Kind};
use tailspan::views::tables::table::Table;
use tempfile::TempDir;

use crate::support::costs::{Asked, filled, recorded, row};
use crate::support::daemon::Daemon;
use crate::support::http::{get, request};
use crate::support::jaeger::encoded;
use crate::support::tables::{csv, rows, sum, sum_usd};
use crate::support::world::{Dice, copy_folder, recordings};

/// What a table of responses or costs comes to: responses, tokens of each kind, cost, tokens without a price.
fn sums(rows: &[Value], messages: u64) -> Value {
    let tokens = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
    let tokens: BTreeMap<&str, u64> = tokens.into_iter().map(|name| (name, sum(rows, name))).collect();
    json!({"messages": messages, "tokens": tokens, "cost_usd": sum_usd(rows, "cost_usd"),
        "unpriced_tokens": sum(rows, "unpriced_tokens")})
}

/// The same of an answer about costs.
fn total(answer: &Value) -> Value {
    let total = &answer["total"];
    json!({"messages": total["messages"], "tokens": total["tokens"], "cost_usd": total["cost_usd"],
        "unpriced_tokens": total["unpriced_tokens"]})
}

fn assert_tables_are_costs(asked: &Asked, query: &str, by_model: bool) {
    let costs = asked.ask(query);
    let messages = rows(asked, "messages", query);
    let mut of_messages = sums(&messages, messages.len() as u64);
    let cells = rows(asked, "costs", query);
    assert_eq!(sums(&cells, sum(&cells, "messages")), total(&costs), "costs?{query}");
    if by_model {
        // A response that two models answered has a row for either of them.
        of_messages["messages"] = costs["total"]["messages"].clone();
    }
    assert_eq!(of_messages, total(&costs), "messages?{query}");
    assert_eq!(json!(rows(asked, "turns", query).len()), costs["total"]["turns"], "turns?{query}");
    let tools = asked.answer(&format!("/tools?{query}"));
    let calls = rows(asked, "tools", query);
    assert_eq!(json!(calls.len()), tools["total"]["calls"], "tools?{query}");
    let sessions: Vec<Value> = asked.sessions(&format!("{query}&limit=1000"))["sessions"].as_array().unwrap().clone();
    let own: Vec<Value> = sessions.iter().map(|session| session["id"].clone()).collect();
    let exported: Vec<Value> = rows(asked, "sessions", query).iter().map(|row| row["session"].clone()).collect();
    assert_eq!(exported, own, "sessions?{query}");
}

#[test]
fn every_filter_and_range_gives_the_rows_that_the_sums_are_made_of() {
    let (asked, _world, _folder) = recorded();
    let all = rows(&asked, "messages", "");
    assert!(all.len() > 200, "{}", all.len());
    let always = "since=2000-01-01";
    assert_tables_are_costs(&asked, always, false);
    let times: Vec<Timestamp> = all.iter().map(|row| Timestamp::parse(row["at"].as_str().unwrap()).unwrap()).collect();
    let calls = rows(&asked, "tools", "");
    for seed in 0..120 {
        let mut dice = Dice::new(seed);
        let since = if seed % 3 == 0 { Timestamp(946_684_800_000) } else { times[dice.below(times.len())] };
        let mut query = format!("since={}", since.to_rfc3339());
        let until = Timestamp(times[dice.below(times.len())].0 + 1);
        if until > since && seed % 2 == 0 {
            query += &format!("&until={}", until.to_rfc3339());
        }
        let name = ["project", "branch", "model", "agent", "session", "entrypoint", "origin", "tool"][dice.below(8)];
        let value = match name {
            "origin" => ["human", "sdk", "task_notification", "teammate"][dice.below(4)].to_owned(),
            "tool" => calls[dice.below(calls.len())]["tool"].as_str().unwrap().to_owned(),
            _ => all[dice.below(all.len())][name].as_str().unwrap_or("nothing has this").to_owned(),
        };
        query += &format!("&{name}={}", encoded(&value));
        assert_tables_are_costs(&asked, &query, name == "model");
    }
    for table in ["messages", "tools", "turns", "costs", "sessions"] {
        assert_eq!(rows(&asked, table, "workflow=nightly"), Vec::<Value>::new(), "{table}");
    }
}

#[test]
fn turns_are_those_of_their_sessions_and_calls_those_of_the_replay() {
    let (asked, _world, _folder) = recorded();
    let (turns, calls) = (rows(&asked, "turns", ""), rows(&asked, "tools", ""));
    let messages = rows(&asked, "messages", "");
    let of =
        |rows: &[Value], id: &str| -> Vec<Value> { rows.iter().filter(|row| row["session"] == id).cloned().collect() };
    for session in rows(&asked, "sessions", "") {
        let id = session["session"].as_str().unwrap();
        let detail = asked.answer(&format!("/sessions/{id}"));
        let (own, told) = (of(&turns, id), detail["turns"].as_array().unwrap());
        assert_eq!(own.len(), told.len(), "{id}");
        for (own, told) in own.iter().zip(told) {
            for (column, place) in [
                ("turn", "/index"),
                ("trace_id", "/trace_id"),
                ("prompt_id", "/prompt_uuid"),
                ("origin", "/origin"),
                ("at", "/started_at"),
                ("ended_at", "/ended_at"),
                ("end", "/end"),
                ("duration_seconds", "/duration_seconds"),
                ("messages", "/messages"),
                ("tool_calls", "/tool_calls"),
                ("input", "/tokens/input"),
                ("output", "/tokens/output"),
                ("cost_usd", "/cost_usd"),
                ("subagent_cost_usd", "/subagents_cost_usd"),
            ] {
                assert_eq!(Some(&own[column]), told.pointer(place), "{id} {column}");
            }
        }
        assert_eq!(session["title"], detail["session"]["title"]);
        assert_eq!(session["tool_calls"].as_u64(), Some(of(&calls, id).len() as u64), "{id}");
        assert_eq!(session["messages"].as_u64(), Some(of(&messages, id).len() as u64), "{id}");
        let events = asked.answer(&format!("/sessions/{id}/replay?limit=1000"))["events"].as_array().unwrap().clone();
        let kind = |kind: &str, name: &str| -> BTreeSet<String> {
            let these = events.iter().filter(|event| event["kind"] == kind);
            these.map(|event| format!("{} {} {}", event[name], event["at"], event["turn"])).collect()
        };
        if events.len() < 1000 {
            let own: BTreeSet<String> = of(&calls, id)
                .iter()
                .map(|row| format!("{} {} {}", row["tool_call_id"], row["at"], row["turn"]))
                .collect();
            assert_eq!(own, kind("tool_call", "tool_call_id"), "{id}");
        }
    }
}

#[test]
fn every_format_has_the_same_rows_with_the_columns_of_the_table() {
    let (asked, _world, _folder) = recorded();
    for table in Table::ALL {
        let name = table.name();
        let columns = table.columns();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{name}: a name twice");
        let objects = rows(&asked, name, "");
        assert!(!objects.is_empty(), "{name}");
        let lines: Vec<Value> = asked
            .text(&format!("/export/{name}.ndjson"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, objects, "{name}");
        for (row, column) in objects.iter().flat_map(|row| columns.iter().map(move |column| (row, column))) {
            assert!(fits(column, &row[column.name]), "{name}.{}: {}", column.name, row[column.name]);
        }
        let mut cells = csv(&asked.text(&format!("/export/{name}.csv")));
        assert_eq!(cells.remove(0), names, "{name}");
        let expected: Vec<Vec<String>> =
            objects.iter().map(|row| names.iter().map(|name| as_cell(&row[name])).collect()).collect();
        assert_eq!(cells, expected, "{name}");
        // Every column that may have a value has one in some recording, but those that only a stream tells, or an advisor.
        let empty: Vec<&&str> = names.iter().filter(|name| objects.iter().all(|row| row[**name].is_null())).collect();
        assert!(empty.iter().all(|name| ["workflow", "shares"].contains(*name)), "{table:?}: {empty:?}");
    }
}

fn fits(column: &About, value: &Value) -> bool {
    let text = |is: fn(&str) -> bool| value.as_str().is_some_and(is);
    (column.optional && value.is_null())
        || match column.kind {
            Kind::Text => value.is_string(),
            Kind::Count | Kind::Tokens | Kind::Bytes => value.is_u64(),
            Kind::Whole => value.is_i64(),
            Kind::Seconds => value.is_f64(),
            Kind::Money => text(|text| Money::parse_usd(text).is_some()),
            Kind::Time => text(|text| Timestamp::parse(text).is_some()),
            Kind::Day => text(|text| text.len() == 10),
            Kind::Truth => value.is_boolean(),
        }
}

/// What a cell of CSV has for a value of JSON; what begins like a formula is text.
fn as_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn a_response_of_several_models_says_what_each_of_them_used() {
    let fixture = "fixtures/advisor-and-compaction-steps-cost-beside-the-response/projects";
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    let (asked, _world, _folder) = filled(|world| copy_folder(&source, &world.root));
    let messages = rows(&asked, "messages", "");
    let shares: Value = serde_json::from_str(messages[0]["shares"].as_str().unwrap()).unwrap();
    let columns =
        ["model", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "cost_usd", "unpriced_tokens"];
    let mut costs: Vec<Value> = rows(&asked, "costs", "")
        .iter()
        .map(|row| columns.iter().map(|column| (*column, row[*column].clone())).collect())
        .collect();
    costs.sort_by_key(|row| row["model"] != messages[0]["model"]);
    assert_eq!((messages.len(), costs.len(), shares), (1, 2, Value::from(costs)));
    assert_eq!(rows(&asked, "messages", "model=claude-opus-5")[0]["shares"], Value::Null, "one model is asked for");
}

#[test]
fn a_spreadsheet_computes_no_cell_of_a_hostile_session() {
    let names = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "a,b", "say \"hi\"", "'quoted'", "＝1+1", " =1", "plain"];
    let (asked, _world, _folder) = filled(|world| {
        for (number, name) in names.iter().enumerate() {
            let folder = world.root.join("p");
            std::fs::create_dir_all(&folder).unwrap();
            let session = format!("00000000-0000-4000-8000-00000000000{number}");
            let prompt = json!({"type": "user", "uuid": format!("10000000-0000-4000-8000-00000000000{number}"),
                "sessionId": session, "timestamp": format!("2026-11-22T10:0{number}:00.000Z"), "cwd": "/home/dev/made",
                "gitBranch": name, "message": {"role": "user", "content": "go"}});
            let message = json!({"id": format!("msg_01{number:022}"), "role": "assistant", "model": "claude-sonnet-4-5",
                "usage": {"input_tokens": 1, "output_tokens": 2}, "stop_reason": "tool_use",
                "content": [{"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": {}}]});
            let answer = json!({"type": "assistant", "uuid": format!("20000000-0000-4000-8000-00000000000{number}"),
                "sessionId": session, "timestamp": format!("2026-11-22T10:0{number}:01.000Z"), "cwd": "/home/dev/made",
                "gitBranch": name, "message": message, "requestId": format!("req_{number}")});
            let result = json!({"type": "user", "uuid": format!("30000000-0000-4000-8000-00000000000{number}"),
                "sessionId": session, "timestamp": format!("2026-11-22T10:0{number}:02.000Z"), "cwd": "/home/dev/made",
                "gitBranch": name, "message": {"role": "user", "content": [{"type": "tool_result", "is_error": true,
                    "tool_use_id": format!("toolu_{number}"), "content": "Exit code -1"}]}});
            let text = format!("{prompt}\n{answer}\n{result}\n");
            std::fs::write(folder.join(format!("{session}.jsonl")), text).unwrap();
        }
    });
    let text = asked.text("/export/tools.csv");
    assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']), "lines end in CR LF");
    let mut cells = csv(&text);
    let head = cells.remove(0);
    let (tool, branch) = (at(&head, "tool"), at(&head, "branch"));
    for (row, name) in cells.iter().zip(names) {
        let is_formula = name.starts_with(['=', '+', '-', '@', '＝']);
        let expected = if is_formula { format!("'{name}") } else { name.to_owned() };
        assert_eq!((&row[tool], &row[branch]), (&expected, &expected), "{text}");
    }
    assert_eq!(cells.len(), names.len());
    let mut made = csv(&asked.text("/export/costs.csv?host=%3Dcmd%7C%27%2FC%20calc%27!A0"));
    let host = at(&made.remove(0), "host");
    assert!(made.iter().all(|row| row[host] == "'=cmd|'/C calc'!A0"), "{made:?}");
}

fn at(head: &[String], name: &str) -> usize {
    head.iter().position(|known| known == name).unwrap()
}

#[test]
fn days_of_a_table_are_the_whole_table() {
    let (asked, _world, _folder) = recorded();
    for tz in ["UTC", "Pacific/Kiritimati"] {
        let days: BTreeSet<String> = rows(&asked, "costs", &format!("tz={tz}"))
            .iter()
            .map(|row| row["day"].as_str().unwrap().to_owned())
            .collect();
        assert!(days.len() > 1, "{days:?}");
        for table in ["messages", "costs", "sessions"] {
            let all = rows(&asked, table, &format!("tz={tz}"));
            let by_day: Vec<Value> =
                days.iter().flat_map(|day| rows(&asked, table, &format!("tz={tz}&day={day}"))).collect();
            let sorted = |rows: &[Value]| -> Vec<String> {
                let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
                rows.sort();
                rows
            };
            assert_eq!(sorted(&by_day), sorted(&all), "{table} {tz}");
        }
    }
    assert!(asked.refusal("/export/costs.json?day=today").contains("a date"));
    assert!(asked.refusal("/export/prompts.json").contains("`messages.csv`"));
    assert!(asked.refusal("/export/costs.json?modle=x").contains("the nearest to `modle` is `model`"));
}

#[test]
fn exported_sums_are_those_of_scan_in_every_recording_by_itself() {
    for recording in recordings() {
        let (asked, _world, _folder) = filled(|world| copy_folder(&recording.join("projects"), &world.root));
        let folder = asked.ask("");
        let messages = rows(&asked, "messages", "");
        assert_eq!(sums(&messages, messages.len() as u64), total(&folder), "{}", recording.display());
        let by_model = asked.ask("group_by=model");
        for one in by_model["rows"].as_array().unwrap() {
            let cells: Vec<Value> =
                rows(&asked, "costs", "").into_iter().filter(|cell| cell["model"] == one["model"]).collect();
            let (tokens, cost) = (row(one), sum_usd(&cells, "cost_usd"));
            assert_eq!(cost, one["cost_usd"].as_str().unwrap(), "{tokens:?}");
        }
    }
}

#[test]
fn a_file_says_what_it_is_and_comes_again_only_if_something_changed() {
    let folder = TempDir::new().unwrap();
    let projects = folder.path().join("projects");
    for recording in recordings() {
        copy_folder(&recording.join("projects"), &projects);
    }
    let daemon = Daemon::start(&projects, &folder.path().join("state"), &[]);
    daemon.metrics();
    for (file, kind) in [
        ("costs.json", "application/json"),
        ("turns.ndjson", "application/x-ndjson"),
        ("tools.csv", "text/csv; charset=utf-8; header=present"),
    ] {
        let path = format!("/api/v1/export/{file}");
        let reply = get(daemon.address, &path);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{file}");
        assert_eq!(reply.header("tailspan-schema-version"), Some("1"));
        let name = format!("attachment; filename=\"tailspan-{file}\"");
        assert_eq!(reply.header("content-disposition"), Some(name.as_str()));
        assert!(reply.body.len() > 1000, "{file}");
        let tag = reply.header("etag").unwrap().to_owned();
        let again = request(daemon.address, "GET", &path, &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{file}");
        let head = request(daemon.address, "HEAD", &path, &[], b"");
        assert_eq!((head.status, head.header("content-type")), (200, Some(kind)), "{file}");
    }
    assert_eq!(get(daemon.address, "/api/v1/export/costs").status, 400);
    let host = get(daemon.address, "/api/v1/export/costs.json").json()["rows"][0]["host"].as_str().unwrap().to_owned();
    let own = std::process::Command::new("uname").arg("-n").output().unwrap();
    assert_eq!(host, String::from_utf8(own.stdout).unwrap().trim());
}
