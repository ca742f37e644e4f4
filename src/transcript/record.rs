//! One line of a file, reduced to what is counted or shown. Text stays in the file and is found again by offset.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AgentId, RowId, SessionId};
pub use super::moment::{
    API_ERROR_REASONS, ApiError, Compaction, Ending, Fact, Fallback, Hook, HookKind, Note, PullRequest,
};
pub use super::origin::Origin;
use super::time::Timestamp;
pub use super::usage::UnreadableUsage;
use super::usage::Usage;

/// Where a line stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinePlace {
    /// Byte offset of the line's first byte.
    pub offset: u64,
    /// Bytes of the line without its newline.
    pub bytes: u32,
}

/// One line, or some of the blocks of one that holds very many.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub place: LinePlace,
    /// What it says.
    pub body: RowBody,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum RowBody {
    /// A row of the conversation: user, assistant or system.
    Row(Box<Row>),
    /// `api-request`: an attempt to call the API begins.
    ApiRequest {
        /// When it began.
        time: Timestamp,
    },
    /// `queue-operation`: a prompt waits, or waits no longer.
    Queue {
        /// What happened to the queue.
        step: QueueStep,
        /// When.
        time: Timestamp,
    },
    /// `cost-state`: the client's own account of the session so far.
    CostState(Box<CostState>),
    /// `custom-title`, `ai-title` or `agent-name`.
    Title {
        /// The session it names.
        session: SessionId,
        /// The title, without its secrets.
        title: Arc<str>,
        /// Who chose it.
        by: TitleBy,
    },
    /// `summary`: a title of the session that owns a row.
    Summary {
        /// `leafUuid`: the row.
        leaf: RowId,
        /// The title, without its secrets.
        title: Arc<str>,
    },
    /// `continued-in`: another session goes on with the turn that runs.
    Continued {
        /// The session that ends here.
        session: SessionId,
        /// The session that goes on.
        into: SessionId,
    },
    /// `pr-link`.
    PullRequest {
        session: SessionId,
        /// When it was written; the client writes the row again and again.
        time: Option<Timestamp>,
        /// Which.
        what: PullRequest,
    },
    /// `cost-state` with a figure that no client can mean.
    Implausible,
    /// The `.meta.json` beside a sub-agent's file.
    AgentMeta(Box<AgentMeta>),
    /// A type that the client is known to write and that holds nothing to count.
    Noted,
    /// A type that nobody has described yet.
    Unknown(Arc<str>),
    /// A line that could not be read.
    Rejected(Reason),
}

/// Who chose a title. The greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum TitleBy {
    /// An old client, when the session was over (`summary`).
    #[default]
    Summary,
    /// The name of a session in the background (`agent-name`).
    AgentName,
    /// The client (`ai-title`).
    Client,
    /// A person (`custom-title`).
    Person,
}

/// What happened to the queue of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueStep {
    /// One was put in.
    Enqueue,
    /// The first one left, to be asked.
    Dequeue,
    /// Anything else: what waits is no longer known.
    Other,
}

/// Why a line was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Not JSON: torn by a crash, or damaged.
    NotJson,
    /// JSON, but not an object.
    NotAnObject,
    /// Longer than the longest line that is read.
    TooLong,
}

impl Reason {
    /// Every reason, in the order of the metric's series.
    pub const ALL: [Self; 3] = [Self::NotJson, Self::NotAnObject, Self::TooLong];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::TooLong => "too_long",
        }
    }
}

/// What every row of the conversation carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `uuid`; of a row without one, a hash of its place and content.
    pub id: RowId,
    /// `parentUuid`.
    pub parent: Option<RowId>,
    /// `sessionId`.
    pub session: Option<SessionId>,
    /// `agentId`.
    pub agent: Option<AgentId>,
    /// `isSidechain`.
    pub sidechain: bool,
    /// `forkedFrom`: the session that this row was copied from.
    pub forked_from: Option<SessionId>,
    pub time: Option<Timestamp>,
    /// `cwd`, which follows the shell's `cd`.
    pub cwd: Option<Arc<str>>,
    /// `gitBranch`; empty is none.
    pub branch: Option<Arc<str>>,
    /// `version` of the client.
    pub version: Option<Arc<str>>,
    /// `entrypoint`: `cli`, `sdk-cli`, ...
    pub entrypoint: Option<Arc<str>>,
    /// The kind of row and its own part.
    pub kind: RowKind,
}

