//! How far the conversation of one file has come.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::queue::Queue;
use crate::ledger::run::StreamPrompt;
use crate::ledger::unit::{RowFact, RowPlace, UnitId, UnitKey};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::transcript::usage::Usage;

/// A response whose id a gateway chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayNamed {
    /// The id that the gateway chose.
    pub name: Box<str>,
    /// `requestId` of the response.
    pub request: Option<Box<str>>,
    /// The unique id that the ledger gave the response instead.
    pub id: Box<str>,
    /// Time of the last row of the response.
    pub last: Timestamp,
}

/// How far the conversation of one file has come: everything that is needed to fold its next row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// How often the file was read from its beginning.
    pub generation: u32,
    /// `sessionId` of the last row.
    pub session: Option<SessionId>,
    /// The unit that the rows of the main thread belong to now.
    pub current: Option<UnitKey>,
    /// `promptId` of the current turn.
    pub prompt: Option<RowId>,
    /// The `promptId` that a fork wrote into all prompts that it copied.
    pub copied_prompt: Option<RowId>,
    /// The latest time of a row so far.
    pub last: Timestamp,
    /// The last version of the client that a row names.
    pub version: Option<Arc<str>>,
    /// Time of the last prompt or tool result, which the next response answers.
    pub asked: Option<Timestamp>,
    /// Time of the first `api-request` since `asked`. There are several if the client tries again.
    pub requested: Option<Timestamp>,
    /// Id of the response of which further rows may come.
    pub open_message: Option<Box<str>>,
    /// True if the process that wrote the rows so far has ended.
    pub process_ended: bool,
    /// `turnPosition.turnIndex` of the current turn's prompt.
    pub turn_index: Option<u32>,
    /// Inline sub-agents that may have further rows (clients before 2.0).
    pub inline: Vec<Inline>,
    /// The queue of prompts that wait while the client is busy.
    pub queue: Queue,
    /// When the last response ended. The request for the next one did not begin before that.
    pub answered: Option<Timestamp>,
    /// The latest rows of the current turn, the last one at the end. The parent of the next row is one of them.
    pub rows: Vec<RowId>,
    /// Turns before the current one, the latest at the end. Another process may still write rows of them.
    pub others: Vec<Branch>,
    /// The last `!` line, which becomes a turn if the model answers it.
    pub shell_line: Option<ShellLine>,
    /// Turns since the last response that was not a copy. If a copy that names its source follows, they belong to that
    /// source.
    pub unmarked: Vec<UnitId>,
    /// True if the current turn is a copy, as its rows tell.
    pub is_copied: bool,
    /// In the file of a sub-agent: the run that its rows belong to now.
    pub run: Option<UnitKey>,
    /// In the file of a sub-agent: true if it has ended, so that a further prompt begins another run.
    pub rested: bool,
    /// The response of which further rows may come, if a gateway chose its id.
    pub named: Option<GatewayNamed>,
    /// The response and the row in which the API began to run a tool itself; the next row of the response tells its
    /// duration.
    pub server_tool: Option<(Box<str>, RowId)>,
    /// The time that a client of version 1.0 gave to the responses that it copied at a resume.
    pub stamped: Option<Timestamp>,
    /// Notes that came before the first prompt, and that its turn gets.
    pub early: Vec<RowFact>,
    /// Titles for the session of a row that has not come yet, with the id of that row.
    pub titles: Vec<(RowId, Arc<str>)>,
    /// What goes with the lines of a stream; `None` for other files.
    pub stream: Option<Box<StreamThread>>,
}

/// How far the lines of a stream have come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamThread {
    /// The run.
    pub run: Option<RunId>,
    /// When the last line arrived.
    pub arrived: Timestamp,
    /// The prompt of the turn that comes next, or the line with which it began.
    pub prompt: Option<StreamPrompt>,
    /// What is known of responses before their first rows, at most [`StreamThread::USAGES_MAX`].
    pub usages: Vec<(Box<str>, Usage, Option<u32>)>,
    /// Failures and compactions before the first row of a turn, at most [`StreamThread::LATER_MAX`].
    pub later: Vec<RowFact>,
}

impl StreamThread {
    /// Most responses of which something is known before their first rows: as many as run at once.
    pub const USAGES_MAX: usize = 64;

    /// Most failures that come before the first row of a turn; the client gives up after ten.
    pub const LATER_MAX: usize = 64;
}

/// A turn before the current one, of which another process may still write rows.
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
    /// Its latest rows, the last one at the end.
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
    /// Most rows of a turn that are remembered: more than the tool calls of one response.
    const ROWS_MAX: usize = 32;

    /// Most turns before the current one that are remembered.
    const OTHERS_MAX: usize = 8;

    /// Remembers a row of the current turn.
    pub fn passed(&mut self, row: RowId) {
        if self.rows.len() >= Self::ROWS_MAX {
            self.rows.remove(0);
        }
        self.rows.push(row);
    }

    /// Position in `others` of the turn that `parent`, the parent of a row, belongs to; `None` if it belongs to the
    /// current turn or is not remembered.
    #[must_use]
    pub fn hangs_on_other(&self, parent: Option<RowId>) -> Option<usize> {
        let parent = parent.filter(|parent| !self.others.is_empty() && !self.rows.contains(parent))?;
        self.others.iter().rposition(|other| other.rows.contains(&parent))
    }

    /// Makes the turn at `position` in `others` the current one.
    pub fn go_on_with(&mut self, position: usize) {
        let next = self.others.remove(position);
        self.leave_current();
        (self.current, self.prompt, self.turn_index) = (Some(next.unit), next.prompt, next.turn_index);
        (self.asked, self.answered, self.rows) = (next.asked, next.answered, next.rows);
        self.is_copied = false;
    }

    /// Moves the current turn to `others`, before a new one begins.
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

/// An inline sub-agent. Its rows stand between those of the main thread and are told apart by their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inline {
    /// Its unit.
    pub unit: UnitKey,
    /// Its latest rows, the last one at the end. The parent of its next row is one of them.
    pub rows: Vec<RowId>,
    /// Time of its last prompt or tool result.
    pub asked: Option<Timestamp>,
}
