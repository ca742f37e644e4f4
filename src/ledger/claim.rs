//! Why a unit belongs to a session.

use serde::{Deserialize, Serialize};

use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// A claim of a session on a unit. The best claim wins, in whatever order claims come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What the claim rests on.
    pub by: ClaimBy,
    /// Time of the row that makes the claim.
    pub time: Timestamp,
    /// File of that row.
    pub file: FileNumber,
    /// The session that claims.
    pub session: SessionId,
}

/// What a claim on a unit rests on, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum ClaimBy {
    /// A copied row names this session as the one that it was copied from.
    Word,
    /// The row stands in a file of the session.
    #[default]
    Row,
    /// The row stands in a file of the session, but is marked as a copy without naming its source.
    Copy,
}
