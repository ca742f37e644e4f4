//! At which moments a history has samples: few enough for a year, and where a query needs them.
//!
//! ```text
//! awake    a whole hour in which a series changed: a sample at every step, at the hour before and at the hour after it
//! asleep   a sample at midnight UTC only, from the day of the first change on
//! the end  one more
//! ```
//!
//! - A histogram has as many samples as a counter, although it is some twenty series: with fewer, a window that is shorter
//!   than their distance finds no difference, and a dashboard draws 0 where there was something.
//! - A sample shows what happened before its moment. So the difference between two of them is what happened from the one
//!   to the other, without the one's and the other's own second being counted twice.
//! - `increase()` stretches the difference of the first and the last sample in its window to the whole window, by up to
//!   half the usual distance of samples. Over whole hours and days both ends have a sample, and nothing is stretched.
//! - Prometheus 3 leaves out the sample at the beginning of a window. So each hour, half hour and day begins with a second
//!   one, a second later: half hours are the columns of heatmaps.
//! - Nothing lies between two seconds: promtool multiplies by 1000 and cuts, which moves half of all milliseconds.

use crate::transcript::time::Timestamp;

const HALF_HOUR: i64 = 1_800;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Before any session file: where a history begins unless it is told. Earlier rows have no time of their own.
pub const BEGINNING: Timestamp = Timestamp(1_735_689_600_000);

/// The time that a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySpan {
    /// Its beginning; `None`: that of everything.
    pub since: Option<Timestamp>,
    /// Its end: the first moment that is not in it.
    pub until: Timestamp,
    /// Seconds between two samples, a part of an hour or of a day.
    pub step_s: i64,
}

impl HistorySpan {
    /// Which step a moment of this span belongs to.
    pub(super) const fn step_of(&self, time: Timestamp) -> i64 {
        time.0.div_euclid(1000).div_euclid(self.step_s) + 1
    }

    /// When a sample shows all that a step holds, in seconds since 1970-01-01 UTC.
    pub(super) fn shown(&self, step: i64) -> i64 {
        step.saturating_mul(self.step_s).min(self.end())
    }

    /// When the last sample is, in seconds since 1970-01-01 UTC.
    pub(super) const fn end(&self) -> i64 {
        self.until.0.div_euclid(1000)
    }

    /// When a series that changed in `steps` (ascending) has samples, in seconds since 1970-01-01 UTC.
    pub(super) fn times(&self, steps: impl Iterator<Item = i64>) -> Vec<i64> {
        let window = self.step_s.max(HOUR);
        let twice = if HALF_HOUR % self.step_s == 0 { HALF_HOUR } else { window };
        let mut times = Vec::new();
        let mut awake = None;
        for at in steps.map(|step| self.shown(step)) {
            let begin = begin_of(window, at);
            if awake.is_none() {
                let days = stepped(begin_of(DAY, at), self.end(), DAY);
                times.extend(days.flat_map(|midnight| [midnight, midnight + 1]));
            }
            if awake != Some(begin) {
                awake = Some(begin);
                times.extend(stepped(begin, begin + window, self.step_s));
                times.extend(stepped(begin, begin + window - 1, twice).map(|start| start + 1));
            }
        }
        let since = self.since.map_or(i64::MIN, |since| since.0.div_euclid(1000));
        // The beginning is a moment with a value too: 0.
        times.extend(self.since.and(times.iter().min().copied()).filter(|first| *first < since).map(|_| since));
        times.retain(|time| (since..self.end()).contains(time));
        times.push(self.end());
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// The latest multiple of `window` before a moment.
const fn begin_of(window: i64, at: i64) -> i64 {
    (at - 1).div_euclid(window) * window
}

fn stepped(from: i64, to: i64, step: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(from), move |at| at.checked_add(step)).take_while(move |at| *at <= to)
}
