//! What a month will have cost: how often the interval holds, for histories of many kinds, and what is told when.
//!
//! The bounds of each kind are those of `docs/cost.md`. They are wider than what was measured by what other seeds may show.

use std::ops::{Range, RangeInclusive};

use tailspan::ledger::money::Money;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::period::{Day, Period, Quarter, Zone};
use tailspan::views::analytics::projection::{CONFIDENCE, DailySpend, NoProjection};
use tailspan::views::analytics::spend::QuarterSpend;

use crate::support::spending::{History, Kind};
use crate::support::world::Dice;

/// How projections of one kind of history did.
struct Measured {
    /// In how many of a hundred cases the interval held what the month cost.
    held: f64,
    /// Median of the width of the interval, as a share of the month.
    width: f64,
    /// Median of the error of what was expected, likewise.
    error: f64,
}

/// Looks at histories of a kind, each on four days of its last month, from the 3rd to the last but two.
fn measured(kind: Kind, seeds: Range<u64>) -> Measured {
    let (mut widths, mut errors, mut held) = (Vec::new(), Vec::new(), 0.0);
    for seed in seeds {
        let history = History::of(kind, seed);
        let (dice, month) = (&mut Dice::new(seed), history.month_days());
        dice.below(9);
        // Of a month that began before the history, the days that there are.
        let cost = history.month(month);
        for _ in 0..4 {
            let latest = (month - 3).min(history.days.len() - 14);
            let known = history.at(2 + dice.below(latest - 1), dice.below(96));
            let Ok(told) = known.projection(Period::Month, CONFIDENCE) else { continue };
            assert!(
                told.spent <= told.low && told.low <= told.expected && told.expected <= told.high,
                "{kind:?} {seed}"
            );
            let [low, expected, high] = [told.low, told.expected, told.high].map(Money::to_f64);
            held += f64::from(low <= cost + 1e-5 && cost - 1e-5 <= high);
            widths.push((high - low) / cost.max(1e-9));
            errors.push((expected - cost).abs() / cost.max(1e-9));
        }
    }
    assert!(errors.len() > 600, "{kind:?}: {}", errors.len());
    Measured { held: 100.0 * held / errors.len() as f64, width: median(&mut widths), error: median(&mut errors) }
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Looks at four times 200 histories: their mean is within the bounds of the documentation.
fn assert_covers(kind: Kind, allowed: RangeInclusive<f64>) {
    let parts: Vec<Measured> = (0..4).map(|part| measured(kind, part * 200..part * 200 + 200)).collect();
    let of = |take: fn(&Measured) -> f64| parts.iter().map(take).collect::<Vec<f64>>();
    let [held, width, error] =
        [of(|one| one.held), of(|one| one.width), of(|one| one.error)].map(|all| all.iter().sum::<f64>() / 4.0);
    println!("{kind:?}: held {held:.1} ({:.0?}), width {width:.2}, error {error:.2}", of(|one| one.held));
    assert!(allowed.contains(&held), "{kind:?}: {held}");
}

#[test]
fn an_interval_of_80_percent_holds_ordinary_months_in_77_to_83_of_100() {
    let found = measured(Kind::Ordinary, 0..200).held;
    assert!((77.0..=83.0).contains(&found), "{found}");
    assert_covers(Kind::Ordinary, 77.0..=83.0);
}

#[test]
fn an_interval_of_80_percent_holds_months_of_every_other_kind_nearly_as_often() {
    assert_covers(Kind::HeavyTails, 77.0..=85.0);
    assert_covers(Kind::IdleWeeks, 75.0..=83.0);
    assert_covers(Kind::Shifts, 73.0..=81.0);
    assert_covers(Kind::FewDays, 76.0..=84.0);
    assert_covers(Kind::Wandering, 74.0..=82.0);
    assert_covers(Kind::Bursts, 75.0..=83.0);
    assert_covers(Kind::Growth, 75.0..=83.0);
    assert_covers(Kind::Short, 78.0..=87.0);
    assert_covers(Kind::New, 75.0..=84.0);
}

/// 24 dollars at noon of every day from `first` to `last`.
fn steady(zone: Zone, first: &str, last: &str) -> QuarterSpend {
    let (mut day, last) = (Day::parse(first).unwrap(), Day::parse(last).unwrap());
    let mut spend = Vec::new();
    while day <= last {
        let noon = zone.midnight(day).unwrap().0 + 12 * 3_600_000;
        spend.push((Quarter::of(Timestamp(noon)), usd("24")));
        day = day.next().unwrap();
    }
    spend.into_iter().collect()
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

fn days(spend: &QuarterSpend, zone: Zone, now: &str) -> DailySpend {
    DailySpend::of(spend, zone, Timestamp::parse(now).unwrap()).unwrap()
}

/// The period, what was spent, what is expected, and both ends of the interval.
fn told(days: &DailySpend, period: Period) -> (String, String, [String; 3]) {
    let told = days.projection(period, CONFIDENCE).unwrap();
    (told.period, told.spent.to_string(), [told.low, told.expected, told.high].map(|amount| amount.to_string()))
}

#[test]
fn days_that_are_all_alike_are_projected_to_the_cent() {
    let spend = steady(Zone::UTC, "2026-09-01", "2026-12-31");
    let at = |now| days(&spend, Zone::UTC, now);
    let same = |text: &str| [text; 3].map(str::to_owned);
    let month = |now| told(&at(now), Period::Month);
    assert_eq!(month("2026-11-16T12:00:00Z"), ("2026-11".into(), "384".into(), same("732")));
    // The first moment of a month with nothing yet, and its last quarter hour.
    assert_eq!(month("2026-11-01T00:00:00Z"), ("2026-11".into(), "0".into(), same("720")));
    assert_eq!(month("2026-11-30T23:45:00Z"), ("2026-11".into(), "720".into(), same("720.25")));
    // A Wednesday.
    assert_eq!(told(&at("2026-11-18T18:00:00Z"), Period::Week), ("2026-W47".into(), "72".into(), same("174")));
    assert_eq!(told(&at("2026-11-18T18:00:00Z"), Period::Day), ("2026-11-18".into(), "24".into(), same("30")));
}

#[test]
fn the_zone_decides_the_month_and_how_long_a_day_is() {
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let spend = steady(berlin, "2026-08-01", "2026-10-31");
    // The clocks go back at 3 in the morning of the 25th: half of its 25 hours are over at 11:30 local time.
    let told_then = told(&days(&spend, berlin, "2026-10-25T10:30:00Z"), Period::Month);
    // Twelve hours after midnight it was 11, so that day's 24 dollars are spent, and half a day and six are to come.
    assert_eq!(told_then, ("2026-10".into(), "600".into(), ["756"; 3].map(str::to_owned)));
    // It is November in Berlin, and October in Lisbon.
    let now = "2026-10-31T23:30:00Z";
    assert_eq!(told(&days(&spend, berlin, now), Period::Month).0, "2026-11");
    let lisbon = Zone::named("Europe/Lisbon").unwrap();
    let (month, spent, _) = told(&days(&spend, lisbon, now), Period::Month);
    assert_eq!((&*month, &*spent), ("2026-10", "744"));
}

#[test]
fn fewer_than_seven_days_with_spend_are_no_history() {
    let projection = |first: &str, now: &str| {
        days(&steady(Zone::UTC, first, "2026-11-20"), Zone::UTC, now).projection(Period::Month, CONFIDENCE)
    };
    assert_eq!(projection("2026-11-15", "2026-11-20T23:00:00Z"), Err(NoProjection::FewDays(6)));
    assert_eq!(projection("2026-11-21", "2026-11-20T23:00:00Z"), Err(NoProjection::FewDays(0)));
    assert!(NoProjection::FewDays(6).reason().contains("takes 7 days with spend"));
    let seven = projection("2026-11-14", "2026-11-20T23:00:00Z").unwrap();
    assert_eq!((seven.days_used, seven.spent), (6, usd("168")));
    // What lies in the future, or more than a year back, is no history either.
    assert_eq!(projection("2026-11-14", "2026-11-16T23:00:00Z"), Err(NoProjection::FewDays(3)));
    assert_eq!(projection("2026-11-14", "2028-11-16T23:00:00Z"), Err(NoProjection::FewDays(0)));
}

#[test]
fn two_idle_months_expect_little_and_exclude_nothing() {
    let spend = steady(Zone::UTC, "2026-01-01", "2026-06-30");
    let told = days(&spend, Zone::UTC, "2026-09-10T00:00:00Z").projection(Period::Month, CONFIDENCE).unwrap();
    assert_eq!((told.spent, told.days_used), (Money::ZERO, 56));
    assert!(told.low == Money::ZERO && told.expected < usd("100"), "{told:?}");
}

#[test]
fn a_higher_confidence_is_a_wider_interval() {
    let known = History::of(Kind::Ordinary, 7).at(12, 40);
    let width = |confidence: f64| {
        let told = known.projection(Period::Month, confidence).unwrap();
        (told.high - told.low).to_f64()
    };
    assert!(0.0 < width(0.5) && width(0.5) < width(0.8) && width(0.8) < width(0.95));
}

#[test]
fn the_back_test_tries_every_past_month_with_four_weeks_before_its_middle() {
    let spend = steady(Zone::UTC, "2026-01-01", "2026-12-31");
    let tested = days(&spend, Zone::UTC, "2026-12-15T12:00:00Z").back_test(CONFIDENCE);
    // From February to November.
    assert_eq!((tested.months, tested.coverage, tested.median_error), (10, Some(1.0), Some(0.0)));
    let none = days(&spend, Zone::UTC, "2026-02-10T12:00:00Z").back_test(CONFIDENCE);
    assert_eq!((none.months, none.coverage, none.median_error), (0, None, None));
    let (mut months, mut held, mut errors) = (0, 0.0, Vec::new());
    for seed in 0..200 {
        let tested = History::of(Kind::Ordinary, seed).at(5, 40).back_test(CONFIDENCE);
        months += tested.months;
        held += tested.coverage.unwrap_or(0.0) * tested.months as f64;
        errors.extend(tested.median_error);
    }
    errors.sort_by(f64::total_cmp);
    println!("{months} months, {:.3} held, error {:.3}", held / months as f64, errors[errors.len() / 2]);
    assert!(months > 800 && (0.75..=0.87).contains(&(held / months as f64)), "{months} {held}");
}
