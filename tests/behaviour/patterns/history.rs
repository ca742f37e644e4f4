//! The rules that look at all of history.

use serde_json::json;
use tailspan::config::{Budget, PatternSettings};
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::filter::Filter;
use tailspan::views::analytics::period::{Period, Zone};

use super::{ALWAYS, SONNET, Told, dollars, told};
use crate::support::costs::Asked;
use crate::support::story::Story;

const DAY_MS: i64 = 86_400_000;

fn session(number: usize, model: &str, later_ms: i64) -> Story {
    let mut story = Story::new(number, model, 30_000);
    story.pass(later_ms).prompt(100).answer(500);
    story
}

#[test]
fn spend_outside_working_hours_is_told_in_the_zone_of_the_question() {
    // Tuesday at 9:00 and 21:00 in UTC; Saturday at 9:00.
    let stories = [session(1, SONNET, 0), session(2, SONNET, 12 * 3_600_000), session(3, SONNET, 4 * DAY_MS)];
    let (asked, _world, _folder) = told(&stories, PatternSettings::default());
    let outside = |tz: &str| {
        let answer = asked.answer(&format!("/patterns?{ALWAYS}&tz={tz}"));
        let found = answer["patterns"].as_array().unwrap().iter().find(|found| found["id"] == "outside_hours").cloned();
        found.map(|found| (found["figures"]["sessions"].as_u64().unwrap(), dollars(&found["figures"]["outside_usd"])))
    };
    let whole = dollars(&asked.ask(ALWAYS)["total"]["cost_usd"]).picousd();
    assert_eq!(outside("UTC"), Some((2, Money::from_picousd(whole / 3 * 2))));
    // In Tokyo the first is at 18:00, and the second on Wednesday at 6:00.
    assert_eq!(outside("Asia%2FTokyo"), Some((3, Money::from_picousd(whole))));
    // In New York the second is at 16:00.
    assert_eq!(outside("America%2FNew_York"), Some((2, Money::from_picousd(whole / 3 * 2))));
    let working = Told::of(&stories[..1]);
    assert!(working.pattern("outside_hours").is_none());
}

#[test]
fn models_without_a_price_are_told_with_their_tokens() {
    let told = Told::of(&[session(1, "claude-next-9", 0), session(2, SONNET, 0)]);
    let found = told.pattern("unpriced").unwrap();
    assert_eq!(found["figures"]["tokens_by_model"], json!({"claude-next-9": 30_600}));
    assert_eq!(found["saving_usd"], "0");
    assert!(Told::of(&[session(1, SONNET, 0)]).pattern("unpriced").is_none());
}

#[test]
fn files_are_told_before_the_client_deletes_them() {
    let stories = [session(1, SONNET, 0)];
    let (asked, _world, _folder) = told(&stories, PatternSettings::default());
    let mut asked = Some(asked);
    for (days, is_told) in [(0, false), (24, false), (26, true), (29, true), (31, false)] {
        let now = Timestamp(stories[0].now + days * DAY_MS);
        let at = Asked { now, ..asked.take().unwrap() };
        let answer = at.answer("/patterns");
        let found = answer["patterns"].as_array().unwrap().iter().any(|found| found["id"] == "files_deleted_soon");
        assert_eq!(found, is_told, "after {days} days");
        asked = Some(at);
    }
}

#[test]
fn what_the_client_reports_beyond_the_rows_is_told() {
    let mut more = session(1, SONNET, 0);
    more.reports(1.0);
    let told = Told::of(&[more]);
    let found = told.pattern("unattributed").unwrap();
    let beyond = Money::parse_usd("1").unwrap() - told.cost;
    assert_eq!(dollars(&found["figures"]["unattributed_usd"]), beyond);
    let mut same = session(1, SONNET, 0);
    same.reports(told.cost.to_f64());
    assert!(Told::of(&[same]).pattern("unattributed").is_none());
}

#[test]
fn working_hours_may_go_over_midnight() {
    // Tuesday at 9:00, at 23:00, and Wednesday at 5:00.
    let hour = 3_600_000;
    let stories = [session(1, SONNET, 0), session(2, SONNET, 14 * hour), session(3, SONNET, 20 * hour)];
    let limits = [(("outside_hours", "from_hour"), 22.0), (("outside_hours", "to_hour"), 6.0)].into();
    let told = Told::with(&stories, PatternSettings { limits, ..PatternSettings::default() });
    let found = told.pattern("outside_hours").unwrap();
    assert_eq!(found["figures"]["sessions"], 1, "{found}");
    assert_eq!(found["evidence"][0]["session"], stories[0].session);
}

#[test]
fn a_budget_that_is_used_up_is_told_whatever_the_range_is() {
    let (asked, _world, _folder) = told(&[session(1, SONNET, 0)], PatternSettings::default());
    let mut asked = Some(asked);
    let mut found = |usd: &str, query: &str| {
        let budget = Budget {
            name: "month".to_owned(),
            limit: Money::parse_usd(usd).unwrap(),
            period: Period::Month,
            zone: Zone::UTC,
            filter: Filter::default(),
        };
        let cells = SharedCells::new(Prices::embedded()).with_budgets(vec![budget]);
        let at = Asked { cells, ..asked.take().unwrap() };
        let answer = at.answer(&format!("/patterns?{query}"));
        asked = Some(at);
        let patterns = answer["patterns"].as_array().unwrap().iter();
        patterns.into_iter().find(|found| found["id"] == "budget_pace").cloned()
    };
    let over = found("0.01", "").unwrap();
    assert_eq!((&over["figures"]["used_up"], &over["saving_usd"]), (&json!(1), &json!("0")), "{over}");
    assert!(over["finding"].as_str().unwrap().starts_with("1 budget is used up. `month` will come to $0.1"), "{over}");
    assert!(found("0.01", "until=2020-01-01").is_some(), "it is about now");
    assert!(found("0.01", "project=shop").is_none(), "a budget is of no project that is asked for");
    assert!(found("100", "").is_none());
}
