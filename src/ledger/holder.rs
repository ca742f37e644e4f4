//! One session that has rows of a unit, and when they came.

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::place::Surroundings;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// When the rows came that one session has of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Time of the first of them.
    pub first: Timestamp,
    /// Time of the last of them.
    pub last: Timestamp,
    /// Surroundings of the first of them.
    pub context: Surroundings,
}

/// A session that has rows of a unit, or to which a copy says that it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The session.
    pub session: SessionId,
    /// Its rows are copies, as they or those of its source say.
    pub is_copy: bool,
    /// The best row of another session that says that this one is the source.
    pub word: Option<Claim>,
    /// Its best own claim; `None` if it has no row that begins the unit.
    pub claim: Option<Claim>,
    /// Its rows; `None` if no row of the unit names it.
    pub rows: Option<Extent>,
}

impl Extent {
    /// One row.
    #[must_use]
    pub const fn of(time: Timestamp, context: Surroundings) -> Self {
        Self { first: time, last: time, context }
    }

    /// Takes in other rows. Of two that are first the context is that of the one that was known.
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
