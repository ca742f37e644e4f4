//! A trace to be shown, and what both forms of JSON need of its spans.

use std::collections::{HashMap, HashSet};

use crate::transcript::time::Timestamp;
use crate::views::traces::attributes as name;
use crate::views::traces::ids::{SpanId, TraceId};
use crate::views::traces::span::{Attribute, Span, SpanBatch, SpanKind, SpanStatus, Value};

/// Value of [`name::TOOL_OUTCOME`] of a call without a result.
const OPEN: &str = "open";

/// Instrumentation scope of every span, equal to that of exported spans.
pub(super) const SCOPE_NAME: &str = "tailspan";
pub(super) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A trace to be shown. It has at least one span.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    id: TraceId,
    pub(super) batches: Vec<SpanBatch>,
    pub(super) warnings: Vec<String>,
}

impl Trace {
    /// A trace of the spans in `batch`, which share a trace id; `None` if there are no spans.
    #[must_use]
    pub fn new(mut batch: SpanBatch) -> Option<Self> {
        let id = batch.spans.first()?.trace;
        arrange(&mut batch);
        Some(Self { id, batches: vec![batch], warnings: Vec::new() })
    }

    /// A trace of batches that share a trace id, with the spans of each version of the client by themselves; `None` if
    /// there are no spans.
    #[must_use]
    pub fn of_parts(id: TraceId, mut batches: Vec<SpanBatch>) -> Option<Self> {
        batches.retain(|batch| !batch.spans.is_empty());
        batches.iter_mut().for_each(arrange);
        (!batches.is_empty()).then_some(Self { id, batches, warnings: Vec::new() })
    }

    /// The trace with one more warning, a sentence for people.
    #[must_use]
    pub fn with_warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }

    /// The warnings of the trace, sentences for people.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// All traces of a session as one trace with the id `id`; `None` if there are no spans.
    ///
    /// Every span gets the new trace id, and so do links between these traces, so that their targets exist. If there
    /// are more than `spans_max` spans, the oldest traces are left out whole, and a warning says so; the newest is
    /// always there.
    #[must_use]
    pub fn of_session(id: TraceId, mut batches: Vec<SpanBatch>, spans_max: usize) -> Option<Self> {
        batches.retain(|batch| !batch.spans.is_empty());
        batches.iter_mut().for_each(arrange);
        batches.sort_by_key(start_of);
        let (shown, all) = (newest_within(&batches, spans_max), batches.len());
        batches.drain(..all.saturating_sub(shown));
        let traces: HashSet<TraceId> = batches.iter().flat_map(|batch| &batch.spans).map(|span| span.trace).collect();
        for span in batches.iter_mut().flat_map(|batch| &mut batch.spans) {
            span.trace = id;
            span.links.iter_mut().filter(|link| traces.contains(&link.trace)).for_each(|link| link.trace = id);
        }
        let warnings = if shown < all {
            vec![format!("the session is too large to be shown whole: its newest {shown} of {all} traces are here")]
        } else {
            Vec::new()
        };
        (!batches.is_empty()).then_some(Self { id, batches, warnings })
    }

    /// The trace id; for all traces of a session as one, the id that was given for it.
    #[must_use]
    pub const fn id(&self) -> TraceId {
        self.id
    }

    /// The spans, in batches that each have one version of the client.
    #[must_use]
    pub fn into_batches(self) -> Vec<SpanBatch> {
        self.batches
    }

    /// Every span.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.batches.iter().flat_map(|batch| &batch.spans)
    }

    /// Start of the earliest span.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.spans().map(|span| span.start).min().unwrap_or_default()
    }
}

/// Marks the root of a trace that is still in progress, and moves the ends of the root, of open calls and of the spans
/// above these to `now`.
pub fn mark_in_progress(batch: &mut SpanBatch, now: Timestamp) {
    let is_open = |tag: &Attribute| tag.key == name::TOOL_OUTCOME && tag.value == Value::Text(OPEN.into());
    let parents: HashMap<SpanId, SpanId> =
        batch.spans.iter().filter_map(|span| Some((span.id, span.parent?))).collect();
    let mut open: HashSet<SpanId> = HashSet::new();
    for span in batch.spans.iter().filter(|span| span.attributes.iter().any(is_open)) {
        let mut next = Some(span.id);
        while let Some(id) = next.filter(|id| open.insert(*id)) {
            next = parents.get(&id).copied();
        }
    }
    for span in &mut batch.spans {
        if span.parent.is_none() {
            span.attributes.push(Attribute { key: name::IN_PROGRESS.into(), value: Value::Bool(true) });
            span.end = span.end.max(now);
        } else if open.contains(&span.id) {
            span.end = span.end.max(now);
        }
    }
}

/// What a list of operations shows of a span: its name, and its kind in lower case.
#[must_use]
pub fn operation_of(span: &Span) -> (&str, &'static str) {
    (&span.name, kind_name(span.kind))
}

/// Sorts spans, the root first and the others by their start, and attributes by name.
fn arrange(batch: &mut SpanBatch) {
    batch.spans.sort_by_key(|span| (span.parent.is_some(), span.start));
    for span in &mut batch.spans {
        span.attributes.sort_by(|a, b| a.key.cmp(&b.key));
        for event in &mut span.events {
            event.attributes.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
}

fn start_of(batch: &SpanBatch) -> Timestamp {
    batch.spans.iter().map(|span| span.start).min().unwrap_or_default()
}

/// How many of the last batches have at most `spans_max` spans together; at least one.
fn newest_within(batches: &[SpanBatch], spans_max: usize) -> usize {
    let mut left = spans_max;
    let fits = |batch: &&SpanBatch| {
        let fits = batch.spans.len() <= left;
        left = left.saturating_sub(batch.spans.len());
        fits
    };
    batches.iter().rev().take_while(fits).count().max(1)
}

pub(super) const fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Internal => "internal",
        SpanKind::Client => "client",
    }
}

pub(super) const fn is_error(span: &Span) -> bool {
    matches!(span.status, SpanStatus::Error(_))
}
