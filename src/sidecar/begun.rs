//! What the log of events says has begun and not ended: after a restart it is neither told to begin again, nor never to end.

use std::collections::BTreeMap;

use crate::store::{StoreError, StoreReader, Told};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Rows of the log that are read at once.
const ROWS_AT_ONCE: usize = 64;

/// Something that a session began, and that nobody told to end.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) session: SessionId,
    /// Position of the reason.
    pub(super) which: usize,
    pub(super) since: Timestamp,
}

/// What was told to begin and not to end, of one kind of event, by session and then in the order of reasons. Sessions that are
/// not there are passed over. Fails if the state cannot be read.
pub(super) fn begun(reader: &StoreReader, kind: Told) -> Result<Vec<Begun>, StoreError> {
    let (mut open, mut last) = (BTreeMap::new(), 0);
    loop {
        let rows = reader.events_after(last, ROWS_AT_ONCE)?;
        let Some(row) = rows.last() else { break };
        last = row.first.saturating_add(row.events.len() as u64).saturating_sub(1).max(last + 1);
        for event in rows.iter().flat_map(|row| &row.events).filter(|event| event.told == kind) {
            // See `Engine::tell_of_session`.
            let (key, has_ended) = ((event.unit.0, event.identity / 2), event.identity % 2 == 1);
            if has_ended {
                open.remove(&key);
            } else {
                open.insert(key, (event.unit, event.at));
            }
        }
    }
    let mut begun = Vec::new();
    for ((_, which), (number, since)) in open {
        let session = reader.session_numbered(number)?.map(|session| session.id);
        let which = usize::try_from(which).ok();
        begun.extend(session.zip(which).map(|(session, which)| Begun { session, which, since }));
    }
    Ok(begun)
}
