//! The only writer: prefetch, fold, project, commit.
//!
//! One step folds the records of one piece of a file into memory; one commit writes what several steps changed, as one
//! batch. A number is published only after it is durable, or a crash would make a counter run backwards.

mod again;
pub mod ahead;
mod depart;
mod departure;
mod files;
mod history;
mod jobs;
mod lane;
mod lanes;
mod leave;
pub mod live;
mod look;
mod open;
mod prefetch;
mod progress;
mod project;
mod retire;
mod runaways;
mod runs;
mod slices;
mod streams;
mod tell;
mod telling;
pub mod turns;
mod used;
mod walk;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use self::departure::Departure;
use self::files::KnownFiles;
pub use self::lane::HistoryRules;
use self::lanes::Unsent;
use self::look::Look;
use self::project::Projections;
use self::telling::Telling;
use self::used::UsedSums;
pub use self::walk::Retired;
use self::walk::Walk;
use crate::archive::Archive;
use crate::engine::ahead::FilePiece;
use crate::engine::turns::{Leaving, Policy, Turns};
use crate::ledger::fold::Fold;
use crate::ledger::known::{Known, Thread};
pub use crate::ledger::parts::PARTS_MAX;
use crate::ledger::prices::Prices;
use crate::ledger::unit::UnitId;
use crate::store::{Epoch, OutboxMeter, Recovered, StoreError, Writer};
use crate::tail::reread::Latest;
use crate::transcript::chunk::{FileNumber, FileRole};
use crate::transcript::ids::SessionId;
use crate::transcript::record::{Record, RowBody};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::limits::history::RowWrite;
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::Snapshot;
use crate::views::traces::finish::SpanRules;
use crate::views::traces::tree::TurnOrder;

/// If this many units have changed since the last commit, another commit is due: a batch stays near 300 operations.
const DIRTY_UNITS_MAX: usize = 150;

/// If this many files have changed, another commit is due: files without a unit must not add up to one large batch.
const DIRTY_FILES_MAX: usize = 150;

/// If the changed units and sections hold this many parts, another commit is due: a batch stays near 1 MB.
const DIRTY_PARTS_MAX: usize = 4_000;

/// Most records that are folded before the size of the next commit is checked.
const RECORDS_AT_ONCE: usize = 64;

/// Most tool calls and results in these records: each may change another section.
const BLOCKS_AT_ONCE: usize = 200;

/// Folds records into the state. It is the only writer of the store.
#[derive(Debug)]
pub struct Engine {
    known: Known,
    /// True once the index of identities is in memory. It is loaded with the first rows, so that a restart that finds
    /// nothing new is quick.
    has_index: bool,
    prices: Prices,
    writer: Writer,
    projections: Projections,
    epoch: Epoch,
    files: KnownFiles,
    /// The file of which a piece is folded in part, and its thread before that piece: a commit in between writes this
    /// thread.
    halfway: Option<(FileNumber, Thread)>,
    turns: Turns,
    spans: SpanRules,
    /// True if the next commit stores the fingerprint of the prices that were used.
    new_prices: bool,
    /// Latest end of a turn whose spans were put into the outbox by this process.
    handed_out: Option<Timestamp>,
    /// Long turns that are leaving in pieces.
    departures: HashMap<UnitId, Departure>,
    /// The order of turns in sessions of which a turn left lately.
    orders: HashMap<SessionId, TurnOrder>,
    history: Unsent,
    /// True while units are loaded with inverted `sent` marks, see `again`.
    turns_marks_round: bool,
    /// Copies of session files, for texts whose file is gone.
    archive: Archive,
    /// The walk over all sessions that ends those which are old enough.
    retiring: Walk,
    /// When each run of which something is still to be decided is to be looked at.
    unsettled: BTreeMap<RunId, Look>,
    used: UsedSums,
    /// Rows that were read for the texts of the next commit's spans.
    latest_rows: Mutex<Latest>,
    telling: Telling,
    /// Time of the last commit, or of the start if there was none.
    last_commit: Timestamp,
    last_event: Option<Timestamp>,
}

