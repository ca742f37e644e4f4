//! The loop that takes spans from the queue and sends them to the endpoint.
//!
//! - A request is *settled* when the endpoint took it or when its spans were given up. The next request is made only
//!   then; until then the request stays as it is, so that a repetition has the same bytes even if more spans have been
//!   queued meanwhile.
//! - An entry of the queue is acknowledged when all of its spans are settled. A crash before that sends it again.
//! - On shutdown the queue is emptied as far as [`DrainConfig::flush`] allows. An endpoint that has just failed is not
//!   asked again: the queue keeps the spans for the next start.

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::backoff::{Backoff, BackoffLimits};
use super::counters::{DropReason, ExportCounters, FailureReason};
use super::error::ExportError;
use super::otlp::OtlpEndpoint;
use super::outcome::RequestOutcome;
use super::pack::{Packed, pack};
use crate::store::OutboxReader;
use crate::views::traces::span::SpanBatch;

/// Limits of the loop.
#[derive(Debug, Clone, Copy)]
pub struct DrainConfig {
    /// Most spans in a request.
    pub spans_max: usize,
    /// Most bytes in a request before compression.
    pub bytes_max: usize,
    /// Longest time for the last requests on shutdown.
    pub flush: Duration,
    /// Waits between attempts.
    pub backoff: BackoffLimits,
    /// Seed of the jitter, see [`Backoff::new`].
    pub seed: u64,
}

impl Default for DrainConfig {
    /// 512 spans and 1 MiB in a request, 3 s on shutdown; the process id is the seed.
    fn default() -> Self {
        Self {
            spans_max: 512,
            bytes_max: 1 << 20,
            flush: Duration::from_secs(3),
            backoff: BackoffLimits::default(),
            seed: u64::from(std::process::id()),
        }
    }
}

/// Takes spans from a queue to an endpoint until it is told to stop.
pub struct Exporter {
    queue: OutboxReader,
    otlp: OtlpEndpoint,
    config: DrainConfig,
    backoff: Backoff,
    counters: Arc<ExportCounters>,
    /// Last warning, so that the same text is not written once a minute; `None` after a success.
    complaint: Option<String>,
}

/// What to do after one attempt to send a part.
enum NextStep {
    Settled,
    Halves(SpanBatch, SpanBatch),
    Again(SpanBatch, Duration),
}

impl Exporter {
    /// An exporter that sends nothing before [`Exporter::run`] is called.
    #[must_use]
    pub fn new(queue: OutboxReader, otlp: OtlpEndpoint, config: DrainConfig) -> Self {
        let backoff = Backoff::new(config.backoff, config.seed);
        Self { queue, otlp, config, backoff, counters: Arc::default(), complaint: None }
    }

    /// Counts into `counters`, which several exporters may share.
    #[must_use]
    pub fn counting(self, counters: Arc<ExportCounters>) -> Self {
        Self { counters, ..self }
    }

    /// The counters, for the metrics endpoint.
    #[must_use]
    pub fn counters(&self) -> Arc<ExportCounters> {
        Arc::clone(&self.counters)
    }

