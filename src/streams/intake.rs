//! Lines of streams that arrive at the sidecar: each is appended to the file of its run once, and is durable before it is
//! accepted.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::known::{HASHES_MAX, Known};
use super::line::{self, LINE_BYTES_MAX, Line};
use super::mark::Mark;
use super::run::{Caller, Run, RunId};
use super::run_file::{Item, RunFile};
use crate::transcript::time::Timestamp;
use crate::vitals::StreamVitals;

/// Most runs whose files are kept open.
const OPEN_MAX: usize = 64;
/// Most bytes of unfinished lines of all senders together, beyond [`SMALL`] of each.
const UNFINISHED_MAX: usize = 2 * LINE_BYTES_MAX;
/// An unfinished line up to this many bytes takes no share of [`UNFINISHED_MAX`].
const SMALL: usize = 1 << 20;
/// How often what arrives is made durable while a sender keeps its request open.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Takes lines of streams.
#[derive(Debug)]
pub struct Intake {
    /// `None`: nothing is taken.
    folder: Option<Folder>,
    vitals: Arc<StreamVitals>,
    runs: Mutex<HashMap<RunId, Arc<Mutex<RunFile>>>>,
    unfinished: AtomicUsize,
    /// Hashes of lines that are kept for all runs together.
    hashes: Arc<AtomicUsize>,
}

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Lines that are in the file now, those that were there before included.
    pub accepted: u64,
    /// Lines that are no objects of JSON.
    pub rejected: u64,
    /// The session that the first line with one names.
    pub session: Option<String>,
    /// The run; `None` if nothing came.
    pub run: Option<RunId>,
}

/// Why lines are not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// There is no folder to keep them in.
    #[error("only a running sidecar takes events")]
    Off,
    /// Nothing says which run they are of.
    #[error(
        "the header `Tailspan-Run` must name the run by a UUID, or a line of the body a session by `session_id`, and no more \
         than {LINE_BYTES_MAX} bytes may come before it"
    )]
    NoRun,
    /// The session is no UUID.
    #[error(
        "the header `Tailspan-Run` must name the run by a UUID, because the first session of the body is none: {0:?}"
    )]
    NoUuid(String),
    /// A mark in the body is of another run.
    #[error("the body says that it is of run {body}, and the request is of run {request}")]
    OtherRun { body: String, request: String },
    /// A line is too long.
    #[error("a line may have {LINE_BYTES_MAX} bytes at most")]
    TooLong,
    /// There are too many long lines at once.
    #[error("too many long lines arrive at once")]
    Busy,
    /// The disk is full.
    #[error("the disk is full: {path} cannot be written")]
    Full { path: PathBuf, source: io::Error },
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    Write { path: PathBuf, source: io::Error },
}

/// The lines of one request while they arrive.
#[derive(Debug)]
pub struct Receiving<'i> {
    intake: &'i Intake,
    run: Option<RunId>,
    caller: Caller,
    file: Option<Arc<Mutex<RunFile>>>,
    /// The beginning of a line whose end is still to come; before it, as long as no line has said which run it is, all lines.
    carry: Vec<u8>,
    /// How many bytes of it are lines that do not say which run it is.
    unnamed: usize,
    /// How many bytes of it take a share.
    share: usize,
    /// When the sender says that the next lines arrived.
    at: Option<Timestamp>,
    taken: Taken,
    unsynced: Option<Instant>,
}

impl Intake {
    /// An intake that keeps lines in `folder`; without one it takes nothing.
    #[must_use]
    pub fn new(folder: Option<Folder>, vitals: Arc<StreamVitals>) -> Self {
        Self { folder, vitals, runs: Mutex::default(), unfinished: AtomicUsize::new(0), hashes: Arc::default() }
    }

