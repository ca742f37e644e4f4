//! Counters of delivered and failed spans for `/metrics`. They count from the start of the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::otlp::DEFAULT_ENDPOINT;

/// Why a request failed: the value of the label `reason` of `export_failures_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// No connection, or one that broke before the answer.
    Connect,
    /// No answer in time.
    Timeout,
    /// The collector said that the payload is bad, or answered 408 or 425; or the payload was too large to be sent.
    Status4xx,
    /// The collector or a proxy before it failed.
    Status5xx,
    /// The endpoint refuses every request, whatever is in it: 401, 403, 404 and the like.
    Unauthorized,
    /// The collector asked for fewer requests (status 429).
    Throttled,
    /// An answer that no OTLP receiver gives, such as a login page with status 200.
    NotOtlp,
}

impl FailureReason {
    /// Every reason, for counters that exist at 0 from the start.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Timeout,
        Self::Status4xx,
        Self::Status5xx,
        Self::Unauthorized,
        Self::Throttled,
        Self::NotOtlp,
    ];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Status4xx => "status_4xx",
            Self::Status5xx => "status_5xx",
            Self::Unauthorized => "unauthorized",
            Self::Throttled => "throttled",
            Self::NotOtlp => "not_otlp",
        }
    }
}

/// Why a span was given up: the value of the label `reason` of `spans_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The collector refused a request with this span alone.
    Rejected,
}

impl DropReason {
    /// Every reason, for counters that exist at 0 from the start.
    pub const ALL: [Self; 1] = [Self::Rejected];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
        }
    }
}

/// Written by the exporters of all endpoints, read by the metrics endpoint.
#[derive(Debug, Default)]
pub struct ExportCounters {
    spans_exported: AtomicU64,
    rejected_spans: AtomicU64,
    connect: AtomicU64,
    timeout: AtomicU64,
    status_4xx: AtomicU64,
    status_5xx: AtomicU64,
    unauthorized: AtomicU64,
    throttled: AtomicU64,
    not_otlp: AtomicU64,
    dropped_rejected: AtomicU64,
    /// The latest error of each endpoint that is in trouble, by the endpoint's name.
    last_errors: Mutex<BTreeMap<String, String>>,
}

impl ExportCounters {
    /// Spans that the collector took.
    #[must_use]
    pub fn spans_exported(&self) -> u64 {
        self.spans_exported.load(Ordering::Relaxed)
    }

    /// Spans that the collector refused while it took the rest of their request (OTLP partial success).
    #[must_use]
    pub fn rejected_spans(&self) -> u64 {
        self.rejected_spans.load(Ordering::Relaxed)
    }

    /// Requests that failed for this reason.
    #[must_use]
    pub fn failures(&self, reason: FailureReason) -> u64 {
        self.failure(reason).load(Ordering::Relaxed)
    }

    /// Spans that were given up for this reason.
    #[must_use]
    pub fn dropped_spans(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Rejected => self.dropped_rejected.load(Ordering::Relaxed),
        }
    }

    /// What keeps spans from arriving, at most some 400 bytes; `None` after a success. Of several endpoints in trouble,
    /// the first by name, with its name unless it is the one of `otlp.endpoint`.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        let errors = self.last_errors.lock().unwrap_or_else(PoisonError::into_inner);
        let (endpoint, error) = errors.first_key_value()?;
        Some(if endpoint == DEFAULT_ENDPOINT { error.clone() } else { format!("{endpoint}: {error}") })
    }

    pub(super) fn add_exported(&self, spans: u64) {
        self.spans_exported.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn add_rejected(&self, spans: u64) {
        self.rejected_spans.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn add_failure(&self, reason: FailureReason) {
        self.failure(reason).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_dropped(&self, reason: DropReason) {
        match reason {
            DropReason::Rejected => self.dropped_rejected.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(super) fn set_last_error(&self, endpoint: &str, error: Option<String>) {
        let mut errors = self.last_errors.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => drop(errors.insert(endpoint.to_owned(), error)),
            None => drop(errors.remove(endpoint)),
        }
    }

    const fn failure(&self, reason: FailureReason) -> &AtomicU64 {
        match reason {
            FailureReason::Connect => &self.connect,
            FailureReason::Timeout => &self.timeout,
            FailureReason::Status4xx => &self.status_4xx,
            FailureReason::Status5xx => &self.status_5xx,
            FailureReason::Unauthorized => &self.unauthorized,
            FailureReason::Throttled => &self.throttled,
            FailureReason::NotOtlp => &self.not_otlp,
        }
    }
}
