//! `/api/v1/analytics/costs`: every answer is what adding up all responses one by one gives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::costs::{Asked, Expected, Fact, Keys, expected, facts, filled, recorded, row, value};
use crate::support::daemon::Daemon;
use crate::support::http::request;
use crate::support::jaeger::encoded;
use crate::support::world::{Dice, World, copy_folder, recordings};

fn assert_is(answer: &Value, by: &[&str], (rows, total): &(BTreeMap<Keys, Expected>, Expected), said: &str) {
    let keys = |one: &Value| -> Keys { by.iter().map(|by| one[by].as_str().map(str::to_owned)).collect() };
    let answered: BTreeMap<Keys, _> =
        answer["rows"].as_array().unwrap().iter().map(|one| (keys(one), row(one))).collect();
    let expected: BTreeMap<Keys, _> = rows.iter().map(|(keys, sums)| (keys.clone(), sums.as_row())).collect();
    assert_eq!(answered, expected, "{said}");
    assert_eq!(answered.len(), answer["rows"].as_array().unwrap().len(), "{said}: no row twice");
    assert_eq!(row(&answer["total"]), total.as_row(), "{said}");
    assert_eq!(answer["complete"], true);
}

const GROUPS: [&str; 11] =
    ["hour", "day", "week", "month", "project", "branch", "model", "agent", "session", "workflow", "entrypoint"];
const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"];

#[test]
fn every_grouping_is_what_adding_up_one_by_one_gives() {
    let (asked, world, _folder) = recorded();
    let facts = facts(&asked.reader);
    assert!(facts.len() > 300, "{}", facts.len());
    for zone in ZONES {
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        for first in GROUPS {
            for second in GROUPS.iter().copied().filter(|second| *second != first).map(Some).chain([None]) {
                let by: Vec<&str> = [first].into_iter().chain(second).collect();
                let query = format!("group_by={}&tz={}", by.join(","), encoded(zone));
                let sums = expected(&facts, &by, tz, (None, None), |_| true, false);
                assert_is(&asked.ask(&query), &by, &sums, &query);
            }
        }
    }
    drop(world);
}

#[test]
fn every_filter_and_range_is_what_adding_up_one_by_one_gives() {
    let (asked, _world, _folder) = recorded();
    let facts = facts(&asked.reader);
    let times: Vec<Timestamp> = facts.iter().filter_map(|fact| fact.at).collect();
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let zone = ZONES[dice.below(ZONES.len())];
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        let by = [GROUPS[dice.below(GROUPS.len())]];
        let mut query = format!("group_by={}&tz={}", by[0], encoded(zone));
        // Times of responses, so that the ends of ranges are met, and a moment beside them.
        let bound = |dice: &mut Dice| {
            let at = times[dice.below(times.len())].0 + dice.below(3) as i64 - 1;
            (dice.below(3) > 0).then_some(Timestamp(at))
        };
        let (mut since, mut until) = (bound(&mut dice), bound(&mut dice));
        if since >= until && until.is_some() {
            (since, until) = (None, until);
        }
        for (name, bound) in [("since", since), ("until", until)] {
            query += &bound.map_or_else(String::new, |time| format!("&{name}={}", time.to_rfc3339()));
        }
        let example = facts[dice.below(facts.len())].clone();
        let other = facts[dice.below(facts.len())].clone();
        let name = ["project", "branch", "model", "agent", "session", "entrypoint", "origin", "tool"][dice.below(8)];
        let of = |fact: &Fact| match name {
            "origin" => fact.origin.iter().cloned().collect::<BTreeSet<_>>(),
            "tool" => fact.tools.clone(),
            _ => value(name, tz, fact, Timestamp(0)).into_iter().collect(),
        };
        let wanted: BTreeSet<String> =
            of(&example).into_iter().chain(of(&other)).chain(["nothing has this".into()]).collect();
        query.extend(wanted.iter().map(|value| format!("&{name}={}", encoded(value))));
        let takes = |fact: &Fact| {
            // A turn counts where one of its responses does, of whatever model that is.
            !of(fact).is_disjoint(&wanted)
        };
        let sums = expected(&facts, &by, tz, (since, until), takes, name == "model");
        assert_is(&asked.ask(&query), &by, &sums, &format!("seed {seed}: {query}"));
    }
}

