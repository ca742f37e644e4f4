//! The outbox: one queue of spans in the database, which every endpoint reads at its own pace, the oldest first.
//!
//! - Each endpoint has a cursor, stored under its name, so an endpoint whose URL changes keeps its place. A row is
//!   deleted in the batch that moves the last cursor past it.
//! - A new endpoint begins with the rows that still wait. The cursor of an endpoint that is no longer configured is
//!   deleted, and so are the rows that waited for it alone. If no endpoint is configured, everything stays as it is.
//! - A row may be for one endpoint alone: history that the others have got already. The others skip it, and it is
//!   deleted once that endpoint has taken it.
//! - **The same request again, even after a crash.** The rows alone decide where a request ends: at a limit, at another
//!   client version, or at a gap between the numbers. A reader that comes to the end of the queue makes such a gap, and
//!   so does every start, so that later rows can never join a request that may have been sent already. Storing the
//!   range of each request before it is sent would also do, but needs one flush of the disk for each request.

use std::collections::BTreeMap;
use std::sync::Arc;

use sled::Tree;
use tokio::sync::Notify;

use super::batch::Writes;
use super::error::StoreError;
use super::handle::Handle;
use super::marks::Marks;
use super::meter::{OutboxMeter, OutboxRow};
use super::{codec, keys};
use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// The queue, before its readers are made.
#[derive(Debug)]
pub struct Outbox {
    handle: Handle,
    meter: Arc<OutboxMeter>,
    /// The cursors as the last run left them, by name of the endpoint.
    cursors: BTreeMap<String, u64>,
}

/// The queue for one endpoint: the rows that it has not acknowledged yet.
#[derive(Debug)]
pub struct OutboxReader {
    name: String,
    cursor: u64,
    handle: Handle,
    meter: Arc<OutboxMeter>,
    added: Arc<Notify>,
}

impl Outbox {
    pub(super) fn new(handle: Handle, meter: Arc<OutboxMeter>) -> Result<Self, StoreError> {
        let tree = handle.tree();
        let mut rows = Vec::new();
        for row in tree.scan_prefix([keys::OUTBOX]) {
            let (key, value) = row?;
            let Some(sequence) = keys::number8(&key) else { continue };
            let (added, batch): (Timestamp, SpanBatch) = codec::decode(&tree, &key, &value)?;
            let only: Option<String> = codec::get(&tree, &keys::addressed(sequence))?;
            let row = OutboxRow::new(sequence, value.len() as u64, added, &batch);
            rows.push(row.only_for(only.map(Into::into)));
        }
        let mut cursors = BTreeMap::new();
        for row in tree.scan_prefix([keys::CURSOR]) {
            let (key, value) = row?;
            let name = String::from_utf8(key.get(1..).unwrap_or_default().to_vec())
                .map_err(|_| StoreError::Damaged { key: key.to_vec() })?;
            cursors.insert(name, codec::decode::<u64>(&tree, &key, &value)?);
        }
        let last = rows.last().map(|row| row.sequence);
        let passed = cursors.values().max().copied();
        // One number is skipped: a gap behind rows that may have been sent.
        meter.opened(rows, last.max(passed).map_or(0, |number| number + 2));
        Ok(Self { handle, meter, cursors })
    }

    /// Makes a reader for each endpoint name, in this order. Deletes what belongs to all other endpoints, unless there
    /// are no names. Fails if the database cannot be read or written.
    pub fn readers(self, names: &[&str]) -> Result<Vec<OutboxReader>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let _writes = self.handle.writes();
        let tree = self.handle.tree();
        let marks = Marks { handle: &self.handle, tree: &tree };
        marks.adopt(&self.cursors, self.meter.last())?;
        let is_configured = |name: &str| names.contains(&name);
        marks.take_back(&self.cursors.iter().filter(|(name, _)| !is_configured(name)).collect())?;
        let mut state = self.meter.state();
        let oldest = state.rows.keys().next().copied();
        // No row is older than the slowest cursor, unless a program without cursors has begun to number from 0 again.
        let slowest = self.cursors.values().min().copied();
        let trusted = oldest.is_none_or(|oldest| slowest.is_none_or(|slowest| slowest <= oldest));
        let beginning = oldest.unwrap_or_else(|| self.cursors.values().max().copied().unwrap_or(0));
        let start = |name: &str| self.cursors.get(name).copied().filter(|_| trusted).unwrap_or(beginning);
        state.cursors = names.iter().map(|name| ((*name).to_owned(), start(name))).collect();
        let mut batch = Writes::default();
        for name in self.cursors.keys() {
            batch.remove(keys::cursor(name));
        }
        for (name, cursor) in &state.cursors {
            codec::put(&mut batch, &tree, keys::cursor(name), cursor)?;
        }
        let floor = state.cursors.values().min().copied().unwrap_or(beginning);
        let orphans = state.rows.values().filter(|row| row.only.as_deref().is_some_and(|only| !is_configured(only)));
        let orphans = orphans.map(|row| row.sequence).collect::<Vec<_>>();
        let unwanted = [state.unwanted(floor, "", 0..0), orphans].concat();
        remove(&mut batch, &tree, &unwanted)?;
        // Released here, so that a question how full the outbox is does not wait for the disk.
        drop(state);
        self.handle.apply(batch)?;
        self.meter.state().forget(&unwanted);
        let new = names.iter().filter(|name| !self.cursors.contains_key(**name));
        marks.share(&new.map(|name| (*name, start(name))).collect(), &self.meter)?;
        let reader = |name: &&str| OutboxReader {
            name: (*name).to_owned(),
            cursor: start(name),
            handle: self.handle.clone(),
            meter: Arc::clone(&self.meter),
            added: self.meter.notifies(),
        };
        Ok(names.iter().map(reader).collect())
    }
}

