//! The parts of a unit: responses, tool calls and what else happened, each with an identity.
//!
//! A unit holds its parts itself up to [`PARTS_MAX`]. Beyond that they lie in *sections*, each of at most so many parts,
//! stored and loaded one by one: what a commit costs follows what came, not what was there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::keys::{Identity, UnitId};
use super::place::{Rank, RowPlace};
use super::prices::{Priced, Prices, Share};
use crate::transcript::ids::{AgentId, RUN, RowId};
use crate::transcript::record::{ApiError, Compaction, Fact, Hook, HookKind, Outcome, Says, Stop, UnreadableUsage};
use crate::transcript::time::Timestamp;
use crate::transcript::usage::Usage;

/// Parts that a unit, or one of its sections, holds at most: some 25 kB.
pub const PARTS_MAX: usize = 128;

/// Rows that are kept of one response; the text of further ones is not shown.
pub const ROWS_MAX: usize = 1024;

/// Responses, tool calls and what else happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// API responses.
    pub messages: Vec<Message>,
    /// Tool calls.
    pub tools: Vec<Tool>,
    /// What counts or shows by its row, in the order in which it came.
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
    /// Maximum of each field over all rows.
    pub usage: Usage,
    /// `stop_reason`, once a row has one.
    pub stop: Option<Stop>,
    /// The best row so far.
    pub rank: Rank,
    /// When the request began: `api-request`, else the row that was answered.
    pub start: Timestamp,
    /// Time of the last row.
    pub end: Timestamp,
    /// The rows, one per content block.
    pub rows: Vec<RowPlace>,
    /// What it says besides tool calls.
    pub says: Says,
    /// The skill whose instructions led to it.
    pub skill: Option<Arc<str>>,
    /// How hard the model was asked to think.
    pub effort: Option<Arc<str>>,
    /// Of an id that a gateway chose: hashes of [`Identity::NamedRow`] and [`Identity::NamedUsage`] of its rows.
    pub names: Vec<u64>,
    /// A resume stamped its rows anew: its times say nothing.
    pub undated: bool,
    /// Why no row tells all that it used, if none does.
    pub unreadable_usage: Option<UnreadableUsage>,
    /// It has no id that the API gave it.
    pub unidentified: bool,
    /// Tokens and cost by model.
    pub shares: Vec<Share>,
    /// A later row of the thread is known: no further row of this message is expected.
    pub closed: bool,
    /// Its span has left.
    pub sent: bool,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `tool_use.id`
    pub id: Box<str>,
    /// The call; `None` while only its result is known.
    pub call: Option<Call>,
    /// The result; `None` while it runs.
    pub result: Option<ToolEnd>,
    /// The sub-agent it started.
    pub agent: Option<AgentId>,
    /// Further sub-agents, of a call that starts several.
    pub more_agents: Vec<AgentId>,
    /// That sub-agent goes on after the call has returned.
    pub background: bool,
    /// Its turn is over: what another process filled in for its result stays.
    pub given_up: bool,
    /// Its span has left.
    pub sent: bool,
}

/// The calling side of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the tool.
    pub name: Arc<str>,
    /// Best row so far; its time is the start of the call.
    pub rank: Rank,
    /// Where the row stands.
    pub place: RowPlace,
    /// `message.id` of the response that called.
    pub message: Box<str>,
    /// `input.subagent_type`
    pub agent_type: Option<Arc<str>>,
    /// Hash of `input.prompt`; 0 without one.
    pub prompt_hash: u64,
    /// The skill that a call of the Skill tool names.
    pub skill: Option<Arc<str>>,
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolEnd {
    /// Best row so far; its time is the end of the call.
    pub rank: Rank,
    /// How it ended.
    pub outcome: Outcome,
    /// Written at a later resume: its time is not the end of the call.
    pub filled_in: bool,
    /// Bytes of the result's text.
    pub bytes: u64,
    /// Exit code of a failed command.
    pub exit_code: Option<i32>,
    /// Who allowed or refused it.
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

/// Something that counts or shows by the `uuid` of the row that tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowFact {
    /// `uuid` of its row; of a row without one, a hash of what it names.
    pub id: RowId,
    /// When; of what took some time, when it had ended.
    pub time: Timestamp,
    /// Where the row stands, of one that is read again for its text.
    pub place: Option<RowPlace>,
    /// What.
    pub what: Fact,
    /// Its span has left; always false of what has none of its own.
    pub sent: bool,
}

impl Parts {
    /// Says that the turn is over: of calls whose result another process filled in no other will come.
    pub fn give_up(&mut self) {
        let is_filled_in = |tool: &&mut Tool| tool.result.as_ref().is_some_and(|end| end.filled_in);
        self.tools.iter_mut().filter(is_filled_in).for_each(|tool| tool.given_up = true);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.messages.len() + self.tools.len() + self.rows.len()
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the parts of a later section in.
    pub fn append(&mut self, mut later: Self) {
        self.messages.append(&mut later.messages);
        self.tools.append(&mut later.tools);
        self.rows.append(&mut later.rows);
    }

    /// Every identity that leads here.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let messages = self.messages.iter().map(|message| Identity::Message(&message.id).hash());
        let names = self.messages.iter().flat_map(|message| message.names.iter().copied());
        let calls = self.tools.iter().map(|tool| Identity::Call(&tool.id).hash());
        let rows = self.rows.iter().map(|row| Identity::Row(row.id).hash());
        messages.chain(names).chain(calls).chain(rows)
    }

    /// The response of an id.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<&Message> {
        self.messages.iter().rfind(|message| *message.id == *id)
    }

    /// The response of an id.
    pub fn message_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rfind(|message| *message.id == *id)
    }

    /// The response that a row belongs to whose id a gateway chose, by what names the row.
    #[must_use]
    pub fn named(&self, name: u64) -> Option<&Message> {
        self.messages.iter().rfind(|message| message.names.contains(&name))
    }

    /// The tool call of an id.
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

    /// What counts or shows by a row.
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

    /// [`Parts::compactions`], to be marked.
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
    /// True if both tell of the same kind of thing.
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
    /// The id as the client tells it; a gateway may give several responses the same.
    #[must_use]
    pub fn told_id(&self) -> &str {
        self.id.split(RUN).next().unwrap_or(&self.id)
    }

    /// Tokens and cost by model, at these prices.
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
    /// Every sub-agent that it started or spoke to.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.agent.iter().chain(&self.more_agents)
    }

    /// The result, unless another process filled it in and the real one may still come.
    #[must_use]
    pub fn told_result(&self) -> Option<&ToolEnd> {
        self.result.as_ref().filter(|end| !end.filled_in || self.given_up)
    }

    /// Milliseconds from call to result; `None` while it runs and where the result's time says nothing.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        let (call, end) = (self.call.as_ref()?, self.result.as_ref()?);
        // A copy may be stamped with the moment of a resume.
        let says_nothing = end.filled_in || call.rank.copy && end.rank.time < call.rank.time;
        (!says_nothing).then(|| end.rank.time.since_ms(call.rank.time))
    }

    /// True if it was called and has no result yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.call.is_some() && self.result.is_none()
    }

    /// True if its span cannot change any more, and has no sub-agent below it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.call.is_some() && self.result.as_ref().is_some_and(|end| !end.filled_in) && self.agent.is_none()
    }
}

/// Stop hooks that the summary tells of and that have a row of their own: those count once. The row comes first.
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
