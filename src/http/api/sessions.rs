//! `/api/v1/analytics/sessions`: the list of sessions; and what routes of one session share with it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::http::api::state::HasReader;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::PageEnd;
use crate::http::route::parameter::{OneOf, Parameter, Text, Time, Until, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::session::{Reported, Session, reported};
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;
use crate::views::sessions::summary::{SessionSummary, session_summary};

/// Most rows of a page, and most turns, sub-agents and traces in the answer about one session.
pub(in crate::http) const ROWS_MAX: u64 = 1000;

/// Which session is asked for.
pub(in crate::http) const ID: Parameter<Text> = Parameter::path(
    "id",
    Text,
    "The id of a session, or its beginning: at least 4 characters that no other session's id begins with.",
);

const PROJECT: Parameter<Text> =
    Parameter::query("project", Text, "Only sessions of the project with this name, as the answers tell it.");
const MODEL: Parameter<Text> =
    Parameter::query("model", Text, "Only sessions in which this model, by its canonical name, has answered.");
const SINCE: Parameter<Time> = Parameter::query(
    "since",
    Time,
    "Only sessions that ended at this time or later; a date is its first moment in UTC.",
);
const UNTIL: Parameter<Until> = Parameter::query(
    "until",
    Until,
    "Only sessions that started before this time; of a date, the whole day in UTC belongs to the range.",
);
const SORT: Parameter<OneOf<Sort>> =
    Parameter::query("sort", OneOf(&SORTS), "What the list is sorted by; sessions that are equal in it by their ids.")
        .or("ended");
const ORDER: Parameter<OneOf<bool>> = Parameter::query(
    "order",
    OneOf(&[("asc", true), ("desc", false)]),
    "Whether the list begins with the least of what it is sorted by, or with the most.",
)
.or("desc");
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(1, ROWS_MAX), "How many sessions a page has at most.").or("100");
const CURSOR: Parameter<Text> = Parameter::query(
    "cursor",
    Text,
    "Where the page begins: the `next_cursor` of an answer with the same `sort` and `order`.",
);

/// Description of [`list`].
pub static LIST: Description = Description {
    summary: "Lists sessions, page by page.",
    parameters: &[&PROJECT, &MODEL, &SINCE, &UNTIL, &SORT, &ORDER, &LIMIT, &CURSOR],
    answers: &[AnswerForm::json(
        "SessionList",
        "A page of sessions with their sums, how many there are in all, and where the next page begins.",
    )],
    refusal: PROBLEM,
};

/// Currency of every field whose name ends in `_usd`.
pub(in crate::http) const CURRENCY: &str = "USD";

/// Shortest beginning of an id that is accepted, in characters: a shorter one may find another session tomorrow.
const PREFIX_CHARS_MIN: usize = 4;

/// Most sessions that a refusal of an ambiguous beginning names.
const CANDIDATES_MAX: usize = 5;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy)]
enum Sort {
    Started,
    Ended,
    Cost,
    Tokens,
    Messages,
    Turns,
    Duration,
}

const SORTS: [(&str, Sort); 7] = [
    (Sort::Started.word(), Sort::Started),
    (Sort::Ended.word(), Sort::Ended),
    (Sort::Cost.word(), Sort::Cost),
    (Sort::Tokens.word(), Sort::Tokens),
    (Sort::Messages.word(), Sort::Messages),
    (Sort::Turns.word(), Sort::Turns),
    (Sort::Duration.word(), Sort::Duration),
];

impl Sort {
    const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::Messages => "messages",
            Self::Turns => "turns",
            Self::Duration => "duration",
        }
    }

    /// The number that a session is sorted by at the time `now`. A time that is stamped in the future counts as none,
    /// or its session would be the latest for ever: such an end is replaced by the start, and a session without any
    /// valid time is the earliest of all.
    fn key(self, session: &Session, now: Timestamp) -> i128 {
        let started = session.started().filter(|time| time.may_be(now)).unwrap_or_default();
        let ended = session.ended().filter(|time| time.may_be(now)).unwrap_or(started);
        match self {
            Self::Started => started.0.into(),
            Self::Ended => ended.0.into(),
            Self::Cost => session.tally.cost().picousd(),
            Self::Tokens => session.tally.tokens().total().into(),
            Self::Messages => session.tally.messages().into(),
            Self::Turns => session.tally.turns.into(),
            Self::Duration => ended.since_ms(started).into(),
        }
    }
}

/// Which sessions are listed.
struct SessionFilter<'a> {
    project: Option<Project<'a>>,
    model: Option<&'a str>,
    /// Sessions that ended at this time or later match. Milliseconds since 1970-01-01 UTC.
    since: Option<i64>,
    /// Sessions that started before this time match. Milliseconds since 1970-01-01 UTC.
    until: Option<i64>,
}

impl<'a> SessionFilter<'a> {
    fn of(request: &'a Request) -> Result<Self, Problem> {
        let (since, until) = (request.given(&SINCE)?, request.given(&UNTIL)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(Problem::bad_request("`since` must be before `until`"));
        }
        let project = request.given(&PROJECT)?.map(|wanted| Project { wanted, known: HashMap::new() });
        Ok(Self { project, model: request.given(&MODEL)?, since, until })
    }

