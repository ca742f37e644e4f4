//! How far the conversation of one file has come.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::queue::Queue;
use crate::ledger::unit::UnitKey;
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::time::Timestamp;

/// How far the conversation of one file has come: the context that its next row needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// How often the file was read from its beginning.
    pub generation: u32,
    /// `sessionId` of the last row.
    pub session: Option<SessionId>,
    /// The unit that rows belong to.
    pub current: Option<UnitKey>,
    /// `promptId` of the current turn.
    pub prompt: Option<RowId>,
    /// The `promptId` that a fork put on all the prompts it copied.
    pub copied_prompt: Option<RowId>,
    /// Time of the last row.
    pub last: Timestamp,
    /// Version of the client that wrote the last row.
    pub version: Option<Arc<str>>,
    /// Time of the last prompt or tool result: what the next response answers.
    pub asked: Option<Timestamp>,
    /// Time of the first `api-request` since then. A retried call has several.
    pub requested: Option<Timestamp>,
    /// The response whose rows are coming.
    pub open_message: Option<Box<str>>,
    /// The process that wrote the rows so far has ended.
    pub process_ended: bool,
    /// `turnPosition.turnIndex` of the current turn's prompt.
    pub turn_index: Option<u32>,
    /// Inline sub-agents (clients before 2.0).
    pub inline: Vec<Inline>,
    /// Prompts that wait to be asked.
    pub queue: Queue,
}

/// An inline sub-agent: rows between those of the main thread, told apart by their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inline {
    /// Its unit.
    pub unit: UnitKey,
    /// Its latest rows, the last one last: further rows hang on any of them.
    pub rows: Vec<RowId>,
    /// Time of its last prompt or tool result.
    pub asked: Option<Timestamp>,
}
