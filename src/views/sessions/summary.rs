//! The answer of `scan`: sums over all sessions, and a summary of each session. The names and types of the fields are
//! the JSON that users read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::money::Money;
use crate::ledger::session::{Reported, Session, reported};
use crate::ledger::tally::{Tally, ToolTally};
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::Parts;
use crate::transcript::ids::SessionId;
use crate::transcript::shown::{shown, shown_name};
use crate::transcript::time::{Timestamp, seconds};

/// Version of the shape of the JSON, for programs that read it.
const SCHEMA: u32 = 1;

/// The result of one pass over session files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this shape: 1.
    pub schema: u32,
    /// Numbers of files, bytes and lines that were read.
    pub files: FileCounts,
    /// Sessions that own a user or assistant row.
    pub sessions: u64,
    /// Prompts that reached the model.
    pub turns: u64,
    /// Distinct API responses.
    pub messages: u64,
    /// Distinct sub-agents.
    pub subagents: u64,
    /// Distinct compactions.
    pub compactions: u64,
    /// Failed API attempts and final failures.
    pub api_errors: u64,
    /// Tokens of all models.
    pub tokens: Tokens,
    /// List price in US dollars, an exact decimal, without tokens that have no price.
    pub cost_usd: String,
    /// Tokens without a known price, by model.
    pub unpriced_tokens: BTreeMap<Arc<str>, u64>,
    /// Sums of each model, by canonical model id.
    pub models: BTreeMap<Arc<str>, ModelSummary>,
    /// Sums of each tool, by the tool's own name.
    pub tools: BTreeMap<Arc<str>, ToolSummary>,
    /// Costs that the client itself reports.
    pub client_reported: ClientReported,
    /// One entry per session, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_list: Option<Vec<SessionSummary>>,
    /// What the rules of custom metrics count, one entry per series; missing if there are no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metrics: Option<Vec<CustomCount>>,
}

/// One series of a custom metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CustomCount {
    /// The name of the metric as it is scraped.
    pub metric: String,
    /// The labels with their values.
    pub labels: BTreeMap<String, String>,
    /// Number of events; missing for a counter, which adds their values only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The values added up, an exact decimal.
    pub sum: String,
}

/// Numbers of what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FileCounts {
    /// Session files.
    pub read: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Lines of these files, without blank ones.
    pub lines: u64,
    /// Lines that could not be read.
    pub rejected_lines: u64,
    /// Lines of a type that this version does not know.
    pub unknown_records: u64,
}

impl FileCounts {
    /// Adds the numbers of other files.
    pub const fn add(&mut self, other: Self) {
        self.read += other.read;
        self.bytes += other.bytes;
        self.lines += other.lines;
        self.rejected_lines += other.rejected_lines;
        self.unknown_records += other.unknown_records;
    }
}

/// Sums of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelSummary {
    /// Distinct API responses.
    pub messages: u64,
    pub tokens: Tokens,
    /// List price in US dollars.
    pub cost_usd: String,
}

/// Sums of one tool.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ToolSummary {
    /// Distinct calls.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that were interrupted.
    pub interrupted: u64,
    /// Calls without a result.
    pub open: u64,
    /// Time from call to result; `null` if no call has a duration.
    pub duration_seconds: Option<Durations>,
}

/// Durations in seconds; quantiles by the nearest-rank method.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Durations {
    pub sum: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Longest.
    pub max: f64,
}

/// Costs in US dollars that the client itself reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClientReported {
    /// Sum of the last figure of each session; a forked history is counted once.
    pub cost_usd: String,
    /// The part of these costs that the session files do not show.
    pub unattributed_usd: String,
}

