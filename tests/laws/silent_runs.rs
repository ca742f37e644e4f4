//! A run whose end nobody tells has ended once nothing came for long, with its last line, and counts once.

use tailspan::ledger::run::RunOutcome;
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::catalog;
use tailspan::views::metrics::totals::{Sample, Snapshot};

use crate::support::world::{Dice, World, append};

const SESSION: &str = "5fb3d16f-f9e3-4142-a37d-c727bd6ab70f";
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A world with one run, whose lines arrive now.
struct Lived {
    world: World,
    _keep: tempfile::TempDir,
    /// Whether the sender tells when lines arrived.
    tells_times: bool,
    turns: u32,
}

impl Lived {
    fn new(tells_times: bool) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let world = World::new(keep.path());
        let mut lived = Self { world, _keep: keep, tells_times, turns: 0 };
        let at = lived.world.now.to_rfc3339();
        lived.append(&[format!(
            r#"{{"type":"tailspan","mark":"run","run":"{SESSION}","workflow":"demo","at":"{at}"}}"#
        )]);
        lived
    }

    fn append(&mut self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        append(&self.world.streams().join(format!("{SESSION}.jsonl")), text.as_bytes());
    }

    /// A turn of the stream, with or without its end.
    fn turn(&mut self, ends: bool) {
        self.turns += 1;
        let (turn, at) = (self.turns, self.world.now.to_rfc3339());
        let by = if self.tells_times { "" } else { r#","by":"sidecar""# };
        let id = |kind: u32| format!("{turn:08x}-0000-4000-8000-{kind:012x}");
        let mut lines = vec![
            format!(r#"{{"type":"tailspan","mark":"at","at":"{at}"{by}}}"#),
            format!(
                r#"{{"type":"system","subtype":"init","session_id":"{SESSION}","cwd":"/home/dev/app","uuid":"{}"}}"#,
                id(1)
            ),
            format!(
                r#"{{"type":"assistant","message":{{"id":"msg_{turn}","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{{"type":"text","text":"Yes."}}],"stop_reason":null,"usage":{{"input_tokens":3,"output_tokens":2}}}},"parent_tool_use_id":null,"session_id":"{SESSION}","uuid":"{}","timestamp":"{at}"}}"#,
                id(2)
            ),
        ];
        if ends {
            lines.push(format!(
                r#"{{"type":"result","subtype":"success","is_error":false,"session_id":"{SESSION}","num_turns":1,"total_cost_usd":0.01,"terminal_reason":"completed","uuid":"{}","result_index":{}}}"#,
                id(3),
                turn - 1
            ));
        }
        self.append(&lines);
        self.world.read(&mut Dice::new(1), usize::MAX);
        self.world.settle();
    }

    /// How many runs of each outcome the counters have after this time, and how the run is told.
    fn after(&mut self, ms: i64) -> (Vec<(String, i128)>, RunOutcome) {
        self.world.now = Timestamp(self.world.now.0 + ms);
        let counted = counted(&self.world.settle());
        let mut outcome = None;
        self.world.reader.as_ref().unwrap().each_run(|run| outcome = Some(run.outcome())).unwrap();
        (counted, outcome.unwrap())
    }
}

fn counted(snapshot: &Snapshot) -> Vec<(String, i128)> {
    let series = snapshot.of(&catalog::WORKFLOW_RUNS).filter_map(|(labels, sample)| match sample {
        Sample::Number(number) if *number > 0 => Some((labels.join(" "), *number)),
        _ => None,
    });
    series.collect()
}

#[test]
fn after_a_result_it_has_ended_in_ten_minutes_if_its_sender_tells_no_end() {
    let mut lived = Lived::new(false);
    lived.turn(true);
    assert_eq!(lived.after(9 * MINUTE_MS), (vec![], RunOutcome::Success));
    // A restart does not count it early, and forgets nothing.
    lived.world.die();
    assert_eq!(lived.after(0), (vec![], RunOutcome::Success));
    let once = vec![("demo success".to_owned(), 1)];
    assert_eq!(lived.after(2 * MINUTE_MS), (once.clone(), RunOutcome::Success));
    // Another turn of the same process: it goes on, and is counted no second time.
    lived.turn(false);
    assert_eq!(lived.after(11 * MINUTE_MS), (once.clone(), RunOutcome::Running));
    lived.world.die();
    assert_eq!(lived.after(DAY_MS), (once.clone(), RunOutcome::Running));
    assert_eq!(lived.after(2 * MINUTE_MS), (once, RunOutcome::Killed));
}

#[test]
fn within_a_turn_it_may_be_silent_for_a_day() {
    let mut lived = Lived::new(false);
    lived.turn(false);
    assert_eq!(lived.after(DAY_MS - MINUTE_MS), (vec![], RunOutcome::Running));
    assert_eq!(lived.after(2 * MINUTE_MS), (vec![("demo killed".to_owned(), 1)], RunOutcome::Killed));
}

#[test]
fn a_sender_that_tells_the_end_is_waited_for_a_day() {
    let mut lived = Lived::new(true);
    lived.turn(true);
    assert_eq!(lived.after(DAY_MS - MINUTE_MS), (vec![], RunOutcome::Success));
    assert_eq!(lived.after(2 * MINUTE_MS), (vec![("demo success".to_owned(), 1)], RunOutcome::Success));
    // Told in time, it has ended at once, whatever the order of the fields is.
    let mut lived = Lived::new(true);
    lived.turn(true);
    let at = lived.world.now.to_rfc3339();
    lived.append(&[format!(r#"{{"at":"{at}","mark":"end","type":"tailspan"}}"#)]);
    lived.world.read(&mut Dice::new(1), usize::MAX);
    assert_eq!(lived.after(0), (vec![("demo success".to_owned(), 1)], RunOutcome::Success));
}
