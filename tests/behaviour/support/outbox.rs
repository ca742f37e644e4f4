//! A real state folder with spans in its outbox, and exporters that empty it.

use std::path::Path;
use std::sync::Arc;

use tailspan::export::{ExportCounters, ExportError, Exporter, OtlpConfig, OtlpEndpoint, run_all};
use tailspan::store::{self, Commit, Opened, OutboxReader, Writer};
use tailspan::transcript::time::Timestamp;
use tailspan::views::traces::span::SpanBatch;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::queue::{PATIENCE, batch, impatient, named};

/// A started sidecar without its reading half.
pub(crate) struct State {
    pub(crate) writer: Writer,
    next_span: u64,
}

impl State {
    /// Opens the state with these endpoints. Spans get numbers from `next_span`.
    pub(crate) fn open(folder: &Path, endpoints: &[&str], next_span: u64) -> (Self, Vec<OutboxReader>) {
        let Opened { writer, outbox, .. } = store::open(folder, Timestamp(0)).unwrap();
        (Self { writer, next_span }, outbox.readers(endpoints).unwrap())
    }

    /// Queues one turn of this many spans, durable.
    pub(crate) fn put(&mut self, spans: u64) {
        self.put_unflushed("2.1.0", spans);
        self.writer.flush().unwrap();
    }

    /// Queues one turn of this many spans.
    pub(crate) fn put_unflushed(&mut self, version: &str, spans: u64) {
        let own = (self.next_span..self.next_span + spans).map(|id| named("turn", id)).collect();
        self.next_span += spans;
        self.put_batch(batch(version, own));
    }

    pub(crate) fn put_batch(&mut self, batch: SpanBatch) {
        let commit = Commit { spans: vec![batch], ..Commit::default() };
        self.writer.commit(&commit).unwrap();
    }

    /// Spans that some endpoint has not taken yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.writer.meter().spans()
    }
}

/// Exporters that run, and share their counters.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ExportError>>,
    pub(crate) counters: Arc<ExportCounters>,
}

impl Running {
    /// One exporter for each reader, with the name and URL at the same place of `endpoints`.
    pub(crate) fn start(readers: Vec<OutboxReader>, endpoints: &[(&str, String)]) -> Self {
        assert_eq!(readers.len(), endpoints.len());
        let counters = Arc::new(ExportCounters::default());
        let exporter = |(reader, (name, url)): (OutboxReader, &(&str, String))| {
            let config = OtlpConfig {
                name: (*name).to_owned(),
                endpoint: url.clone(),
                timeout: PATIENCE,
                ..OtlpConfig::default()
            };
            Exporter::new(reader, OtlpEndpoint::new(config).unwrap(), impatient()).counting(Arc::clone(&counters))
        };
        let exporters = readers.into_iter().zip(endpoints).map(exporter).collect();
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(run_all(exporters, stopped)), counters }
    }

    /// A clean end, after which nothing of the state is open any more.
    pub(crate) async fn stop(self) -> Arc<ExportCounters> {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.task).await.expect("the exporters do not stop").unwrap().unwrap();
        self.counters
    }
}