/// Sums and properties of one session.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SessionSummary {
    /// Session id.
    pub id: String,
    /// Last path component of the working directory (in a worktree, that of its repository) as the label `project` has
    /// it: without secrets and invisible letters, at most 64 characters.
    pub project: Option<String>,
    /// Working directory at the first row, without secrets and invisible letters.
    pub cwd: Option<String>,
    /// Git branch at the last row that has one, without secrets and invisible letters.
    pub git_branch: Option<String>,
    /// Time of the first row, RFC 3339 UTC.
    pub started_at: Option<String>,
    /// Time of the last row, RFC 3339 UTC.
    pub ended_at: Option<String>,
    /// Prompts that reached the model.
    pub turns: u64,
    /// Distinct API responses.
    pub messages: u64,
    pub tokens: Tokens,
    /// List price in US dollars.
    pub cost_usd: String,
    /// Cost in US dollars that the client itself reports; `null` if it wrote none.
    pub client_reported_usd: Option<String>,
    /// The part of that cost that the session files do not show; `null` if the client wrote none.
    pub unattributed_usd: Option<String>,
    /// Canonical ids of the models that were used.
    pub models: Vec<Arc<str>>,
    /// Calls and outcomes by tool.
    pub tools: BTreeMap<Arc<str>, ToolCounts>,
    /// Distinct sub-agents.
    pub subagents: u64,
    /// Id of the session that it was forked from; `null` if it is no fork.
    pub forked_from: Option<String>,
    /// Whether it was continued by another process.
    pub resumed: bool,
    pub title: Option<Arc<str>>,
}

/// Calls and outcomes of a tool in one session.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ToolCounts {
    /// Distinct calls.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that were interrupted.
    pub interrupted: u64,
    /// Calls without a result.
    pub open: u64,
    /// Time from call to result; `null` if no call has a duration, left out if only counts are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<Option<Durations>>,
}

impl From<&ToolTally> for ToolCounts {
    fn from(tally: &ToolTally) -> Self {
        Self {
            calls: tally.calls,
            failed: tally.failed,
            denied: tally.denied,
            interrupted: tally.interrupted,
            open: tally.open(),
            duration_seconds: None,
        }
    }
}

/// Durations of tool calls in milliseconds, by tool.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ToolDurations(HashMap<Arc<str>, Vec<u32>>);

impl ToolDurations {
    /// Adds the calls among some parts.
    pub fn add(&mut self, parts: &Parts) {
        for tool in &parts.tools {
            if let (Some(call), Some(duration)) = (&tool.call, tool.duration_ms()) {
                let duration = u32::try_from(duration).unwrap_or(u32::MAX);
                self.0.entry(Arc::clone(&call.name)).or_default().push(duration);
            }
        }
    }

    fn append(&mut self, other: Self) {
        for (tool, durations) in other.0 {
            self.0.entry(tool).or_default().extend(durations);
        }
    }

    /// Sum and quantiles of a tool's durations; `None` if it has none.
    fn of(&mut self, tool: &str) -> Option<Durations> {
        let durations = self.0.get_mut(tool)?;
        durations.sort_unstable();
        let rank = |per_cent: usize| {
            let rank = (durations.len() * per_cent).div_ceil(100).max(1) - 1;
            durations.get(rank).map(|duration| seconds(u64::from(*duration)))
        };
        let sum = seconds(durations.iter().map(|duration| u64::from(*duration)).sum());
        Some(Durations { sum, p50: rank(50)?, p95: rank(95)?, max: rank(100)? })
    }
}

/// Where a summary finds what it needs besides the sessions themselves.
pub struct SummarySources<'s, 'a> {
    /// Finds a session by id, to know which reported cost a fork inherited.
    pub session: &'s dyn Fn(&SessionId) -> Option<&'a Session>,
    /// Finds the durations of the tool calls of a session.
    pub durations: &'s dyn Fn(&Session) -> ToolDurations,
}

/// The part of a summary that comes from some sessions. Parts of different sessions can be added in any order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Part {
    sessions: u64,
    tally: Tally,
    client: Money,
    unattributed: Money,
    durations: ToolDurations,
    /// The summaries of the sessions, with the times of their first rows; empty unless asked for.
    #[serde(skip)]
    pub list: Vec<(Option<Timestamp>, SessionSummary)>,
}

