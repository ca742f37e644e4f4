//! When a window of a limit will be full, from how fast its user used it before, with an interval that knows its own errors.
//!
//! ```text
//! demand    what was used since the first look, over all runs of the window, on one line
//! pace      the mean of two: of the last fifth of a window's length (an hour of five), and of what usually came in so long a
//!           time after somebody was seen at work
//! ratios    at each earlier look, what came in the next hours over what the pace of that moment foretold, for each of 24
//!           spans up to the reset. A span that ran into a used-up limit counts up to there
//! interval  quantiles of these ratios (split conformal) times the present pace; their median corrects it. Quantiles of few
//!           independent spans are widened as those of a projection are (see `analytics::forecast`)
//! full      where the middle and both ends of the interval reach the limit, as moments
//! ```
//!
//! It is asked for while somebody works, and learns from moments at which somebody worked: what a night does to a pace is in
//! the ratios. Nothing is fitted to a kind of work; how often the interval holds for which kind is in `docs/limits.md` and
//! kept by `tests/laws/limits.rs`.

use super::demand::{Demand, ratio};
use super::history::GAP_MS;
use super::sample::{LimitSample, length_ms};
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, duration};
use crate::views::analytics::forecast::{quantile, student_over_normal};

/// The probability with which the interval holds what comes.
pub const CONFIDENCE: f64 = 0.8;
/// What is done, in words for the answer.
pub const METHOD: &str = "mean of the pace of the last fifth of the window's length and of the pace that usually followed a look; \
                          interval and correction from what came after each earlier look over what that pace foretold, for as \
                          long as is left until the reset";

/// Spans up to the reset that are looked at.
const SPANS: u32 = 24;
/// The pace is that of this part of a window's length.
const RECENT_PARTS: u64 = 5;
/// Two looks that are learned from lie at least this part of a window's length apart.
const APART_PARTS: u64 = 40;
/// Fewest earlier looks that are learned from.
const LOOKS_LEAST: usize = 6;
/// What usually came is a mean in which the last so many looks count most.
const USUAL_LOOKS: f64 = 32.0;
/// Looks are near each other if they lie at most such a part of a day (of a week) apart in the day (the week); the first part of
/// which there are enough counts.
const NEAR_PARTS: [u64; 3] = [48, 24, 12];
/// Of how many days or weeks near looks must be.
const CYCLES_LEAST: f64 = 5.0;
const DAY_MS: u64 = 86_400_000;
/// Most of them, the latest.
const LOOKS_MAX: usize = 1000;

/// When a window will be full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitForecast {
    /// When it will be full, as likely earlier as later; `None` if that is not before the reset.
    pub full_at: Option<Timestamp>,
    /// The earliest moment of the interval; `None` if it is not full before the reset even then.
    pub earliest: Option<Timestamp>,
    /// The latest moment of the interval; `None` if the window may begin anew before it is full.
    pub latest: Option<Timestamp>,
    /// What will be used at the reset as a share of the limit, as if there were none: the lower end, the middle, the upper end.
    pub used_at_reset: [f64; 3],
    /// Earlier looks that it was learned from.
    pub looks: usize,
}

/// Why nobody knows when a window will be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoForecast {
    /// The window has begun anew since the last look.
    Over,
    /// The client tells no reset.
    Endless,
    /// The name of the window does not tell how long it is.
    Lengthless,
    /// The last look is so many milliseconds old.
    Old(u64),
    /// So few earlier looks can be learned from.
    FewLooks(usize),
}

/// A look to learn from.
#[derive(Clone, Copy)]
struct Start {
    at: Timestamp,
    /// What was foretold then, in limits an hour.
    pace: f64,
}

