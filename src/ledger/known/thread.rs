//! How far the conversation of one file has come.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::queue::Queue;
use crate::ledger::unit::{RowFact, RowPlace, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::time::Timestamp;

/// A response whose id a gateway chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayNamed {
    /// The id that the gateway chose.
    pub name: Box<str>,
    /// Its `requestId`.
    pub request: Option<Box<str>>,
    /// The id that stands for it.
    pub id: Box<str>,
    /// Time of its last row.
    pub last: Timestamp,
}

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
    /// When the last response ended: the next one cannot have begun before.
    pub answered: Option<Timestamp>,
    /// The latest rows of the current turn, the last one last: a further row hangs on one of them.
    pub rows: Vec<RowId>,
    /// Turns before the current one, the latest last: another process may still write rows that hang on theirs.
    pub others: Vec<Branch>,
    /// A `!` line that becomes a turn if the model answers it.
    pub shell_line: Option<ShellLine>,
    /// Turns since the last answer that was no copy: a marked copy after them says whose they are.
    pub unmarked: Vec<UnitId>,
    /// The current turn is a copy, as its rows say.
    pub is_copied: bool,
    /// The run of a sub-agent that its rows belong to.
    pub run: Option<UnitKey>,
    /// The sub-agent had nothing more to do: a further prompt begins another run.
    pub rested: bool,
    /// The response whose rows are coming, if a gateway gave it its id.
    pub named: Option<GatewayNamed>,
    /// The response and the row in which a tool began that the API runs itself.
    pub server_tool: Option<(Box<str>, RowId)>,
    /// The moment with which a resume of 1.0 stamped responses that it copied.
    pub stamped: Option<Timestamp>,
    /// What was noted before the first prompt.
    pub early: Vec<RowFact>,
    /// Titles of the session that owns a row which has not come yet.
    pub titles: Vec<(RowId, Arc<str>)>,
}

/// A turn that another process may go on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Its unit.
    pub unit: UnitKey,
    /// `promptId`
    pub prompt: Option<RowId>,
    /// `turnPosition.turnIndex`
    pub turn_index: Option<u32>,
    /// Time of its last prompt or tool result.
    pub asked: Option<Timestamp>,
    /// When its last response ended.
    pub answered: Option<Timestamp>,
    /// Its latest rows, the last one last.
    pub rows: Vec<RowId>,
}

/// A `!` line of the terminal client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShellLine {
    /// `uuid` of its row.
    pub id: RowId,
    /// `promptId`
    pub prompt: Option<RowId>,
    /// Time of its row.
    pub time: Timestamp,
    /// Where the row stands.
    pub place: RowPlace,
    /// Length in characters.
    pub chars: u32,
}

impl Thread {
    /// Rows of a turn that are remembered: more than one response has tool calls.
    const ROWS_MAX: usize = 32;

    /// Turns before the current one that are remembered.
    const OTHERS_MAX: usize = 8;

    /// Remembers a row of the current turn.
    pub fn passed(&mut self, row: RowId) {
        if self.rows.len() >= Self::ROWS_MAX {
            self.rows.remove(0);
        }
        self.rows.push(row);
    }

    /// Position among the other turns of the one that a row hangs on; `None` if it hangs on the current one, or nobody
    /// knows.
    #[must_use]
    pub fn hangs_on_other(&self, parent: Option<RowId>) -> Option<usize> {
        let parent = parent.filter(|parent| !self.others.is_empty() && !self.rows.contains(parent))?;
        self.others.iter().rposition(|other| other.rows.contains(&parent))
    }

    /// Goes on with another turn.
    pub fn go_on_with(&mut self, position: usize) {
        let next = self.others.remove(position);
        self.leave_current();
        (self.current, self.prompt, self.turn_index) = (Some(next.unit), next.prompt, next.turn_index);
        (self.asked, self.answered, self.rows) = (next.asked, next.answered, next.rows);
        self.is_copied = false;
    }

    /// Leaves the current turn for a new one.
    pub fn leave_current(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if let Some(unit @ UnitKey::Turn(_)) = self.current.take() {
            let (prompt, turn_index, asked, answered) = (self.prompt, self.turn_index, self.asked, self.answered);
            self.others.retain(|other| other.unit != unit);
            self.others.push(Branch { unit, prompt, turn_index, asked, answered, rows });
            let beyond = self.others.len().saturating_sub(Self::OTHERS_MAX);
            self.others.drain(..beyond);
        }
    }
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
