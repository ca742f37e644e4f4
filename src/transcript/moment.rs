//! Events at one moment that are not prompts, answers or tool calls.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::origin::Origin;

/// An event that one row tells of and that is counted or shown by itself. Its identity is the `uuid` of the row.
///
/// It is stored with the position of its variant: a new variant is appended at the end, and the stored rows that hold
/// facts get a higher version in `store/layout`. The layout keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// An API attempt failed.
    Failure(ApiError),
    /// The conversation was compacted.
    Compaction(Compaction),
    /// A hook ran.
    Hook(Hook),
    /// The client went on with another model.
    Fallback(Fallback),
    /// Something that a person did or was told.
    Note(Note),
    /// The model was told of tools or instructions of MCP servers. It is stored for analytics and no event.
    Offer(Offer),
}

/// What a row tells the model about MCP servers. It stays in every later prompt of its thread until a compaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The servers, each once; built-in tools have none.
    pub servers: Vec<ServerOffer>,
}

/// What a row tells the model about one MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOffer {
    /// Its name as in the names of its tools.
    pub server: Arc<str>,
    /// Bytes of the lines that name its tools, or of its instructions.
    pub bytes: u64,
    /// How many of its tools can be called from now on.
    pub tools: u32,
    /// How many of its tools cannot be called any more. Their lines stay in the prompt.
    pub removed: u32,
}

/// A hook that ran. A hook that succeeds without output leaves no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// `hookName`, for example `PostToolUse:Bash`.
    pub name: Arc<str>,
    /// `hookEvent`, for example `PostToolUse`.
    pub event: Arc<str>,
    /// `toolUseID`: the tool call that the hook ran for; `None` for hooks of other events.
    pub call: Option<Box<str>>,
    /// `durationMs`; `None` for a hook that blocked or ran in the background, because its row does not tell.
    pub duration_ms: Option<u64>,
    /// `exitCode`.
    pub exit_code: Option<i32>,
    /// How it ended, and in which kind of row that was written.
    pub kind: HookKind,
}

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HookKind {
    /// `hook_success`: it succeeded.
    #[default]
    Success,
    /// `hook_non_blocking_error`: it failed, and the client went on.
    NonBlockingError,
    /// `hook_blocking_error`: it blocked the action that it ran for.
    BlockingError,
    /// `async_hook_response`: it ran in the background, and nobody waited for it.
    Background,
    /// One of the Stop hooks that `system/stop_hook_summary` sums up. Without a duration, it asked the model to go on.
    StopSummary,
}

impl Hook {
    /// The value of the attribute `claude_code.hook.outcome`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self.kind {
            HookKind::StopSummary if self.duration_ms.is_none() => "blocking_error",
            HookKind::Success | HookKind::StopSummary => "success",
            HookKind::NonBlockingError => "non_blocking_error",
            HookKind::BlockingError => "blocking_error",
            HookKind::Background => "background",
        }
    }

    /// True for a hook for which the person waits before the turn is over: a Stop hook that is not in the background.
    #[must_use]
    pub fn holds_the_answer(&self) -> bool {
        matches!(&*self.event, "Stop" | "SubagentStop") && self.kind != HookKind::Background
    }
}

/// Something that a person did or was told, other than a prompt, answer or tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// `attachment/queued_command`: a prompt that the running turn took up.
    QueuedPrompt {
        /// Who asked.
        origin: Origin,
        /// Length in characters.
        chars: u32,
    },
    /// `attachment/queued_command` too: work in the background that ended while a turn ran.
    TaskEnded {
        /// Id of the task; if the task is a sub-agent, the id of the sub-agent.
        task: Option<Box<str>>,
        /// `tool_use.id` of the call that started the task.
        call: Option<Box<str>>,
        /// `completed`, `failed`, `killed`.
        status: Option<Arc<str>>,
    },
    /// `pr-link`: a pull request that the session made or works on.
    PullRequest(PullRequest),
    /// `system/away_summary`: what was done while the person was away.
    AwaySummary {
        /// Length in characters.
        chars: u32,
    },
    /// `attachment/plan_mode` and `plan_mode_exit`.
    PlanMode {
        /// True if plan mode began, false if it ended.
        begins: bool,
    },
    /// A tool that the API ran inside a response, for example `advisor`.
    ServerTool {
        name: Arc<str>,
        /// How long it ran, in milliseconds; `None` until the next row of the response is known.
        duration_ms: Option<u64>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// `prNumber`.
    pub number: u64,
    /// `prUrl`, without its secrets.
    pub url: Arc<str>,
    /// `prRepository`, for example `owner/name`.
    pub repository: Option<Arc<str>>,
}

/// Why a turn is over, if a row says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ending {
    /// The client had nothing more to do (`turn_duration`, `stop_hook_summary`, `toolEndsTurn`).
    Stop,
    /// `max_turns_reached`.
    MaxTurns,
    /// The process of the client has ended (`cost-state`).
    Exit,
}

impl Ending {
    /// The value of the attribute `claude_code.turn.end`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::MaxTurns => "max_turns",
            Self::Exit => "exit",
        }
    }
}

/// The client went on with another model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// `trigger`, for example `overloaded`.
    pub trigger: Arc<str>,
    /// `originalModel`.
    pub from: Arc<str>,
    /// `fallbackModel`.
    pub to: Arc<str>,
}

/// A compaction of the conversation (`compactMetadata`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// True for `/compact`, false for the client's own decision.
    pub manual: bool,
    /// Tokens of the conversation before the compaction.
    pub tokens_before: u64,
    pub tokens_after: u64,
    /// How long the summary took, in milliseconds.
    pub duration_ms: u64,
}

impl Compaction {
    /// The value of the label `trigger`.
    #[must_use]
    pub const fn trigger(&self) -> &'static str {
        if self.manual { "manual" } else { "auto" }
    }
}

/// A failed API attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// HTTP status from 100 to 999; `None` if there was no answer.
    pub status: Option<u16>,
    /// How long the client waits before the next attempt, in milliseconds; 0 after the last attempt.
    pub retry_in_ms: u32,
    /// Number of the attempt, from 1; 0 if not said.
    pub attempt: u32,
    /// True if no further attempt follows.
    pub last: bool,
}

/// Reasons of API errors, the values of the label `reason`.
pub const API_ERROR_REASONS: [&str; 7] =
    ["rate_limit", "overloaded", "server_error", "authentication", "invalid_request", "connection", "other"];

impl ApiError {
    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self.status {
            Some(429) => "rate_limit",
            Some(529) => "overloaded",
            Some(401 | 403) => "authentication",
            Some(400 | 404 | 413 | 422) => "invalid_request",
            Some(500..=599) => "server_error",
            Some(_) => "other",
            None => "connection",
        }
    }
}
