//! The thread that copies session files which have been quiet, has copies read whose rows the state lacks, and tells which
//! sessions the client deletes soon. It begins once everything was read for the first time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::archive::Archive;
use crate::archive::keep::{Keeper, Pass, Rules};
use crate::config::Retention;
use crate::index::build::give_way;
use crate::sidecar::clock;
use crate::sidecar::error::RunError;
use crate::sidecar::life::Life;
use crate::sidecar::settings;
use crate::store::StoreReader;
use crate::tail::{self, ClientSettings, FolderProblem, FoundFile, Hints};
use crate::text::chain;
use crate::transcript::chunk::FileRole;
use crate::transcript::time::Timestamp;
use crate::vitals::Vitals;

/// Time between two looks whether there is something to do: copies may have come in from elsewhere.
const BEAT: Duration = Duration::from_secs(1);

/// Time between two tries to begin: the first scan may still go on.
const FIRST_BEAT: Duration = Duration::from_millis(250);

/// Longest time between two looks at all session files.
const EVERY: Duration = Duration::from_secs(300);

/// Time between two looks at all copies.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// A file is copied at the latest when it has been quiet for half the time that the client keeps it.
const KEPT_PART: u32 = 2;

/// Most files that could not be copied whose last reason is remembered.
const FAILED_MAX: usize = 10_000;

const DAY_MS: i64 = 86_400_000;

/// What the thread works with.
pub(super) struct Keeping {
    archive: Archive,
    /// How long a file was not written before it is copied; `None` if nothing is copied.
    after: Option<Duration>,
    retention: Retention,
    client: ClientSettings,
    roots: Vec<PathBuf>,
    reader: StoreReader,
    vitals: Arc<Vitals>,
    hints: Hints,
    stop: Arc<AtomicBool>,
}

impl Keeping {
    pub(super) fn of(life: &Life<'_>) -> Self {
        let config = life.config;
        Self {
            archive: life.archive.clone(),
            after: config.archive.enabled.then_some(config.archive.after),
            retention: config.retention.clone(),
            client: settings::client(config, life.env),
            roots: tail::session_roots(&[], &config.projects, life.env),
            reader: life.kept.reader.clone(),
            vitals: Arc::clone(&life.shared.vitals),
            hints: life.hints.clone(),
            stop: Arc::clone(&life.shared.stop),
        }
    }

    /// Longest time between two looks at all session files.
    fn every(&self) -> Duration {
        self.after.map_or(EVERY, |after| after.clamp(BEAT, EVERY))
    }
}

/// Starts the thread, which ends some time after the sender is dropped or the process is asked to end.
pub(super) fn start(keeping: Keeping) -> Result<mpsc::Sender<()>, RunError> {
    let (sender, ended) = mpsc::channel();
    let body = move || {
        give_way();
        let mut round = Round::new(keeping);
        let mut beat = FIRST_BEAT;
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(beat) {
            if round.keeping.vitals.initial_scan_complete.get() {
                beat = BEAT;
                round.beat();
            }
        }
    };
    let thread = thread::Builder::new().name("archive".to_owned()).spawn(body);
    thread.map(|_| sender).map_err(|source| RunError::System { what: "the thread of the archive", source })
}

/// What the thread remembers.
struct Round {
    keeping: Keeping,
    keeper: Keeper,
    passed: Option<Instant>,
    looked: Option<Instant>,
    /// The file that is touched when copies come in, as it was last.
    changed: Option<(u64, i64)>,
    failed: BTreeMap<PathBuf, String>,
    /// Copies that were asked to be read last.
    lacking: Vec<FoundFile>,
    /// Whether the log has told of files that the client deletes.
    warned: bool,
}

impl Round {
    fn new(keeping: Keeping) -> Self {
        let keeper = Keeper::new(keeping.archive.clone());
        Self {
            keeping,
            keeper,
            passed: None,
            looked: None,
            changed: None,
            failed: BTreeMap::new(),
            lacking: Vec::new(),
            warned: false,
        }
    }

    fn beat(&mut self) {
        let changed = self.keeping.archive.changed().and_then(|path| fs::metadata(path).ok());
        let changed = changed.map(|metadata| (metadata.ino(), metadata.ctime_nsec()));
        let is_late = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
        if changed != self.changed || is_late(self.looked, LOOK_EVERY) {
            (self.changed, self.looked) = (changed, Some(Instant::now()));
            self.look();
        }
        if is_late(self.passed, self.keeping.every()) {
            self.passed = Some(Instant::now());
            self.pass();
        }
    }

    /// Looks at all copies, and has those read whose rows the state lacks.
    fn look(&mut self) {
        self.end_copies();
        match self.keeper.look() {
            Ok(held) => {
                if held.damaged > 0 {
                    tracing::warn!(
                        damaged = held.damaged,
                        "copies in the archive cannot be read: `tailspan archive verify` names them"
                    );
                }
                self.keeping.vitals.tell_archive(|told| {
                    (told.copies, told.bytes, told.file_bytes) = (held.copies, held.bytes, held.file_bytes);
                });
                if held.copies > 0 {
                    self.read_lacking();
                }
            }
            Err(error) => tracing::warn!(%error, "the archive cannot be read"),
        }
    }

