//! What the days to come will bring, from the days before, with an interval that knows its own errors.
//!
//! ```text
//! forecast  for each day to come the median of the same weekday in the last 56 days, all of them raised or lowered by
//!           how much the last 14 days are above or below the last 56 (by the square root of it: half of a change lasts)
//! errors    the same forecast is made on each day of the past for as many days as are to come now, and held against
//!           what came. Errors are told in units of the daily level of their time, so that small and large times compare
//! interval  quantiles of these errors (split conformal), put onto the forecast; their median corrects it, which is how
//!           steady growth comes in: it shows as an error that the past made again and again
//! widening  spans of many days overlap, so a year holds few that are independent. Quantiles of a sample of `k` are too
//!           narrow as those of a normal sample are: by Student's t over the normal, and by `1 + 1/k` for the median
//! ```
//!
//! Amounts are dollars as floats: a forecast is no account. Nothing here is fitted to a kind of history; how often the
//! interval holds for which kind is in `docs/cost.md` and kept by `tests/behaviour/projection.rs`.

use std::f64::consts::PI;

/// Days of which medians and the level are made.
pub const PATTERN_DAYS: usize = 56;

/// Days of the latest level.
const RECENT_DAYS: usize = 14;
/// Days of a week.
const WEEK_DAYS: usize = 7;
/// As many days of the level are taken from the whole past, so that it is not 0 after 56 idle days.
const WHOLE_PAST_DAYS: f64 = 7.0;
/// How far the latest level may change a forecast.
const CHANGE_MAX: f64 = 4.0;
/// Days that must be known before the first error is taken, if there are many; a third of them if there are few.
const WARM_UP_DAYS: usize = 14;
/// Fewest days that must be known before an error is taken.
const WARM_UP_DAYS_LEAST: usize = 3;
/// How many independent spans the past must have for errors of their length. If it has fewer, shorter spans are taken,
/// as if the errors of longer ones did not average out: days that go wrong together do not.
const SPANS_LEAST: usize = 2;

/// The time to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rest {
    /// The part of the first day that is to come, from 0 to 1.
    pub today: f64,
    /// Whole days after it.
    pub days: usize,
}

/// What a time to come will bring, in dollars: never below 0, and `low <= expected <= high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// The lower end of the interval.
    pub low: f64,
    /// The middle: as likely too low as too high.
    pub expected: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Daily amounts of the past, with what was known of them before each day.
#[derive(Debug)]
pub struct Past {
    known: Vec<Known>,
    days: Vec<f64>,
}

/// What is known before a day.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Sum of all days.
    total: f64,
    /// Median of each weekday; the first is the weekday of the first day of the past.
    medians: [f64; WEEK_DAYS],
    /// By how much the latest level changes the medians.
    change: f64,
    /// Daily level.
    level: f64,
}

impl Rest {
    /// Its length in days.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few dozen days")]
    fn length(self) -> f64 {
        self.today + self.days as f64
    }

    /// How many days it touches.
    const fn span(self) -> usize {
        self.days + 1
    }
}

impl Past {
    /// Takes amounts of consecutive days, the earliest first.
    #[must_use]
    pub fn of(days: Vec<f64>) -> Self {
        let mut known = Vec::with_capacity(days.len() + 1);
        let mut last = Known::default();
        known.push(last);
        for (day, amount) in days.iter().enumerate() {
            last.total += amount;
            // Only the weekday of this day has another median than before.
            if let Some(median) = last.medians.get_mut(day % WEEK_DAYS) {
                *median = median_of_weekday(&days, day);
            }
            let mean = |length: usize| {
                let length = length.min(day + 1);
                let before = known.get(day + 1 - length).map_or(0.0, |known| known.total);
                (last.total - before) / count(length)
            };
            let (all, long, recent) = (mean(usize::MAX), mean(PATTERN_DAYS), mean(RECENT_DAYS));
            // A weekday that has not been yet.
            last.medians.iter_mut().skip(day + 1).for_each(|median| *median = all);
            let ratio = if long > 0.0 { (recent / long).sqrt() } else { 1.0 };
            last.change = ratio.clamp(CHANGE_MAX.recip(), CHANGE_MAX);
            let pattern = count(PATTERN_DAYS);
            last.level = (long * pattern + all * WHOLE_PAST_DAYS) / (pattern + WHOLE_PAST_DAYS);
            known.push(last);
        }
        Self { known, days }
    }

