//! Cursors that step through a session, held against the pages of its replay.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::replay_steps::{ALL, B_TOOLS, events, sessions, without};
use crate::support::analytics::{World, answer, prompt, text};
use crate::support::http::{Reply, assert_problem, request};
use crate::support::world::Dice;

/// Moves a cursor of a session.
fn moved(world: &World, session: &str, body: &Value) -> Reply {
    let path = format!("/api/v1/analytics/sessions/{session}/replay");
    let headers = [("Content-Type", "application/json")];
    request(world.address(), "POST", &path, &headers, body.to_string().as_bytes())
}

fn fine(world: &World, session: &str, body: &Value) -> Value {
    let reply = moved(world, session, body);
    let status = if body["action"] == "open" { 201 } else { 200 };
    assert_eq!(reply.status, status, "{body}: {}", reply.text());
    reply.json()
}

#[test]
fn a_cursor_walks_forth_and_back_over_the_events_of_the_pages() {
    for session in sessions(&ALL).iter().step_by(3) {
        let pages = events(&ALL, session, "&context=true");
        let opened = fine(&ALL, session, &json!({"action": "open"}));
        let (cursor, total) = (opened["cursor"].clone(), pages.len());
        assert_eq!((&opened["position"], &opened["total"]), (&0.into(), &total.into()));
        let mut forth = vec![opened];
        for position in 1..=total + 1 {
            let here = fine(&ALL, session, &json!({"action": "step", "cursor": cursor}));
            assert_eq!(here["position"], position.min(total), "it stays behind the last");
            forth.push(here);
        }
        for (event, here) in pages.iter().zip(&forth) {
            assert_eq!((&here["event"], &here["state"]), (&without(event, "state"), &event["state"]));
        }
        assert_eq!((&forth[total]["event"], &forth[total + 1]["event"]), (&Value::Null, &Value::Null));
        if let Some(last) = pages.last() {
            assert_eq!(forth[total]["state"], last["state"]);
        }
        for position in (0..total).rev() {
            let here = fine(&ALL, session, &json!({"action": "back", "cursor": cursor}));
            assert_eq!(without(&here, "expires_at"), without(&forth[position], "expires_at"));
        }
        for _ in 0..2 {
            let here = fine(&ALL, session, &json!({"action": "back", "cursor": cursor}));
            assert_eq!((&here["position"], &here["event"]), (&(-1).into(), &Value::Null));
            assert_eq!((&here["state"]["turn"], &here["state"]["cost_usd_so_far"]), (&Value::Null, &"0".into()));
        }
        let first = fine(&ALL, session, &json!({"action": "step", "cursor": cursor}));
        assert_eq!(first["position"], 0);
    }
}

