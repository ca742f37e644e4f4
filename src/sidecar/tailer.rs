//! The thread that reads session files and writes what they say to the state.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::archive;
use crate::custom::RuleReader;
use crate::engine::Engine;
use crate::engine::ahead::{self, Job, Parsed};
use crate::sidecar::clock::now;
use crate::sidecar::ended::Ended;
use crate::sidecar::look::{Look, next_look};
pub use crate::sidecar::shared::{Shared, TailSources};
use crate::sidecar::{limits, runaways, waits};
use crate::store::StoreError;
use crate::tail::{self, FileReader, FoundFile, Hints, ReadLimits, Watcher};
use crate::text::chain;
use crate::transcript::time::Timestamp;
use crate::views::metrics::totals::Snapshot;

/// How long events of the file system are gathered before they are acted on. While somebody follows what happens, this is
/// how far apart two such rounds are, so that the first line after a pause is told at once.
const GATHER: Duration = Duration::from_millis(15);

/// Longest pause between scans of all files while the watcher cannot watch everything.
const RESCAN_DEGRADED: Duration = Duration::from_secs(1);

/// Ticks of the engine, each of which commits turns that leave, between two flushes.
const TICKS_AT_ONCE: u32 = 10;

/// Pause between two checks whether a full outbox has room again.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// Tails the session files until it is stopped.
#[derive(Debug)]
pub struct Tailer {
    engine: Engine,
    shared: Arc<Shared>,
    over: Arc<AtomicBool>,
    sources: TailSources,
    hints: Hints,
    watcher: Watcher,
    reader: FileReader,
    rules: RuleReader,
    roots: Vec<PathBuf>,
    /// The folder of stream files with symbolic links resolved; `None` while it does not exist.
    streams: Option<PathBuf>,
    reported: HashMap<PathBuf, String>,
    outbox: Arc<crate::store::OutboxMeter>,
    paused: bool,
    /// Bytes of session files that were read since the last publication.
    read_bytes: u64,
    /// Pause before the next scan of all files, and the moment of that scan.
    look: (Duration, Instant),
    /// Paths that could not be read since the last scan of all files began.
    unreadable: u64,
    ended: Ended,
    /// Copies that are to be read once reading goes on.
    copies: Vec<FoundFile>,
}

impl Tailer {
    /// Prepares to tail the files below those of `sources.roots` that exist; reads nothing yet.
    #[must_use]
    pub fn new(engine: Engine, shared: Arc<Shared>, sources: TailSources, hints: Hints) -> Self {
        let roots = tail::existing(&sources.roots);
        let watcher = Watcher::new(hints.clone());
        let outbox = engine.outbox();
        let look = (sources.rescan, Instant::now());
        let rules = RuleReader::new(&sources.rules);
        Self {
            engine,
            shared,
            over: Arc::default(),
            sources,
            hints,
            watcher,
            reader: FileReader::new(ReadLimits::default()),
            rules,
            roots,
            streams: None,
            reported: HashMap::new(),
            outbox,
            paused: false,
            read_bytes: 0,
            look,
            unreadable: 0,
            ended: Ended::default(),
            copies: Vec::new(),
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire) || self.over.load(Ordering::Acquire)
    }

    /// A flag that ends this tailer alone, and not the process. Whoever sets it must then wake the hints.
    #[must_use]
    pub fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    /// Reads all session files, then what is added to them. Returns when asked to stop, with everything durable.
    /// `progress` is called during the first scan with files done, bytes read, and the totals of files and bytes; fails
    /// if the store fails.
    pub fn run(&mut self, progress: impl FnMut(u64, u64, u64, u64)) -> Result<(), StoreError> {
        let result = self.follow(progress);
        self.shared.vitals.is_following.set(false);
        result
    }