/// What an engine is made from.
#[derive(Debug)]
pub struct Start {
    /// Writer of the store, of which there is only one.
    pub writer: Writer,
    /// What the database held when it was opened.
    pub recovered: Recovered,
    /// Time of the first start ever, and how much was exported.
    pub epoch: Epoch,
    /// Prices by which costs are computed.
    pub prices: Prices,
    /// Rules for the values of labels.
    pub labels: LabelRules,
    /// Rules for when turns end and which of them leave.
    pub policy: Policy,
    /// Rules for how spans are drawn.
    pub spans: SpanRules,
    /// Most parts that a unit, or a section of one, holds: [`PARTS_MAX`], except in tests.
    pub parts_max: usize,
}

impl Engine {
    /// An engine that goes on where the state stopped. `now` is the time of this start.
    pub fn new(start: Start, now: Timestamp) -> Result<Self, StoreError> {
        let Start { mut writer, recovered, mut epoch, prices, labels, policy, spans, parts_max } = start;
        writer.begin_content(spans.content)?;
        writer.begin_log(&mut epoch, recovered.paths.is_empty(), now)?;
        let mut known = Known::with_parts_max(parts_max);
        known.paths = recovered.paths;
        known.streams.extend(recovered.streams);
        let unsettled = recovered.runs.iter().map(|run| (*run, Look::at(now, now))).collect();
        let mut files = KnownFiles::default();
        recovered.cursors.iter().for_each(|(file, cursor)| files.note(*file, cursor));
        let new_prices = recovered.prices != Some(prices.fingerprint());
        let reprice = new_prices && recovered.prices.is_some();
        let projections = Projections::load(labels, recovered.totals, epoch.first_start, spans.scope);
        let mut engine = Self {
            known,
            has_index: false,
            prices,
            writer,
            projections,
            epoch,
            files,
            halfway: None,
            turns: Turns::new(policy, spans.idle_ms, recovered.pending, now),
            spans,
            new_prices: new_prices && !reprice,
            handed_out: None,
            departures: HashMap::new(),
            orders: HashMap::new(),
            history: Unsent::default(),
            turns_marks_round: false,
            archive: Archive::default(),
            retiring: Walk::default(),
            unsettled,
            used: UsedSums::default(),
            latest_rows: Mutex::default(),
            telling: Telling::default(),
            last_commit: now,
            last_event: None,
        };
        if reprice {
            engine.reprice(now)?;
        }
        Ok(engine)
    }

    /// The same engine, which reads texts from these copies where a session file is gone.
    #[must_use]
    pub fn with_archive(self, archive: Archive) -> Self {
        Self { archive, ..self }
    }

    /// Folds the records of one piece. [`Engine::commit`] writes what changed; it is called from here if that is due.
    pub fn step(&mut self, piece: &FilePiece, now: Timestamp) -> Result<(), StoreError> {
        self.projections.set_time(now);
        self.known.arrivals.set_time(now);
        self.fold(piece, now)?;
        if piece.role == FileRole::Rows {
            self.projections.lines(piece.batch.lines);
        }
        for record in &piece.batch.records {
            let reason = self.projections.line(&record.body);
            if reason.is_none() && record.body != RowBody::Implausible {
                continue;
            }
            let (path, offset) = (self.path_of(piece.file).unwrap_or_default(), record.place.offset);
            match reason {
                Some(reason) => {
                    tracing::warn!(path = %path.display(), offset, reason, "a line could not be read");
                }
                None => tracing::warn!(path = %path.display(), offset, "a cost that no client can mean is left out"),
            }
        }
        // A commit while the piece was folded may have dropped the row from memory.
        self.load_row(piece)?;
        self.counted(piece);
        if self.known.dirty_units.len() >= DIRTY_UNITS_MAX || self.files.dirty.len() >= DIRTY_FILES_MAX {
            self.commit(now)?;
        }
        Ok(())
    }

