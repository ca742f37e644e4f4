//! The stream of events of the real program: what is told, to whom, and what becomes of it when something ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::support::followed::{Side, Stream, Told};
use crate::support::http::{assert_problem, get, request};

fn keys(told: &[Told]) -> Vec<String> {
    told.iter().map(Told::key).collect()
}

#[test]
fn what_is_written_is_told_as_the_replay_tells_it() {
    let side = Side::new("");
    let mut stream = side.open("", None);
    let hello = stream.next().unwrap();
    assert_eq!((hello.name.as_str(), hello.data["kind"].as_str()), ("heartbeat", Some("heartbeat")));
    let mut session = side.session("shop", 1);
    session.prompt("Look around");
    session.calls(1, "Bash", "a b c");
    session.stop("Done.");
    let told = stream.until("turn");
    let id = &session.id;
    assert_eq!(
        keys(&told)[1..],
        [
            "prompt 00000001-0001-4000-9000-000000000001",
            "message msg_00000001_1",
            "tool_call toolu_00000001_1",
            "tool_result toolu_00000001_1",
            "message msg_00000001_2",
            "turn 00000001-0001-4000-9000-000000000001",
        ]
    );
    assert_eq!((told[0].name.as_str(), &told[0].data["id"]), ("session", &json!(id)));
    let replay = get(side.daemon().address, &format!("/api/v1/analytics/sessions/{id}/replay")).json();
    let replayed: BTreeMap<String, &Value> = replay["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let told = Told { id: String::new(), name: String::new(), data: event.clone() };
            (told.key(), event)
        })
        .collect();
    for event in told.iter().filter(|event| !["session", "turn"].contains(&event.name.as_str())) {
        let expected = replayed[&event.key()].as_object().unwrap();
        for (name, value) in expected.iter().filter(|(name, _)| *name != "critical_path_seconds") {
            assert_eq!(&event.data[name], value, "{name} of {}", event.key());
        }
    }
    for event in &told {
        assert_eq!([&event.data["session"], &event.data["project"]], [&json!(id), &json!("shop")], "{event:?}");
        assert!(event.data.as_object().unwrap().contains_key("workflow"));
    }
    let turn = &told.last().unwrap().data;
    assert_eq!((&turn["turn"], &turn["end"], &turn["messages"]), (&json!(1), &json!("stop"), &json!(2)));
    assert_eq!(turn["cost_usd"], replay["session"]["cost_usd"]);
}

#[test]
fn a_client_that_comes_back_after_a_kill_is_told_the_rest_once() {
    let mut side = Side::new("");
    let (mut session, mut stream) = (side.session("shop", 1), side.open("", None));
    session.prompt("Look around");
    session.calls(3, "Bash", "x");
    let mut told = stream.until("tool_result toolu_00000001_2");
    // It goes away in the middle, and so does the sidecar.
    let last = stream.last.clone();
    drop(stream);
    side.kill();
    session.calls(2, "Bash", "x");
    side.start();
    session.stop("Done.");
    told.extend(side.open("", Some(&last)).until("turn"));
    let seen: BTreeSet<String> = keys(&told).into_iter().collect();
    assert_eq!(seen.len(), told.len(), "twice: {:?}", keys(&told));
    assert_eq!(told.iter().filter(|event| event.name == "tool_result").count(), 5);
    assert_eq!(told.len(), 1 + 1 + 5 * 3 + 1 + 1, "{:?}", keys(&told));
    let places: Vec<(u64, u64)> = told
        .iter()
        .map(|event| {
            let (epoch, sequence) = event.id.split_once('-').unwrap();
            (epoch.parse().unwrap(), sequence.parse().unwrap())
        })
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    // By the parameter it is the same as by the header.
    let mut again = side.open(&format!("last_event_id={last}&follow=false"), None);
    let resumed = again.until("turn");
    assert_eq!(resumed, told[told.len() - resumed.len()..]);
    assert!(again.ends());
}

