//! What the client counted in each run beyond its responses is in the cost of that run, whatever other runs of the session do
//! meanwhile, and no counter has it twice.

use serde_json::{Value, json};
use tailspan::ledger::money::Money;
use tailspan::views::metrics::totals::Snapshot;

use crate::simulation::{check_monotone, sum};
use crate::support::lived::{Lived, SESSION};
use crate::support::world::Dice;

/// The tokens of output that responses and rests of each run have.
fn output(lived: &Lived) -> Vec<(u32, u64)> {
    let reader = lived.world.reader.as_ref().unwrap();
    let session = reader.session(&tailspan::transcript::ids::SessionId(SESSION.into()));
    let units = reader.units_of(&session.unwrap().unwrap()).unwrap();
    let mut runs = std::collections::BTreeMap::new();
    for unit in &units {
        let id = unit.of_run.as_ref().unwrap().run.0.to_string();
        *runs.entry(u32::from_str_radix(&id[..8], 16).unwrap()).or_default() += unit.tally().tokens().output;
    }
    runs.into_iter().filter(|(_, output)| *output > 0).collect()
}

/// What the client counted in a turn: so many tokens of output, and no input beyond that of one answer.
fn told(output: u64) -> Value {
    let model = json!({"claude-sonnet-4-5": {"inputTokens": 3, "outputTokens": output, "costUSD": 0.001}});
    json!({"result_index": 0, "total_cost_usd": 0.001, "modelUsage": model, "model_usage_since_last_result": model})
}

fn tokens_counted(snapshot: &Snapshot) -> i128 {
    sum(snapshot, "tokens_total")
}

#[test]
fn runs_that_overlap_keep_their_rests_apart() {
    let mut lived = Lived::new(true);
    let (row, first) = lived.answer(2);
    let lines = [lived.init(), first, lived.result(&told(50)), lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 50)]);
    // The second run goes on while the third begins and ends.
    let (second_row, second) = lived.answer(2);
    let lines = [lived.init(), second];
    lived.stream(2, &lines);
    lived.pass(1_000);
    assert_eq!(output(&lived), [(1, 50), (2, 2)], "a turn that goes on explains nothing of another run");
    let (third_row, third) = lived.answer(2);
    let lines = [lived.init(), third, lived.result(&told(70)), lived.end()];
    lived.stream(3, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 50), (2, 2), (3, 70)]);
    lived.world.die();
    let lines = [lived.result(&told(60)), lived.end()];
    lived.stream(2, &lines);
    let before = lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 50), (2, 60), (3, 70)]);
    assert_eq!(tokens_counted(&before), 50 + 60 + 70 + 3 * 3);
    assert_eq!(sum(&before, "workflow_cost_usd_total"), Money::parse_usd("0.002727").unwrap().picousd());
    // The session file comes at last, row by row, and tells what each response used in the end.
    let mut last = before;
    for (mut row, output) in [(row, 50), (third_row, 70), (second_row, 60)] {
        row["message"]["usage"]["output_tokens"] = output.into();
        let prompt = lived.prompt("Now");
        lived.file(&[prompt, row]);
        lived.world.die();
        let snapshot = lived.pass(60_000);
        assert!(tokens_counted(&snapshot) >= tokens_counted(&last), "a counter never goes down");
        last = snapshot;
    }
    assert_eq!(lived.session()["tokens"]["output"], json!(50 + 60 + 70));
    assert_eq!(tokens_counted(&last), 50 + 60 + 70 + 3 * 3, "nothing is counted twice");
}

#[test]
fn a_turn_that_was_killed_takes_nothing_from_the_rest_of_another_run() {
    let mut lived = Lived::new(true);
    let lines = [lived.init(), lived.answer(2).1, lived.result(&told(50)), lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    let lines = [lived.init(), lived.answer(30).1, lived.end()];
    lived.stream(2, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 50), (2, 30)]);
    // Another turn of a run that has a rest already.
    let lines = [lived.init(), lived.answer(2).1, lived.result(&told(40)), lived.end()];
    lived.stream(1, &lines);
    let snapshot = lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 90), (2, 30)]);
    assert_eq!(tokens_counted(&snapshot), 50 + 30 + 40 + 3 * 3);
}