#[test]
fn a_cursor_seeks_by_position_time_kind_and_text() {
    let mut dice = Dice::new(17);
    for session in sessions(&ALL) {
        let pages = events(&ALL, &session, "&context=true");
        let total = pages.len() as i64;
        let cursor = fine(&ALL, &session, &json!({"action": "open"}))["cursor"].clone();
        let seek = |to: Value| fine(&ALL, &session, &json!({"action": "seek", "cursor": cursor, "to": to}));
        let at = |position: i64, here: &Value| {
            assert_eq!(here["position"], position);
            let event = usize::try_from(position).ok().and_then(|position| pages.get(position));
            assert_eq!(here["event"], event.map_or(Value::Null, |event| without(event, "state")));
            if let Some(event) = event {
                assert_eq!(here["state"], event["state"]);
            }
        };
        for _ in 0..4 {
            let position = dice.below(pages.len() + 1) as i64;
            at(position, &seek(json!({"index": position})));
        }
        at(-1, &seek(json!({"index": -1})));
        at(total, &seek(json!({"index": total + 99})));
        let time = text(&pages[pages.len() / 2]["at"]);
        let first = pages.iter().position(|event| text(&event["at"]) >= time).unwrap();
        at(first as i64, &seek(json!({"at": time})));
        let is = |event: &Value, landmark: &str| match landmark {
            "tool" => event["kind"] == "tool_call",
            "error" => event["kind"] == "api_error" || event["kind"] == "tool_result" && event["outcome"] == "failed",
            "prompt" => event["kind"] == "prompt",
            "agent" => event["kind"] == "subagent_start",
            _ => event["kind"] == "compaction",
        };
        for landmark in ["tool", "error", "prompt", "agent", "compaction"] {
            let all: Vec<i64> = (0..).zip(&pages).filter(|(_, event)| is(event, landmark)).map(|(at, _)| at).collect();
            seek(json!({"index": -1}));
            for position in &all {
                at(*position, &seek(json!({"next": landmark})));
            }
            at(total, &seek(json!({"next": landmark})));
            for position in all.iter().rev() {
                at(*position, &seek(json!({"previous": landmark})));
            }
            at(-1, &seek(json!({"previous": landmark})));
        }
    }
    let hits = events(&ALL, B_TOOLS, "&q=file");
    assert!(hits.len() > 2);
    let opened = fine(&ALL, B_TOOLS, &json!({"action": "open", "to": {"text": "file"}}));
    assert_eq!(opened["event"]["index"], hits[0]["index"]);
    let body = json!({"action": "seek", "cursor": opened["cursor"], "to": {"text": "file"}});
    assert_eq!(fine(&ALL, B_TOOLS, &body)["position"], hits[1]["index"]);
    let body = json!({"action": "seek", "cursor": opened["cursor"], "to": {"text": "absolutely-nowhere"}});
    assert_eq!(fine(&ALL, B_TOOLS, &body)["position"], fine(&ALL, B_TOOLS, &body)["total"]);
}

#[test]
fn a_cursor_goes_on_where_a_growing_session_goes_on() {
    let mut world = World::empty();
    let rows = [prompt("grows", 0, "one"), answer("grows", 1, "msg_1", json!([{"type": "text", "text": "yes"}]))];
    world.write("grows", &rows);
    world.count();
    let cursor = fine(&world, "grows", &json!({"action": "open"}))["cursor"].clone();
    let step = |world: &World, action: &str| fine(world, "grows", &json!({"action": action, "cursor": cursor}));
    assert_eq!(step(&world, "step")["position"], 1);
    assert_eq!(step(&world, "step")["position"], 2);
    // The same session in a further file: the session grows.
    let more = [prompt("grows", 10, "two"), answer("grows", 11, "msg_2", json!([{"type": "text", "text": "no"}]))];
    let path = world.projects.join("-home-dev-other");
    fs::create_dir_all(&path).unwrap();
    let text: String = more.iter().map(|row| format!("{row}\n")).collect();
    fs::write(path.join("grows.jsonl"), text).unwrap();
    world.count();
    let next = step(&world, "step");
    assert_eq!((&next["position"], &next["total"], &next["event"]["kind"]), (&2.into(), &4.into(), &"prompt".into()));
    assert_eq!(step(&world, "back")["position"], 1);
    assert_eq!(step(&world, "step")["event"], next["event"]);
}

