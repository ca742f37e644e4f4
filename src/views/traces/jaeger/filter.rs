//! Decides which traces match a search.

use super::tags;
use super::trace::Trace;
use crate::transcript::time::Timestamp;
use crate::views::traces::span::{Span, SpanBatch};

/// The conditions of a search. As in Jaeger, a trace matches if a single span of it meets all conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Name of the span; `None` for any name.
    pub operation: Option<String>,
    /// Tags of the span, of its process or of one of its logs, with the text of their values.
    pub tags: Vec<(String, String)>,
    /// Shortest duration in nanoseconds; `None` for any.
    pub shortest_ns: Option<u64>,
    /// Longest duration in nanoseconds; `None` for any.
    pub longest_ns: Option<u64>,
    /// Earliest start in microseconds since 1970-01-01 UTC.
    pub from_us: i64,
    /// Latest start in microseconds since 1970-01-01 UTC.
    pub until_us: i64,
}

impl Default for Filter {
    /// No conditions: every trace matches.
    fn default() -> Self {
        Self {
            operation: None,
            tags: Vec::new(),
            shortest_ns: None,
            longest_ns: None,
            from_us: i64::MIN,
            until_us: i64::MAX,
        }
    }
}

impl Filter {
    /// Whether a span of `trace` meets all conditions.
    #[must_use]
    pub fn takes(&self, trace: &Trace) -> bool {
        trace.batches.iter().any(|batch| batch.spans.iter().any(|span| self.takes_span(batch, span)))
    }

    /// Whether a turn or session that lasted from `first` to `last` may have spans that start within the searched time.
    #[must_use]
    pub fn may_take(&self, first: Timestamp, last: Timestamp) -> bool {
        microseconds(first) <= self.until_us && microseconds(last) >= self.from_us
    }

    fn takes_span(&self, batch: &SpanBatch, span: &Span) -> bool {
        let start = microseconds(span.start);
        let took = span.end.since_ms(span.start).saturating_mul(1_000_000);
        (self.from_us..=self.until_us).contains(&start)
            && self.operation.as_ref().is_none_or(|operation| *operation == span.name)
            && self.shortest_ns.is_none_or(|shortest| took >= shortest)
            && self.longest_ns.is_none_or(|longest| took <= longest)
            && (self.tags.is_empty() || self.has_tags(batch, span))
    }

    fn has_tags(&self, batch: &SpanBatch, span: &Span) -> bool {
        let mut own = tags::of_span(span);
        own.extend(tags::of_process(batch));
        own.extend(span.events.iter().flat_map(tags::of_event));
        self.tags.iter().all(|(key, text)| own.iter().any(|tag| tag.reads(key, text)))
    }
}

const fn microseconds(time: Timestamp) -> i64 {
    time.0.saturating_mul(1000)
}
