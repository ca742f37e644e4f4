//! Whose a moment is in which nobody worked, or somebody only waited.

use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::graph::Piece;
use crate::views::analytics::critical_path::stretch::PathPlace;

/// A hook, a pause, a compaction or a wait for a permission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waited {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Number of its kind and name.
    pub(super) part: usize,
    /// For a hook of a call, the position of the step that called.
    pub(super) step: Option<usize>,
}

/// What was waited for, in order of time and without overlap.
#[derive(Debug, Default)]
pub(super) struct Layer(Vec<Waited>);

/// A stretch of time that is to be told in pieces.
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Number of the kind and name of what no wait claims.
    pub(super) part: usize,
    pub(super) place: PathPlace,
}

impl Layer {
    /// Where waits overlap, a moment is that of the one that ended last: the others were over by then.
    pub(super) fn of(mut waits: Vec<Waited>) -> Self {
        // Of two that are alike in time it is the one that was given first.
        waits.sort_by(|a, b| (b.end, a.start).cmp(&(a.end, b.start)));
        let mut apart: Vec<Waited> = Vec::with_capacity(waits.len());
        for wait in waits {
            let end = apart.last().map_or(wait.end, |later| later.start.min(wait.end));
            if wait.start < end {
                apart.push(Waited { end, ..wait });
            }
        }
        apart.reverse();
        Self(apart)
    }

    /// Appends the pieces of a stretch of time: what is in the layer, except hooks of `step`, and between it the span's
    /// own.
    pub(super) fn tell(&self, span: &Span, step: Option<usize>, pieces: &mut Vec<Piece>) {
        let first = self.0.partition_point(|wait| wait.end <= span.start);
        let mut told = span.start;
        let mut push = |part: usize, start: Timestamp, end: Timestamp| {
            if start < end {
                pieces.push(Piece { part, start, end, place: span.place });
            }
        };
        for wait in self.0.iter().skip(first).take_while(|wait| wait.start < span.end) {
            if step.is_some() && wait.step == step {
                continue;
            }
            let (start, end) = (wait.start.max(told), wait.end.min(span.end));
            push(span.part, told, start);
            push(wait.part, start, end);
            told = end.max(told);
        }
        push(span.part, told, span.end);
    }
}
