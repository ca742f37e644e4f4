//! What is known of the outbox without reading it: which numbers its rows have, how far each endpoint is, how full it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// How full the outbox is; shared by the writer, the readers and the metrics. A span waits until every endpoint has it.
#[derive(Debug, Default)]
pub struct OutboxMeter {
    state: Mutex<MeterState>,
    /// One for each reader: a permit that one of them takes must not be missing for another.
    added: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug, Default)]
pub(super) struct MeterState {
    /// Number of the next row.
    next: u64,
    /// Rows below this number are durable and may be sent.
    durable: u64,
    /// The number after the last row that a reader has seen; no row will ever have it, see [`OutboxMeter::close`].
    closed: Option<u64>,
    pub(super) rows: BTreeMap<u64, OutboxRow>,
    /// For each endpoint, the number of the first row that it still wants.
    pub(super) cursors: BTreeMap<String, u64>,
}

impl MeterState {
    /// Numbers of the rows that nobody wants once every endpoint has come to `floor`, and one of them from `taken.start`
    /// to `taken.end`.
    pub(super) fn unwanted(&self, floor: u64, endpoint: &str, taken: Range<u64>) -> Vec<u64> {
        let own = self.rows.range(taken.start.max(floor)..taken.end.max(floor));
        let own = own.filter(|(_, row)| row.only.as_deref() == Some(endpoint));
        self.rows.range(..floor).chain(own).map(|(sequence, _)| *sequence).collect()
    }

    /// These rows are gone.
    pub(super) fn forget(&mut self, rows: &[u64]) {
        rows.iter().for_each(|row| drop(self.rows.remove(row)));
    }

    fn wanted<'a>(&'a self, endpoint: &'a str) -> impl Iterator<Item = &'a OutboxRow> {
        let from = self.cursors.get(endpoint).copied().unwrap_or_default();
        self.rows.range(from..).map(|(_, row)| row).filter(move |row| row.is_for(endpoint))
    }
}

/// What is known of a row without reading it.
#[derive(Debug, Clone)]
pub(super) struct OutboxRow {
    pub(super) sequence: u64,
    bytes: u64,
    spans: u64,
    added: Timestamp,
    /// The endpoint that it is for; `None`: all.
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

    /// Begins with the rows of a database, all of them durable, whatever was before. The next row has at least the
    /// number `next`.
    pub(super) fn opened(&self, rows: Vec<OutboxRow>, next: u64) {
        let rows = rows.into_iter().map(|row| (row.sequence, row)).collect();
        *self.state() = MeterState { next, durable: next, closed: None, rows, cursors: BTreeMap::new() };
        self.added.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes numbers for this many rows, and gives the first.
    pub(super) fn reserve(&self, rows: usize) -> u64 {
        let mut state = self.state();
        let first = state.next;
        state.next += rows as u64;
        first
    }

    pub(super) fn added(&self, rows: Vec<OutboxRow>) {
        self.state().rows.extend(rows.into_iter().map(|row| (row.sequence, row)));
    }

    /// Number of the next row, to be told to [`OutboxMeter::flushed`] when everything before it is durable.
    pub(super) fn next(&self) -> u64 {
        self.state().next
    }

    /// Number of the oldest row that waits.
    pub(super) fn first(&self) -> Option<u64> {
        self.state().rows.keys().next().copied()
    }

    /// Number of the newest row that waits.
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

    /// Tells a reader of every row that becomes durable from now on.
    pub(super) fn notifies(&self) -> Arc<Notify> {
        let reader = Arc::new(Notify::new());
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&reader));
        reader
    }

    /// Keeps the number `end` free for ever, so that a request that ends with the row before it never grows: after a crash
    /// the same rows make the same request again. `seen` is what was durable when the reader found nothing more. False if a
    /// row that is not durable yet has the number `end` already; the next flush brings it.
    pub(super) fn close(&self, end: u64, seen: u64) -> bool {
        let mut state = self.state();
        if state.next == end {
            state.next += 1;
            state.closed = Some(end);
        }
        // Numbers below `seen` that no row has had by then are never given again.
        end < seen || state.closed == Some(end)
    }

    /// True if a row waits that is for this endpoint.
    pub(super) fn is_for(&self, sequence: u64, endpoint: &str) -> bool {
        self.state().rows.get(&sequence).is_some_and(|row| row.is_for(endpoint))
    }

    /// Spans that wait for an endpoint.
    #[must_use]
    pub fn spans_for(&self, endpoint: &str) -> u64 {
        self.state().wanted(endpoint).map(|row| row.spans).sum()
    }

    /// True if an endpoint has taken everything that was put in before [`OutboxMeter::position`] was this.
    #[must_use]
    pub fn has_taken(&self, endpoint: &str, position: u64) -> bool {
        self.state().wanted(endpoint).next().is_none_or(|row| row.sequence >= position)
    }

    /// How many rows were ever put in, and a few more.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next()
    }

    /// Bytes waiting.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().rows.values().map(|row| row.bytes).sum()
    }

    /// Spans waiting.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.state().rows.values().map(|row| row.spans).sum()
    }

    /// When the span that has waited longest was put in.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.state().rows.values().next().map(|row| row.added)
    }
}
