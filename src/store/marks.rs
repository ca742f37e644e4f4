//! Marks: which endpoint has got the spans of which unit. There is one for each unit that is the root of a trace, and
//! each endpoint.
//!
//! - A mark is written with the first spans of its unit, in the same batch. It tells that all spans of the unit that
//!   have left are in the outbox for this endpoint, or were taken by it. Spans that leave later go to every endpoint of
//!   that time; an endpoint that is not among them loses its mark.
//! - A mark holds the numbers of the first and the last row of the outbox with spans of the unit, accurate to the
//!   length of a commit. By the last number a removed endpoint loses the marks of spans that it has not taken. By the
//!   first one a new endpoint, which begins with the rows that still wait, gets the marks of units that wait whole.
//! - In a state of a program without marks only the units tell which spans have left. It is assumed that the endpoints
//!   which this state knew got all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sled::Tree;

use super::batch::Writes;
use super::error::StoreError;
use super::handle::Handle;
use super::meter::OutboxMeter;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::unit::Unit;
use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// The meta row that tells that there are marks for everything that has left.
const MARKED: &str = "marked";

/// Most rows in one batch.
const BATCH_ROWS: usize = 256;

/// What one commit gives to some endpoints and not to others.
#[derive(Debug, Default)]
pub struct Handed {
    /// Spans for one endpoint alone.
    pub alone: Vec<(Arc<str>, SpanBatch)>,
    /// Marks that change.
    pub marks: Vec<Mark>,
    /// Since when an endpoint misses no turn; `None` if that is not known any more.
    pub complete: Vec<(Arc<str>, Option<Timestamp>)>,
}

/// A mark that changes.
#[derive(Debug)]
pub struct Mark {
    /// Number of the unit.
    pub unit: u32,
    pub endpoint: Arc<str>,
    /// How it changes.
    pub change: MarkChange,
}

/// How a mark changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkChange {
    /// Spans of the unit leave for every endpoint. The number is that of the first row with spans of the unit, if an
    /// earlier commit had some.
    WithAll(Option<u64>),
    /// Spans of the unit leave for this endpoint alone.
    Alone,
    /// Spans of the unit leave, but not for this endpoint.
    Without,
}

impl Handed {
    /// Adds everything except the spans to a batch. `rows` are three numbers of rows of the commit: the first, the
    /// last, and the first of those that are for one endpoint alone.
    pub(super) fn put(&self, batch: &mut Writes, tree: &Tree, rows: [u64; 3]) -> Result<(), StoreError> {
        let [first, last, alone] = rows;
        for Mark { unit, endpoint, change } in &self.marks {
            let key = keys::mark(*unit, endpoint);
            match change {
                MarkChange::WithAll(earlier) => drop(codec::put(batch, tree, key, &(earlier.unwrap_or(first), last))?),
                MarkChange::Alone => drop(codec::put(batch, tree, key, &(alone, last))?),
                MarkChange::Without => batch.remove(key),
            }
        }
        for (endpoint, since) in &self.complete {
            let key = keys::history(endpoint);
            match since {
                Some(since) => drop(codec::put(batch, tree, key, since)?),
                None => batch.remove(key),
            }
        }
        Ok(())
    }
}

/// The marks of a state whose endpoints change. The caller must hold [`Handle::writes`].
pub(super) struct Marks<'a> {
    pub(super) handle: &'a Handle,
    pub(super) tree: &'a Tree,
}

impl Marks<'_> {
    /// Makes marks for the units whose spans left before there were marks, for the endpoints that the state knew then.
    /// `last` is the number of the newest row that waits.
    pub(super) fn adopt(&self, known: &BTreeMap<String, u64>, last: Option<u64>) -> Result<(), StoreError> {
        if codec::get::<bool>(self.tree, &keys::meta(MARKED))?.is_some() {
            return Ok(());
        }
        let mut batch = MarkBatch::of(self);
        let mut after = None;
        while let Some((number, unit)) = Rows::of(self.tree).next_unit(after)?.filter(|_| !known.is_empty()) {
            after = Some(number);
            for endpoint in known.keys().filter(|_| has_left(&unit)) {
                batch.put(keys::mark(number, endpoint), (0, last.unwrap_or(0)))?;
            }
        }
        batch.write()?;
        // Written last, so that after a crash the marks are made again.
        let mut writes = Writes::default();
        codec::put(&mut writes, self.tree, keys::meta(MARKED), &true)?;
        self.handle.apply(writes)
    }

    /// Removes from removed endpoints, each given with its cursor, the marks of spans that they have not taken.
    pub(super) fn take_back(&self, removed: &BTreeMap<&String, &u64>) -> Result<(), StoreError> {
        let mut batch = MarkBatch::of(self);
        self.each(removed.is_empty(), |unit, endpoint, (_, last)| {
            let is_lost = removed.get(&endpoint.to_owned()).is_some_and(|cursor| last >= **cursor);
            if is_lost { batch.remove(keys::mark(unit, endpoint)) } else { Ok(()) }
        })?;
        batch.write()
    }

    /// Adds marks for new endpoints, each given with the number of its first row, for the units that still wait.
    pub(super) fn share(&self, new: &BTreeMap<&str, u64>, meter: &OutboxMeter) -> Result<(), StoreError> {
        let mut batch = MarkBatch::of(self);
        self.each(new.is_empty(), |unit, _, (first, last)| {
            for (endpoint, _) in new.iter().filter(|(name, start)| first >= **start && meter.is_for(first, name)) {
                batch.put(keys::mark(unit, endpoint), (first, last))?;
            }
            Ok(())
        })?;
        batch.write()
    }

    /// Gives every mark to `take`, unless `nothing` is to be done.
    fn each(
        &self,
        nothing: bool,
        mut take: impl FnMut(u32, &str, (u64, u64)) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if nothing {
            return Ok(());
        }
        for row in self.tree.scan_prefix([keys::MARK]) {
            let (key, value) = row?;
            if let Some((unit, endpoint)) = keys::of_mark(&key) {
                take(unit, endpoint, codec::decode(self.tree, &key, &value)?)?;
            }
        }
        Ok(())
    }
}

/// Changes of marks that are written in batches of [`BATCH_ROWS`].
struct MarkBatch<'a> {
    marks: &'a Marks<'a>,
    writes: Writes,
    rows: usize,
}

impl<'a> MarkBatch<'a> {
    fn of(marks: &'a Marks<'a>) -> Self {
        Self { marks, writes: Writes::default(), rows: 0 }
    }

    fn put(&mut self, key: Vec<u8>, mark: (u64, u64)) -> Result<(), StoreError> {
        codec::put(&mut self.writes, self.marks.tree, key, &mark)?;
        self.added()
    }

    fn remove(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.writes.remove(key);
        self.added()
    }

    fn added(&mut self) -> Result<(), StoreError> {
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.rows > 0 {
            self.rows = 0;
            self.marks.handle.apply(std::mem::take(&mut self.writes))?;
        }
        Ok(())
    }
}

/// True if the root span of a unit has left, or the span of a part that it holds itself. Parts in sections do not
/// count.
pub(crate) fn has_left(unit: &Unit) -> bool {
    let parts = &unit.parts;
    unit.export.sent
        || parts.messages.iter().any(|message| message.sent)
        || parts.tools.iter().any(|tool| tool.sent)
        || parts.compactions().any(|(row, _)| row.sent)
}
