//! `/api/v1/analytics/search`: texts that match, wherever they stand, read from the session files as these are now.
//!
//! ```text
//! question  what is asked for, and the order of what is found
//! walk      goes through sessions and events in that order
//! open      the events of one session
//! files     reads session files: lines that may match, rows of single events
//! known     which files hold the texts of a session
//! learn     finds that out
//! ```
//!
//! The state holds no text but titles, so of a file that is gone nothing else is found.

pub(super) mod files;
pub(super) mod known;
mod learn;
mod open;
mod question;
pub(super) mod walk;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use self::files::SearchError;
use self::question::{Listed, Place, SearchQuestion};
use self::walk::{Found, Page, Walk};
use crate::http::api::analytics::cells::{CellsNow, HasCells};
use crate::http::api::analytics::questions::{
    AGENT, BRANCH, ENTRYPOINT, MODEL, ORIGIN, PROJECT, ROWS_MAX, SESSION, SINCE, TOOL, TZ, UNTIL, WORKFLOW, filter_of,
};
use crate::http::api::page_address::page_address;
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::PageEnd;
use crate::http::route::parameter::{OneOf, Parameter, Text, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::ids::SessionId;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::index::TextMatch;
use crate::views::text::find::hint::Hint;
use crate::views::text::find::query::{Query, QueryMistake};
use crate::views::text::find::texts::TextKind;
use crate::views::traces::finish::SpanRules;

const QUERY: Parameter<Text> = Parameter::query(
    "q",
    Text,
    "What is looked for: words (all of them, in any order and case, also within longer words), `\"exact phrases\"`, \
     `-not`, `/regular expressions/`.",
)
.required();
const KIND: Parameter<OneOf<TextKind>> =
    Parameter::query("kind", OneOf(&TextKind::NAMES), "Only texts of this kind.").several();
const SORT: Parameter<OneOf<bool>> =
    Parameter::query("sort", OneOf(&[("newest", true), ("oldest", false)]), "What comes first.").or("newest");
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(1, ROWS_MAX), "How many texts a page has at most.").or("50");
const CURSOR: Parameter<Text> = Parameter::query(
    "cursor",
    Text,
    "Where the page begins: the `next_cursor` of an answer to the same question in the same order.",
);

/// Description of [`search`].
pub static SEARCH: Description = Description {
    summary: "Finds words in prompts, answers, thoughts, inputs and results of tools, and titles, page by page.",
    parameters: &[
        &QUERY,
        &KIND,
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
        &SORT,
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<SearchPage>(
        "SearchPage",
        "Texts that match, each with a snippet, how much was read for it, and where the next page begins.",
    )],
    refusal: PROBLEM,
};

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a search goes on before its page ends.
    pub page: Duration,
    /// How long the client waits for a whole answer. After that it is a stream.
    pub at_once: Duration,
    /// How often a stream sends white space, which JSON may begin with: a client that has gone is noticed by what cannot be
    /// sent to it.
    pub beat: Duration,
}

impl Patience {
    /// That of the API.
    pub const USUAL: Self =
        Self { page: Duration::from_secs(1), at_once: Duration::from_millis(100), beat: Duration::from_millis(50) };
    /// None: a page has time for one step.
    pub const NONE: Self = Self { page: Duration::ZERO, ..Self::USUAL };
    /// Without end.
    pub const ENDLESS: Self = Self { page: Duration::MAX, at_once: Duration::MAX, ..Self::USUAL };
}

/// A page of texts that match.
#[derive(Serialize, JsonSchema)]
struct SearchPage {
    hits: Vec<SearchHit>,
    /// Bytes of session files that were read for this page.
    searched_bytes: u64,
    /// Sessions that were looked through for this page; over all pages, each counts once.
    searched_sessions: u64,
    /// False if the time of a page was up before it was full: `next_cursor` goes on from there, with hits or without.
    /// And while the state is being made complete after an upgrade.
    complete: bool,
    /// How long the search took, in seconds.
    took_seconds: f64,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// A text that matches.
#[derive(Serialize, JsonSchema)]
struct SearchHit {
    #[schemars(with = "String")]
    session: SessionId,
    /// Position of the event in the replay of the session, from 0; `null` for a title.
    event: Option<usize>,
    /// The address of that event on the page of the session, or of that page.
    page: String,
    /// The turn, from 1; `null` for a title, before the first turn, and in sub-agents that no known call started.
    turn: Option<usize>,
    /// When it happened; of a title, when the session began.
    at: String,
    kind: TextKind,
    /// The tool of an input or a result.
    tool: Option<String>,
    /// `main`, or the type of the sub-agent; `null` for a title.
    agent: Option<String>,
    /// Text around the first match, at most 300 characters.
    snippet: String,
    /// Start and length of each match in the snippet, in characters.
    matches: Vec<[usize; 2]>,
    /// The project of the turn or sub-agent; of a title, that of the session.
    project: Option<String>,
    /// The title of the session.
    title: Option<String>,
}

/// Answers with a page of texts that match. Fails if a parameter is bad or the state cannot be read.
pub fn search<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    search_for(context, request, Patience::USUAL)
}

