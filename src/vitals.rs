//! How the sidecar itself is doing. Several threads write these numbers, each scrape reads them, and the end of the
//! process forgets them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::Runaway;
use crate::views::analytics::runaway::reason::Reason;
use crate::views::metrics::catalog::{self, Metric};
use crate::views::metrics::totals::{Sample, Snapshot};
use crate::waiting::{
    OpenCall, Outside, ProcessSigns, RowSigns, Signs, Told, Wait, WaitChange, WaitFor, Waits, changes, wait,
};

/// A session with a row within this time is active. The value is a choice: longer than most tools run, and shorter than
/// a break of the user.
pub const ACTIVE_WINDOW: Duration = Duration::from_secs(5 * 60);
/// A tool call that has been open for fewer milliseconds never counts as waiting for the user.
const WAIT_MIN_MS: i128 = 10_000;
/// Milliseconds after which a call counts as waiting if its tool has not run [`OBSERVATIONS_MIN`] times yet.
const WAIT_UNKNOWN_MS: i128 = 60_000;
/// How often a tool must have run before its own durations tell how long it usually takes.
const OBSERVATIONS_MIN: u64 = 20;
/// A call counts as waiting if it has been open for longer than this share of its tool's calls took, in per cent.
const WAIT_PER_CENT: u64 = 95;

/// A number that one thread sets and others read. It is 0 at first.
#[derive(Debug, Default)]
pub struct AtomicNumber(AtomicU64);

/// A flag that one thread sets and others read. It is false at first.
#[derive(Debug, Default)]
pub struct AtomicFlag(AtomicBool);

/// A moment that one thread sets and others read. There is none at first.
#[derive(Debug)]
pub struct AtomicMoment(AtomicI64);

/// How the sidecar is doing: what it reads, stores and waits for.
#[derive(Debug)]
pub struct Vitals {
    /// When the process started.
    pub started: Timestamp,
    /// Session files that are followed.
    pub files_watched: AtomicNumber,
    /// Folders and files that could not be read at the last scan of all files.
    pub paths_unreadable: AtomicNumber,
    /// Bytes of session files that are not read yet.
    pub read_lag_bytes: AtomicNumber,
    /// Bytes of session files that are counted and durable, of the files that existed at the last scan of all files.
    pub counted_bytes: AtomicNumber,
    /// Time of the latest row; `None` before the first one.
    pub last_event: AtomicMoment,
    /// Bytes of the state on disk.
    pub store_bytes: AtomicNumber,
    /// Spans in the outbox.
    pub outbox_spans: AtomicNumber,
    /// When the oldest span in the outbox was put there; `None` if the outbox is empty.
    pub outbox_oldest: AtomicMoment,
    /// True once every file has been read to its end since the start of the process.
    pub initial_scan_complete: AtomicFlag,
    /// True once every file has been read to its end since the state was opened. It is false while the state cannot be
    /// used, and until reading has caught up after that.
    pub is_following: AtomicFlag,
    /// Files of the first scan that have been read to their end.
    pub files_done: AtomicNumber,
    /// Files that the first scan has to read.
    pub files_total: AtomicNumber,
    /// True while the system cannot watch every folder, so that some changes are found by scans of all files only.
    pub watch_degraded: AtomicFlag,
    /// Differences that the self-check has found since the start.
    pub state_drift: AtomicNumber,
    /// Lines of the log that could not be written since the start. The log itself counts them.
    pub log_lines_lost: Arc<AtomicU64>,
    /// How the stream of events is doing.
    pub events: EventVitals,
    /// How the index of search is doing.
    pub index: IndexVitals,
    /// What arrives of streams.
    pub streams: Arc<StreamVitals>,
    idle: Duration,
    sessions: Mutex<Vec<LiveSession>>,
    runaways: Mutex<Vec<Runaway>>,
    outside: Mutex<Outside>,
    waits: Mutex<Waits>,
    trouble: Mutex<Option<String>>,
    history: Mutex<Vec<(Arc<str>, u64)>>,
    archive: Mutex<ArchiveVitals>,
}

