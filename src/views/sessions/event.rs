//! One event of a session, as the replay answers it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::RowPlace;
use crate::transcript::expected::Expected;
use crate::transcript::time::Timestamp;
use crate::views::sessions::kinds::EventKind;

/// One thing that happened in a session.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Event {
    /// Position in the whole session, from 0.
    pub index: usize,
    /// When it happened, RFC 3339 UTC in milliseconds.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened, with the ids and numbers of its kind.
    #[serde(flatten)]
    pub detail: Detail,
    /// Id of the sub-agent that it happened in; `null` for the main thread.
    pub agent: Option<Arc<str>>,
    /// Id of the sub-agent that started that sub-agent; `null` if the main thread did, or nobody tells.
    pub parent_agent: Option<Arc<str>>,
    /// How deep that sub-agent is nested: 0 for the main thread, 1 for a sub-agent that it started, and so on.
    pub depth: usize,
    /// Turn of the session, from 1; `null` before the first and for sub-agents that no known call started.
    pub turn: Option<usize>,
    /// How long after the event before it in the session; `null` for the first one.
    pub gap_seconds: Option<f64>,
    /// How long it took: a message from request to last row, a result from its call, an agent from its start.
    pub duration_seconds: Option<f64>,
    /// How it ended: stop reason, outcome of the call, reason of the failure or of the agent's end.
    pub outcome: Option<Arc<str>>,
    /// Tokens of all messages up to this event, its own included.
    pub tokens_so_far: Tokens,
    /// List price of these tokens in US dollars, without those that have no price.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub cost_usd_so_far: Money,
    /// How many seconds of the critical path of its turn ended with it: a message or a result. Left out of others, and
    /// of those that the turn did not wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_path_seconds: Option<f64>,
    /// Where the text of the event stands in the session files; `None` if it has none.
    #[serde(skip)]
    pub source: Option<TextSource>,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Detail {
    /// A prompt reached the model.
    Prompt {
        /// `uuid` of its row.
        uuid: String,
        /// Who asked: `human`, `sdk` and the like.
        origin: &'static str,
        /// Length in characters.
        chars: u32,
    },
    /// A sub-agent began.
    SubagentStart {
        agent_type: Option<Arc<str>>,
        /// The call that started it.
        tool_call_id: Option<Box<str>>,
        /// True if it goes on after its call has returned.
        background: bool,
    },
    /// An API attempt failed.
    ApiError {
        /// `uuid` of its row.
        uuid: String,
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// Number of the attempt, from 1; 0 if the row does not tell it.
        attempt: u32,
        /// Wait before the next attempt in seconds; 0 after the last.
        retry_in_seconds: f64,
    },
    /// The client went on with another model.
    ModelChange {
        /// `uuid` of its row.
        uuid: String,
        /// The model before.
        from: Arc<str>,
        /// The model after.
        to: Arc<str>,
        /// Why, for example `overloaded`.
        trigger: Arc<str>,
    },
    /// An API response was complete.
    Message {
        message_id: Box<str>,
        /// `requestId`
        request_id: Option<Box<str>>,
        /// Canonical id of the model.
        model: Arc<str>,
        /// Tokens of the response, at all models that it was billed at.
        tokens: Tokens,
        /// List price of these tokens in US dollars; `null` if none of them has a price.
        #[serde(serialize_with = "as_text_or_null")]
        #[schemars(with = "Option<String>")]
        cost_usd: Option<Money>,
        /// How many of these tokens have no price.
        unpriced_tokens: u64,
        /// Seconds from the request, of several attempts the last one, to the first piece of the response. Left out where
        /// no stream with partial messages tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        ttft_seconds: Option<f64>,
    },
    /// A tool was called.
    ToolCall {
        /// `tool_use.id`
        tool_call_id: Box<str>,
        /// Name of the tool.
        tool: Arc<str>,
        /// The message that made the call.
        message_id: Box<str>,
        /// When a person or a program was asked whether it may run, RFC 3339 UTC. Left out unless a stream shows that.
        #[serde(skip_serializing_if = "Option::is_none")]
        permission_requested_at: Option<String>,
    },
    /// A tool call ended.
    ToolResult {
        /// `tool_use.id`
        tool_call_id: Box<str>,
        /// Name of the tool; `null` if its call was not seen.
        tool: Option<Arc<str>>,
        /// Bytes of the result's text.
        bytes: u64,
        /// Exit code of a failed command.
        exit_code: Option<i32>,
        /// Who allowed or refused the call.
        decision: Option<Arc<str>>,
        /// True if the client filled it in at a later resume: its time is not the end of the call then.
        filled_in: bool,
        /// Seconds for which the call waited until somebody answered whether it may run. Left out unless a stream shows
        /// exactly that: for calls that were refused, questions to a person and edits of files.
        #[serde(skip_serializing_if = "Option::is_none")]
        permission_wait_seconds: Option<f64>,
    },
    /// The conversation was compacted.
    Compaction {
        /// `uuid` of its row.
        uuid: String,
        /// `manual` or `auto`.
        trigger: &'static str,
        /// Tokens of the conversation before the compaction.
        tokens_before: u64,
        tokens_after: u64,
    },
    /// A hook ran; `outcome` says how it ended.
    Hook {
        /// `uuid` of its row.
        uuid: String,
        /// Name of the hook, for example `PostToolUse:Bash`.
        name: Arc<str>,
        /// The client's event that it ran for, for example `PostToolUse`.
        event: Arc<str>,
        /// The call that it ran for; `null` if it ran for none.
        tool_call_id: Option<Box<str>>,
        exit_code: Option<i32>,
    },
    /// The running turn took up a prompt that was given while it ran.
    QueuedPrompt {
        /// `uuid` of its row.
        uuid: String,
        /// Who asked.
        origin: &'static str,
        /// Length in characters.
        chars: u32,
    },
    /// Work in the background ended while the turn ran.
    TaskEnd {
        /// `uuid` of its row.
        uuid: String,
        /// Id of the task; if the task is a sub-agent, the agent's id.
        task_id: Option<Box<str>>,
        /// The call that started it.
        tool_call_id: Option<Box<str>>,
    },
    /// The session made a pull request, or works on one.
    PullRequest {
        number: u64,
        /// Address of the pull request.
        url: Arc<str>,
        /// Repository of the pull request, `owner/name`.
        repository: Option<Arc<str>>,
    },
    /// The client wrote a summary of what was done while the person was away.
    AwaySummary {
        /// `uuid` of its row.
        uuid: String,
        /// Length in characters.
        chars: u32,
    },
    /// Plan mode began or ended.
    PlanMode {
        /// `uuid` of its row.
        uuid: String,
        /// True if it began, false if it ended.
        begins: bool,
    },
    /// The API ran a tool inside a response.
    ServerTool {
        /// `uuid` of the row in which it began.
        uuid: String,
        /// Name of the tool, for example `advisor`.
        tool: Arc<str>,
    },
    /// A person interrupted.
    Interrupt,
    /// A sub-agent ended.
    SubagentEnd {
        agent_type: Option<Arc<str>>,
        /// The call that started it.
        tool_call_id: Option<Box<str>>,
    },
}

