//! The analytics API over real sockets: the list of sessions, and one session with its parts.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::analytics::{World, answer, at, prompt, text};
use crate::support::http::assert_problem;

/// Every recording of the newest client; nobody changes it.
static RECORDED: LazyLock<World> = LazyLock::new(|| World::of(&["2.1.330"]));

const SORTS: [&str; 7] = ["started", "ended", "cost", "tokens", "messages", "turns", "duration"];

fn ids(list: &Value) -> Vec<String> {
    list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

fn milliseconds(value: &Value) -> i64 {
    tailspan::transcript::time::Timestamp::parse(text(value)).unwrap().0
}

/// A session's value of a sort, worked out from its line in the list. Money as picodollars.
fn sort_value(session: &Value, sort: &str) -> i128 {
    let (started, ended) = (milliseconds(&session["started_at"]), milliseconds(&session["ended_at"]));
    match sort {
        "started" => started.into(),
        "ended" => ended.into(),
        "duration" => (ended - started).into(),
        "cost" => tailspan::ledger::money::Money::parse_usd(text(&session["cost_usd"])).unwrap().picousd(),
        "tokens" => {
            session["tokens"].as_object().unwrap().values().map(|kind| i128::from(kind.as_u64().unwrap())).sum()
        }
        other => session[other].as_u64().unwrap().into(),
    }
}

/// The sessions of a list without the addresses of their pages and whom they wait for, which only a server has.
fn without_pages(list: &Value) -> Value {
    let mut sessions = list["sessions"].clone();
    for session in sessions.as_array_mut().unwrap() {
        let page = session.as_object_mut().unwrap().remove("page").unwrap();
        // What a session does at this moment, no scan can tell.
        assert_eq!(session.as_object_mut().unwrap().remove("runaway"), Some(Value::Null));
        assert_eq!(page, format!("/sessions/{}", text(&session["id"])));
        assert_eq!(session.as_object_mut().unwrap().remove("waiting"), Some(Value::Null));
    }
    sessions
}

#[test]
fn the_list_says_what_a_scan_of_the_same_files_says() {
    let (list, scanned) = (RECORDED.json("?sort=started&order=asc&limit=1000"), RECORDED.scanned());
    assert_eq!(without_pages(&list), scanned["session_list"]);
    assert_eq!(list["total"], scanned["sessions"]);
    assert!(list["total"].as_u64().unwrap() > 40);
    assert_eq!(list["next_cursor"], Value::Null);
    assert_eq!(list["currency"], "USD");
}

#[test]
fn every_sort_is_in_order_and_its_pages_hold_each_session_once() {
    for sort in SORTS {
        for order in ["asc", "desc"] {
            let whole = RECORDED.json(&format!("?sort={sort}&order={order}&limit=1000"));
            let values: Vec<i128> =
                whole["sessions"].as_array().unwrap().iter().map(|session| sort_value(session, sort)).collect();
            let sorted = if order == "asc" { values.is_sorted() } else { values.iter().rev().is_sorted() };
            assert!(sorted, "{sort} {order}: {values:?}");
            assert!(values.first() != values.last(), "{sort} tells sessions apart");

            let (mut paged, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = RECORDED.json(&format!("?sort={sort}&order={order}&limit=7&cursor={cursor}"));
                assert_eq!(page["total"], whole["total"]);
                paged.extend(ids(&page));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
                assert_eq!(page["sessions"].as_array().unwrap().len(), 7);
                assert!(paged.len() < 1000, "paging ends");
            }
            assert_eq!(paged, ids(&whole), "{sort} {order}");
            let full = RECORDED.json(&format!("?sort={sort}&order={order}&limit={}", paged.len()));
            assert_eq!(full["next_cursor"], Value::Null, "nothing behind a page that is just full");
        }
    }
}

#[test]
fn the_newest_hundred_come_without_any_parameter() {
    assert_eq!(ids(&RECORDED.json("")), ids(&RECORDED.json("?sort=ended&order=desc&limit=100")));
    let world = World::empty();
    for number in 0..101 {
        let session = format!("session-{number:03}");
        world.write(&session, &[prompt(&session, number, "hello")]);
    }
    let mut world = world;
    world.count();
    let list = world.json("");
    assert_eq!((ids(&list).len(), &list["total"]), (100, &Value::from(101)));
    assert_eq!(ids(&list)[0], "session-100");
    assert!(list["next_cursor"].is_string());
}

#[test]
fn sessions_that_come_in_front_do_not_shift_the_next_page() {
    let mut world = World::of(&["2.1.330/g_resume", "2.1.330/b_tools"]);
    let first = world.json("?sort=started&limit=2");
    let rest = format!("?sort=started&limit=2&cursor={}", text(&first["next_cursor"]));
    let before = ids(&world.json(&rest));
    world.record("2.1.330/e6_subagent_sync");
    world.count();
    let newest = ids(&world.json("?sort=started&limit=1"));
    assert!(!ids(&first).contains(&newest[0]), "the new session is the first now");
    assert_eq!(ids(&world.json(&rest)), before);
    assert_eq!(before.len(), 2);
}

#[test]
fn a_project_and_a_model_are_matched_whole() {
    let all = RECORDED.json("?limit=1000");
    let of = |keep: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        all["sessions"].as_array().unwrap().iter().filter(|s| keep(s)).map(|s| text(&s["id"]).to_owned()).collect()
    };
    let filtered = |query: &str| ids(&RECORDED.json(query)).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(filtered("?project=g-resume&limit=1000"), of(&|session| session["project"] == "g-resume"));
    assert_eq!(filtered("?project=g-resume").len(), 3);
    assert_eq!(filtered("?project=g-resum").len(), 0);
    let opus = "claude-opus-4-8";
    let with_opus = of(&|session| session["models"].as_array().unwrap().contains(&opus.into()));
    assert!(!with_opus.is_empty() && with_opus.len() < ids(&all).len());
    assert_eq!(filtered(&format!("?model={opus}&limit=1000")), with_opus);
    assert_eq!(RECORDED.json("?model=claude")["total"], 0);
    assert_eq!(RECORDED.json("?project=g-resume&model=no-such")["total"], 0);
    assert_eq!(RECORDED.json("?project=g-resume&limit=1")["total"], 3, "the total is that of all pages");
}