impl Part {
    /// The part of `sessions`, with a summary of each if `with_sessions` is true.
    pub fn of<'a>(
        sessions: impl Iterator<Item = &'a Session>,
        sources: &SummarySources<'_, 'a>,
        with_sessions: bool,
    ) -> Self {
        let mut part = Self::default();
        for session in sessions {
            let account = reported(session, session.fork.as_ref().and_then(|fork| (sources.session)(&fork.from)));
            if let Some(account) = account.filter(|_| session.is_real()) {
                part.client += account.cost;
                part.unattributed += account.unattributed;
            }
            part.tally.add(&session.tally);
            if !session.is_real() {
                continue;
            }
            part.sessions += 1;
            let mut own = (sources.durations)(session);
            if with_sessions {
                let mut summary = session_summary(session, account);
                summary.tools.iter_mut().for_each(|(name, tool)| tool.duration_seconds = Some(own.of(name)));
                part.list.push((session.started(), summary));
            }
            part.durations.append(own);
        }
        part
    }

    /// Adds the part of other sessions.
    pub fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.tally.add(&other.tally);
        self.client += other.client;
        self.unattributed += other.unattributed;
        self.durations.append(other.durations);
        self.list.extend(other.list);
    }

    /// The summary of all the sessions that were added.
    #[must_use]
    pub fn summary(mut self, files: FileCounts, with_sessions: bool) -> Summary {
        let whole = &self.tally;
        self.list.sort_by(|(a_start, a), (b_start, b)| (a_start, &a.id).cmp(&(b_start, &b.id)));
        Summary {
            schema: SCHEMA,
            files,
            sessions: self.sessions,
            turns: whole.turns,
            messages: whole.messages(),
            subagents: whole.subagents,
            compactions: whole.compactions,
            api_errors: whole.api_errors,
            tokens: whole.tokens(),
            cost_usd: whole.cost().to_string(),
            unpriced_tokens: unpriced(whole),
            models: models(whole),
            tools: whole
                .tools
                .iter()
                .map(|(name, tally)| {
                    let ToolCounts { calls, failed, denied, interrupted, open, .. } = tally.into();
                    let duration_seconds = self.durations.of(name);
                    (Arc::clone(name), ToolSummary { calls, failed, denied, interrupted, open, duration_seconds })
                })
                .collect(),
            client_reported: ClientReported {
                cost_usd: self.client.to_string(),
                unattributed_usd: self.unattributed.to_string(),
            },
            session_list: with_sessions.then(|| self.list.into_iter().map(|(_, session)| session).collect()),
            custom_metrics: None,
        }
    }
}

/// Tokens without a price, by model.
#[must_use]
pub fn unpriced(tally: &Tally) -> BTreeMap<Arc<str>, u64> {
    let unpriced = tally.models.iter().filter(|(_, model)| model.unpriced > 0);
    unpriced.map(|(name, model)| (Arc::clone(name), model.unpriced)).collect()
}

/// Messages, tokens and cost by model.
#[must_use]
pub fn models(tally: &Tally) -> BTreeMap<Arc<str>, ModelSummary> {
    let summary = |(name, model): (&Arc<str>, &crate::ledger::tally::ModelTally)| {
        let cost_usd = model.cost.to_string();
        (Arc::clone(name), ModelSummary { messages: model.messages, tokens: model.tokens, cost_usd })
    };
    tally.models.iter().map(summary).collect()
}

/// The summary of one session; `account` is the cost that the client reports for it.
#[must_use]
pub fn session_summary(session: &Session, account: Option<Reported>) -> SessionSummary {
    let context = session.context();
    SessionSummary {
        id: session.id.to_string(),
        project: session.project().map(shown_name).filter(|name| !name.is_empty()),
        cwd: context.and_then(|context| context.cwd.as_deref()).map(shown),
        git_branch: session.branch().as_deref().map(shown),
        started_at: session.started().map(|time| time.to_rfc3339()),
        ended_at: session.ended().map(|time| time.to_rfc3339()),
        turns: session.tally.turns,
        messages: session.tally.messages(),
        tokens: session.tally.tokens(),
        cost_usd: session.tally.cost().to_string(),
        client_reported_usd: account.map(|account| account.cost.to_string()),
        unattributed_usd: account.map(|account| account.unattributed.to_string()),
        models: session.tally.models.keys().cloned().collect(),
        tools: session.tally.tools.iter().map(|(name, tally)| (Arc::clone(name), tally.into())).collect(),
        subagents: session.tally.subagents,
        forked_from: session.fork.as_ref().map(|fork| fork.from.to_string()),
        resumed: session.resumed(),
        title: session.title.clone(),
    }
}
