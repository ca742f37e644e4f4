//! How the sidecar itself is doing: written by whoever knows, read at each scrape, forgotten at exit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Metric};
use crate::views::metrics::totals::{Sample, Snapshot};

/// A session with a row in this long is active. Longer than most tools run, shorter than a coffee break.
pub const ACTIVE_WINDOW: Duration = Duration::from_secs(5 * 60);
/// A tool that has been open for less is never a sign of waiting.
const WAIT_MIN_MS: i128 = 10_000;
/// What counts as long for a tool that has not run often enough to tell.
const WAIT_UNKNOWN_MS: i128 = 60_000;
/// How often a tool must have run to tell.
const OBSERVATIONS_MIN: u64 = 20;
/// Share of a tool's calls, in per cent, that end sooner than one that likely waits.
const WAIT_PER_CENT: u64 = 95;

/// A number that is set now and then.
#[derive(Debug, Default)]
pub struct AtomicNumber(AtomicU64);

/// A yes or no that is set now and then.
#[derive(Debug, Default)]
pub struct AtomicFlag(AtomicBool);

/// A moment that may not have come yet.
#[derive(Debug)]
pub struct AtomicMoment(AtomicI64);

/// The sidecar's own state.
#[derive(Debug)]
pub struct Vitals {
    /// When the process started.
    pub started: Timestamp,
    /// Session files that are followed.
    pub files_watched: AtomicNumber,
    /// Folders and files that could not be looked at or read at the last look at all of them.
    pub paths_unreadable: AtomicNumber,
    /// Bytes of session files that are not read yet.
    pub read_lag_bytes: AtomicNumber,
    /// Bytes of session files that are counted for good, of the files that were there at the last look at all of them.
    pub counted_bytes: AtomicNumber,
    /// Time of the latest row.
    pub last_event: AtomicMoment,
    /// Bytes of the state on disk.
    pub store_bytes: AtomicNumber,
    /// Spans in the outbox.
    pub outbox_spans: AtomicNumber,
    /// When the oldest of them was put there.
    pub outbox_oldest: AtomicMoment,
    /// Every file has been read to its end since the start.
    pub initial_scan_complete: AtomicFlag,
    /// Every file has been read to its end since the state was opened: not while it cannot be used, nor while it
    /// catches up after that.
    pub is_following: AtomicFlag,
    /// Files of the first scan that have been read to their end.
    pub files_done: AtomicNumber,
    /// Files of the first scan.
    pub files_total: AtomicNumber,
    /// Files are found by looking at all of them only.
    pub watch_degraded: AtomicFlag,
    /// Differences that the self-check has found since the start.
    pub state_drift: AtomicNumber,
    /// Lines of the log that could not be written since the start; counted where they are written.
    pub log_lines_lost: Arc<AtomicU64>,
    idle: Duration,
    sessions: Mutex<Vec<LiveSession>>,
    trouble: Mutex<Option<String>>,
    history: Mutex<Vec<(Arc<str>, u64)>>,
}

/// A session that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// The value of the label, see [`crate::views::metrics::labels::entrypoint`].
    pub entrypoint: &'static str,
    /// Time of its last row.
    pub last: Timestamp,
    /// Tools without a result.
    pub open_tools: Vec<OpenTool>,
}

/// A tool call without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTool {
    /// The value of the label, see [`crate::views::metrics::labels::LabelRules::tool`].
    pub tool: Arc<str>,
    /// When it was called.
    pub since: Timestamp,
}

/// Sessions of one entry point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Had a row within [`ACTIVE_WINDOW`].
    pub active: u64,
    /// Have a tool open for longer than usual.
    pub waiting: u64,
}

impl AtomicNumber {
    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the number.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl AtomicFlag {
    /// Sets the flag.
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The flag.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for AtomicMoment {
    fn default() -> Self {
        Self(AtomicI64::new(Self::NEVER))
    }
}

impl AtomicMoment {
    /// No row of any client has this time.
    const NEVER: i64 = i64::MIN;

    /// Sets the moment.
    pub fn set(&self, value: Option<Timestamp>) {
        self.0.store(value.map_or(Self::NEVER, |time| time.0), Ordering::Relaxed);
    }

    /// Sets the moment unless it is later already.
    pub fn advance(&self, value: Timestamp) {
        self.0.fetch_max(value.0, Ordering::Relaxed);
    }

    /// The moment.
    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Relaxed)).filter(|time| *time != Self::NEVER).map(Timestamp)
    }
}

impl Vitals {
    /// Nothing done yet. A session without a row for `idle` has ended, whatever it has open.
    #[must_use]
    pub fn new(started: Timestamp, idle: Duration) -> Self {
        Self {
            started,
            files_watched: AtomicNumber::default(),
            paths_unreadable: AtomicNumber::default(),
            read_lag_bytes: AtomicNumber::default(),
            counted_bytes: AtomicNumber::default(),
            last_event: AtomicMoment::default(),
            store_bytes: AtomicNumber::default(),
            outbox_spans: AtomicNumber::default(),
            outbox_oldest: AtomicMoment::default(),
            initial_scan_complete: AtomicFlag::default(),
            is_following: AtomicFlag::default(),
            files_done: AtomicNumber::default(),
            files_total: AtomicNumber::default(),
            watch_degraded: AtomicFlag::default(),
            state_drift: AtomicNumber::default(),
            log_lines_lost: Arc::default(),
            idle,
            sessions: Mutex::default(),
            trouble: Mutex::default(),
            history: Mutex::default(),
        }
    }

    /// Replaces how many turns of the past wait to be put into the outbox, for each endpoint.
    pub fn set_history(&self, waiting: Vec<(Arc<str>, u64)>) {
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Turns of the past that wait to be put into the outbox, for each endpoint.
    #[must_use]
    pub fn history(&self) -> Vec<(Arc<str>, u64)> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why nothing can be counted at the moment; `None` once it can.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why nothing can be counted at the moment.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the sessions that may go on. Those that are idle may be left out; they count as nothing.
    pub fn set_sessions(&self, sessions: Vec<LiveSession>) {
        *self.sessions.lock().unwrap_or_else(PoisonError::into_inner) = sessions;
    }

    /// Sessions by entry point at `now`; how long a tool usually takes is in `totals`.
    #[must_use]
    pub fn live(&self, totals: &Snapshot, now: Timestamp) -> BTreeMap<&'static str, LiveCounts> {
        let mut counts: BTreeMap<&'static str, LiveCounts> = BTreeMap::new();
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for session in sessions.iter() {
            let quiet_ms = u128::from(now.since_ms(session.last));
            let entry = counts.entry(session.entrypoint).or_default();
            let waits = |open: &OpenTool| i128::from(now.since_ms(open.since)) > usual_ms(totals, &open.tool);
            entry.active += u64::from(quiet_ms <= ACTIVE_WINDOW.as_millis());
            // A killed session leaves its tool open for ever.
            entry.waiting += u64::from(quiet_ms <= self.idle.as_millis() && session.open_tools.iter().any(waits));
        }
        counts
    }
}

/// How long a tool may be open before it likely waits, in milliseconds.
fn usual_ms(totals: &Snapshot, tool: &str) -> i128 {
    let metric: &'static Metric = &catalog::TOOL_DURATION;
    match totals.get(metric, &[tool]) {
        Some(Sample::Histogram(durations)) if durations.count >= OBSERVATIONS_MIN => {
            durations.quantile(metric.buckets, WAIT_PER_CENT).unwrap_or(WAIT_UNKNOWN_MS).max(WAIT_MIN_MS)
        }
        _ => WAIT_UNKNOWN_MS,
    }
}
