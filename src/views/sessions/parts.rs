//! Lists of one session, besides its sums: turns, sub-agents, slowest steps.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ledger::ended;
use crate::ledger::family::{TurnNumbers, roots};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Parts, TurnEnd, Unit, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::time::Timestamp;
use crate::transcript::time::seconds;
use crate::views::sessions::event::{Detail, Event, as_rfc3339, as_text};
use crate::views::sessions::outline::AgentsOf;
use crate::views::sessions::paths::{PathSummary, Threads};
use crate::views::traces::ids::trace_of;

/// How many of the slowest steps of each kind are listed.
const SLOWEST_MAX: usize = 10;

/// One turn. Its sums are without those of its sub-agents, which are listed with sums of their own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TurnSummary {
    /// Position in the session, from 1.
    pub index: usize,
    /// `uuid` of the prompt.
    pub prompt_uuid: String,
    /// The trace of the turn, 32 hexadecimal digits: the 16 bytes of `prompt_uuid`.
    pub trace_id: String,
    /// Who asked: `human`, `sdk` and the like.
    pub origin: &'static str,
    /// Time of the prompt, RFC 3339 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended, RFC 3339 UTC; `null` while it is open.
    pub ended_at: Option<String>,
    /// How it ended: `stop`, `interrupted`, `api_error`, `next_prompt`; `null` while it is open.
    pub end: Option<&'static str>,
    /// Seconds from prompt to end; `null` while it is open.
    pub duration_seconds: Option<f64>,
    /// What it waited for, the longest first; of an open turn, so far.
    pub critical_path: Vec<PathSummary>,
    /// Sums of the main thread in this turn.
    #[serde(flatten)]
    pub sums: UnitSums,
    /// Ids of the sub-agents that it started, with those that these started.
    pub subagents: Vec<Arc<str>>,
    /// How many further sub-agents there are; left out if there are none.
    #[serde(skip_serializing_if = "is_none")]
    pub subagents_omitted: usize,
    /// List price of all its sub-agents in US dollars.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub subagents_cost_usd: Money,
}

/// One sub-agent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AgentSummary {
    pub id: Arc<str>,
    pub r#type: Option<Arc<str>>,
    /// The call that started it.
    pub tool_call_id: Option<Box<str>>,
    /// Turn in which it was started, from 1; `null` if that is not known.
    pub turn: Option<usize>,
    /// Whether it goes on after its call has returned.
    pub background: bool,
    /// Its own trace, 32 hexadecimal digits, if it is a background agent or no known call started it; `null` if its
    /// spans are in the trace of the turn or sub-agent that called it.
    pub trace_id: Option<String>,
    /// Time of its first row, RFC 3339 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended, RFC 3339 UTC; `null` while it runs.
    pub ended_at: Option<String>,
    /// How it ended; `null` while it runs.
    pub end: Option<&'static str>,
    /// Seconds from start to end; `null` while it runs.
    pub duration_seconds: Option<f64>,
    /// Sums of the sub-agent alone.
    #[serde(flatten)]
    pub sums: UnitSums,
}

/// Sums of one unit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UnitSums {
    /// Distinct API responses.
    pub messages: u64,
    /// Distinct tool calls.
    pub tool_calls: u64,
    pub tokens: Tokens,
    /// List price in US dollars.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub cost_usd: Money,
}

/// The longest calls of tools and of the API.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SlowestSteps {
    /// Tool calls, slowest first. A call that started a sub-agent lasts as long as the sub-agent.
    pub tool_calls: Vec<Step>,
    /// API calls, slowest first.
    pub api_requests: Vec<Step>,
}

