//! Tells which sessions run away: a line of the log when that is noticed and one when it is over, and a metric.

use crate::engine::Engine;
use crate::store::Told;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::RunawayEvent;
use crate::views::analytics::runaway::reason::Reason;
use crate::vitals::Vitals;

/// Looks which sessions run away, and tells it.
pub(super) fn tell(engine: &mut Engine, vitals: &Vitals, now: Timestamp) {
    for event in engine.look_for_runaways(now) {
        let (of, is_over) = match &event {
            RunawayEvent::Began(runaway) => (runaway, false),
            RunawayEvent::Ended(runaway) => (runaway, true),
        };
        let which = Reason::ALL.iter().zip(0..).find(|(reason, _)| **reason == of.reason).map_or(0, |(_, which)| which);
        engine.tell_of_session(Told::Runaway, &of.session, (which, is_over), now);
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
