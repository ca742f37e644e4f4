//! Turns with answers that were worked out by hand.

use tailspan::views::analytics::critical_path::PathPart;
use tailspan::views::analytics::work::WaitKind;

use super::making::{Thread, World};

/// `kind name milliseconds slack saved` of each part, the longest first.
fn parts(world: &World) -> Vec<String> {
    let path = world.path();
    let row = |part: &PathPart<'_>| {
        let (kind, name) = (part.kind.name(), part.name);
        format!("{kind} {name} {} {} {}", part.path_ms, part.slack_ms, part.saved_if_halved_ms)
    };
    path.parts.iter().map(row).collect()
}

fn alone(turn: Thread) -> World {
    World { turn, ..World::default() }
}

#[test]
fn a_response_is_the_model_and_what_nobody_claims_is_idle() {
    // Prompt at 0, request from 10 to 110, end at 115. Half of 100 is 50; half of 15 is 7.
    assert_eq!(parts(&alone(Thread::new(0, 115).response(1, 10, 110))), ["model opus 100 0 50", "idle idle 15 0 7"]);
}

#[test]
fn of_parallel_calls_the_one_that_ended_last_counts() {
    // Bash is made at 20 and ends at 120, Read at 30 and 70, while the model writes until 40; the next request is at 125.
    // Path: model 0-20, Bash 20-120, idle 120-125, model 125-150. Read could have taken 50 longer.
    // With Bash at half, it ends at 70, together with Read: 50 are saved. With the model at half, both calls are made
    // sooner: Bash at 10 ends at 110, which saves 10, and the last response takes 12.5 less: 22.
    let turn = Thread::new(0, 150).response(1, 0, 40).response(2, 125, 150);
    let turn = turn.call("Bash", (10, 1), 20, 100).call("Read", (11, 1), 30, 40);
    let expected = ["tool Bash 100 0 50", "model opus 45 0 22", "idle idle 5 0 2", "tool Read 0 50 0"];
    assert_eq!(parts(&alone(turn)), expected);
}

#[test]
fn a_faster_call_saves_only_until_another_one_is_the_last() {
    // Bash 10-110, Read 10-90. At half Bash would end at 60, but Read ends at 90: 20 are saved.
    let turn = Thread::new(0, 110).response(1, 0, 10).call("Bash", (10, 1), 10, 100).call("Read", (11, 1), 10, 80);
    assert_eq!(parts(&alone(turn)), ["tool Bash 100 0 20", "model opus 10 0 5", "tool Read 0 20 0"]);
}

#[test]
fn pauses_after_failed_attempts_are_retries_and_not_the_model() {
    // Request at 0, pause 30-80, answer until 100. A turn that gave up has only pauses: 100-140 is one as well.
    let turn = Thread::new(0, 150).response(1, 0, 100);
    let turn =
        turn.wait(WaitKind::Retry("overloaded".into()), 30, 80).wait(WaitKind::Retry("timeout".into()), 100, 140);
    let expected = ["model opus 50 0 25", "retry overloaded 50 0 25", "retry timeout 40 0 20", "idle idle 10 0 5"];
    assert_eq!(parts(&alone(turn)), expected);
}

#[test]
fn a_compaction_counts_also_where_the_request_is_only_known_to_follow_the_row_before() {
    // Compactions 10-30 between requests, and 40-60 after the row that the second request is dated by.
    let turn = Thread::new(0, 90).response(1, 0, 10).response(2, 35, 90);
    let turn = turn.wait(WaitKind::Compaction("auto".into()), 10, 30).wait(WaitKind::Compaction("auto".into()), 40, 60);
    assert_eq!(parts(&alone(turn)), ["model opus 45 0 22", "compaction auto 40 0 20", "idle idle 5 0 2"]);
}

#[test]
fn hooks_count_before_a_request_within_a_call_and_after_the_answer() {
    // `context` 0-20 before the first token of a request that is dated by its prompt; `guard` 35-45 for the call of Bash
    // 30-90 while the model writes until 40; `check` 100-120 after the answer.
    let turn = Thread::new(0, 120).response(1, 0, 40).response(2, 90, 100).call("Bash", (10, 1), 30, 60);
    let turn = turn.hook("context", None, 0, 20).hook("guard", Some(10), 35, 45).hook("check", None, 100, 120);
    let expected =
        ["tool Bash 50 0 25", "model opus 20 0 10", "hook check 20 0 10", "hook context 20 0 10", "hook guard 10 0 5"];
    assert_eq!(parts(&alone(turn)), expected);
}

