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
    /// When it is given up, if it is looked at before that.
    pub(super) later: Option<Timestamp>,
}

impl Look {
    pub(super) const fn at(due: Timestamp, since: Timestamp) -> Self {
        Self { due, since, gives_up: false, later: None }
    }

    pub(super) const fn last(due: Timestamp, since: Timestamp) -> Self {
        Self { due, since, gives_up: true, later: None }
    }

    /// A look that puts off no giving up: it comes before that, or is that.
    pub(super) fn before(self, last: Self) -> Self {
        if self.due < last.due { Self { later: Some(last.due), ..self } } else { last }
    }
}
