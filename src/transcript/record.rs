//! One line of a file, reduced to what is counted or shown. Text stays in the file and is found again by offset.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::extracts::Extracts;
use super::ids::{AgentId, RowId, SessionId};
pub use super::model_cost::ModelCost;
pub use super::moment::{
    API_ERROR_REASONS, ApiError, Compaction, Ending, Fact, Fallback, Hook, HookKind, Note, Offer, PullRequest,
    ServerOffer,
};
pub use super::origin::Origin;
pub use super::stop::Stop;
pub use super::stream_line::StreamLine;
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

/// One line, or a part of a line that holds very many blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where the line stands; the same for all parts of a line.
    pub place: LinePlace,
    /// What was read from the line.
    pub body: RowBody,
}

/// The content of a line, by its type.
#[derive(Debug, Clone, PartialEq)]
pub enum RowBody {
    /// A row of the conversation: user, assistant or system.
    Row(Box<Row>),
    /// `api-request`: an attempt to call the API begins.
    ApiRequest {
        /// When it began.
        time: Timestamp,
    },
    /// `queue-operation`: a prompt was added to the queue of waiting prompts, or left it.
    Queue {
        /// What happened to the queue.
        step: QueueStep,
        /// When it happened.
        time: Timestamp,
    },
    /// `cost-state`: the client's own account of the session so far.
    CostState(Box<CostState>),
    /// `custom-title`, `ai-title` or `agent-name`.
    Title {
        /// The session that the title is for.
        session: SessionId,
        /// The title, without its secrets.
        title: Arc<str>,
        /// Who chose the title.
        by: TitleBy,
    },
    /// `summary`: a title of the session to which the row `leaf` belongs.
    Summary {
        /// `leafUuid`: the id of that row.
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
    /// `pr-link`: a pull request that the session made or works on.
    PullRequest {
        session: SessionId,
        /// When the row was written; the client writes it again and again. `None` if it has no readable time.
        time: Option<Timestamp>,
        /// The pull request.
        what: PullRequest,
    },
    /// `cost-state` with a negative or absurdly large cost.
    Implausible,
    /// The `.meta.json` beside a sub-agent's file.
    AgentMeta(Box<AgentMeta>),
    /// A type that the client is known to write and that holds nothing to count.
    Noted,
    /// A type that nobody has described yet.
    Unknown(Arc<str>),
    /// A line of a stream that is not a row of the conversation.
    Stream(Box<StreamLine>),
    /// A line that could not be read.
    Rejected(Reason),
}

/// Who chose a title. Of several titles of a session the one with the greatest value wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum TitleBy {
    /// An old client, after the session (`summary`).
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
    /// A prompt was added.
    Enqueue,
    /// The first prompt left the queue and is being asked.
    Dequeue,
    /// Anything else: after it the content of the queue is unknown.
    Other,
}

/// Why a line was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Not JSON: torn by a crash, or damaged.
    NotJson,
    /// JSON, but not an object.
    NotAnObject,
    /// Longer than the longest line that is read, 64 MiB.
    TooLong,
}

impl Reason {
    /// Every reason, in the order in which the metric lists them.
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

/// A row of the conversation: the fields that all kinds share, and its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `uuid`; for a row without one, a hash of the line.
    pub id: RowId,
    /// `parentUuid`.
    pub parent: Option<RowId>,
    /// `sessionId`.
    pub session: Option<SessionId>,
    /// `agentId`.
    pub agent: Option<AgentId>,
    /// `isSidechain`: the row belongs to a sub-agent.
    pub sidechain: bool,
    /// `forkedFrom`: the session that this row was copied from.
    pub forked_from: Option<SessionId>,
    pub time: Option<Timestamp>,
    /// `cwd`: the current folder, which follows `cd` in the shell.
    pub cwd: Option<Arc<str>>,
    /// `gitBranch`; `None` if missing or empty.
    pub branch: Option<Arc<str>>,
    /// `version` of the client.
    pub version: Option<Arc<str>>,
    /// `entrypoint`: `cli`, `sdk-cli`, ...
    pub entrypoint: Option<Arc<str>>,
    /// The kind of row, with the fields of that kind.
    pub kind: RowKind,
}