/// One of the slowest calls.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// Name of the tool, or canonical id of the model.
    pub name: Arc<str>,
    /// `tool_use.id`, or `message.id`.
    pub id: Box<str>,
    /// Position in the replay of the event at which it ended, from 0.
    pub event: usize,
    /// Id of the sub-agent that it happened in; `null` for the main thread.
    pub agent: Option<Arc<str>>,
    /// Turn that it happened in, from 1.
    pub turn: Option<usize>,
    /// When it ended, RFC 3339 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub ended_at: Timestamp,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// How it ended: outcome of the call, or stop reason of the response.
    pub outcome: Option<Arc<str>>,
}

/// The turns of a session, in order.
#[must_use]
pub fn turns(units: &[Unit]) -> Vec<TurnSummary> {
    let (numbers, threads) = (TurnNumbers::of(units), Threads::of(units));
    let summary = |unit: &Unit| {
        let id = unit.key.id();
        turn_summary(unit, numbers.turn(id)?, || threads.summary(id))
    };
    let mut turns: Vec<TurnSummary> = units.iter().filter_map(summary).collect();
    turns.sort_by_key(|turn| turn.index);
    let mut agents: Vec<&Unit> = units.iter().filter(|unit| unit.agent.is_some()).collect();
    agents.sort_by_key(|unit| (unit.started(), unit.key.id()));
    for unit in agents {
        let turn = numbers.turn(unit.key.id()).and_then(|number| turns.get_mut(number.checked_sub(1)?));
        if let (Some(turn), Some(agent)) = (turn, &unit.agent) {
            turn.subagents.push(agent.id.shared());
            turn.subagents_cost_usd += unit.gist().cost;
        }
    }
    turns
}

