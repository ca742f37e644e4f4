//! `/api/v1/analytics/sessions/{id}/replay`: the events of a session with their text, page by page, and cursors that step
//! through them.
//!
//! ```text
//! told    events and states, as they are answered
//! find    events by their texts
//! text    the whole text of an event, range by range
//! files   the files that calls named, and their texts as the session knew them
//! cursor  moves a cursor
//! spot    where a cursor is, and where its steps lead
//! outline the session from afar, and one turn without its texts
//! forks   where sessions left each other
//! kept    what is kept in memory for all of this
//! ```
//!
//! A session is never in memory as a whole. Its reel says in which order its events came, and a page reads its own events
//! from the state and their texts from the session files.

pub mod cursor;
pub mod files;
mod find;
pub(in crate::http) mod forks;
pub mod kept;
pub mod outline;
mod spot;
pub mod text;
mod told;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use self::find::{Hits, Sought, find as find_texts};
use self::forks::{forks, left_source};
use self::kept::HasReplays;
use self::told::{Shown, Teller};
use crate::http::api::analytics::questions::{Moment, TimeOrDate};
use crate::http::api::content::ContentPage;
use crate::http::api::reel::Reel;
use crate::http::api::search::files::SearchError;
use crate::http::api::search::refusal;
use crate::http::api::sessions::{CURRENCY, ID, ROWS_MAX, find, summary_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Boolean, OneOf, Parameter, Text, Time, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Zone;
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::summary::SessionSummary;
use crate::views::text::find::query::Query;
use crate::views::transcripts::entry::ForkPlace;

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
const UNTIL: Parameter<Moment> = Parameter::query(
    "until",
    Moment,
    "Only events before this time; of a date, the whole day in UTC belongs to the range.",
);
const KIND: Parameter<OneOf<EventKind>> =
    Parameter::query("kind", OneOf(&EventKind::NAMES), "Only events of this kind.").several();
const AGENT: Parameter<Text> =
    Parameter::query("agent", Text, "Only events of the `main` thread, or of sub-agents with this id or of this type.")
        .several();
const QUERY: Parameter<Text> = Parameter::query(
    "q",
    Text,
    "Only events with a text that has this: words (all of them, in any order and case, also within longer words), \
     `\"exact phrases\"`, `-not`, `/regular expressions/`.",
);
const CONTEXT: Parameter<Boolean> =
    Parameter::query("context", Boolean, "Whether each event has the `state` of the session after it.").or("false");
const TEXT_BYTES: Parameter<Whole> = Parameter::query(
    "text_bytes",
    Whole::within(0, 65_536),
    "How many bytes of each text the page has at most; lists need only the beginnings.",
)
.or("65536");

/// How long a page with `q` looks for texts that match.
const PATIENCE: Duration = Duration::from_secs(1);

/// Description of [`replay`].
pub static REPLAY: Description = Description {
    summary: "Tells the events of a session in order, each with its text, page by page.",
    parameters: &[&ID, &FROM, &LIMIT, &AT, &UNTIL, &KIND, &AGENT, &QUERY, &CONTEXT, &TEXT_BYTES],
    answers: &[AnswerForm::json::<Replay>(
        "Replay",
        "The session, a page of its events with their texts, and the position at which the next page begins.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct Replay {
    session: SessionSummary,
    /// How many events the session has, whatever is asked for.
    total_events: usize,
    /// Where the page begins.
    from: usize,
    events: Vec<Shown>,
    /// The `from` of the next page; `null` on the last one. A page with `q` whose time was up may have no events and a next
    /// page all the same.
    next_from: Option<usize>,
    /// Where a fork left its source; `null` for what is no fork, and if nothing is known of the source.
    left_source: Option<ForkPlace>,
    /// The sessions that were forked from this one, at most 100, by where they left it.
    forks: Vec<ForkPlace>,
    currency: &'static str,
}

/// Which events are wanted.
struct Wanted<'r> {
    until: Option<Timestamp>,
    kinds: Vec<EventKind>,
    agents: Vec<&'r str>,
}

impl Wanted<'_> {
    /// Whether the event at a position is of a kind and an agent that are wanted.
    fn takes(&self, reel: &Reel, position: usize) -> bool {
        let Some(look) = reel.timeline.look(position) else { return false };
        let is_of_agent = || match reel.nesting.named(look.unit) {
            Some((id, of_type)) => self.agents.iter().any(|agent| *agent == id || Some(*agent) == of_type),
            None => self.agents.contains(&"main"),
        };
        (self.kinds.is_empty() || self.kinds.contains(&look.kind)) && (self.agents.is_empty() || is_of_agent())
    }

    /// The number of events before [`Wanted::until`].
    fn end(&self, reel: &Reel) -> usize {
        self.until.map_or(reel.timeline.len(), |until| reel.timeline.at(until))
    }
}

/// Answers with the events of a session from a position or a time on. Fails if a parameter is bad, there is no such
/// session, or the state cannot be read. Text that cannot be read is no error: its event says why.
pub fn replay<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let (from, at) = (request.given(&FROM)?, request.given(&AT)?);
    if from.is_some() && at.is_some() {
        return Err(Problem::bad_request("`from` and `at` exclude each other"));
    }
    let until = request.given(&UNTIL)?.map(|until| match until {
        TimeOrDate::Time(time) => Some(time),
        TimeOrDate::Date(day) => day.next().and_then(|day| Zone::UTC.midnight(day)),
    });
    let wanted = Wanted { until: until.flatten(), kinds: request.all(&KIND)?, agents: request.all(&AGENT)? };
    let query =
        request.given(&QUERY)?.map(|text| Query::parse(text).map_err(|mistake| refusal(&mistake))).transpose()?;
    let (limit, with_state) = (count(request.value(&LIMIT)?), request.value(&CONTEXT)?);
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let total = reel.timeline.len();
    let from = at.map_or_else(|| from.map_or(0, count).min(total), |at| reel.timeline.at(Timestamp(at)));
    let hits = page(context, &reel, (from, limit), (&wanted, query.as_ref()))?;
    let mut page =
        ContentPage::new(reader, &context.archive()).with_piece_bytes_max(count(request.value(&TEXT_BYTES)?));
    let mut events = Vec::with_capacity(hits.positions.len());
    for (event, state) in reel.events(reader, &hits.positions).map_err(unreadable)? {
        let content = page.content(event.source.as_ref()).map_err(unreadable)?;
        events.push((event, content, state));
    }
    // Names of files are read after the texts, so that the page has the same texts with states and without.
    let mut names = ContentPage::new(reader, &context.archive());
    let mut teller = Teller::new((reader, &reel), context.replays(), &mut names);
    let mut shown = Vec::with_capacity(events.len());
    for (event, content, state) in events {
        let state = if with_state { Some(teller.state(&state).map_err(unreadable)?) } else { None };
        shown.push(Shown { event, content, state });
    }
    Answer::json(&Replay {
        session: summary_of(reader, &session)?,
        total_events: total,
        from,
        events: shown,
        next_from: hits.next,
        left_source: left_source(context, &session)?,
        forks: forks(context, &session, &reel)?,
        currency: CURRENCY,
    })
}

/// The positions of the events of a page, and where the next one begins.
fn page<C: HasReplays>(
    context: &C,
    reel: &Reel,
    (from, limit): (usize, usize),
    (wanted, query): (&Wanted<'_>, Option<&Query>),
) -> Result<Hits, Problem> {
    let end = wanted.end(reel);
    if let Some(query) = query {
        let index = context.index();
        let sought = Sought { query, from, limit, patience: PATIENCE };
        let takes = |position| position < end && wanted.takes(reel, position);
        return find_texts((context.reader(), &context.archive(), index.get()), reel, &sought, takes)
            .map_err(unsearchable);
    }
    let mut taken = (from..end).filter(|position| wanted.takes(reel, *position));
    let positions = taken.by_ref().take(limit).collect();
    Ok(Hits { positions, next: taken.next() })
}

fn unsearchable(error: SearchError) -> Problem {
    match error {
        SearchError::Store(error) => unreadable(error),
        SearchError::Gone => Problem::internal(error.to_string()),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
