//! What folding a batch needs to have in memory.

use std::collections::BTreeSet;

use crate::ledger::unit::UnitId;
use crate::transcript::ids::{AgentId, SessionId};

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default)]
pub struct Keys {
    /// Units and sections.
    pub units: BTreeSet<UnitId>,
    /// Sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Sub-agents without rows, which may wait for them.
    pub waiting: BTreeSet<(SessionId, AgentId)>,
    /// The session and sub-agent that the row before belongs to. Most often the next row belongs to the same.
    pub(super) owner: Option<(SessionId, Option<AgentId>)>,
    /// The response whose rows came last.
    pub(super) message: Option<Box<str>>,
    /// The main thread of the file has a unit already, so that a further row of it can begin a new unit only if it is a
    /// prompt.
    pub(super) is_led: bool,
}