impl TurnSummary {
    /// The turn with the sub-agents that it started.
    #[must_use]
    pub fn with_agents(self, agents: AgentsOf) -> Self {
        let AgentsOf { ids: subagents, omitted: subagents_omitted, cost: subagents_cost_usd } = agents;
        Self { subagents, subagents_omitted, subagents_cost_usd, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

/// A turn with its number in the session and an empty list of sub-agents; `None` if the unit is no turn. `path` tells
/// what it waited for.
#[must_use]
pub fn turn_summary(unit: &Unit, index: usize, path: impl FnOnce() -> Vec<PathSummary>) -> Option<TurnSummary> {
    let (UnitKey::Turn(row), Some(prompt)) = (&unit.key, &unit.prompt) else { return None };
    let end = unit.end();
    Some(TurnSummary {
        index,
        prompt_uuid: row.to_string(),
        trace_id: trace_id(unit),
        origin: prompt.origin.name(),
        started_at: prompt.time,
        ended_at: end.map(|end| end.at.to_rfc3339()),
        end: end.map(|end| end.reason),
        duration_seconds: end.map(|end| seconds(end.at.since_ms(prompt.time))),
        critical_path: path(),
        sums: UnitSums::of(unit),
        subagents: Vec::new(),
        subagents_omitted: 0,
        subagents_cost_usd: Money::ZERO,
    })
}

/// The sub-agents of a session, in the order in which they started.
#[must_use]
pub fn agents(units: &[Unit]) -> Vec<AgentSummary> {
    let numbers = TurnNumbers::of(units);
    let apart: HashSet<UnitId> =
        roots(&units.iter().collect::<Vec<_>>()).into_iter().map(|unit| unit.key.id()).collect();
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.key.id(), unit)).collect();
    let summary = |unit: &Unit| {
        let (id, end) = (unit.key.id(), ended::of_agent(unit, &|id| by_id.get(&id).copied()));
        agent_summary(unit, numbers.turn(id), end, apart.contains(&id))
    };
    let mut agents: Vec<AgentSummary> = units.iter().filter_map(summary).collect();
    agents.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
    agents
}

/// A sub-agent with the turn that it was started in and its end; `None` if the unit is no sub-agent. `apart` says that
/// no known call started it.
#[must_use]
pub fn agent_summary(unit: &Unit, turn: Option<usize>, end: Option<TurnEnd>, apart: bool) -> Option<AgentSummary> {
    let agent = unit.agent.as_ref()?;
    let start = unit.started();
    Some(AgentSummary {
        id: agent.id.shared(),
        r#type: agent.agent_type.clone(),
        tool_call_id: agent.call.clone(),
        turn,
        background: agent.background,
        trace_id: (agent.background || apart && unit.leaves_with().is_none()).then(|| trace_id(unit)),
        started_at: start,
        ended_at: end.map(|end| end.at.to_rfc3339()),
        end: end.map(|end| end.reason),
        duration_seconds: end.map(|end| seconds(end.at.since_ms(start))),
        sums: UnitSums::of(unit),
    })
}

/// Every trace id of a session, in the order in which the traces begin: those of turns, of rows before the first
/// prompt, and of sub-agents that have a trace of their own.
#[must_use]
pub fn trace_ids(units: &[Unit]) -> Vec<String> {
    let all: Vec<&Unit> = units.iter().collect();
    let mut own: Vec<&Unit> = roots(&all);
    // A sub-agent below a turn of another session is in the trace of that turn.
    own.retain(|unit| unit.leaves_with().is_none());
    let known: HashSet<UnitId> = own.iter().map(|unit| unit.key.id()).collect();
    let background = |unit: &&Unit| unit.agent.as_ref().is_some_and(|agent| agent.background);
    own.extend(all.into_iter().filter(background).filter(|unit| !known.contains(&unit.key.id())));
    own.sort_by_key(|unit| (unit.first, unit.key.id()));
    own.into_iter().map(trace_id).collect()
}

fn trace_id(unit: &Unit) -> String {
    trace_of(unit).to_string()
}

impl UnitSums {
    fn of(unit: &Unit) -> Self {
        let tally = unit.tally();
        Self {
            messages: tally.messages(),
            tool_calls: tally.tools.values().map(|tool| tool.calls).sum(),
            tokens: tally.tokens(),
            cost_usd: tally.cost(),
        }
    }
}

/// The slowest steps among the events of a session.
#[must_use]
pub fn slowest(events: &[Event]) -> SlowestSteps {
    let tool = |event: &Event| match &event.detail {
        Detail::ToolResult { tool, tool_call_id, .. } => Some((tool.clone()?, tool_call_id.clone())),
        _ => None,
    };
    let message = |event: &Event| match &event.detail {
        Detail::Message { model, message_id, .. } => Some((Arc::clone(model), message_id.clone())),
        _ => None,
    };
    SlowestSteps { tool_calls: longest(events, tool), api_requests: longest(events, message) }
}

fn longest(events: &[Event], name: impl Fn(&Event) -> Option<(Arc<str>, Box<str>)>) -> Vec<Step> {
    let step = |event: &Event| {
        let (name, id) = name(event)?;
        Some(Step {
            name,
            id,
            event: event.index,
            agent: event.agent.clone(),
            turn: event.turn,
            ended_at: event.at,
            duration_seconds: event.duration_seconds?,
            outcome: event.outcome.clone(),
        })
    };
    let mut steps: Vec<Step> = events.iter().filter_map(step).collect();
    // This sort is stable: of equally long steps the earlier one comes first.
    steps.sort_by(|a, b| b.duration_seconds.total_cmp(&a.duration_seconds));
    steps.truncate(SLOWEST_MAX);
    steps
}

/// Adds to `files` every file that holds a row of the unit or of `parts`.
pub fn files(unit: &Unit, parts: &Parts, files: &mut BTreeSet<FileNumber>) {
    files.insert(unit.claim.file);
    files.extend(unit.prompt.iter().map(|prompt| prompt.place.file));
    files.extend(unit.agent.iter().filter_map(|agent| agent.prompt).map(|place| place.file));
    files.extend(parts.messages.iter().flat_map(|message| &message.rows).map(|row| row.file));
    files.extend(parts.tools.iter().filter_map(|tool| tool.call.as_ref()).map(|call| call.place.file));
    files.extend(parts.tools.iter().filter_map(|tool| tool.result.as_ref()).map(|end| end.place.file));
}
