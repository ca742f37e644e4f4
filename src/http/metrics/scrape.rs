//! Collects what `/metrics` shows: points, made for each scrape from what is known at that moment.
//!
//! Names, kinds and help come from the catalogue. Totals are those of the last durable commit, so that no number is
//! shown that a crash could take back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::http::api::analytics::budgets::BudgetsNow;
use crate::http::api::limits::kept::LimitNow;
use crate::http::metrics::accept::format_for;
use crate::http::metrics::process;
use crate::http::route::problem::FINE;
use crate::http::server::counters::RequestCounters;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, KeptIn};
use crate::views::metrics::points::{Point, points_of};
use crate::views::metrics::text::TextFormat;
use crate::views::metrics::totals::Snapshot;
use crate::vitals::Vitals;
use crate::waiting::WaitFor;

/// The route of the scrape itself. Its counter is shown from the first scrape on, at 0 then.
const OWN_ROUTE: &str = "/metrics";

/// All that a scrape shows.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// Totals of the last commit.
    pub totals: &'a Snapshot,
    /// How the process is doing.
    pub vitals: &'a Vitals,
    /// Counts of delivered and failed spans.
    pub deliveries: &'a Deliveries,
    /// How the budgets were doing when they were looked at last.
    pub budgets: &'a BudgetsNow,
    /// What is known of the limits of the account.
    pub limits: &'a [LimitNow],
    /// Counts of answered requests.
    pub requests: &'a RequestCounters,
    /// Version and revision of the program.
    pub build: Build<'a>,
    /// The time of the scrape.
    pub now: Timestamp,
}

/// Which build of the program runs.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// Version of the program.
    pub version: &'a str,
    /// Commit it was built from.
    pub revision: &'a str,
}

