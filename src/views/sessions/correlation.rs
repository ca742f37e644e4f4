//! What the stream, the session file and the client's own account tell of one session, side by side.

use schemars::JsonSchema;
use serde::Serialize;

use super::account::{ClientAccount, Reason};
use super::clues::{Clues, SourceSums};
use crate::ledger::account::AccountSource;
use crate::ledger::money::Money;
use crate::ledger::run::Run;
use crate::ledger::session::Session;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;

/// What stream, session file and client tell of a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Correlation {
    /// Who tells of the session.
    pub sources: Sources,
    /// Rows of responses and results of calls, of turns of which a stream tells.
    pub events: EventsBySide,
    /// True if nothing of what one side lacks can come any more: every run of the session has ended, and its files are read.
    pub is_final: bool,
    /// How much later than on the stream rows stood in the session file, in seconds; `null` if nobody measured it, because
    /// they were not read while they came.
    pub delay_seconds: Option<Delays>,
    /// Tokens of responses of which only a stream tells the beginning: their output is known in part.
    pub provisional_tokens: Tokens,
    /// What was used, by who tells it.
    pub used: UsedBySource,
    /// The client's figures of the session so far, at most 100, the latest last; a fork includes what it inherited.
    pub client_reported: Vec<ClientFigure>,
    /// How many US dollars the client counted beyond what rows and streams show.
    pub unattributed_usd: String,
    /// Why the client's figure differs.
    pub reasons: Vec<Reason>,
    /// Ids of the runs that the session is in, the latest last.
    pub runs: Vec<String>,
}

/// Who tells of a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sources {
    pub file: bool,
    pub stream: bool,
}

/// How many events each side has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventsBySide {
    pub both: u64,
    pub only_stream: u64,
    pub only_file: u64,
}

/// Delays between stream and session file, in seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Delays {
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

/// What was used, by who tells it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsedBySource {
    /// By responses that have rows in a session file.
    pub file: Amount,
    /// By responses of which only a stream tells.
    pub stream: Amount,
    /// Beyond all responses, as the client's account tells of a session without a file.
    pub client: Amount,
}

/// Tokens, and their list price in US dollars.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Amount {
    pub tokens: Tokens,
    pub cost_usd: String,
}

/// A figure of the client.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClientFigure {
    /// `result` on a stream, or `cost-state` in the session file.
    pub source: &'static str,
    /// The cost of the session so far in US dollars.
    pub cost_usd: String,
    /// When the client told it, RFC 3339 UTC; for a `cost-state`, which has no time of its own, when the last row before it
    /// was written.
    pub at: Option<String>,
}

/// Most figures of the client that are told.
const FIGURES_MAX: usize = 100;

/// What is told of a session. `runs` are those that it is in.
#[must_use]
pub fn correlation(session: &Session, runs: &[Run], clues: &Clues, account: Option<&ClientAccount>) -> Correlation {
    let events = session.tally.events;
    let SourceSums { file, stream, client, provisional } = &clues.sources;
    let figures = session.accounts.iter().skip(session.accounts.len().saturating_sub(FIGURES_MAX));
    Correlation {
        sources: Sources { file: session.own_rows, stream: !session.runs.is_empty() },
        events: EventsBySide { both: events.both, only_stream: events.only_stream, only_file: events.only_file },
        is_final: runs.iter().all(|run| run.settled),
        delay_seconds: delays(session, runs),
        provisional_tokens: *provisional,
        used: UsedBySource { file: amount(file), stream: amount(stream), client: amount(client) },
        client_reported: figures
            .map(|figure| ClientFigure {
                source: match figure.source {
                    AccountSource::CostState => "cost-state",
                    AccountSource::Result { .. } => "result",
                },
                cost_usd: figure.cost.to_string(),
                at: match figure.source {
                    AccountSource::Result { at, .. } => told(at),
                    AccountSource::CostState => told(figure.after),
                },
            })
            .collect(),
        unattributed_usd: account.map_or_else(|| Money::ZERO.to_string(), |account| account.unattributed_usd.clone()),
        reasons: account.map(|account| account.reasons.clone()).unwrap_or_default(),
        runs: session.runs.iter().map(|run| run.0.to_string()).collect(),
    }
}

fn amount((tokens, cost): &(Tokens, Money)) -> Amount {
    Amount { tokens: *tokens, cost_usd: cost.to_string() }
}

fn told(at: Timestamp) -> Option<String> {
    (at != Timestamp::default()).then(|| at.to_rfc3339())
}

/// The delays that were measured in the runs of a session.
fn delays(session: &Session, runs: &[Run]) -> Option<Delays> {
    let told = || runs.iter().filter_map(|run| run.session(&session.id));
    let mut all: Vec<u32> = told().flat_map(|told| told.delays.iter().copied()).collect();
    all.sort_unstable();
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    // The nearest rank: at least so many of a hundred are not greater.
    let quantile = |per_cent: usize| all.get((all.len() * per_cent).div_ceil(100).saturating_sub(1)).copied();
    let max = told().map(|told| told.delay_max_ms).max()?;
    Some(Delays { p50: seconds(quantile(50)?), p95: seconds(quantile(95)?), max: seconds(max) })
}
