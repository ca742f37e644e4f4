//! `/api/v1/analytics/sessions/{id}/replay`: the events of a session with their text, page by page.

use serde::Serialize;

use crate::http::api::content::{Content, Page};
use crate::http::api::long_session::LongSession;
use crate::http::api::sessions::{CURRENCY, ROWS, ROWS_MAX, find, summary_of, unreadable};
use crate::http::api::state::HasReader;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::session::Session;
use crate::store::{Reader, StoreError};
use crate::transcript::time::Timestamp;
use crate::views::sessions::event::Event;
use crate::views::sessions::events::events;
use crate::views::sessions::summary::SessionSummary;

/// The parameters of [`replay`].
pub const REPLAY_PARAMETERS: &[&str] = &["from", "limit", "at"];

#[derive(Serialize)]
struct Replay<'a> {
    session: SessionSummary,
    total_events: usize,
    from: usize,
    events: Vec<Shown<'a>>,
    next_from: Option<usize>,
    currency: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(flatten)]
    content: Content,
}

/// The events of a session from a position or a time on.
///
/// # Errors
/// A parameter is bad, there is no such session, or the state cannot be read. Text that cannot be read is no error: its
/// event says why.
pub fn replay<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (reader, query) = (context.reader(), &request.query);
    let from = query.number("from", 0..=u64::MAX)?;
    let at = query.time("at")?;
    if from.is_some() && at.is_some() {
        return Err(Problem::bad_request("`from` and `at` exclude each other"));
    }
    let limit = count(query.number("limit", 1..=ROWS_MAX)?.unwrap_or(ROWS));
    let session = find(reader, request.param("id"))?;
    let wanted = Wanted { from: from.map(count), at: at.map(Timestamp), limit };
    let Part { from, total, events } = part(reader, &session, &wanted).map_err(unreadable)?;
    let mut page = Page::new(reader);
    let mut shown = Vec::new();
    for event in &events {
        let content = page.content(event.source.as_ref()).map_err(unreadable)?;
        shown.push(Shown { event, content });
    }
    let next = from.saturating_add(shown.len());
    Answer::json(&Replay {
        session: summary_of(reader, &session)?,
        total_events: total,
        from,
        events: shown,
        next_from: (next < total).then_some(next),
        currency: CURRENCY,
    })
}

/// Which events are asked for.
struct Wanted {
    from: Option<usize>,
    at: Option<Timestamp>,
    limit: usize,
}

/// Some events of a session that has `total`, the first of them at position `from`.
struct Part {
    from: usize,
    total: usize,
    events: Vec<Event>,
}

fn part(reader: &Reader, session: &Session, wanted: &Wanted) -> Result<Part, StoreError> {
    if LongSession::is_one(session) {
        let long = LongSession::read(reader, session)?;
        let total = long.len();
        let from = wanted.at.map_or_else(|| wanted.from.unwrap_or(0).min(total), |at| long.at(at));
        return Ok(Part { from, total, events: long.events(reader, from, wanted.limit)? });
    }
    let all = events(&reader.units_of(session)?);
    let total = all.len();
    let at = |at| all.partition_point(|event| event.at < at);
    let from = wanted.at.map_or_else(|| wanted.from.unwrap_or(0).min(total), at);
    Ok(Part { from, total, events: all.into_iter().skip(from).take(wanted.limit).collect() })
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
