//! The thread that attends to what is told of sessions from outside their files: the lines of hooks, and the client's list
//! of its processes. It tells the vitals at once, and the reading thread what ends turns.
//!
//! Events of the file system wake it. It looks once a second as well, because a process that is killed makes no event,
//! and because a wait may end with time alone. Between two such looks it only compares who waits: when something was read,
//! and when a question has stood for long enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::hooks::{ClientProcess, HookLines, Register, folder, register};
use crate::sidecar::clock;
use crate::sidecar::error::RunError;
use crate::sidecar::shared::Shared;
use crate::sidecar::waits;
use crate::store::StoreReader;
use crate::tail::{self, Hints, Watcher};
use crate::text::chain;
use crate::transcript::ids::SessionId;
use crate::views::metrics::totals::Snapshot;
use crate::waiting::{ProcessSigns, ProcessStatus, Told, ToldKind, WaitChange, WaitFor};

/// Longest pause between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shortest pause between two times at which it is compared who waits, while rows come all the time.
const COMPARE: Duration = Duration::from_millis(50);

/// Time between two sweeps of old files.
const SWEEP: Duration = Duration::from_secs(3600);

/// What the thread attends to, and whom it tells.
#[derive(Debug)]
pub(super) struct Attending {
    pub(super) state: PathBuf,
    /// Candidates for projects folders.
    pub(super) roots: Vec<PathBuf>,
    pub(super) shared: Arc<Shared>,
    /// Wakes the reading thread.
    pub(super) reading: Hints,
    /// Reads which waits were told before this start.
    pub(super) reader: StoreReader,
}

impl Attending {
    /// Starts the thread, after a first look, so that what was told before this start is known before the first question.
    /// The thread ends soon after the flag is set.
    pub(super) fn start(self) -> Result<(), RunError> {
        let mut lines = HookLines::in_state(&self.state);
        // Without the folder there is nothing to watch; the first hook would make it.
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(lines.folder()) {
            tracing::warn!(error = chain(&error), "hooks of the client cannot be heard");
        }
        self.look(&mut lines, &mut false);
        let thread = thread::Builder::new().name("hooks".to_owned()).spawn(move || self.run(lines));
        thread.map(drop).map_err(|source| RunError::System { what: "the thread of hooks", source })
    }

    fn run(self, mut lines: HookLines) {
        let mut watcher = Watcher::silent(self.shared.attending.clone());
        let (mut swept, mut resumed): (Option<Instant>, _) = (None, false);
        while !self.shared.stop.load(Ordering::Acquire) {
            let mut folders: Vec<PathBuf> = self.configs().iter().map(|config| register::list_in(config)).collect();
            folders.push(lines.folder().to_path_buf());
            folders.retain(|folder| folder.is_dir());
            watcher.refresh(&folders);
            watcher.watch_paths(folders.iter().map(PathBuf::as_path));
            self.look(&mut lines, &mut resumed);
            if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                folder::sweep(lines.folder(), clock::now());
                swept = Some(Instant::now());
            }
            self.compare_until_next_look(&mut resumed);
        }
    }

    /// Tells who waits as it changes, until the folders are to be looked at again: at the next event of them, or in a second.
    fn compare_until_next_look(&self, resumed: &mut bool) {
        let (woken, next) = (&self.shared.attending, Instant::now() + LOOK);
        loop {
            let stands = self.shared.vitals.stands_in_ms(clock::now()).map_or(LOOK, Duration::from_millis);
            woken.wait(stands.min(next.saturating_duration_since(Instant::now())));
            // What has changed in the folders does not matter: everything is looked at.
            let (paths, all) = woken.take();
            let is_due = !paths.is_empty() || all || Instant::now() >= next;
            if is_due || self.shared.stop.load(Ordering::Acquire) {
                return;
            }
            self.compare(resumed);
            thread::sleep(COMPARE);
        }
    }

    /// Configuration folders that exist, as the paths of session files name them.
    fn configs(&self) -> Vec<PathBuf> {
        let roots = tail::existing(&self.roots);
        roots.iter().filter_map(|root| root.parent()).map(PathBuf::from).collect()
    }

    /// Attends to what is new. `resumed` is true once the waits are known that were told before this start.
    fn look(&self, lines: &mut HookLines, resumed: &mut bool) {
        let told = lines.news();
        told.iter().for_each(|(session, told)| self.shared.vitals.tell(session, told));
        let ends = |told: &Told| matches!(told.kind, ToldKind::Stopped | ToldKind::SessionEnded);
        let is_end = told.iter().any(|(_, told)| ends(told));
        // Beginnings too: they take ends back.
        self.shared.news.push(told);
        if is_end {
            self.reading.wake();
        }
        let register = Register::beside(&tail::existing(&self.roots));
        let processes = register.folders.values().flatten().map(|process| (session_of(process), signs_of(process)));
        let (processes, lists): (BTreeMap<_, _>, BTreeSet<_>) =
            (processes.collect(), register.folders.keys().cloned().collect());
        self.shared.vitals.set_processes(processes, lists);
        self.compare(resumed);
    }

    /// Tells which waits began and ended since the last time.
    fn compare(&self, resumed: &mut bool) {
        // Before every file is read nobody knows which waits have ended.
        if self.shared.vitals.initial_scan_complete.get() {
            let totals = self.shared.published.borrow().clone().unwrap_or_default();
            if !std::mem::replace(resumed, true) {
                self.resume(&totals);
            }
            self.tell_changes(&totals);
        }
    }

    /// Takes up the waits that were told before this start, so that none is told to begin twice, or never to end.
    fn resume(&self, totals: &Snapshot) {
        match waits::told(&self.reader) {
            Ok(told) => self.shared.vitals.resume_waits(told, totals, clock::now()),
            Err(error) => tracing::warn!(error = chain(&error), "waits for a person are told again"),
        }
    }

    /// Logs which waits began and ended.
    fn tell_changes(&self, totals: &Snapshot) {
        for change in self.shared.vitals.wait_changes(totals, clock::now()) {
            // That a turn is over is told by the event of the turn, and nobody knows whether `unknown` is a wait.
            if matches!(change.wait.waits_for, WaitFor::Permission | WaitFor::Question) {
                self.shared.waits.push(change.clone());
                self.reading.wake();
            }
            let WaitChange { session, wait, ended } = change;
            let (session, of, tool) = (&*session.0, wait.waits_for.word(), wait.tool.as_deref());
            let what = if ended.is_some() { "a session waits no more" } else { "a session waits" };
            tracing::debug!(session, of, tool, since = wait.since.to_rfc3339(), "{what}");
        }
    }
}

fn session_of(process: &ClientProcess) -> SessionId {
    SessionId(Arc::from(&*process.session))
}

fn signs_of(process: &ClientProcess) -> ProcessSigns {
    let status = process.status.as_deref().zip(process.since);
    let status = status.map(|(status, since)| (ProcessStatus::of(status, process.waiting_for.as_deref()), since));
    ProcessSigns::Runs { is_terminal: process.is_terminal, status }
}