#[test]
fn a_cursor_is_refused_once_it_is_gone() {
    let open = || text(&fine(&ALL, B_TOOLS, &json!({"action": "open"}))["cursor"]).to_owned();
    let gone = |session: &str, cursor: &str, action: &str| {
        assert_problem(&moved(&ALL, session, &json!({"action": action, "cursor": cursor})), 410, "there is no cursor");
    };
    let first = open();
    assert_eq!(fine(&ALL, B_TOOLS, &json!({"action": "close", "cursor": first}))["position"], 0);
    gone(B_TOOLS, &first, "step");
    gone(B_TOOLS, "made-up", "reset");
    let other = open();
    gone("4a8d9d51", &other, "step");
    assert_eq!(fine(&ALL, B_TOOLS, &json!({"action": "reset", "cursor": other}))["position"], 0);
    let bad = |body: &str, detail: &str| {
        let path = format!("/api/v1/analytics/sessions/{B_TOOLS}/replay");
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        assert_problem(&request(ALL.address(), "POST", &path, &headers, body.as_bytes()), 400, detail);
    };
    let at = |to: &str| {
        let body = format!(r#"{{"action": "seek", "cursor": "{other}", "to": {{"index": {to}}}}}"#);
        fine(&ALL, B_TOOLS, &serde_json::from_str(&body).unwrap())["position"].clone()
    };
    let max = i64::MAX.to_string();
    assert_eq!((at("2.0"), at("-99"), at(&max)), (2.into(), (-1).into(), events(&ALL, B_TOOLS, "").len().into()));
    bad(&format!(r#"{{"action": "seek", "cursor": "{other}", "to": {{"index": 1.5}}}}"#), "the body cannot be read");
    bad(&format!(r#"{{"action": "seek", "cursor": "{other}", "to": {{"index": 1e300}}}}"#), "the body cannot be read");
    bad("", "the body cannot be read");
    bad(r#"{"action": "jump"}"#, "unknown variant `jump`");
    bad(r#"{"action": "step"}"#, "missing field `cursor`");
    bad(r#"{"action": "step", "cursor": "x", "to": {"index": 1}}"#, "unknown field `to`");
    bad(
        &format!(r#"{{"action": "seek", "cursor": "{other}", "to": {{"at": "noon"}}}}"#),
        "`at` takes a time in RFC 3339",
    );
    assert_problem(&moved(&ALL, "nobody", &json!({"action": "open"})), 404, "session nobody");
}

#[test]
fn a_move_of_another_site_another_type_or_another_size_is_refused() {
    let path = format!("/api/v1/analytics/sessions/{B_TOOLS}/replay");
    let post = |headers: &[(&str, &str)], body: &[u8]| request(ALL.address(), "POST", &path, headers, body);
    let body = br#"{"action": "open"}"#;
    let json = ("Content-Type", "application/json");
    assert_eq!(post(&[json], body).status, 201);
    assert_eq!(post(&[json, ("Origin", "http://127.0.0.1")], body).status, 201);
    assert_problem(&post(&[json, ("Origin", "http://evil.example")], body), 403, "from another site");
    assert_problem(&post(&[], body), 415, "must be `application/json`");
    assert_problem(&post(&[("Content-Type", "text/plain")], body), 415, "must be `application/json`");
    assert_problem(&post(&[json], &[b' '; 20_000]), 413, "16384 bytes at most");
}

#[test]
fn cursors_are_kept_for_ten_minutes_and_a_thousand_of_them() {
    let world = World::of(&["2.1.330/b_tools"]);
    let open = || {
        let opened = fine(&world, B_TOOLS, &json!({"action": "open"}));
        (text(&opened["cursor"]).to_owned(), text(&opened["expires_at"]).to_owned())
    };
    let status = |cursor: &str| moved(&world, B_TOOLS, &json!({"action": "step", "cursor": cursor})).status;
    let (used, until) = open();
    let (unused, _) = open();
    assert_eq!(until, "2027-01-01T00:10:00.000Z");
    world.pass(9 * 60_000);
    let step = fine(&world, B_TOOLS, &json!({"action": "step", "cursor": used}));
    assert_eq!(step["expires_at"], "2027-01-01T00:19:00.000Z");
    world.pass(60_000);
    assert_eq!((status(&used), status(&unused)), (200, 410), "each move puts the end off");
    world.pass(10 * 60_000);
    assert_eq!(status(&used), 410);

    let cursors: Vec<String> = (0..1000).map(|_| open().0).collect();
    assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), 1000);
    assert_eq!(status(&cursors[0]), 200);
    let (last, _) = open();
    assert_eq!((status(&cursors[0]), status(&cursors[1]), status(&last)), (410, 200, 200), "the oldest goes first");
}
