//! Tells those who follow what happens which sessions begin and cease to wait for a person.

use crate::engine::Engine;
use crate::sidecar::news::WaitNews;
use crate::store::Told as ToldEvent;
use crate::transcript::time::Timestamp;
use crate::vitals::Vitals;
use crate::waiting::{Told, ToldKind, WaitFor};

/// A question that is older than this when it is read, in milliseconds, is not waited for.
const RECENT_MS: u64 = 3_600_000;

/// Notes which sessions wait for a program that the client asks whether a call may run, as streams tell.
pub(super) fn hear(engine: &mut Engine, vitals: &Vitals, now: Timestamp) {
    for asked in engine.asked() {
        // What was asked long ago, in a stream that is read only now, is over.
        let is_recent = now.since_ms(asked.at) <= RECENT_MS;
        let kind = if asked.is_over { ToldKind::ToolEnded } else { ToldKind::HostAsked };
        let agent = asked.agent.map(|agent| agent.shared());
        if is_recent {
            vitals.tell(&asked.session, &Told { at: asked.at, kind, agent, tool: asked.tool });
        }
    }
}

/// Hands waits that began or ended to the engine, which tells them with its next commit.
pub(super) fn tell(engine: &mut Engine, news: &WaitNews) {
    for change in news.take() {
        let which = WaitFor::ALL.iter().zip(0..).find(|(one, _)| **one == change.wait.waits_for);
        let which = which.map_or(0, |(_, which)| which);
        let at = change.ended.unwrap_or(change.wait.since);
        engine.tell_of_session(ToldEvent::Waiting, &change.session, (which, change.ended.is_some()), at);
    }
}
