//! A queue of spans in memory, and an exporter that empties it.

#![allow(dead_code, reason = "each test crate uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1 as wire;
use tailspan::export::{BackoffLimits, DrainConfig, ExportCounters, Exporter, Otlp, OtlpConfig, SpanQueue};
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::span::{Span, SpanBatch, SpanKind, SpanStatus};
use tokio::sync::{Notify, watch};

use crate::sink::Sink;

/// Longer than any test takes; only a test that would hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The contract of the store's queue, in memory.
#[derive(Clone, Default)]
pub(crate) struct Queue {
    pub(crate) entries: Arc<Mutex<VecDeque<(u64, SpanBatch)>>>,
    added: Arc<Notify>,
    length: watch::Sender<usize>,
}

impl Queue {
    pub(crate) fn of(batches: Vec<SpanBatch>) -> Self {
        let queue = Self::default();
        batches.into_iter().for_each(|batch| queue.add(batch));
        queue
    }

    pub(crate) fn add(&self, batch: SpanBatch) {
        let mut entries = self.entries.lock().unwrap();
        let id = entries.back().map_or(0, |(id, _)| id + 1);
        entries.push_back((id, batch));
        self.length.send_replace(entries.len());
        self.added.notify_one();
    }

    pub(crate) async fn emptied(&self) {
        self.length.subscribe().wait_for(|length| *length == 0).await.unwrap();
    }
}

impl SpanQueue for Queue {
    type Error = Infallible;

    fn peek(&mut self, spans_max: usize, _bytes_max: usize) -> Result<Vec<(u64, SpanBatch)>, Infallible> {
        let mut spans = 0;
        let fits = |(_, batch): &&(u64, SpanBatch)| {
            let first = spans == 0;
            spans += batch.spans.len();
            first || spans <= spans_max
        };
        Ok(self.entries.lock().unwrap().iter().take_while(fits).cloned().collect())
    }

    fn acknowledge(&mut self, ids: &[u64]) -> Result<(), Infallible> {
        let mut entries = self.entries.lock().unwrap();
        entries.retain(|(id, _)| !ids.contains(id));
        self.length.send_replace(entries.len());
        Ok(())
    }

    fn wait(&self) -> impl Future<Output = ()> + Send {
        self.added.notified()
    }
}

/// Waits of a millisecond, so that no test waits for a backoff.
pub(crate) fn impatient() -> DrainConfig {
    let wait = Duration::from_millis(1);
    let backoff = BackoffLimits { base: wait, max: wait, retry_after_max: wait, ambiguous_min: wait };
    DrainConfig { backoff, seed: 1, ..DrainConfig::default() }
}

pub(crate) fn otlp(sink: &Sink) -> Otlp {
    Otlp::new(OtlpConfig { endpoint: sink.url(), timeout: PATIENCE, ..OtlpConfig::default() }).unwrap()
}

/// Runs the exporter until the queue is empty, then stops it.
pub(crate) async fn deliver(queue: &Queue, otlp: Otlp, config: DrainConfig) -> Arc<ExportCounters> {
    deliver_until(queue, otlp, config, queue.emptied()).await
}

pub(crate) async fn deliver_until(
    queue: &Queue,
    otlp: Otlp,
    config: DrainConfig,
    end: impl Future<Output = ()>,
) -> Arc<ExportCounters> {
    let exporter = Exporter::new(queue.clone(), otlp, config);
    let counters = exporter.counters();
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(exporter.run(stopped));
    tokio::time::timeout(PATIENCE, end).await.expect("the exporter hangs");
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, run).await.expect("the exporter does not stop").unwrap().unwrap();
    counters
}

pub(crate) fn named(name: &str, id: u64) -> Span {
    Span {
        trace: 7,
        id,
        parent: None,
        kind: SpanKind::Internal,
        name: name.to_owned(),
        start: Timestamp(1_000),
        end: Timestamp(2_000),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
    }
}

pub(crate) fn batch(version: &str, spans: Vec<Span>) -> SpanBatch {
    SpanBatch { service_version: version.to_owned(), spans }
}

/// Entries of `sizes` spans, whose ids count from 1 over all of them.
pub(crate) fn entries(sizes: &[u64]) -> Vec<SpanBatch> {
    let mut id = 0;
    let mut next = || {
        id += 1;
        named("turn", id)
    };
    sizes.iter().map(|&size| batch("2.1.0", (0..size).map(|_| next()).collect())).collect()
}

pub(crate) fn ids(spans: &[wire::Span]) -> Vec<u64> {
    spans.iter().map(|span| u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap())).collect()
}
