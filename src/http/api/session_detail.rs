//! One session with its parts. A session that is too long to be in memory is read unit by unit.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::analytics::cells::HasCells;
use crate::http::api::long_session::{LongSession, ToldSession, rows_max};
use crate::http::api::runaways::RunawayForm;
use crate::http::api::sessions::{CURRENCY, ID, find, source_of, summary_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::run::Run;
use crate::ledger::session::{Session, reported, statement};
use crate::ledger::unit::Unit;
use crate::store::StoreReader;
use crate::transcript::chunk::FileNumber;
use crate::transcript::record::PullRequest;
use crate::transcript::shown::shown;
use crate::views::sessions::account::{ClientAccount, client_account};
use crate::views::sessions::clues::Clues;
use crate::views::sessions::correlation::{Correlation, correlation};
use crate::views::sessions::events;
use crate::views::sessions::parts::{self, AgentSummary, SlowestSteps, TurnSummary};
use crate::views::sessions::summary::{
    FileCounts, ModelSummary, Part, SessionSummary, SummarySources, ToolDurations, ToolSummary,
};
use crate::views::traces::ids::TraceScope;
use crate::waiting::Wait;

/// Description of [`one`].
pub static ONE: Description = Description {
    summary: "Tells of one session, with its parts.",
    parameters: &[&ID],
    answers: &[AnswerForm::json::<Detailed>(
        "Session",
        "The session with its sums, models, tools, turns, sub-agents, traces, slowest steps and files.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct Detailed {
    session: SessionSummary,
    /// What it waits for now that a person has to give; `null` if for nothing, or if nothing tells.
    waiting: Option<Wait>,
    models: BTreeMap<Arc<str>, ModelSummary>,
    tools: BTreeMap<Arc<str>, ToolSummary>,
    unpriced_tokens: BTreeMap<Arc<str>, u64>,
    compactions: u64,
    api_errors: u64,
    lines_added: u64,
    lines_removed: u64,
    client_reported: Option<ClientAccount>,
    correlation: Correlation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pull_requests: Vec<PullRequestSummary>,
    turns: Vec<TurnSummary>,
    turns_omitted: usize,
    subagents: Vec<AgentSummary>,
    subagents_omitted: usize,
    trace_ids: Vec<String>,
    slowest_steps: SlowestSteps,
    files: Vec<FileSummary>,
    #[serde(skip_serializing_if = "is_none")]
    files_omitted: usize,
    /// What it does too fast at this moment; `null` if it does not run away.
    runaway: Option<RunawayForm>,
    currency: &'static str,
}

/// A pull request that a session made or worked on.
#[derive(Serialize, JsonSchema)]
struct PullRequestSummary {
    number: u64,
    /// The address without secrets.
    url: Arc<str>,
    /// The repository, as `owner/name`.
    repository: Option<Arc<str>>,
}

/// A file that holds rows of a session.
#[derive(Serialize, JsonSchema)]
struct FileSummary {
    /// The path without secrets and invisible letters.
    path: String,
    /// Bytes of the file that are counted.
    bytes_read: u64,
}

/// Answers with one session and its parts. Fails if there is no such session, if the beginning of its id is ambiguous,
/// or if the state cannot be read.
pub fn one<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let session = find(context, request.value(&ID)?)?;
    let runaway = RunawayForm::of(&session.id, &context.runaways());
    let waiting = context.waits().remove(&session.id);
    Answer::json(&Detailed { runaway, waiting, ..detail(reader, &session, context.span_rules().scope)? })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

fn detail(reader: &StoreReader, session: &Session, scope: TraceScope) -> Result<Detailed, Problem> {
    let mut told = if LongSession::is_one(session) {
        LongSession::read(reader, session).map_err(unreadable)?.told(reader).map_err(unreadable)?
    } else {
        told(&reader.units_of(session).map_err(unreadable)?)
    };
    if scope == TraceScope::Session {
        share_a_trace(&mut told, session);
    }
    let ToldSession { turns: (turns, turns_omitted), subagents: (subagents, subagents_omitted), .. } = told;
    let durations = RefCell::new(Some(told.durations));
    let durations = |_: &Session| durations.take().unwrap_or_default();
    let sources = SummarySources { session: &|_| None, durations: &durations };
    let sums = Part::of(iter::once(session), &sources, false).summary(FileCounts::default(), false);
    let runs = runs_of(reader, session)?;
    let client_reported = client_reported(reader, session, &told.clues, &runs)?;
    let files_omitted = told.files.len().saturating_sub(rows_max());
    let mut files = Vec::new();
    for number in told.files.into_iter().take(rows_max()) {
        files.extend(file_summary(reader, number)?);
    }
    Ok(Detailed {
        session: summary_of(reader, session)?,
        waiting: None,
        models: sums.models,
        tools: sums.tools,
        unpriced_tokens: sums.unpriced_tokens,
        compactions: sums.compactions,
        api_errors: sums.api_errors,
        lines_added: session.tally.lines_added,
        lines_removed: session.tally.lines_removed,
        correlation: correlation(session, &runs, &told.clues, client_reported.as_ref()),
        client_reported,
        pull_requests: pull_requests(session),
        trace_ids: told.trace_ids,
        turns,
        turns_omitted,
        subagents,
        subagents_omitted,
        slowest_steps: told.slowest_steps,
        files,
        files_omitted,
        runaway: None,
        currency: CURRENCY,
    })
}

/// The client's own account of a session beside ours; `None` if it wrote none.
pub(in crate::http::api) fn account_of(
    reader: &StoreReader,
    session: &Session,
) -> Result<Option<ClientAccount>, Problem> {
    let clues = if LongSession::is_one(session) {
        LongSession::read(reader, session).map_err(unreadable)?.clues()
    } else {
        let mut clues = Clues::default();
        reader.units_of(session).map_err(unreadable)?.iter().for_each(|unit| clues.add(unit));
        clues
    };
    client_reported(reader, session, &clues, &runs_of(reader, session)?)
}

/// The runs that a session is in.
fn runs_of(reader: &StoreReader, session: &Session) -> Result<Vec<Run>, Problem> {
    let runs = session.runs.iter().filter_map(|run| reader.run(*run).transpose());
    runs.collect::<Result<_, _>>().map_err(unreadable)
}

/// The client's own account beside ours; `None` if it wrote none.
fn client_reported(
    reader: &StoreReader,
    session: &Session,
    clues: &Clues,
    runs: &[Run],
) -> Result<Option<ClientAccount>, Problem> {
    let source = source_of(reader, session)?;
    let both = reported(session, source.as_ref()).zip(statement(session, source.as_ref()));
    Ok(both.map(|(reported, statement)| client_account(session, reported, statement, clues, runs)))
}

/// Replaces all trace ids of a session by that of the one trace that its spans share.
fn share_a_trace(told: &mut ToldSession, session: &Session) {
    let trace = TraceScope::of_session(&session.id).to_string();
    let turns = told.turns.0.iter_mut().map(|turn| &mut turn.trace_id);
    let agents = told.subagents.0.iter_mut().filter_map(|agent| agent.trace_id.as_mut());
    turns.chain(agents).for_each(|own| own.clone_from(&trace));
    told.trace_ids.truncate(1);
    told.trace_ids.iter_mut().for_each(|own| own.clone_from(&trace));
}

/// The lists of a session whose units are all in memory.
fn told(units: &[Unit]) -> ToldSession {
    let mut durations = ToolDurations::default();
    units.iter().for_each(|unit| durations.add(&unit.parts));
    let (mut files, mut clues) = (BTreeSet::new(), Clues::default());
    units.iter().for_each(|unit| clues.add(unit));
    units.iter().for_each(|unit| parts::files(unit, &unit.parts, &mut files));
    ToldSession {
        turns: bounded(parts::turns(units)),
        subagents: bounded(parts::agents(units)),
        trace_ids: bounded(parts::trace_ids(units)).0,
        slowest_steps: parts::slowest(&events::events(units)),
        files,
        durations,
        clues,
    }
}

/// The pull requests of a session, the latest last; at most [`crate::ledger::session::PULL_REQUESTS_MAX`] are kept.
fn pull_requests(session: &Session) -> Vec<PullRequestSummary> {
    let summary = |request: &PullRequest| PullRequestSummary {
        number: request.number,
        url: Arc::clone(&request.url),
        repository: request.repository.clone(),
    };
    session.pull_requests.iter().map(summary).collect()
}

/// The first [`rows_max`] rows, and how many further ones there are.
fn bounded<T>(mut rows: Vec<T>) -> (Vec<T>, usize) {
    let omitted = rows.len().saturating_sub(rows_max());
    rows.truncate(rows_max());
    (rows, omitted)
}

fn file_summary(reader: &StoreReader, number: FileNumber) -> Result<Option<FileSummary>, Problem> {
    let row = reader.file(number).map_err(unreadable)?;
    Ok(row.map(|row| FileSummary {
        path: shown(&String::from_utf8_lossy(&row.path)),
        bytes_read: row.cursor.map_or(0, |cursor| cursor.offset),
    }))
}
