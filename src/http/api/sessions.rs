//! `/api/v1/analytics/sessions` and `/api/v1/analytics/sessions/{id}`: the list, and one session with its parts.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::http::api::state::HasReader;
use crate::http::route::answer::Answer;
use crate::http::route::page::Place;
use crate::http::route::problem::Problem;
use crate::http::route::query::Query;
use crate::http::route::request::Request;
use crate::ledger::session::{Reported, Session, reported};
use crate::store::{Reader, StoreError};
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;
use crate::views::sessions::summary::{SessionSummary, session_summary};

/// The parameters of [`list`].
pub const LIST_PARAMETERS: &[&str] = &["project", "model", "since", "until", "sort", "order", "limit", "cursor"];

/// Rows of a page at most, and turns, sub-agents and traces of one session; the answer says how many more there are.
pub(in crate::http) const ROWS_MAX: u64 = 1000;

/// Rows of a page unless `limit` says otherwise.
pub(in crate::http) const ROWS: u64 = 100;

/// Currency of everything that ends in `_usd`.
pub(in crate::http) const CURRENCY: &str = "USD";

/// Shorter beginnings of an id are refused: they find another session every day.
const PREFIX_CHARS_MIN: usize = 4;

/// Sessions that a refusal of an ambiguous beginning names.
const CANDIDATES_MAX: usize = 5;

const DAY_MS: i64 = 86_400_000;

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
    ("started", Sort::Started),
    ("ended", Sort::Ended),
    ("cost", Sort::Cost),
    ("tokens", Sort::Tokens),
    ("messages", Sort::Messages),
    ("turns", Sort::Turns),
    ("duration", Sort::Duration),
];

impl Sort {
    /// What a session is sorted by at the time `now`. A time that is stamped in the future is none: a session with such
    /// an end has its place by its start, and one without a true time stands behind all others, or it would be the
    /// latest for ever.
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
struct Filter<'a> {
    project: Option<Project<'a>>,
    model: Option<&'a str>,
    /// Milliseconds since 1970-01-01 UTC; a session that ended at it is in.
    since: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC; a session that started at it is out.
    until: Option<i64>,
}

impl<'a> Filter<'a> {
    fn of(query: &'a Query) -> Result<Self, Problem> {
        let (since, until) = (query.time("since")?, until(query)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(Problem::bad_request("`since` must be before `until`"));
        }
        let project = query.text("project").map(|wanted| Project { wanted, known: HashMap::new() });
        Ok(Self { project, model: query.text("model"), since, until })
    }

    fn takes(&mut self, session: &Session) -> bool {
        let project = self.project.as_mut().is_none_or(|project| project.takes(session));
        let model = self.model.is_none_or(|model| session.tally.models.contains_key(model));
        let since = self.since.is_none_or(|since| session.ended().is_some_and(|ended| ended.0 >= since));
        let until = self.until.is_none_or(|until| session.started().is_some_and(|started| started.0 < until));
        session.is_real() && project && model && since && until
    }
}

/// A project by the name that the answers tell, which is the value of the label too.
struct Project<'a> {
    wanted: &'a str,
    /// Whether a name is told as the wanted one: many sessions have one project, and to look for secrets takes time.
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

/// `until` as a moment that is not included any more: of a date alone, the midnight after it.
fn until(query: &Query) -> Result<Option<i64>, Problem> {
    let date_alone = query.text("until").is_some_and(|text| !text.contains('T'));
    let time = query.time("until")?;
    Ok(time.map(|time| if date_alone { time.saturating_add(DAY_MS) } else { time }))
}

/// Sessions that the filters take, page by page.
///
/// # Errors
/// A parameter is bad, or the state cannot be read.
pub fn list<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct List {
        sessions: Vec<SessionSummary>,
        total: usize,
        next_cursor: Option<String>,
        currency: &'static str,
    }
    let (reader, now, query) = (context.reader(), context.now(), &request.query);
    let mut filter = Filter::of(query)?;
    let sort = query.choice("sort", &SORTS)?.unwrap_or(Sort::Ended);
    let ascending = query.choice("order", &[("asc", true), ("desc", false)])?.unwrap_or(false);
    let limit = usize::try_from(query.number("limit", 1..=ROWS_MAX)?.unwrap_or(ROWS)).unwrap_or(usize::MAX);
    let name = format!("sessions/{}/{ascending}", query.text("sort").unwrap_or("ended"));
    let after = query.text("cursor").map(|cursor| Place::from_cursor(&name, cursor)).transpose()?;

    let mut places = Vec::new();
    let take = |session: Session| {
        if filter.takes(&session) {
            places.push(Place { key: sort.key(&session, now), id: session.id.to_string() });
        }
    };
    reader.each_session(take).map_err(unreadable)?;
    let total = places.len();
    if ascending {
        places.sort()
    } else {
        places.sort_by(|a, b| b.cmp(a))
    }
    let behind = |place: &Place| match &after {
        Some(after) if ascending => place > after,
        Some(after) => place < after,
        None => true,
    };
    let first = places.iter().position(behind).unwrap_or(total);
    let page: Vec<&Place> = places.iter().skip(first).take(limit).collect();
    let more = first.saturating_add(page.len()) < total;
    let next_cursor = page.last().filter(|_| more).map(|place| place.to_cursor(&name));
    let mut sessions = Vec::with_capacity(page.len());
    for place in page {
        if let Some(session) = reader.session(&SessionId(place.id.as_str().into())).map_err(unreadable)? {
            sessions.push(summary_of(reader, &session)?);
        }
    }
    Answer::json(&List { sessions, total, next_cursor, currency: CURRENCY })
}

/// The line of a session in the list.
pub(in crate::http) fn summary_of(reader: &Reader, session: &Session) -> Result<SessionSummary, Problem> {
    Ok(session_summary(session, account_of(reader, session)?))
}

pub(in crate::http) fn account_of(reader: &Reader, session: &Session) -> Result<Option<Reported>, Problem> {
    let source = match &session.fork {
        Some(fork) => reader.session(&fork.from).map_err(unreadable)?,
        None => None,
    };
    Ok(reported(session, source.as_ref()))
}

/// The session of a whole id, or of the beginning of one that no other session shares.
pub(in crate::http) fn find(reader: &Reader, id: &str) -> Result<Session, Problem> {
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

/// What the client is told when the state fails; the operator finds the cause in the log.
pub(in crate::http) fn unreadable(error: StoreError) -> Problem {
    if matches!(error, StoreError::Closed) {
        return Problem::unavailable(error.to_string());
    }
    tracing::error!(error = &error as &dyn std::error::Error, "the state could not be read for an answer");
    Problem::internal(format!("the state cannot be read: {error}"))
}
