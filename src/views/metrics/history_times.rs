//! Chooses the moments at which a history has samples: few enough for a year of history, and those that queries need.
//!
//! ```text
//! an hour in which a series changed   a sample at every step, and at the beginning and the end of the hour
//! any other time                      a sample at midnight UTC only, from the day of the first change on
//! the end of the history              one more sample
//! ```
//!
//! - A histogram has as many samples as a counter, although it is some twenty series: with fewer samples, a window that
//!   is shorter than their distance finds no difference, and a dashboard draws 0 where there was something.
//! - A sample shows what happened before its moment. So the difference between two samples is what happened between
//!   them, and no second is counted twice.
//! - `increase()` extrapolates the difference of the first and the last sample in its window to the whole window, by up
//!   to half the usual distance of samples. Over whole hours and days both ends have a sample, and nothing is
//!   extrapolated.
//! - Prometheus 3 leaves out the sample at the beginning of a window. So each hour, half hour and day begins with a
//!   further sample a second later. Half hours are there because they are the columns of heatmaps.
//! - All samples are at whole seconds: promtool multiplies times by 1000 and cuts, which moves half of all
//!   milliseconds.

use crate::transcript::time::Timestamp;

const HALF_HOUR: i64 = 1_800;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// 2025-01-01T00:00:00Z, before any session file was written. A history begins here unless it has a beginning of its
/// own; rows that are stamped earlier count as rows without a time.
pub const BEGINNING: Timestamp = Timestamp(1_735_689_600_000);

/// The span of time of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySpan {
    /// The first moment of the span; [`BEGINNING`] if `None`.
    pub since: Option<Timestamp>,
    /// The end of the span: the first moment that is not in it.
    pub until: Timestamp,
    /// Seconds between two samples; an hour or a day is a multiple of it.
    pub step_s: i64,
}

impl HistorySpan {
    /// The step that a moment of this span belongs to, counted from 1970-01-01 UTC.
    pub(super) const fn step_of(&self, time: Timestamp) -> i64 {
        time.0.div_euclid(1000).div_euclid(self.step_s) + 1
    }

    /// The time of the first sample that shows all of a step, in seconds since 1970-01-01 UTC.
    pub(super) fn shown(&self, step: i64) -> i64 {
        step.saturating_mul(self.step_s).min(self.end())
    }

    /// The time of the last sample, in seconds since 1970-01-01 UTC.
    pub(super) const fn end(&self) -> i64 {
        self.until.0.div_euclid(1000)
    }

    /// The times of the samples of a series that changed in `steps` (ascending), in seconds since 1970-01-01 UTC.
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
        // The series has a sample of value 0 at the beginning of the span too.
        times.extend(self.since.and(times.iter().min().copied()).filter(|first| *first < since).map(|_| since));
        times.retain(|time| (since..self.end()).contains(time));
        times.push(self.end());
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// The latest multiple of `window` that is before `at`.
const fn begin_of(window: i64, at: i64) -> i64 {
    (at - 1).div_euclid(window) * window
}

fn stepped(from: i64, to: i64, step: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(from), move |at| at.checked_add(step)).take_while(move |at| *at <= to)
}
