//! Delivers finished spans to OTLP endpoints: at least once, oldest first, the same span always as the same bytes.
//!
//! ```text
//! OutboxReader::peek -> pack -> Otlp::send -> Outcome -> OutboxReader::acknowledge
//!                         ^                      |
//!                         +---- again, later ----+   Backoff says after how long
//! ```
//!
//! - A span leaves the queue once the collector took it, or said that it never will; each case has its own counter.
//! - Each endpoint has an exporter and a queue of its own; one request per endpoint is in flight at a time. A failed
//!   request stays in memory as it was packed, so that the same bytes are sent again.
//! - Metrics are pushed by a task of their own: cumulative numbers need no queue.
//! - This room retries, and the retries of the OTLP crate are off: the queue is on disk, so that spans outlive a
//!   restart.
//! - `https` needs a trusted authority that signed the endpoint's certificate. If the machine trusts no authority at
//!   all, the sidecar does not start; a certificate that no trusted authority signed is a failed connection.

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
