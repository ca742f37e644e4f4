//! The only writer: prefetch, fold, project, commit.
//!
//! One step takes the records of one piece of a file into memory; one commit writes what several steps changed, as one
//! batch. A number is published only after it is durable, or a crash would make a counter run backwards.

mod leave;
mod texts;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use crate::ahead::{Job, Piece};
use crate::ledger::fold::Fold;
use crate::ledger::known::{Known, Thread};
use crate::ledger::prices::Prices;
use crate::ledger::session::reported;
use crate::ledger::unit::UnitId;
use crate::live::LiveSessions;
use crate::store::{Changed, Commit, Epoch, FileRow, OutboxMeter, Recovered, StoreError, Writer};
use crate::tail::Found;
use crate::transcript::chunk::{FileNumber, FileRole};
use crate::transcript::ids::SessionId;
use crate::transcript::record::Body;
use crate::transcript::time::Timestamp;
use crate::turns::{Leaving, Policy, Turns};
use crate::views::content::ContentLevel;
use crate::views::exemplars::trace_around;
use crate::views::labels::LabelRules;
use crate::views::totals::{Snapshot, Totals};
use crate::views::trace::TraceScope;
use crate::vitals::LiveSession;

/// Units changed since the last commit that make another commit due: a batch stays near 300 operations.
const DIRTY_UNITS_MAX: usize = 150;

/// The same for files: most bring a unit along, but those that hold none must not add up to one large batch.
const DIRTY_FILES_MAX: usize = 150;

/// Units kept in memory between commits; beyond it everything is read from the store again.
const LOADED_UNITS_MAX: usize = 600;

/// What spans look like when they leave.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanRules {
    /// How much of the conversation they hold.
    pub content: ContentLevel,
    /// What shares a trace.
    pub scope: TraceScope,
    /// They carry the names of OpenInference as well.
    pub openinference: bool,
}

/// Folds what is read into the state.
#[derive(Debug)]
pub struct Engine {
    known: Known,
    /// The identities are in memory: from the first rows on, not before. A restart that finds nothing new is quick.
    has_index: bool,
    prices: Prices,
    labels: LabelRules,
    writer: Writer,
    totals: Totals,
    epoch: Epoch,
    /// By number. A number that was given out and never counted has no row after a restart.
    files: Vec<Option<Box<FileRow>>>,
    /// By path. As text of the system, which is quicker to look up than as a path.
    numbers: HashMap<OsString, FileNumber>,
    dirty_files: BTreeSet<FileNumber>,
    turns: Turns,
    spans: SpanRules,
    /// The next commit stores which prices were used.
    new_prices: bool,
    /// Latest end of a turn whose spans were put into the outbox by this process.
    handed_out: Option<Timestamp>,
    live: LiveSessions,
    /// When something was committed last.
    last_commit: Timestamp,
    last_event: Option<Timestamp>,
}

/// What an engine begins with.
#[derive(Debug)]
pub struct Start {
    /// The only writer.
    pub writer: Writer,
    /// What the database held.
    pub recovered: Recovered,
    /// First start and export progress.
    pub epoch: Epoch,
    /// Prices.
    pub prices: Prices,
    /// Label values.
    pub labels: LabelRules,
    /// When turns end and which leave.
    pub policy: Policy,
    /// What their spans look like.
    pub spans: SpanRules,
}