#[test]
fn a_wait_for_a_permission_is_not_the_tool() {
    // Write is made at 20, a host is asked from 25 to 95, and the file is written at 100, while the model writes until 40.
    // Read 30-60 runs beside it. Half of 70 is 35: Write would end at 65, still after Read.
    let turn = Thread::new(0, 110).response(1, 0, 40).call("Write", (10, 1), 20, 80).call("Read", (11, 1), 30, 30);
    let turn = turn.asked("Write", 10, 25, 95);
    let expected =
        ["permission Write 70 0 35", "model opus 20 0 10", "tool Write 10 0 5", "idle idle 10 0 5", "tool Read 0 40 0"];
    assert_eq!(parts(&alone(turn)), expected);
}

#[test]
fn the_model_tells_how_long_its_first_piece_was_waited_for() {
    // The first request is answered from 30 on, and calls Bash at 20, before its first piece is told to be there: the path
    // goes on in Bash. The second one fails, is sent again after a pause 110-150, and answered 25 after that.
    let turn = Thread::new(0, 300).response(1, 0, 40).first_chunk_after(30).call("Bash", (10, 1), 20, 80);
    let turn = turn.response(2, 100, 300).first_chunk_after(25).wait(WaitKind::Retry("overloaded".into()), 110, 150);
    let world = alone(turn);
    let told =
        world.path().parts.iter().map(|part| (part.kind.name(), part.path_ms, part.first_chunk_ms)).collect::<Vec<_>>();
    assert_eq!(told, [("model", 180, Some(45)), ("tool", 80, None), ("retry", 40, None)]);
}

#[test]
fn of_parallel_sub_agents_the_path_of_the_last_one_counts() {
    // A call 10-210 starts two sub-agents: one 20-200 whose model answers 20-60, calls Bash 60-190, and ends at 200, and
    // one 30-100 that only answers. The call itself is 10-20 and 200-210.
    // The second one could have taken 100 longer. With Bash at half (65) all is done at 135, still after 100: 65 saved.
    // With the model at half: 5 of the turn, 20 of the first agent; the second one does not matter: 25.
    let turn = Thread::new(0, 210).response(1, 0, 10).task((10, 1), 10, 200);
    let first = Thread::new(20, 200).response(2, 20, 60).call("Bash", (11, 2), 60, 130);
    let second = Thread::new(30, 100).response(3, 30, 100);
    let world = World { turn, agents: [(10, vec![second, first])].into() };
    let expected = ["tool Bash 130 0 65", "model opus 50 100 25", "tool Task 20 0 10", "idle idle 10 0 5"];
    assert_eq!(parts(&world), expected);
    // 10 of the first response, 40 and 130 of the first agent, 70 of the second one.
    assert_eq!(world.path().busy_ms, 250);
}

#[test]
fn a_call_without_a_result_lasts_to_the_end_unless_something_follows() {
    let turn = Thread::new(0, 100).response(1, 0, 10).call("Bash", (10, 1), 10, None);
    assert_eq!(parts(&alone(turn.clone())), ["tool Bash 90 0 45", "model opus 10 0 5"]);
    assert_eq!(parts(&alone(turn.response(2, 40, 100))), ["model opus 70 0 35", "idle idle 30 0 15"]);
}

#[test]
fn a_call_made_after_the_next_request_belongs_to_that_one() {
    // The second request began while the first one was answered, whose call at 30 went on until 90.
    let turn = Thread::new(0, 100).response(1, 0, 30).response(2, 20, 40).call("Bash", (10, 1), 30, 60);
    assert_eq!(parts(&alone(turn)), ["tool Bash 60 0 30", "model opus 30 0 15", "idle idle 10 0 5"]);
}

#[test]
fn calls_of_a_response_without_times_are_steps_of_their_own() {
    // Nothing is known of the responses that made the calls 10-40 and 50-70.
    let turn = Thread::new(0, 80).call("Bash", (10, 8), 10, 30).call("Read", (11, 9), 50, 20);
    assert_eq!(parts(&alone(turn)), ["tool Bash 30 0 15", "idle idle 30 0 15", "tool Read 20 0 10"]);
}

#[test]
fn a_circle_of_sub_agents_ends() {
    let turn = Thread::new(0, 100).response(1, 0, 10).task((10, 1), 10, 90);
    let agent = Thread::new(20, 100).response(2, 20, 50).task((10, 2), 50, 50);
    let world = World { turn, agents: [(10, vec![agent])].into() };
    assert_eq!(parts(&world), ["tool Task 60 0 30", "model opus 40 0 20"]);
}
