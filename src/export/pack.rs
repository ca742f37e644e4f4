//! Entries of the queue into requests. Pure.

use std::collections::VecDeque;

use super::convert::wire_bytes_max;
use crate::views::traces::span::{Span, SpanBatch};

/// Room in a request for what is not a span: resource, scope, lengths.
const ENVELOPE_BYTES: usize = 4 << 10;

/// Entries that share a resource, cut into requests.
pub(super) struct Packed {
    /// Entries that are done when all parts are.
    pub(super) ids: Vec<u64>,
    /// One request each, oldest first.
    pub(super) parts: VecDeque<SpanBatch>,
}

/// Joins neighbours of one version and cuts at `spans_max` spans or `bytes_max` bytes, without changing the order.
///
/// A span that is larger than `bytes_max` by itself goes alone.
pub(super) fn pack(entries: Vec<(u64, SpanBatch)>, spans_max: usize, bytes_max: usize) -> Vec<Packed> {
    let mut joined: Vec<(Vec<u64>, SpanBatch)> = Vec::new();
    for (id, batch) in entries {
        match joined.last_mut() {
            Some((ids, last)) if last.service_version == batch.service_version => {
                ids.push(id);
                last.spans.extend(batch.spans);
            }
            _ => joined.push((vec![id], batch)),
        }
    }
    joined
        .into_iter()
        .map(|(ids, batch)| Packed { ids, parts: cut(batch, spans_max, bytes_max.saturating_sub(ENVELOPE_BYTES)) })
        .collect()
}

fn cut(batch: SpanBatch, spans_max: usize, bytes_max: usize) -> VecDeque<SpanBatch> {
    let SpanBatch { service_version, spans } = batch;
    let mut parts = VecDeque::new();
    let mut part: Vec<Span> = Vec::new();
    let mut part_bytes = 0;
    for span in spans {
        let bytes = wire_bytes_max(&span);
        if !part.is_empty() && (part.len() >= spans_max || part_bytes + bytes > bytes_max) {
            parts.push_back(std::mem::take(&mut part));
            part_bytes = 0;
        }
        part_bytes += bytes;
        part.push(span);
    }
    if !part.is_empty() {
        parts.push_back(part);
    }
    parts.into_iter().map(|spans| SpanBatch { service_version: service_version.clone(), spans }).collect()
}