/// When the window of these looks, the earliest first, will be full; told at `now`. Fails if that cannot be told.
pub fn forecast(looks: &[LimitSample], now: Timestamp, confidence: f64) -> Result<LimitForecast, NoForecast> {
    let present = looks.last().ok_or(NoForecast::FewLooks(0))?;
    let reset = present.resets_at.ok_or(NoForecast::Endless)?;
    if present.is_over(now) {
        return Err(NoForecast::Over);
    }
    let length = length_ms(&present.window).ok_or(NoForecast::Lengthless)?;
    if present.used() >= 1.0 {
        let full = looks.iter().rev().take_while(|look| look.is_of_run(present) && look.used() >= 1.0).last();
        let at = full.map(|look| look.at);
        return Ok(LimitForecast {
            full_at: at,
            earliest: at,
            latest: at,
            used_at_reset: [present.used(); 3],
            looks: 0,
        });
    }
    let age = now.since_ms(present.at);
    if age > GAP_MS {
        return Err(NoForecast::Old(age));
    }
    let learned = Learned::of(looks, length);
    let left_ms = reset.since_ms(present.at);
    let pace = learned.pace(present.at);
    let learned = learned.near(present.at, length);
    let (mut path, mut used) = (vec![(present.at, [present.used(); 3])], 0);
    let mut ratios = Vec::new();
    for step in 1..=u64::from(SPANS) {
        let span = left_ms * step / u64::from(SPANS);
        let longer = learned.ratios(span, present.at);
        if longer.len() >= LOOKS_LEAST {
            ratios = longer;
        }
        let told = quantiles(&ratios, independent(&learned.starts, span.max(cycle_ms(length) / 2)), confidence)
            .ok_or(NoForecast::FewLooks(learned.starts.len()))?;
        used = used.max(ratios.len());
        let hours = ratio(span, 3_600_000);
        let last = path.last().map_or([0.0; 3], |(_, last)| *last);
        let mut at = told.map(|told| present.used() + (told * pace * hours).max(0.0));
        at.iter_mut().zip(last).for_each(|(at, last)| *at = at.max(last));
        path.push((Timestamp(present.at.0.saturating_add_unsigned(span)), at));
    }
    let used_at_reset = path.last().map_or([present.used(); 3], |(_, at)| *at);
    let [latest, full_at, earliest] = [0, 1, 2].map(|end| crossing(&path, end).map(|at| at.max(now)));
    Ok(LimitForecast { full_at, earliest, latest, used_at_reset, looks: used })
}