    /// A text that tells this folder from others; `None` if it cannot be told.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        self.folder.as_ref()?.make().ok()?;
        self.folder.as_ref()?.identity().ok()
    }

    /// Begins to take lines. `run` is the run that the request names, `caller` what it says of it.
    pub fn begin(&self, run: Option<RunId>, caller: Caller) -> Result<Receiving<'_>, IntakeError> {
        if self.folder.is_none() {
            return Err(IntakeError::Off);
        }
        let taken = Taken { run: run.clone(), ..Taken::default() };
        Ok(Receiving {
            intake: self,
            run,
            caller,
            file: None,
            carry: Vec::new(),
            unnamed: 0,
            share: 0,
            at: None,
            taken,
            unsynced: None,
        })
    }

    pub(super) fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    pub(super) fn vitals(&self) -> &StreamVitals {
        &self.vitals
    }

    pub(super) fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Mutex<RunFile>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a run, opened if it is not.
    fn file(&self, run: &Run, at: Timestamp) -> Result<Arc<Mutex<RunFile>>, IntakeError> {
        let folder = self.folder.as_ref().ok_or(IntakeError::Off)?;
        let mut runs = self.runs();
        if let Some(file) = runs.get(&run.id)
            && lock(file).exists()
        {
            return Ok(Arc::clone(file));
        }
        runs.remove(&run.id);
        self.make_room(&mut runs);
        let failed = |source| failed(folder.path_of(&run.id, 0), source);
        let known = Known::counted_in(Arc::clone(&self.hashes));
        let file = Arc::new(Mutex::new(RunFile::open(folder, run, at, known).map_err(failed)?));
        runs.insert(run.id.clone(), Arc::clone(&file));
        self.forget(&runs);
        Ok(file)
    }

    fn has_too_many_hashes(&self) -> bool {
        self.hashes.load(Ordering::Relaxed) > HASHES_MAX
    }

    /// Closes the runs that were used longest ago, as far as nobody writes them now, until there is room for one more.
    fn make_room(&self, runs: &mut HashMap<RunId, Arc<Mutex<RunFile>>>) {
        while runs.len() >= OPEN_MAX || self.has_too_many_hashes() {
            let idle = runs.iter().filter(|(_, file)| Arc::strong_count(file) == 1);
            let oldest = idle.min_by_key(|(_, file)| lock(file).used()).map(|(run, _)| run.clone());
            let Some(oldest) = oldest else { return };
            runs.remove(&oldest);
        }
    }

    /// Forgets the oldest lines of the runs that know most, until all runs together know no more than may be.
    fn forget(&self, runs: &HashMap<RunId, Arc<Mutex<RunFile>>>) {
        while self.has_too_many_hashes() {
            let Some(largest) = runs.values().max_by_key(|file| lock(file).hashes()) else { return };
            let mut largest = lock(largest);
            if largest.hashes() == 0 {
                return;
            }
            largest.forget_oldest();
        }
    }
}

