//! What handlers are given, and the route table.

use std::sync::Arc;

use tokio::sync::watch;

use super::HasReader;
use super::api::{replay, session_detail, sessions};
use super::jaeger;
use super::metrics::claude_code;
use super::pages::{health, landing};
use crate::export::{DropReason, ExportCounters, FailureReason};
use crate::http::metrics::exposition::{Build, Deliveries, Scrape};
use crate::http::route::problem::Problem;
use crate::http::route::routes::Route;
use crate::http::server::app::{Status, Waiting};
use crate::http::server::counters::RequestCounters;
use crate::store::{OutboxMeter, Reader};
use crate::transcript::time::Timestamp;
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::Snapshot;
use crate::views::traces::finish::SpanRules;
use crate::vitals::Vitals;

/// Version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All that the handlers read.
#[derive(Debug)]
pub struct Context {
    /// Sessions and units.
    pub reader: Reader,
    /// Live gauges.
    pub vitals: Arc<Vitals>,
    /// Totals, replaced after each commit that is durable.
    pub totals: watch::Receiver<Option<Snapshot>>,
    /// How full the outbox is.
    pub outbox: Arc<OutboxMeter>,
    /// What the exporter did.
    pub export: Arc<ExportCounters>,
    /// What the server answered.
    pub requests: Arc<RequestCounters>,
    /// Whether `/metrics/claude-code` is served.
    pub claude_code: bool,
    /// What spans look like: as the engine has it.
    pub spans: SpanRules,
    /// The clock, which only the wiring has.
    pub now: fn() -> Timestamp,
}

/// Every path that is answered.
pub static ROUTES: &[Route<Context>] = &[
    Route::fixed("/", landing::page),
    Route::fixed("/metrics", health::metrics),
    Route::fixed("/metrics/claude-code", claude_code::metrics),
    Route::fixed("/-/healthy", health::healthy),
    Route::fixed("/healthz", health::healthy),
    Route::fixed("/-/ready", health::ready),
    Route::fixed("/readyz", health::ready),
    Route::fixed("/ready", health::ready),
    Route::get("/api/v1/analytics/sessions", sessions::LIST_PARAMETERS, sessions::list),
    Route::get("/api/v1/analytics/sessions/{id}", &[], session_detail::one).large(),
    Route::get("/api/v1/analytics/sessions/{id}/replay", replay::REPLAY_PARAMETERS, replay::replay).large().quoting(),
    Route::foreign("/jaeger/api/services", &[], jaeger::v1::services),
    Route::foreign("/jaeger/api/services/{service}/operations", &[], jaeger::v1::operation_names).large(),
    Route::foreign("/jaeger/api/operations", jaeger::OPERATIONS_PARAMETERS, jaeger::v1::operations_with_kinds).large(),
    Route::foreign("/jaeger/api/traces", jaeger::SEARCH_PARAMETERS, jaeger::v1::traces).large(),
    Route::foreign("/jaeger/api/traces/{id}", &[], jaeger::v1::trace).large(),
    Route::foreign("/jaeger/api/dependencies", &[], jaeger::v1::dependencies),
    Route::foreign("/jaeger/api/v3/services", &[], jaeger::v3::services),
    Route::foreign("/jaeger/api/v3/operations", jaeger::OPERATIONS_PARAMETERS, jaeger::v3::operations_with_kinds)
        .large(),
    Route::foreign("/jaeger/api/v3/traces", jaeger::SEARCH_V3_PARAMETERS, jaeger::v3::traces).large(),
    Route::foreign("/jaeger/api/v3/traces/{id}", &[], jaeger::v3::trace).large(),
    Route::foreign("/jaeger/api/v3/trace-summaries", jaeger::SEARCH_V3_PARAMETERS, jaeger::v3::summaries).large(),
];

impl HasReader for Context {
    fn reader(&self) -> &Reader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        (self.now)()
    }

    fn span_rules(&self) -> &SpanRules {
        &self.spans
    }
}

impl Context {
    /// What `/metrics` shows, as long as it answers.
    #[must_use]
    pub fn points(&self) -> Option<Vec<Point>> {
        self.ready().ok().map(|()| self.scrape(|scrape| scrape.points()))
    }

    fn scrape<T>(&self, take: impl FnOnce(&Scrape<'_>) -> T) -> T {
        let totals = self.totals.borrow().clone().unwrap_or_default();
        self.vitals.outbox_spans.set(self.outbox.spans());
        self.vitals.outbox_oldest.set(self.outbox.oldest());
        take(&Scrape {
            totals: &totals,
            vitals: &self.vitals,
            deliveries: &self.deliveries(),
            requests: &self.requests,
            build: Build { version: VERSION, revision: env!("TAILSPAN_REVISION") },
            now: (self.now)(),
        })
    }

    fn deliveries(&self) -> Deliveries {
        Deliveries {
            spans_exported: self.export.spans_exported(),
            spans_rejected: self.export.rejected_spans(),
            failures: FailureReason::ALL.iter().map(|reason| (reason.label(), self.export.failures(*reason))).collect(),
            dropped: DropReason::ALL
                .iter()
                .map(|reason| (reason.label(), self.export.dropped_spans(*reason)))
                .collect(),
        }
    }
}

impl Status for Context {
    fn ready(&self) -> Result<(), Waiting> {
        if self.vitals.initial_scan_complete.get() {
            return Ok(());
        }
        Err(Waiting { files_done: self.vitals.files_done.get(), files_total: self.vitals.files_total.get() })
    }

    fn healthy(&self) -> Result<(), String> {
        self.vitals.trouble().map_or(Ok(()), Err)
    }

    fn metrics(&self, accept: &str) -> Result<(String, Vec<u8>), Problem> {
        self.scrape(|scrape| scrape.answer(accept))
    }

    fn version(&self) -> &str {
        VERSION
    }
}
