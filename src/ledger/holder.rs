//! A session that has rows of a unit, and the times of these rows.

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::place::Surroundings;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// The times of the rows that one session has of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Time of the first of these rows.
    pub first: Timestamp,
    /// Time of the last of these rows.
    pub last: Timestamp,
    /// Surroundings of the first of these rows.
    pub context: Surroundings,
}

/// A session that has rows of a unit, or that a copied row names as the owner of the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The session.
    pub session: SessionId,
    /// True if its rows are copies, as they or rows of its source tell.
    pub is_copy: bool,
    /// The best claim of a copied row that names this session as the source.
    pub word: Option<Claim>,
    /// The best claim of its own rows; `None` if it has no row that begins the unit.
    pub claim: Option<Claim>,
    /// The times of its rows; `None` if it has no row of the unit.
    pub rows: Option<Extent>,
}

impl Extent {
    /// The extent of one row.
    #[must_use]
    pub const fn of(time: Timestamp, context: Surroundings) -> Self {
        Self { first: time, last: time, context }
    }

    /// Adds other rows. If both begin at the same time, the surroundings stay.
    pub fn add(&mut self, other: &Self) {
        if other.first < self.first {
            (self.first, self.context) = (other.first, other.context.clone());
        }
        self.last = self.last.max(other.last);
    }
}

impl Holder {
    pub(super) fn new(session: &SessionId) -> Self {
        Self { session: session.clone(), is_copy: false, word: None, claim: None, rows: None }
    }

    pub(super) fn best(&self) -> Option<&Claim> {
        self.claim.as_ref().or(self.word.as_ref())
    }
}
