//! Tells which sessions run away: a line of the log when that is noticed and one when it is over, and a metric.

use crate::engine::Engine;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::RunawayEvent;
use crate::vitals::Vitals;

/// Looks which sessions run away, and tells it.
pub(super) fn tell(engine: &mut Engine, vitals: &Vitals, now: Timestamp) {
    for event in engine.look_for_runaways(now) {
        match event {
            RunawayEvent::Began(runaway) => tracing::warn!(
                session = &*runaway.session.0,
                reason = runaway.reason.word(),
                per_minute = runaway.value,
                usual = runaway.baseline,
                "a session runs away"
            ),
            RunawayEvent::Ended(runaway) => tracing::info!(
                session = &*runaway.session.0,
                reason = runaway.reason.word(),
                since = runaway.since.to_rfc3339(),
                "a session runs away no more"
            ),
        }
    }
    vitals.set_runaways(engine.runaways().cloned().collect());
}