    /// Ends copies that are older than the configuration wants them.
    fn end_copies(&mut self) {
        let Some(age) = self.keeping.retention.archive else { return };
        match self.keeper.end(age, clock::now()) {
            Ok(0) => {}
            Ok(copies) => {
                tracing::info!(copies, ?age, "copies in the archive ended for their age (retention.archive)");
                self.keeping.vitals.tell_archive(|told| told.ended[0].1 += copies);
            }
            Err(error) => tracing::warn!(%error, "copies in the archive cannot be ended"),
        }
    }

    fn read_lacking(&mut self) {
        let Keeping { archive, reader, roots, hints, .. } = &self.keeping;
        let counted = reader.counted().map_err(|error| chain(&error));
        let lacking = |counted| archive.lacking(&counted, &tail::existing(roots)).map_err(|error| error.to_string());
        match counted.and_then(lacking) {
            Ok(copies) => {
                // A copy that ends with half a line lacks it for good: it is asked for again, and said once.
                if !copies.is_empty() && copies != self.lacking {
                    tracing::info!(files = copies.len(), "copies of the archive are read, whose files are gone");
                }
                self.lacking.clone_from(&copies);
                hints.read_copies(copies);
            }
            Err(error) => tracing::warn!(error, "the archive cannot be compared with the state for now"),
        }
    }

    /// Looks at all session files: tells which the client deletes soon, and copies those that are quiet.
    fn pass(&mut self) {
        let now = clock::now();
        let mut unseen = |_: FolderProblem| {};
        let roots = tail::existing(&self.keeping.roots);
        let found: Vec<(FoundFile, &Path)> = roots
            .iter()
            .flat_map(|root| tail::scan(root, &mut unseen).into_iter().map(move |found| (found, root.as_path())))
            .collect();
        let kept = Duration::from_secs(self.keeping.client.kept_days().saturating_mul(86_400));
        if let Some(after) = self.keeping.after {
            let after = after.min(kept / KEPT_PART);
            let stop = Arc::clone(&self.keeping.stop);
            let goes_on = || !stop.load(Ordering::Acquire);
            let files = found.iter().map(|(found, root)| (found, *root));
            let rules = Rules { after, end: self.keeping.retention.archive };
            let pass = self.keeper.pass(files, &rules, now, &goes_on);
            let has_news = pass.copied > 0;
            tell(&self.keeping.vitals, &mut self.failed, pass);
            if has_news && let Ok(held) = self.keeper.look() {
                self.keeping.vitals.tell_archive(|told| {
                    (told.copies, told.bytes, told.file_bytes) = (held.copies, held.bytes, held.file_bytes);
                });
            }
        }
        found.iter().for_each(|(found, _)| self.keeper.look_at(found));
        self.tell_expiring(&found, kept, now);
    }

    /// Tells of how many sessions nobody keeps the text; in the log once, when it is urgent for the first time.
    fn tell_expiring(&mut self, found: &[(FoundFile, &Path)], kept: Duration, now: Timestamp) {
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let own = found.iter().map(|(found, _)| found);
        let own = own.filter(|found| found.role == FileRole::Rows && found.depth == 0 && !self.keeper.has(found));
        let left: Vec<i64> =
            own.map(|found| (found.modified_ns / 1_000_000).saturating_add(kept_ms).saturating_sub(now.0)).collect();
        let within = |days: i64| left.iter().filter(|left| **left <= days * DAY_MS).count() as u64;
        let expiring = [("1d", within(1)), ("7d", within(7))];
        self.keeping.vitals.tell_archive(|told| told.expiring = expiring);
        if within(1) > 0 && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                within_a_day = within(1),
                within_a_week = within(7),
                "the client deletes session files that have no copy: figures stay, what was said does not; [archive] enabled keeps it"
            );
        }
    }
}

/// Tells what a pass did: in the metrics, and in the log what is new of it.
fn tell(vitals: &Vitals, failed: &mut BTreeMap<PathBuf, String>, pass: Pass) {
    let Pass { copied, bytes, rewritten, failed: now_failed, paused } = pass;
    if copied > 0 {
        tracing::info!(files = copied, bytes, rewritten, "session files were copied into the archive");
    }
    let number = now_failed.len() as u64;
    for (path, reason) in now_failed {
        if failed.len() >= FAILED_MAX {
            failed.clear();
        }
        if failed.get(&path) != Some(&reason) {
            tracing::warn!(path = %path.display(), "{reason}: it has no copy in the archive for now");
            failed.insert(path, reason);
        }
    }
    let before = vitals.archive().paused;
    match &paused {
        Some(reason) if before.is_none() => {
            tracing::error!(reason, "copies cannot be written: the archive pauses until they can; nothing is deleted");
        }
        None if before.is_some() => tracing::info!("copies can be written again"),
        _ => {}
    }
    vitals.tell_archive(|told| {
        told.copied += copied;
        told.failed += number + u64::from(paused.is_some());
        told.paused = paused;
    });
}
