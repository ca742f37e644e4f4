//! The events of a session in order, each with what had been used and spent by then.
//!
//! ```text
//! order   time; at the same millisecond cause before effect (see `Detail::order`), then id
//! time    prompt, call, result, failure: that of its row; message: its last row, because usage is known only then
//! ```
//!
//! A message may stand behind the calls it made: a tool starts as soon as its own block is complete. Text is not part
//! of an event: [`Source`] says where it stands in the session files.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::summary::seconds;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Agent, Message, RowPlace, Tool, TurnEnd, Unit, UnitId, UnitKey};
use crate::transcript::ids::{AgentId, RowId};
use crate::transcript::record::Stop;
use crate::transcript::time::Timestamp;

/// Sub-agents that start sub-agents: no further than this is a turn looked for.
const NESTING_MAX: usize = 16;

/// One thing that happened in a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Position in the whole session, from 0.
    pub index: usize,
    /// When, RFC 3339 UTC in milliseconds.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: Timestamp,
    /// What, with the ids and numbers of its kind.
    #[serde(flatten)]
    pub detail: Detail,
    /// The sub-agent it happened in; `None` for the main thread.
    pub agent: Option<Arc<str>>,
    /// Turn of the session, from 1; `None` before the first and for sub-agents that no known call started.
    pub turn: Option<usize>,
    /// How long it took: a message from request to last row, a result from its call, an agent from its start.
    pub duration_seconds: Option<f64>,
    /// How it ended: stop reason, outcome of the call, reason of the failure or of the agent's end.
    pub outcome: Option<Arc<str>>,
    /// Tokens of all messages up to and with this event.
    pub tokens_so_far: Tokens,
    /// Their list price in US dollars; what has no price is not in it.
    #[serde(serialize_with = "as_text")]
    pub cost_usd_so_far: Money,
    /// Where its text stands.
    #[serde(skip)]
    pub source: Option<Source>,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Detail {
    /// A prompt reached the model.
    Prompt {
        /// `uuid` of its row.
        uuid: String,
        /// Who asked.
        origin: &'static str,
        /// Length in characters.
        chars: u32,
    },
    /// A sub-agent began.
    SubagentStart {
        /// Its type.
        agent_type: Option<Arc<str>>,
        /// The call that started it.
        tool_call_id: Option<Box<str>>,
        /// It goes on after its call has returned.
        background: bool,
    },
    /// An API attempt failed.
    ApiError {
        /// `uuid` of its row.
        uuid: String,
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// Number of the attempt, from 1; 0 if not said.
        attempt: u32,
        /// Wait before the next attempt; 0 after the last.
        retry_in_seconds: f64,
    },
    /// An API response was complete.
    Message {
        /// `message.id`
        message_id: Box<str>,
        /// `requestId`
        request_id: Option<Box<str>>,
        /// Canonical id of the model.
        model: Arc<str>,
        /// Its tokens, those billed beside it included.
        tokens: Tokens,
        /// Their list price in US dollars; `None` if no part has a price.
        #[serde(serialize_with = "as_text_or_null")]
        cost_usd: Option<Money>,
        /// Tokens of it without a price.
        unpriced_tokens: u64,
    },
    /// A tool was called.
    ToolCall {
        /// `tool_use.id`
        tool_call_id: Box<str>,
        /// Name of the tool.
        tool: Arc<str>,
        /// The message that called.
        message_id: Box<str>,
    },
    /// A tool call ended.
    ToolResult {
        /// `tool_use.id`
        tool_call_id: Box<str>,
        /// Name of the tool; `None` if its call was not seen.
        tool: Option<Arc<str>>,
        /// Bytes of the result's text.
        bytes: u64,
        /// Exit code of a failed command.
        exit_code: Option<i32>,
        /// Who allowed or refused the call.
        decision: Option<Arc<str>>,
        /// The client wrote it at a later resume: its time is not the end of the call.
        filled_in: bool,
    },
    /// The conversation was compacted.
    Compaction {
        /// `uuid` of its row.
        uuid: String,
        /// `manual` or `auto`.
        trigger: &'static str,
        /// Tokens of the conversation before.
        tokens_before: u64,
        /// Tokens after.
        tokens_after: u64,
    },
    /// A person interrupted.
    Interrupt,
    /// A sub-agent came to its end.
    SubagentEnd {
        /// Its type.
        agent_type: Option<Arc<str>>,
        /// The call that started it.
        tool_call_id: Option<Box<str>>,
    },
}

/// Where an event's text stands, and what must be found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The rows, in order.
    pub rows: Vec<RowPlace>,
    /// What each of them is.
    pub expected: Expected,
}

/// What a row must be, since a file may have been rewritten after it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A user row with this `uuid`.
    Prompt(RowId),
    /// An assistant row of this message.
    Message(Box<str>),
    /// An assistant row with this call.
    Call(Box<str>),
    /// A user row with the result of this call.
    Result(Box<str>),
}