#[test]
fn what_was_interrupted_is_completed_by_nothing_unless_something_else_may_be() {
    let mut lived = Lived::new(true);
    let interrupt = |lived: &mut Lived| {
        json!({"type": "user", "uuid": lived.uuid(), "timestamp": lived.now(), "session_id": SESSION,
            "parent_tool_use_id": null,
            "message": {"role": "user", "content": [{"type": "text", "text": "[Request interrupted by user]"}]}})
    };
    let aborted = |output: u64| {
        let mut told = told(output);
        told["terminal_reason"] = "aborted_streaming".into();
        told
    };
    let lines = [lived.init(), lived.answer(2).1, interrupt(&mut lived), lived.result(&aborted(9)), lived.end()];
    lived.stream(1, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 2)], "no session file would have more of it");
    // In a second run, a turn that was completed may have used all of it.
    let lines = [lived.init(), lived.answer(2).1, lived.result(&told(50))];
    lived.stream(2, &lines);
    lived.pass(60_000);
    let lines = [lived.answer(2).1, interrupt(&mut lived), lived.result(&aborted(9)), lived.end()];
    lived.stream(2, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 2), (2, 59)]);
    // And a request that has no line has a prompt.
    let mut more = aborted(9);
    more["model_usage_since_last_result"]["claude-sonnet-4-5"]["inputTokens"] = 40.into();
    let lines = [lived.init(), lived.answer(2).1, interrupt(&mut lived), lived.result(&more), lived.end()];
    lived.stream(3, &lines);
    lived.pass(60_000);
    assert_eq!(output(&lived), [(1, 2), (2, 59), (3, 9)]);
}

/// Something may happen between two rows of a session file: nothing, time in which its run is settled again or not, or a crash
/// before or after that, after which what was not committed is read again.
fn between(lived: &mut Lived, dice: &mut Dice) -> Snapshot {
    match dice.below(5) {
        0 => lived.world.settle(),
        1 => lived.pass(60_000),
        2 => {
            lived.world.die();
            lived.file(&[]);
            lived.world.settle()
        }
        3 => {
            lived.pass(60_000);
            lived.world.die();
            lived.file(&[]);
            lived.pass(60_000)
        }
        _ => lived.world.engine.as_mut().unwrap().flush().unwrap(),
    }
}

/// Rows of a sub-agent, which are in a file of its own.
fn agent_rows(lived: &mut Lived, id: &str, (rows, output): (usize, u64)) -> Vec<Value> {
    let row = |_| {
        let mut row = lived.answer(output).0;
        row["isSidechain"] = true.into();
        row["agentId"] = id.into();
        row
    };
    (0..rows).map(row).collect()
}

fn output_of(lived: &Lived) -> u64 {
    lived.session()["tokens"]["output"].as_u64().unwrap()
}

