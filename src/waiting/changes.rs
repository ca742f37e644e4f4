//! Which waits began and ended between two looks.

use super::wait::{Wait, Waits};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// A wait that began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitChange {
    /// The session.
    pub session: SessionId,
    /// The wait.
    pub wait: Wait,
    /// When it was seen to end, or when the next one of the session had begun; `None` if it began.
    pub ended: Option<Timestamp>,
}

/// What changed from `before` to `after`, seen at `now`: first what ended, then what began, by session. A session that
/// waits for something else than before has ended one wait and begun another.
#[must_use]
pub fn changes(before: &Waits, after: &Waits, now: Timestamp) -> Vec<WaitChange> {
    // The name of the tool may become known later than that it waits.
    let is_same = |one: &Wait, other: &Wait| (one.waits_for, one.since) == (other.waits_for, other.since);
    let changed =
        |session: &SessionId, wait: &Wait, other: &Waits| !other.get(session).is_some_and(|other| is_same(other, wait));
    let ended = before.iter().filter(|(session, wait)| changed(session, wait, after));
    let began = after.iter().filter(|(session, wait)| changed(session, wait, before));
    let change = |(session, wait): (&SessionId, &Wait), ended| WaitChange {
        session: session.clone(),
        wait: wait.clone(),
        ended,
    };
    // The next wait may have begun before it was seen, and so the one before it has ended earlier too.
    let end = |(session, wait): &(&SessionId, &Wait)| {
        let next = after.get(*session).map_or(now, |next| next.since.min(now));
        Some(next.max(wait.since))
    };
    ended.map(|one| change(one, end(&one))).chain(began.map(|one| change(one, None))).collect()
}
