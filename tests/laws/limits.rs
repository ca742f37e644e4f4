//! When a limit will be full: how often the interval holds, for work of many kinds.
//!
//! The bounds of each kind are those of `docs/limits.md`. They are wider than what was measured by what other seeds may show.

use std::ops::RangeInclusive;

use tailspan::views::analytics::limits::forecast::{CONFIDENCE, forecast};

use crate::support::account::{Account, Asked, Kind};
use crate::support::world::Dice;

/// How forecasts of one kind of work did.
#[derive(Debug, Default)]
struct Measured {
    told: usize,
    /// In how many cases the interval of what is used at the reset held what came.
    held: usize,
    /// In how many cases the interval of the moment held it, among those where the window was full or was expected to be.
    moments: (usize, usize),
    /// In how many cases a window that was expected to be full was, and one that was not was not.
    right: (usize, usize),
    widths: Vec<f64>,
}

impl Measured {
    fn add(&mut self, asked: &Asked) {
        let Ok(told) = forecast(&asked.looks, asked.now, CONFIDENCE) else { return };
        let [low, middle, high] = told.used_at_reset;
        assert!(low <= middle && middle <= high, "{told:?}");
        self.told += 1;
        // Looks are whole percents.
        self.held += usize::from(low - 0.01 <= asked.at_reset && asked.at_reset <= high + 0.01);
        self.widths.push(high - low);
        self.right.0 += usize::from(told.full_at.is_some() == asked.full.is_some());
        self.right.1 += 1;
        if told.earliest.is_some() || asked.full.is_some() {
            let end = told.latest.map_or(i64::MAX, |latest| latest.0 + 60_000);
            let full = asked.full.map_or(i64::MAX, |full| full.0);
            let begin = told.earliest.map_or(i64::MAX, |earliest| earliest.0 - 60_000);
            self.moments.0 += usize::from(begin <= full && full <= end);
            self.moments.1 += 1;
        }
    }

    fn percent((part, whole): (usize, usize)) -> f64 {
        100.0 * part as f64 / whole.max(1) as f64
    }
}

fn measured(kind: Kind, window: &str, (weeks, share, every): (usize, f64, usize), seeds: u64) -> Measured {
    let mut measured = Measured::default();
    for seed in 0..seeds {
        let account = Account::of(kind, window, weeks, share, seed);
        account.asked(every, &mut Dice::new(seed)).iter().for_each(|asked| measured.add(asked));
    }
    measured.widths.sort_by(f64::total_cmp);
    measured
}

fn assert_covers(kind: Kind, allowed: RangeInclusive<f64>) {
    let held = told(kind, "five_hour", measured(kind, "five_hour", (3, 0.7, 240), 40));
    assert!(allowed.contains(&held.0), "{kind:?}: {held:?}");
}

/// In how many of a hundred cases the interval of what is used at the reset held what came, and that of the moment.
fn told(kind: Kind, window: &str, found: Measured) -> (f64, f64) {
    let (held, moments) = (Measured::percent((found.held, found.told)), Measured::percent(found.moments));
    println!(
        "{window} {kind:?}: {} told, held {held:.1}, moment held {moments:.1} of {}, right {:.1}, width {:.2}",
        found.told,
        found.moments.1,
        Measured::percent(found.right),
        found.widths[found.widths.len() / 2]
    );
    (held, moments)
}

#[test]
fn an_interval_of_80_percent_holds_what_a_five_hour_window_will_have_used() {
    assert_covers(Kind::Ordinary, 76.0..=88.0);
    assert_covers(Kind::Steady, 73.0..=86.0);
    assert_covers(Kind::Bursts, 75.0..=88.0);
    assert_covers(Kind::Heavy, 76.0..=89.0);
    assert_covers(Kind::Nights, 75.0..=86.0);
    assert_covers(Kind::Shift, 66.0..=80.0);
    assert_covers(Kind::New, 65.0..=95.0);
}

#[test]
fn an_interval_of_80_percent_holds_what_a_week_will_have_used_unless_work_has_changed() {
    let week = |kind| told(kind, "seven_day", measured(kind, "seven_day", (10, 0.8, 2000), 30));
    assert!((79.0..=94.0).contains(&week(Kind::Ordinary).0));
    assert!((66.0..=84.0).contains(&week(Kind::Nights).0));
    // What would have been used beyond a limit is not known to anybody; when it is reached is.
    assert!((56.0..=76.0).contains(&week(Kind::Heavy).1));
    assert!((52.0..=72.0).contains(&week(Kind::Shift).0));
}
