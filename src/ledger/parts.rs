//! The parts of a unit: responses, tool calls and other events, each with an identity.
//!
//! A unit holds its parts itself up to [`PARTS_MAX`]. Beyond that they lie in *sections* of at most as many parts,
//! which are stored and loaded one by one. So the cost of a commit depends on the new parts, not on the length of the
//! unit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::keys::{Identity, UnitId};
use super::place::{Rank, RowPlace};
use super::prices::{Priced, Prices, Share};
use crate::transcript::extracts::Extracts;
use crate::transcript::ids::{AgentId, RUN, RowId, SessionId};
use crate::transcript::record::{ApiError, Compaction, Fact, Hook, HookKind, Outcome, Says, Stop, UnreadableUsage};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::transcript::usage::Usage;

/// Most parts that a unit, or one of its sections, holds: about 25 kB when stored.
pub const PARTS_MAX: usize = 128;

/// Most rows of one response whose places are kept; the text of further rows is not shown.
pub const ROWS_MAX: usize = 1024;

/// Responses, tool calls and other events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// API responses.
    pub messages: Vec<Message>,
    /// Tool calls.
    pub tools: Vec<Tool>,
    /// Events that are counted or shown by themselves, in the order in which they were read.
    pub rows: Vec<RowFact>,
}

/// Some of the parts of a unit that has too many to hold them itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The unit.
    pub of: UnitId,
    /// Its position among the unit's sections, from 0.
    pub position: u32,
    /// The parts.
    pub parts: Parts,
}

/// One API response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `message.id`
    pub id: Box<str>,
    /// `requestId`
    pub request: Option<Box<str>>,
    /// `message.model`
    pub model: Arc<str>,
    /// `requestedModel`
    pub requested_model: Option<Arc<str>>,
    /// What the response used: the maximum of each field over all rows.
    pub usage: Usage,
    /// `stop_reason`, once a row has one.
    pub stop: Option<Stop>,
    /// Rank of the best row so far.
    pub rank: Rank,
    /// When the request began: the time of `api-request`, or else of the row that was answered.
    pub start: Timestamp,
    /// Time of the last row.
    pub end: Timestamp,
    /// Places of the rows, one for each content block, at most [`ROWS_MAX`].
    pub rows: Vec<RowPlace>,
    /// Content other than tool calls.
    pub says: Says,
    /// The skill whose instructions led to it.
    pub skill: Option<Arc<str>>,
    /// How hard the model was asked to think.
    pub effort: Option<Arc<str>>,
    /// If a gateway chose the id: hashes of [`Identity::NamedRow`] and [`Identity::NamedUsage`] of its rows. Otherwise
    /// empty.
    pub names: Vec<u64>,
    /// True if its rows were copied at a resume and got the time of the resume, so that `start` and `end` are not used.
    pub undated: bool,
    /// Why the usage is incomplete in every row; `None` if a row has all of it.
    pub unreadable_usage: Option<UnreadableUsage>,
    /// True if its id was not given by the API.
    pub unidentified: bool,
    /// Tokens and cost of each model that took part, also of a rest that was superseded: see [`Message::shares`].
    pub shares: Vec<Share>,
    /// True if a later row of the thread is known, so that no further row of this response is expected.
    pub closed: bool,
    /// Its span has left.
    pub sent: bool,
    /// Hashes of the `uuid`s of its rows in a stream, at most [`ROWS_MAX`].
    pub streamed: Vec<u64>,
    /// True if a session file has rows of it; then `rows` are those. For a rest: see [`Message::is_superseded`].
    pub in_file: bool,
    /// Milliseconds from the request to the first piece of it; `None` unless a stream with partial messages tells.
    pub ttft_ms: Option<u32>,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `tool_use.id`
    pub id: Box<str>,
    /// The call; `None` while only its result is known.
    pub call: Option<Call>,
    /// The result; `None` while the tool runs.
    pub result: Option<ToolEnd>,
    /// The sub-agent that it started or sent a message to.
    pub agent: Option<AgentId>,
    /// Further sub-agents, if the call started several.
    pub more_agents: Vec<AgentId>,
    /// True if the sub-agent goes on after the call has returned.
    pub background: bool,
    /// True if its turn is over, so that a result that another process filled in is final.
    pub given_up: bool,
    /// Its span has left.
    pub sent: bool,
    /// True if a stream has its result.
    pub streamed: bool,
    /// True if a session file has its result.
    pub in_file: bool,
    /// When a person or a program was asked whether it may run; `None` unless a stream tells.
    pub asked: Option<Timestamp>,
}

