//! What only a stream tells at first: a session file that comes late, or never, changes whose it is and nothing else.

use serde_json::json;
use tailspan::ledger::money::Money;

use crate::simulation::sum;
use crate::support::lived::{Lived, SESSION, counted};

/// A turn in the session file that is over before any run.
fn earlier_turn(lived: &mut Lived) {
    let rows = [lived.prompt("Before"), lived.answer(10).0];
    lived.file(&rows);
    lived.pass(60_000);
}

#[test]
fn a_turn_that_was_over_gets_nothing_of_the_next_one() {
    let mut lived = Lived::new(true);
    earlier_turn(&mut lived);
    let prompt = lived.prompt("Now");
    let (row, line) = lived.answer(20);
    let (init, result, end) = (lived.init(), lived.result(&json!({})), lived.end());
    lived.stream(1, &[init, line, result, end]);
    // The file is later than anybody waits for it.
    lived.pass(60_000);
    lived.file(&[prompt, row]);
    lived.pass(60_000);
    assert_eq!((&lived.session()["turns"], &lived.session()["messages"]), (&json!(2), &json!(2)));
    let reader = lived.world.reader.as_ref().unwrap();
    let session = reader.session(&tailspan::transcript::ids::SessionId(SESSION.into())).unwrap().unwrap();
    let units = reader.units_of(&session).unwrap();
    let turns: Vec<_> = units.iter().filter(|unit| unit.is_turn()).collect();
    let of_run: Vec<bool> = turns.iter().map(|turn| turn.of_run.is_some()).collect();
    assert_eq!(of_run, [false, true], "the run has the turn that it began");
}

#[test]
fn a_file_that_comes_late_is_taken_in_soon_whether_or_not_the_end_is_told_or_the_sidecar_dies() {
    for (ends, dies) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut lived = Lived::new(true);
        let prompt = lived.prompt("Now");
        // The client was killed before it wrote the answer.
        let mut lines = vec![lived.init(), lived.answer(20).1, lived.result(&json!({}))];
        lines.extend(ends.then(|| lived.end()));
        lived.stream(1, &lines);
        lived.pass(60_000);
        lived.file(&[prompt]);
        if dies {
            lived.world.engine.as_mut().unwrap().commit(lived.world.now).unwrap();
            lived.world.die();
        }
        lived.pass(10_000);
        assert_eq!(lived.session()["turns"], json!(1), "ends: {ends}, dies: {dies}");
        assert_eq!(lived.session()["tokens"]["output"], json!(20), "ends: {ends}, dies: {dies}");
    }
}

#[test]
fn a_file_that_is_found_by_the_next_look_makes_no_second_turn() {
    let mut lived = Lived::new(true);
    let prompt = lived.prompt("Now");
    let (row, line) = lived.answer(20);
    let (init, result, end) = (lived.init(), lived.result(&json!({})), lived.end());
    lived.stream(1, &[init, line, result, end]);
    let engine = lived.world.engine.as_mut().unwrap();
    engine.commit(lived.world.now).unwrap();
    // The next look at all files comes after three seconds.
    let now = tailspan::transcript::time::Timestamp(lived.world.now.0 + 3_000);
    while engine.tick(now).unwrap() {}
    lived.file(&[prompt, row]);
    let snapshot = lived.pass(60_000);
    assert_eq!(sum(&snapshot, "turns_total"), 1);
}

