//! Packs entries of the queue into requests. Pure.

use std::collections::VecDeque;

use super::convert::wire_bytes_max;
use crate::views::traces::span::{Span, SpanBatch};

/// Bytes of a request that are reserved for what is not a span: resource, scope, lengths.
const ENVELOPE_BYTES: usize = 4 << 10;

/// Entries that share a resource, cut into requests.
pub(super) struct Packed {
    /// Ids of the queue's entries; they may be acknowledged when all parts are settled.
    pub(super) ids: Vec<u64>,
    /// The spans of the entries, oldest first; each part is one request.
    pub(super) parts: VecDeque<SpanBatch>,
}

/// Joins neighbouring entries of the same service version, and cuts them into parts of at most `spans_max` spans and
/// `bytes_max` bytes before compression, without changing the order.
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
