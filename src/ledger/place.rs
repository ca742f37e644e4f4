//! The place of a row, its surroundings, and the rank of its variants.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::chunk::FileNumber;
use crate::transcript::record::LinePlace;
use crate::transcript::time::Timestamp;

/// Which of several variants of a row is believed: originals before copies, then the earlier one, then the lower path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// True for a copy: the row names its source (`requestSessionId`), or lacks the `requestId` that the original has.
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
    /// How often the file had been read from its beginning; a place of an earlier reading may be wrong.
    pub generation: u32,
    /// Offset and length of the line.
    pub place: LinePlace,
}

/// Where and with what the client ran when it wrote a row. A field is `None` if the row lacks it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Working directory.
    pub cwd: Option<Arc<str>>,
    /// Git branch.
    pub branch: Option<Arc<str>>,
    /// Version of the client.
    pub version: Option<Arc<str>>,
    /// Entry point of the client: `cli`, `sdk-cli`, ...
    pub entrypoint: Option<Arc<str>>,
}