impl Detail {
    /// Cause before effect, for what happened in the same millisecond.
    const fn order(&self) -> u8 {
        match self {
            Self::Prompt { .. } => 0,
            Self::SubagentStart { .. } => 1,
            Self::ApiError { .. } => 2,
            Self::Message { .. } => 3,
            Self::ToolCall { .. } => 4,
            Self::ToolResult { .. } => 5,
            Self::Compaction { .. } => 6,
            Self::Interrupt => 7,
            Self::SubagentEnd { .. } => 8,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Prompt { uuid, .. } | Self::ApiError { uuid, .. } | Self::Compaction { uuid, .. } => uuid,
            Self::Message { message_id, .. } => message_id,
            Self::ToolCall { tool_call_id, .. } | Self::ToolResult { tool_call_id, .. } => tool_call_id,
            Self::SubagentStart { tool_call_id, .. } | Self::SubagentEnd { tool_call_id, .. } => {
                tool_call_id.as_deref().unwrap_or_default()
            }
            Self::Interrupt => "",
        }
    }
}

/// Turns of a session by number, and which turn each of its units belongs to.
#[derive(Debug, Default)]
pub struct TurnNumbers(HashMap<UnitId, usize>);

impl TurnNumbers {
    /// Numbers the turns among `units` by the time of their first rows, from 1: as in their spans.
    #[must_use]
    pub fn of(units: &[Unit]) -> Self {
        let mut turns: Vec<_> = units.iter().filter(|unit| unit.is_turn()).collect();
        turns.sort_by_key(|unit| (unit.first, unit.key.id()));
        let mut numbers: HashMap<UnitId, usize> =
            turns.iter().zip(1..).map(|(unit, number)| (unit.key.id(), number)).collect();
        let parents: HashMap<UnitId, UnitId> =
            units.iter().filter_map(|unit| Some((unit.key.id(), unit.agent.as_ref()?.parent?))).collect();
        for agent in parents.keys() {
            let mut above = Some(agent);
            for _ in 0..NESTING_MAX {
                above = above.and_then(|unit| parents.get(unit));
                if let Some(turn) = above.and_then(|unit| numbers.get(unit)).copied() {
                    numbers.insert(*agent, turn);
                    break;
                }
            }
        }
        Self(numbers)
    }

    /// Number of the turn that `unit` is, or in which it was started.
    #[must_use]
    pub fn turn(&self, unit: &Unit) -> Option<usize> {
        self.0.get(&unit.key.id()).copied()
    }
}

/// Every event of a session, from all of its units.
#[must_use]
pub fn events(units: &[Unit]) -> Vec<Event> {
    let numbers = TurnNumbers::of(units);
    let mut events = Vec::new();
    for unit in units {
        let add = Add { unit, turn: numbers.turn(unit), events: &mut events };
        add.all(units);
    }
    events.sort_by(|a, b| (a.at, a.detail.order(), a.detail.id()).cmp(&(b.at, b.detail.order(), b.detail.id())));
    let (mut tokens, mut cost) = (Tokens::default(), Money::ZERO);
    for (index, event) in events.iter_mut().enumerate() {
        if let Detail::Message { tokens: own, cost_usd, .. } = &event.detail {
            tokens += *own;
            cost += cost_usd.unwrap_or_default();
        }
        (event.index, event.tokens_so_far, event.cost_usd_so_far) = (index, tokens, cost);
    }
    events
}

/// When and how a sub-agent ended; `None` while it runs.
#[must_use]
pub fn agent_end(unit: &Unit, units: &[Unit]) -> Option<TurnEnd> {
    let agent = unit.agent.as_ref()?;
    let returned = || {
        let parent = agent.parent.and_then(|parent| units.iter().find(|unit| unit.key.id() == parent))?;
        let tool = parent.tool(agent.call.as_deref()?)?;
        // A call that returned takes an agent with it that did not end by itself, unless that is a background agent.
        (tool.result.is_some() && !agent.background).then(|| TurnEnd { at: unit.activity_end(), reason: "returned" })
    };
    unit.end().or_else(returned)
}

/// Adds the events of one unit.
struct Add<'a> {
    unit: &'a Unit,
    turn: Option<usize>,
    events: &'a mut Vec<Event>,
}