impl OutboxReader {
    /// The oldest rows with their numbers, which stay in the queue: as many as fit into both limits, but at least one.
    /// `bytes_max` limits the bytes of the stored rows; a request that becomes too large must be cut by the sender.
    ///
    /// With the same limits the result is the same until the rows are acknowledged, whatever is added and however often
    /// the process restarts, because a request that is sent again must have the same bytes. It is empty if there are no
    /// rows, or if they must wait for another row; [`OutboxReader::wait`] ends when it has come. Fails if the database
    /// cannot be read.
    pub fn peek(&mut self, spans_max: usize, bytes_max: usize) -> Result<Vec<(u64, SpanBatch)>, StoreError> {
        // In this order, because rows that are durable are also in a database that replaces this one.
        let durable = self.meter.durable();
        let tree = self.handle.tree();
        let (mut spans, mut bytes, mut found) = (0, 0, Vec::<(u64, SpanBatch)>::new());
        for row in tree.range(keys::outbox(self.cursor)..keys::outbox(durable.max(self.cursor))) {
            let (key, value) = row?;
            let Some(sequence) = keys::number8(&key).filter(|row| self.meter.is_for(*row, &self.name)) else {
                continue;
            };
            let (_, batch): (Timestamp, SpanBatch) = codec::decode(&tree, &key, &value)?;
            spans += batch.spans.len();
            bytes += value.len();
            if let Some((last, before)) = found.last()
                && (spans > spans_max
                    || bytes > bytes_max
                    || sequence != last + 1
                    || batch.service_version != before.service_version)
            {
                return Ok(found);
            }
            found.push((sequence, batch));
        }
        let is_final = found.last().is_none_or(|(last, _)| self.meter.close(last + 1, durable));
        Ok(if is_final { found } else { Vec::new() })
    }

    /// Notes that the endpoint has taken these rows and all before them. Rows that no endpoint waits for any more are
    /// deleted. Fails if the database cannot be written.
    pub fn acknowledge(&mut self, ids: &[u64]) -> Result<(), StoreError> {
        let Some(last) = ids.last() else { return Ok(()) };
        let _writes = self.handle.writes();
        let tree = self.handle.tree();
        let cursor = self.cursor.max(last + 1);
        let state = self.meter.state();
        let others = state.cursors.iter().filter(|(name, _)| **name != self.name).map(|(_, cursor)| *cursor);
        let floor = others.min().map_or(cursor, |slowest| slowest.min(cursor));
        let mut batch = Writes::default();
        codec::put(&mut batch, &tree, keys::cursor(&self.name), &cursor)?;
        let unwanted = state.unwanted(floor, &self.name, self.cursor..cursor);
        remove(&mut batch, &tree, &unwanted)?;
        // Released here, so that a question how full the outbox is does not wait for the disk. Nobody else acknowledges
        // meanwhile, since that needs the lock for writes.
        drop(state);
        self.handle.apply(batch)?;
        let mut state = self.meter.state();
        state.forget(&unwanted);
        state.cursors.insert(self.name.clone(), cursor);
        self.cursor = cursor;
        Ok(())
    }

    /// Waits until a row has become durable; returns at once if that happened since the last call. It may also return
    /// without a new row.
    pub async fn wait(&self) {
        self.added.notified().await;
    }
}

/// Adds the removal of rows of the outbox to a batch.
fn remove(batch: &mut Writes, tree: &Tree, rows: &[u64]) -> Result<(), StoreError> {
    for row in rows {
        codec::remove(batch, tree, keys::outbox(*row))?;
        batch.remove(keys::addressed(*row));
    }
    Ok(())
}
