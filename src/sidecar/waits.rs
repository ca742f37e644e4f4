//! Tells those who follow what happens which sessions begin and cease to wait for a person.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::ledger::known::{Asked, AskedCall, AskedWhat, Question};
use crate::sidecar::news::WaitNews;
use crate::store::{StoreError, StoreReader, Told as ToldEvent};
use crate::transcript::time::Timestamp;
use crate::vitals::Vitals;
use crate::waiting::{HostCall, Told, ToldKind, Wait, WaitFor, Waits};

/// A question that is older than this when it is read, in milliseconds, is not waited for.
const RECENT_MS: u64 = 3_600_000;

/// Rows of the log of events that are read at once.
const ROWS_AT_ONCE: usize = 64;

/// The waits that the log of events says have begun and not ended. Fails if the state cannot be read.
pub(super) fn told(reader: &StoreReader) -> Result<Waits, StoreError> {
    let (mut open, mut last) = (BTreeMap::new(), 0);
    loop {
        let rows = reader.events_after(last, ROWS_AT_ONCE)?;
        let Some(row) = rows.last() else { break };
        last = row.first.saturating_add(row.events.len() as u64).saturating_sub(1).max(last + 1);
        let waits = rows.iter().flat_map(|row| &row.events).filter(|event| event.told == ToldEvent::Waiting);
        for event in waits {
            if event.identity % 2 == 0 {
                open.insert(event.unit.0, (event.unit, event.identity / 2, event.at));
            } else if open.get(&event.unit.0).is_some_and(|(_, which, _)| *which == event.identity / 2) {
                open.remove(&event.unit.0);
            }
        }
    }
    let mut told = Waits::new();
    for (number, which, since) in open.into_values() {
        let which = usize::try_from(which).ok().and_then(|which| WaitFor::ALL.get(which));
        if let (Some(waits_for), Some(session)) = (which.copied(), reader.session_numbered(number)?) {
            told.insert(session.id, Wait { waits_for, since, tool: None });
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
