//! Rules about caches and contexts, each against the same conversation without the habit.

use serde_json::json;
use tailspan::ledger::money::Money;

use super::{OPUS, SEEDS, SONNET, Told, missing, saving, some, turn};
use crate::support::story::Story;
use crate::support::world::Dice;

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

#[test]
fn a_call_that_outlasts_the_cache_is_no_break() {
    let mut story = Story::new(1, SONNET, 60_000);
    story.prompt(100);
    let call = story.call(100, &[("Bash", json!({"command": "make all"}))]);
    story.result(&call[0], 400, 600_000, false).answer(100);
    let told = Told::of(&[story]);
    let figures = &told.pattern("cache_expired").unwrap()["figures"];
    assert_eq!((&figures["after_breaks"], &figures["after_long_calls"]), (&json!(0), &json!(1)));
}

#[test]
fn tools_that_come_in_the_middle_are_the_reason() {
    let mut story = Story::new(1, SONNET, 60_000);
    turn(&mut story, 2);
    story.tools_come("mcp__github__list").forget();
    turn(&mut story, 2);
    let told = Told::of(&[story]);
    assert_eq!(told.pattern("cache_rebuilt").unwrap()["figures"]["tools_changed"], 1);
}

#[test]
fn a_server_with_a_name_like_two_is_known_by_its_tools() {
    let stories: Vec<Story> = (1..=4)
        .map(|number| {
            let mut story = Story::new(number, SONNET, 20_000);
            story.prompt(100).offer("my__server", 4_000);
            story.tool("mcp__my__server__do", json!({}), 400).answer(100);
            story
        })
        .collect();
    assert!(Told::of(&stories).pattern("unused_servers").is_none());
}

#[test]
fn usage_beyond_all_reason_stops_nothing() {
    let mut story = Story::new(1, OPUS, 1 << 42);
    story.prompt(1 << 42).warm();
    for _ in 0..4 {
        let call = story.call(1 << 42, &[("Bash", json!({"command": "cargo tset"}))]);
        story.result(&call[0], 80, 700_000, true);
    }
    story.tool("Read", json!({"file_path": "/a.rs"}), 40_000).tool("Read", json!({"file_path": "/a.rs"}), 40_000);
    story.offer("github", 4_000).answer(1 << 42);
    let told = Told::of(&[story]);
    assert!(told.answer["patterns"].as_array().unwrap().len() > 2, "{}", told.answer);
}

#[test]
fn a_fork_that_does_not_read_its_source_costs_what_the_cache_had() {
    for seed in 0..SEEDS {
        let stories = |forgets: bool, later_ms: i64| {
            let mut dice = Dice::new(seed);
            let mut story = Story::new(1, SONNET, some(&mut dice, 20_000, 120_000));
            turn(&mut story, 3);
            let mut fork = story.fork(2);
            if forgets {
                fork.forget();
            }
            fork.pass(later_ms);
            turn(&mut fork, 2);
            [story, fork]
        };
        let (lost, kept) = (Told::of(&stories(true, 1_000)), Told::of(&stories(false, 1_000)));
        let found = lost.pattern("cache_rebuilt").unwrap();
        assert_eq!(found["figures"]["forks"], 1, "{found}");
        // What the fork itself asked is in it.
        let missing = missing(saving(found), lost.cost - kept.cost);
        assert!((-0.02..=0.0).contains(&missing), "seed {seed}: {missing}");
        assert!(kept.pattern("cache_rebuilt").is_none());
        let late = Told::of(&stories(true, 600_000));
        assert_eq!(late.pattern("cache_expired").unwrap()["figures"]["after_breaks"], 1);
        assert!(late.pattern("cache_rebuilt").is_none());
    }
}
