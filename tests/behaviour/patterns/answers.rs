//! The answer as a whole: order, filters, settings, and what is usual.

use serde_json::{Value, json};
use tailspan::config::PatternSettings;
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;

use super::{ALWAYS, dollars, told};
use crate::support::costs::{Asked, recorded};
use crate::support::story::Story;

/// A session with a break that cost something and a question that took time, in a project and on a branch.
fn story(number: usize) -> Story {
    let mut story = Story::new(number, "claude-opus-4-5", 60_000);
    story.prompt(100).answer(100).pass(1_200_000);
    story.prompt(100);
    let call = story.call(100, &[("AskUserQuestion", json!({"questions": []}))]);
    story.result(&call[0], 40, 3_600_000, false).answer(100);
    story
}

fn ids(answer: &Value) -> Vec<String> {
    let patterns = answer["patterns"].as_array().unwrap();
    patterns.iter().map(|pattern| pattern["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_could_save_most_comes_first() {
    let order = |hour_usd: f64| {
        let (asked, _world, _folder) = told(&[story(1)], PatternSettings { hour_usd, ..PatternSettings::default() });
        ids(&asked.answer(&format!("/patterns?{ALWAYS}")))
    };
    // A break of twenty minutes cost 0.35 dollars more, and the question an hour.
    let place = |ids: &[String], id: &str| ids.iter().position(|found| found == id).unwrap();
    let (dear, cheap) = (order(30.0), order(0.0));
    assert!(place(&dear, "waiting_for_person") < place(&dear, "cache_expired"), "{dear:?}");
    assert!(place(&cheap, "cache_expired") < place(&cheap, "waiting_for_person"), "{cheap:?}");
}

#[test]
fn filters_and_ranges_take_findings_as_they_take_all_else() {
    let (asked, _world, _folder) = told(&[story(1), story(2)], PatternSettings::default());
    let saving = |query: &str| {
        let answer = asked.answer(&format!("/patterns?{query}"));
        let patterns = answer["patterns"].as_array().unwrap();
        let found = patterns.iter().find(|found| found["id"] == "cache_expired");
        found.map_or(Money::ZERO, |found| dollars(&found["saving_usd"]))
    };
    let all = saving(ALWAYS);
    assert!(all > Money::ZERO);
    let of_one = saving(&format!("{ALWAYS}&session=00000001-0000-4000-8000-00000000000a"));
    assert_eq!((of_one.picousd() * 2, all), (all.picousd(), saving(&format!("{ALWAYS}&project=shop&branch=main"))));
    for nothing in ["project=other", "model=claude-haiku-4-5", "agent=Explore", "tool=Bash", "workflow=x"] {
        assert_eq!(saving(&format!("{ALWAYS}&{nothing}")), Money::ZERO, "{nothing}");
    }
    assert_eq!(saving(&format!("{ALWAYS}&tool=AskUserQuestion")), all);
    assert_eq!(saving("since=2000-01-01&until=2026-11-24T09:15:00Z"), Money::ZERO);
    assert_eq!(saving("since=2026-11-24T09:15:00Z"), all);
}

#[test]
fn a_rule_that_is_off_is_silent_and_limits_are_those_of_the_configuration() {
    let found = |settings: PatternSettings| {
        let (asked, _world, _folder) = told(&[story(1)], settings);
        ids(&asked.answer(&format!("/patterns?{ALWAYS}"))).contains(&"cache_expired".to_owned())
    };
    let limited = |tokens: f64| PatternSettings {
        limits: [(("cache_expired", "tokens"), tokens)].into(),
        ..PatternSettings::default()
    };
    assert!(found(PatternSettings::default()));
    assert!(!found(PatternSettings { off: ["cache_expired".to_owned()].into(), ..PatternSettings::default() }));
    assert!(found(limited(60_000.0)) && !found(limited(70_000.0)));
}

#[test]
fn what_is_usual_adds_up_to_what_was_spent() {
    let (asked, _world, _folder) = recorded();
    for tz in ["UTC", "Europe%2FBerlin"] {
        let answer = asked.answer(&format!("/patterns?{ALWAYS}&tz={tz}"));
        let total = &asked.ask(&format!("{ALWAYS}&tz={tz}"))["total"];
        let usage = &answer["usage"];
        let week = usage["week"].as_array().unwrap();
        let hours = || week.iter().flat_map(|day| day["hours"].as_array().unwrap());
        let cost: Money = hours().map(|hour| dollars(&hour["cost_usd"])).sum();
        assert_eq!(cost, dollars(&total["cost_usd"]));
        for name in ["turns", "messages"] {
            let sum: u64 = hours().map(|hour| hour[name].as_u64().unwrap()).sum();
            assert_eq!((Some(sum), &usage["total"][name]), (total[name].as_u64(), &total[name]), "{name}");
        }
        let tokens: u64 = total["tokens"].as_object().unwrap().values().map(|kind| kind.as_u64().unwrap()).sum();
        assert_eq!(usage["total"]["tokens"], tokens);
        assert_eq!((week.len(), hours().count()), (7, 7 * 24));
        // By hour the same as the answer about costs.
        let by_hour = asked.ask(&format!("{ALWAYS}&tz={tz}&group_by=hour"));
        let rows = by_hour["rows"].as_array().unwrap().iter();
        let at_eight: Money = rows
            .filter(|row| row["hour"].as_str().unwrap().contains("T08:"))
            .map(|row| dollars(&row["cost_usd"]))
            .sum();
        let told = week.iter().map(|day| dollars(&day["hours"][8]["cost_usd"])).sum::<Money>();
        assert_eq!(told, at_eight, "{tz}");
    }
}

/// Under every filter the total is that of the answer about costs: turns count by the same rule.
#[test]
fn what_is_usual_is_filtered_as_costs_are() {
    let (asked, _world, _folder) = recorded();
    let mut with_turns = 0;
    for filter in
        ["agent=general-purpose", "agent=main", "tool=Bash", "tool=Read", "model=claude-sonnet-4-5", "origin=sdk"]
    {
        let usage = &asked.answer(&format!("/patterns?{ALWAYS}&{filter}"))["usage"]["total"];
        let total = &asked.ask(&format!("{ALWAYS}&{filter}"))["total"];
        for name in ["turns", "sessions", "messages", "cost_usd"] {
            assert_eq!(usage[name], total[name], "{filter}: {name}");
        }
        with_turns += u64::from(total["turns"].as_u64() > Some(0));
    }
    assert!(with_turns > 3, "{with_turns}");
}

#[test]
fn every_finding_leads_to_an_event_that_is_there() {
    let (asked, _world, _folder) = recorded();
    // The recordings are short: everything is told.
    let names = [
        ("dear_model", "usd"),
        ("sub_agent_warm_up", "usd"),
        ("cache_rebuilt", "tokens"),
        ("carried_results", "tokens"),
    ];
    let limits = names.into_iter().chain([("carried_results", "responses")]).map(|limit| (limit, 0.0)).collect();
    let settings = PatternSettings { limits, ..PatternSettings::default() };
    let asked = Asked { cells: SharedCells::new(Prices::embedded()).with_patterns(settings), ..asked };
    let answer = asked.answer(&format!("/patterns?{ALWAYS}"));
    let mut events = 0;
    for pattern in answer["patterns"].as_array().unwrap() {
        for place in pattern["evidence"].as_array().unwrap().iter().filter(|place| place["event"].is_u64()) {
            let (session, event) = (place["session"].as_str().unwrap(), place["event"].as_u64().unwrap());
            let replay = asked.answer(&format!("/sessions/{session}/replay?from={event}&limit=1"));
            assert_eq!(replay["events"][0]["turn"], place["turn"], "{place}");
            events += 1;
        }
    }
    assert!(events > 3, "{events}");
}

#[test]
fn mistakes_are_named() {
    let (asked, _world, _folder) = told(&[story(1)], PatternSettings::default());
    assert!(asked.refusal("/patterns?projekt=x").contains("`project`"));
    assert!(asked.refusal("/patterns?tz=Mars").contains("time zone"));
    for path in ["patterns", "costs", "tools", "bottlenecks", "sessions"] {
        asked.text(&format!("/{path}?origin=nobody"));
    }
    assert!(!asked.refusal("/costs?group_by=x").contains("nearest"), "nothing looks like it");
    assert!(asked.refusal("/costs?group_by=dya").contains("the nearest is `day`"));
}
