//! `/api/v1/analytics/tools/usage`: every answer is what adding up all calls one by one gives.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::sketch::{ERROR, Sketch};
use tailspan::views::traces::ids::{EXECUTE_TOOL, TraceId, span_id};

use crate::support::calls::{OneCall, calls, expected, rows};
use crate::support::costs::{filled, recorded};
use crate::support::jaeger::encoded;
use crate::support::world::{Dice, World};

const GROUPS: [&str; 5] = ["day", "week", "month", "project", "agent"];
const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "Pacific/Kiritimati"];
const ALWAYS: &str = "since=2000-01-01";

#[test]
fn every_grouping_is_what_adding_up_one_by_one_gives() {
    let (asked, _world, _folder) = recorded();
    let calls = calls(&asked.reader);
    assert!(calls.len() > 100, "{}", calls.len());
    let all: Vec<&OneCall> = calls.iter().collect();
    for zone in ZONES {
        let tz = zone.parse().unwrap();
        let groups = GROUPS.iter().flat_map(|first| {
            let second = GROUPS.iter().filter(move |second| *second != first).map(Some).chain([None]);
            second.map(move |second| [*first].into_iter().chain(second.copied()).collect::<Vec<_>>())
        });
        for by in groups.chain([Vec::new()]) {
            let named: String = by.iter().map(|by| format!("&group_by={by}")).collect();
            let query = format!("/tools?{ALWAYS}&tz={}{named}", encoded(zone));
            let answer = asked.answer(&query);
            assert_eq!(rows(&answer, &by), expected(&all, &by, tz), "{query}");
            let total = answer["total"].as_object().unwrap();
            for (name, sum) in total {
                let added: u64 =
                    answer["tools"].as_array().unwrap().iter().map(|row| row[name].as_u64().unwrap()).sum();
                assert_eq!(Some(added), sum.as_u64(), "{query}: {name}");
            }
        }
    }
}

#[test]
fn every_filter_and_range_is_what_adding_up_one_by_one_gives() {
    let (asked, _world, _folder) = recorded();
    let calls = calls(&asked.reader);
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let example = |dice: &mut Dice| calls[dice.below(calls.len())].clone();
        let bound = |dice: &mut Dice| Timestamp(example(dice).at.0 + dice.below(3) as i64 - 1);
        let (since, until) = (bound(&mut dice), bound(&mut dice));
        let (since, until) = (since.min(until), Timestamp(until.max(since).0 + 1));
        let by = ["tool", "project", "branch", "entrypoint", "agent", "origin", "model", "session"][dice.below(8)];
        let wanted: BTreeSet<Option<String>> =
            [example(&mut dice), example(&mut dice)].iter().map(|call| call.value(by, chrono_tz::UTC)).collect();
        let named: String = wanted.iter().flatten().map(|value| format!("&{by}={}", encoded(value))).collect();
        let query = format!("/tools?since={}&until={}{named}", since.to_rfc3339(), until.to_rfc3339());
        let takes = |call: &&OneCall| {
            call.at >= since
                && call.at < until
                && (named.is_empty() || wanted.contains(&call.value(by, chrono_tz::UTC).or(Some("?".into()))))
        };
        let taken: Vec<&OneCall> = calls.iter().filter(takes).collect();
        let answer = asked.answer(&query);
        assert_eq!(rows(&answer, &[]), expected(&taken, &[], chrono_tz::UTC), "seed {seed}: {query}");
        // The trend is the same question about as long a time before.
        let length = until.0 - since.0;
        let before =
            format!("/tools?since={}&until={}{named}", Timestamp(since.0 - length).to_rfc3339(), since.to_rfc3339());
        let before = asked.answer(&before);
        assert_eq!(answer["previous_until"], json!(since.to_rfc3339()));
        for row in answer["tools"].as_array().unwrap() {
            let earlier = before["tools"].as_array().unwrap().iter().find(|earlier| earlier["tool"] == row["tool"]);
            let told = earlier.map_or(Value::Null, |earlier| {
                let took = &earlier["duration_seconds"];
                json!({"calls": earlier["calls"], "failure_ratio": earlier["failure_ratio"], "p50": took["p50"],
                    "p95": took["p95"]})
            });
            assert_eq!(row["previous"], told, "seed {seed}: {query}");
        }
    }
}

