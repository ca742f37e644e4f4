//! The only writer: prefetch, fold, project, commit.
//!
//! One step takes the records of one piece of a file into memory; one commit writes what several steps changed, as one
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
mod prefetch;
mod progress;
mod project;
mod slices;
pub mod turns;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use self::departure::Departure;
use self::files::KnownFiles;
pub use self::lane::HistoryRules;
use self::lanes::Unsent;
use self::project::Projections;
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
use crate::transcript::time::Timestamp;
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::Snapshot;
use crate::views::traces::finish::SpanRules;
use crate::views::traces::tree::TurnOrder;
use crate::vitals::LiveSession;

/// Units changed since the last commit that make another commit due: a batch stays near 300 operations.
const DIRTY_UNITS_MAX: usize = 150;

/// The same for files: most bring a unit along, but those that hold none must not add up to one large batch.
const DIRTY_FILES_MAX: usize = 150;

/// The same for the parts that changed units and sections hold: a batch stays near 1 MB.
const DIRTY_PARTS_MAX: usize = 4_000;

/// Records that are folded before the size of the next commit is looked at.
const RECORDS_AT_ONCE: usize = 64;

/// The same for the tool calls and results that they hold: each may change another section.
const BLOCKS_AT_ONCE: usize = 200;

/// Folds what is read into the state.
#[derive(Debug)]
pub struct Engine {
    known: Known,
    /// The identities are in memory: from the first rows on, not before. A restart that finds nothing new is quick.
    has_index: bool,
    prices: Prices,
    writer: Writer,
    projections: Projections,
    epoch: Epoch,
    files: KnownFiles,
    /// A file of which a piece is folded in part: what is written of it meanwhile is its thread before the piece.
    halfway: Option<(FileNumber, Thread)>,
    turns: Turns,
    spans: SpanRules,
    /// The next commit stores which prices were used.
    new_prices: bool,
    /// Latest end of a turn whose spans were put into the outbox by this process.
    handed_out: Option<Timestamp>,
    /// Long turns that leave in pieces.
    departures: HashMap<UnitId, Departure>,
    /// The turns of sessions of which some left last, in order.
    orders: HashMap<SessionId, TurnOrder>,
    history: Unsent,
    /// Units are loaded as if what has left had not, and the other way round.
    turns_marks_round: bool,
    /// Rows whose texts the spans of the next commit have.
    latest_rows: Mutex<Latest>,
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
    pub prices: Prices,
    /// Label values.
    pub labels: LabelRules,
    /// When turns end and which leave.
    pub policy: Policy,
    /// What their spans look like.
    pub spans: SpanRules,
    /// Parts that a unit, or a section of one, holds at most: [`PARTS_MAX`], but for tests.
    pub parts_max: usize,
}

impl Engine {
    /// An engine that goes on where the state stopped. `now` is the time of this start.
    pub fn new(start: Start, now: Timestamp) -> Result<Self, StoreError> {
        let Start { mut writer, recovered, epoch, prices, labels, policy, spans, parts_max } = start;
        writer.begin_content(spans.content)?;
        let mut known = Known::with_parts_max(parts_max);
        known.paths = recovered.paths;
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
            latest_rows: Mutex::default(),
            last_commit: now,
            last_event: None,
        };
        if reprice {
            engine.reprice(now)?;
        }
        Ok(engine)
    }

    /// Takes the records of one piece in. [`Engine::commit`] writes what changed.
    pub fn step(&mut self, piece: &FilePiece, now: Timestamp) -> Result<(), StoreError> {
        self.projections.set_time(now);
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
        // A commit on the way may have dropped it.
        self.load_row(piece)?;
        self.counted(piece);
        if self.known.dirty_units.len() >= DIRTY_UNITS_MAX || self.files.dirty.len() >= DIRTY_FILES_MAX {
            self.commit(now)?;
        }
        Ok(())
    }

    /// Folds the records of a piece, in as many commits as their size asks for. Should the process die between two of
    /// them, the piece is read again from its beginning: what was counted then adds nothing.
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
            // Something that nobody foresaw belongs to these rows. Folding them twice adds nothing.
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
        !self.files.dirty.is_empty() || !self.known.dirty_units.is_empty() || !self.known.dirty_sessions.is_empty()
    }

    /// Writes everything since the last commit, as one batch.
    ///
    /// # Errors
    ///
    /// The database failed: the engine must be thrown away and made again from the state.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(Leaving::default(), now)
    }

    /// Makes everything durable and returns what `/metrics` may show from now on.
    pub fn flush(&mut self) -> Result<Snapshot, StoreError> {
        self.writer.flush()?;
        self.made_durable()
    }

    /// The same in the middle of more to come: the database is not compacted yet.
    pub fn flush_some(&mut self) -> Result<Snapshot, StoreError> {
        self.writer.make_durable()?;
        self.made_durable()
    }

    fn made_durable(&mut self) -> Result<Snapshot, StoreError> {
        // Outside the database stands only what has arrived: a rebuild must not lose what waits in the outbox.
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

    /// Takes text out of the files that is not wanted any more; see [`Writer::give_back`]. After [`Engine::flush`].
    pub fn give_back(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.writer.give_back(now)
    }

    /// Sessions with a row at or after `since`; older ones are forgotten.
    #[must_use]
    pub fn live(&mut self, since: Timestamp) -> Vec<LiveSession> {
        self.projections.active(since)
    }

    /// Time of the latest row that this process has counted; of one that is stamped in the future, when it was counted.
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
        self.turns.next().into_iter().chain(self.history.next()).min()
    }
}

/// How many of these records are folded before the size of the next commit is looked at.
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