impl Detail {
    /// The kind of the event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Prompt { .. } => EventKind::Prompt,
            Self::SubagentStart { .. } => EventKind::SubagentStart,
            Self::ApiError { .. } => EventKind::ApiError,
            Self::ModelChange { .. } => EventKind::ModelChange,
            Self::Message { .. } => EventKind::Message,
            Self::ToolCall { .. } => EventKind::ToolCall,
            Self::ToolResult { .. } => EventKind::ToolResult,
            Self::Compaction { .. } => EventKind::Compaction,
            Self::Hook { .. } => EventKind::Hook,
            Self::QueuedPrompt { .. } => EventKind::QueuedPrompt,
            Self::TaskEnd { .. } => EventKind::TaskEnd,
            Self::PullRequest { .. } => EventKind::PullRequest,
            Self::AwaySummary { .. } => EventKind::AwaySummary,
            Self::PlanMode { .. } => EventKind::PlanMode,
            Self::ServerTool { .. } => EventKind::ServerTool,
            Self::Interrupt => EventKind::Interrupt,
            Self::SubagentEnd { .. } => EventKind::SubagentEnd,
        }
    }
}

/// Where the text of an event stands in the session files, and what must be found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSource {
    /// The places of its rows, in order.
    pub rows: Vec<RowPlace>,
    /// What each of these rows must be.
    pub expected: Expected,
}

/// Writes a time as RFC 3339 UTC in milliseconds.
pub(super) fn as_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339())
}

/// Writes money as exact decimal text.
pub(super) fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

fn as_text_or_null<S: Serializer>(money: &Option<Money>, serializer: S) -> Result<S::Ok, S::Error> {
    match money {
        Some(money) => as_text(money, serializer),
        None => serializer.serialize_none(),
    }
}