impl Row {
    /// How many tool calls or results it holds: what folding it costs.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        match &self.kind {
            RowKind::Assistant(assistant) => assistant.calls.len(),
            RowKind::User(User { said: Said::Results(results), .. }) => results.len(),
            _ => 0,
        }
    }
}

/// The kinds of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum RowKind {
    User(User),
    Assistant(Box<Assistant>),
    /// A row that counts or shows by itself.
    Fact {
        /// What it tells of.
        what: Fact,
        /// When that was, if it was before the row was written.
        time: Option<Timestamp>,
    },
    /// `system/stop_hook_summary`: the Stop hooks that ran at the end of a turn.
    StopHooks {
        /// Each of them.
        hooks: Vec<Hook>,
        /// None of them asked the model to go on.
        ends_turn: bool,
    },
    /// A row that says that the turn is over, and nothing else.
    Ended(Ending),
    /// `system/turn_duration` of the terminal client: milliseconds of the turn without waiting for the user.
    TurnDuration(Option<u64>),
    /// Any other row: it marks that the session was alive.
    Other,
}

impl From<Fact> for RowKind {
    fn from(what: Fact) -> Self {
        Self::Fact { what, time: None }
    }
}

/// A `user` row.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// `promptId`.
    pub prompt_id: Option<RowId>,
    /// `turnPosition.turnIndex`: the number of the turn in its session, copies in forks included.
    pub turn_index: Option<u32>,
    /// What kind of user row.
    pub said: Said,
    /// xxh3-64 of the text, to find the call that started an inline sub-agent; 0 without text.
    pub text_hash: u64,
    /// Characters of the text.
    pub text_chars: u32,
    /// Name of the slash command that the prompt is, with its slash.
    pub command: Option<Arc<str>>,
    /// xxh3-64 of the text of each block of a prompt, 0 for one without text: what tells copies of it.
    pub blocks: Vec<u64>,
    /// `promptSource`: how the prompt came to the client.
    pub source: Option<Arc<str>>,
    /// `sessionKind` says that the session runs in the background.
    pub background: bool,
    /// `toolEndsTurn`: nothing follows the result in this turn.
    pub ends_turn: bool,
}

/// What a user row is.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A prompt that goes to the model.
    Prompt(Origin),
    /// Results of tool calls.
    Results(Vec<ToolResult>),
    /// `[Request interrupted by user]`.
    Interrupt,
    /// A `!` line: a turn of a person if the model is called with what it printed.
    ShellLine,
    /// Words of a hook that the model has to answer.
    Feedback,
    /// Meta rows, compact summaries, local commands and their output: no turn of their own.
    Aside,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Without error.
    Ok,
    /// `is_error` is true.
    Failed,
    /// Refused by a person, a rule, a mode or a hook.
    Denied,
    /// Stopped while it ran, or never ended because its process was killed.
    Interrupted,
}

impl Outcome {
    /// The name used in answers and attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One `tool_result` block and what `toolUseResult` beside it says.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// `tool_use_id`.
    pub call: Box<str>,
    /// How the call ended.
    pub outcome: Outcome,
    /// The client wrote this result when the session was resumed, maybe days later: its time says nothing.
    pub filled_in: bool,
    /// Bytes of the result's text as it stands in the row.
    pub bytes: u64,
    /// `Exit code N` of a failed command.
    pub exit_code: Option<i32>,
    /// `permissionDecision.source`: who allowed or refused the call.
    pub decision: Option<Arc<str>>,
    /// `toolUseResult.agentId`.
    pub agent: Option<AgentId>,
    /// The call returned at once and its agent goes on in the background.
    pub background: bool,
    /// `toolUseResult.runId`: the run of the Workflow tool, which starts agents of its own.
    pub workflow: Option<Box<str>>,
    /// Lines added to files, by the patch that the row holds.
    pub lines_added: u32,
    /// Lines removed from files.
    pub lines_removed: u32,
    /// Web searches that the call made.
    pub searches: u32,
}

