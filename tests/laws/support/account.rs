//! Made-up use of an account with limits: what somebody's work takes of a window minute by minute, and what a status line is
//! told of it.

use std::sync::Arc;

use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::limits::history::LimitHistory;
use tailspan::views::analytics::limits::sample::{LimitSample, length_ms};

use super::world::Dice;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: usize = 1440;
/// A Monday.
const BEGIN: Timestamp = Timestamp(1_760_313_600_000);

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Weekdays from nine to six with pauses, each stretch of work at a pace of its own.
    Ordinary,
    /// The same pace whenever somebody works.
    Steady,
    /// Little, and now and then ten times as much for some minutes.
    Bursts,
    /// As ordinary, and so much that many windows are used up.
    Heavy,
    /// Day and night, at a pace that wanders.
    Nights,
    /// As ordinary, and twice as much from the last quarter on.
    Shift,
    /// As ordinary, and only the last three days are known.
    New,
}

/// The use of one window over some weeks.
pub(crate) struct Account {
    window: Arc<str>,
    /// What each minute takes, in limits.
    demand: Vec<f64>,
    /// Whether somebody looks in a minute.
    at_work: Vec<bool>,
}

/// A moment at which a forecast is asked for, and what came.
pub(crate) struct Asked {
    pub(crate) looks: Vec<LimitSample>,
    pub(crate) now: Timestamp,
    /// When the window was full; `None` if that was not before its reset.
    pub(crate) full: Option<Timestamp>,
    /// What would have been used at the reset without a limit.
    pub(crate) at_reset: f64,
}

/// A number whose logarithm is spread evenly.
fn spread(dice: &mut Dice, times: f64) -> f64 {
    times.powf(dice.below(2001) as f64 / 1000.0 - 1.0)
}

impl Account {
    /// The same seed gives the same weeks. `share` is what an ordinary window of work takes of its limit.
    pub(crate) fn of(kind: Kind, window: &str, weeks: usize, share: f64, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        dice.below(7);
        let minutes = weeks * 7 * DAY_MINUTES;
        let length = length_ms(window).unwrap() as f64 / 60_000.0;
        // Of seven days somebody works some forty hours.
        let worked = if length > 1000.0 { 40.0 * 60.0 * 0.75 } else { length * 0.75 };
        let usual = share / worked * if kind == Kind::Heavy { 1.6 } else { 1.0 };
        let (mut demand, mut at_work) = (vec![0.0; minutes], vec![false; minutes]);
        let (mut pace, mut left, mut works) = (usual, 0usize, false);
        let mut burst = 0usize;
        for minute in 0..minutes {
            let (day, hour) = (minute / DAY_MINUTES, minute % DAY_MINUTES / 60);
            let is_open = kind == Kind::Nights || ((9..18).contains(&hour) && (day % 7 < 5 || (day / 7) % 3 == 1));
            if left == 0 {
                works = !works || dice.one_in(4);
                left = if works { 20 + dice.below(90) } else { 5 + dice.below(50) };
                pace = match kind {
                    Kind::Steady => usual,
                    Kind::Nights => (pace * spread(&mut dice, 1.5)).clamp(usual / 4.0, usual * 4.0),
                    _ => usual * spread(&mut dice, 2.5),
                };
            }
            left -= 1;
            if !is_open || !works {
                continue;
            }
            if kind == Kind::Bursts {
                burst = if burst == 0 && dice.one_in(90) { 5 + dice.below(15) } else { burst.saturating_sub(1) };
            }
            let now = match kind {
                Kind::Bursts if burst > 0 => pace * 5.0,
                Kind::Bursts => pace / 2.0,
                Kind::Shift if minute > minutes * 3 / 4 => pace * 2.0,
                _ => pace,
            };
            at_work[minute] = true;
            // Answers come when they come.
            demand[minute] = if dice.one_in(3) { 0.0 } else { now * spread(&mut dice, 2.0) };
        }
        if kind == Kind::New {
            let known = minutes - 3 * DAY_MINUTES;
            demand[..known].fill(0.0);
            at_work[..known].fill(false);
        }
        Self { window: window.into(), demand, at_work }
    }

    /// Moments of the last two fifths at which somebody was at work, at most one in `every` minutes.
    pub(crate) fn asked(&self, every: usize, dice: &mut Dice) -> Vec<Asked> {
        let length = usize::try_from(length_ms(&self.window).unwrap()).unwrap() / 60_000;
        let (mut history, mut asked) = (LimitHistory::default(), Vec::new());
        let (mut begun, mut used): (Option<usize>, f64) = (None, 0.0);
        let mut next = self.demand.len() * 3 / 5 + dice.below(every);
        // The last window must be over.
        for minute in 0..self.demand.len() - length {
            if begun.is_some_and(|begun| minute >= begun + length) {
                begun = None;
            }
            if !self.at_work[minute] {
                continue;
            }
            if begun.is_none() {
                used = 0.0;
            }
            let start = *begun.get_or_insert(minute);
            used += self.demand[minute];
            let at = time(minute);
            let whole = (1..=100u32).take_while(|percent| f64::from(*percent) <= used * 100.0).count();
            let used_ppm = u32::try_from(whole).unwrap() * 10_000;
            let look =
                LimitSample { window: Arc::clone(&self.window), used_ppm, resets_at: Some(time(start + length)), at };
            history.take(look).ok();
            if minute < next || used >= 0.99 {
                continue;
            }
            next = minute + every + dice.below(every);
            let (mut sum, mut full) = (used, None);
            for later in minute + 1..start + length {
                sum += self.demand[later];
                if sum >= 1.0 && full.is_none() {
                    full = Some(time(later));
                }
            }
            asked.push(Asked { looks: history.looks(&self.window), now: at, full, at_reset: sum });
        }
        asked
    }
}

fn time(minute: usize) -> Timestamp {
    Timestamp(BEGIN.0 + i64::try_from(minute).unwrap() * MINUTE_MS)
}
