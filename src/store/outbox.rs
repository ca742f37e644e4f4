//! Spans on their way out: one queue in the database, read oldest first by every endpoint at its own pace.
//!
//! - Each endpoint has a cursor, stored under its name: a changed URL keeps its place. A row is deleted in the batch that
//!   moves the last cursor past it.
//! - A new endpoint begins with what still waits. The cursor of one that is no longer configured is deleted, and so are
//!   the rows that waited for it alone. With no endpoint at all, everything stays as it is.
//! - A row may be for one endpoint alone: history that the others have got already. The others pass over it, and it is
//!   deleted once that one has taken it.
//! - **The same request again, even after a crash.** Where a request ends follows from the rows alone: at a limit, at
//!   another version, or at a gap between the numbers. A reader that comes to the end of the queue makes such a gap, and
//!   so does every start, so that rows that are queued later can never join a request that may have been sent. Storing
//!   the range of each request before it is sent would do too, for one flush of the disk per request.

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

/// The queue before it is known who reads it.
#[derive(Debug)]
pub struct Outbox {
    handle: Handle,
    meter: Arc<OutboxMeter>,
    /// As the last run left them.
    cursors: BTreeMap<String, u64>,
}

/// The queue as one endpoint sees it: what it has not acknowledged yet.
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
        // One more than the next: a gap behind what may have been sent.
        meter.opened(rows, last.max(passed).map_or(0, |number| number + 2));
        Ok(Self { handle, meter, cursors })
    }

    /// A reader for each endpoint, by name, in this order. Forgets all other endpoints, unless there are no names.
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
        // No row is older than the slowest cursor, unless a program without cursors has begun the numbers anew.
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
        // Who asks how full it is must not wait for the disk.
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
    /// The oldest rows with their numbers, without removing them: as many as fit into both limits, but at least one. The
    /// bytes are those of the rows here; whoever sends them cuts where it must.
    ///
    /// With the same limits these are the same rows until they are acknowledged, whatever is added and however often the
    /// process starts anew: a request that goes again must have the same bytes. None, if there are none or if those that
    /// there are must wait for others; [`OutboxReader::wait`] ends when they have come.
    pub fn peek(&mut self, spans_max: usize, bytes_max: usize) -> Result<Vec<(u64, SpanBatch)>, StoreError> {
        // In this order: what is durable is in every later database too.
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

    /// Gives up rows for good, those before them included.
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
        // Who asks how full it is must not wait for the disk; nobody else acknowledges meanwhile.
        drop(state);
        self.handle.apply(batch)?;
        let mut state = self.meter.state();
        state.forget(&unwanted);
        state.cursors.insert(self.name.clone(), cursor);
        self.cursor = cursor;
        Ok(())
    }

    /// Ends when something has become durable, at once if that was since the last time. Ending too often is harmless.
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
