//! Turns the spans of a commit into rows of the outbox.

use std::sync::Arc;

use sled::Tree;

use super::batch::Writes;
use super::commit::Commit;
use super::error::StoreError;
use super::keys::PART_BYTES_MAX;
use super::meter::{OutboxMeter, OutboxRow};
use super::{codec, keys};
use crate::views::traces::span::SpanBatch;

/// Most bytes of spans in one row of the outbox, so that it needs no further parts. A larger span has a row of its own.
const OUTBOX_ROW_BYTES_MAX: usize = PART_BYTES_MAX - 500;

/// Adds the spans of a commit to a batch, with the endpoints that get them. Returns the rows of the outbox.
pub(super) fn put(
    batch: &mut Writes,
    tree: &Tree,
    commit: &Commit<'_>,
    meter: &OutboxMeter,
) -> Result<Vec<OutboxRow>, StoreError> {
    let for_all = commit.spans.iter().flat_map(rows_of).map(|spans| (None, spans));
    let alone = commit.handed.alone.iter();
    let alone = alone.flat_map(|(name, batch)| rows_of(batch).into_iter().map(move |spans| (Some(name), spans)));
    let rows: Vec<(Option<&Arc<str>>, SpanBatch)> = for_all.chain(alone).collect();
    let (first, count) = (meter.reserve(rows.len()), rows.len() as u64);
    let apart = rows.iter().filter(|(only, _)| only.is_some()).count() as u64;
    commit.handed.put(batch, tree, [first, first + count.saturating_sub(1), first + count - apart])?;
    let (mut added, mut scratch) = (Vec::with_capacity(rows.len()), Vec::new());
    for (sequence, (only, spans)) in (first..).zip(&rows) {
        let bytes = codec::put_with(batch, tree, keys::outbox(sequence), &(commit.now, spans), &mut scratch)?;
        if let Some(only) = only {
            codec::put_with(batch, tree, keys::addressed(sequence), &only.as_ref(), &mut scratch)?;
        }
        added.push(OutboxRow::new(sequence, bytes as u64, commit.now, spans).only_for(only.cloned()));
    }
    Ok(added)
}

/// Divides a batch of spans into rows of at most [`OUTBOX_ROW_BYTES_MAX`] bytes.
fn rows_of(batch: &SpanBatch) -> Vec<SpanBatch> {
    let mut rows: Vec<SpanBatch> = Vec::new();
    let mut bytes = usize::MAX;
    for span in &batch.spans {
        let size = postcard::to_stdvec(span).map_or(0, |encoded| encoded.len());
        if bytes.saturating_add(size) > OUTBOX_ROW_BYTES_MAX {
            rows.push(SpanBatch { service_version: batch.service_version.clone(), spans: Vec::new() });
            bytes = 0;
        }
        bytes += size;
        if let Some(row) = rows.last_mut() {
            row.spans.push(span.clone());
        }
    }
    rows
}