/// The row that made a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the tool.
    pub name: Arc<str>,
    /// Rank of the best row so far; its time is the start of the call.
    pub rank: Rank,
    /// Where the row stands.
    pub place: RowPlace,
    /// `message.id` of the response that called.
    pub message: Box<str>,
    /// `input.subagent_type`
    pub agent_type: Option<Arc<str>>,
    /// xxh3-64 of `input.prompt`; 0 without one.
    pub prompt_hash: u64,
    /// The skill that a call of the Skill tool names.
    pub skill: Option<Arc<str>>,
    /// xxh3-64 of the whole `input` as it is written; 0 without one, and in a state that was written before it was kept.
    /// Calls with the same input have the same.
    pub input: u64,
    /// xxh3-64 of the path in `input.file_path` or `input.notebook_path`; 0 likewise.
    pub file: u64,
    /// The extension of that path: 1 to 8 lower-case letters or digits of ASCII; `None` without one, or with another.
    pub extension: Option<Arc<str>>,
    /// What the rules of custom metrics extracted of its input. It is stored in a row of its own.
    #[serde(skip)]
    pub extracts: Extracts,
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolEnd {
    /// Rank of the best row so far; its time is the end of the call.
    pub rank: Rank,
    /// How it ended.
    pub outcome: Outcome,
    /// True if the client wrote it at a later resume, so that its time is not the end of the call.
    pub filled_in: bool,
    /// Length of the result's text in bytes.
    pub bytes: u64,
    /// Exit code of a failed command; `None` for others.
    pub exit_code: Option<i32>,
    /// Who allowed or refused the call (`permissionDecision.source`).
    pub decision: Option<Arc<str>>,
    /// Lines added to files.
    pub lines_added: u32,
    /// Lines removed from files.
    pub lines_removed: u32,
    /// Web searches that it made.
    pub searches: u32,
    /// Where the row stands.
    pub place: RowPlace,
}

/// An event that is counted or shown by itself, identified by the row that tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowFact {
    /// `uuid` of its row; for a row without one, a hash of its content.
    pub id: RowId,
    /// When it happened, or when it ended if it took some time.
    pub time: Timestamp,
    /// Where the row stands, if it may be read again for its text; otherwise `None`.
    pub place: Option<RowPlace>,
    /// The event.
    pub what: Fact,
    /// True if its span has left; always false for events that have no span of their own.
    pub sent: bool,
}

impl Parts {
    /// Notes that the turn is over: results that another process filled in are final.
    pub fn give_up(&mut self) {
        let is_filled_in = |tool: &&mut Tool| tool.result.as_ref().is_some_and(|end| end.filled_in);
        self.tools.iter_mut().filter(is_filled_in).for_each(|tool| tool.given_up = true);
    }

    /// Number of parts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.messages.len() + self.tools.len() + self.rows.len()
    }

    /// True if there are no parts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if there is nothing that is in a sum or in an answer.
    #[must_use]
    pub fn tells_nothing(&self) -> bool {
        self.tools.is_empty() && self.rows.is_empty() && self.messages.iter().all(Message::is_superseded)
    }

    /// Appends the parts of a later section.
    pub fn append(&mut self, mut later: Self) {
        self.messages.append(&mut later.messages);
        self.tools.append(&mut later.tools);
        self.rows.append(&mut later.rows);
    }

    /// The hash of every identity that leads to these parts.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let messages = self.messages.iter().map(|message| Identity::Message(&message.id).hash());
        let names = self.messages.iter().flat_map(|message| message.names.iter().copied());
        let calls = self.tools.iter().map(|tool| Identity::Call(&tool.id).hash());
        let rows = self.rows.iter().map(|row| Identity::Row(row.id).hash());
        messages.chain(names).chain(calls).chain(rows)
    }

    /// The response with this id.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<&Message> {
        self.messages.iter().rfind(|message| *message.id == *id)
    }

    /// The response of an id.
    pub fn message_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rfind(|message| *message.id == *id)
    }

    /// The response that has this hash among [`Message::names`].
    #[must_use]
    pub fn named(&self, name: u64) -> Option<&Message> {
        self.messages.iter().rfind(|message| message.names.contains(&name))
    }

    /// The tool call with this id.
    #[must_use]
    pub fn tool(&self, id: &str) -> Option<&Tool> {
        self.tools.iter().rfind(|tool| *tool.id == *id)
    }

    /// The tool call of an id.
    pub fn tool_mut(&mut self, id: &str) -> Option<&mut Tool> {
        self.tools.iter_mut().rfind(|tool| *tool.id == *id)
    }

    /// Computes the cost of every response again.
    pub fn reprice(&mut self, prices: &Prices) {
        for message in &mut self.messages {
            message.shares = message.priced(prices);
        }
    }

    /// The event with this id.
    pub(super) fn row(&self, id: RowId) -> Option<&RowFact> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(super) fn row_mut(&mut self, id: RowId) -> Option<&mut RowFact> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    /// Failed API attempts, in the order in which they came.
    pub fn failures(&self) -> impl Iterator<Item = (&RowFact, ApiError)> {
        self.rows.iter().filter_map(|row| match &row.what {
            Fact::Failure(what) => Some((row, *what)),
            _ => None,
        })
    }

    /// Compactions, in the order in which they came. Each is a span.
    pub fn compactions(&self) -> impl Iterator<Item = (&RowFact, &Compaction)> {
        self.rows.iter().filter_map(|row| match &row.what {
            Fact::Compaction(what) => Some((row, what)),
            _ => None,
        })
    }

    /// [`Parts::compactions`], to be marked as sent.
    pub fn compactions_mut(&mut self) -> impl Iterator<Item = &mut RowFact> {
        self.rows.iter_mut().filter(|row| matches!(row.what, Fact::Compaction(_)))
    }

    /// Ids of the compactions whose spans have not left.
    pub fn unsent_compactions(&self) -> impl Iterator<Item = Box<str>> {
        self.compactions().filter(|(row, _)| !row.sent).map(|(row, _)| row.id.to_string().into())
    }

    /// Hooks that ran, in the order in which they came.
    pub fn hooks(&self) -> impl Iterator<Item = (&RowFact, &Hook)> {
        self.rows.iter().filter_map(|row| match &row.what {
            Fact::Hook(what) => Some((row, what)),
            _ => None,
        })
    }
}