#[test]
fn since_and_until_take_sessions_that_overlap_them() {
    let mut world = World::empty();
    for (session, from, to) in [("early", 0, 10), ("across", 5, 30), ("late", 20, 40)] {
        let said = answer(session, to, &format!("msg_{session}"), "hi".into());
        world.write(session, &[prompt(session, from, "hello"), said]);
    }
    world.count();
    let listed = |query: &str| ids(&world.json(&format!("?sort=started&order=asc&{query}"))).join(" ");
    assert_eq!(listed(&format!("since={}", at(10))), "early across late", "ended just then");
    assert_eq!(listed("since=2026-03-01T12:00:10.001Z"), "across late");
    assert_eq!(listed(&format!("until={}", at(20))), "early across", "not started by then");
    assert_eq!(listed("until=2026-03-01T12:00:20.001Z"), "early across late");
    assert_eq!(listed(&format!("since={}&until={}", at(15), at(16))), "across");
    assert_eq!(listed("since=2026-03-01T13:00:10%2B01:00&until=2026-03-01T12:00:20Z"), "early across");
    assert_eq!(listed("until=2026-03-01"), "early across late", "that day is in");
    assert_eq!(listed("since=2026-03-01&until=2026-03-01"), "early across late", "one day");
    assert_eq!(listed("until=2026-02-28"), "");
    assert_eq!(listed("since=2026-03-02"), "");
}