    fn follow(&mut self, progress: impl FnMut(u64, u64, u64, u64)) -> Result<(), StoreError> {
        self.first_scan(progress)?;
        let mut rescan = Instant::now() + self.pause();
        // After an upgrade they are made in the background, a few in each round.
        let (mut lacks_cells, mut is_ending, mut round) = (true, false, Instant::now());
        while !self.stopped() {
            let mut wait = rescan.saturating_duration_since(Instant::now());
            if let Some(tick) = self.engine.next_tick()
                && !self.paused
            {
                wait = wait.min(Duration::from_millis(tick.since_ms(now()).max(1)));
            }
            if self.paused {
                wait = wait.min(FULL_PAUSE);
            }
            if lacks_cells || is_ending {
                wait = Duration::ZERO;
            }
            if self.hints.wait(wait) && !self.stopped() {
                let waited = if self.engine.is_followed() { round.elapsed() } else { Duration::ZERO };
                thread::sleep(GATHER.saturating_sub(waited));
            }
            round = Instant::now();
            if self.stopped() {
                break;
            }
            let (paths, all) = self.hints.take();
            let due = Instant::now() >= rescan;
            if due {
                rescan = Instant::now() + self.pause();
            }
            let whole = all || (due && self.is_look_due());
            let mut found = if whole { self.scan() } else { self.look_at(paths) };
            let copies = self.copies_to_read();
            found.extend(copies.iter().cloned());
            let has_news = self.read(found, whole)?;
            self.engine.note_told(&self.shared.news.take(), now())?;
            let has_asked = waits::hear(&mut self.engine, &self.shared.vitals, now());
            waits::tell(&mut self.engine, &self.shared.waits);
            if self.paused && self.copies.is_empty() {
                self.copies = copies;
            }
            if whole {
                let pause = next_look(self.look.0, self.sources.rescan, has_news);
                self.look = (pause, Instant::now() + pause);
            }
            let mut ticks = 0u32;
            while !self.is_full() && self.engine.tick(now())? && !self.stopped() {
                ticks += 1;
                // Spans that are not durable yet stay in memory and cannot be sent.
                if ticks.is_multiple_of(TICKS_AT_ONCE) {
                    let snapshot = self.engine.flush_some()?;
                    self.show(snapshot);
                }
            }
            limits::keep(&mut self.engine, &self.shared.limits)?;
            self.publish()?;
            if has_news || has_asked {
                self.shared.attending.wake();
            }
            self.engine.give_back(now())?;
            lacks_cells = lacks_cells && self.engine.make_cells()?;
            is_ending = self.end_old()?;
        }
        self.engine.commit(now())?;
        limits::keep(&mut self.engine, &self.shared.limits)?;
        // This flush does not compact the database; that can wait for the next start.
        let snapshot = self.engine.flush_some()?;
        self.show(snapshot);
        Ok(())
    }

    /// Ends some sessions that are older than the configuration wants them. Returns true if there may be more.
    fn end_old(&mut self) -> Result<bool, StoreError> {
        let Some(age) = self.sources.end_after else { return Ok(false) };
        Ok(self.ended.tell(self.engine.retire(age, now())?, age, &self.shared.vitals))
    }

    /// Copies that somebody asked to be read; none while reading pauses.
    fn copies_to_read(&mut self) -> Vec<FoundFile> {
        let new = self.hints.take_copies();
        if !new.is_empty() {
            self.copies = new;
        }
        if self.paused { Vec::new() } else { std::mem::take(&mut self.copies) }
    }

    fn pause(&self) -> Duration {
        if self.watcher.misses_events() { self.sources.rescan.min(RESCAN_DEGRADED) } else { self.sources.rescan }
    }

    /// Whether all files must be scanned, though no event asks for it.
    fn is_look_due(&self) -> bool {
        let misses_events = self.watcher.misses_events();
        let has_appeared = || {
            tail::existing(&self.sources.roots) != self.roots
                || tail::existing(std::slice::from_ref(&self.sources.streams)).pop() != self.streams
        };
        misses_events || Instant::now() >= self.look.1 || has_appeared()
    }

    /// Finds every file of every root, and watches folders that have appeared.
    fn scan(&mut self) -> Vec<FoundFile> {
        let roots = tail::existing(&self.sources.roots);
        for root in roots.iter().filter(|root| !self.roots.contains(root)) {
            tracing::info!(root = %root.display(), "a session root has appeared");
        }
        self.roots = roots;
        self.streams = tail::existing(std::slice::from_ref(&self.sources.streams)).pop();
        let watched: Vec<PathBuf> = self.roots.iter().chain(&self.streams).cloned().collect();
        self.watcher.refresh(&watched);
        let (roots, streams) = (self.roots.clone(), self.streams.clone());
        self.unreadable = 0;
        let streams = streams.map(|folder| self.looking(|look| tail::scan_streams(&folder, look)));
        let mut found: Vec<FoundFile> = streams.unwrap_or_default();
        found.extend(roots.iter().flat_map(|root| self.looking(|look| tail::scan(root, look))));
        let rows = found.iter().filter(|found| found.role == crate::transcript::chunk::FileRole::Rows).count();
        self.shared.vitals.files_watched.set(rows as u64);
        self.shared.vitals.watch_degraded.set(self.watcher.is_degraded());
        found
    }

    /// Finds the files at or below `paths`, which events named.
    fn look_at(&mut self, paths: std::collections::BTreeSet<PathBuf>) -> Vec<FoundFile> {
        let mut found = Vec::new();
        for path in paths {
            if let Some(folder) = self.streams.clone().filter(|folder| path.starts_with(folder) && path != *folder) {
                found.extend(self.looking(|look| tail::scan_stream(&folder, &path, look)));
                continue;
            }
            // Only a scan of all files can tell what became of a root itself.
            let root = self.roots.iter().find(|root| path.starts_with(root) && path != **root);
            let Some(root) = root.cloned() else {
                self.hints.flag_rescan();
                continue;
            };
            found.extend(self.looking(|look| tail::scan_under(&root, &path, look)));
        }
        found
    }