#[test]
fn a_session_file_that_comes_slowly_takes_the_place_of_the_rest() {
    for seed in 0..90 {
        let (mut lived, mut dice) = (Lived::new(true), Dice::new(seed));
        // Beyond what the two answers used: nothing, what the client used for itself, or a sub-agent, which no stream told.
        let (beyond, by_agent) = [(0, (0, 0)), (20, (0, 0)), (20, (1, 20)), (150, (150, 1))][dice.below(4)];
        let (first, first_line) = lived.answer(2);
        let (second, second_line) = lived.answer(2);
        let agent = agent_rows(&mut lived, "a1b2c3d4", by_agent);
        let (requests, of_agent) = (3 * (2 + agent.len() as u64), by_agent.0 as u64 * by_agent.1);
        let mut all = told(110 + beyond);
        all["model_usage_since_last_result"]["claude-sonnet-4-5"]["inputTokens"] = requests.into();
        let lines = [lived.init(), first_line, second_line, lived.result(&all), lived.end()];
        lived.stream(1, &lines);
        let snapshot = lived.pass(60_000);
        let told = i128::from(110 + beyond + requests);
        assert_eq!(tokens_counted(&snapshot), told, "seed {seed}");
        let mut shown = std::collections::BTreeMap::new();
        check_monotone(&snapshot, &mut shown);
        // The prompt comes first, and the file of the sub-agent at any time.
        let mut pieces = vec![vec![lived.prompt("Now")]];
        for (mut row, output) in [(first, 50), (second, 60)] {
            row["message"]["usage"]["output_tokens"] = output.into();
            pieces.push(vec![row]);
        }
        pieces.insert(dice.below(pieces.len() + 1), agent);
        for rows in pieces {
            lived.file(&rows);
            check_monotone(&between(&mut lived, &mut dice), &mut shown);
        }
        let snapshot = lived.pass(60_000);
        assert_eq!(output_of(&lived), 110 + of_agent, "seed {seed}: what the files tell");
        assert_eq!(sum(&snapshot, "lifetime_tokens"), i128::from(110 + of_agent + requests), "seed {seed}");
        assert_eq!(tokens_counted(&snapshot), told, "seed {seed}: nothing is counted twice");
        // A person goes on with the session, of which no stream tells, and starts a sub-agent.
        let agent = agent_rows(&mut lived, "a5b6c7d8", (1, 7));
        for rows in [vec![lived.prompt("And now")], vec![lived.answer(30).0], agent] {
            lived.file(&rows);
            check_monotone(&between(&mut lived, &mut dice), &mut shown);
        }
        let snapshot = lived.pass(60_000);
        assert_eq!(output_of(&lived), 110 + of_agent + 37, "seed {seed}");
        assert_eq!(tokens_counted(&snapshot), told + 37 + 2 * 3, "seed {seed}: all of it is new");
    }
}

#[test]
fn a_run_that_goes_on_while_its_session_file_comes_counts_all_of_it() {
    for seed in 0..150 {
        let (mut lived, mut dice) = (Lived::new(true), Dice::new(seed));
        let mut shown = std::collections::BTreeMap::new();
        let mut first = lived.answer(2);
        first.0["message"]["usage"]["output_tokens"] = 50.into();
        let agent = agent_rows(&mut lived, "a1b2c3d4", (1, 40));
        // 20 are what the client used for itself.
        let mut told_first = told(50 + 40 + 20);
        told_first["model_usage_since_last_result"]["claude-sonnet-4-5"]["inputTokens"] = 6.into();
        let prompt = lived.prompt("Now");
        let lines = [lived.init(), first.1, lived.result(&told_first)];
        lived.stream(1, &lines);
        lived.pass(60_000);
        // Its next turn may be on the stream before the file has the first one, and the sub-agent comes at any time.
        let mut second = lived.answer(2);
        second.0["message"]["usage"]["output_tokens"] = 30.into();
        let mut files = vec![vec![prompt], vec![first.0], vec![lived.prompt("And now"), second.0]];
        files.insert(dice.below(files.len() + 1), agent);
        let streamed = dice.below(files.len() + 1);
        let mut waiting = Vec::new();
        for (rows, place) in files.into_iter().zip(0..) {
            if place == streamed {
                lived.stream(1, std::slice::from_ref(&second.1));
                check_monotone(&between(&mut lived, &mut dice), &mut shown);
            }
            waiting.extend(rows);
            // Several may be found by one look.
            if place == 3 || dice.one_in(2) {
                lived.file(&std::mem::take(&mut waiting));
                check_monotone(&between(&mut lived, &mut dice), &mut shown);
            }
        }
        if streamed == 4 {
            lived.stream(1, std::slice::from_ref(&second.1));
        }
        let lines = [lived.result(&told(30)), lived.end()];
        lived.stream(1, &lines);
        check_monotone(&between(&mut lived, &mut dice), &mut shown);
        let snapshot = lived.pass(60_000);
        assert_eq!(output_of(&lived), 50 + 40 + 30, "seed {seed}");
        assert_eq!(tokens_counted(&snapshot), 50 + 40 + 20 + 30 + 3 * 3, "seed {seed}");
    }
}
