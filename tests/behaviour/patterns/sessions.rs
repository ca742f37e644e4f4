//! The rules that look at single sessions, each against the same conversation without the habit.

use serde_json::json;
use tailspan::ledger::money::Money;

use super::{Told, missing, saving, saving_ms};
use crate::support::story::{RESPONSE_MS, Story};
use crate::support::world::Dice;

const OPUS: &str = "claude-opus-4-5";
const SONNET: &str = "claude-sonnet-4-5";
const HAIKU: &str = "claude-haiku-4-5";

/// How many histories are made for each rule.
const SEEDS: u64 = 20;

fn some(dice: &mut Dice, low: usize, high: usize) -> u64 {
    (low + dice.below(high - low)) as u64
}

/// A turn of some calls with small results.
fn turn(story: &mut Story, calls: u64) {
    story.prompt(200);
    for number in 0..calls {
        story.tool("Bash", json!({"command": format!("step {number}")}), 400);
    }
    story.answer(300);
}

#[test]
fn a_break_costs_what_the_cache_forgot() {
    for seed in 0..SEEDS {
        let story = |break_ms: i64| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, [OPUS, SONNET][dice.below(2)], some(&mut dice, 20_000, 120_000));
            for _ in 0..some(&mut dice, 2, 5) {
                let calls = some(&mut dice, 1, 6);
                turn(&mut story, calls);
                story.pass(break_ms);
            }
            turn(&mut story, 2);
            story
        };
        let (late, in_time) = (Told::of(&[story(600_000)]), Told::of(&[story(60_000)]));
        let found = late.pattern("cache_expired").unwrap();
        assert_eq!(saving(found), late.cost - in_time.cost, "seed {seed}");
        assert!(late.pattern("cache_rebuilt").is_none());
        assert!(in_time.pattern("cache_expired").is_none(), "seed {seed}: no break was too long");
        let evidence = &found["evidence"][0];
        assert!(evidence["event"].is_u64() && evidence["span_id"].is_string(), "{evidence}");
    }
}

#[test]
fn another_model_or_beginning_costs_what_the_cache_had() {
    for seed in 0..SEEDS {
        let story = |switches: bool, shares: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, some(&mut dice, 20_000, 120_000));
            story.shares_cache = shares;
            turn(&mut story, 3);
            if switches {
                story.model = OPUS.to_owned();
            } else if !shares {
                story.forget();
            }
            let calls = some(&mut dice, 1, 8);
            turn(&mut story, calls);
            story
        };
        for (switches, why) in [(true, "model_switches"), (false, "other")] {
            let (lost, kept) = (Told::of(&[story(switches, false)]), Told::of(&[story(switches, true)]));
            let found = lost.pattern("cache_rebuilt").unwrap();
            assert_eq!(saving(found), lost.cost - kept.cost, "seed {seed}: {why}");
            assert_eq!(found["figures"][why], 1, "{found}");
            assert!(lost.pattern("cache_expired").is_none());
            assert!(kept.pattern("cache_rebuilt").is_none(), "seed {seed}: nothing was lost");
        }
    }
}

#[test]
fn a_large_result_costs_what_later_requests_read_of_it() {
    for seed in 0..SEEDS {
        // The tokens of the result are left out of the conversation once ten responses had them.
        let story = |drops: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, OPUS, some(&mut dice, 10_000, 40_000));
            let bytes = some(&mut dice, 10_000, 40_000) * 4;
            story.prompt(0);
            story.tool("Bash", json!({"command": "cat everything"}), bytes);
            for number in 0..some(&mut dice, 12, 60) {
                if drops && number == 10 {
                    story.drop_tokens(bytes / 4);
                }
                story.tool("Bash", json!({"command": format!("step {number}")}), 400);
            }
            story
        };
        let (carried, dropped) = (Told::of(&[story(false)]), Told::of(&[story(true)]));
        let found = carried.pattern("carried_results").unwrap();
        let missing = missing(saving(found), carried.cost - dropped.cost);
        assert!(missing.abs() < 0.01, "seed {seed}: {missing}");
    }
    let mut short = Story::new(1, OPUS, 20_000);
    short.prompt(0).tool("Bash", json!({"command": "cat everything"}), 160_000);
    turn(&mut short, 8);
    assert!(Told::of(&[short]).pattern("carried_results").is_none(), "the result was needed for as long");
}

