//! `/api/v1/analytics/sessions/{id}/replay`: the events of a session with their text, page by page.

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::analytics::cells::HasCells;
use crate::http::api::content::{ContentPage, EventContent};
use crate::http::api::long_session::LongSession;
use crate::http::api::sessions::{CURRENCY, ID, ROWS_MAX, find, summary_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Parameter, Time, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::session::Session;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::Timestamp;
use crate::views::sessions::event::Event;
use crate::views::sessions::events::events;
use crate::views::sessions::summary::SessionSummary;

const FROM: Parameter<Whole> = Parameter::query(
    "from",
    Whole::from(0),
    "The position of the first event; without it and `at`, the page begins with the first event of the session.",
);
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(1, ROWS_MAX), "How many events a page has at most.").or("100");
const AT: Parameter<Time> = Parameter::query(
    "at",
    Time,
    "The page begins with the first event at this time or later; a date is its first moment in UTC.",
);

/// Description of [`replay`].
pub static REPLAY: Description = Description {
    summary: "Tells the events of a session in order, each with its text, page by page.",
    parameters: &[&ID, &FROM, &LIMIT, &AT],
    answers: &[AnswerForm::json::<Replay<'static>>(
        "Replay",
        "The session, a page of its events with their texts, and the position at which the next page begins.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct Replay<'a> {
    session: SessionSummary,
    total_events: usize,
    from: usize,
    events: Vec<Shown<'a>>,
    next_from: Option<usize>,
    currency: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReplayEvent")]
struct Shown<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(flatten)]
    content: EventContent,
}

/// Answers with the events of a session from a position or a time on. Fails if a parameter is bad, there is no such
/// session, or the state cannot be read. Text that cannot be read is no error: its event says why.
pub fn replay<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let from = request.given(&FROM)?;
    let at = request.given(&AT)?;
    if from.is_some() && at.is_some() {
        return Err(Problem::bad_request("`from` and `at` exclude each other"));
    }
    let limit = count(request.value(&LIMIT)?);
    let session = find(context, request.value(&ID)?)?;
    let wanted = WantedEvents { from: from.map(count), at: at.map(Timestamp), limit };
    let ReplayPart { from, total, events } = part(reader, &session, &wanted).map_err(unreadable)?;
    let mut page = ContentPage::new(reader, &context.archive());
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

/// The events that are asked for.
struct WantedEvents {
    from: Option<usize>,
    at: Option<Timestamp>,
    limit: usize,
}

/// Some events of a session that has `total` events; the first of them is at position `from`.
struct ReplayPart {
    from: usize,
    total: usize,
    events: Vec<Event>,
}

fn part(reader: &StoreReader, session: &Session, wanted: &WantedEvents) -> Result<ReplayPart, StoreError> {
    if LongSession::is_one(session) {
        let long = LongSession::read(reader, session)?;
        let total = long.len();
        let from = wanted.at.map_or_else(|| wanted.from.unwrap_or(0).min(total), |at| long.at(at));
        return Ok(ReplayPart { from, total, events: long.events(reader, from, wanted.limit)? });
    }
    let all = events(&reader.units_of(session)?);
    let total = all.len();
    let at = |at| all.partition_point(|event| event.at < at);
    let from = wanted.at.map_or_else(|| wanted.from.unwrap_or(0).min(total), at);
    Ok(ReplayPart { from, total, events: all.into_iter().skip(from).take(wanted.limit).collect() })
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