/// How the archive is doing, and which sessions have nobody who keeps their text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveVitals {
    /// Sessions of which the archive has no copy and whose file the client deletes soon, each with the value of the label
    /// `within`; 0 before somebody looked.
    pub expiring: [(&'static str, u64); 2],
    /// Copies, also of what files were earlier.
    pub copies: u64,
    /// Bytes of the copies.
    pub bytes: u64,
    /// Bytes of the session files that the copies hold.
    pub file_bytes: u64,
    /// Files copied since the start.
    pub copied: u64,
    /// Tries to copy a file that failed since the start.
    pub failed: u64,
    /// Copies and sessions that ended for their age since the start, each with the value of the label `what`.
    pub ended: [(&'static str, u64); 2],
    /// Why nothing can be copied at the moment; `None` if it can.
    pub paused: Option<String>,
}

/// How the stream of events is doing.
#[derive(Debug, Default)]
pub struct EventVitals {
    /// Clients that follow it.
    pub clients: AtomicNumber,
    /// Bytes that were handed to their connections since the start.
    pub sent_bytes: AtomicNumber,
    /// Clients that were cut off since the start, because they read too slowly.
    pub dropped: AtomicNumber,
}

/// How the index of search is doing; all 0 without one.
#[derive(Debug, Default)]
pub struct IndexVitals {
    /// True once it knew every session file since the start of the process.
    pub is_complete: AtomicFlag,
    /// Session files that it knows something of.
    pub files: AtomicNumber,
    /// Bytes of session files that it knows.
    pub known_bytes: AtomicNumber,
    /// Bytes that it takes on the disk.
    pub disk_bytes: AtomicNumber,
    /// For how many milliseconds it was worked on since the start.
    pub busy_ms: AtomicNumber,
}

/// What arrived of streams since the start, and the files that hold it.
#[derive(Debug, Default)]
pub struct StreamVitals {
    /// Lines that were new.
    pub accepted: AtomicNumber,
    /// Lines that were there already.
    pub known: AtomicNumber,
    /// Lines that were no objects of JSON.
    pub rejected: AtomicNumber,
    /// Bytes that were written.
    pub bytes: AtomicNumber,
    /// Stream files, at the last look.
    pub files: AtomicNumber,
    /// Bytes of them, at the last look.
    pub file_bytes: AtomicNumber,
    /// Stream files that ended for their age or size.
    pub ended: AtomicNumber,
}

/// A session that has not ended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub id: SessionId,
    /// Value of the label `entrypoint`, see [`crate::views::metrics::labels::entrypoint`].
    pub entrypoint: &'static str,
    /// Time of the session's last row.
    pub last: Timestamp,
    /// Tool calls without a result.
    pub open_tools: Vec<OpenTool>,
    /// What its rows show of whom it waits for.
    pub rows: RowSigns,
    /// The configuration folder that its file belongs to; `None` if that is not known.
    pub config: Option<PathBuf>,
}

impl LiveSession {
    /// A session of which nothing but its last row is known.
    #[must_use]
    pub fn new(id: &str, entrypoint: &'static str, last: Timestamp) -> Self {
        let (open_tools, rows) = (Vec::new(), RowSigns { last, ..RowSigns::default() });
        Self { id: SessionId(id.into()), entrypoint, last, open_tools, rows, config: None }
    }
}

/// A tool call without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTool {
    /// Value of the label `tool`, see [`crate::views::metrics::labels::LabelRules::tool`].
    pub tool: Arc<str>,
    /// When it was called.
    pub since: Timestamp,
}

/// Numbers of sessions of one entry point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Sessions with a row within [`ACTIVE_WINDOW`].
    pub active: u64,
    /// Sessions that wait for a person, by [`WaitFor::ALL`].
    pub waiting: [u64; WaitFor::ALL.len()],
}