impl Add<'_> {
    fn all(mut self, units: &[Unit]) {
        let unit = self.unit;
        if let (Some(prompt), UnitKey::Turn(uuid)) = (&unit.prompt, &unit.key) {
            let (origin, chars) = (prompt.origin.name(), prompt.chars);
            let detail = Detail::Prompt { uuid: uuid.to_string(), origin, chars };
            self.one(prompt.time, detail).source =
                Some(Source { rows: vec![prompt.place], expected: Expected::Prompt(*uuid) });
        }
        if let Some(agent) = &unit.agent {
            self.agent(agent, units);
        }
        unit.messages.iter().for_each(|message| self.message(message));
        unit.tools.iter().for_each(|tool| self.tool(tool));
        for failure in &unit.failures {
            let (uuid, error) = (failure.id.to_string(), failure.error);
            let retry_in_seconds = seconds(error.retry_in_ms.into());
            let detail = Detail::ApiError { uuid, status: error.status, attempt: error.attempt, retry_in_seconds };
            self.one(failure.time, detail).outcome = Some(error.reason().into());
        }
        for done in &unit.compactions {
            let (uuid, trigger) = (done.id.to_string(), if done.what.manual { "manual" } else { "auto" });
            let (tokens_before, tokens_after) = (done.what.tokens_before, done.what.tokens_after);
            let event = self.one(done.time, Detail::Compaction { uuid, trigger, tokens_before, tokens_after });
            event.duration_seconds = Some(seconds(done.what.duration_ms));
        }
        if let Some(time) = unit.interrupted {
            self.one(time, Detail::Interrupt);
        }
    }

    fn agent(&mut self, agent: &Agent, units: &[Unit]) {
        let started = started(self.unit);
        let (agent_type, tool_call_id) = (agent.agent_type.clone(), agent.call.clone());
        let detail = Detail::SubagentStart { agent_type, tool_call_id, background: agent.background };
        self.one(started, detail).source = agent
            .prompt
            .zip(agent.first_row)
            .map(|(place, (_, row))| Source { rows: vec![place], expected: Expected::Prompt(row) });
        let Some(end) = agent_end(self.unit, units) else { return };
        let (agent_type, tool_call_id) = (agent.agent_type.clone(), agent.call.clone());
        let event = self.one(end.at, Detail::SubagentEnd { agent_type, tool_call_id });
        event.duration_seconds = Some(seconds(end.at.since_ms(started)));
        event.outcome = Some(end.reason.into());
    }

    fn message(&mut self, message: &Message) {
        let prices = message.shares.iter().filter_map(|share| share.cost);
        let unpriced = message.shares.iter().filter(|share| share.cost.is_none());
        let detail = Detail::Message {
            message_id: message.id.clone(),
            request_id: message.request.clone(),
            model: message.shares.first().map_or(&message.model, |share| &share.model).clone(),
            tokens: message.shares.iter().map(|share| share.tokens).sum(),
            cost_usd: prices.reduce(|sum, cost| sum + cost),
            unpriced_tokens: unpriced.map(|share| share.tokens.total()).sum(),
        };
        let mut rows = message.rows.clone();
        rows.sort_by_key(|row| (row.file, row.place.offset));
        let event = self.one(message.end, detail);
        event.duration_seconds = Some(seconds(message.end.since_ms(message.start)));
        event.outcome = message.stop.as_ref().map(Stop::name).map(Into::into);
        event.source = Some(Source { rows, expected: Expected::Message(message.id.clone()) });
    }

    fn tool(&mut self, tool: &Tool) {
        if let Some(call) = &tool.call {
            let (tool_call_id, message_id) = (tool.id.clone(), call.message.clone());
            let event =
                self.one(call.rank.time, Detail::ToolCall { tool_call_id, tool: call.name.clone(), message_id });
            event.source = Some(Source { rows: vec![call.place], expected: Expected::Call(tool.id.clone()) });
        }
        let Some(end) = &tool.result else { return };
        let detail = Detail::ToolResult {
            tool_call_id: tool.id.clone(),
            tool: tool.call.as_ref().map(|call| call.name.clone()),
            bytes: end.bytes,
            exit_code: end.exit_code,
            decision: end.decision.clone(),
            filled_in: end.filled_in,
        };
        let event = self.one(end.rank.time, detail);
        event.duration_seconds = tool.duration_ms().map(seconds);
        event.outcome = Some(end.outcome.name().into());
        event.source = Some(Source { rows: vec![end.place], expected: Expected::Result(tool.id.clone()) });
    }

    fn one(&mut self, at: Timestamp, detail: Detail) -> &mut Event {
        let agent = self.unit.agent.as_ref().map(|agent| {
            let AgentId(id) = &agent.id;
            Arc::clone(id)
        });
        self.events.push(Event {
            index: 0,
            at,
            detail,
            agent,
            turn: self.turn,
            duration_seconds: None,
            outcome: None,
            tokens_so_far: Tokens::default(),
            cost_usd_so_far: Money::ZERO,
            source: None,
        });
        match self.events.last_mut() {
            Some(event) => event,
            None => unreachable!("an event was pushed just now"),
        }
    }
}

/// When a unit began: its prompt, or the first row of a sub-agent; else its first row.
#[must_use]
pub fn started(unit: &Unit) -> Timestamp {
    let prompt = unit.prompt.as_ref().map(|prompt| prompt.time);
    let agent = || unit.agent.as_ref()?.first_row.map(|(time, _)| time);
    prompt.or_else(agent).unwrap_or(unit.first)
}

/// A time as RFC 3339 UTC in milliseconds.
pub(super) fn as_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339())
}

/// Money as an exact decimal text.
pub(super) fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

fn as_text_or_null<S: Serializer>(money: &Option<Money>, serializer: S) -> Result<S::Ok, S::Error> {
    match money {
        Some(money) => as_text(money, serializer),
        None => serializer.serialize_none(),
    }
}
