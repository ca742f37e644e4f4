//! What is stored for each session file.

use serde::{Deserialize, Serialize};

use crate::ledger::known::Thread;
use crate::transcript::chunk::{Cursor, FileRole};

/// A session file and how far it is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    /// Path as bytes, since it need not be UTF-8.
    pub path: Vec<u8>,
    /// What kind of file it is.
    pub role: FileRole,
    /// Where reading stopped; `None` if nothing of it was counted.
    pub cursor: Option<Cursor>,
    /// What is needed to fold the next row.
    pub thread: Thread,
}