#[test]
fn parameters_that_make_no_sense_are_refused_by_name() {
    let cursor = text(&RECORDED.json("?limit=1&sort=cost")["next_cursor"]).to_owned();
    let cases = [
        ("?limit=0".to_owned(), "`limit` takes a whole number from 1 to 1000"),
        ("?limit=1001".to_owned(), "`limit` takes a whole number from 1 to 1000"),
        ("?sort=price".to_owned(), "`sort` takes one of `started`, `ended`, `cost`"),
        ("?order=up".to_owned(), "`order` takes one of `asc`, `desc`"),
        ("?since=yesterday".to_owned(), "`since` takes a time in RFC 3339"),
        ("?until=2026-13-01".to_owned(), "`until` takes a time in RFC 3339"),
        ("?since=2026-03-02&until=2026-03-01".to_owned(), "`since` must be before `until`"),
        ("?projekt=x".to_owned(), "unknown: `projekt`"),
        ("?cursor=zz".to_owned(), "`cursor` takes"),
        ("?cursor=616".to_owned(), "`cursor` takes"),
        ("?cursor=6162".to_owned(), "`cursor` takes"),
        (format!("?cursor={cursor}"), "with the same `sort` and `order`"),
        (format!("?cursor={cursor}&sort=tokens"), "with the same `sort` and `order`"),
        (format!("?cursor={cursor}&sort=cost&order=asc"), "with the same `sort` and `order`"),
    ];
    for (query, detail) in &cases {
        assert_problem(&RECORDED.ask(query), 400, detail);
    }
    RECORDED.json(&format!("?cursor={cursor}&sort=cost&order=desc"));
}

