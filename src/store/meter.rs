//! What is known of the outbox without reading it: the numbers of its rows, how far each endpoint has come, and how
//! full it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// How full the outbox is. The writer, the readers and the metrics share it. A span waits until every endpoint that it
/// is for has taken it.
#[derive(Debug, Default)]
pub struct OutboxMeter {
    state: Mutex<MeterState>,
    /// One for each reader, since a notification wakes only one waiter.
    added: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug, Default)]
pub(super) struct MeterState {
    /// Number of the next row.
    next: u64,
    /// Rows with a lower number are durable and may be sent.
    durable: u64,
    /// The number that [`OutboxMeter::close`] skipped last: no row will ever have it.
    closed: Option<u64>,
    pub(super) rows: BTreeMap<u64, OutboxRow>,
    /// For each endpoint, the number of the first row that it has not taken.
    pub(super) cursors: BTreeMap<String, u64>,
}

impl MeterState {
    /// Numbers of the rows that can be deleted once every endpoint has come to `floor` and `endpoint` has taken the
    /// rows `taken`: those below `floor`, and those of `taken` that are for `endpoint` alone.
    pub(super) fn unwanted(&self, floor: u64, endpoint: &str, taken: Range<u64>) -> Vec<u64> {
        let own = self.rows.range(taken.start.max(floor)..taken.end.max(floor));
        let own = own.filter(|(_, row)| row.only.as_deref() == Some(endpoint));
        self.rows.range(..floor).chain(own).map(|(sequence, _)| *sequence).collect()
    }

    /// Removes rows that were deleted.
    pub(super) fn forget(&mut self, rows: &[u64]) {
        rows.iter().for_each(|row| drop(self.rows.remove(row)));
    }

    fn wanted<'a>(&'a self, endpoint: &'a str) -> impl Iterator<Item = &'a OutboxRow> {
        let from = self.cursors.get(endpoint).copied().unwrap_or_default();
        self.rows.range(from..).map(|(_, row)| row).filter(move |row| row.is_for(endpoint))
    }
}

/// What is known of a row of the outbox without reading it.
#[derive(Debug, Clone)]
pub(super) struct OutboxRow {
    pub(super) sequence: u64,
    bytes: u64,
    spans: u64,
    added: Timestamp,
    /// The one endpoint that it is for; `None` if it is for all.
    pub(super) only: Option<Arc<str>>,
}

impl OutboxRow {
    pub(super) fn new(sequence: u64, bytes: u64, added: Timestamp, batch: &SpanBatch) -> Self {
        Self { sequence, bytes, spans: batch.spans.len() as u64, added, only: None }
    }

    pub(super) fn only_for(self, endpoint: Option<Arc<str>>) -> Self {
        Self { only: endpoint, ..self }
    }

    fn is_for(&self, endpoint: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == endpoint)
    }
}

impl OutboxMeter {
    pub(super) fn state(&self) -> MutexGuard<'_, MeterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins again with the rows of a database that was opened, all of which are durable. The next row has the number
    /// `next`.
    pub(super) fn opened(&self, rows: Vec<OutboxRow>, next: u64) {
        let rows = rows.into_iter().map(|row| (row.sequence, row)).collect();
        *self.state() = MeterState { next, durable: next, closed: None, rows, cursors: BTreeMap::new() };
        self.added.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes numbers for this many rows and returns the first.
    pub(super) fn reserve(&self, rows: usize) -> u64 {
        let mut state = self.state();
        let first = state.next;
        state.next += rows as u64;
        first
    }

    pub(super) fn added(&self, rows: Vec<OutboxRow>) {
        self.state().rows.extend(rows.into_iter().map(|row| (row.sequence, row)));
    }

    /// Number of the next row. It is passed to [`OutboxMeter::flushed`] when all rows before it are durable.
    pub(super) fn next(&self) -> u64 {
        self.state().next
    }

    /// Number of the oldest row that waits; `None` if none does.
    pub(super) fn first(&self) -> Option<u64> {
        self.state().rows.keys().next().copied()
    }

    /// Number of the newest row that waits; `None` if none does.
    pub(super) fn last(&self) -> Option<u64> {
        self.state().rows.keys().next_back().copied()
    }

    pub(super) fn flushed(&self, next: u64) {
        let before = std::mem::replace(&mut self.state().durable, next);
        if before < next {
            let readers = self.added.lock().unwrap_or_else(PoisonError::into_inner);
            readers.iter().for_each(|reader| reader.notify_one());
        }
    }

    pub(super) fn durable(&self) -> u64 {
        self.state().durable
    }

    /// A new notification for a reader: it is notified when rows become durable.
    pub(super) fn notifies(&self) -> Arc<Notify> {
        let reader = Arc::new(Notify::new());
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&reader));
        reader
    }

    /// Keeps the number `end` unused, so that a request that ends with the row before it never grows: after a crash the
    /// same rows make the same request again. `seen` is the value of `durable` with which the reader found no further
    /// row. False if a row that is not durable yet has the number `end` already; the reader gets it after the next
    /// flush.
    pub(super) fn close(&self, end: u64, seen: u64) -> bool {
        let mut state = self.state();
        if state.next == end {
            state.next += 1;
            state.closed = Some(end);
        }
        // The reader found no row with a number from `end` to `seen`, and such a number is never given to a row later.
        end < seen || state.closed == Some(end)
    }

    /// True if the row with this number waits and is for this endpoint.
    pub(super) fn is_for(&self, sequence: u64, endpoint: &str) -> bool {
        self.state().rows.get(&sequence).is_some_and(|row| row.is_for(endpoint))
    }

    /// Number of spans that wait for an endpoint.
    #[must_use]
    pub fn spans_for(&self, endpoint: &str) -> u64 {
        self.state().wanted(endpoint).map(|row| row.spans).sum()
    }

    /// True if an endpoint has taken everything that was put in before [`OutboxMeter::position`] was `position`.
    #[must_use]
    pub fn has_taken(&self, endpoint: &str, position: u64) -> bool {
        self.state().wanted(endpoint).next().is_none_or(|row| row.sequence >= position)
    }

    /// The number of the next row: it grows with every row that is put in.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next()
    }

    /// Bytes of all rows that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().rows.values().map(|row| row.bytes).sum()
    }

    /// Number of spans that wait for any endpoint.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.state().rows.values().map(|row| row.spans).sum()
    }

    /// When the row that has waited longest was put in; `None` if none waits.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.state().rows.values().next().map(|row| row.added)
    }
}
