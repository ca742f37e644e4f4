//! Lines of a stream: what a client writes to its standard output with `--output-format stream-json`, as it is kept in the
//! stream files of the sidecar. Source: `claude-code-format.md` sections 10 and 15.6.
//!
//! A line that is a row of the conversation has the same `uuid` and `timestamp` as its twin in the session file, and becomes
//! the same `Row`. It lacks its folder, branch, version and prompt; `init` tells some of them. Of all
//! other lines, those that count or tell something are a [`StreamLine`].
//!
//! Between the lines stand marks, which the client did not write: who began the run, when the lines arrived, and when the
//! stream ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{RowId, SessionId};
use super::model_cost::ModelCost;
use super::moment::{ApiError, Compaction};
use super::stop::Stop;
use super::time::Timestamp;
use super::usage::Usage;

/// Id of a run: one process of the client whose stream was passed on. A UUID in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub RowId);

/// Who began a run, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// Its id.
    pub run: RunId,
    /// The workflow that it belongs to, as the caller names it; `None` without a name.
    pub workflow: Option<Arc<str>>,
    /// Labels that the caller gave it.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// When it began; `None` if the mark does not say.
    pub at: Option<Timestamp>,
    /// `TRACEPARENT` of the caller: the span within which the client was called.
    pub caller: Option<Arc<str>>,
    /// True if the run is to be a span of its own.
    pub span: bool,
}

/// A line of a stream that is not a row of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamLine {
    /// A mark that the client did not write.
    Mark(Mark),
    /// `system/init`: a turn begins.
    Init {
        session: SessionId,
        /// `cwd`: the folder in which the client was started.
        cwd: Option<Arc<str>>,
        /// `claude_code_version`
        version: Option<Arc<str>>,
    },
    /// `system/status` with `requesting`: a request to the API begins.
    Requesting { session: SessionId },
    /// `stream_event` with the usage of a response: at its beginning provisional, at its end final.
    Usage(Box<StreamUsage>),
    /// A user row with `isReplay`: the prompt that the client takes up.
    Prompt {
        session: SessionId,
        time: Option<Timestamp>,
        /// Length in characters.
        chars: u32,
        /// Name of the slash command, with its slash; `None` if it is not a command.
        command: Option<Arc<str>>,
    },
    /// `control_request` with `can_use_tool`: a person or a program is asked whether a call may run.
    Permission {
        /// `tool_use.id`
        call: Box<str>,
        /// `request_id`
        request: Option<Box<str>>,
    },
    /// `control_cancel_request`, or a `control_response`: a request was taken back, or answered.
    Answered {
        /// `request_id`
        request: Box<str>,
    },
    /// `conversation_reset`: further lines belong to a new session.
    Reset,
    /// `system/api_retry`: an attempt that failed and will be retried. Its twin in the file has another id.
    Retry { id: RowId, session: SessionId, what: ApiError },
    /// `system/compact_boundary`. It has no time of its own.
    Compaction { id: RowId, session: SessionId, what: Compaction },
    /// `result`: a turn is over; the client's account of it.
    Result(Box<StreamResult>),
}

/// What a `stream_event` tells of a response.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamUsage {
    pub session: SessionId,
    /// `message.id`
    pub message: Box<str>,
    /// What it used so far.
    pub usage: Usage,
    /// Why the model stopped; `None` at its beginning.
    pub stop: Option<Stop>,
    /// Milliseconds from the request to the first piece of the response.
    pub ttft_ms: Option<u32>,
}

/// A `result` line.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamResult {
    /// `uuid`; for a line without one, a hash of the line.
    pub id: RowId,
    pub session: SessionId,
    /// `result_index`: position among the results of the process, from 0; `None` for a client that is too old to say.
    pub index: Option<u32>,
    /// `subtype`: `success`, `error_max_turns`, `error_during_execution`, ...
    pub subtype: Arc<str>,
    pub is_error: bool,
    /// `terminal_reason`: `completed`, `aborted_tools`, `api_error`, ...
    pub reason: Option<Arc<str>>,
    /// `num_turns`: how often the model was asked in this turn.
    pub turns: u32,
    /// Duration of the turn in milliseconds.
    pub duration_ms: u64,
    /// `ttft_ms` of the turn.
    pub ttft_ms: Option<u32>,
    /// `total_cost_usd`: the cost of the session so far, in US dollars; `None` if it is missing or absurd.
    pub usd: Option<f64>,
    /// `modelUsage`: what was used by each model in the session so far.
    pub models: Vec<ModelCost>,
    /// `model_usage_since_last_result`: what was used since the last result of the process, sub-agents and requests that no
    /// row tells included. A client without `result_index` does not say.
    pub since: Vec<ModelCost>,
}

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A run begins, or goes on in another file.
    Run(Box<Began>),
    /// The lines that follow arrived at this time.
    At {
        at: Timestamp,
        /// True if the sidecar says so, because the sender told no times.
        by_sidecar: bool,
    },
    /// Lines were not kept, because there was no room for them.
    Lost {
        /// How many.
        lines: u64,
        /// Their bytes.
        bytes: u64,
        /// When the mark was written.
        at: Option<Timestamp>,
    },
    /// The stream ended.
    End {
        at: Option<Timestamp>,
        /// Length of a last line without newline, which is not kept, in bytes.
        torn_bytes: u64,
    },
}