#[test]
fn events_of_a_session_tell_the_workflow_of_its_run_and_no_secrets() {
    const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let side = Side::new("");
    let mut stream = side.open("", None);
    let name = "long-".repeat(20) + "name";
    let (session, at) = ("00000009-0000-4000-8000-000000000000", side.begun().to_rfc3339());
    let line = |kind: &str, more: Value| {
        let mut line = json!({"type": kind, "session_id": session, "uuid": format!("00000009-0000-4000-9000-{:012x}", kind.len()),
            "timestamp": at, "parent_tool_use_id": null});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{line}\n")
    };
    let message = json!({"id": "msg_9", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Done."}], "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}});
    let text = line("system", json!({"subtype": "init", "cwd": "/home/dev/shop"}))
        + &line("assistant", json!({"message": message}));
    let labels = format!("key={SECRET}");
    let headers =
        [("Content-Type", "application/x-ndjson"), ("Tailspan-Workflow", &*name), ("Tailspan-Labels", &*labels)];
    assert_eq!(request(side.daemon().address, "POST", "/api/v1/events", &headers, text.as_bytes()).status, 202);
    let told = stream.until("message");
    let of = |kind: &str| told.iter().find(|event| event.name == kind).unwrap_or_else(|| panic!("{kind}: {told:?}"));
    for kind in ["session", "message"] {
        assert_eq!((&of(kind).data["workflow"], &of(kind).data["session"]), (&json!(name), &json!(session)), "{kind}");
    }
    let mut runs = side.open("since=2000-01-01&event=run", None);
    let run = runs.until("run").pop().unwrap();
    assert_eq!(run.data["workflow"], name.as_str());
    assert!(run.data["labels"]["key"].is_string() && !run.data.to_string().contains(SECRET), "{run:?}");
    // The name is what answers show, so that it is what filters take.
    side.open(&format!("since=2000-01-01&event=session&workflow={name}"), None).until("session");
}

#[test]
fn history_copies_and_rewritten_files_tell_nothing() {
    let mut side = Side::new("");
    let mut session = side.session("shop", 1);
    session.prompt("Look around");
    session.calls(2, "Bash", "x");
    session.stop("Done.");
    let mut stream = side.open("since=2000-01-01", None);
    let told = stream.until("turn");
    // Copied into a fork, and written anew from its beginning.
    let text = fs::read_to_string(&session.path).unwrap();
    let fork = "00000002-0000-4000-8000-000000000000";
    fs::write(session.path.with_file_name(format!("{fork}.jsonl")), text.replace(&session.id, fork)).unwrap();
    fs::write(session.path.with_extension("new"), &text).unwrap();
    fs::rename(session.path.with_extension("new"), &session.path).unwrap();
    // An old file that somebody puts there.
    let mut old = side.session("shop", 3);
    old.at.0 -= 3 * 86_400_000;
    old.prompt("Long ago");
    old.stop("Yes.");
    let mut new = side.session("shop", 4);
    new.prompt("Now");
    new.stop("Yes.");
    let more = stream.until("turn");
    let sessions: BTreeSet<&str> = more.iter().map(|event| event.data["session"].as_str().unwrap()).collect();
    let own = [new.id.as_str(), fork].map(str::to_owned);
    assert!(sessions.iter().all(|session| own.contains(&(*session).to_owned())), "{more:#?}");
    let of_fork: Vec<String> = keys(&more).into_iter().filter(|key| key.contains(fork)).collect();
    assert!(of_fork.iter().all(|key| key.starts_with("session ")), "{of_fork:?}");
    assert_eq!(more.iter().filter(|event| event.data["session"] == new.id.as_str()).count(), 4);
    assert!(keys(&told).iter().all(|key| !keys(&more).contains(key)));
    // A state that is begun anew reads it all again, and tells nothing of it; ids go on.
    let last = stream.last.clone();
    assert_eq!(side.daemon.take().unwrap().stop(), Some(0));
    fs::remove_dir_all(side.folder.path().join("state/db")).unwrap();
    side.start();
    let mut stream = side.open("", Some(&last));
    let resync = stream.next().unwrap();
    assert_eq!((resync.name.as_str(), &resync.data["reason"]), ("resync", &json!("another_log")));
    let epoch = |id: &str| id.split_once('-').unwrap().0.parse::<u64>().unwrap();
    assert!(epoch(&resync.id) > epoch(&last), "{} after {last}", resync.id);
    let mut newest = side.session("shop", 5);
    newest.at.0 += 3_600_000;
    newest.prompt("Later");
    newest.stop("Yes.");
    let told = stream.until("turn");
    assert!(told.iter().all(|event| event.data["session"] == newest.id.as_str()), "{told:#?}");
}