impl Engine {
    /// An engine that goes on where the state stopped. `now` is the time of this start.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn new(start: Start, now: Timestamp) -> Result<Self, StoreError> {
        let Start { writer, recovered, epoch, prices, labels, policy, spans } = start;
        let mut known = Known::default();
        let mut files = Vec::with_capacity(recovered.files.len());
        let mut numbers = HashMap::with_capacity(recovered.files.len());
        for (number, row) in recovered.files {
            let path = OsString::from_vec(row.path.clone());
            let holes = position(number).saturating_sub(files.len());
            known.paths.extend(std::iter::repeat_n(Arc::from(""), holes));
            files.extend(std::iter::repeat_n(None, holes));
            known.paths.push(crate::report::display(path.as_ref()).into());
            numbers.insert(path, number);
            files.push(Some(row));
        }
        let new_prices = recovered.prices != Some(prices.fingerprint());
        let reprice = new_prices && recovered.prices.is_some();
        let mut engine = Self {
            known,
            has_index: false,
            prices,
            labels: labels.clone(),
            writer,
            totals: Totals::load(labels, recovered.totals).since(epoch.first_start).with_scope(spans.scope),
            epoch,
            files,
            numbers,
            dirty_files: BTreeSet::new(),
            turns: Turns::new(policy, recovered.pending, now),
            spans,
            new_prices: new_prices && !reprice,
            handed_out: None,
            live: LiveSessions::default(),
            last_commit: now,
            last_event: None,
        };
        if reprice {
            engine.reprice(now)?;
        }
        Ok(engine)
    }

    /// The files of `found` as jobs, each from its cursor on.
    pub fn jobs(&mut self, found: Vec<Found>) -> Vec<Job> {
        found
            .into_iter()
            .map(|found| {
                let file = self.number(&found.path, &found.role);
                let cursor = self.row(file).and_then(|row| row.cursor.clone());
                Job { file, found, cursor }
            })
            .collect()
    }

    fn number(&mut self, path: &Path, role: &FileRole) -> FileNumber {
        if let Some(number) = self.numbers.get(path.as_os_str()) {
            return *number;
        }
        let number = FileNumber(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.numbers.insert(path.as_os_str().to_owned(), number);
        self.known.paths.push(crate::report::display(path).into());
        let (path, role) = (path.as_os_str().as_bytes().to_vec(), role.clone());
        self.files.push(Some(Box::new(FileRow { path, role, cursor: None, thread: Thread::default() })));
        number
    }

    fn row(&self, file: FileNumber) -> Option<&FileRow> {
        self.files.get(position(file))?.as_deref()
    }

    /// Bytes of found files that are not counted yet.
    #[must_use]
    pub fn lag_bytes(&self, found: &[Found]) -> u64 {
        let lag = |found: &Found| {
            let cursor = self.numbers.get(found.path.as_os_str()).and_then(|number| self.row(*number)?.cursor.as_ref());
            found.size.saturating_sub(cursor.map_or(0, |cursor| cursor.offset))
        };
        found.iter().map(lag).sum()
    }

    /// Takes the records of one piece in. [`Engine::commit`] writes what changed.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn step(&mut self, piece: &Piece, now: Timestamp) -> Result<(), StoreError> {
        self.prefetch(piece)?;
        self.totals.set_time(now);
        self.fold(piece)?;
        if piece.role == FileRole::Rows {
            self.totals.lines(piece.batch.lines);
        }
        for record in &piece.batch.records {
            match &record.body {
                Body::Rejected(reason) => {
                    let (path, offset) = (self.known.path(piece.file), record.place.offset);
                    tracing::warn!(path, offset, reason = reason.name(), "a line could not be read");
                    self.totals.rejected(*reason, 1);
                }
                Body::Unknown(kind) => self.totals.unknown(kind, 1),
                _ => {}
            }
        }
        if let Some(Some(row)) = self.files.get_mut(position(piece.file)) {
            row.cursor = Some(piece.cursor.clone());
        }
        self.dirty_files.insert(piece.file);
        if self.known.dirty_units.len() >= DIRTY_UNITS_MAX || self.dirty_files.len() >= DIRTY_FILES_MAX {
            self.commit(now)?;
        }
        Ok(())
    }

    fn fold(&mut self, piece: &Piece) -> Result<(), StoreError> {
        loop {
            let before = self.known.thread(piece.file).cloned().unwrap_or_default();
            let mut fold = Fold::new(&mut self.known, &self.prices, piece.file, piece.restarted);
            for record in &piece.batch.records {
                fold.fold(record);
            }
            let missing = std::mem::take(&mut self.known.missing);
            if missing.is_empty() {
                return Ok(());
            }
            // Something that nobody foresaw belongs to these rows. Folding them twice adds nothing.
            for unit in missing {
                if !self.load_unit(unit)? && !self.known.has_unit(unit) {
                    self.known.index.forget_unit(unit);
                }
            }
            self.known.load_thread(piece.file, before);
        }
    }

    /// Loads everything that the piece's records may touch.
    fn prefetch(&mut self, piece: &Piece) -> Result<(), StoreError> {
        if !self.has_index {
            self.known.index = self.writer.identities()?;
            self.has_index = true;
        }
        if self.known.thread(piece.file).is_none()
            && let Some(row) = self.row(piece.file)
        {
            let thread = row.thread.clone();
            self.known.load_thread(piece.file, thread);
        }
        loop {
            let keys = self.known.keys_of(piece.file, &piece.batch.records, piece.restarted);
            let mut loaded = false;
            for session in keys.sessions {
                loaded |= self.load_session(&session)?;
            }
            for unit in keys.units {
                loaded |= self.load_unit(unit)?;
            }
            if !loaded {
                return Ok(());
            }
        }
    }

    fn load_unit(&mut self, id: UnitId) -> Result<bool, StoreError> {
        if self.known.has_unit(id) {
            return Ok(false);
        }
        let Some(unit) = self.writer.unit(id)? else { return Ok(false) };
        let session = unit.session().clone();
        self.known.load_unit(unit);
        self.load_session(&session)?;
        Ok(true)
    }

    fn load_session(&mut self, id: &SessionId) -> Result<bool, StoreError> {
        if self.known.has_session(id) {
            return Ok(false);
        }
        let Some(session) = self.writer.session(id)? else { return Ok(false) };
        self.known.load_session(session);
        Ok(true)
    }

    /// True if there is something to commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty_files.is_empty() || !self.known.dirty_units.is_empty() || !self.known.dirty_sessions.is_empty()
    }

    /// Writes everything since the last commit, as one batch.
    ///
    /// # Errors
    ///
    /// The database failed: the engine must be thrown away and made again from the state.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(Leaving::default(), now)
    }

    fn write(&mut self, leaving: Leaving, now: Timestamp) -> Result<(), StoreError> {
        self.known.roll_up();
        let (pending, settled) = self.turns.changed(&mut self.known, now);
        let epoch = self.epoch.first_start;
        self.totals.set_time(now);
        for (before, after) in self.known.changes() {
            let trace = trace_around(after, &|id| self.known.unit(id));
            self.totals.observe(before, after, epoch, trace);
            self.last_event = self.last_event.max(Some(after.last));
            self.live.note(&self.labels, after);
        }
        for (unit, cost) in &leaving.observed {
            if let Some(unit) = self.known.unit(*unit) {
                self.totals.observe_turn(unit, *cost, epoch);
            }
        }
        self.note_sessions(epoch)?;
        for file in &self.dirty_files {
            if let (Some(Some(row)), Some(thread)) = (self.files.get_mut(position(*file)), self.known.thread(*file)) {
                row.thread = thread.clone();
            }
        }
        let mut units = Vec::new();
        for (before, unit) in self.known.changes() {
            let id = unit.key.id();
            // Before the first rows the identities are not in memory: then no unit is new.
            let known = self.known.index.number(id);
            let number = if known.is_some() { known } else { self.writer.number(id)? };
            let number = number.ok_or(StoreError::Unnumbered)?;
            let has_new_identities = before.is_some_and(|before| !before.identities().eq(unit.identities()));
            units.push(Changed { number, unit, is_new: before.is_none(), has_new_identities });
        }
        let commit = Commit {
            files: self
                .dirty_files
                .iter()
                .filter_map(|file| Some((*file, self.files.get(position(*file))?.as_deref()?)))
                .collect(),
            units,
            sessions: self.known.changed_sessions().collect(),
            totals: self.totals.dirty().collect(),
            pending: pending.into_iter().chain(leaving.pending).collect(),
            settled: settled.into_iter().chain(leaving.settled).collect(),
            spans: leaving.spans,
            now,
            prices: self.new_prices.then(|| self.prices.fingerprint()),
        };
        self.writer.commit(&commit)?;
        self.new_prices = false;
        self.last_commit = now;
        self.dirty_files.clear();
        self.known.committed();
        self.totals.committed();
        if self.known.units_loaded() > LOADED_UNITS_MAX {
            self.known.forget();
        }
        Ok(())
    }

    /// Brings what follows from whole sessions up to date: the client's account, and that a session has started.
    fn note_sessions(&mut self, epoch: Timestamp) -> Result<(), StoreError> {
        let changed: Vec<SessionId> = self.known.dirty_sessions.iter().cloned().collect();
        let mut affected: BTreeSet<SessionId> = changed.iter().cloned().collect();
        for id in &changed {
            let forks = self.known.session(id).map(|session| session.forks.clone()).unwrap_or_default();
            affected.extend(forks);
        }
        for id in affected {
            self.load_session(&id)?;
            let source =
                self.known.session(&id).and_then(|session| session.fork.as_ref()).map(|fork| fork.from.clone());
            if let Some(source) = &source {
                self.load_session(source)?;
            }
            let Some(session) = self.known.session(&id) else { continue };
            let source = source.as_ref().and_then(|source| self.known.session(source));
            let new = reported(session, source).filter(|_| session.is_real()).unwrap_or_default();
            let old = session.counted_report;
            let starts = session.is_real() && !session.counted_start;
            if new == old && !starts {
                continue;
            }
            if starts && let Some(started) = session.started() {
                let entrypoint = session.context().and_then(|context| context.entrypoint.as_deref());
                self.totals.session_started(entrypoint, started, epoch);
            }
            self.totals.reported(new.cost - old.cost, new.unattributed - old.unattributed);
            let session = self.known.session_mut(&id);
            session.counted_report = new;
            session.counted_start |= starts;
        }
        Ok(())
    }

    /// Computes every cost again, after prices have changed. Counters that were counted stay counted.
    fn reprice(&mut self, now: Timestamp) -> Result<(), StoreError> {
        tracing::info!("prices have changed: the cost of everything in the state is computed again");
        let mut units = Vec::new();
        self.writer.each_unit(|unit| units.push(unit.key.id()))?;
        for id in units {
            self.load_unit(id)?;
            if let Some(unit) = self.known.unit_mut(id) {
                unit.reprice(&self.prices);
            }
            if self.known.dirty_units.len() >= DIRTY_UNITS_MAX {
                self.commit(now)?;
            }
        }
        // Only now: after a crash before this commit it begins again.
        self.new_prices = true;
        self.commit(now)
    }

    /// Makes everything durable and returns what `/metrics` may show from now on.
    ///
    /// # Errors
    ///
    /// The disk is full or failed.
    pub fn flush(&mut self) -> Result<Snapshot, StoreError> {
        self.writer.flush()?;
        // Outside the database stands only what has arrived: a rebuild must not lose what waits in the outbox.
        if let Some(until) = self.handed_out
            && self.writer.meter().spans() == 0
            && let Some(left) = self.turns.left_until(self.last_commit)
            && self.epoch.exported(until.min(left))
        {
            self.epoch.save()?;
        }
        Ok(self.totals.snapshot())
    }

    /// Sessions with a row at or after `since`; older ones are forgotten.
    #[must_use]
    pub fn live(&mut self, since: Timestamp) -> Vec<LiveSession> {
        self.live.since(since)
    }

    /// Time of the latest row that this process has counted.
    #[must_use]
    pub const fn last_event(&self) -> Option<Timestamp> {
        self.last_event
    }

    /// How full the outbox is.
    #[must_use]
    pub fn outbox(&self) -> Arc<OutboxMeter> {
        self.writer.meter()
    }

    /// Size of the database in bytes.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        self.writer.bytes_on_disk()
    }

    /// Time of the earliest moment at which [`Engine::tick`] may have something to do.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.turns.next()
    }
}

/// Position of a file in the list of files.
fn position(file: FileNumber) -> usize {
    usize::try_from(file.0).unwrap_or(usize::MAX)
}