impl Row {
    /// Number of tool calls or results in the row, which decides how long folding it takes.
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
    /// A row that tells of one event, which is counted or shown by itself.
    Fact {
        /// The event.
        what: Fact,
        /// When it happened, if that was before the row was written.
        time: Option<Timestamp>,
    },
    /// `system/stop_hook_summary`: the Stop hooks that ran at the end of a turn.
    StopHooks {
        /// The hooks that ran.
        hooks: Vec<Hook>,
        /// True if no hook asked the model to go on.
        ends_turn: bool,
    },
    /// A row that says that the turn is over, and nothing else.
    Ended(Ending),
    /// `system/turn_duration` of the terminal client: duration of the turn in milliseconds, without the time in which
    /// it waited for the user; `None` if the row does not say.
    TurnDuration(Option<u64>),
    /// Any other row, which only shows that the session was active.
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
    /// `turnPosition.turnIndex`: the number of the turn in its session; in a fork, copied turns are counted too.
    pub turn_index: Option<u32>,
    /// What kind of user row it is.
    pub said: Said,
    /// xxh3-64 of the text, by which the call that started an inline sub-agent is found; 0 without text.
    pub text_hash: u64,
    /// Characters of the text.
    pub text_chars: u32,
    /// Name of the slash command, with its slash; `None` if the prompt is not a command.
    pub command: Option<Arc<str>>,
    /// xxh3-64 of the text of each block of a prompt, by which copies of the prompt are recognised; 0 for a block
    /// without text. Empty for rows that are not prompts.
    pub blocks: Vec<u64>,
    /// `promptSource`: how the prompt came to the client.
    pub source: Option<Arc<str>>,
    /// True if `sessionKind` says that the session runs in the background.
    pub background: bool,
    /// `toolEndsTurn`: the turn is over after this result.
    pub ends_turn: bool,
    /// What the rules of custom metrics extracted of the text of a prompt.
    pub extracts: Extracts,
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
    /// A `!` line, which runs in the shell. It is a turn of a person if the model is called with its output.
    ShellLine,
    /// Text of a hook that the model has to answer.
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

/// One `tool_result` block, with the fields of the row's `toolUseResult` that belong to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// `tool_use_id`.
    pub call: Box<str>,
    /// How the call ended.
    pub outcome: Outcome,
    /// True if the client wrote this result only when the session was resumed, maybe days later, so that the time of
    /// the row is not the end of the call.
    pub filled_in: bool,
    /// Length of the result's text in bytes, decoded.
    pub bytes: u64,
    /// The N of `Exit code N`, of a failed command.
    pub exit_code: Option<i32>,
    /// `permissionDecision.source`: who allowed or refused the call.
    pub decision: Option<Arc<str>>,
    /// `toolUseResult.agentId` or `resumedAgentId`: the sub-agent that the call started or resumed.
    pub agent: Option<AgentId>,
    /// True if the call returned at once and its sub-agent goes on in the background.
    pub background: bool,
    /// `toolUseResult.runId`: the run of the Workflow tool, which starts agents of its own.
    pub workflow: Option<Box<str>>,
    /// Lines added to files, counted in the patch that the row holds.
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
    /// Where `message` comes from.
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
    /// Name of a tool that the API runs itself and that begins in this row.
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

/// Where the id of a response comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityBy {
    /// `message.id` in the form that the API gives it.
    Api,
    /// `message.id` in another form: chosen by a gateway, and not necessarily unique.
    Gateway,
    /// `requestId`, or else the row's `uuid`, because the row has no `message.id`.
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
    /// xxh3-64 of the whole `input` as it is written; 0 without one. Calls with the same input have the same.
    pub input: u64,
    /// xxh3-64 of the path in `input.file_path` or `input.notebook_path`; 0 without one.
    pub file: u64,
    /// The extension of that path: 1 to 8 lower-case letters or digits of ASCII; `None` without one, or with another.
    pub extension: Option<Arc<str>>,
    /// What the rules of custom metrics extracted of its input.
    pub extracts: Extracts,
}

/// `cost-state`: the cost of the session so far, history that was copied from a forked session included.
#[derive(Debug, Clone, PartialEq)]
pub struct CostState {
    pub session: SessionId,
    /// `totalCostUSD` in US dollars, as the client's floating point sum.
    pub usd: f64,
    /// `startTime` in milliseconds since 1970-01-01 UTC. The figure covers all sessions with the same start time.
    pub started: Option<u64>,
    /// `modelUsage`; empty if the row does not tell it, or not in a way that can be believed.
    pub models: Vec<ModelCost>,
}

/// `agent-<id>.meta.json`: how a sub-agent was started.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentMeta {
    /// The session whose folder the file is in.
    pub session: SessionId,
    pub agent: AgentId,
    /// `agentType`.
    pub agent_type: Option<Arc<str>>,
    /// `toolUseId`: the call that started the sub-agent.
    pub call: Option<Box<str>>,
    /// True if `requestShape` is `background`.
    pub background: bool,
}