impl AtomicNumber {
    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the number.
    pub fn add(&self, more: u64) {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| Some(number.saturating_add(more))).ok();
    }

    /// The number that was set last, with what was added since.
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

    /// The value that was set last.
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
    /// Stands for no moment; no row of any client has this time.
    const NEVER: i64 = i64::MIN;

    /// Sets the moment; `None` takes it back.
    pub fn set(&self, value: Option<Timestamp>) {
        self.0.store(value.map_or(Self::NEVER, |time| time.0), Ordering::Relaxed);
    }

    /// Sets the moment unless a later one is set already.
    pub fn advance(&self, value: Timestamp) {
        self.0.fetch_max(value.0, Ordering::Relaxed);
    }

    /// The moment that was set last; `None` if there is none.
    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Relaxed)).filter(|time| *time != Self::NEVER).map(Timestamp)
    }
}

impl Vitals {
    /// The vitals of a process that has done nothing yet. A session without a row for `idle` has ended, even if tool
    /// calls of it are open.
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
            events: EventVitals::default(),
            index: IndexVitals::default(),
            streams: Arc::default(),
            idle,
            sessions: Mutex::default(),
            runaways: Mutex::default(),
            outside: Mutex::default(),
            waits: Mutex::default(),
            trouble: Mutex::default(),
            history: Mutex::default(),
            archive: Mutex::new(ArchiveVitals {
                expiring: [("1d", 0), ("7d", 0)],
                ended: [("copies", 0), ("sessions", 0)],
                ..ArchiveVitals::default()
            }),
        }
    }

    /// Sets how many turns of the past wait to be put into the outbox, by name of the endpoint.
    pub fn set_history(&self, waiting: Vec<(Arc<str>, u64)>) {
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// How many turns of the past wait to be put into the outbox, by name of the endpoint.
    #[must_use]
    pub fn history(&self) -> Vec<(Arc<str>, u64)> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is told of the archive.
    pub fn tell_archive(&self, change: impl FnOnce(&mut ArchiveVitals)) {
        change(&mut self.archive.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is told of the archive.
    #[must_use]
    pub fn archive(&self) -> ArchiveVitals {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets why nothing can be counted at the moment; `None` once counting goes on.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why nothing can be counted at the moment; `None` if counting works.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the sessions that have not ended. Idle sessions may be left out, because they add nothing to the
    /// counts.
    pub fn set_sessions(&self, sessions: Vec<LiveSession>) {
        *self.sessions.lock().unwrap_or_else(PoisonError::into_inner) = sessions;
    }

    /// Replaces the sessions that run away.
    pub fn set_runaways(&self, runaways: Vec<Runaway>) {
        *self.runaways.lock().unwrap_or_else(PoisonError::into_inner) = runaways;
    }

    /// The sessions that run away at `now`.
    #[must_use]
    pub fn runaways(&self, now: Timestamp) -> Vec<Runaway> {
        let runaways = self.runaways.lock().unwrap_or_else(PoisonError::into_inner);
        runaways.iter().filter(|runaway| runaway.is_running(now)).cloned().collect()
    }

    /// How many sessions run away at `now`, for each reason.
    #[must_use]
    pub fn runaway_counts(&self, now: Timestamp) -> [(Reason, usize); 3] {
        let runaways = self.runaways(now);
        Reason::ALL.map(|reason| (reason, runaways.iter().filter(|runaway| runaway.reason == reason).count()))
    }

    /// Takes in what was told of a session: by a hook of the client, or by a program that the client asks.
    pub fn tell(&self, session: &SessionId, told: &Told) {
        self.outside().tell(session, told);
    }

    /// Replaces the processes of the client that run, by the session that each has open, and the configuration folders
    /// that list them.
    pub fn set_processes(&self, processes: BTreeMap<SessionId, ProcessSigns>, lists: BTreeSet<PathBuf>) {
        self.outside().set_processes(processes, lists);
    }

    /// Sessions that a process has open, or of which something was told at `since` or later.
    #[must_use]
    pub fn open_since(&self, since: Timestamp) -> BTreeSet<SessionId> {
        self.outside().open_since(since)
    }

    /// How many milliseconds after `now` the next question begins to be waited for, unless it is answered before; `None` if
    /// none does.
    #[must_use]
    pub fn stands_in_ms(&self, now: Timestamp) -> Option<u64> {
        self.outside().stands_in_ms(now)
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions that wait for a person at `now`. How long a tool usually takes is read from `totals`.
    #[must_use]
    pub fn waits(&self, totals: &Snapshot, now: Timestamp) -> Waits {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let outside = self.outside();
        let waits = |session: &LiveSession| {
            let wait = self.wait_of(session, &outside, totals, now)?;
            Some((session.id.clone(), wait))
        };
        sessions.iter().filter_map(waits).collect()
    }

    /// Takes up waits that were told before this process began: one that a session still has at `now` does not begin again, and
    /// one that it has no more ends with the next call of [`Self::wait_changes`].
    pub fn resume_waits(&self, told: BTreeMap<SessionId, Wait>, totals: &Snapshot, now: Timestamp) {
        let waits = self.waits(totals, now);
        let known = |(session, wait): (SessionId, Wait)| {
            let is_same = |present: &&Wait| (present.waits_for, present.since) == (wait.waits_for, wait.since);
            let present = waits.get(&session).filter(is_same).cloned();
            (session, present.unwrap_or(wait))
        };
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = told.into_iter().map(known).collect();
    }

    /// Which waits began and ended since the last call, as seen at `now`.
    #[must_use]
    pub fn wait_changes(&self, totals: &Snapshot, now: Timestamp) -> Vec<WaitChange> {
        let waits = self.waits(totals, now);
        let mut before = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changes(&before, &waits, now);
        *before = waits;
        changed
    }

    fn wait_of(&self, session: &LiveSession, outside: &Outside, totals: &Snapshot, now: Timestamp) -> Option<Wait> {
        // A session that was killed leaves its tool calls open for ever, so it must not count once it is idle.
        let may_run = u128::from(now.since_ms(session.last)) <= self.idle.as_millis();
        let is_long = |open: &&OpenTool| i128::from(now.since_ms(open.since)) > usual_ms(totals, &open.tool);
        let overdue = session.open_tools.iter().filter(is_long).min_by_key(|open| open.since).filter(|_| may_run);
        let signs = Signs {
            rows: session.rows.clone(),
            told: outside.told(&session.id),
            process: outside.process(&session.id, session.config.as_deref().filter(|_| session.rows.is_listed)),
            overdue: overdue.map(|open| OpenCall { id: None, tool: Arc::clone(&open.tool), since: open.since }),
        };
        wait(&signs, now, u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX))
    }

    /// Counts sessions by entry point at `now`. How long a tool usually takes is read from `totals`.
    #[must_use]
    pub fn live(&self, totals: &Snapshot, now: Timestamp) -> BTreeMap<&'static str, LiveCounts> {
        let mut counts: BTreeMap<&'static str, LiveCounts> = BTreeMap::new();
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let outside = self.outside();
        for session in sessions.iter() {
            let quiet_ms = u128::from(now.since_ms(session.last));
            let entry = counts.entry(session.entrypoint).or_default();
            entry.active += u64::from(quiet_ms <= ACTIVE_WINDOW.as_millis());
            let wait = self.wait_of(session, &outside, totals, now);
            for (of, count) in WaitFor::ALL.iter().zip(&mut entry.waiting) {
                *count += u64::from(wait.as_ref().is_some_and(|wait| wait.waits_for == *of));
            }
        }
        counts
    }
}

/// How long a call of `tool` may be open before it counts as waiting, in milliseconds.
fn usual_ms(totals: &Snapshot, tool: &str) -> i128 {
    let metric: &'static Metric = &catalog::TOOL_DURATION;
    match totals.get(metric, &[tool]) {
        Some(Sample::Histogram(durations)) if durations.count >= OBSERVATIONS_MIN => {
            durations.quantile(metric.buckets, WAIT_PER_CENT).unwrap_or(WAIT_UNKNOWN_MS).max(WAIT_MIN_MS)
        }
        _ => WAIT_UNKNOWN_MS,
    }
}
