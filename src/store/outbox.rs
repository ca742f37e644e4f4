//! Spans on their way out: a queue in the database, read oldest first, deleted when they have arrived.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sled::Tree;
use tokio::sync::Notify;

use super::{StoreError, codec, keys};
use crate::export::SpanQueue;
use crate::transcript::time::Timestamp;
use crate::views::span::SpanBatch;

/// How full the outbox is; shared by writer, exporter and metrics.
#[derive(Debug, Default)]
pub struct OutboxMeter {
    /// Number of the next row.
    pub(super) next_sequence: AtomicU64,
    /// Rows below this number are durable and may be sent.
    durable: AtomicU64,
    rows: Mutex<BTreeMap<u64, Row>>,
    added: Notify,
}

/// What is known of a row without reading it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    sequence: u64,
    bytes: u64,
    spans: u64,
    added: Timestamp,
}

impl From<(u64, u64, Timestamp, &SpanBatch)> for Row {
    fn from((sequence, bytes, added, batch): (u64, u64, Timestamp, &SpanBatch)) -> Self {
        Self { sequence, bytes, spans: batch.spans.len() as u64, added }
    }
}

impl OutboxMeter {
    fn rows<T>(&self, take: impl FnOnce(&mut BTreeMap<u64, Row>) -> T) -> T {
        take(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn added(&self, next: u64, rows: Vec<Row>) {
        self.rows(|known| known.extend(rows.into_iter().map(|row| (row.sequence, row))));
        self.next_sequence.store(next, Ordering::Release);
    }

    pub(super) fn flushed(&self, next: u64) {
        if self.durable.swap(next, Ordering::AcqRel) < next {
            self.added.notify_one();
        }
    }

    /// Bytes waiting.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rows(|rows| rows.values().map(|row| row.bytes).sum())
    }

    /// Spans waiting.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.rows(|rows| rows.values().map(|row| row.spans).sum())
    }

    /// When the span that has waited longest was put in.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.rows(|rows| rows.values().next().map(|row| row.added))
    }
}

/// Reads and deletes; owned by the exporter.
#[derive(Debug)]
pub struct Outbox {
    tree: Tree,
    meter: Arc<OutboxMeter>,
}

impl Outbox {
    pub(super) fn new(tree: Tree, meter: Arc<OutboxMeter>) -> Result<Self, StoreError> {
        let mut rows = Vec::new();
        for row in tree.scan_prefix([keys::OUTBOX]) {
            let (key, value) = row?;
            let Some(sequence) = keys::number8(&key) else { continue };
            let (added, batch): (Timestamp, SpanBatch) = codec::decode(&tree, &key, &value)?;
            rows.push(Row::from((sequence, value.len() as u64, added, &batch)));
        }
        let next = rows.last().map_or(0, |row| row.sequence + 1);
        meter.added(next, rows);
        meter.flushed(next);
        Ok(Self { tree, meter })
    }
}

impl SpanQueue for Outbox {
    type Error = StoreError;

    fn peek(&mut self, spans_max: usize, bytes_max: usize) -> Result<Vec<(u64, SpanBatch)>, StoreError> {
        let durable = self.meter.durable.load(Ordering::Acquire);
        let (mut spans, mut bytes, mut found) = (0, 0, Vec::new());
        for row in self.tree.range(keys::outbox(0)..keys::outbox(durable)) {
            let (key, value) = row?;
            let Some(sequence) = keys::number8(&key) else { continue };
            let (_, batch): (Timestamp, SpanBatch) = codec::decode(&self.tree, &key, &value)?;
            spans += batch.spans.len();
            bytes += value.len();
            if !found.is_empty() && (spans > spans_max || bytes > bytes_max) {
                break;
            }
            found.push((sequence, batch));
        }
        Ok(found)
    }

    fn acknowledge(&mut self, ids: &[u64]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for sequence in ids {
            batch.remove(keys::outbox(*sequence));
        }
        self.tree.apply_batch(batch)?;
        self.meter.rows(|rows| rows.retain(|sequence, _| !ids.contains(sequence)));
        Ok(())
    }

    fn wait(&self) -> impl Future<Output = ()> + Send {
        self.meter.added.notified()
    }
}