impl Receiving<'_> {
    /// Takes the next bytes, which arrived at `now`. Whole lines are in the file when this returns, once a line or the request
    /// has said which run it is.
    pub fn take(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), IntakeError> {
        let mut rest = bytes;
        while self.run.is_none() {
            let Some(newline) = memchr::memchr(b'\n', rest) else { return self.keep_unnamed(rest) };
            let (line, after) = rest.split_at(newline + 1);
            self.keep_unnamed(line)?;
            self.look_for_run()?;
            rest = after;
        }
        if self.unnamed > 0 {
            let lines = std::mem::take(&mut self.carry);
            self.unnamed = 0;
            self.give_back();
            self.take_lines(&lines, now)?;
        }
        self.take_lines(rest, now)
    }

    /// Keeps bytes of lines of which none has said which run it is.
    fn keep_unnamed(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        if self.unnamed > 0 && self.carry.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(IntakeError::NoRun);
        }
        self.keep(bytes)
    }

    /// Looks whether the line that was kept last says which run it is.
    fn look_for_run(&mut self) -> Result<(), IntakeError> {
        let line = self.carry.get(self.unnamed..).unwrap_or_default();
        self.run = match line::read(line) {
            Line::Event { session: Some(session), .. } => {
                Some(RunId::parse(&session).ok_or_else(|| IntakeError::NoUuid(session.into_owned()))?)
            }
            Line::Mark(Mark::Run { run, .. }) => Some(run.id),
            _ => None,
        };
        self.unnamed = self.carry.len();
        Ok(())
    }

    /// Takes bytes of a run that is known.
    fn take_lines(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), IntakeError> {
        let Some(end) = memchr::memrchr(b'\n', bytes) else { return self.keep(bytes) };
        let (whole, rest) = bytes.split_at(end + 1);
        let (first, whole) = match memchr::memchr(b'\n', whole) {
            Some(first) if !self.carry.is_empty() => whole.split_at(first + 1),
            _ => whole.split_at(0),
        };
        let (mut items, mut carried) = (Vec::new(), Vec::new());
        if !first.is_empty() {
            self.keep(first)?;
            carried = std::mem::take(&mut self.carry);
            self.give_back();
        }
        self.line(&mut items, &carried, now)?;
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.line(&mut items, line, now)?;
        }
        self.append(&items, now)?;
        self.keep(rest)?;
        if self.unsynced.is_some_and(|since| since.elapsed() >= SYNC_EVERY) {
            self.sync()?;
        }
        Ok(())
    }

    /// Takes the last line if it has no newline, and makes everything durable.
    pub fn finish(mut self, now: Timestamp) -> Result<Taken, IntakeError> {
        if self.run.is_none() {
            self.look_for_run()?;
        }
        let lines = std::mem::take(&mut self.carry);
        self.give_back();
        let mut items = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.line(&mut items, line, now)?;
        }
        self.append(&items, now)?;
        self.sync()?;
        if self.run.is_none() {
            return Err(IntakeError::NoRun);
        }
        Ok(std::mem::take(&mut self.taken))
    }

    /// Keeps the beginning of a line.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        let length = self.carry.len() + bytes.len();
        if length > LINE_BYTES_MAX {
            return Err(IntakeError::TooLong);
        }
        let wanted = length.saturating_sub(SMALL);
        if wanted > self.share {
            let more = wanted - self.share;
            let before = self.intake.unfinished.fetch_add(more, Ordering::Relaxed);
            self.share = wanted;
            if before + more > UNFINISHED_MAX {
                return Err(IntakeError::Busy);
            }
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    fn give_back(&mut self) {
        self.intake.unfinished.fetch_sub(std::mem::take(&mut self.share), Ordering::Relaxed);
    }

    fn line<'a>(&mut self, items: &mut Vec<Item<'a>>, text: &'a [u8], now: Timestamp) -> Result<(), IntakeError> {
        let vitals = &self.intake.vitals;
        match line::read(text) {
            Line::Blank => {}
            Line::Unreadable => {
                vitals.rejected.add(1);
                self.taken.rejected += 1;
            }
            Line::Mark(mark) => self.mark(items, mark, text, now)?,
            Line::Event { identity, session } => {
                if self.taken.session.is_none() {
                    self.taken.session = session.map(std::borrow::Cow::into_owned);
                }
                self.opened(now)?;
                items.push(Item::Event { line: text, identity, at: self.at });
                self.taken.accepted += 1;
            }
        }
        Ok(())
    }

    fn mark<'a>(
        &mut self,
        items: &mut Vec<Item<'a>>,
        mark: Mark,
        line: &'a [u8],
        now: Timestamp,
    ) -> Result<(), IntakeError> {
        match mark {
            Mark::Run { run, at, .. } => {
                if let Some(request) = self.run.as_ref().filter(|request| **request != run.id) {
                    let (body, request) = (run.id.as_str().to_owned(), request.as_str().to_owned());
                    return Err(IntakeError::OtherRun { body, request });
                }
                // What the headers of the request say is stronger.
                self.caller.complete(run.caller);
                self.opened(at)?;
            }
            Mark::At { at, .. } => {
                self.at = Some(at);
                self.opened(now)?;
                items.push(Item::Time(at));
            }
            Mark::Lost { .. } => {
                self.opened(now)?;
                items.push(Item::Lost { line });
            }
            Mark::End => {
                self.opened(now)?;
                items.push(Item::End { line });
            }
        }
        Ok(())
    }

    /// The file of the run, which began at `at` if there is none.
    fn opened(&mut self, at: Timestamp) -> Result<Arc<Mutex<RunFile>>, IntakeError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let id = self.run.clone().ok_or(IntakeError::NoRun)?;
        self.taken.run = Some(id.clone());
        let file = self.intake.file(&Run { id, caller: self.caller.clone() }, at)?;
        self.file = Some(Arc::clone(&file));
        self.unsynced = Some(Instant::now());
        Ok(file)
    }

    fn append(&mut self, items: &[Item<'_>], now: Timestamp) -> Result<(), IntakeError> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let appended = lock(&file).append(items, now);
        let appended = appended.map_err(|source| self.broken(source))?;
        let vitals = &self.intake.vitals;
        vitals.bytes.add(appended.bytes);
        vitals.accepted.add(appended.fresh);
        vitals.known.add(appended.known);
        if appended.bytes > 0 && self.unsynced.is_none() {
            self.unsynced = Some(Instant::now());
        }
        if self.intake.has_too_many_hashes() {
            self.intake.forget(&self.intake.runs());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), IntakeError> {
        if let Some(file) = self.file.clone().filter(|_| self.unsynced.is_some()) {
            let synced = lock(&file).sync();
            synced.map_err(|source| self.broken(source))?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// The error of a file that cannot be written. The file is opened anew by the next request.
    fn broken(&self, source: io::Error) -> IntakeError {
        let Some(run) = &self.run else { return failed(PathBuf::new(), source) };
        self.intake.runs().remove(run);
        failed(self.intake.folder.as_ref().map_or_else(PathBuf::new, |folder| folder.path_of(run, 0)), source)
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn failed(path: PathBuf, source: io::Error) -> IntakeError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            IntakeError::Full { path, source }
        }
        _ => IntakeError::Write { path, source },
    }
}

pub(super) fn lock(file: &Mutex<RunFile>) -> MutexGuard<'_, RunFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
