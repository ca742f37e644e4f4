//! What is stored of a session file.

use serde::{Deserialize, Serialize};

use crate::ledger::known::Thread;
use crate::transcript::chunk::{Cursor, FileRole};

/// A file and how far it is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    /// Path as bytes, since it need not be UTF-8.
    pub path: Vec<u8>,
    /// What kind of file.
    pub role: FileRole,
    /// Where reading stopped.
    pub cursor: Option<Cursor>,
    /// Context of the next row.
    pub thread: Thread,
}