    /// Folds the records of a piece, with a commit in between whenever it would grow too large. If the process dies
    /// between two commits, the piece is read again from its beginning, and the records that were counted add nothing.
    fn fold(&mut self, piece: &FilePiece, now: Timestamp) -> Result<(), StoreError> {
        self.load_thread(piece)?;
        let before = self.known.thread(piece.file).cloned();
        let (mut rest, mut restarted) = (piece.batch.records.as_slice(), piece.restarted);
        loop {
            let (records, later) = rest.split_at(folded_at_once(rest));
            self.prefetch(piece, records, restarted)?;
            self.fold_some(piece.file, records, restarted)?;
            (rest, restarted) = (later, false);
            let is_large = self.known.dirty_units.len() >= DIRTY_UNITS_MAX;
            if is_large || self.known.dirty_parts() >= DIRTY_PARTS_MAX {
                self.halfway = Some((piece.file, before.clone().unwrap_or_default()));
                self.commit(now)?;
                self.halfway = None;
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn fold_some(&mut self, file: FileNumber, records: &[Record], restarted: bool) -> Result<(), StoreError> {
        let mut lost: HashSet<UnitId> = HashSet::new();
        loop {
            let before = self.known.thread(file).cloned().unwrap_or_default();
            let mut fold = Fold::new(&mut self.known, &self.prices, file, restarted);
            for record in records {
                fold.fold(record);
            }
            fold.settle_agents();
            self.settle_owners()?;
            let missing = std::mem::take(&mut self.known.missing);
            if !self.load_missing_waiting()? && missing.is_empty() {
                return Ok(());
            }
            // These rows need units that were not prefetched. They are loaded, and the rows are folded again, which
            // adds nothing to what was counted.
            for id in missing {
                if !self.load(id)? && !self.known.has(id) {
                    if !lost.insert(id) {
                        return Err(StoreError::Damaged { key: id.0.to_be_bytes().to_vec() });
                    }
                    self.known.index.forget_unit(id);
                }
            }
            self.known.load_thread(file, before);
        }
    }

    /// True if there is something to commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.files.dirty.is_empty()
            || !self.known.dirty_units.is_empty()
            || !self.known.dirty_sessions.is_empty()
            || self.has_more_to_tell()
    }

    /// Writes everything that changed since the last commit, as one batch. Fails if the database fails: the engine must
    /// be dropped then and made again from the state.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(Leaving::default(), now)
    }

    /// Makes everything durable and returns what `/metrics` may show from now on.
    pub fn flush(&mut self) -> Result<Snapshot, StoreError> {
        self.writer.flush()?;
        self.made_durable()
    }

    /// [`Engine::flush`] for the middle of more work: the database is not compacted.
    pub fn flush_some(&mut self) -> Result<Snapshot, StoreError> {
        self.writer.make_durable()?;
        self.made_durable()
    }

    fn made_durable(&mut self) -> Result<Snapshot, StoreError> {
        // `epoch.json` notes only what has arrived, so that spans that wait in the outbox are not lost if the database
        // has to be made anew.
        if let Some(until) = self.handed_out
            && !self.history.is_active()
            && self.writer.meter().spans() == 0
            && let Some(left) = self.turns.left_until(self.last_commit)
            && self.epoch.exported(until.min(left))
        {
            self.epoch.save()?;
        }
        Ok(self.projections.snapshot())
    }

    /// Makes cells of some units of a state that has none; see [`Writer::make_cells`]. True if there are more.
    pub fn make_cells(&mut self) -> Result<bool, StoreError> {
        self.writer.make_cells()
    }

    /// Removes text that is not wanted any more from the database; see [`Writer::give_back`]. To be called after
    /// [`Engine::flush`].
    pub fn give_back(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.writer.give_back(now)
    }

    /// Writes looks at limits of the account, or takes them out. Fails like [`Engine::commit`].
    pub fn keep_limits(&mut self, rows: &[RowWrite]) -> Result<(), StoreError> {
        self.writer.keep_limits(rows)
    }

    /// Time of the latest row that this process has counted; `None` before the first. A row that is stamped in the
    /// future counts with the time at which it was counted.
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

    /// The earliest moment at which [`Engine::tick`] may have something to do; `None` if nothing waits.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        let runs = self.unsettled.values().map(|look| look.due).min();
        let told = self.has_more_to_tell().then_some(self.last_commit);
        self.turns.next().into_iter().chain(self.history.next()).chain(runs).chain(told).min()
    }
}

/// How many of these records are folded before the size of the next commit is checked; at least one if there is one.
fn folded_at_once(records: &[Record]) -> usize {
    let blocks = records.iter().scan(0, |blocks, record| {
        *blocks += match &record.body {
            RowBody::Row(row) => row.blocks(),
            _ => 0,
        };
        Some(*blocks)
    });
    let count = blocks.take(RECORDS_AT_ONCE).take_while(|blocks| *blocks <= BLOCKS_AT_ONCE).count();
    count.max(1).min(records.len())
}
