//! A queue of spans in a state of its own, and an exporter that empties it.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1 as wire;
use tailspan::export::{BackoffLimits, DrainConfig, ExportCounters, Exporter, OtlpConfig, OtlpEndpoint};
use tailspan::store::{self, Commit, Opened, OutboxReader, Writer};
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::ids::{SpanId, TraceId};
use tailspan::views::traces::span::{Span, SpanBatch, SpanKind, SpanStatus};
use tempfile::TempDir;
use tokio::sync::watch;

use super::sink::Sink;

/// Longer than any test takes; only a test that would hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The outbox of a real state in a folder of its own, with one endpoint.
pub(crate) struct Queue {
    writer: Mutex<Writer>,
    reader: Mutex<Option<OutboxReader>>,
    /// Goes last: the writer writes what is left.
    _folder: TempDir,
}

impl Queue {
    pub(crate) fn of(batches: Vec<SpanBatch>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Opened { writer, outbox, .. } = store::open(folder.path(), Timestamp(0)).unwrap();
        let reader = outbox.readers(&["default"]).unwrap().pop();
        let queue = Self { writer: Mutex::new(writer), reader: Mutex::new(reader), _folder: folder };
        let mut writer = queue.writer.lock().unwrap();
        batches.into_iter().for_each(|batch| put(&mut writer, batch));
        writer.flush().unwrap();
        drop(writer);
        queue
    }

    /// Queues one more batch, durable.
    pub(crate) fn add(&self, batch: SpanBatch) {
        let mut writer = self.writer.lock().unwrap();
        put(&mut writer, batch);
        writer.flush().unwrap();
    }

    /// For one exporter.
    pub(crate) fn reader(&self) -> OutboxReader {
        self.reader.lock().unwrap().take().expect("the queue has one reader")
    }

    /// Spans that wait.
    pub(crate) fn spans(&self) -> u64 {
        self.writer.lock().unwrap().meter().spans()
    }

    pub(crate) async fn emptied(&self) {
        while self.spans() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn put(writer: &mut Writer, batch: SpanBatch) {
    writer.commit(&Commit { spans: vec![batch], ..Commit::default() }).unwrap();
}

/// Waits of a millisecond, so that no test waits for a backoff.
pub(crate) fn impatient() -> DrainConfig {
    let wait = Duration::from_millis(1);
    let backoff = BackoffLimits { base: wait, max: wait, retry_after_max: wait, ambiguous_min: wait };
    DrainConfig { backoff, seed: 1, ..DrainConfig::default() }
}

pub(crate) fn otlp(sink: &Sink) -> OtlpEndpoint {
    OtlpEndpoint::new(OtlpConfig { endpoint: sink.url(), timeout: PATIENCE, ..OtlpConfig::default() }).unwrap()
}

/// Runs the exporter until the queue is empty, then stops it.
pub(crate) async fn deliver(queue: &Queue, otlp: OtlpEndpoint, config: DrainConfig) -> Arc<ExportCounters> {
    deliver_until(queue, otlp, config, queue.emptied()).await
}

pub(crate) async fn deliver_until(
    queue: &Queue,
    otlp: OtlpEndpoint,
    config: DrainConfig,
    end: impl Future<Output = ()>,
) -> Arc<ExportCounters> {
    let exporter = Exporter::new(queue.reader(), otlp, config);
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
        trace: TraceId(7),
        id: SpanId(id),
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
