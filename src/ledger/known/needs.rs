//! What folding a batch needs to have in memory.

use std::collections::BTreeSet;

use crate::ledger::unit::UnitId;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::stream::RunId;

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default)]
pub struct Keys {
    /// Units and sections.
    pub units: BTreeSet<UnitId>,
    /// Sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Sub-agents of which something may be known before their rows.
    pub waiting: BTreeSet<(SessionId, AgentId)>,
    /// Runs.
    pub runs: BTreeSet<RunId>,
    /// The session and sub-agent of the last row. Mostly the next row has the same, and nothing more is needed for it.
    pub(super) owner: Option<(SessionId, Option<AgentId>)>,
    /// Id of the response of the last assistant row.
    pub(super) message: Option<Box<str>>,
    /// True once the main thread of the file has a unit: from then on only a prompt can begin a new one.
    pub(super) is_led: bool,
}