/// Deliveries since the start of the process. Plain numbers, because the server does not know the exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Spans that the backend took.
    pub spans_exported: u64,
    /// Spans that the backend refused while it took the rest of their request.
    pub spans_rejected: u64,
    /// Requests that failed, by reason.
    pub failures: Vec<(&'static str, u64)>,
    /// Spans that were given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Scrape<'_> {
    /// The content type and the text, in the format that an `Accept` header asks for.
    #[must_use]
    pub fn answer(&self, accept: &str) -> (&'static str, String) {
        let format = format_for(accept);
        (format.content_type(), self.text(format))
    }

    /// Every metric with at least one series, in the order of the catalogue, then the `process_*` metrics.
    #[must_use]
    pub fn text(&self, format: TextFormat) -> String {
        format.write(&self.points(), &process::families())
    }

    /// Every series of the catalogue, in its order, then those of custom metrics.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let mut live = self.live();
        let points = catalog::ALL.iter().flat_map(|metric| match metric.kept {
            KeptIn::State => points_of(metric, self.totals).collect(),
            KeptIn::Process => live.remove(metric.name).unwrap_or_default(),
        });
        let custom = self.totals.custom().iter().flat_map(|metric| points_of(metric, self.totals));
        points.chain(custom).collect()
    }

    /// The series of metrics that are not stored, by metric name.
    fn live(&self) -> BTreeMap<&'static str, Vec<Point>> {
        let vitals = self.vitals;
        let mut live = Live { started: vitals.started, points: BTreeMap::new() };
        live.add(&catalog::BUILD_INFO, &[self.build.version, self.build.revision], 1);
        live.add(&catalog::START_TIME, &[], i128::from(vitals.started.0));
        live.add(&catalog::INITIAL_SCAN_COMPLETE, &[], i128::from(vitals.initial_scan_complete.get()));
        live.add(&catalog::FILES_WATCHED, &[], i128::from(vitals.files_watched.get()));
        live.add(&catalog::WATCH_DEGRADED, &[], i128::from(vitals.watch_degraded.get()));
        live.add(&catalog::PATHS_UNREADABLE, &[], i128::from(vitals.paths_unreadable.get()));
        live.add(&catalog::READ_LAG, &[], i128::from(vitals.read_lag_bytes.get()));
        live.add(&catalog::STORE_BYTES, &[], i128::from(vitals.store_bytes.get()));
        live.add(&catalog::STATE_WRITABLE, &[], i128::from(vitals.trouble().is_none()));
        live.add(&catalog::STATE_DRIFT, &[], i128::from(vitals.state_drift.get()));
        live.add(&catalog::LOG_LINES_LOST, &[], i128::from(vitals.log_lines_lost.load(Ordering::Relaxed)));
        live.add(&catalog::EVENT_CLIENTS, &[], i128::from(vitals.events.clients.get()));
        live.add(&catalog::EVENT_BYTES, &[], i128::from(vitals.events.sent_bytes.get()));
        live.add(&catalog::EVENT_CLIENTS_DROPPED, &[], i128::from(vitals.events.dropped.get()));
        live.add(&catalog::SEARCH_INDEX_COMPLETE, &[], i128::from(vitals.index.is_complete.get()));
        live.add(&catalog::SEARCH_INDEX_FILES, &[], i128::from(vitals.index.files.get()));
        live.add(&catalog::SEARCH_INDEX_KNOWN, &[], i128::from(vitals.index.known_bytes.get()));
        live.add(&catalog::SEARCH_INDEX_BYTES, &[], i128::from(vitals.index.disk_bytes.get()));
        live.add(&catalog::SEARCH_INDEX_SECONDS, &[], i128::from(vitals.index.busy_ms.get()));
        live.add(&catalog::OUTBOX_SPANS, &[], i128::from(vitals.outbox_spans.get()));
        if let Some(time) = vitals.last_event.get() {
            live.add(&catalog::LAST_EVENT, &[], i128::from(time.0));
        }
        if let Some(time) = vitals.outbox_oldest.get() {
            live.add(&catalog::OUTBOX_OLDEST, &[], i128::from(time.0));
        }
        for (endpoint, waiting) in vitals.history() {
            live.add(&catalog::HISTORY_WAITING, &[&endpoint], i128::from(waiting));
        }
        self.archive(&mut live);
        self.streams(&mut live);
        self.sessions(&mut live);
        self.deliveries(&mut live);
        self.requests(&mut live);
        self.budgets(&mut live);
        self.limits(&mut live);
        live.points
    }

    fn archive(&self, live: &mut Live) {
        let archive = self.vitals.archive();
        for (within, sessions) in archive.expiring {
            live.add(&catalog::SESSIONS_EXPIRING, &[within], i128::from(sessions));
        }
        live.add(&catalog::ARCHIVE_COPIES, &[], i128::from(archive.copies));
        live.add(&catalog::ARCHIVE_BYTES, &[], i128::from(archive.bytes));
        live.add(&catalog::ARCHIVE_FILE_BYTES, &[], i128::from(archive.file_bytes));
        live.add(&catalog::ARCHIVE_COPIED, &[], i128::from(archive.copied));
        live.add(&catalog::ARCHIVE_FAILURES, &[], i128::from(archive.failed));
        live.add(&catalog::ARCHIVE_WRITABLE, &[], i128::from(archive.paused.is_none()));
        for (what, count) in archive.ended {
            live.add(&catalog::RETENTION_ENDED, &[what], i128::from(count));
        }
    }

    fn streams(&self, live: &mut Live) {
        let streams = &self.vitals.streams;
        for (outcome, lines) in [("new", &streams.accepted), ("known", &streams.known), ("rejected", &streams.rejected)]
        {
            live.add(&catalog::STREAM_LINES, &[outcome], i128::from(lines.get()));
        }
        live.add(&catalog::STREAM_BYTES, &[], i128::from(streams.bytes.get()));
        live.add(&catalog::STREAM_FILES, &[], i128::from(streams.files.get()));
        live.add(&catalog::STREAM_FILE_BYTES, &[], i128::from(streams.file_bytes.get()));
        live.add(&catalog::STREAM_FILES_ENDED, &[], i128::from(streams.ended.get()));
    }

    fn sessions(&self, live: &mut Live) {
        let counts = self.vitals.live(self.totals, self.now);
        for entrypoint in crate::views::metrics::labels::ENTRYPOINTS {
            let counts = counts.get(entrypoint).copied().unwrap_or_default();
            live.add(&catalog::SESSIONS_ACTIVE, &[entrypoint], i128::from(counts.active));
            for (of, count) in WaitFor::ALL.iter().zip(counts.waiting) {
                live.add(&catalog::SESSIONS_WAITING, &[entrypoint, of.word()], i128::from(count));
            }
        }
        for (reason, count) in self.vitals.runaway_counts(self.now) {
            live.add(&catalog::SESSIONS_RUNAWAY, &[reason.word()], i128::try_from(count).unwrap_or(i128::MAX));
        }
    }

    fn deliveries(&self, live: &mut Live) {
        let Deliveries { spans_exported, spans_rejected, failures, dropped } = self.deliveries;
        live.add(&catalog::SPANS_EXPORTED, &[], i128::from(*spans_exported));
        live.add(&catalog::EXPORT_REJECTED, &[], i128::from(*spans_rejected));
        for (metric, counts) in [(&catalog::EXPORT_FAILURES, failures), (&catalog::SPANS_DROPPED, dropped)] {
            for reason in metric.labels.iter().flat_map(catalog::Label::at_start) {
                let count = counts.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count);
                live.add(metric, &[reason], i128::from(count));
            }
        }
    }

    fn budgets(&self, live: &mut Live) {
        for (budget, now) in self.budgets.iter() {
            let amounts = [
                (&catalog::BUDGET_LIMIT, Some(budget.limit)),
                (&catalog::BUDGET_SPENT, now.map(|now| now.spent)),
                (&catalog::BUDGET_EXPECTED, now.and_then(|now| now.expected)),
            ];
            for (metric, amount) in amounts {
                if let Some(amount) = amount {
                    live.add(metric, &[&budget.name], amount.picousd());
                }
            }
        }
    }

    /// A window that has begun anew without a further look has no ratio: nobody knows it.
    fn limits(&self, live: &mut Live) {
        for LimitNow { look, is_over, forecast } in self.limits {
            let window = &[&*look.window];
            live.add(&catalog::LIMIT_SAMPLE, window, i128::from(look.at.0));
            if *is_over {
                continue;
            }
            live.add(&catalog::LIMIT_USED, window, i128::from(look.used_ppm));
            if let Some(reset) = look.resets_at {
                live.add(&catalog::LIMIT_RESET, window, i128::from(reset.0));
            }
            if let Some(full) = forecast.ok().and_then(|forecast| forecast.full_at) {
                live.add(&catalog::LIMIT_FULL, window, i128::from(full.0));
            }
        }
    }

    fn requests(&self, live: &mut Live) {
        let mut counts = self.requests.snapshot();
        counts.entry((OWN_ROUTE, FINE.as_u16())).or_default();
        for ((route, code), count) in counts {
            live.add(&catalog::HTTP_REQUESTS, &[route, &code.to_string()], i128::from(count));
        }
    }
}

struct Live {
    started: Timestamp,
    points: BTreeMap<&'static str, Vec<Point>>,
}

impl Live {
    fn add(&mut self, metric: &'static catalog::Metric, values: &[&str], number: i128) {
        let labels = values.iter().map(|value| Arc::from(*value)).collect();
        // A counter that is kept in the process was 0 when the process started.
        let point = Point::new(metric, labels, number, Some(self.started));
        self.points.entry(metric.name).or_default().push(point);
    }
}
