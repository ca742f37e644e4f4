//! A walk over all sessions of the state that ends those which are old enough.

use crate::transcript::time::Timestamp;

/// How far a walk over all sessions has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Behind which session it goes on; `None` between two walks.
    pub(super) place: Option<Option<u128>>,
    /// Units that ended since the database was last made smaller.
    pub(super) removed: u64,
    /// When the last walk began; `None` before the first one.
    pub(super) began: Option<Timestamp>,
}

/// What one call of [`Engine::retire`](super::Engine::retire) ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retired {
    /// Sessions.
    pub sessions: u64,
    /// Their turns, sub-agents and other units.
    pub units: u64,
    /// True if the walk over all sessions goes on: it is to be called again soon.
    pub is_walking: bool,
}
