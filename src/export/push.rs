//! Pushes metrics to an OTLP endpoint, for people without a scraper.
//!
//! - Numbers are cumulative, so a push that fails is made good by the next one: nothing is queued.
//! - Nothing is pushed before the first scan is complete, because `/metrics` shows no numbers before that either.
//! - The last push is made at the end, so that the final numbers arrive.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use super::backoff::BackoffLimits;
use super::client::RequestTarget;
use super::drain::with_status;
use super::error::ExportError;
use super::otlp::{OtlpConfig, target};
use super::outcome::RequestOutcome;
use super::points::requests;
use crate::transcript::time::Timestamp;
use crate::views::metrics::points::Point;

/// Longest time for the last push on shutdown.
const FLUSH: Duration = Duration::from_secs(3);

/// Where metrics are pushed to, and how often.
#[derive(Debug, Clone)]
pub struct PushConfig {
    /// The endpoint. Its URL is used as it is: no path is appended.
    pub otlp: OtlpConfig,
    /// Time between two pushes.
    pub interval: Duration,
    /// `service.instance.id`, which keeps the series of two sidecars apart.
    pub instance: String,
}

/// What is pushed: the points, or `None` before the first scan is complete, and the time at which they were taken.
pub type Points = (Option<Vec<Point>>, Timestamp);

/// Pushes until it is told to stop.
pub struct Pusher {
    target: RequestTarget,
    resource: Vec<(String, String)>,
    interval: Duration,
    /// Last warning, so that the same text is not written once a minute; `None` after a success.
    complaint: Option<String>,
}

impl Pusher {
    /// Checks the configuration; connects to nothing. Fails if the URL, a header, a certificate or a key cannot be
    /// used.
    pub fn new(config: PushConfig) -> Result<Self, ExportError> {
        let PushConfig { otlp, interval, instance } = config;
        let endpoint = otlp
            .endpoint
            .parse()
            .map_err(|source| ExportError::Endpoint { endpoint: otlp.endpoint.clone(), source })?;
        let target = target(&otlp, endpoint)?;
        let mut resource = otlp.resource;
        let given: Vec<String> = resource.iter().map(|(key, _)| key.clone()).collect();
        resource.push(("service.name".to_owned(), otlp.service_name));
        for (key, value) in [("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", &instance)] {
            if !given.iter().any(|known| known == key) {
                resource.push((key.to_owned(), value.to_owned()));
            }
        }
        resource.sort();
        Ok(Self { target, resource, interval, complaint: None })
    }

    /// Pushes once per interval until `shutdown` is true or its sender is gone, then a last time.
    pub async fn run(mut self, points: impl Fn() -> Points + Send, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // An error means that the sender is gone: its owner has ended, so the pusher ends as well.
                _ = shutdown.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {}
            }
            let wait = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                wait = self.push(points()) => wait,
            };
            if let Some(wait) = wait {
                tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => break,
                    () = sleep(wait) => {}
                }
            }
        }
        if tokio::time::timeout(FLUSH, self.push(points())).await.is_err() {
            debug!("the last metrics could not be pushed in time");
        }
    }

    /// Pushes once. Returns the wait that the endpoint asked for with `Retry-After`, at most 10 minutes; else `None`.
    async fn push(&mut self, (points, now): Points) -> Option<Duration> {
        for request in requests(&points?, &self.resource, now) {
            let (_, outcome) = self.target.post(Bytes::from(request.encode_to_vec())).await;
            match outcome {
                RequestOutcome::Accepted => {}
                RequestOutcome::Partial { rejected, message } => {
                    self.complain(format!("the endpoint took metrics only in part: {rejected} rejected: {message}"));
                    return None;
                }
                RequestOutcome::Rejected { status, message } => {
                    self.complain(with_status("the endpoint rejects metrics", status, &message));
                    return None;
                }
                RequestOutcome::Unauthorized { status, message } => {
                    self.complain(with_status("the endpoint refuses metrics from us", Some(status), &message));
                    return None;
                }
                RequestOutcome::Foreign { status, message } => {
                    self.complain(format!("metrics are not taken: the endpoint answered {status} {message}"));
                    return None;
                }
                RequestOutcome::Retry { status, after, message } => {
                    self.complain(with_status("metrics cannot be pushed now", status, &message));
                    return after.map(|after| after.min(BackoffLimits::default().retry_after_max));
                }
                RequestOutcome::Ambiguous { message, .. } => {
                    self.complain(with_status("no answer to pushed metrics", None, &message));
                    return None;
                }
            }
        }
        if self.complaint.take().is_some() {
            info!("metrics are pushed again");
        }
        None
    }

    fn complain(&mut self, text: String) {
        if self.complaint.as_ref() == Some(&text) {
            debug!("{text}");
            return;
        }
        warn!("{text}; the next push will have all numbers");
        self.complaint = Some(text);
    }
}