#[test]
fn an_id_that_is_not_kept_is_answered_with_resync_and_what_is_there() {
    let side = Side::new("keep_bytes = \"64KiB\"");
    let (mut session, mut stream) = (side.session("shop", 1), side.open("event=prompt", None));
    session.prompt("Look around");
    let first = stream.until("prompt").pop().unwrap().id;
    for _ in 0..6 {
        session.calls(500, "Bash", "x");
    }
    session.stop("Done.");
    side.open("event=turn", Some(&first)).until("turn");
    let mut late = side.open("event=tool_result", Some(&first));
    let resync = late.next().unwrap();
    assert_eq!((resync.name.as_str(), &resync.data["reason"]), ("resync", &json!("not_kept")));
    assert_eq!(resync.data["from"], resync.id);
    let sequence = |id: &str| id.split_once('-').unwrap().1.parse::<u64>().unwrap();
    let rest = late.until("tool_result toolu_00000001_3000");
    assert!(sequence(&resync.id) > 1 && rest.len() < 3_000 && rest.len() > 100, "{} {}", resync.id, rest.len());
    assert!(rest.iter().all(|event| event.name == "tool_result"));
    for unknown in ["1-1", "99999999999-1", "nonsense", &format!("{}9", first)] {
        let resync = side.open("", Some(unknown)).next().unwrap();
        assert_eq!(resync.name, "resync", "{unknown}");
    }
}

#[test]
fn each_client_gets_what_it_asks_for() {
    let side = Side::new("");
    let mut all = side.open("", None);
    let (mut shop, mut bank) = (side.session("shop", 1), side.session("bank", 2));
    for session in [&mut shop, &mut bank] {
        session.prompt("Look around");
        session.calls(1, "Bash", "x");
        session.calls(1, "Read", "x");
        session.stop("Done.");
    }
    let mut turns = 0;
    while turns < 2 {
        turns += all.until("turn").iter().filter(|event| event.name == "turn").count();
    }
    let asked = |query: &str| {
        let mut stream = side.open(&format!("since=2000-01-01&follow=false&{query}"), None);
        let mut told = Vec::new();
        while let Some(event) = stream.next() {
            told.extend((event.name != "heartbeat").then_some(event));
        }
        told
    };
    let everything = asked("");
    assert_eq!(everything.len(), 2 * (1 + 1 + 2 * 3 + 1 + 1), "{:?}", keys(&everything));
    let count = |query: &str| asked(query).len();
    assert_eq!(count("project=shop"), everything.len() / 2);
    assert_eq!(count("project=shop&project=bank"), everything.len());
    assert_eq!(count(&format!("session={}", bank.id)), everything.len() / 2);
    assert_eq!(count("event=tool_call&event=tool_result"), 8);
    assert_eq!(count("tool=Read"), 4);
    assert_eq!(count("model=claude-sonnet-4-5"), 6);
    assert_eq!(count("agent=main&event=prompt"), 2);
    assert_eq!((count("branch=main"), count("branch=other")), (everything.len(), 0));
    assert_eq!((count("entrypoint=cli"), count("origin=human&event=turn")), (everything.len(), 2));
    assert_eq!((count("workflow=nightly"), count("until=2000-01-02")), (0, 0));
    let address = side.daemon().address;
    assert_problem(&get(address, "/api/v1/events?event=nonsense"), 400, "`event` takes");
    assert_problem(&get(address, "/api/v1/events?evnt=turn"), 400, "event");
    assert_problem(&request(address, "PUT", "/api/v1/events", &[], b""), 405, "PUT");
    assert_eq!(request(address, "HEAD", "/api/v1/events", &[], b"").status, 200);
}