#[test]
fn pauses_after_failed_attempts_cost_their_time() {
    for seed in 0..SEEDS {
        let story = |fails: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, OPUS, 20_000);
            for _ in 0..3 {
                story.prompt(100);
                story.tool("Bash", json!({"command": "ls"}), 400);
                for _ in 0..some(&mut dice, 1, 5) {
                    let pause = some(&mut dice, 5_000, 60_000) as i64;
                    if fails {
                        story.retry(pause);
                    }
                }
                story.answer(300);
            }
            story
        };
        let (failed, went_well) = (Told::of(&[story(true)]), Told::of(&[story(false)]));
        match failed.pattern("retries") {
            Some(found) => {
                assert_eq!(saving_ms(found), failed.turn_ms - went_well.turn_ms, "seed {seed}");
                assert_eq!(failed.cost, went_well.cost, "failed attempts cost nothing");
                assert_eq!(found["figures"]["turns_by_reason"], json!({"overloaded": 3}), "{found}");
            }
            None => assert!(failed.turn_ms - went_well.turn_ms < 30_000, "seed {seed}"),
        }
        assert!(went_well.pattern("retries").is_none());
    }
}

#[test]
fn a_sub_agent_that_does_little_costs_more_than_the_main_thread() {
    for seed in 0..SEEDS {
        let story = |delegates: bool| {
            let mut dice = Dice::new(seed);
            let (own, agents) = (some(&mut dice, 8_000, 30_000), some(&mut dice, 8_000, 20_000));
            let (bytes, output) = (some(&mut dice, 400, 8_000), some(&mut dice, 50, 400));
            let mut story = Story::new(1, OPUS, own);
            story.prompt(100);
            let grep = ("Grep", json!({"pattern": "x"}));
            if delegates {
                let call = story.call(100, &[("Task", json!({"subagent_type": "Explore", "prompt": "look"}))]);
                let end = story.agent(&call[0], "Explore", agents, |agent| {
                    let calls = agent.call(output, &[grep]);
                    agent.result(&calls[0], bytes, 1000, false).answer(output);
                });
                let took = end - story.now;
                story.result(&call[0], output * 4, took, false);
            } else {
                let calls = story.call(output, &[grep]);
                story.result(&calls[0], bytes, 1000, false);
            }
            story.answer(output);
            story
        };
        let (delegated, done) = (Told::of(&[story(true)]), Told::of(&[story(false)]));
        let (cost, truth) = (delegated.cost.to_f64(), (delegated.cost - done.cost).to_f64());
        match delegated.pattern("sub_agent_warm_up") {
            // What the main thread paid to ask and to be answered is not in it.
            Some(found) => {
                let said = saving(found).to_f64();
                assert!(said <= truth + 0.02 * cost && said >= 0.6 * truth, "seed {seed}: {said} of {truth}");
            }
            None => assert!(truth < 0.2 * cost, "seed {seed}: {truth}"),
        }
        assert!(done.pattern("sub_agent_warm_up").is_none());
    }
}

#[test]
fn a_sub_agent_that_does_much_is_worth_its_prompt() {
    let mut story = Story::new(1, OPUS, 60_000);
    story.prompt(100);
    let call = story.call(100, &[("Task", json!({"subagent_type": "Explore", "prompt": "look"}))]);
    let end = story.agent(&call[0], "Explore", 10_000, |agent| {
        for number in 0..12 {
            agent.tool("Read", json!({"file_path": format!("/src/{number}.rs")}), 8_000);
        }
        agent.answer(200);
    });
    let took = end - story.now;
    story.result(&call[0], 800, took, false).answer(100);
    assert!(Told::of(&[story]).pattern("sub_agent_warm_up").is_none());
}

