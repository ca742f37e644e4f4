//! `/api/v1/analytics/runs/{id}`: one run with its sessions and turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::forms::{Known, RunForm, shared};
use crate::http::api::analytics::cells::{CellsNow, HasCells};
use crate::http::api::session_detail::account_of;
use crate::http::api::sessions::{CURRENCY, ROWS_MAX};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Name, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::money::Money;
use crate::ledger::run::{Run, RunSession, Spent};
use crate::transcript::ids::RowId;
use crate::transcript::shown::{shown, shown_name};
use crate::transcript::stream::RunId;
use crate::transcript::time::seconds;
use crate::views::analytics::runs::{RunIndex, RunTurn, turns_of};
use crate::views::sessions::account::Reason;
use crate::views::traces::ids::trace_of;

const ID: Parameter<Name> = Parameter::path(
    "id",
    Name { pattern: ".{4}" },
    "The id of a run, or its beginning: at least 4 characters that no other run's id begins with.",
);

/// Shortest beginning of an id that is accepted, in characters.
const PREFIX_CHARS_MIN: usize = 4;

/// Most sessions of a run that are told one by one, and whose accounts are looked at.
const SESSIONS_MAX: usize = 100;

/// Description of [`answer`].
pub static RUN: Description = Description {
    summary: "Tells of one run, with its sessions and turns.",
    parameters: &[&ID],
    answers: &[AnswerForm::json::<RunDetail>(
        "Run",
        "The run with its outcome, its cost beside the client's, its sessions and its turns.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct RunDetail {
    #[serde(flatten)]
    run: RunForm,
    /// Its sessions in the order in which they came, the first 100.
    session_list: Vec<SessionForm>,
    /// Its turns in order, session by session.
    turn_list: Vec<TurnForm>,
    /// How many further turns there are.
    turns_omitted: usize,
    /// Why the client counted more or less in its sessions than is known of them, as far as is known; empty if it did not.
    reasons: Vec<SessionReasons>,
    /// Currency of every field whose name ends in `_usd`.
    currency: &'static str,
}

/// What a session was in the run.
#[derive(Serialize, JsonSchema)]
struct SessionForm {
    /// Its id.
    session: Arc<str>,
    /// The folder in which it was started, without secrets; `null` if the stream does not tell.
    cwd: Option<String>,
    /// Version of the client; `null` if the stream does not tell.
    client_version: Option<Arc<str>>,
    /// When its first line arrived.
    started_at: String,
    /// The last word of the client for how it went: `success`, `error_max_turns`, ...; `null` if it told no result.
    result: Option<Arc<str>>,
    /// How many results the client told.
    results: usize,
    /// How often the model was asked, as the client counts.
    requests: u64,
    /// How long its turns took together, as the client counts, in seconds.
    worked_seconds: f64,
    /// List price of what it spent in the run; of a session that ended for its age nothing is known any more.
    cost_usd: String,
    /// What the client counted in the run; `null` if it told no result.
    client_reported_usd: Option<String>,
    /// What the client counted beyond the list price, never negative; `null` if it told no result, or if the session ended for
    /// its age, so that nobody knows what it spent.
    unattributed_usd: Option<String>,
    /// What the client counted for each model.
    models: BTreeMap<Arc<str>, ModelForm>,
}

/// What the client counted for a model.
#[derive(Serialize, JsonSchema)]
struct ModelForm {
    /// Its cost.
    cost_usd: String,
    /// Prompt tokens that were neither read from nor written to the cache.
    input: u64,
    /// Generated tokens.
    output: u64,
    /// Prompt tokens read from the cache.
    cache_read: u64,
    /// Prompt tokens written to the cache for 5 minutes.
    cache_write_5m: u64,
    /// Prompt tokens written to the cache for 1 hour.
    cache_write_1h: u64,
    /// Web searches that the API ran.
    web_searches: u64,
}

/// A turn of the run.
#[derive(Serialize, JsonSchema)]
struct TurnForm {
    /// Its session.
    session: Arc<str>,
    /// Its position in the session, from 1.
    turn: usize,
    /// The trace of its spans, 32 hexadecimal digits.
    trace_id: String,
    /// Time of the prompt.
    started_at: String,
    /// Seconds from prompt to end; `null` while it is open.
    duration_seconds: Option<f64>,
    /// Distinct responses, those of sub-agents included.
    messages: u64,
    /// List price, sub-agents included.
    cost_usd: String,
}

/// Why the client's account of a session differs.
#[derive(Serialize, JsonSchema)]
struct SessionReasons {
    /// The session.
    session: Arc<str>,
    /// Why, also of what it spent outside the run.
    reasons: Vec<Reason>,
}

/// Answers with one run. Fails if there is no such run or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let text = request.value(&ID)?;
    let (reader, cells) = (context.reader(), context.cells().now(context.reader())?);
    let index = &cells.cube().runs;
    let id = find(index, text)?;
    let run = reader.run(id).map_err(unreadable)?.zip(index.get(id));
    let (run, entry) = run.ok_or_else(|| Problem::not_found(&format!("run {text}")))?;
    if let Some(answer) = cells.not_modified(request, "") {
        return Ok(answer);
    }
    let (sums, costs) = (index.sums(id), index.costs(id));
    let session_list: Vec<SessionForm> =
        run.sessions.iter().take(SESSIONS_MAX).map(|session| session_form(&cells, id, session)).collect();
    let (turn_list, turns_omitted) = turns(context, &cells, &run)?;
    let detail = RunDetail {
        reasons: if costs.client.is_some_and(|client| client != costs.ours) {
            reasons(context, &cells, &run)?
        } else {
            Vec::new()
        },
        run: RunForm::of(&Known { run: &run, entry, sums: &sums, costs }, &cells.cube().names),
        session_list,
        turn_list,
        turns_omitted,
        currency: CURRENCY,
    };
    Ok(cells.tagged(Answer::json(&detail)?, ""))
}

/// The run with this id, or the only run whose id begins with it. Fails if there is none, or more than one.
fn find(index: &RunIndex, text: &str) -> Result<RunId, Problem> {
    let id = RunId(RowId::of(text));
    if index.get(id).is_some() || text.len() < PREFIX_CHARS_MIN {
        return Ok(id);
    }
    match index.beginning_with(text).as_slice() {
        [] => Err(Problem::not_found(&format!("run {text}"))),
        [one] => Ok(*one),
        several => Err(Problem::bad_request(format!("{} runs begin with `{text}`", several.len()))),
    }
}

/// List price of what a session spent in a run.
fn spent(cells: &CellsNow<'_>, id: RunId, session: &RunSession) -> Money {
    cells.cube().runs.sums_in(id, &session.id).map_or(Money::ZERO, |sums| sums.spent.cost)
}

fn session_form(cells: &CellsNow<'_>, id: RunId, session: &RunSession) -> SessionForm {
    let (ours, client) = (spent(cells, id, session), session.last.as_ref().map(|_| session.cost()));
    let is_known = cells.cube().runs.knows(id, &session.id);
    let model = |(name, told): (&Arc<str>, &Spent)| {
        let Spent { cost, input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = *told;
        let cost_usd = cost.to_string();
        let form = ModelForm { cost_usd, input, output, cache_read, cache_write_5m, cache_write_1h, web_searches };
        (Arc::<str>::from(shown_name(name)), form)
    };
    SessionForm {
        session: shared(&session.id),
        cwd: session.cwd.as_deref().map(shown),
        client_version: session.version.as_deref().map(|version| shown_name(version).into()),
        started_at: session.first.to_rfc3339(),
        result: session.last.as_ref().map(|last| shown_name(&last.subtype).into()),
        results: session.results.len(),
        requests: session.asked,
        worked_seconds: seconds(session.worked_ms),
        cost_usd: ours.to_string(),
        client_reported_usd: client.map(|client| client.to_string()),
        unattributed_usd: client.filter(|_| is_known).map(|client| (client - ours).max(Money::ZERO).to_string()),
        models: session.counted().iter().map(model).collect(),
    }
}

/// The turns of a run, and how many there are beyond the most that are told.
fn turns<C: HasCells>(context: &C, cells: &CellsNow<'_>, run: &Run) -> Result<(Vec<TurnForm>, usize), Problem> {
    let rows_max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let (mut forms, mut omitted) = (Vec::new(), 0);
    for session in &run.sessions {
        let Some(of_session) = cells.cube().session(&session.id) else { continue };
        for RunTurn { number, unit, at, took_ms, messages, cost } in turns_of(&of_session.cells, run.id) {
            if forms.len() >= rows_max {
                omitted += 1;
                continue;
            }
            let Some(unit) = context.reader().unit(unit).map_err(unreadable)? else { continue };
            forms.push(TurnForm {
                session: shared(&session.id),
                turn: number,
                trace_id: context.span_rules().scope.trace(&session.id, trace_of(&unit)).to_string(),
                started_at: at.to_rfc3339(),
                duration_seconds: took_ms.map(seconds),
                messages,
                cost_usd: cost.to_string(),
            });
        }
    }
    Ok((forms, omitted))
}

/// Why the client's accounts of the sessions differ.
fn reasons<C: HasCells>(context: &C, cells: &CellsNow<'_>, run: &Run) -> Result<Vec<SessionReasons>, Problem> {
    let mut all = Vec::new();
    for session in run.sessions.iter().take(SESSIONS_MAX) {
        if session.last.is_none() || session.cost() == spent(cells, run.id, session) {
            continue;
        }
        let Some(known) = context.reader().session(&session.id).map_err(unreadable)? else { continue };
        let Some(account) = account_of(context.reader(), &known)?.filter(|account| !account.reasons.is_empty()) else {
            continue;
        };
        all.push(SessionReasons { session: shared(&session.id), reasons: account.reasons });
    }
    Ok(all)
}
