//! Where single calls and responses stand that an answer names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::SpanAt;

/// A call or response, as sums know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) struct Sought {
    /// The unit that holds it.
    pub(in crate::http) unit: UnitId,
    /// Whether it is a tool call, not a response.
    pub(in crate::http) is_call: bool,
    /// The low half of its id.
    pub(in crate::http) mark: u32,
    /// When it ended.
    pub(in crate::http) end: Timestamp,
}

/// Where a call or response stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Place {
    /// Position in the replay of the event at which it ended, from 0.
    pub(in crate::http) event: Option<usize>,
    /// The turn, from 1.
    pub(in crate::http) turn: Option<usize>,
    /// Its span.
    pub(in crate::http) span: SpanAt,
    /// The address of its event on the page of its session.
    pub(in crate::http) page: Arc<str>,
}

/// Places by session; `None` for what was not found.
pub(in crate::http) type KnownPlaces = HashMap<SessionId, HashMap<Sought, Option<Place>>>;

impl Sought {
    /// Whether this is its id, as a hash.
    pub(super) fn has(&self, id: u64) -> bool {
        id & u64::from(u32::MAX) == u64::from(self.mark)
    }
}