#[test]
fn the_slowest_calls_lead_to_the_replay_and_to_their_spans() {
    let (asked, _world, _folder) = recorded();
    let calls = calls(&asked.reader);
    let answer = asked.answer(&format!("/tools?{ALWAYS}"));
    let mut links = 0;
    for row in answer["tools"].as_array().unwrap() {
        let slowest = row["slowest"].as_array().unwrap();
        let of_tool = calls.iter().filter(|call| call.tool == row["tool"].as_str().unwrap());
        let mut took: Vec<u64> = of_tool.filter_map(|call| call.took_ms).collect();
        took.sort_unstable_by(|a, b| b.cmp(a));
        took.truncate(5);
        let told: Vec<f64> = slowest.iter().map(|slow| slow["duration_seconds"].as_f64().unwrap()).collect();
        assert_eq!(told, took.iter().map(|took| *took as f64 / 1000.0).collect::<Vec<_>>(), "{row}");
        for slow in slowest {
            let session = slow["session"].as_str().unwrap();
            let replay = asked.answer(&format!("/sessions/{session}/replay?from={}&limit=1", slow["event"]));
            let event = &replay["events"][0];
            assert_eq!((&event["kind"], &event["turn"]), (&json!("tool_result"), &slow["turn"]), "{slow}");
            assert_eq!(
                (&event["duration_seconds"], &event["outcome"]),
                (&slow["duration_seconds"], &slow["outcome"]),
                "{slow}"
            );
            let detail = asked.answer(&format!("/sessions/{session}"));
            assert!(detail["trace_ids"].as_array().unwrap().contains(&slow["trace_id"]), "{slow}");
            let trace = TraceId(u128::from_str_radix(slow["trace_id"].as_str().unwrap(), 16).unwrap());
            let call = event["detail"]["tool_call_id"].as_str().or(event["tool_call_id"].as_str()).unwrap();
            assert_eq!(span_id(trace, EXECUTE_TOOL, call).to_string(), slow["span_id"].as_str().unwrap(), "{slow}");
            let own = calls.iter().find(|one| one.id == call).unwrap();
            assert_eq!(own.at.to_rfc3339(), slow["at"].as_str().unwrap());
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

#[test]
fn pages_are_all_rows_once_in_every_order() {
    let (asked, _world, _folder) = recorded();
    for sort in ["calls", "failed", "duration", "p95", "bytes", "critical_path"] {
        for order in ["asc", "desc"] {
            let query = format!("/tools?{ALWAYS}&group_by=project&group_by=day&sort={sort}&order={order}");
            let whole = asked.answer(&query)["tools"].as_array().unwrap().clone();
            let (mut rows, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = asked.answer(&format!("{query}&limit=3{cursor}"));
                rows.extend(page["tools"].as_array().unwrap().iter().cloned());
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(rows, whole, "{query}");
            let amount = |row: &Value| match sort {
                "duration" => row["duration_seconds"]["sum"].as_f64(),
                "p95" => row["duration_seconds"]["p95"].as_f64(),
                "bytes" => row["result_bytes"]["sum"].as_f64(),
                "critical_path" => row["critical_path_seconds"].as_f64(),
                _ => row[sort].as_f64(),
            };
            let in_order =
                |a: &Value, b: &Value| if order == "asc" { amount(a) <= amount(b) } else { amount(a) >= amount(b) };
            assert!(whole.is_sorted_by(in_order), "{query}");
        }
    }
}

/// Writes a session of these rows.
fn write(world: &World, session: &str, rows: &[Value]) {
    let path = world.root.join("-home-dev-made").join(format!("{session}.jsonl"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let line = |(number, row): (usize, &Value)| {
        let mut row = row.clone();
        row["uuid"] = json!(format!("{session}-{number}"));
        row["sessionId"] = json!(session);
        row["cwd"] = json!("/home/dev/made");
        format!("{row}\n")
    };
    std::fs::write(path, rows.iter().enumerate().map(line).collect::<String>()).unwrap();
}

fn response(at: &str, number: u32, prompt: u64, content: &Value) -> Value {
    json!({"type": "assistant", "timestamp": at, "requestId": format!("req_{number}"), "message": {
        "id": format!("msg_01{number:022}"), "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "tool_use",
        "content": [content], "usage": {"input_tokens": 0, "cache_read_input_tokens": prompt, "output_tokens": 100}}})
}

#[test]
fn a_result_is_carried_until_the_conversation_is_compacted() {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "Read", "input": {}});
    let result = |at: &str, id: &str, bytes: usize| {
        json!({"type": "user", "timestamp": at, "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": "x".repeat(bytes)}]}})
    };
    let (asked, _world, _folder) = filled(|world| {
        write(
            world,
            "carried",
            &[
                json!({"type": "user", "timestamp": "2026-11-01T10:00:00.000Z", "message": {"role": "user", "content": "go"}}),
                response("2026-11-01T10:00:05.000Z", 1, 1_000, &call("toolu_a")),
                result("2026-11-01T10:00:06.000Z", "toolu_a", 30_000),
                // 10,000 tokens more than the prompt and the answer before: a token of these results has 3 bytes.
                response("2026-11-01T10:00:10.000Z", 2, 11_100, &call("toolu_b")),
                result("2026-11-01T10:00:11.000Z", "toolu_b", 3_000),
                response("2026-11-01T10:00:15.000Z", 3, 12_200, &json!({"type": "text", "text": "done"})),
                json!({"type": "system", "subtype": "compact_boundary", "timestamp": "2026-11-01T10:01:00.000Z",
                    "content": "Conversation compacted",
                    "compactMetadata": {"trigger": "manual", "preTokens": 12_300, "postTokens": 500}}),
                json!({"type": "user", "timestamp": "2026-11-01T10:02:00.000Z", "message": {"role": "user", "content": "on"}}),
                response("2026-11-01T10:02:05.000Z", 4, 600, &json!({"type": "text", "text": "done"})),
            ],
        );
    });
    let answer = asked.answer(&format!("/tools?{ALWAYS}"));
    let row = &answer["tools"][0];
    assert_eq!((&row["tool"], &row["calls"]), (&json!("Read"), &json!(2)));
    // The first result is in two prompts, the second in one, and neither in that after the compaction. Cached input of
    // this model costs 0.30 dollars a million: (10,000 * 2 + 1,000) * 0.3e-6.
    assert_eq!(
        row["context"],
        json!({"tokens_estimate": 11_000, "carried_tokens_estimate": 21_000, "carry_cost_usd_estimate": "0.0063"})
    );
}

#[test]
fn calls_of_the_same_time_and_length_lead_to_their_own_spans() {
    let calls = [("toolu_a", "Bash"), ("toolu_b", "Read")];
    let content: Vec<Value> =
        calls.iter().map(|(id, name)| json!({"type": "tool_use", "id": id, "name": name, "input": {}})).collect();
    let results: Vec<Value> =
        calls.iter().map(|(id, _)| json!({"type": "tool_result", "tool_use_id": id, "content": "x"})).collect();
    let (asked, _world, _folder) = filled(|world| {
        let mut both = response("2026-11-01T10:00:05.000Z", 1, 1_000, &Value::Null);
        both["message"]["content"] = json!(content);
        let user = |at: &str, content: Value| json!({"type": "user", "timestamp": at, "message": {"role": "user", "content": content}});
        let (prompt, ended) = ("2026-11-01T10:00:00.000Z", "2026-11-01T10:00:06.000Z");
        write(world, "together", &[user(prompt, json!("go")), both, user(ended, json!(results))]);
    });
    for (id, name) in calls {
        let answer = asked.answer(&format!("/tools?{ALWAYS}&tool={name}"));
        let slow = &answer["tools"][0]["slowest"][0];
        let replay = asked.answer(&format!("/sessions/together/replay?from={}&limit=1", slow["event"]));
        assert_eq!((&replay["events"][0]["tool"], &replay["events"][0]["tool_call_id"]), (&json!(name), &json!(id)));
    }
}

#[test]
fn the_share_of_the_path_is_of_all_turns_whoever_made_the_calls() {
    let (asked, _world, _folder) = recorded();
    let of_agents = asked.answer(&format!("/tools?{ALWAYS}&agent=general-purpose&agent=Explore&agent=unknown"));
    let rows = of_agents["tools"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["critical_path_share"].is_number()), "{rows:?}");
}

