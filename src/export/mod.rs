//! Delivers finished spans to OTLP endpoints: at least once, oldest first, the same span always as the same bytes.
//!
//! ```text
//! OutboxReader::peek -> pack -> Otlp::send -> Outcome -> OutboxReader::acknowledge
//!                         ^                      |
//!                         +---- again, later ----+   Backoff says how much later
//! ```
//!
//! - A span leaves the queue once the collector took it, or said that it never will; each way has its own counter.
//! - Each endpoint has an exporter and a queue of its own; one request per endpoint is in flight at a time. What failed
//!   stays in memory as it was packed, so that the same bytes go again.
//! - Metrics are pushed beside that, by a task of their own: cumulative numbers need no queue.
//! - Retrying is ours alone (the crate's is off), for it outlives a restart: the queue is on disk.
//! - `https` needs an authority that signed the endpoint's certificate: a missing one is an error at the start, a wrong
//!   certificate is a failed connection.

mod answer;
mod backoff;
mod client;
mod convert;
mod counters;
mod drain;
mod error;
mod otlp;
mod outcome;
mod pack;
mod points;
mod push;
mod taken;
mod tls;

pub use backoff::{Backoff, BackoffLimits};
pub use counters::{DropReason, ExportCounters, FailureReason};
pub use drain::{DrainConfig, Exporter, run_all};
pub use error::ExportError;
pub use otlp::{OtlpConfig, OtlpEndpoint, normalize_endpoint};
pub use outcome::RequestOutcome;
pub use push::{Points, PushConfig, Pusher};
pub use tls::{ClientFiles, TlsFiles};