#[test]
fn a_turn_without_rows_leaves_its_beginning_to_no_other() {
    let mut lived = Lived::new(true);
    let lines = [lived.init(), lived.answer(5).1, lived.result(&json!({}))];
    lived.stream(1, &lines);
    lived.pass(60_000);
    // Interrupted before its first row.
    let lines = [lived.init(), lived.result(&json!({"terminal_reason": "aborted_streaming"}))];
    lived.stream(1, &lines);
    lived.pass(3_600_000);
    let begun = lived.now();
    let lines = [lived.init(), lived.answer(5).1, lived.result(&json!({})), lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    let reader = lived.world.reader.as_ref().unwrap();
    let session = reader.session(&tailspan::transcript::ids::SessionId(SESSION.into())).unwrap().unwrap();
    let last =
        reader.units_of(&session).unwrap().into_iter().filter(|unit| unit.is_turn()).map(|unit| unit.started()).max();
    assert_eq!(last.unwrap().to_rfc3339(), begun);
}

#[test]
fn the_account_that_came_last_is_the_last_even_without_rows() {
    let mut lived = Lived::new(true);
    let model = |usd: f64| json!({"claude-sonnet-4-5": {"inputTokens": 3, "outputTokens": 5, "costUSD": usd}});
    let lines = [
        lived.init(),
        lived.answer(5).1,
        lived.result(&json!({"total_cost_usd": 1.0, "result_index": 0, "modelUsage": model(1.0),
            "model_usage_since_last_result": model(1.0)})),
        lived.end(),
    ];
    lived.stream(1, &lines);
    lived.pass(60_000);
    let lines = [
        lived.init(),
        lived.result(&json!({"total_cost_usd": 1.01, "result_index": 0, "modelUsage": model(1.01),
            "model_usage_since_last_result": model(0.01)})),
        lived.end(),
    ];
    lived.stream(2, &lines);
    lived.pass(60_000);
    let told = Money::parse_usd(lived.session()["client_reported_usd"].as_str().unwrap()).unwrap();
    assert_eq!(told, Money::parse_usd("1.01").unwrap());
}

#[test]
fn clients_that_count_a_session_from_its_beginning_count_each_run_once() {
    let mut lived = Lived::new(true);
    for (run, output) in [(1, 100), (2, 150)] {
        let usage = json!({"claude-sonnet-4-5": {"inputTokens": 3, "outputTokens": output, "costUSD": 0.01}});
        let lines = [lived.init(), lived.answer(20).1, lived.result(&json!({"modelUsage": usage})), lived.end()];
        lived.stream(run, &lines);
        lived.pass(60_000);
    }
    assert_eq!(lived.session()["tokens"]["output"], json!(150));
}

#[test]
fn a_turn_that_was_killed_is_beside_what_the_client_counted_before() {
    let mut lived = Lived::new(true);
    // The first turn used more than its rows tell: a sub-agent of which the stream has none.
    let model = json!({"claude-sonnet-4-5": {"inputTokens": 50, "outputTokens": 500, "costUSD": 0.02}});
    let told = json!({"result_index": 0, "modelUsage": model, "model_usage_since_last_result": model});
    let lines = [lived.init(), lived.answer(5).1, lived.result(&told)];
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!(lived.session()["tokens"]["output"], json!(500));
    let lines = [lived.init(), lived.answer(70).1, lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!((&lived.session()["tokens"]["output"], &lived.session()["tokens"]["input"]), (&json!(570), &json!(53)));
    // It stays so, whatever else is told of the session.
    lived.world.die();
    lived.stream(
        2,
        &[json!({"type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/home/dev/app",
        "uuid": "99999999-0000-4000-8000-000000000001"})],
    );
    lived.pass(60_000);
    assert_eq!(lived.session()["tokens"]["output"], json!(570));
}

/// A saved stream may be passed on again, by itself or to see what is told of it: that is another run, of nothing new.
#[test]
fn a_stream_that_is_passed_on_again_costs_nothing_more() {
    for has_file in [false, true] {
        let mut lived = Lived::new(true);
        let prompt = lived.prompt("Now");
        let (row, line) = lived.answer(20);
        let model = json!({"claude-sonnet-4-5": {"inputTokens": 30, "outputTokens": 50, "costUSD": 0.02}});
        let result = lived
            .result(&json!({"result_index": 0, "modelUsage": model, "model_usage_since_last_result": model,
            "total_cost_usd": 0.02}));
        let lines = [lived.init(), line, result, lived.end()];
        lived.stream(1, &lines);
        if has_file {
            lived.file(&[prompt, row]);
        }
        lived.pass(60_000);
        let before = lived.session();
        let first = lived.runs()[0].clone();
        for run in [2, 3] {
            lived.stream(run, &lines);
            let snapshot = lived.pass(60_000);
            assert_eq!(lived.session(), before);
            let ours = Money::parse_usd(before["cost_usd"].as_str().unwrap()).unwrap();
            let cost = sum(&snapshot, "workflow_cost_usd_total");
            assert_eq!(cost, ours.picousd(), "the first run has all of it");
        }
        let runs = lived.runs();
        assert_eq!((runs.len(), &runs[0].sessions), (3, &first.sessions));
        assert!(runs.iter().all(|run| run.outcome() == tailspan::ledger::run::RunOutcome::Success));
        let reader = lived.world.reader.as_ref().unwrap();
        let session = reader.session(&tailspan::transcript::ids::SessionId(SESSION.into())).unwrap().unwrap();
        let turns = reader.units_of(&session).unwrap();
        let turns = turns.iter().filter(|unit| unit.is_turn()).map(|unit| unit.of_run.as_ref().map(|of| of.run));
        assert_eq!(turns.collect::<Vec<_>>(), [Some(first.id)]);
    }
}

/// `/clear` begins another session on the same output, whose figures begin at 0.
#[test]
fn two_sessions_on_one_output_are_two_with_their_own_turns() {
    const NEXT: &str = "6fb3d16f-f9e3-4142-a37d-c727bd6ab70f";
    let mut lived = Lived::new(true);
    let told = |output: u64, usd: f64| {
        let model = json!({"claude-sonnet-4-5": {"inputTokens": 3, "outputTokens": output, "costUSD": usd}});
        json!({"result_index": 0, "total_cost_usd": usd, "modelUsage": model, "model_usage_since_last_result": model})
    };
    let of_next = |mut line: serde_json::Value| {
        line["session_id"] = NEXT.into();
        line
    };
    let first = [lived.init(), lived.answer(7).1, lived.result(&told(7, 0.01))];
    let reset = json!({"type": "conversation_reset", "trigger": "clear", "new_conversation_id": lived.uuid()});
    // A hook may tell something before the session begins.
    let hook = json!({"type": "system", "subtype": "hook_started", "uuid": lived.uuid(), "session_id": NEXT});
    let (init, answer, result) = (lived.init(), lived.answer(9).1, lived.result(&told(9, 0.02)));
    let second = [hook, of_next(init), of_next(answer), of_next(result), lived.end()];
    lived.stream(1, &[&first[..], &[reset], &second[..]].concat());
    let snapshot = lived.pass(60_000);
    assert_eq!(counted(&snapshot), [("demo success".to_owned(), 1)]);
    let summary = serde_json::to_value(lived.world.summary()).unwrap();
    let sessions = summary["session_list"].as_array().unwrap().iter();
    let told: Vec<_> = sessions
        .map(|session| (session["id"].clone(), session["turns"].clone(), session["tokens"]["output"].clone()))
        .collect();
    assert!(told.contains(&(json!(SESSION), json!(1), json!(7))), "{told:?}");
    assert!(told.contains(&(json!(NEXT), json!(1), json!(9))), "{told:?}");
    let run = &lived.runs()[0];
    let costs: Vec<_> = run.sessions.iter().map(|session| session.cost()).collect();
    assert_eq!(costs, ["0.01", "0.02"].map(|usd| Money::parse_usd(usd).unwrap()));
}

#[test]
fn numbers_that_nobody_can_mean_end_nothing() {
    let mut lived = Lived::new(true);
    let lost = json!({"type": "tailspan", "mark": "lost", "lines": u64::MAX, "bytes": u64::MAX, "at": lived.now()});
    let huge = json!({"duration_ms": u64::MAX, "num_turns": u64::MAX, "modelUsage":
        {"claude-sonnet-4-5": {"inputTokens": u64::MAX, "outputTokens": u64::MAX, "webSearchRequests": u64::MAX}}});
    let lines =
        [lived.init(), lived.answer(1).1, lived.result(&huge), lived.result(&huge), lost.clone(), lost, lived.end()];
    lived.stream(1, &lines);
    let snapshot = lived.pass(60_000);
    assert_eq!(counted(&snapshot), [("demo success".to_owned(), 1)]);
    let run = &lived.runs()[0];
    assert!(run.lost.values().sum::<u64>() > 0);
    // Whatever session a line names.
    let other = |number: u32| {
        json!({"type": "system", "subtype": "init", "uuid": format!("{number:08x}-1111-4000-8000-000000000001"),
        "session_id": format!("{number:08x}-2222-4000-8000-000000000001")})
    };
    let lines: Vec<_> = (0..3_000).map(other).collect();
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!(lived.runs()[0].sessions.len(), 1_000);
}

#[test]
fn lost_lines_count_once_however_often_their_marks_are_read() {
    let mut lived = Lived::new(true);
    let lost = |lines: u64, at: &str| json!({"type": "tailspan", "mark": "lost", "lines": lines, "bytes": 9, "at": at});
    // What was lost before the first start is history.
    let (now, early) = (lived.now(), lost(5, "2000-01-01T00:00:00.000Z"));
    let lines = [lived.init(), early, lost(3, &now)];
    lived.stream(1, &lines);
    lived.world.crash();
    lived.stream(1, &[lost(4, &now)]);
    assert_eq!(sum(&lived.pass(60_000), "stream_lost_lines_total"), 7);
    // A file with another beginning is read anew.
    let files = std::fs::read_dir(lived.world.streams()).unwrap();
    for path in files.map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("demo", "test")).unwrap();
    }
    lived.stream(1, &[lost(2, &now)]);
    assert_eq!(sum(&lived.pass(60_000), "stream_lost_lines_total"), 9);
    assert_eq!(lived.runs()[0].lost.values().sum::<u64>(), 14);
}
