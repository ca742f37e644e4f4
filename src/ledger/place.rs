//! Where a row stands, among what, and which of its variants is the best.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::chunk::FileNumber;
use crate::transcript::record::LinePlace;
use crate::transcript::time::Timestamp;

/// How good one variant of a row is: originals before copies, earlier before later, lower path before higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// A copy by its own words (`requestSessionId`), or without the `requestId` that the original has.
    pub copy: bool,
    /// Time of the row.
    pub time: Timestamp,
    /// File of the row.
    pub file: FileNumber,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    /// The file.
    pub file: FileNumber,
    /// How often the file had been read from its beginning; a place of an older reading may be wrong.
    pub generation: u32,
    /// Offset and length.
    pub place: LinePlace,
}

/// Surroundings of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Working directory.
    pub cwd: Option<Arc<str>>,
    /// Git branch.
    pub branch: Option<Arc<str>>,
    /// Version of the client.
    pub version: Option<Arc<str>>,
    /// Entry point of the client.
    pub entrypoint: Option<Arc<str>>,
}