/// When one end of a path reaches the limit; `None` if it does not.
fn crossing(path: &[(Timestamp, [f64; 3])], end: usize) -> Option<Timestamp> {
    let height = |point: &(Timestamp, [f64; 3])| point.1.get(end).copied().unwrap_or_default();
    let (before, after) = path.iter().zip(path.iter().skip(1)).find(|(_, after)| height(after) >= 1.0)?;
    let part = ((1.0 - height(before)) / (height(after) - height(before)).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a part of a window")]
    let later = (after.0.since_ms(before.0) as f64 * part) as i64;
    Some(Timestamp(before.0.0.saturating_add(later)))
}

/// The lower end, the middle and the upper end of what ratios tell; `None` if they are too few.
fn quantiles(ratios: &[f64], independent: f64, confidence: f64) -> Option<[f64; 3]> {
    if ratios.len() < LOOKS_LEAST {
        return None;
    }
    let beside = (1.0 - confidence) / 2.0;
    let [low, middle, high] = [beside, 0.5, 1.0 - beside].map(|share| quantile(ratios, share));
    let (low, middle, high) = (low?, middle?, high?);
    let wider = student_over_normal(independent - 1.0, confidence) * (1.0 + independent.recip()).sqrt();
    Some([low, middle, high].map(|ratio| (middle + (ratio - middle) * wider).max(0.0)))
}

/// What earlier looks tell.
struct Learned {
    demand: Demand,
    starts: Vec<Start>,
    /// The usual pace after a look, in limits an hour; `None` if no look has so much time behind it.
    usual: Option<f64>,
    recent_ms: u64,
}

impl Learned {
    fn of(looks: &[LimitSample], length: u64) -> Self {
        let recent_ms = length / RECENT_PARTS;
        let mut learned = Self { demand: Demand::of(looks), starts: Vec::new(), usual: None, recent_ms };
        let mut moments: Vec<Timestamp> = Vec::new();
        for look in looks.iter().filter(|look| look.used() < 1.0) {
            if moments.last().is_none_or(|last| look.at.since_ms(*last) >= length / APART_PARTS) {
                moments.push(look.at);
            }
        }
        // What usually came is told of each moment by what was over then.
        let (mut seen, mut ended) = (0.0, moments.iter().peekable());
        for at in &moments {
            while let Some(earlier) = ended.next_if(|earlier| at.since_ms(**earlier) >= recent_ms) {
                let came = learned.demand.pace(*earlier, Timestamp(earlier.0.saturating_add_unsigned(recent_ms)));
                seen = f64::min(seen + 1.0, USUAL_LOOKS);
                let usual = learned.usual.unwrap_or_default();
                learned.usual = Some(usual + (came - usual) / seen);
            }
            let pace = learned.pace(*at);
            learned.starts.push(Start { at: *at, pace });
        }
        let many = learned.starts.len().saturating_sub(LOOKS_MAX);
        learned.starts.drain(..many);
        learned
    }

    /// The same with the looks at about the same time of the day, or of the week for windows of days, if these are of days or
    /// weeks enough.
    fn near(mut self, at: Timestamp, length: u64) -> Self {
        let cycle = cycle_ms(length);
        for parts in NEAR_PARTS {
            let is_near = |start: &Start| {
                let off = at.since_ms(start.at) % cycle;
                off.min(cycle - off) <= cycle / parts
            };
            let near: Vec<Start> = self.starts.iter().copied().filter(is_near).collect();
            if independent(&near, cycle / 2) >= CYCLES_LEAST {
                self.starts = near;
                break;
            }
        }
        self
    }

    /// The pace at a moment, in limits an hour.
    fn pace(&self, at: Timestamp) -> f64 {
        let first = self.demand.first().unwrap_or(at);
        let recent = self.demand.pace(Timestamp(at.0.saturating_sub_unsigned(self.recent_ms)).max(first), at);
        self.usual.map_or(recent, |usual| f64::midpoint(recent, usual))
    }

    /// What came in a span after each look that had so much time behind it, over what was foretold; in order.
    fn ratios(&self, span: u64, now: Timestamp) -> Vec<f64> {
        let mut ratios: Vec<f64> = self.starts.iter().filter_map(|start| self.ratio(start, span, now)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios
    }

    fn ratio(&self, start: &Start, span: u64, now: Timestamp) -> Option<f64> {
        let end = Timestamp(start.at.0.saturating_add_unsigned(span));
        if end > now || start.pace <= 0.0 {
            return None;
        }
        let free = self.demand.free_until(start.at, end);
        (free > start.at).then(|| self.demand.pace(start.at, free) / start.pace)
    }
}

/// How many spans of a length lie one after the other, each beginning at one of these looks.
fn independent(starts: &[Start], span: u64) -> f64 {
    let (mut count, mut until) = (0u32, None);
    for start in starts {
        if until.is_none_or(|until| start.at >= until) {
            count += 1;
            until = Some(Timestamp(start.at.0.saturating_add_unsigned(span)));
        }
    }
    f64::from(count.max(1))
}

impl NoForecast {
    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Over => "the window has begun anew since the last look".to_owned(),
            Self::Endless => "when the window begins anew is not known".to_owned(),
            Self::Lengthless => "the length of the window is not known".to_owned(),
            Self::Old(age) => format!("the last look is {} old", duration(ratio(age, 1000))),
            Self::FewLooks(looks) => format!(
                "a forecast takes {LOOKS_LEAST} earlier looks with as much time behind them; here there are {}",
                counted(looks as u64, "look")
            ),
        }
    }
}

/// After how many milliseconds work repeats itself: a day, or a week for windows of days.
const fn cycle_ms(length: u64) -> u64 {
    if length > DAY_MS { 7 * DAY_MS } else { DAY_MS }
}
