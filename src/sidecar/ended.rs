//! Tells which sessions ended for their age: a line of the log for each walk over all sessions that ended some, and a metric.

use std::time::Duration;

use crate::engine::Retired;
use crate::vitals::Vitals;

/// What ended since the last line of the log about it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    sessions: u64,
    units: u64,
}

impl Ended {
    /// Tells what ended for `age` in a part of a walk, which is durable. Returns true if the walk goes on.
    pub(super) fn tell(&mut self, retired: Retired, age: Duration, vitals: &Vitals) -> bool {
        let Retired { sessions, units, is_walking } = retired;
        self.sessions += sessions;
        self.units += units;
        vitals.tell_archive(|told| told.ended[1].1 += sessions);
        if !is_walking && self.sessions > 0 {
            let Self { sessions, units } = std::mem::take(self);
            tracing::info!(
                sessions,
                units,
                ?age,
                "sessions ended for their age (retention.facts): their sums by day stay"
            );
        }
        is_walking
    }
}
