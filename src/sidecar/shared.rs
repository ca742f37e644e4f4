//! What the reading thread is given: by whom it is told something, what it tells, and where it reads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;

use crate::archive::Archive;
use crate::custom::Rules;
use crate::http::api::limits::kept::SharedLimits;
use crate::sidecar::news::{TurnNews, WaitNews};
use crate::tail::Hints;
use crate::views::metrics::totals::Snapshot;
use crate::vitals::Vitals;

/// What the reading thread shares with the other threads.
#[derive(Debug)]
pub struct Shared {
    /// How the process is doing, for `/metrics` and the probes.
    pub vitals: Arc<Vitals>,
    /// Set when the process is asked to end.
    pub stop: Arc<AtomicBool>,
    /// What status lines tell of the limits of the account.
    pub limits: Arc<SharedLimits>,
    /// The totals that `/metrics` shows, replaced only after they are durable; `None` before the first scan is
    /// complete.
    pub published: watch::Sender<Option<Snapshot>>,
    /// What is told of the ends of turns from outside the session files.
    pub news: TurnNews,
    /// Waits for a person that began or ended, for who follows what happens.
    pub waits: WaitNews,
    /// Wakes the thread that looks who waits, when something was read that may begin or end a wait.
    pub attending: Hints,
}

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