/// [`search`] with another patience.
pub fn search_for<C: HasCells>(context: &C, request: &Request, patience: Patience) -> Result<Answer, Problem> {
    let began = Instant::now();
    let (reader, archive, index) = (context.reader().clone(), context.archive(), context.index());
    let filter = filter_of(request, request.value(&TZ)?)?;
    let newest = request.value(&SORT)?;
    let order = format!("search/{newest}");
    let after = request.given(&CURSOR)?.map(|cursor| place_of(&order, cursor)).transpose()?;
    let query = Query::parse(request.value(&QUERY)?).map_err(|mistake| refusal(&mistake))?;
    let question = SearchQuestion {
        hint: Hint::of(&query),
        query,
        kinds: request.all(&KIND)?,
        models: filter.model.clone(),
        tools: filter.tool.clone(),
        window: filter.window,
        newest,
        limit: usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX),
        after,
        patience: patience.page.min(patience.at_once),
    };
    let cells = context.cells().now(&reader)?;
    let (known, sessions, all_known) = (cells.files(), listed(&cells, &filter), cells.is_complete());
    drop(cells);
    let page = Walk::new((&reader, &archive), (&known, index.get()), &question, &sessions, &mut || true)
        .page()
        .map_err(|error| match error {
            SearchError::Store(error) => unreadable(error),
            SearchError::Gone => Problem::internal(error.to_string()),
        })?;
    let told = Told { all_known, order, began, rules: context.span_rules().clone() };
    let Patience { page: whole, at_once, beat: every } = patience;
    if !page.cut_short || whole <= at_once {
        return Answer::json(&told.page(page));
    }
    let (limit, patience) = (question.limit - page.found.len(), whole - at_once);
    let rest = SearchQuestion { limit, after: page.next.clone(), patience, ..question };
    // As a stream, because only its writer learns that the client has gone.
    let answer = Answer::stream("application/json", move |sink| {
        let mut beat = Instant::now();
        let mut is_wanted = || {
            if beat.elapsed() < every {
                return true;
            }
            beat = Instant::now();
            sink.write_all(b"\n").and_then(|()| sink.flush()).is_ok()
        };
        let more = Walk::new((&reader, &archive), (&known, index.get()), &rest, &sessions, &mut is_wanted).page();
        let page = page.followed_by(more.map_err(io::Error::other)?);
        serde_json::to_writer(sink, &told.page(page)).map_err(io::Error::from)
    });
    Ok(answer?.as_it_is())
}

/// Learns which files hold the texts of each session, so that no search has to; nothing before the first question about
/// sessions, which loads what takes memory. `goes_on` is asked before each session.
/// Fails if the state cannot be read.
pub fn learn_files<C: HasCells>(context: &C, goes_on: &dyn Fn() -> bool) -> Result<(), Problem> {
    if !context.cells().are_loaded() {
        return Ok(());
    }
    let reader = context.reader();
    let cells = context.cells().now(reader)?;
    let (known, ids) = (cells.files(), cells.cube().sessions().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    drop(cells);
    ids.iter().take_while(|_| goes_on()).try_for_each(|id| learn::learn(&known, reader, id)).map_err(unreadable)
}

/// The sessions that may have texts that a filter takes.
fn listed(cells: &CellsNow<'_>, filter: &Filter) -> Vec<Arc<Listed>> {
    let cube = cells.cube();
    let wanted = TextMatch::of(filter, &cube.names);
    let listed = cube.sessions().filter_map(|(id, one)| {
        let entry = &one.entry;
        let first = entry.started?;
        Some(Arc::new(Listed {
            id: id.clone(),
            first,
            last: entry.ended.unwrap_or(first),
            title: entry.title.clone(),
            project: cube.names.shown(entry.project).map(Arc::clone),
            wanted: wanted.takes(&id.0, entry, &one.cells)?,
        }))
    });
    listed.collect()
}

fn place_of(order: &str, cursor: &str) -> Result<Place, Problem> {
    let PageEnd { key, id } = PageEnd::from_cursor(order, cursor)?;
    let takes = "the `next_cursor` of an answer to the same question";
    Place::read(key, &id).ok_or_else(|| Problem::bad_parameter("cursor", takes, cursor))
}

pub(super) fn refusal(mistake: &QueryMistake) -> Problem {
    let QueryMistake { column, reason } = mistake;
    Problem::bad_request(format!("`q` cannot be read at column {column}: {reason}"))
}

/// What an answer tells besides what was found.
struct Told {
    all_known: bool,
    /// The order, as cursors name it.
    order: String,
    began: Instant,
    /// They know where the pages are.
    rules: SpanRules,
}

impl Told {
    fn page(&self, page: Page) -> SearchPage {
        let next = page.next.map(|place| {
            let (key, id) = place.told();
            PageEnd { key, id }.to_cursor(&self.order)
        });
        SearchPage {
            hits: page.found.into_iter().map(|found| SearchHit::of(found, &self.rules)).collect(),
            searched_bytes: page.searched_bytes,
            searched_sessions: page.searched_sessions,
            complete: self.all_known && !page.cut_short,
            took_seconds: self.began.elapsed().as_secs_f64(),
            next_cursor: next,
        }
    }
}

impl SearchHit {
    fn of(found: Found, rules: &SpanRules) -> Self {
        let Found { listed, at, kind, snippet, of_event } = found;
        let own = of_event.as_ref();
        Self {
            session: listed.id.clone(),
            event: own.map(|own| own.event),
            page: page_address(rules, &listed.id.0, own.map(|own| own.event)),
            turn: own.and_then(|own| own.turn),
            at: at.to_rfc3339(),
            kind,
            tool: own.and_then(|own| own.tool.clone()),
            agent: own.map(|own| own.agent.clone()),
            snippet: snippet.text,
            matches: snippet.matches.into_iter().map(|(start, length)| [start, length]).collect(),
            project: match of_event {
                Some(own) => own.project,
                None => listed.project.as_deref().map(str::to_owned),
            },
            title: listed.title.as_deref().map(str::to_owned),
        }
    }
}
