//! A run whose end nobody tells has ended once nothing came for long, with its last line, and counts once.

use serde_json::json;
use tailspan::ledger::run::RunOutcome;

use crate::support::lived::{Lived, counted};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

fn turn(lived: &mut Lived, ends: bool) {
    let mut lines = vec![lived.init(), lived.answer(2).1];
    if ends {
        lines.push(lived.result(&json!({})));
    }
    lived.stream(1, &lines);
    lived.world.settle();
}

/// How many runs of each outcome the counters have after this time, and how the run is told.
fn after(lived: &mut Lived, ms: i64) -> (Vec<(String, i128)>, RunOutcome) {
    let counted = counted(&lived.pass(ms));
    (counted, lived.runs()[0].outcome())
}

fn once(outcome: &str) -> Vec<(String, i128)> {
    vec![(format!("demo {outcome}"), 1)]
}

#[test]
fn after_a_result_it_has_ended_in_ten_minutes_if_its_sender_tells_no_end() {
    let mut lived = Lived::new(false);
    turn(&mut lived, true);
    assert_eq!(after(&mut lived, 9 * MINUTE_MS), (vec![], RunOutcome::Success));
    // A restart does not count it early, and forgets nothing.
    lived.world.die();
    assert_eq!(after(&mut lived, 0), (vec![], RunOutcome::Success));
    assert_eq!(after(&mut lived, 2 * MINUTE_MS), (once("success"), RunOutcome::Success));
    // Another turn of the same process: it goes on, and is counted no second time.
    turn(&mut lived, false);
    assert_eq!(after(&mut lived, 11 * MINUTE_MS), (once("success"), RunOutcome::Running));
    lived.world.die();
    assert_eq!(after(&mut lived, DAY_MS), (once("success"), RunOutcome::Running));
    assert_eq!(after(&mut lived, 2 * MINUTE_MS), (once("success"), RunOutcome::Killed));
}

#[test]
fn a_session_file_that_goes_on_without_the_run_puts_its_end_off_by_nothing() {
    let mut lived = Lived::new(false);
    let rows = [lived.prompt("Before"), lived.answer(10).0];
    lived.file(&rows);
    lived.pass(MINUTE_MS);
    // The client was killed before it wrote anything, and a person goes on with the session.
    turn(&mut lived, true);
    let half_minute = |lived: &mut Lived| {
        let rows = [lived.prompt("And"), lived.answer(10).0];
        lived.file(&rows);
        after(lived, 25_000)
    };
    let told: Vec<_> = (0..24).map(|_| half_minute(&mut lived)).collect();
    assert_eq!(told[18].0, vec![], "within ten minutes after its last line");
    assert_eq!(told[20].0, once("success"), "at the next look behind them");
    assert_eq!(lived.runs()[0].provisional.len(), 1, "it may be a turn that the file tells at last");
}

#[test]
fn within_a_turn_it_may_be_silent_for_a_day() {
    let mut lived = Lived::new(false);
    turn(&mut lived, false);
    assert_eq!(after(&mut lived, DAY_MS - MINUTE_MS), (vec![], RunOutcome::Running));
    // All files are looked at all the time.
    let now = lived.world.now;
    lived.world.engine.as_mut().unwrap().caught_up(now);
    assert_eq!(after(&mut lived, 2 * MINUTE_MS), (once("killed"), RunOutcome::Killed));
    after(&mut lived, MINUTE_MS);
    assert_eq!(lived.told(), ["ended"]);
}

#[test]
fn a_run_that_told_nothing_yet_may_be_silent_for_a_day() {
    let mut lived = Lived::new(false);
    let init = lived.init();
    lived.stream(1, &[init]);
    lived.world.settle();
    assert_eq!(after(&mut lived, DAY_MS - MINUTE_MS), (vec![], RunOutcome::Running));
    assert_eq!(after(&mut lived, 2 * MINUTE_MS), (once("killed"), RunOutcome::Killed));
}

#[test]
fn a_sender_that_tells_the_end_is_waited_for_a_day() {
    let mut lived = Lived::new(true);
    turn(&mut lived, true);
    assert_eq!(after(&mut lived, DAY_MS - MINUTE_MS), (vec![], RunOutcome::Success));
    assert_eq!(after(&mut lived, 2 * MINUTE_MS), (once("success"), RunOutcome::Success));
    // Told in time, it has ended at once, whatever the order of the fields is.
    let mut lived = Lived::new(true);
    turn(&mut lived, true);
    let end = lived.end();
    lived.stream(1, &[end]);
    assert_eq!(after(&mut lived, 0), (once("success"), RunOutcome::Success));
}

#[test]
fn a_run_that_goes_on_after_its_end_was_told_goes_on() {
    let mut lived = Lived::new(false);
    turn(&mut lived, true);
    let end = lived.end();
    lived.stream(1, &[end]);
    assert_eq!(after(&mut lived, 0), (once("success"), RunOutcome::Success));
    turn(&mut lived, false);
    assert_eq!(after(&mut lived, 0), (once("success"), RunOutcome::Running));
    assert_eq!(lived.runs()[0].end(), None);
    let (end, result) = (lived.end(), lived.result(&json!({})));
    lived.stream(1, &[result, end]);
    assert_eq!(after(&mut lived, 0), (once("success"), RunOutcome::Success));
    assert!(lived.runs()[0].end().is_some());
}

#[test]
fn what_a_commit_stores_of_a_run_it_tells() {
    let mut lived = Lived::new(true);
    let lines = [lived.init(), lived.answer(2).1];
    lived.stream(1, &lines);
    let now = lived.world.now;
    lived.world.engine.as_mut().unwrap().commit(now).unwrap();
    lived.world.engine.as_mut().unwrap().flush().unwrap();
    assert_eq!(lived.told(), ["began"]);
}
