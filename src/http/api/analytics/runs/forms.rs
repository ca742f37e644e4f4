//! A run, as every answer tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::analytics::cells::CellsNow;
use crate::http::api::state::unreadable;
use crate::http::route::problem::Problem;
use crate::ledger::money::Money;
use crate::ledger::run::Run;
use crate::ledger::tokens::Tokens;
use crate::store::StoreReader;
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown_name;
use crate::transcript::stream::RunId;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::names::Names;
use crate::views::analytics::runs::{RunCalls, RunCosts, RunEntry, RunSums};

/// A run: one process of the client whose stream was passed on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunForm {
    /// Its id.
    run: String,
    /// The workflow that it belongs to; `null` without a name.
    workflow: Option<Arc<str>>,
    /// The labels that its caller gave it.
    labels: BTreeMap<Arc<str>, Arc<str>>,
    /// The project in which its first session was started; `null` if the stream does not tell.
    project: Option<Arc<str>>,
    /// How it ended: `success`, `error_max_turns`, `error_during_execution`, `api_error`, `interrupted` or `killed`; `running`
    /// while it goes on. Of several results the last one counts.
    outcome: &'static str,
    /// The client's own word for it, such as `completed`, `max_turns`, `budget_exhausted`, `aborted_tools`; `null` if it told
    /// no result.
    exit_reason: Option<Arc<str>>,
    /// When it began.
    started_at: String,
    /// When it ended; `null` while its stream is open, even if a result told the outcome.
    ended_at: Option<String>,
    /// How long it took, in seconds; of one that goes on, up to its last line.
    duration_seconds: f64,
    /// Its first session; `null` if it had none.
    session: Option<Arc<str>>,
    /// All of its sessions: `/clear` begins a further one.
    sessions: Vec<Arc<str>>,
    /// Turns.
    turns: u64,
    /// Distinct responses, those of sub-agents included.
    messages: u64,
    /// Billed tokens.
    tokens: Tokens,
    /// List price of what it spent; of a session that ended for its age nothing is known any more.
    cost_usd: String,
    /// Tokens without a known price.
    unpriced_tokens: u64,
    /// What the client counted; `null` if it told no result.
    client_reported_usd: Option<String>,
    /// What the client counted beyond the list price, session by session, never negative; `null` if it told no result of a
    /// session that has not ended for its age.
    unattributed_usd: Option<String>,
    /// Tool calls, by tool.
    tools: BTreeMap<Arc<str>, CallsForm>,
    /// Lines of its stream that were lost for want of room, before they reached the sidecar.
    lost_lines: u64,
    /// Length of the last line of its stream, if that was cut.
    torn_bytes: u64,
    /// The span within which its caller called it, as W3C `traceparent`; `null` if it told none.
    traceparent: Option<Arc<str>>,
}

/// Calls of one tool.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct CallsForm {
    /// Calls in all.
    calls: u64,
    /// Those that failed.
    failed: u64,
    /// Those that were refused.
    denied: u64,
    /// Those that were interrupted.
    interrupted: u64,
}

/// What is known of a run.
pub(super) struct Known<'r> {
    /// As it is stored.
    pub(super) run: &'r Run,
    /// As lists know it.
    pub(super) entry: &'r RunEntry,
    /// What it spent.
    pub(super) sums: &'r RunSums,
    /// The same beside what the client counted.
    pub(super) costs: RunCosts,
}

impl RunForm {
    pub(super) fn of(known: &Known<'_>, names: &Names) -> Self {
        let Known { run, entry, sums, costs } = known;
        let sessions: Vec<Arc<str>> = run.sessions.iter().map(|session| shared(&session.id)).collect();
        let told = costs.client.map(|client| client.to_string());
        Self {
            run: run.id.0.to_string(),
            workflow: entry.workflow.clone(),
            labels: entry.labels.clone(),
            project: entry.project.clone(),
            outcome: entry.outcome.name(),
            exit_reason: run.exit_reason().map(|reason| shown_name(reason).into()),
            started_at: entry.began.to_rfc3339(),
            ended_at: entry.ended.map(Timestamp::to_rfc3339),
            duration_seconds: seconds(entry.took_ms),
            session: sessions.first().cloned(),
            sessions,
            turns: sums.turns,
            messages: sums.spent.messages,
            tokens: sums.spent.tokens,
            cost_usd: costs.ours.to_string(),
            unpriced_tokens: sums.spent.unpriced,
            unattributed_usd: costs.unattributed.map(|rest| rest.to_string()),
            client_reported_usd: told,
            tools: sums
                .tools
                .iter()
                .filter_map(|(tool, calls)| Some((Arc::clone(names.shown(*tool)?), CallsForm::of(*calls))))
                .collect(),
            lost_lines: run.lost.values().sum(),
            torn_bytes: run.torn_bytes,
            traceparent: run.caller.as_deref().map(|caller| shown_name(caller).into()),
        }
    }

    /// A run by its id; `None` if there is none.
    pub(super) fn read(reader: &StoreReader, cells: &CellsNow<'_>, id: RunId) -> Result<Option<Self>, Problem> {
        let index = &cells.cube().runs;
        let Some(run) = reader.run(id).map_err(unreadable)? else { return Ok(None) };
        let Some(entry) = index.get(id) else { return Ok(None) };
        let (sums, costs) = (index.sums(id), index.costs(id));
        Ok(Some(Self::of(&Known { run: &run, entry, sums: &sums, costs }, &cells.cube().names)))
    }
}

impl CallsForm {
    const fn of(calls: RunCalls) -> Self {
        let RunCalls { calls, failed, denied, interrupted } = calls;
        Self { calls, failed, denied, interrupted }
    }
}

/// The id of a session, as answers tell it.
pub(super) fn shared(id: &SessionId) -> Arc<str> {
    Arc::from(&*id.0)
}

/// Amounts of runs that have ended, by nearest rank.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct CostSpread {
    /// The median.
    p50_usd: String,
    /// 95 of 100 runs cost at most this.
    p95_usd: String,
    /// The most that one cost.
    max_usd: String,
}

/// Durations of runs that have ended, in seconds, by nearest rank.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct DurationSpread {
    /// The median.
    p50: f64,
    /// 95 of 100 runs took at most this long.
    p95: f64,
    /// The longest.
    max: f64,
}

impl CostSpread {
    /// `None` if there are no costs.
    pub(super) fn of(mut costs: Vec<Money>) -> Option<Self> {
        let [p50_usd, p95_usd, max_usd] = spread(&mut costs)?.map(|cost| cost.to_string());
        Some(Self { p50_usd, p95_usd, max_usd })
    }
}

impl DurationSpread {
    /// `None` if there are no durations. They are given in milliseconds.
    pub(super) fn of(mut took_ms: Vec<u64>) -> Option<Self> {
        let [p50, p95, max] = spread(&mut took_ms)?.map(seconds);
        Some(Self { p50, p95, max })
    }
}

/// Median, 95th percentile and maximum, by nearest rank.
fn spread<T: Copy + Ord>(amounts: &mut [T]) -> Option<[T; 3]> {
    amounts.sort_unstable();
    let rank = |percent: usize| amounts.get((amounts.len() * percent).div_ceil(100).checked_sub(1)?).copied();
    Some([rank(50)?, rank(95)?, rank(100)?])
}
