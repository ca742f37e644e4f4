//! Questions whether calls may run, and what ends them, as streams tell of both.
//!
//! A question has no time of its own: it is that at which its line arrived. What ends it has the time of the client, which may
//! be any. So it is the order of the lines that counts, and a question is told apart by its call, its request and its run.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ledger::unit::{Identity, Tool, Unit};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// Most of them that are kept until somebody takes them out. The earliest are dropped first, so that no question stays without
/// what ended it.
const ASKED_MAX: usize = 10_000;

/// Something that a stream told of the questions of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The session.
    pub session: SessionId,
    /// When it happened, as far as anybody tells.
    pub at: Timestamp,
    /// What happened.
    pub what: AskedWhat,
}

/// What a stream tells of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedWhat {
    /// Somebody is asked about a call.
    Began(Question, AskedCall),
    /// The call has its result.
    Returned(AskedCall),
    /// The request of this hash was answered or taken back.
    Answered { run: RunId, request: u64 },
    /// A turn of the main thread is over in this run.
    TurnEnded(RunId),
    /// The run is over.
    RunEnded(RunId),
    /// The run has the session now, and no other run has it.
    RunBegan(RunId),
}

/// Who asks a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The run.
    pub run: RunId,
    /// Hash of the id of the request; `None` if it is not known.
    pub request: Option<u64>,
    /// True if a sub-agent asks which goes on behind the end of the turn.
    pub is_background: bool,
}

/// The call that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedCall {
    /// Hash of its id, see [`Identity::Call`].
    pub id: u64,
    /// The name of the tool, if it is known.
    pub tool: Option<Arc<str>>,
    /// The sub-agent that made the call.
    pub agent: Option<AgentId>,
}

impl AskedCall {
    /// A call of a unit.
    #[must_use]
    pub fn of(unit: &Unit, tool: &Tool) -> Self {
        Self {
            id: Identity::Call(&tool.id).hash(),
            tool: tool.call.as_ref().map(|call| Arc::clone(&call.name)),
            agent: unit.agent.as_ref().map(|agent| agent.id.clone()),
        }
    }
}

/// What streams told of questions since it was taken out last, in the order of their lines.
#[derive(Debug, Default)]
pub struct AskedNews(VecDeque<Asked>);

impl AskedNews {
    /// Adds what a line told.
    pub fn push(&mut self, asked: Asked) {
        if self.0.len() >= ASKED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(asked);
    }

    /// Takes all of it out.
    pub fn take(&mut self) -> VecDeque<Asked> {
        std::mem::take(&mut self.0)
    }
}
