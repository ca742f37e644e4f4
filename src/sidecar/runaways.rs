//! Tells which sessions run away: a line of the log when that is noticed and one when it is over, and a metric.

use crate::engine::Engine;
use crate::sidecar::begun::{Begun, begun};
use crate::store::{StoreError, StoreReader, Told};
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::RunawayEvent;
use crate::views::analytics::runaway::reason::Reason;
use crate::vitals::Vitals;

/// Takes up the runaways that were told before this start, so that none is told to begin twice, or never to end. Fails if the
/// state cannot be read.
pub(super) fn resume(engine: &mut Engine, reader: &StoreReader, now: Timestamp) -> Result<(), StoreError> {
    for Begun { session, which, since } in begun(reader, Told::Runaway)? {
        if let Some(reason) = Reason::ALL.get(which) {
            engine.resume_runaway(&session, *reason, since, now)?;
        }
    }
    Ok(())
}

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