    /// Runs `look`, which searches for files; watches the folders on the way, and logs those that cannot be read.
    fn looking(&mut self, look: impl FnOnce(&mut Look<'_>) -> Vec<FoundFile>) -> Vec<FoundFile> {
        let mut observer = Look { watcher: &mut self.watcher, problems: Vec::new() };
        let found = look(&mut observer);
        self.unreadable += observer.problems.len() as u64;
        for problem in observer.problems {
            self.report(problem.path.clone(), chain(&problem));
        }
        found
    }

    /// Logs why a path cannot be read, unless that was the last reason logged for it.
    fn report(&mut self, path: PathBuf, text: String) {
        /// Most paths whose last problem is remembered.
        const REPORTED_MAX: usize = 10_000;
        if self.reported.len() >= REPORTED_MAX {
            self.reported.clear();
        }
        if self.reported.get(&path) != Some(&text) {
            tracing::warn!(path = %path.display(), "{text}");
            self.reported.insert(path, text);
        }
    }

    /// Reads all files on several threads. Nothing is published before the end: a counter that grows while history is
    /// read would show the use of months as if it were now.
    fn first_scan(&mut self, mut progress: impl FnMut(u64, u64, u64, u64)) -> Result<(), StoreError> {
        if self.roots.is_empty() {
            let roots: Vec<String> = self.sources.roots.iter().map(|root| crate::text::display(root)).collect();
            tracing::warn!(roots = roots.join(", "), "no session root exists yet: waiting for one to appear");
        }
        let started = Instant::now();
        let mut found = self.scan();
        if self.engine.is_new() {
            found.extend(self.archived()?);
        }
        self.note_counted(&found, self.engine.lag_bytes(&found));
        let jobs = self.engine.jobs(found)?;
        let (files, bytes) = (jobs.len() as u64, jobs.iter().map(left).sum::<u64>());
        let vitals = Arc::clone(&self.shared.vitals);
        vitals.files_total.set(files);
        vitals.files_done.set(0);
        let mut failed = Ok(());
        let mut problems = Vec::new();
        let mut searching = Vec::new();
        let (engine, shared, over, read) = (&mut self.engine, &self.shared, &self.over, &mut self.read_bytes);
        ahead::for_each_by(&self.sources.rules, &jobs, self.sources.threads, |parsed| {
            match parsed {
                Parsed::Piece(piece) => {
                    *read += piece.bytes;
                    progress(0, piece.bytes, files, bytes);
                    failed = engine.step(&piece, now());
                }
                Parsed::Failed { file, error } => {
                    problems.push((file, chain(&error)));
                }
                Parsed::Searching { file } => searching.push(file),
                Parsed::Done { .. } => {
                    progress(1, 0, files, bytes);
                    vitals.files_done.set(vitals.files_done.get() + 1);
                }
            }
            if failed.is_err() || shared.stop.load(Ordering::Acquire) || over.load(Ordering::Acquire) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        failed?;
        self.unreadable += problems.len() as u64;
        self.shared.vitals.paths_unreadable.set(self.unreadable);
        for (file, text) in problems {
            let path = jobs.iter().find(|job| job.file == file).map(|job| job.found.path.clone());
            self.report(path.unwrap_or_default(), text);
        }
        for job in jobs.iter().filter(|job| searching.contains(&job.file)) {
            self.search_on(job);
        }
        drop(jobs);
        self.engine.commit(now())?;
        if self.stopped() {
            self.engine.flush_some()?;
            return Ok(());
        }
        // Else waits that were told before this start would be told to end.
        waits::hear(&mut self.engine, &self.shared.vitals, now());
        self.publish()?;
        self.shared.vitals.initial_scan_complete.set(true);
        self.shared.vitals.is_following.set(true);
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(files, bytes, milliseconds, "the first scan is complete");
        Ok(())
    }

    /// What only the archive has. A state that was lost is to be whole before it is shown. What files were earlier is read
    /// at once, the oldest first: of what has no time, like a title, the last that is read counts.
    fn archived(&mut self) -> Result<Vec<FoundFile>, StoreError> {
        let copies = match self.sources.archive.lacking(&HashMap::new(), &self.roots) {
            Ok(copies) => copies,
            Err(error) => {
                tracing::warn!(%error, "the archive cannot be read: what only it has is not counted");
                Vec::new()
            }
        };
        let (earlier, copies): (Vec<_>, Vec<_>) =
            copies.into_iter().partition(|found| archive::is_earlier(&found.path));
        for found in earlier {
            self.read(vec![found], false)?;
        }
        Ok(copies)
    }

    /// Reads the files that have something new, a piece of each in turn, so that a large file delays no other. `whole`
    /// says that `found` holds all files. Returns true if something new was read.
    fn read(&mut self, mut found: Vec<FoundFile>, whole: bool) -> Result<bool, StoreError> {
        // A file and its folder may both have been named. A file that is there again is read itself, and not its copy.
        found.sort_by(|a, b| a.path.cmp(&b.path).then(a.copy.cmp(&b.copy)));
        found.dedup_by(|a, b| a.path == b.path);
        let lag = self.engine.lag_bytes(&found);
        // If only files that events named are read, the lag of the other files is still as large as it was.
        let known = if whole { 0 } else { self.shared.vitals.read_lag_bytes.get() };
        self.shared.vitals.read_lag_bytes.set(lag.max(known));
        if whole {
            self.note_counted(&found, lag);
        }
        let mut jobs = self.engine.jobs(found)?;
        let (mut has_news, mut is_searching) = (false, false);
        while !jobs.is_empty() && !self.stopped() {
            if self.is_full() {
                break;
            }
            let mut more = Vec::new();
            for mut job in jobs {
                let (parsed, goes_on) = ahead::next_piece_by(&mut self.rules, &mut self.reader, &job);
                match parsed {
                    Parsed::Piece(piece) => {
                        has_news = true;
                        self.read_bytes += piece.bytes;
                        self.engine.step(&piece, now())?;
                        job.cursor = Some(Box::new(piece.cursor));
                    }
                    Parsed::Failed { error, .. } => {
                        self.unreadable += 1;
                        self.report(job.found.path.clone(), chain(&error));
                    }
                    Parsed::Searching { .. } => {
                        is_searching = true;
                        self.search_on(&job);
                        continue;
                    }
                    Parsed::Done { .. } => {}
                }
                if goes_on {
                    more.push(job);
                }
            }
            jobs = more;
        }
        if whole {
            self.shared.vitals.paths_unreadable.set(self.unreadable);
        }
        if jobs.is_empty() && !is_searching && (whole || !self.paused) {
            self.shared.vitals.read_lag_bytes.set(0);
            self.engine.caught_up(now());
        }
        if self.engine.is_dirty() {
            self.engine.commit(now())?;
        }
        Ok(has_news)
    }

    /// Has a file looked at again soon, because the end of a very long line in it was not found yet. Other files are
    /// read meanwhile.
    fn search_on(&mut self, job: &Job) {
        let text = "a line of this file is very long: its end is searched for while other files are read";
        self.report(job.found.path.clone(), text.to_owned());
        self.hints.add(job.found.path.clone());
    }

    /// Notes how many bytes of `all` files are counted: all but `lag`.
    fn note_counted(&self, all: &[FoundFile], lag: u64) {
        let bytes: u64 = all.iter().map(|found| found.size).sum();
        self.shared.vitals.counted_bytes.set(bytes.saturating_sub(lag));
    }

    /// Whether the outbox is full. A full outbox stops reading: the session files are the queue, and their cursors
    /// wait.
    fn is_full(&mut self) -> bool {
        let full = self.outbox.bytes() >= self.sources.outbox_bytes_max;
        if full != self.paused {
            self.paused = full;
            if full {
                tracing::warn!("the outbox is full: reading pauses until every endpoint takes spans again");
            } else {
                tracing::info!("the outbox has room again: reading goes on");
                self.hints.flag_rescan();
            }
        }
        full
    }

    /// Makes everything durable and shows it.
    fn publish(&mut self) -> Result<(), StoreError> {
        let snapshot = self.engine.flush()?;
        self.show(snapshot);
        Ok(())
    }

    /// Shows what is durable now.
    fn show(&mut self, snapshot: Snapshot) {
        let vitals = &self.shared.vitals;
        vitals.counted_bytes.add(std::mem::take(&mut self.read_bytes));
        vitals.store_bytes.set(self.engine.store_bytes());
        vitals.set_history(self.engine.history_waiting());
        let since = Timestamp(now().0.saturating_sub_unsigned(self.sources.idle_ms));
        let live = self.engine.live(since, &vitals.open_since(since), &self.roots);
        // An engine that was made anew knows no session before the next row. The sessions that were shown before stay,
        // and stop being counted once they are idle.
        if !live.is_empty() {
            vitals.set_sessions(live);
        }
        runaways::tell(&mut self.engine, vitals, now());
        if let Some(last) = self.engine.last_event() {
            vitals.last_event.advance(last);
        }
        self.shared.published.send_replace(Some(snapshot));
    }
}

fn left(job: &Job) -> u64 {
    job.found.size.saturating_sub(job.cursor.as_ref().map_or(0, |cursor| cursor.offset))
}
