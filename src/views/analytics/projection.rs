//! What a month, week or day will have cost at its end, and how such projections would have done in the past.
//!
//! - `spent` is exact: what was spent in the period up to the present moment. `expected`, `low` and `high` are that plus
//!   the [`forecast`](super::forecast) of the rest, rounded to a millionth of a dollar, and never below `spent`.
//! - Of the present day the part that is to come is that of its hours, so a working day that has just begun is expected to
//!   come nearly whole, and one at nine in the evening to an eighth.
//! - The past begins with the first day with spend, at most [`PAST_DAYS`] ago: what is older tells little of next week.

use super::forecast::{Forecast, PATTERN_DAYS, Past, Rest, quantile};
use super::period::{Day, Period, Quarter, Zone};
use super::spend::QuarterSpend;
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;

/// Fewest days with spend for a projection.
pub const DAYS_WITH_SPEND: usize = 7;
/// Most days before the present one that are looked at.
pub const PAST_DAYS: u64 = 365;
/// The probability with which the interval of an answer holds what comes.
pub const CONFIDENCE: f64 = 0.8;
/// What is done, in words for the answer.
pub const METHOD: &str = "median of the same weekday over at most 56 days, adjusted half-way to the level of the last 14; \
                          interval and correction from the errors of the same forecast on each past day, for as many days \
                          as are left";

/// Days that must be known before a past month's middle for it to be in the back test.
const BACK_TEST_DAYS: usize = 28;
/// Amounts that are expected are multiples of this many picodollars: a millionth of a dollar.
const ROUNDED_PICOUSD: i128 = 1_000_000;

/// What was spent on each day of a time zone up to now.
#[derive(Debug)]
pub struct DailySpend {
    zone: Zone,
    now: Timestamp,
    /// The present day.
    today: Day,
    /// The part of the present day that is to come, from 0 to 1.
    coming: f64,
    /// Spend by day from the first day with spend on; the last is the present day. Empty if nothing was spent.
    days: Vec<Money>,
    past: Past,
}

/// What a period will have cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Name of the period, for example `2026-11`.
    pub period: String,
    /// What was spent in it up to now.
    pub spent: Money,
    /// What it will have cost, as likely less as more.
    pub expected: Money,
    /// The lower end of the interval.
    pub low: Money,
    /// The upper end of the interval.
    pub high: Money,
    /// Days of which the forecast was made, at most [`PATTERN_DAYS`].
    pub days_used: usize,
    /// The probability that the interval holds what the period will have cost.
    pub confidence: f64,
}

/// How projections in the middle of each past month would have done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackTest {
    /// Months that could be tried.
    pub months: usize,
    /// The share of months whose cost lay in the interval, from 0 to 1; `None` without months.
    pub coverage: Option<f64>,
    /// The median of the errors of `expected`, as shares of what the months cost; `None` if none of them cost anything.
    pub median_error: Option<f64>,
}

/// Why there is no projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoProjection {
    /// There was spend on so few days.
    FewDays(usize),
    /// The present moment is in no calendar.
    NoCalendar,
}

/// A period around the present moment, in days of [`DailySpend::days`].
struct Around {
    name: String,
    /// What was spent in it so far.
    spent: Money,
    /// What is to come of it.
    rest: Rest,
}

impl DailySpend {
    /// Adds up quarter hours to days. What happened after `now` counts only if it is in the same quarter hour. `None` for
    /// a moment that no calendar has.
    #[must_use]
    pub fn of(spend: &QuarterSpend, zone: Zone, now: Timestamp) -> Option<Self> {
        let today = zone.day(now)?;
        let (start, end) = (zone.midnight(today)?, zone.midnight(today.next()?)?);
        let mut first = today.before(PAST_DAYS)?;
        let earliest = spend.first().and_then(|quarter| zone.day(quarter.start()));
        first = earliest.map_or(today, |day| day.clamp(first, today));
        let mut starts = Vec::new();
        while first <= today {
            starts.push(Quarter::of(zone.midnight(first)?));
            first = first.next()?;
        }
        starts.push(Quarter(Quarter::of(now).0.saturating_add(1)));
        let days: Vec<Money> = spend.by_day(&starts).into_iter().skip_while(|day| *day == Money::ZERO).collect();
        let past = days.iter().rev().skip(1).rev().map(|day| day.to_f64()).collect();
        let coming = share(end.0.saturating_sub(now.0), end.0.saturating_sub(start.0));
        Some(Self { zone, now, today, coming, days, past: Past::of(past) })
    }