#[test]
fn a_question_without_a_beginning_is_about_thirty_days() {
    let (mut asked, _world, _folder) = recorded();
    asked.now = Timestamp::parse("2026-12-01T10:00:30.000Z").unwrap();
    let answer = asked.answer("/tools");
    assert_eq!(answer["since"], json!("2026-11-01T10:00:00.000Z"));
    assert_eq!((&answer["until"], &answer["previous_until"]), (&Value::Null, &answer["since"]));
}

#[test]
fn wrong_parameters_are_refused_with_what_is_right() {
    let (asked, _world, _folder) = filled(|_| {});
    for (query, detail) in [
        ("group_by=dya", "one of `day`"),
        ("group_by=day&group_by=day", "twice with the same value"),
        ("group_by=day&group_by=week&group_by=agent", "twice at most"),
        ("sort=dura", "one of `calls`"),
        ("tols=Bash", "the nearest to `tols` is `tool`"),
    ] {
        let refusal = asked.refusal(&format!("/tools?{query}"));
        assert!(refusal.contains(detail), "{query}: {refusal}");
    }
    let empty = asked.answer("/tools");
    assert_eq!((&empty["tools"], &empty["total"]["calls"], &empty["complete"]), (&json!([]), &json!(0), &json!(true)));
}

#[test]
fn quantiles_are_off_by_a_hundredth_at_most() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (count, most) = (dice.below(4), dice.below(5));
        let count = 1 + dice.below([10, 2_048, 2_049, 20_000][count]);
        let most = [1, 50, 1_000, 1 << 20, u32::MAX as usize][most];
        let numbers: Vec<u32> = (0..count).map(|_| dice.below(most) as u32).collect();
        let mut sketch = Sketch::default();
        numbers.iter().for_each(|number| sketch.add(*number));
        let mut sorted = numbers;
        sorted.sort_unstable();
        let parts = [1, 50, 90, 95, 99, 100];
        for (part, told) in parts.iter().zip(sketch.quantiles(parts).unwrap()) {
            let exact = sorted[(sorted.len() * *part as usize).div_ceil(100) - 1];
            let off = (f64::from(told) - f64::from(exact)).abs();
            assert!(off <= ERROR * f64::from(exact), "seed {seed}, {part} %: {told} for {exact}");
            assert!(count > 2_048 || off == 0.0, "few numbers are exact");
        }
        assert_eq!(sketch.sum(), sorted.iter().map(|number| u64::from(*number)).sum::<u64>());
        assert_eq!((sketch.count(), sketch.max()), (count as u64, sorted.last().copied()));
    }
    assert!(Sketch::default().quantiles([50]).is_none() && ERROR <= 0.01);
}