#[test]
fn values_of_a_filter_taken_in_turn_add_up() {
    let (asked, _world, _folder) = recorded();
    let total = &asked.ask("")["total"];
    for by in ["project", "branch", "model", "agent", "session", "entrypoint"] {
        let rows = asked.ask(&format!("group_by={by}"));
        let mut messages = 0;
        for row in rows["rows"].as_array().unwrap() {
            let alone = match row[by].as_str() {
                Some(value) => asked.ask(&format!("{by}={}", encoded(value)))["total"]["messages"].as_u64().unwrap(),
                None => row["messages"].as_u64().unwrap(),
            };
            assert_eq!(alone, row["messages"].as_u64().unwrap(), "{by} {row}");
            messages += alone;
        }
        assert_eq!(messages, total["messages"].as_u64().unwrap(), "{by}");
    }
}

/// A session file of prompts and of responses of 10 input and 20 output tokens, at these times.
fn write(world: &World, session: &str, prompts: &[&str], responses: &[&str]) {
    let row = |kind: &str, number: usize, at: &str, message: Value| {
        json!({"type": kind, "uuid": format!("{session}-{kind}-{number}"), "sessionId": session, "timestamp": at,
            "cwd": "/home/dev/made", "message": message, "requestId": format!("req_{session}_{number}")})
    };
    let prompt = |(number, at): (usize, &&str)| row("user", number, at, json!({"role": "user", "content": "go"}));
    let response = |(number, at): (usize, &&str)| {
        let usage = json!({"input_tokens": 10, "output_tokens": 20});
        let id = format!("msg_01{session}{number:020}");
        let message = json!({"id": id, "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage,
            "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"});
        row("assistant", number, at, message)
    };
    let mut rows: Vec<Value> = prompts.iter().enumerate().map(prompt).collect();
    rows.extend(responses.iter().enumerate().map(response));
    rows.sort_by_key(|row| row["timestamp"].as_str().unwrap().to_owned());
    let path = world.root.join("-home-dev-made").join(format!("{session}.jsonl"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

/// The values of a column, with the responses of each row.
fn messages(answer: &Value, column: &str) -> Vec<(String, u64)> {
    let row = |row: &Value| (row[column].as_str().unwrap().to_owned(), row["messages"].as_u64().unwrap());
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

fn pairs(wanted: &[(&str, u64)]) -> Vec<(String, u64)> {
    wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn days_of_23_and_25_hours_begin_and_end_at_midnight() {
    // In Berlin clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
    let spring = [
        "2026-03-28T22:59:59.999Z",
        "2026-03-28T23:00:00.000Z",
        "2026-03-29T21:59:59.999Z",
        "2026-03-29T22:00:00.000Z",
    ];
    let autumn = [
        "2026-10-24T21:59:59.999Z",
        "2026-10-24T22:00:00.000Z",
        "2026-10-25T22:59:59.999Z",
        "2026-10-25T23:00:00.000Z",
    ];
    let hours = ["2026-10-25T00:10:00.000Z", "2026-10-25T01:10:00.000Z"];
    let (asked, _world, _folder) = filled(|world| {
        write(world, "aaaaaaaa", &["2026-03-28T22:00:00.000Z"], &spring);
        write(world, "bbbbbbbb", &["2026-10-24T21:00:00.000Z"], &[&autumn[..], &hours].concat());
    });
    let days = asked.ask("group_by=day&tz=Europe/Berlin");
    let wanted = [
        ("2026-03-28", 1),
        ("2026-03-29", 2),
        ("2026-03-30", 1),
        ("2026-10-24", 1),
        ("2026-10-25", 4),
        ("2026-10-26", 1),
    ];
    assert_eq!(messages(&days, "day"), pairs(&wanted));
    for (day, count) in wanted {
        let alone = asked.ask(&format!("since={day}&until={day}&tz=europe/berlin"));
        assert_eq!(alone["total"]["messages"], count, "{day}");
        assert_eq!(alone["tz"], "Europe/Berlin");
    }
    // The hour from 2 to 3 comes twice.
    let twice = asked.ask("group_by=hour&tz=Europe/Berlin&since=2026-10-25T00:00:00Z&until=2026-10-25T02:00:00Z");
    let wanted = [("2026-10-25T02:00:00+02:00", 1), ("2026-10-25T02:00:00+01:00", 1)];
    assert_eq!(messages(&twice, "hour"), pairs(&wanted), "in order of time");
    // 2026-03-29 is a Sunday, the last day of its ISO week.
    let weeks = asked.ask("group_by=week&tz=Europe/Berlin&until=2026-04-01");
    assert_eq!(messages(&weeks, "week"), pairs(&[("2026-W13", 3), ("2026-W14", 1)]));
}

#[test]
fn a_block_lasts_five_hours_from_the_full_hour_of_its_first_response() {
    let (mut asked, _world, _folder) = filled(|world| {
        write(
            world,
            "aaaaaaaa",
            &["2026-03-01T08:59:00.000Z"],
            &["2026-03-01T09:20:00.000Z", "2026-03-01T13:59:00.000Z", "2026-03-01T14:00:01.000Z"],
        );
        // More than five hours after the last response, within no block.
        write(
            world,
            "bbbbbbbb",
            &["2026-03-01T21:29:00.000Z"],
            &["2026-03-01T21:30:00.000Z", "2026-03-01T22:30:00.000Z"],
        );
    });
    asked.now = Timestamp::parse("2026-03-01T23:00:00.000Z").unwrap();
    let answer = asked.ask("group_by=block");
    let blocks = [("2026-03-01T09:00:00.000Z", 2), ("2026-03-01T14:00:00.000Z", 1), ("2026-03-01T21:00:00.000Z", 2)];
    assert_eq!(messages(&answer, "block"), pairs(&blocks));
    let rows = answer["rows"].as_array().unwrap();
    let turns: Vec<u64> = rows.iter().map(|row| row["turns"].as_u64().unwrap()).collect();
    assert_eq!(turns, [1, 0, 1], "a prompt just before the hour belongs to the block of its first response");
    assert_eq!(rows[0]["ended_at"], "2026-03-01T13:59:00.000Z");
    assert_eq!(rows.iter().map(|row| &row["is_active"]).collect::<Vec<_>>(), [false, false, true]);
    // 2 responses of 10 input tokens at 3 and 20 output tokens at 15 dollars a million, within an hour; 3 more are left.
    assert_eq!(rows[2]["cost_usd"], "0.00066");
    assert_eq!(rows[2]["burn_usd_per_hour"], "0.00066");
    assert_eq!(rows[2]["projected_usd"], "0.00264");
    assert_eq!((&rows[0]["projected_usd"], &rows[1]["burn_usd_per_hour"]), (&Value::Null, &Value::Null));
}

#[test]
fn pages_are_all_rows_once_in_every_order() {
    let (asked, _world, _folder) = recorded();
    for (sort, order) in [("key", "asc"), ("key", "desc"), ("cost", "asc"), ("cost", "desc"), ("tokens", "desc")] {
        let query = format!("group_by=session,model&sort={sort}&order={order}");
        let whole = asked.ask(&query)["rows"].as_array().unwrap().clone();
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = asked.ask(&format!("{query}&limit=7{cursor}"));
            rows.extend(page["rows"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(rows, whole, "{query}");
        let amount = |row: &Value| match sort {
            "cost" => Money::parse_usd(row["cost_usd"].as_str().unwrap()).unwrap().picousd(),
            _ => row["tokens"].as_object().unwrap().values().map(|kind| i128::from(kind.as_u64().unwrap())).sum(),
        };
        let is_sorted =
            |a: &Value, b: &Value| if order == "asc" { amount(a) <= amount(b) } else { amount(a) >= amount(b) };
        assert!(sort == "key" || whole.is_sorted_by(is_sorted), "{query}");
    }
}

#[test]
fn wrong_parameters_are_refused_with_what_is_right() {
    let (asked, _world, _folder) = filled(|_| {});
    for (query, detail) in [
        ("group_by=dya", "one of `hour`, `day`"),
        ("group_by=day,day", "twice"),
        ("group_by=day,model,agent", "twice at most"),
        ("tz=Berlin", "Europe/Berlin"),
        ("since=yesterday", "a date (2026-01-31)"),
        ("since=2026-01-02&until=2026-01-01", "`since` must be before `until`"),
        ("limit=0", "from 1 to 1000"),
        ("cursor=00", "next_cursor"),
        ("projekt=a", "the nearest to `projekt` is `project`"),
        (
            "xyzzy=a&grop_by=day",
            "unknown: `xyzzy`, `grop_by`; the nearest to `grop_by` is `group_by`; this route takes",
        ),
    ] {
        let refusal = asked.refusal(&format!("/costs?{query}"));
        assert!(refusal.contains(detail), "{query}: {refusal}");
    }
    let empty = asked.ask("");
    assert_eq!((&empty["rows"], &empty["group_by"]), (&json!([]), &json!(["day"])));
    assert_eq!((&empty["total"]["cost_usd"], &empty["next_cursor"]), (&json!("0"), &Value::Null));
}

#[test]
fn a_client_that_has_the_answer_is_told_so_until_something_is_committed() {
    let folder = TempDir::new().unwrap();
    let (projects, state) = (folder.path().join("projects"), folder.path().join("state"));
    let recording = recordings().into_iter().find(|path| path.ends_with("2.1.330/b_tools")).unwrap();
    copy_folder(&recording.join("projects"), &projects);
    let mut daemon = Daemon::start(&projects, &state, &[]);
    daemon.wait_for_log("the first scan is complete");
    let path = "/api/v1/analytics/costs?group_by=model";
    let ask = |tag: &str| request(daemon.address, "GET", path, &[("if-none-match", tag)], b"");
    let first = ask("\"another\"");
    assert_eq!(first.status, 200);
    let tag = first.header("etag").unwrap().to_owned();
    let again = ask(&tag);
    assert_eq!((again.status, again.text(), again.header("etag")), (304, "", Some(&*tag)));
    assert_eq!(ask(&format!("\"x\", W/{tag}")).status, 304);
    // The answer about patterns also depends on the settings of the client.
    let patterns =
        |tag: &str| request(daemon.address, "GET", "/api/v1/analytics/patterns", &[("if-none-match", tag)], b"");
    let told = patterns("\"another\"").header("etag").unwrap().to_owned();
    assert_eq!(patterns(&told).status, 304);
    std::fs::write(folder.path().join("settings.json"), "{\"cleanupPeriodDays\": 60}").unwrap();
    assert_eq!(patterns(&told).status, 200);
    let other = recordings().into_iter().find(|path| path.ends_with("2.1.330/d_failing")).unwrap();
    copy_folder(&other.join("projects"), &projects);
    let later =
        daemon.until("what was appended is in the answer", || Some(ask(&tag)).filter(|later| later.status == 200));
    let daemon_now = daemon.until("both sessions are in the answer", || {
        let now = ask("\"another\"").json();
        (now["total"]["sessions"] == 2).then_some(now)
    });
    assert_ne!(later.header("etag"), Some(&*tag));
    assert!(daemon_now["total"]["messages"].as_u64() > first.json()["total"]["messages"].as_u64());
    daemon.stop();
}

#[test]
fn what_is_kept_in_memory_is_what_is_loaded_anew() {
    for seed in 0..6 {
        let folder = TempDir::new().unwrap();
        let mut world = World::new(folder.path());
        for recording in recordings() {
            copy_folder(&recording.join("projects"), &world.root);
        }
        let kept = Asked::of(&world);
        let mut dice = Dice::new(seed);
        for step in 0..12 {
            let pieces = if step == 11 { usize::MAX } else { dice.below(20) };
            world.read(&mut dice, pieces);
            world.settle();
            let fresh = Asked::of(&world);
            for query in ["group_by=session,model", "group_by=block", "group_by=branch,agent", "group_by=day&tool=Bash"]
            {
                assert_eq!(kept.ask(query), fresh.ask(query), "seed {seed} step {step}: {query}");
            }
            assert_eq!(kept.sessions("limit=1000"), fresh.sessions("limit=1000"), "seed {seed} step {step}");
        }
        assert!(kept.sessions("")["total"].as_u64() > Some(40));
    }
}

#[test]
fn amounts_beyond_32_bits_are_exact() {
    let (asked, _world, _folder) = filled(|world| {
        let row = |number: u32, model: &str, second: u32| {
            json!({"type": "assistant", "uuid": format!("large-{number}"), "sessionId": "large", "cwd": "/home/dev/made",
                "timestamp": format!("2026-03-01T12:00:{second:02}.000Z"), "requestId": format!("req_{number}"),
                "message": {"id": format!("msg_01large{number:020}"), "role": "assistant", "model": model,
                    "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn",
                    "usage": {"input_tokens": 9_000_000_000u64, "output_tokens": 1}}})
        };
        let rows =
            [row(1, "claude-sonnet-4-5", 10), row(2, "claude-sonnet-4-5", 20), row(3, "claude-unheard-of-9", 30)];
        let path = world.root.join("-home-dev-made/large.jsonl");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    });
    for window in ["", "&since=2026-03-01T12:00:05Z"] {
        let answer = asked.ask(&format!("group_by=model{window}"));
        let sums: Vec<_> = answer["rows"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(sums.iter().map(|sums| sums.0).collect::<Vec<_>>(), [2, 1], "{window}");
        assert_eq!(sums.iter().map(|sums| &sums.3["input"]).collect::<Vec<_>>(), [18_000_000_000u64, 9_000_000_000]);
        assert_eq!((sums[0].5, sums[1].5), (0, 9_000_000_001), "{window}");
        // 6 dollars a million above 200,000 tokens, and 22.50 for output.
        assert_eq!(sums[0].4, "108000.000045", "{window}");
    }
}
