//! Rules about how work is done: retries, questions, sub-agents, models. Each against the same conversation without the habit.

use serde_json::json;
use tailspan::config::PatternSettings;

use super::{HAIKU, OPUS, SEEDS, SONNET, Told, missing, saving, saving_ms, some, turn};
use crate::support::story::{RESPONSE_MS, Story};
use crate::support::world::Dice;

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
fn compactions_that_are_days_apart_are_not_in_a_row() {
    let told = |apart_ms: i64, limits: &[((&'static str, &'static str), f64)]| {
        let mut story = Story::new(1, SONNET, 150_000);
        story.prompt(100).compact(20_000, 10_000).answer(100).pass(apart_ms);
        story.prompt(100).answer(100).compact(20_000, 30_000).answer(100);
        let limits = limits.iter().copied().collect();
        let told = Told::with(&[story], PatternSettings { limits, ..PatternSettings::default() });
        told.pattern("compactions_in_a_row").map(saving_ms)
    };
    let hour = 3_600_000;
    assert_eq!((told(11 * hour, &[]), told(12 * hour, &[]), told(72 * hour, &[])), (Some(30_000), None, None));
    assert_eq!(told(72 * hour, &[(("compactions_in_a_row", "hours"), 100.0)]), Some(30_000));
    assert_eq!(told(hour, &[(("compactions_in_a_row", "hours"), 0.5)]), None);
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
fn what_a_small_task_read_from_a_cache_is_written_by_the_cheaper_model() {
    // It reads 100,000 tokens that others left in the cache: the cheaper model would have to write them.
    let mut story = Story::new(1, OPUS, 100_000);
    story.warm().prompt(100).answer(100);
    assert!(Told::of(&[story]).pattern("dear_model").is_none());
}
