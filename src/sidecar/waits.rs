//! Tells those who follow what happens which sessions begin and cease to wait for a person.

use crate::engine::Engine;
use crate::ledger::known::{Asked, AskedCall, AskedWhat, Question};
use crate::sidecar::begun::{Begun, begun};
use crate::sidecar::news::WaitNews;
use crate::store::{StoreError, StoreReader, Told as ToldEvent};
use crate::transcript::time::Timestamp;
use crate::vitals::Vitals;
use crate::waiting::{HostCall, Told, ToldKind, Wait, WaitFor, Waits};

/// A question that is older than this when it is read, in milliseconds, is not waited for.
const RECENT_MS: u64 = 3_600_000;

/// The waits that the log of events says have begun and not ended; of several of a session the latest. Fails if the state cannot
/// be read.
pub(super) fn told(reader: &StoreReader) -> Result<Waits, StoreError> {
    let mut told = Waits::new();
    for Begun { session, which, since } in begun(reader, ToldEvent::Waiting)? {
        let is_latest = told.get(&session).is_none_or(|other| other.since <= since);
        if let Some(waits_for) = WaitFor::ALL.get(which).copied().filter(|_| is_latest) {
            told.insert(session, Wait { waits_for, since, tool: None });
        }
    }
    Ok(told)
}

/// Notes which sessions wait for a program that the client asks whether a call may run, as streams tell. Returns true if
/// something was told.
pub(super) fn hear(engine: &mut Engine, vitals: &Vitals, now: Timestamp) -> bool {
    let all = engine.asked();
    let has_news = !all.is_empty();
    for Asked { session, at, what } in all {
        // What was asked or ended long ago, in a stream that is read only now, is over.
        let is_recent = now.since_ms(at) <= RECENT_MS;
        let of_call = |call: AskedCall| (call.agent.map(|agent| agent.shared()), call.tool);
        let (kind, (agent, tool)) = match what {
            AskedWhat::Began(..) | AskedWhat::RunEnded(_) if !is_recent => continue,
            AskedWhat::Began(Question { run, request, is_background }, call) => {
                (ToldKind::HostAsked(HostCall { call: call.id, request, run, is_background }), of_call(call))
            }
            AskedWhat::Returned(call) => (ToldKind::HostReturned(call.id), of_call(call)),
            AskedWhat::Answered { run, request } => (ToldKind::HostAnswered(run, request), (None, None)),
            AskedWhat::TurnEnded(run) => (ToldKind::HostStopped(run), (None, None)),
            AskedWhat::RunEnded(run) => (ToldKind::HostEnded(run), (None, None)),
            AskedWhat::RunBegan(run) => (ToldKind::HostBegan(run), (None, None)),
        };
        vitals.tell(&session, &Told { at, kind, agent, tool });
    }
    has_news
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
