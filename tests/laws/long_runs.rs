//! A host that goes on with one session for very many turns, of which no session file tells: what a run keeps of them does not
//! grow, and whatever comes later finds all of them again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tailspan::ledger::unit::Unit;
use tailspan::transcript::ids::SessionId;

use crate::simulation::check_monotone;
use crate::streams::check;
use crate::support::lived::{Lived, SESSION};

const TURNS: usize = 25;

/// What the client counted in a turn: more than its answer tells.
fn told() -> Value {
    let model = json!({"claude-sonnet-4-5": {"inputTokens": 3, "outputTokens": 25, "costUSD": 0.001}});
    json!({"model_usage_since_last_result": model, "modelUsage": model})
}

/// Lets the engine commit what it read.
fn commit(lived: &mut Lived) {
    let now = lived.world.now;
    lived.world.engine.as_mut().unwrap().commit(now).unwrap();
}

/// So many turns, each of which is settled before the next. Returns the rows of a session file that would tell of them.
fn live(lived: &mut Lived, ends: bool) -> Vec<[Value; 2]> {
    let mut rows = Vec::new();
    for turn in 0..TURNS {
        let prompt = lived.prompt("Now");
        let (row, line) = lived.answer(20);
        let mut lines = vec![lived.init(), line, lived.result(&told())];
        lines.extend((ends && turn + 1 == TURNS).then(|| lived.end()));
        lived.stream(1, &lines);
        lived.pass(60_000);
        rows.push([prompt, row]);
    }
    rows
}

fn turns_and_output(lived: &Lived) -> (Value, Value) {
    let session = lived.session();
    (session["turns"].clone(), session["tokens"]["output"].clone())
}

#[test]
fn a_run_lists_no_turn_of_which_nothing_is_to_be_decided() {
    let mut lived = Lived::new(true);
    live(&mut lived, false);
    assert_eq!(lived.runs()[0].provisional.len(), 1, "the last one");
    assert_eq!(turns_and_output(&lived), (json!(TURNS), json!(25 * TURNS)), "what no line explains is counted");
    // Also after a restart each turn is settled as it comes.
    lived.world.die();
    let answer = lived.answer(20).1;
    lived.stream(1, &[answer]);
    lived.pass(60_000);
    assert_eq!(lived.runs()[0].provisional.len(), 2, "one that goes on, and one before it");
    let result = lived.result(&told());
    lived.stream(1, &[result]);
    lived.pass(60_000);
    assert_eq!(lived.runs()[0].provisional.len(), 1);
    assert_eq!(turns_and_output(&lived), (json!(TURNS + 1), json!(25 * (TURNS + 1))));
    check(&lived.world, "a host without a session file");
}

#[test]
fn a_session_file_that_comes_after_all_turns_has_all_of_them() {
    const DAY_MS: i64 = 86_400_000;
    for (ends, dies) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut lived = Lived::new(true);
        let rows = live(&mut lived, ends);
        let mut last = BTreeMap::new();
        check_monotone(&lived.pass(60_000), &mut last);
        // The first part of it comes a good while before the rest.
        let (some, others) = rows.split_at(TURNS / 2);
        lived.file(&some.concat());
        commit(&mut lived);
        assert_eq!(lived.runs()[0].provisional.len(), TURNS, "all are looked at once more");
        if dies {
            lived.world.die();
        }
        check_monotone(&lived.pass(60_000), &mut last);
        lived.file(&others.concat());
        // A run whose end nobody tells is looked at when it is given up.
        check_monotone(&lived.pass(if ends { 60_000 } else { 2 * DAY_MS }), &mut last);
        assert_eq!(turns_and_output(&lived), (json!(TURNS), json!(20 * TURNS)), "the file has all, and no rest");
        assert!(lived.runs()[0].provisional.is_empty());
        let reader = lived.world.reader.as_ref().unwrap();
        let session = reader.session(&SessionId(SESSION.into())).unwrap().unwrap();
        let units = reader.units_of(&session).unwrap();
        let is_of_file = |unit: &Unit| unit.of_run.is_some() && unit.provisional.is_none();
        assert!(units.iter().all(is_of_file), "all are turns of the file");
        check(&lived.world, "a session file that comes late");
    }
}

#[test]
fn what_a_stream_tells_later_of_an_early_turn_is_decided_with_it() {
    let mut lived = Lived::new(true);
    let (_, first) = lived.answer(20);
    let result = lived.result(&json!({}));
    lived.stream(1, &[first.clone(), result]);
    lived.pass(60_000);
    for _ in 0..3 {
        let lines = [lived.answer(20).1, lived.result(&json!({}))];
        lived.stream(1, &lines);
        lived.pass(60_000);
    }
    // A further row of the first response, with a call.
    let mut row = first;
    row["uuid"] = lived.uuid().into();
    row["message"]["content"] = json!([{"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {}}]);
    let result = lived.result(&json!({}));
    lived.stream(1, &[row, result]);
    commit(&mut lived);
    assert_eq!(lived.runs()[0].provisional.len(), 2, "it is looked at once more");
    lived.pass(60_000);
    assert_eq!(lived.runs()[0].provisional.len(), 1);
    let reader = lived.world.reader.as_ref().unwrap();
    let session = reader.session(&SessionId(SESSION.into())).unwrap().unwrap();
    let units = reader.units_of(&session).unwrap();
    assert!(units.iter().flat_map(|unit| &unit.parts.messages).all(|message| message.closed));
    assert_eq!(units.iter().map(|unit| unit.parts.tools.len()).sum::<usize>(), 1);
    check(&lived.world, "a row that comes late on the stream");
}

/// What the engine keeps of the responses of a session is held against what is stored whenever it is used, if the program is
/// built with assertions, as for tests.
#[test]
fn a_turn_in_sections_may_begin_earlier_than_was_told() {
    let mut lived = Lived::new(true);
    lived.world.parts_max = 2;
    lived.world.die();
    lived.pass(60_000);
    // Responses that break off, of which the stream has the beginnings.
    let early = lived.answer(1);
    lived.pass(60_000);
    let mut lines = vec![lived.init()];
    for _ in 0..5 {
        let (row, line) = lived.answer(20);
        lines.extend([began(&row), line]);
    }
    // Nothing comes for so long that the turn is settled before its result.
    for lines in [lines, vec![began(&early.0), early.1]] {
        lived.stream(1, &lines);
        commit(&mut lived);
        lived.pass(700_000);
    }
    let lines = [lived.result(&told()), lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!(turns_and_output(&lived), (json!(1), json!(5 * 20 + 1)));
    check(&lived.world, "a turn in sections");
}

/// The event with which a response begins.
fn began(row: &Value) -> Value {
    let message = &row["message"];
    let message =
        json!({"id": message["id"], "model": message["model"], "usage": {"input_tokens": 3, "output_tokens": 1}});
    json!({"type": "stream_event", "session_id": SESSION, "parent_tool_use_id": null, "ttft_ms": 800, "uuid": row["uuid"],
        "event": {"type": "message_start", "message": message}})
}