#[test]
fn a_session_is_found_by_its_id_or_an_unambiguous_beginning() {
    let mut world = World::of(&["2.1.330/b_tools"]);
    for number in 0..7 {
        let session = format!("abcd-{number}");
        world.write(&session, &[prompt(&session, number, "hello")]);
    }
    world.write("abcd", &[prompt("abcd", 9, "hello")]);
    world.count();
    let found = |id: &str| world.json(&format!("/{id}"))["session"]["id"].clone();
    assert_eq!(found("5fb3d16f-f9e3-4142-a37d-c727bd6ab70f"), "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
    assert_eq!(found("5fb3"), "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f");
    assert_eq!(found("abcd"), "abcd", "a whole id wins over longer ones");
    assert_eq!(found("abcd-3"), "abcd-3");
    assert_problem(&world.ask("/5fb"), 400, "at least its first 4 characters");
    assert_problem(&world.ask("/5fb4"), 404, "there is no session 5fb4");
    assert_problem(&world.ask("/5fb4/replay"), 404, "there is no session 5fb4");
    let ambiguous = world.ask("/abcd-");
    assert_problem(&ambiguous, 400, "7 sessions begin with `abcd-`: abcd-0, abcd-1, abcd-2, abcd-3, abcd-4");
    assert!(!ambiguous.text().contains("abcd-5"));
    assert_problem(&world.ask("/abcd?limit=1"), 400, "unknown: `limit`");
}

#[test]
fn one_session_says_what_a_scan_of_its_files_says() {
    for name in ["b_tools", "e6_subagent_sync", "d_failing", "k1_compact_manual", "h1_errors_retried"] {
        let world = World::of(&[&format!("2.1.330/{name}")]);
        let scanned = world.scanned();
        assert_eq!(scanned["sessions"], 1, "{name}");
        let one = world.json(&format!("/{}", text(&scanned["session_list"][0]["id"])));
        assert_eq!(one["session"], scanned["session_list"][0], "{name}");
        for part in ["models", "tools", "unpriced_tokens", "compactions", "api_errors"] {
            assert_eq!(one[part], scanned[part], "{name}: {part}");
        }
        for amount in ["cost_usd", "unattributed_usd"] {
            assert_eq!(one["client_reported"][amount], scanned["client_reported"][amount], "{name}: {amount}");
        }
    }
}

#[test]
fn turns_and_sub_agents_add_up_to_the_session() {
    let world = World::of(&["2.1.330/e6_subagent_sync"]);
    let one = world.json("/4a8d9d51-618e-4f13-8ae2-76a6fe6d5a51");
    let money = |value: &Value| tailspan::ledger::money::Money::parse_usd(text(value)).unwrap();
    let turn = &one["turns"][0];
    assert_eq!(one["turns"].as_array().unwrap().len(), 1);
    assert_eq!(turn["trace_id"], text(&turn["prompt_uuid"]).replace('-', ""));
    assert_eq!(one["trace_ids"], json!([turn["trace_id"]]));
    assert_eq!((&turn["index"], &turn["end"], &turn["origin"]), (&1.into(), &"stop".into(), &"sdk".into()));
    assert_eq!(turn["started_at"], "2026-11-22T06:25:31.030Z");
    assert_eq!(turn["ended_at"], "2026-11-22T06:25:34.407Z");
    assert_eq!(turn["duration_seconds"], 3.377);
    assert_eq!((&turn["messages"], &turn["tool_calls"]), (&2.into(), &2.into()));
    assert_eq!(turn["subagents"], json!(["a2a8fd7b8bfc6125f", "a872edc623525376c"]));

    let agents = one["subagents"].as_array().unwrap();
    let types: Vec<&str> = agents.iter().map(|agent| text(&agent["type"])).collect();
    assert_eq!(types, ["general-purpose", "Explore"], "by start");
    assert_eq!(agents[0]["tool_call_id"], "toolu_01TEGGk52dtpNXF59gGu1lA1");
    for agent in agents {
        assert_eq!((&agent["turn"], &agent["background"], &agent["end"]), (&1.into(), &false.into(), &"stop".into()));
        assert_eq!((&agent["messages"], &agent["tool_calls"]), (&2.into(), &1.into()));
    }
    assert_eq!(agents[1]["duration_seconds"], 0.769, "32.260 to 33.029");
    let of_agents = agents.iter().map(|agent| money(&agent["cost_usd"])).sum();
    assert_eq!(money(&turn["subagents_cost_usd"]), of_agents);
    assert_eq!(money(&turn["cost_usd"]) + of_agents, money(&one["session"]["cost_usd"]));

    let slowest = one["slowest_steps"]["tool_calls"].as_array().unwrap();
    let named: Vec<(&str, f64)> =
        slowest.iter().map(|step| (text(&step["name"]), step["duration_seconds"].as_f64().unwrap())).collect();
    assert_eq!(named, [("Agent", 2.182), ("Bash", 1.196), ("Agent", 1.071), ("Bash", 0.319)]);
    assert_eq!(one["slowest_steps"]["api_requests"].as_array().unwrap().len(), 6);
    let paths: Vec<&str> = one["files"].as_array().unwrap().iter().map(|file| text(&file["path"])).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    assert!(one["files"].as_array().unwrap().iter().all(|file| file["bytes_read"].as_u64().unwrap() > 1000));
}

#[test]
fn a_background_sub_agent_has_a_trace_of_its_own() {
    let world = World::of(&["2.1.330/e3_subagent_background"]);
    let one = world.json("/95dd44d3-28e9-490d-b1e6-ee68d59dc9e0");
    let agents = one["subagents"].as_array().unwrap();
    let background: Vec<&Value> = agents.iter().filter(|agent| agent["background"] == true).collect();
    assert!(!background.is_empty());
    for agent in background {
        assert_eq!(text(&agent["trace_id"]).len(), 32);
        assert!(one["trace_ids"].as_array().unwrap().contains(&agent["trace_id"]));
    }
    let traces = one["trace_ids"].as_array().unwrap().len();
    assert!(traces > one["turns"].as_array().unwrap().len());

    // The old client says of none of its agents which call started it: each begins a trace, and belongs to no turn.
    let old = World::of(&["2.0.77/b_tools"]).json("/f3c06b28");
    assert_eq!(old["trace_ids"].as_array().unwrap().len(), 4);
    for agent in old["subagents"].as_array().unwrap() {
        assert_eq!((&agent["turn"], &agent["background"]), (&Value::Null, &false.into()));
        assert!(old["trace_ids"].as_array().unwrap().contains(&agent["trace_id"]));
    }
}

#[test]
fn a_turn_without_an_end_has_no_duration() {
    let mut world = World::empty();
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]);
    world.write("open", &[prompt("open", 0, "one"), prompt("open", 5, "two"), answer("open", 7, "msg_1", call)]);
    world.count();
    let one = world.json("/open");
    let (first, second) = (&one["turns"][0], &one["turns"][1]);
    assert_eq!((&first["index"], &first["end"]), (&1.into(), &"next_prompt".into()));
    assert_eq!((&second["index"], &second["started_at"]), (&2.into(), &"2026-03-01T12:00:05.000Z".into()));
    for part in ["end", "ended_at", "duration_seconds"] {
        assert_eq!(second[part], Value::Null, "{part}");
    }
    assert_eq!(one["tools"]["Bash"]["open"], 1);
    assert_eq!(one["client_reported"], Value::Null);
}