    /// Delivers until `shutdown` is true or its sender is gone. Fails with [`ExportError::Queue`] if the store fails;
    /// no other failure ends the loop.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) -> Result<(), ExportError> {
        let flush = self.config.flush;
        let name = self.otlp.name().to_owned();
        let deadline = async {
            stopped(shutdown.clone()).await;
            tokio::time::sleep(flush).await;
        };
        tokio::select! {
            result = self.drain(&shutdown) => result,
            () = deadline => {
                debug!(endpoint = name, "the queue could not be emptied in time; the rest stays in it");
                Ok(())
            }
        }
    }

    async fn drain(&mut self, shutdown: &watch::Receiver<bool>) -> Result<(), ExportError> {
        loop {
            let entries = self
                .queue
                .peek(self.config.spans_max, self.config.bytes_max)
                .map_err(|source| ExportError::Queue { action: "read", source })?;
            if entries.is_empty() {
                if is_stopped(shutdown) {
                    return Ok(());
                }
                tokio::select! {
                    () = self.queue.wait() => {}
                    () = stopped(shutdown.clone()) => {}
                }
                continue;
            }
            for work in pack(entries, self.config.spans_max, self.config.bytes_max) {
                if !self.settle(work, shutdown).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Sends all parts and acknowledges their entries. Returns false if the shutdown came first.
    async fn settle(&mut self, work: Packed, shutdown: &watch::Receiver<bool>) -> Result<bool, ExportError> {
        let Packed { ids, mut parts } = work;
        while let Some(part) = parts.pop_front() {
            match self.attempt(part).await {
                NextStep::Settled => {}
                NextStep::Halves(first, second) => put_back(&mut parts, [second, first]),
                NextStep::Again(part, delay) => {
                    put_back(&mut parts, [part]);
                    tokio::select! {
                        biased;
                        () = stopped(shutdown.clone()) => return Ok(false),
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
        self.queue.acknowledge(&ids).map_err(|source| ExportError::Queue { action: "acknowledge", source })?;
        Ok(true)
    }

    async fn attempt(&mut self, part: SpanBatch) -> NextStep {
        match self.otlp.send(slice::from_ref(&part)).await {
            RequestOutcome::Accepted => {
                self.counters.add_exported(count(&part));
                self.recovered();
                NextStep::Settled
            }
            RequestOutcome::Partial { rejected, message } => {
                self.recovered();
                self.partly_taken(&part, rejected, message);
                NextStep::Settled
            }
            RequestOutcome::Rejected { status, message } => {
                self.counters.add_failure(FailureReason::Status4xx);
                self.backoff.reset();
                self.split(part, &with_status("the collector rejects spans", status, &message))
            }
            RequestOutcome::Unauthorized { status, message } => {
                let text = with_status("the endpoint refuses us, spans are kept", Some(status), &message);
                self.failed(FailureReason::Unauthorized, text);
                NextStep::Again(part, self.backoff.next(None))
            }
            RequestOutcome::Foreign { status, message } => {
                let text = format!("spans are kept: the endpoint answered {status} {message}");
                self.failed(FailureReason::NotOtlp, text);
                NextStep::Again(part, self.backoff.next(None))
            }
            RequestOutcome::Retry { status, after, message } => {
                let text = with_status("spans cannot be delivered now, they are kept", status, &message);
                self.failed(reason_of(status), text);
                NextStep::Again(part, self.backoff.next(after))
            }
            RequestOutcome::Ambiguous { timed_out, message } => {
                let reason = if timed_out { FailureReason::Timeout } else { FailureReason::Connect };
                self.failed(reason, with_status("no answer, the same request will be repeated", None, &message));
                NextStep::Again(part, self.backoff.next_ambiguous())
            }
        }
    }

    /// Counts a partial success. The OTLP specification forbids to send its spans again, and the answer does not say
    /// which of them were rejected.
    fn partly_taken(&self, part: &SpanBatch, rejected: u64, message: String) {
        let rejected = rejected.min(count(part));
        self.counters.add_exported(count(part) - rejected);
        self.counters.add_rejected(rejected);
        warn!(
            endpoint = self.otlp.name(),
            rejected,
            sent = count(part),
            message,
            "the collector took a request only in part"
        );
        self.counters.set_last_error(self.otlp.name(), Some(message));
    }

    /// Halves a rejected part until the bad span is alone. That span is given up, the rest is delivered.
    fn split(&mut self, mut part: SpanBatch, text: &str) -> NextStep {
        if part.spans.len() > 1 {
            let spans = part.spans.split_off(part.spans.len() / 2);
            let second = SpanBatch { service_version: part.service_version.clone(), spans };
            return NextStep::Halves(part, second);
        }
        for span in &part.spans {
            self.counters.add_dropped(DropReason::Rejected);
            // The span's name is not logged, for it may hold user text; its ids find it in the API.
            let endpoint = self.otlp.name();
            warn!(endpoint, trace = span.trace.to_string(), span = span.id.to_string(), "{text}; dropped");
        }
        self.counters.set_last_error(self.otlp.name(), Some(text.to_owned()));
        NextStep::Settled
    }

    fn failed(&mut self, reason: FailureReason, text: String) {
        self.counters.add_failure(reason);
        if self.complaint.as_ref() == Some(&text) {
            debug!(endpoint = self.otlp.name(), "{text}");
            return;
        }
        warn!(endpoint = self.otlp.name(), "{text}");
        self.counters.set_last_error(self.otlp.name(), Some(text.clone()));
        self.complaint = Some(text);
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        self.counters.set_last_error(self.otlp.name(), None);
        if self.complaint.take().is_some() {
            info!(endpoint = self.otlp.name(), "spans are delivered again");
        }
    }
}

/// Runs the exporters of several endpoints beside each other on this runtime until all have ended. An exporter that
/// waits for its endpoint delays no other. Fails with the [`ExportError::Queue`] of the first exporter that fails, and
/// stops the other exporters then.
pub async fn run_all(exporters: Vec<Exporter>, shutdown: watch::Receiver<bool>) -> Result<(), ExportError> {
    let mut running = JoinSet::new();
    for exporter in exporters {
        let (name, shutdown) = (exporter.otlp.name().to_owned(), shutdown.clone());
        running.spawn(async move {
            let result = exporter.run(shutdown).await;
            if let Err(error) = &result {
                error!(endpoint = name, error = crate::text::chain(error), "spans are no longer sent");
            }
            result
        });
    }
    while let Some(ended) = running.join_next().await {
        match ended {
            // The exporters share the store: if it failed for one, the caller decides what becomes of all.
            Ok(ended) => ended?,
            // Nobody cancels these tasks, so the error is a panic. It goes on to whoever joins this thread.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    Ok(())
}

const fn reason_of(status: Option<u16>) -> FailureReason {
    match status {
        None => FailureReason::Connect,
        Some(429) => FailureReason::Throttled,
        Some(500..) => FailureReason::Status5xx,
        Some(_) => FailureReason::Status4xx,
    }
}

pub(super) fn with_status(text: &str, status: Option<u16>, message: &str) -> String {
    let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{text}{status}{message}")
}

fn put_back<const N: usize>(parts: &mut VecDeque<SpanBatch>, last_first: [SpanBatch; N]) {
    for part in last_first {
        parts.push_front(part);
    }
}

fn count(part: &SpanBatch) -> u64 {
    u64::try_from(part.spans.len()).unwrap_or(u64::MAX)
}

fn is_stopped(shutdown: &watch::Receiver<bool>) -> bool {
    *shutdown.borrow() || shutdown.has_changed().is_err()
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone: its owner has ended, so the exporter ends as well.
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        debug!("the owner of the exporter is gone");
    }
}
