//! `/api/v1/analytics/sessions`: the list of sessions; and what routes of one session share with it.

use schemars::JsonSchema;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::http::api::analytics::cells::HasCells;
use crate::http::api::analytics::questions::{
    AGENT, BRANCH, ENTRYPOINT, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL, WORKFLOW, filter_of,
};
use crate::http::api::page_address::page_address;
use crate::http::api::runaways::{RunawayForm, tag_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::PageEnd;
use crate::http::route::parameter::{Name, OneOf, Parameter, ParameterKind, Schema, Text, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::money::Money;
use crate::ledger::session::{Reported, Session, reported};
use crate::store::StoreReader;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::index::{SessionEntry, SessionMatch, SessionQuestion};
use crate::views::sessions::summary::{SessionSummary, session_summary};
use crate::waiting::{Wait, WaitFor, Waits};

/// Most rows of a page, and most turns, sub-agents and traces in the answer about one session.
pub(in crate::http) const ROWS_MAX: u64 = 1000;

/// Which session is asked for.
pub(in crate::http) const ID: Parameter<Name> = Parameter::path(
    "id",
    Name { pattern: ".{4}" },
    "The id of a session, or its beginning: at least 4 characters that no other session's id begins with.",
);

const WORDS: Parameter<Text> =
    Parameter::query("q", Text, "Only sessions whose title has all of these words, in any order and case.");
const WAITING: Parameter<OneOf<Waiting>> = Parameter::query(
    "waiting",
    OneOf(&WAITING_WORDS),
    "Only sessions that wait for a person now: for anything, or for this.",
);
const MIN_COST: Parameter<Dollars> =
    Parameter::query("min_cost", Dollars, "Only sessions that spent at least so many US dollars at list prices.");
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
    parameters: &[
        &TZ,
        &SINCE,
        &UNTIL,
        &PROJECT,
        &BRANCH,
        &MODEL,
        &AGENT,
        &TOOL,
        &WORKFLOW,
        &ORIGIN,
        &SESSION,
        &ENTRYPOINT,
        &WORDS,
        &WAITING,
        &MIN_COST,
        &SORT,
        &ORDER,
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<SessionPage>(
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

/// What sessions of a list wait for; `None` stands for anything.
type Waiting = Option<WaitFor>;

const WAITING_WORDS: [(&str, Waiting); 5] = [
    ("any", None),
    (WaitFor::Permission.word(), Some(WaitFor::Permission)),
    (WaitFor::Question.word(), Some(WaitFor::Question)),
    (WaitFor::Idle.word(), Some(WaitFor::Idle)),
    (WaitFor::Unknown.word(), Some(WaitFor::Unknown)),
];

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
    fn key(self, session: &SessionEntry, now: Timestamp) -> i128 {
        let started = session.started.filter(|time| time.may_be(now)).unwrap_or_default();
        let ended = session.ended.filter(|time| time.may_be(now)).unwrap_or(started);
        match self {
            Self::Started => started.0.into(),
            Self::Ended => ended.0.into(),
            Self::Cost => session.cost.picousd(),
            Self::Tokens => session.tokens.into(),
            Self::Messages => session.messages.into(),
            Self::Turns => session.turns.into(),
            Self::Duration => ended.since_ms(started).into(),
        }
    }
}

/// The number that the list is sorted by if it is not asked for otherwise; it begins with the greatest.
pub(in crate::http) fn latest_first(session: &SessionEntry, now: Timestamp) -> i128 {
    Sort::Ended.key(session, now)
}

/// The largest amount that may be asked for, in US dollars.
const DOLLARS_MAX: u64 = 1_000_000_000;

/// An amount of money from 0 to [`DOLLARS_MAX`].
#[derive(Debug, Clone, Copy)]
struct Dollars;

impl ParameterKind for Dollars {
    type Value<'a> = Money;

    fn read(&self, text: &str) -> Option<Money> {
        let max = Money::parse_usd(&DOLLARS_MAX.to_string())?;
        Money::parse_usd(text).filter(|money| (Money::ZERO..=max).contains(money))
    }

    fn takes(&self) -> String {
        format!("an amount of US dollars (1.50), at most {DOLLARS_MAX}")
    }

    fn schema(&self) -> Schema {
        Schema::Dollars { max: DOLLARS_MAX }
    }
}

/// A page of sessions.
#[derive(Serialize, JsonSchema)]
struct SessionPage {
    sessions: Vec<ListedSession>,
    /// How many sessions there are on all pages.
    total: usize,
    /// False while sums are being made of a state that had none: then not all filters know all sessions.
    complete: bool,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
    /// Currency of every field whose name ends in `_usd`.
    currency: &'static str,
}

/// A session of the list.
#[derive(Serialize, JsonSchema)]
struct ListedSession {
    #[serde(flatten)]
    summary: SessionSummary,
    /// What it waits for now that a person has to give; `null` if for nothing, or if nothing tells.
    waiting: Option<Wait>,
    /// The address of its page.
    page: String,
    /// What it does too fast at this moment; `null` if it does not run away.
    runaway: Option<RunawayForm>,
}

/// Answers with a page of the sessions that match the filters. Fails if a parameter is bad or the state cannot be read.
pub fn list<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (reader, now) = (context.reader(), context.now());
    let filter = filter_of(request, request.value(&TZ)?)?;
    let question = SessionQuestion { filter, words: request.given(&WORDS)?, min_cost: request.given(&MIN_COST)? };
    let sort = request.value(&SORT)?;
    let ascending = request.value(&ORDER)?;
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let name = format!("sessions/{}/{ascending}", sort.word());
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(&name, cursor)).transpose()?;

    let (waits, waiting) = (context.waits(), request.given(&WAITING)?);

    let cells = context.cells().now(reader)?;
    // A wait or a runaway may begin and end without a commit.
    let runaways = context.runaways();
    let besides = format!("{}{}", tag_of(&runaways), tag_of_waits(&waits));
    if let Some(answer) = cells.not_modified(request, &besides) {
        return Ok(answer);
    }
    let cube = cells.cube();
    let wanted = SessionMatch::of(question, &cube.names);
    let is_waiting = |id: &SessionId| {
        let wait = || waits.get(id).is_some_and(|wait| waiting.flatten().is_none_or(|wanted| wait.waits_for == wanted));
        waiting.is_none() || wait()
    };
    let taken = cube
        .sessions()
        .filter(|(id, _)| is_waiting(id))
        .filter(|(id, one)| wanted.takes(&id.0, &one.entry, &one.cells.units));
    let mut places: Vec<(i128, &str)> = taken.map(|(id, one)| (sort.key(&one.entry, now), &*id.0)).collect();
    let total = places.len();
    let in_order = |a: &(i128, &str), b: &(i128, &str)| if ascending { a.cmp(b) } else { b.cmp(a) };
    if let Some(after) = &after {
        places.retain(|place| in_order(place, &(after.key, &after.id)).is_gt());
    }
    let more = places.len() > limit;
    if more {
        // Only the page is sorted, not everything behind it.
        places.select_nth_unstable_by(limit, in_order);
        places.truncate(limit);
    }
    places.sort_unstable_by(in_order);
    let end = places.last().filter(|_| more);
    let next_cursor = end.map(|(key, id)| PageEnd { key: *key, id: (*id).to_owned() }.to_cursor(&name));
    let mut sessions = Vec::with_capacity(places.len());
    for (_, id) in places {
        if let Some(session) = reader.session(&SessionId(id.into())).map_err(unreadable)? {
            let page = page_address(context.span_rules(), &session.id.0, None);
            let runaway = RunawayForm::of(&session.id, &runaways);
            let waiting = waits.get(&session.id).cloned();
            sessions.push(ListedSession { summary: summary_of(reader, &session)?, waiting, page, runaway });
        }
    }
    let page = SessionPage { sessions, total, complete: cells.is_complete(), next_cursor, currency: CURRENCY };
    Ok(cells.tagged(Answer::json(&page)?, &besides))
}

/// What of an entity tag depends on the sessions that wait: the same as long as they wait for the same.
fn tag_of_waits(waits: &Waits) -> String {
    let mut hash = Xxh3Default::new();
    for (session, wait) in waits {
        hash.update(format!("{}\0{}\0{}\0", session.0, wait.waits_for.word(), wait.since.0).as_bytes());
        hash.update(wait.tool.as_deref().unwrap_or_default().as_bytes());
    }
    if waits.is_empty() { String::new() } else { format!("-{:x}", hash.digest()) }
}

/// The summary of a session, as it is in the list.
pub(in crate::http) fn summary_of(reader: &StoreReader, session: &Session) -> Result<SessionSummary, Problem> {
    Ok(session_summary(session, account_of(reader, session)?))
}

fn account_of(reader: &StoreReader, session: &Session) -> Result<Option<Reported>, Problem> {
    Ok(reported(session, source_of(reader, session)?.as_ref()))
}

/// The session that a session was forked from; `None` if it was not, or if nothing is known of the other.
pub(in crate::http) fn source_of(reader: &StoreReader, session: &Session) -> Result<Option<Session>, Problem> {
    session.fork.as_ref().map_or(Ok(None), |fork| reader.source(&fork.from)).map_err(unreadable)
}

/// The session with this id, or the only session whose id begins with it. Fails if there is none, or more than one.
pub(in crate::http) fn find<C: HasCells>(context: &C, id: &str) -> Result<Session, Problem> {
    let reader = context.reader();
    if let Some(session) = reader.session(&SessionId(id.into())).map_err(unreadable)?.filter(Session::is_real) {
        return Ok(session);
    }
    if id.chars().count() < PREFIX_CHARS_MIN {
        let takes = format!("a session id or at least its first {PREFIX_CHARS_MIN} characters");
        return Err(Problem::bad_parameter("id", &takes, id));
    }
    let cells = context.cells().now(reader)?;
    let begins = cells.cube().sessions().filter(|(known, one)| one.entry.is_real && known.0.starts_with(id));
    let mut ids: Vec<&SessionId> = begins.map(|(known, _)| known).collect();
    let missing = || Problem::not_found(&format!("session {id}"));
    match ids.as_slice() {
        [] => Err(missing()),
        [one] => reader.session(one).map_err(unreadable)?.ok_or_else(missing),
        _ => {
            ids.sort();
            let named: Vec<&str> = ids.iter().take(CANDIDATES_MAX).map(|id| &*id.0).collect();
            let count = ids.len();
            Err(Problem::bad_request(format!("{count} sessions begin with `{id}`: {}", named.join(", "))))
        }
    }
}