    fn takes(&mut self, session: &Session) -> bool {
        let project = self.project.as_mut().is_none_or(|project| project.takes(session));
        let model = self.model.is_none_or(|model| session.tally.models.contains_key(model));
        let since = self.since.is_none_or(|since| session.ended().is_some_and(|ended| ended.0 >= since));
        let until = self.until.is_none_or(|until| session.started().is_some_and(|started| started.0 < until));
        session.is_real() && project && model && since && until
    }
}

/// The wanted project, by its name as answers and labels show it.
struct Project<'a> {
    wanted: &'a str,
    /// Whether a stored name is shown as the wanted one. It is kept because many sessions have the same project, and
    /// the search for secrets in a name takes time.
    known: HashMap<Box<str>, bool>,
}

impl Project<'_> {
    fn takes(&mut self, session: &Session) -> bool {
        let Some(name) = session.project() else { return false };
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let is_wanted = shown_name(name) == self.wanted;
        self.known.insert(name.into(), is_wanted);
        is_wanted
    }
}

/// Answers with a page of the sessions that match the filters. Fails if a parameter is bad or the state cannot be read.
pub fn list<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct SessionPage {
        sessions: Vec<SessionSummary>,
        total: usize,
        next_cursor: Option<String>,
        currency: &'static str,
    }
    let (reader, now) = (context.reader(), context.now());
    let mut filter = SessionFilter::of(request)?;
    let sort = request.value(&SORT)?;
    let ascending = request.value(&ORDER)?;
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let name = format!("sessions/{}/{ascending}", sort.word());
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(&name, cursor)).transpose()?;

    let mut places = Vec::new();
    let take = |session: Session| {
        if filter.takes(&session) {
            places.push(PageEnd { key: sort.key(&session, now), id: session.id.to_string() });
        }
    };
    reader.each_session(take).map_err(unreadable)?;
    let total = places.len();
    if ascending {
        places.sort()
    } else {
        places.sort_by(|a, b| b.cmp(a))
    }
    let behind = |place: &PageEnd| match &after {
        Some(after) if ascending => place > after,
        Some(after) => place < after,
        None => true,
    };
    let first = places.iter().position(behind).unwrap_or(total);
    let page: Vec<&PageEnd> = places.iter().skip(first).take(limit).collect();
    let more = first.saturating_add(page.len()) < total;
    let next_cursor = page.last().filter(|_| more).map(|place| place.to_cursor(&name));
    let mut sessions = Vec::with_capacity(page.len());
    for place in page {
        if let Some(session) = reader.session(&SessionId(place.id.as_str().into())).map_err(unreadable)? {
            sessions.push(summary_of(reader, &session)?);
        }
    }
    Answer::json(&SessionPage { sessions, total, next_cursor, currency: CURRENCY })
}

/// The summary of a session, as it is in the list.
pub(in crate::http) fn summary_of(reader: &StoreReader, session: &Session) -> Result<SessionSummary, Problem> {
    Ok(session_summary(session, account_of(reader, session)?))
}

pub(in crate::http) fn account_of(reader: &StoreReader, session: &Session) -> Result<Option<Reported>, Problem> {
    let source = match &session.fork {
        Some(fork) => reader.session(&fork.from).map_err(unreadable)?,
        None => None,
    };
    Ok(reported(session, source.as_ref()))
}

/// The session with this id, or the only session whose id begins with it. Fails if there is none, or more than one.
pub(in crate::http) fn find(reader: &StoreReader, id: &str) -> Result<Session, Problem> {
    if let Some(session) = reader.session(&SessionId(id.into())).map_err(unreadable)?.filter(Session::is_real) {
        return Ok(session);
    }
    if id.chars().count() < PREFIX_CHARS_MIN {
        let takes = format!("a session id or at least its first {PREFIX_CHARS_MIN} characters");
        return Err(Problem::bad_parameter("id", &takes, id));
    }
    let mut ids = Vec::new();
    let mut found = None;
    let take = |session: Session| {
        if session.is_real() && session.id.0.starts_with(id) {
            ids.push(Arc::clone(&session.id.0));
            found = Some(session);
        }
    };
    reader.each_session(take).map_err(unreadable)?;
    match found {
        Some(session) if ids.len() == 1 => Ok(session),
        None => Err(Problem::not_found(&format!("session {id}"))),
        Some(_) => {
            ids.sort();
            let named: Vec<&str> = ids.iter().take(CANDIDATES_MAX).map(|id| &**id).collect();
            let count = ids.len();
            Err(Problem::bad_request(format!("{count} sessions begin with `{id}`: {}", named.join(", "))))
        }
    }
}

/// The problem that a client gets when the state cannot be read; the cause is logged.
pub(in crate::http) fn unreadable(error: StoreError) -> Problem {
    if matches!(error, StoreError::Closed) {
        return Problem::unavailable(error.to_string());
    }
    tracing::error!(error = &error as &dyn std::error::Error, "the state could not be read for an answer");
    Problem::internal(format!("the state cannot be read: {error}"))
}
