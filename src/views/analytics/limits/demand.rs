//! What was used since the first look, whichever run of the window it was counted in, in units of the limit.
//!
//! Between two looks of a run it grows evenly. Where a run begins anew, it grows from the beginning of the run.

use super::sample::LimitSample;
use crate::transcript::time::Timestamp;

/// What was used since the first look.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// Moments, the earliest first, with what was used up to each.
    points: Vec<(Timestamp, f64)>,
    /// When a limit was used up, until the reset: what somebody would have used then is not known.
    blocked: Vec<(Timestamp, Timestamp)>,
}

impl Demand {
    /// Takes the looks at one window, the earliest first.
    pub(super) fn of(looks: &[LimitSample]) -> Self {
        let mut demand = Self::default();
        let mut before: Option<&LimitSample> = None;
        for look in looks {
            demand.add(before, look);
            before = Some(look);
        }
        demand
    }

    fn add(&mut self, before: Option<&LimitSample>, look: &LimitSample) {
        let total = self.points.last().map_or(0.0, |(_, total)| *total);
        let more = match before {
            Some(before) if before.is_of_run(look) => look.used() - before.used(),
            _ => {
                let begun = look.begun().unwrap_or(look.at);
                let from = before.map_or(begun, |before| begun.max(before.at)).min(look.at);
                self.points.push((from, total));
                look.used()
            }
        };
        self.points.push((look.at, total + more.max(0.0)));
        let is_first = self.blocked.last().is_none_or(|(_, until)| *until <= look.at);
        if look.used() >= 1.0 && is_first {
            self.blocked.push((look.at, look.resets_at.unwrap_or(look.at)));
        }
    }

    /// The first moment that is known; `None` without looks.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.points.first().map(|(at, _)| *at)
    }

    /// What was used up to a moment.
    pub(super) fn until(&self, at: Timestamp) -> f64 {
        let place = self.points.partition_point(|(known, _)| *known <= at);
        let (before, after) = (place.checked_sub(1).and_then(|place| self.points.get(place)), self.points.get(place));
        match (before, after) {
            (Some((from, low)), Some((to, high))) => low + (high - low) * ratio(at.since_ms(*from), to.since_ms(*from)),
            (Some((_, total)), None) => *total,
            (None, _) => 0.0,
        }
    }

    /// What was used in a time that ends at `until`, an hour's share of it as a share of the limit.
    pub(super) fn pace(&self, from: Timestamp, until: Timestamp) -> f64 {
        let hours = ratio(until.since_ms(from), 3_600_000);
        if hours > 0.0 { (self.until(until) - self.until(from)) / hours } else { 0.0 }
    }

    /// The first moment from `from` on at which nothing more could be used, if it lies before `until`; else `until`.
    pub(super) fn free_until(&self, from: Timestamp, until: Timestamp) -> Timestamp {
        let place = self.blocked.partition_point(|(_, end)| *end <= from);
        self.blocked.get(place).map_or(until, |(begin, _)| (*begin).clamp(from, until))
    }
}

/// A part of a whole of milliseconds; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "months in milliseconds")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}