    /// What the present period of a kind will have cost. Fails if it cannot be told.
    pub fn projection(&self, period: Period, confidence: f64) -> Result<Projection, NoProjection> {
        let around = self.around(period).ok_or(NoProjection::NoCalendar)?;
        let with_spend = self.days.iter().filter(|day| **day > Money::ZERO).count();
        let few = NoProjection::FewDays(with_spend);
        let forecast = self.past.forecast(self.past_days(), around.rest, confidence);
        let forecast = forecast.filter(|_| with_spend >= DAYS_WITH_SPEND).ok_or(few)?;
        let [low, expected, high] = totals(around.spent, forecast);
        Ok(Projection {
            period: around.name,
            spent: around.spent,
            expected,
            low,
            high,
            days_used: self.past_days().min(PATTERN_DAYS),
            confidence,
        })
    }

    /// What was spent in the present period of a kind up to now; `None` for a moment that no calendar has.
    #[must_use]
    pub fn spent(&self, period: Period) -> Option<Money> {
        self.around(period).map(|around| around.spent)
    }

    /// How projections of months would have done that were made in the middle of each past month.
    #[must_use]
    pub fn back_test(&self, confidence: f64) -> BackTest {
        let (mut tried, mut held, mut errors) = (0u32, 0u32, Vec::new());
        for month in self.past_months() {
            let middle = usize::midpoint(month.start, month.end);
            let sum = |from: usize, until: usize| -> Money { self.days.iter().take(until).skip(from).copied().sum() };
            let rest = Rest { today: 1.0, days: (month.end - middle).saturating_sub(1) };
            if middle < BACK_TEST_DAYS {
                continue;
            }
            let Some(forecast) = self.past.forecast(middle, rest, confidence) else { continue };
            let [low, expected, high] = totals(sum(month.start, middle), forecast);
            let cost = sum(month.start, month.end);
            tried += 1;
            held += u32::from(low <= cost && cost <= high);
            if cost > Money::ZERO {
                errors.push(((expected - cost).to_f64() / cost.to_f64()).abs());
            }
        }
        errors.sort_unstable_by(f64::total_cmp);
        BackTest {
            months: tried as usize,
            coverage: (tried > 0).then(|| f64::from(held) / f64::from(tried)),
            median_error: quantile(&errors, 0.5),
        }
    }

    /// How many days there are before the present one.
    fn past_days(&self) -> usize {
        self.days.len().saturating_sub(1)
    }

    fn around(&self, period: Period) -> Option<Around> {
        let named = self.zone.period(period, self.now)?;
        let (first, after) = (self.zone.day(named.start)?, self.zone.day(named.end)?);
        let so_far = usize::try_from(self.today.since(first)).ok()?.saturating_add(1);
        let rest = usize::try_from(after.since(self.today)).ok()?.saturating_sub(1);
        let spent = self.days.iter().rev().take(so_far).copied().sum();
        Some(Around { name: named.name, spent, rest: Rest { today: self.coming, days: rest } })
    }

    /// The past months, as ranges of days, of which every day is known. The latest comes first.
    fn past_months(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let month = |day: Day| self.zone.period(Period::Month, self.zone.midnight(day)?);
        let mut after = month(self.today).and_then(|month| self.zone.day(month.start));
        std::iter::from_fn(move || {
            let end = after?;
            let start = month(end.before(1)?).and_then(|month| self.zone.day(month.start))?;
            after = Some(start);
            let at = |day: Day| self.past_days().checked_sub(usize::try_from(self.today.since(day)).ok()?);
            Some(at(start)?..at(end)?)
        })
    }
}

impl NoProjection {
    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::FewDays(days) => {
                format!("a projection takes {DAYS_WITH_SPEND} days with spend in the last year; here there are {days}")
            }
            Self::NoCalendar => "the present time is in no calendar".to_owned(),
        }
    }
}

/// What was spent and what is forecast, together.
fn totals(spent: Money, forecast: Forecast) -> [Money; 3] {
    [forecast.low, forecast.expected, forecast.high].map(|rest| {
        let whole = (spent + Money::from_usd_f64(rest)).picousd();
        let rounded = whole.saturating_add(ROUNDED_PICOUSD / 2).div_euclid(ROUNDED_PICOUSD) * ROUNDED_PICOUSD;
        Money::from_picousd(rounded).max(spent)
    })
}

/// A part of a whole in milliseconds, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "both are at most a day or two")]
fn share(part: i64, whole: i64) -> f64 {
    if whole > 0 { (part as f64 / whole as f64).clamp(0.0, 1.0) } else { 0.0 }
}