/// An `assistant` row: one content block of one API response.
#[derive(Debug, Clone, PartialEq)]
pub struct Assistant {
    /// `message.id`, else `requestId`, else the row's uuid.
    pub message: Box<str>,
    /// What that id is.
    pub identity: IdentityBy,
    /// `requestId`.
    pub request: Option<Box<str>>,
    /// `message.model`: what the API answered.
    pub model: Arc<str>,
    /// `requestedModel`: what the client asked for.
    pub requested_model: Option<Arc<str>>,
    /// `message.stop_reason`.
    pub stop: Option<Stop>,
    /// `message.usage`.
    pub usage: Usage,
    /// Why the usage cannot be read, if it cannot.
    pub unreadable_usage: Option<UnreadableUsage>,
    /// `effort`: how hard the model was asked to think.
    pub effort: Option<Arc<str>>,
    /// A tool that the API runs itself begins in this row.
    pub server_tool: Option<Arc<str>>,
    /// Tool calls in this row.
    pub calls: Vec<ToolCall>,
    /// Content that is not a tool call.
    pub says: Says,
    /// `requestSessionId`: the session that made the request, if this row is a copy in a fork.
    pub copied_from: Option<SessionId>,
    /// `attributionAgent`: the type of the sub-agent.
    pub agent_type: Option<Arc<str>>,
    /// `attributionSkill`: the skill whose instructions led to this response.
    pub skill: Option<Arc<str>>,
    /// A row that the client made itself (`<synthetic>`).
    pub synthetic: bool,
    /// The final failure of an API call, on a synthetic row.
    pub failure: Option<ApiError>,
}

/// What the id of a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityBy {
    /// `message.id` in the form that the API gives it.
    Api,
    /// `message.id` in another form: a name that a gateway chose, and another response may have the same.
    Gateway,
    /// `requestId`, or the row's `uuid`: the row has no `message.id`.
    Row,
}

/// Content of an assistant row besides tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Says {
    /// The row has a text block.
    pub text: bool,
    /// The row has a thinking block.
    pub thinking: bool,
    /// `thinkingDurationMs`.
    pub thinking_ms: u32,
}

/// One `tool_use` block.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    pub id: Box<str>,
    pub name: Arc<str>,
    /// `input.subagent_type`.
    pub agent_type: Option<Arc<str>>,
    /// xxh3-64 of `input.prompt`; 0 without one.
    pub prompt_hash: u64,
    /// `input.skill` of the Skill tool.
    pub skill: Option<Arc<str>>,
}

/// `stop_reason`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    EndTurn,
    StopSequence,
    MaxTokens,
    Refusal,
    ToolUse,
    /// Any other.
    Other(Arc<str>),
}

impl Stop {
    /// The value as the API writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::StopSequence => "stop_sequence",
            Self::MaxTokens => "max_tokens",
            Self::Refusal => "refusal",
            Self::ToolUse => "tool_use",
            Self::Other(name) => name,
        }
    }

    /// True if the model has nothing more to say in this turn.
    #[must_use]
    pub const fn ends_turn(&self) -> bool {
        matches!(self, Self::EndTurn | Self::StopSequence | Self::MaxTokens | Self::Refusal)
    }
}

/// `cost-state`: cumulative over the session, forked history included.
#[derive(Debug, Clone, PartialEq)]
pub struct CostState {
    pub session: SessionId,
    /// `totalCostUSD` in US dollars, as the client's floating point sum.
    pub usd: f64,
    /// `startTime` in milliseconds since 1970: sessions with the same one are summed up in one figure.
    pub started: Option<u64>,
}

/// `agent-<id>.meta.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentMeta {
    /// The session whose folder the file is in.
    pub session: SessionId,
    pub agent: AgentId,
    /// `agentType`.
    pub agent_type: Option<Arc<str>>,
    /// `toolUseId`: the call that started it.
    pub call: Option<Box<str>>,
    /// `requestShape == "background"`.
    pub background: bool,
}
