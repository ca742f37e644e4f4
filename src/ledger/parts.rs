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
use crate::transcript::record::{
    ApiError, Compaction, Fallback, Hook, HookKind, Note, Outcome, Says, Stop, UnreadableUsage,
};
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
    /// Failed API attempts.
    pub failures: Vec<Failure>,
    /// Compactions.
    pub compactions: Vec<Compacted>,
    /// Hooks that ran.
    pub hooks: Vec<HookRun>,
    /// Changes to another model.
    pub fallbacks: Vec<FellBack>,
    /// What a person did or was told.
    pub notes: Vec<Noted>,
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

/// A failed API attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// `uuid` of its row.
    pub id: RowId,
    /// When.
    pub time: Timestamp,
    /// What.
    pub error: ApiError,
}

/// A compaction of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compacted {
    /// `uuid` of its row.
    pub id: RowId,
    /// When it had ended.
    pub time: Timestamp,
    /// What it did.
    pub what: Compaction,
    /// Its span has left.
    pub sent: bool,
}

/// A hook that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// `uuid` of its row.
    pub id: RowId,
    /// When it had ended.
    pub time: Timestamp,
    /// What it was.
    pub what: Hook,
}

/// The client went on with another model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FellBack {
    /// `uuid` of its row.
    pub id: RowId,
    /// When.
    pub time: Timestamp,
    /// From what to what.
    pub what: Fallback,
}

/// Something that a person did or was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    /// `uuid` of its row; of a row without one, a hash of what it names.
    pub id: RowId,
    /// When.
    pub time: Timestamp,
    /// Where the row stands.
    pub place: RowPlace,
    /// What.
    pub what: Note,
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
        self.messages.len()
            + self.tools.len()
            + self.failures.len()
            + self.compactions.len()
            + self.hooks.len()
            + self.fallbacks.len()
            + self.notes.len()
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
        self.failures.append(&mut later.failures);
        self.compactions.append(&mut later.compactions);
        self.hooks.append(&mut later.hooks);
        self.fallbacks.append(&mut later.fallbacks);
        self.notes.append(&mut later.notes);
    }

    /// Every identity that leads here.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let messages = self.messages.iter().map(|message| Identity::Message(&message.id).hash());
        let calls = self.tools.iter().map(|tool| Identity::Call(&tool.id).hash());
        let failures = self.failures.iter().map(|failure| Identity::Row(failure.id).hash());
        let compactions = self.compactions.iter().map(|compaction| Identity::Row(compaction.id).hash());
        let hooks = self.hooks.iter().map(|hook| Identity::Row(hook.id).hash());
        let fallbacks = self.fallbacks.iter().map(|fallback| Identity::Row(fallback.id).hash());
        let notes = self.notes.iter().map(|note| Identity::Row(note.id).hash());
        let names = self.messages.iter().flat_map(|message| message.names.iter().copied());
        let messages = messages.chain(names).chain(notes);
        messages.chain(calls).chain(failures).chain(compactions).chain(hooks).chain(fallbacks)
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

    /// Time of a row that counts by its uuid, if it is here.
    pub(super) fn row_time(&self, id: RowId) -> Option<Timestamp> {
        let failures = self.failures.iter().map(|failure| (failure.id, failure.time));
        let compactions = self.compactions.iter().map(|done| (done.id, done.time));
        let hooks = self.hooks.iter().map(|hook| (hook.id, hook.time));
        let fallbacks = self.fallbacks.iter().map(|fallback| (fallback.id, fallback.time));
        let notes = self.notes.iter().map(|note| (note.id, note.time));
        let mut rows = failures.chain(compactions).chain(hooks).chain(fallbacks).chain(notes);
        rows.find(|(row, _)| *row == id).map(|(_, time)| time)
    }

    pub(super) fn row_time_mut(&mut self, id: RowId) -> Option<&mut Timestamp> {
        let failures = self.failures.iter_mut().map(|failure| (failure.id, &mut failure.time));
        let compactions = self.compactions.iter_mut().map(|done| (done.id, &mut done.time));
        let hooks = self.hooks.iter_mut().map(|hook| (hook.id, &mut hook.time));
        let fallbacks = self.fallbacks.iter_mut().map(|fallback| (fallback.id, &mut fallback.time));
        let notes = self.notes.iter_mut().map(|note| (note.id, &mut note.time));
        let mut rows = failures.chain(compactions).chain(hooks).chain(fallbacks).chain(notes);
        rows.find(|(row, _)| *row == id).map(|(_, time)| time)
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
    let is_summary = |hook: &&HookRun| hook.what.kind == HookKind::StopSummary;
    let told = parts.hooks.iter().filter(|hook| !is_summary(hook) && hook.what.holds_the_answer());
    let mut told: Vec<_> = told.map(|hook| (hook.what.duration_ms, hook.time)).collect();
    let mut summed_up = Vec::new();
    for hook in parts.hooks.iter().filter(is_summary) {
        let same = told.iter().position(|(duration, time)| *duration == hook.what.duration_ms && *time <= hook.time);
        if let Some(position) = same {
            told.remove(position);
            summed_up.push(hook.id);
        }
    }
    summed_up
}
