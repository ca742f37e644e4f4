//! Trace and span ids, derived from what the session files say: a public contract (`docs/trace-ids.md`).
//!
//! ```text
//! trace id   turn                     the 16 bytes of its prompt row's uuid
//!            sub-agent of its own     the 16 bytes of its first row's uuid
//!            run                      that of its caller; else the 16 bytes of its id
//! span id    the first 8 bytes, big endian, of
//!            SHA-256( "tailspan/1" 00 trace id (16 bytes, big endian) 00 kind 00 natural key )
//!
//! span                         kind            natural key
//! a turn's root                turn            turn
//! a model call                 chat            requestId, else message.id
//! a tool call                  execute_tool    tool_use.id
//! a sub-agent                  invoke_agent    agent id
//! a compaction                 compaction      uuid of its row
//! a run                        run             id of the run
//! ```
//!
//! - An id of zero is invalid in OpenTelemetry and becomes 1.
//! - Ids are derived and not random, so that a span that is sent again after a crash, or read again from the copy in a
//!   fork, has the same ids.
//! - If two model calls of one trace carry the same `requestId`, which gateways can cause, the first is named by it and
//!   every later one by its `message.id`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::unit::{Unit, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::stream::RunId;

/// Text at the beginning of what is hashed. Another version of this scheme would have another domain.
pub const DOMAIN: &str = "tailspan/1";
/// Kind of a turn's root.
pub const TURN: &str = "turn";
/// Natural key of a turn's root.
pub const TURN_KEY: &str = "turn";
/// Kind of a model call.
pub const CHAT: &str = "chat";
/// Kind of a tool call.
pub const EXECUTE_TOOL: &str = "execute_tool";
/// Kind of a sub-agent.
pub const INVOKE_AGENT: &str = "invoke_agent";
/// Kind of the span of a compaction; the key is the `uuid` of its row.
pub const COMPACTION: &str = "compaction";

/// Kind of the span of a run; the key is its id.
pub const RUN: &str = "run";

/// A trace id, never 0. It is written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TraceId(pub u128);

/// A span id, never 0. It is written as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The ids that name one span among all traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanAt {
    pub trace: TraceId,
    /// Id of the span in that trace.
    pub span: SpanId,
}

/// The trace of a turn, by the `uuid` of its prompt row.
#[must_use]
pub fn trace_of_turn(prompt: RowId) -> TraceId {
    TraceId(prompt.0.max(1))
}

/// The root of a turn's trace, by the `uuid` of its prompt row.
#[must_use]
pub fn root_of_turn(prompt: RowId) -> SpanAt {
    let trace = trace_of_turn(prompt);
    SpanAt { trace, span: span_id(trace, TURN, TURN_KEY) }
}

/// The trace of a background sub-agent, by the `uuid` of its first row.
#[must_use]
pub fn trace_of_background_agent(first_row: RowId) -> TraceId {
    TraceId(first_row.0.max(1))
}

/// The span of a run: in the trace of the span within which it was called, if its caller told that, else in a trace of its
/// own.
#[must_use]
pub fn run_at(run: RunId, caller: Option<SpanAt>) -> SpanAt {
    let trace = caller.map_or(TraceId(run.0.0.max(1)), |caller| caller.trace);
    SpanAt { trace, span: span_id(trace, RUN, &run.0.to_string()) }
}

/// The trace that a unit is the root of, or would be.
#[must_use]
pub fn trace_of(unit: &Unit) -> TraceId {
    match (&unit.key, unit.agent.as_ref().and_then(|agent| agent.first_row)) {
        (UnitKey::Turn(row) | UnitKey::Loose(row), _) => trace_of_turn(*row),
        (UnitKey::Agent(..), Some((_, row))) => trace_of_background_agent(row),
        // The first row of the sub-agent was never read; the hash of session and agent is as stable.
        (UnitKey::Agent(..), None) => TraceId(unit.key.id().0.max(1)),
    }
}

/// The id of a span in `trace`, by its kind and natural key; never 0.
#[must_use]
pub fn span_id(trace: TraceId, kind: &str, natural_key: &str) -> SpanId {
    let parts = [DOMAIN.as_bytes(), &trace.0.to_be_bytes(), kind.as_bytes(), natural_key.as_bytes()];
    let digest = Sha256::digest(parts.join(&0));
    SpanId(digest.first_chunk().map_or(1, |first| u64::from_be_bytes(*first)).max(1))
}

/// Which spans share a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceScope {
    /// Those of a turn, or those of a sub-agent with a trace of its own.
    #[default]
    Turn,
    /// Those of all turns and sub-agents of a session; the trace id is derived from the session's id.
    Session,
}

impl TraceScope {
    /// Where a span of `session` is in this scope; `at` is where it is in [`TraceScope::Turn`]. Its span id is the same
    /// in both scopes.
    #[must_use]
    pub fn place(self, session: &SessionId, at: SpanAt) -> SpanAt {
        SpanAt { trace: self.trace(session, at.trace), ..at }
    }

    /// The trace of a whole session in [`TraceScope::Session`].
    #[must_use]
    pub fn of_session(session: &SessionId) -> TraceId {
        TraceId(RowId::of(&session.0).0.max(1))
    }

    /// The trace in this scope of spans that are in the trace `turn` in [`TraceScope::Turn`].
    #[must_use]
    pub fn trace(self, session: &SessionId, turn: TraceId) -> TraceId {
        match self {
            Self::Turn => turn,
            Self::Session => Self::of_session(session),
        }
    }
}