/// What a session tells is for every user of the machine, so it keeps the secrets of names as metrics and spans do.
#[test]
fn names_that_a_session_tells_hold_no_secret() {
    // Built here, so that nobody who looks for keys finds one.
    let key = format!("ghp_{}", "16C7e42F292c6912E7710c838347Ae178B4a");
    let folder_key = format!("sk-ant-api03-{}AA", "Zk3v9Qw7".repeat(11) + "Zk3v9");
    let hidden = key.replace("16C7", "16\u{200b}C7");
    let mut world = World::empty();
    let surroundings = |session: &str, cwd: String| {
        let mut row = prompt(session, 0, "hello");
        (row["cwd"], row["gitBranch"]) = (cwd.into(), format!("fix/{key}").into());
        row
    };
    let title = json!({"type": "custom-title", "sessionId": "plain", "customTitle": format!("Use {key}")});
    world.write("plain", &[surroundings("plain", format!("/srv/{key}")), title]);
    world.write("hidden", &[surroundings("hidden", format!("/srv/{hidden}/.claude/worktrees/one"))]);
    let folder = world.projects.join(format!("-srv-{folder_key}"));
    fs::create_dir_all(&folder).unwrap();
    let row = surroundings("folder", format!("/srv/{folder_key}/"));
    fs::write(folder.join("folder.jsonl"), format!("{row}\n")).unwrap();
    world.count();

    for asked in ["", "/plain", "/plain/replay", "/hidden", "/folder", "/folder/replay"] {
        let told = world.ask(asked).text().replace('\u{200b}', "");
        assert!(!told.contains(&key) && !told.contains(&folder_key), "{asked}: {told}");
    }
    let one = world.json("/plain")["session"].clone();
    assert_eq!(one["project"], "ghp_[REDACTED]");
    assert_eq!(one["cwd"], "/srv/ghp_[REDACTED]");
    assert_eq!(one["git_branch"], "fix/ghp_[REDACTED]");
    assert_eq!(one["title"], "Use ghp_[REDACTED]");
    assert_eq!(world.json("")["sessions"].as_array().unwrap().len(), 3);
    assert_eq!(without_pages(&world.json("?sort=started&order=asc")), world.scanned()["session_list"]);
    // A project is asked for by the name that the answers tell.
    let of_project = |name: &str| ids(&world.json(&format!("?project={name}"))).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(of_project("ghp_%5BREDACTED%5D"), ["hidden", "plain"].map(str::to_owned).into());
    assert_eq!(of_project(&key), BTreeSet::new());
}