#[test]
fn small_tasks_of_a_dear_model_cost_what_a_cheaper_one_does_not() {
    for seed in 0..SEEDS {
        let stories = |model: &str| -> Vec<Story> {
            let mut dice = Dice::new(seed);
            let ask = |number| {
                let mut story = Story::new(number, model, some(&mut dice, 10_000, 60_000));
                let calls = some(&mut dice, 0, 3);
                turn(&mut story, calls);
                story
            };
            (1..6).map(ask).collect()
        };
        let (dear, cheap) = (Told::of(&stories(OPUS)), Told::of(&stories(HAIKU)));
        let found = dear.pattern("dear_model").unwrap();
        assert_eq!(saving(found), dear.cost - cheap.cost, "seed {seed}");
        assert_eq!(found["figures"]["tasks_by_model"], json!({OPUS: 5}));
        assert!(cheap.pattern("dear_model").is_none());
    }
    let mut long = Story::new(1, OPUS, 60_000);
    turn(&mut long, 1);
    turn(&mut long, 10);
    assert!(Told::of(&[long]).pattern("dear_model").is_none(), "a small turn of a longer session has its cache");
}

#[test]
fn a_long_context_costs_at_most_what_a_compaction_would_have_saved() {
    for seed in 0..SEEDS {
        let story = |compacts: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, 140_000);
            let (turns, calls) = (some(&mut dice, 3, 8), some(&mut dice, 4, 10));
            for _ in 0..turns {
                if compacts && story.tokens() > 150_000 {
                    story.compact(20_000, 5_000);
                }
                story.prompt(100);
                for number in 0..calls {
                    story.tool("Bash", json!({"command": format!("step {number}")}), 6_000);
                }
                story.answer(500);
            }
            story
        };
        let (grown, compacted) = (Told::of(&[story(false)]), Told::of(&[story(true)]));
        let found = grown.pattern("long_context").unwrap();
        assert!(saving(found) > Money::ZERO && saving(found) <= grown.cost - compacted.cost, "seed {seed}: {found}");
        assert!(compacted.pattern("long_context").is_none_or(|left| saving(left) < saving(found)), "seed {seed}");
    }
    let mut short = Story::new(1, SONNET, 100_000);
    turn(&mut short, 20);
    assert!(Told::of(&[short]).pattern("long_context").is_none());
}

#[test]
fn compactions_in_a_row_cost_the_time_of_those_that_came_too_soon() {
    for seed in 0..SEEDS {
        let story = |between: u64, again: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, 150_000);
            let times = [some(&mut dice, 2_000, 90_000) as i64, some(&mut dice, 2_000, 90_000) as i64];
            story.prompt(100).compact(20_000, times[0]);
            for number in 0..between {
                story.tool("Bash", json!({"command": format!("step {number}")}), 400);
            }
            if again {
                story.compact(20_000, times[1]);
            }
            story.answer(100);
            story
        };
        let between = Dice::new(seed).below(9) as u64;
        let (twice, once) = (Told::of(&[story(between, true)]), Told::of(&[story(between, false)]));
        let found = twice.pattern("compactions_in_a_row").unwrap();
        assert_eq!(saving_ms(found), twice.turn_ms - once.turn_ms, "seed {seed}");
        assert!(once.pattern("compactions_in_a_row").is_none());
        assert!(Told::of(&[story(12, true)]).pattern("compactions_in_a_row").is_none(), "much was done between them");
    }
}

#[test]
fn a_question_costs_the_time_until_its_answer() {
    for seed in 0..SEEDS {
        let story = |asks: bool, least: usize| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, 20_000);
            story.prompt(100);
            let waits = some(&mut dice, least, least + 600_000) as i64;
            let call = story.call(100, &[("AskUserQuestion", json!({"questions": []}))]);
            story.result(&call[0], 40, if asks { waits } else { 0 }, false).answer(100);
            story
        };
        let (waited, answered) = (Told::of(&[story(true, 60_000)]), Told::of(&[story(false, 60_000)]));
        let found = waited.pattern("waiting_for_person").unwrap();
        assert_eq!(saving_ms(found), waited.turn_ms - answered.turn_ms, "seed {seed}");
        assert!(answered.pattern("waiting_for_person").is_none());
    }
}