    /// What the time after the first `known` days brings, with an interval that holds it with a probability of
    /// `confidence` (above 0 and below 1). Only these days are looked at. `None` if they are too few to have made an error.
    #[must_use]
    pub fn forecast(&self, known: usize, rest: Rest, confidence: f64) -> Option<Forecast> {
        let warm_up = WARM_UP_DAYS.min(known / 3).max(WARM_UP_DAYS_LEAST);
        let span_max = (known.checked_sub(warm_up)? / SPANS_LEAST).max(1);
        let tried = if rest.span() > span_max { Rest { today: 1.0, days: span_max - 1 } } else { rest };
        let starts = warm_up..(known + 1).saturating_sub(tried.span());
        let mut errors: Vec<f64> = starts.filter_map(|start| self.error(start, tried)).collect();
        errors.sort_unstable_by(f64::total_cmp);
        let beside = (1.0 - confidence) / 2.0;
        let [low, middle, high] = [beside, 0.5, 1.0 - beside].map(|share| quantile(&errors, share));
        let (low, middle, high) = (low?, middle?, high?);
        let independent = count(errors.len() + tried.days) / count(tried.span());
        let wider = student_over_normal(independent - 1.0, confidence) * (1.0 + independent.recip()).sqrt();
        let (plain, unit) = (self.plain(known, rest)?, self.known.get(known)?.level * rest.length());
        let at = |error: f64| (plain + unit * (middle + (error - middle) * wider)).max(0.0);
        Some(Forecast { low: at(low), expected: at(middle), high: at(high) })
    }

    /// The forecast without what errors tell, made before the day `start`.
    fn plain(&self, start: usize, rest: Rest) -> Option<f64> {
        let known = self.known.get(start)?;
        let mut coming = known.medians.iter().cycle().skip(start % WEEK_DAYS);
        let today = coming.next()? * rest.today;
        Some((today + coming.take(rest.days).sum::<f64>()) * known.change)
    }

    /// What came less what was forecast before the day `start`, in units of the level of that time; `None` if there was no
    /// level, or if it has not all come.
    fn error(&self, start: usize, rest: Rest) -> Option<f64> {
        let (known, first) = (self.known.get(start)?, self.known.get(start + 1)?);
        let came = self.days.get(start)? * rest.today + self.known.get(start + rest.span())?.total - first.total;
        let unit = known.level * rest.length();
        (unit > 0.0).then_some((came - self.plain(start, rest)?) / unit)
    }
}

/// The median of the day and of the days 7, 14 ... before it that lie in the last [`PATTERN_DAYS`].
fn median_of_weekday(days: &[f64], day: usize) -> f64 {
    let mut same = [0.0; PATTERN_DAYS / WEEK_DAYS];
    let mut found = 0;
    let before = (0..).map_while(|weeks| days.get(day.checked_sub(weeks * WEEK_DAYS)?));
    for (place, amount) in same.iter_mut().zip(before) {
        *place = *amount;
        found += 1;
    }
    let same = same.get_mut(..found).unwrap_or_default();
    same.sort_unstable_by(f64::total_cmp);
    quantile(same, 0.5).unwrap_or_default()
}

/// The quantile of numbers in order, between its two neighbours in proportion; `None` if there is no number.
pub(super) fn quantile(ordered: &[f64], share: f64) -> Option<f64> {
    let position = share * count(ordered.len().checked_sub(1)?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in a list in memory")]
    let below = position as usize;
    let (low, high) = (ordered.get(below)?, ordered.get(below + 1).or_else(|| ordered.get(below))?);
    Some(low + (high - low) * (position - count(below)))
}

/// By how much wider the interval of Student's t with so many degrees of freedom is than the normal one. Below two degrees
/// there is no expansion, so the value lies between the exact ones for one and two; below one it is that for one.
pub(super) fn student_over_normal(freedom: f64, confidence: f64) -> f64 {
    let normal = normal_quantile(f64::midpoint(1.0, confidence));
    if freedom >= 2.0 {
        return expansion(normal, freedom) / normal;
    }
    let (one, two) = ((PI / 2.0 * confidence).tan(), confidence * (2.0 / (1.0 - confidence.powi(2))).sqrt());
    (two + (one - two) * (2.0 * freedom.max(1.0).recip() - 1.0)) / normal
}

/// Student's t by the normal quantile: Abramowitz and Stegun, 26.7.5.
fn expansion(normal: f64, freedom: f64) -> f64 {
    let square = normal * normal;
    let first = (square + 1.0) * normal / 4.0;
    let second = ((5.0 * square + 16.0) * square + 3.0) * normal / 96.0;
    let third = (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) * normal / 384.0;
    normal + (first + (second + third / freedom) / freedom) / freedom
}

/// The quantile of the normal distribution for a share above a half, to 0.0005: Abramowitz and Stegun, 26.2.23.
fn normal_quantile(share: f64) -> f64 {
    let root = (-2.0 * (1.0 - share).ln()).sqrt();
    let above = (0.010_328 * root + 0.802_853) * root + 2.515_517;
    let below = ((0.001_308 * root + 0.189_269) * root + 1.432_788) * root + 1.0;
    root - above / below
}

#[expect(clippy::cast_precision_loss, reason = "days of a history")]
fn count(number: usize) -> f64 {
    number as f64
}
