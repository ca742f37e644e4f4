//! What the reading thread reads, and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::Archive;
use crate::custom::Rules;

/// How the reading thread looks for files.
#[derive(Debug, Clone)]
pub struct TailSources {
    /// Candidates for session roots; those that do not exist are waited for.
    pub roots: Vec<PathBuf>,
    /// The folder of stream files, which need not exist yet.
    pub streams: PathBuf,
    /// Pause between scans of all files, if events do not make them unnecessary.
    pub rescan: Duration,
    /// Bytes in the outbox above which reading pauses.
    pub outbox_bytes_max: u64,
    /// A session without a row for this many milliseconds has ended.
    pub idle_ms: u64,
    /// Threads for the first scan.
    pub threads: usize,
    /// Rules of custom metrics, for which texts are looked at.
    pub rules: Rules,
    /// The age at which sessions end; `None` if none ends.
    pub end_after: Option<Duration>,
    /// Copies of session files, which a new state reads as well.
    pub archive: Archive,
}