#[test]
fn sub_agents_one_after_the_other_cost_the_time_of_all_but_the_longest() {
    for seed in 0..SEEDS {
        let story = |in_parallel: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, 20_000);
            let task = |number: u64| ("Task", json!({"subagent_type": "Explore", "prompt": format!("look {number}")}));
            let count = some(&mut dice, 2, 5);
            story.prompt(100);
            let waits: Vec<i64> = (0..count).map(|_| some(&mut dice, 40_000, 200_000) as i64).collect();
            let work = |agent: &mut Story, ms: i64| {
                let calls = agent.call(100, &[("Grep", json!({"pattern": "x"}))]);
                agent.result(&calls[0], 400, ms, false).answer(100);
            };
            if in_parallel {
                let calls = story.call(100, &(0..count).map(task).collect::<Vec<_>>());
                let begin = story.now;
                let mut ends: Vec<(i64, &String)> = Vec::new();
                for (call, ms) in calls.iter().zip(&waits) {
                    ends.push((story.agent(call, "Explore", 8_000, |agent| work(agent, *ms)), call));
                }
                ends.sort();
                let mut now = begin;
                for (end, call) in ends {
                    story.result(call, 400, end - now, false);
                    now = end;
                }
            } else {
                for (number, ms) in (0..count).zip(&waits) {
                    let call = story.call(100, &[task(number)]);
                    let end = story.agent(&call[0], "Explore", 8_000, |agent| work(agent, *ms));
                    let took = end - story.now;
                    story.result(&call[0], 400, took, false);
                }
            }
            story.answer(100);
            (story, count)
        };
        let ((serial, count), (parallel, _)) = (story(false), story(true));
        let (serial, parallel) = (Told::of(&[serial]), Told::of(&[parallel]));
        let found = serial.pattern("serial_agents").unwrap();
        // At the same time they also need one response, not one for each.
        let responses = (count as i64 - 1) * RESPONSE_MS;
        assert_eq!(saving_ms(found) + responses, serial.turn_ms - parallel.turn_ms, "seed {seed}");
        assert_eq!(found["figures"]["sub_agents"], count, "{found}");
        assert!(parallel.pattern("serial_agents").is_none());
    }
}

#[test]
fn a_file_that_is_read_again_costs_what_its_second_result_did() {
    for seed in 0..SEEDS {
        let story = |again: bool| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, OPUS, some(&mut dice, 10_000, 40_000));
            let (bytes, before, after) =
                (some(&mut dice, 2_000, 60_000), some(&mut dice, 0, 10), some(&mut dice, 1, 20));
            let read = json!({"file_path": "/src/main.rs"});
            story.prompt(0);
            story.tool("Read", read.clone(), bytes);
            turn(&mut story, before);
            story.prompt(0);
            story.tool("Read", read, if again { bytes } else { 0 });
            for number in 0..after {
                story.tool("Bash", json!({"command": format!("step {number}")}), 400);
            }
            story
        };
        let (read, known) = (Told::of(&[story(true)]), Told::of(&[story(false)]));
        let found = read.pattern("file_read_again").unwrap_or_else(|| panic!("seed {seed}: {}", read.answer));
        let missing = missing(saving(found), read.cost - known.cost);
        assert!(missing.abs() < 0.02, "seed {seed}: {missing}");
        assert!(known.pattern("file_read_again").is_none());
    }
}

