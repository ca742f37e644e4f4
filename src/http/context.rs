//! The context: what every handler is given besides the request.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::archive::Archive;
use crate::export::{DropReason, ExportCounters, FailureReason};
use crate::http::api::analytics::cells::{HasCells, SharedCells};
use crate::http::api::events::HasEvents;
use crate::http::api::events::hub::{EventCounts, Events};
use crate::http::api::intake::HasIntake;
use crate::http::api::limits::kept::{HasLimits, SharedLimits};
use crate::http::api::replay::kept::{HasReplays, Replays};
use crate::http::api::state::HasReader;
use crate::http::api::tables::answer::HasHost;
use crate::http::metrics::scrape::{Build, Deliveries, Scrape};
use crate::http::openapi::{ApiDocument, HasDocument};
use crate::http::pages::status::{Status, Waiting};
use crate::http::route::problem::Problem;
use crate::http::server::counters::RequestCounters;
use crate::index::catalogue::SearchIndex;
use crate::store::{OutboxMeter, StoreReader};
use crate::streams::Intake;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::Runaway;
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::Snapshot;
use crate::views::traces::finish::SpanRules;
use crate::vitals::Vitals;
use crate::waiting::Waits;

/// Version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All that the handlers read.
#[derive(Debug)]
pub struct Context {
    /// Sessions and units.
    pub reader: StoreReader,
    /// What search narrows by; nothing before it is opened, and without it.
    pub index: Arc<OnceLock<SearchIndex>>,
    /// The cells of all sessions, for questions about sums.
    pub cells: SharedCells,
    /// What is kept for replays.
    pub replays: Replays,
    /// The stream of events.
    pub events: Events,
    /// The limits of the account.
    pub limits: Arc<SharedLimits>,
    /// How the process is doing.
    pub vitals: Arc<Vitals>,
    /// Totals, replaced after each commit that is durable; `None` before the first scan is complete.
    pub totals: watch::Receiver<Option<Snapshot>>,
    /// How full the outbox is.
    pub outbox: Arc<OutboxMeter>,
    /// Copies of session files.
    pub archive: Archive,
    /// Takes lines of streams.
    pub intake: Arc<Intake>,
    /// Counters of the exporters.
    pub export: Arc<ExportCounters>,
    /// Counters of answered requests.
    pub requests: Arc<RequestCounters>,
    /// Whether `/metrics/claude-code` is served.
    pub claude_code: bool,
    /// The description of the API.
    pub document: ApiDocument,
    /// The name of this machine, which exported rows carry.
    pub host: Arc<str>,
    /// How spans are drawn, the same as for the engine.
    pub spans: SpanRules,
    /// The clock, a function because only `sidecar` has one.
    pub clock: fn() -> Timestamp,
    /// The time that it is taken to be; `None`: as the clock says.
    pub at: Option<Timestamp>,
}

impl HasReader for Context {
    fn reader(&self) -> &StoreReader {
        &self.reader
    }

    fn now(&self) -> Timestamp {
        self.at.unwrap_or_else(self.clock)
    }

    fn span_rules(&self) -> &SpanRules {
        &self.spans
    }

    fn archive(&self) -> Archive {
        self.archive.clone()
    }

    fn runaways(&self) -> Vec<Runaway> {
        self.vitals.runaways(self.now())
    }

    fn waits(&self) -> Waits {
        let totals = self.totals.borrow().clone().unwrap_or_default();
        self.vitals.waits(&totals, self.now())
    }

    fn index(&self) -> Arc<OnceLock<SearchIndex>> {
        Arc::clone(&self.index)
    }
}

impl HasCells for Context {
    fn cells(&self) -> &SharedCells {
        &self.cells
    }
}

impl HasLimits for Context {
    fn limits(&self) -> &SharedLimits {
        &self.limits
    }
}

impl HasReplays for Context {
    fn replays(&self) -> &Replays {
        &self.replays
    }
}

impl HasIntake for Context {
    fn intake(&self) -> &Intake {
        &self.intake
    }

    fn arrived(&self) -> Timestamp {
        (self.clock)()
    }
}

impl HasEvents for Context {
    fn events(&self) -> &Events {
        &self.events
    }

    fn clock(&self) -> fn() -> Timestamp {
        self.clock
    }
}

impl HasHost for Context {
    fn host(&self) -> &str {
        &self.host
    }
}

impl HasDocument for Context {
    fn document(&self) -> &ApiDocument {
        &self.document
    }
}

impl Context {
    /// What `/metrics` shows; `None` before the first scan is complete.
    #[must_use]
    pub fn points(&self) -> Option<Vec<Point>> {
        self.ready().ok().map(|()| self.scrape(|scrape| scrape.points()))
    }

    /// Looks at the budgets, so that the next scrape shows how they are doing. Returns whether it did: not before the first
    /// scan is complete, and not while the state cannot be read. Without budgets nothing is loaded.
    pub fn look_at_budgets(&self) -> bool {
        if self.cells.budgets().configured().is_empty() {
            return true;
        }
        let cells = self.ready().ok().and_then(|()| self.cells.now(&self.reader).ok());
        // Sums that are too small would end an alert.
        cells.filter(|cells| cells.is_complete()).is_some_and(|cells| {
            cells.budgets(self.now());
            true
        })
    }

    fn scrape<T>(&self, take: impl FnOnce(&Scrape<'_>) -> T) -> T {
        let totals = self.totals.borrow().clone().unwrap_or_default();
        self.vitals.outbox_spans.set(self.outbox.spans());
        self.vitals.outbox_oldest.set(self.outbox.oldest());
        let EventCounts { clients, sent_bytes, dropped } = self.events.counts();
        self.vitals.events.clients.set(clients);
        self.vitals.events.sent_bytes.set(sent_bytes);
        self.vitals.events.dropped.set(dropped);
        take(&Scrape {
            totals: &totals,
            vitals: &self.vitals,
            deliveries: &self.deliveries(),
            budgets: &self.cells.budgets().told(),
            limits: &self.limits.now(self.now()),
            requests: &self.requests,
            build: Build { version: VERSION, revision: env!("TAILSPAN_REVISION") },
            now: self.now(),
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
        let (content_type, text) = self.scrape(|scrape| scrape.answer(accept));
        Ok((content_type.to_owned(), text.into_bytes()))
    }

    fn version(&self) -> &str {
        VERSION
    }
}