impl RowFact {
    /// True if both are events of the same kind.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.what) == std::mem::discriminant(&other.what)
    }
}

impl Call {
    /// [`Message::told_id`] of the response that called.
    #[must_use]
    pub fn told_message(&self) -> &str {
        self.message.split(RUN).next().unwrap_or(&self.message)
    }
}

impl Message {
    /// Begins the ids of parts that are no responses: a control character, which no id of the API has.
    const REST: &'static str = "\u{2}rest ";

    /// The id of the part that holds what the client counted of a model in a run of a session and no response explains.
    pub(super) fn rest_id(session: &SessionId, run: RunId, model: &str) -> Box<str> {
        format!("{}{} {} {model}", Self::REST, session.0, run.0).into()
    }

    /// True for a part that is no response, and holds what the client's account has beyond all responses.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.id.starts_with(Self::REST)
    }

    /// True for a rest of a session that has a session file since, which tells instead of it. Counters have counted it, and so
    /// it is kept for them until responses come to explain it. It is in no sum and in no answer.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.in_file && self.is_rest()
    }

    /// Tokens and cost of each model that took part; nothing of a rest that was superseded.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        if self.is_superseded() { &[] } else { &self.shares }
    }

    /// The id as the client writes it. It is not unique if a gateway chose it.
    #[must_use]
    pub fn told_id(&self) -> &str {
        self.id.split(RUN).next().unwrap_or(&self.id)
    }

    /// Tokens and cost of each model that took part, at these prices.
    pub(super) fn priced(&self, prices: &Prices) -> Vec<Share> {
        prices.shares(&Priced {
            model: &self.model,
            requested_model: self.requested_model.as_deref(),
            usage: &self.usage,
            at: self.rank.time,
            refused: self.stop == Some(Stop::Refusal),
        })
    }
}

impl Tool {
    /// Every sub-agent that it started or sent a message to.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.agent.iter().chain(&self.more_agents)
    }

    /// The result, unless another process filled it in and the real one may still come.
    #[must_use]
    pub fn told_result(&self) -> Option<&ToolEnd> {
        self.result.as_ref().filter(|end| !end.filled_in || self.given_up)
    }

    /// Milliseconds from call to result; `None` while the tool runs, and if the time of the result cannot be used.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        let (call, end) = (self.call.as_ref()?, self.result.as_ref()?);
        // A copy may be stamped with the moment of a resume.
        let says_nothing = end.filled_in || call.rank.copy && end.rank.time < call.rank.time;
        (!says_nothing).then(|| end.rank.time.since_ms(call.rank.time))
    }

    /// True if the call is known and has no result yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.call.is_some() && self.result.is_none()
    }

    /// True if its span cannot change any more and no sub-agent is below it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.call.is_some() && self.result.as_ref().is_some_and(|end| !end.filled_in) && self.agent.is_none()
    }
}

/// Ids of the summary rows of Stop hooks that also have a row of their own, which comes first. They are not counted
/// again.
#[must_use]
pub fn summed_up(parts: &Parts) -> Vec<RowId> {
    let is_summary = |hook: &Hook| hook.kind == HookKind::StopSummary;
    let told = parts.hooks().filter(|(_, hook)| !is_summary(hook) && hook.holds_the_answer());
    let mut told: Vec<_> = told.map(|(row, hook)| (hook.duration_ms, row.time)).collect();
    let mut summed_up = Vec::new();
    for (row, hook) in parts.hooks().filter(|(_, hook)| is_summary(hook)) {
        let same = told.iter().position(|(duration, time)| *duration == hook.duration_ms && *time <= row.time);
        if let Some(position) = same {
            told.remove(position);
            summed_up.push(row.id);
        }
    }
    summed_up
}