#[test]
fn a_file_that_may_be_another_one_is_read_for_a_reason() {
    let read = || json!({"file_path": "/src/main.rs"});
    let again = |between: &dyn Fn(&mut Story), input: serde_json::Value, bytes: u64| {
        let mut story = Story::new(1, OPUS, 20_000);
        story.prompt(0).tool("Read", read(), 40_000);
        between(&mut story);
        story.tool("Read", input, bytes).answer(100);
        Told::of(&[story]).pattern("file_read_again").is_some()
    };
    let nothing = |_: &mut Story| {};
    assert!(again(&nothing, read(), 40_000));
    assert!(!again(&nothing, read(), 40_004), "its content is another one");
    assert!(!again(&nothing, json!({"file_path": "/src/main.rs", "offset": 100}), 40_000), "another part");
    let edit = |story: &mut Story| {
        story.tool("Edit", json!({"file_path": "/src/main.rs", "old_string": "a", "new_string": "b"}), 40);
    };
    assert!(!again(&edit, read(), 40_000), "it was edited");
    let compact = |story: &mut Story| {
        story.compact(5_000, 1_000);
    };
    assert!(!again(&compact, read(), 40_000), "the context does not have it any more");
    let other = |story: &mut Story| {
        story.tool("Edit", json!({"file_path": "/src/lib.rs", "old_string": "a", "new_string": "b"}), 40);
    };
    assert!(again(&other, read(), 40_000), "another file was edited");
}

#[test]
fn a_call_that_fails_again_and_again_costs_what_made_it() {
    for seed in 0..SEEDS {
        let story = |times: u64| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, OPUS, some(&mut dice, 10_000, 80_000));
            let (ms, output) = (some(&mut dice, 500, 20_000) as i64, some(&mut dice, 50, 500));
            story.prompt(100);
            for _ in 0..times {
                let call = story.call(output, &[("Bash", json!({"command": "cargo tset"}))]);
                story.result(&call[0], 80, ms, true);
            }
            story.tool("Bash", json!({"command": "cargo test"}), 400).answer(100);
            story
        };
        let times = 3 + Dice::new(seed).below(5) as u64;
        let (again, once) = (Told::of(&[story(times)]), Told::of(&[story(1)]));
        let found = again.pattern("call_fails_again").unwrap();
        assert_eq!(saving_ms(found), again.turn_ms - once.turn_ms, "seed {seed}");
        assert_eq!(found["figures"]["failed_calls"], times);
        // What later responses read of the failed calls is not in it.
        let missing = missing(saving(found), again.cost - once.cost);
        assert!((-0.02..0.15).contains(&missing), "seed {seed}: {missing}");
        assert!(Told::of(&[story(2)]).pattern("call_fails_again").is_none(), "twice may be by chance");
    }
    let mut others = Story::new(1, OPUS, 20_000);
    others.prompt(100);
    for number in 0..6 {
        let call = others.call(100, &[("Bash", json!({"command": format!("try {number}")}))]);
        others.result(&call[0], 80, 1000, true);
    }
    assert!(Told::of(&[others.clone()]).pattern("call_fails_again").is_none(), "something else was tried each time");
}

#[test]
fn a_server_that_nobody_calls_costs_what_the_model_was_told_of_it() {
    for seed in 0..SEEDS {
        let stories = |is_connected: bool, is_used: bool, count: usize| -> Vec<Story> {
            let mut dice = Dice::new(seed);
            let session = |number: usize| {
                let mut story = Story::new(number, SONNET, some(&mut dice, 10_000, 40_000));
                let (bytes, calls) = (some(&mut dice, 400, 20_000) / 4 * 4, some(&mut dice, 2, 20));
                story.prompt(100);
                if is_connected {
                    story.offer("github", bytes);
                }
                for call in 0..calls {
                    story.tool("Bash", json!({"command": format!("step {call}")}), 400);
                }
                if is_used && number == 2 {
                    story.tool("mcp__github__list", json!({}), 400);
                }
                story.answer(100);
                story
            };
            (1..=count).map(session).collect()
        };
        let told = |connected, used, count| Told::of(&stories(connected, used, count));
        let (connected, without) = (told(true, false, 4), told(false, false, 4));
        let found = connected.pattern("unused_servers").unwrap();
        assert_eq!(saving(found), connected.cost - without.cost, "seed {seed}");
        assert_eq!(found["figures"]["servers"], 1);
        assert!(without.pattern("unused_servers").is_none());
        assert!(told(true, true, 4).pattern("unused_servers").is_none(), "one session needed it");
        assert!(told(true, false, 2).pattern("unused_servers").is_none(), "two sessions say little");
    }
}