#[test]
fn a_session_that_is_stamped_in_the_future_is_not_the_latest_for_ever() {
    const FUTURE: &str = "9999-12-31T23:59:59.999Z";
    let mut world = World::empty();
    let stamped = |mut row: Value, time: &str| {
        row["timestamp"] = time.into();
        row
    };
    let ends = |session: &str, second| answer(session, second, &format!("msg_{session}"), "hi".into());
    world.write("never", &[stamped(prompt("never", 0, "hello"), FUTURE), stamped(ends("never", 1), FUTURE)]);
    world.write("glitch", &[prompt("glitch", 10, "hello"), stamped(ends("glitch", 11), FUTURE)]);
    world.write("early", &[prompt("early", 0, "hello"), ends("early", 5)]);
    world.write("late", &[prompt("late", 20, "hello"), ends("late", 90)]);
    // Clocks of two machines differ: this is four minutes ahead of the server's.
    let ahead = "2027-01-01T00:04:00.000Z";
    world.write("ahead", &[prompt("ahead", 30, "hello"), stamped(ends("ahead", 31), ahead)]);
    world.count();

    let listed = |query: &str| ids(&world.json(query)).join(" ");
    assert_eq!(listed(""), "ahead late glitch early never");
    assert_eq!(listed("?order=asc"), "never early glitch late ahead");
    assert_eq!(listed("?sort=started"), "ahead late glitch early never");
    assert_eq!(listed("?sort=duration"), "ahead late early never glitch");
    let first = world.json("?limit=3");
    assert_eq!(listed(&format!("?limit=3&cursor={}", text(&first["next_cursor"]))), "early never");
    // What the files tell is shown as they tell it.
    let times = |id: &str| world.json(&format!("/{id}"))["session"].clone();
    assert_eq!((&times("never")["started_at"], &times("never")["ended_at"]), (&FUTURE.into(), &FUTURE.into()));
    assert_eq!((&times("glitch")["started_at"], &times("glitch")["ended_at"]), (&at(10).into(), &FUTURE.into()));
}

#[test]
fn one_session_tells_its_pull_requests() {
    let mut world = World::empty();
    let link = |session: &str, number: u64, second| {
        json!({"type": "pr-link", "sessionId": session, "prNumber": number, "timestamp": at(second),
            "prUrl": format!("https://github.com/dev/app/pull/{number}"), "prRepository": "dev/app"})
    };
    // The client writes a row again and again: the last one counts.
    let rows = [link("few", 7, 1), link("few", 8, 2), link("few", 7, 3)];
    world.write("few", &[vec![prompt("few", 0, "hello")], rows.to_vec()].concat());
    let rows: Vec<Value> = (1..=120).map(|number| link("many", number, 1)).collect();
    world.write("many", &[vec![prompt("many", 0, "hello")], rows].concat());
    world.write("none", &[prompt("none", 0, "hello")]);
    let mut secret = link("secret", 1, 1);
    secret["prUrl"] = format!("https://dev:{}@github.com/dev/app/pull/1", "hunter2hunter2").into();
    secret["prRepository"] = Value::Null;
    world.write("secret", &[prompt("secret", 0, "hello"), secret]);
    world.count();

    let told = |id: &str| world.json(&format!("/{id}"))["pull_requests"].clone();
    let url = |number: u64| format!("https://github.com/dev/app/pull/{number}");
    let one = |number: u64| json!({"number": number, "url": url(number), "repository": "dev/app"});
    assert_eq!(told("few"), json!([one(8), one(7)]));
    assert_eq!(told("many"), Value::from_iter((21..=120).map(one)), "the latest hundred");
    assert_eq!(told("none"), Value::Null);
    let secret = told("secret")[0].clone();
    assert!(!secret.to_string().contains("hunter2"), "{secret}");
    assert_eq!((&secret["number"], &secret["repository"]), (&1.into(), &Value::Null));
}
