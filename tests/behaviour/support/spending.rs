//! Histories of spending, made from seeds: what people of different habits spend on each day.

use tailspan::ledger::money::Money;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::period::{Day, Quarter, Zone};
use tailspan::views::analytics::projection::DailySpend;
use tailspan::views::analytics::spend::QuarterSpend;

use super::world::Dice;

const QUARTERS: usize = 96;

/// A kind of history. Unless it says otherwise: 90 to 400 days, weekends at up to 0.6 of other days, growth from -10 % to
/// 25 % a month, days that vary by a factor of 1.35 to 2.5, up to 15 % of them idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From 60 days on, with a holiday of 3 to 14 days, and one day that costs 5 to 20 times as much as others.
    Ordinary,
    /// Days that vary by a factor of 3.3 to 6.
    HeavyTails,
    /// 15 to 40 % of weeks are idle.
    IdleWeeks,
    /// Every two months or so the level changes for good, by a factor of about 2 either way.
    Shifts,
    /// Spend on one to three and a half days a week, whichever they are.
    FewDays,
    /// The level wanders from day to day.
    Wandering,
    /// On for days or weeks, and then off for as long.
    Bursts,
    /// Growth of 30 to 60 % a month.
    Growth,
    /// 45 to 69 days.
    Short,
    /// 24 to 44 days.
    New,
}

pub(crate) struct History {
    pub(crate) days: Vec<f64>,
    first: Day,
    spend: QuarterSpend,
}

fn unit(dice: &mut Dice) -> f64 {
    dice.below(1 << 52) as f64 / (1u64 << 52) as f64
}

fn within(dice: &mut Dice, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(dice)
}

fn whole(dice: &mut Dice, low: usize, high: usize) -> usize {
    low + dice.below(high - low)
}

/// A number of the normal distribution.
fn normal(dice: &mut Dice) -> f64 {
    (-2.0 * (1.0 - unit(dice)).ln()).sqrt() * (std::f64::consts::TAU * unit(dice)).cos()
}

/// What is spent on each day.
pub(crate) fn days(kind: Kind, seed: u64) -> Vec<f64> {
    let dice = &mut Dice::new(seed + 1);
    // The first numbers of neighbouring seeds are alike.
    for _ in 0..8 {
        dice.below(2);
    }
    let length = match kind {
        Kind::Ordinary => whole(dice, 60, 401),
        Kind::Short => whole(dice, 45, 70),
        Kind::New => whole(dice, 24, 45),
        _ => whole(dice, 90, 401),
    };
    let level = (2.0 + normal(dice)).exp();
    let spread = match kind {
        Kind::HeavyTails => within(dice, 1.2, 1.8),
        Kind::FewDays => within(dice, 0.5, 1.2),
        _ => within(dice, 0.3, 0.9),
    };
    let growth = if kind == Kind::Growth { within(dice, 0.3, 0.6) } else { within(dice, -0.1, 0.25) };
    let idle = if kind == Kind::FewDays { within(dice, 0.5, 0.85) } else { within(dice, 0.0, 0.15) };
    let weekend = if kind == Kind::FewDays { 1.0 } else { within(dice, 0.0, 0.6) };
    let monday = dice.below(7);
    let mut days: Vec<f64> = (0..length)
        .map(|day| {
            let of_week = if (day + monday) % 7 >= 5 { weekend } else { 1.0 };
            let amount = (spread * normal(dice) - spread * spread / 2.0).exp();
            let is_idle = unit(dice) < idle;
            if is_idle { 0.0 } else { level * of_week * (1.0 + growth).powf(day as f64 / 30.0) * amount }
        })
        .collect();
    shape(kind, &mut days, level, dice);
    days
}

/// What is special of a kind.
fn shape(kind: Kind, days: &mut [f64], level: f64, dice: &mut Dice) {
    match kind {
        Kind::Ordinary => {
            let (start, length) = (dice.below(days.len()), whole(dice, 3, 15));
            let left = [0.0, 0.1][dice.below(2)];
            days.iter_mut().skip(start).take(length).for_each(|day| *day *= left);
            let runaway = dice.below(days.len());
            days[runaway] += level * within(dice, 5.0, 20.0);
        }
        Kind::IdleWeeks => {
            let share = within(dice, 0.15, 0.4);
            days.chunks_mut(7).filter(|_| unit(dice) < share).for_each(|week| week.fill(0.0));
        }
        Kind::Shifts | Kind::Wandering => {
            let mut moved = 0.0f64;
            for day in days {
                moved += match kind {
                    Kind::Wandering => 0.05 * normal(dice),
                    _ if dice.one_in(60) => 0.7 * normal(dice),
                    _ => 0.0,
                };
                *day *= moved.exp();
            }
        }
        Kind::Bursts => {
            let lengths = [whole(dice, 5, 25), whole(dice, 5, 25)];
            let mut is_on = true;
            for day in days {
                is_on ^= dice.one_in(lengths[usize::from(is_on)]);
                *day *= if is_on { 1.0 } else { 0.05 };
            }
        }
        Kind::HeavyTails | Kind::FewDays | Kind::Growth | Kind::Short | Kind::New => {}
    }
}

impl History {
    /// A history whose last day is the last one of its month. Each day is spent in up to six quarter hours from 8 to 20.
    pub(crate) fn of(kind: Kind, seed: u64) -> Self {
        let days = days(kind, seed);
        let dice = &mut Dice::new(seed + 77);
        let last = Day::parse(["2026-01-31", "2026-04-30", "2026-06-30", "2026-12-31", "2027-02-28"][dice.below(5)]);
        let first = last.unwrap().before(days.len() as u64 - 1).unwrap();
        let spend = days.iter().enumerate().flat_map(|(day, amount)| {
            let parts = whole(dice, 1, 7);
            let start = start(first, day);
            let quarters: Vec<i32> = (0..parts).map(|_| start + whole(dice, 32, 80) as i32).collect();
            quarters.into_iter().map(move |quarter| (Quarter(quarter), Money::from_usd_f64(amount / parts as f64)))
        });
        Self { spend: spend.filter(|(_, cost)| *cost > Money::ZERO).collect(), days, first }
    }

    /// A moment on the day that is so many days before the last one, and what is known then.
    pub(crate) fn at(&self, before_end: usize, quarter: usize) -> DailySpend {
        let day = self.days.len() - 1 - before_end;
        let now = Quarter(start(self.first, day) + (quarter % QUARTERS) as i32).start();
        DailySpend::of(&self.spend, Zone::UTC, Timestamp(now.0 + 1)).unwrap()
    }

    /// What the month costs that the last day is in, or as many days of it as there are.
    pub(crate) fn month(&self, length: usize) -> f64 {
        self.days.iter().rev().take(length).sum()
    }

    /// How many days the last month has.
    pub(crate) fn month_days(&self) -> usize {
        let last = self.first.before(0).unwrap();
        let end = (0..self.days.len() - 1).fold(last, |day, _| day.next().unwrap());
        end.to_string()[8..].parse().unwrap()
    }
}

fn start(first: Day, day: usize) -> i32 {
    let midnight = Zone::UTC.midnight(first).unwrap();
    Quarter::of(midnight).0 + (day * QUARTERS) as i32
}
