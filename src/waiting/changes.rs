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
    /// When it was seen to end; `None` if it began.
    pub ended: Option<Timestamp>,
}

/// What changed from `before` to `after`, seen at `now`: first what ended, then what began, by session. A session that
/// waits for something else than before has ended one wait and begun another.
#[must_use]
pub fn changes(before: &Waits, after: &Waits, now: Timestamp) -> Vec<WaitChange> {
    let changed = |session: &SessionId, wait: &Wait, other: &Waits| other.get(session) != Some(wait);
    let ended = before.iter().filter(|(session, wait)| changed(session, wait, after));
    let began = after.iter().filter(|(session, wait)| changed(session, wait, before));
    let change = |(session, wait): (&SessionId, &Wait), ended| WaitChange {
        session: session.clone(),
        wait: wait.clone(),
        ended,
    };
    ended.map(|one| change(one, Some(now))).chain(began.map(|one| change(one, None))).collect()
}
