//! When a run of which something is still to be decided is to be looked at.

use crate::transcript::time::Timestamp;

/// When a run is to be looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) due: Timestamp,
    /// When the last line came.
    pub(super) since: Timestamp,
    /// Whether the run is given up then, if nothing came meanwhile.
    pub(super) gives_up: bool,
}

impl Look {
    pub(super) const fn at(due: Timestamp, since: Timestamp) -> Self {
        Self { due, since, gives_up: false }
    }

    pub(super) const fn last(due: Timestamp, since: Timestamp) -> Self {
        Self { due, since, gives_up: true }
    }
}