#[test]
fn a_client_hears_that_the_connection_stands_and_its_end_is_a_proper_one() {
    let mut side = Side::new("heartbeat = \"10ms\"");
    let mut session = side.session("shop", 1);
    let (mut quiet, mut stream) = (side.open("event=run", None), side.open("", None));
    session.prompt("Look around");
    let prompt = stream.until("prompt").pop().unwrap();
    // What it does not want moves it on too.
    let mut beats = 0;
    while quiet.next().unwrap().id != prompt.id {
        beats += 1;
        assert!(beats < 100_000);
    }
    for _ in 0..3 {
        let beat = quiet.next().unwrap();
        assert_eq!((beat.name.as_str(), &beat.id), ("heartbeat", &prompt.id));
    }
    assert_eq!(side.daemon.take().unwrap().stop(), Some(0));
    assert!(quiet.ends() && stream.ends());
}

#[test]
fn one_client_that_does_not_read_costs_the_others_nothing() {
    let side = Side::new("");
    let stuck = side.open("", None);
    let clients: Vec<Stream> = (0..63).map(|_| side.open("event=tool_result", None)).collect();
    let address = side.daemon().address;
    let read = |mut client: Stream| {
        let mut told = BTreeMap::new();
        while told.len() < 300 {
            match client.next() {
                Some(event) if event.name == "tool_result" => {
                    assert_eq!(event.data["content"][0]["text"].as_str().unwrap().len(), 4_000);
                    assert_eq!(told.insert(event.key(), event.id), None);
                }
                Some(event) => assert_eq!(event.name, "heartbeat"),
                // On a busy machine a client may read too slowly: it comes back, as a browser does.
                None => client = Stream::open(address, "event=tool_result", Some(&client.last)),
            }
        }
        client
    };
    let mut session = side.session("shop", 1);
    session.prompt("Look around");
    let clients: Vec<Stream> = thread::scope(|scope| {
        let readers: Vec<_> = clients.into_iter().map(|client| scope.spawn(|| read(client))).collect();
        for _ in 0..30 {
            session.calls(10, "Bash", &"x".repeat(4_000));
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    // Others are still answered, and the one is not kept.
    assert_eq!(get(side.daemon().address, "/api/v1/analytics/sessions").status, 200);
    let metrics = side.daemon().until("it is cut off", || {
        let metrics = side.daemon().metrics();
        metrics.contains("\ntailspan_event_clients 63\n").then_some(metrics)
    });
    assert!(!stuck.ends(), "it was cut off");
    drop(clients);
    assert!(metrics.contains("\ntailspan_event_clients 63\n"), "{metrics}");
    assert!(!metrics.contains("\ntailspan_event_clients_dropped_total 0\n"), "{metrics}");
}

#[test]
fn a_client_that_comes_back_is_told_long_texts_piece_by_piece_and_all_of_them() {
    let mut side = Side::new("");
    let (mut session, mut stream) = (side.session("shop", 1), side.open("", None));
    session.prompt("Look around");
    let first = stream.until("prompt").pop().unwrap().id;
    drop(stream);
    // One commit tells them all.
    side.kill();
    session.calls(60, "Bash", &"x".repeat(16_000));
    session.stop("Done.");
    side.start();
    let told = side.open("", Some(&first)).until("turn");
    let results: Vec<&Told> = told.iter().filter(|event| event.name == "tool_result").collect();
    assert_eq!((results.len(), told.len()), (60, 60 * 3 + 2));
    assert!(results.iter().all(|event| event.data["content"][0]["text"].as_str().unwrap().len() == 16_000));
}
