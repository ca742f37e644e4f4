//! Where sessions left each other.

use super::kept::HasReplays;
use crate::http::api::reel::Reel;
use crate::http::api::sessions::source_of;
use crate::http::api::state::unreadable;
use crate::http::route::problem::Problem;
use crate::ledger::session::Session;
use crate::transcript::time::Timestamp;
use crate::views::transcripts::entry::ForkPlace;

/// Most forks that an answer names.
const FORKS_MAX: usize = 100;

/// Where a session left its source; `None` if it is no fork or nothing is known of its source.
pub(in crate::http) fn left_source<C: HasReplays>(
    context: &C,
    session: &Session,
) -> Result<Option<ForkPlace>, Problem> {
    let Some((fork, source)) = session.fork.as_ref().zip(source_of(context.reader(), session)?) else {
        return Ok(None);
    };
    let reel = context.replays().reel(context.reader(), &source).map_err(unreadable)?;
    Ok(Some(ForkPlace {
        session: source.id.0.to_string(),
        event: last_until(&reel, fork.time),
        at: fork.time.to_rfc3339(),
    }))
}

/// Where other sessions left this one.
pub(in crate::http) fn forks<C: HasReplays>(
    context: &C,
    session: &Session,
    reel: &Reel,
) -> Result<Vec<ForkPlace>, Problem> {
    let reader = context.reader();
    if !session.has_forks {
        return Ok(Vec::new());
    }
    let mut forks = Vec::new();
    for id in reader.forks(&session.id).map_err(unreadable)?.into_iter().take(FORKS_MAX) {
        let Some(other) = reader.session(&id).map_err(unreadable)? else { continue };
        let Some(fork) = other.fork.filter(|fork| fork.from == session.id) else { continue };
        forks.push((
            fork.time,
            ForkPlace { session: id.0.to_string(), event: last_until(reel, fork.time), at: fork.time.to_rfc3339() },
        ));
    }
    forks.sort_by(|(a, one), (b, other)| (a, &one.session).cmp(&(b, &other.session)));
    Ok(forks.into_iter().map(|(_, place)| place).collect())
}

/// The last event at a time or before it.
fn last_until(reel: &Reel, time: Timestamp) -> Option<usize> {
    reel.timeline.at(Timestamp(time.0.saturating_add(1))).checked_sub(1)
}
