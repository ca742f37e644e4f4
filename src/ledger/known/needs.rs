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
    /// Whose rows came last: those of the next row, most often.
    pub(super) owner: Option<(SessionId, Option<AgentId>)>,
    /// The response whose rows came last.
    pub(super) message: Option<Box<str>>,
    /// A row of the main thread has a unit before it, so that it begins none but as a prompt.
    pub(super) is_led: bool,
}
