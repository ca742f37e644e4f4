//! Every metric, defined once: its name, kind, unit, help, labels and buckets.
//!
//! `/metrics` takes HELP and TYPE from here, the totals take their series from here, and `docs/metrics.md` is
//! [`markdown`]. A metric that is neither in [`ALL`] nor in [`CLAUDE_CODE`] does not exist.
//!
//! ```text
//! name    tailspan_ + name; base units; `_total` on counters and on nothing else
//! labels  closed: every value is known, all series exist at 0 from the start
//!         open: values come from session files, checked by `labels` and bounded by `metrics.series_max`
//! stored  absolute, survives restarts; the others are about the running process
//! ```

#![warn(missing_docs)]

use std::fmt::Write;

use crate::transcript::record::{API_ERROR_REASONS, Origin, Reason, UnreadableUsage};
use crate::views::metrics::labels::{AGENT_TYPES, CORE_TOOLS, ENTRYPOINTS, OTHER};

/// What every name starts with.
pub const PREFIX: &str = "tailspan_";

/// The families of Claude Code's own telemetry, which `/metrics/claude-code` shows.
pub use crate::views::metrics::claude_code::ALL as CLAUDE_CODE;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// What its name starts with: [`PREFIX`], but for [`CLAUDE_CODE`].
    pub prefix: &'static str,
    /// Name without the prefix.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Unit of the rendered number.
    pub unit: Unit,
    /// One sentence.
    pub help: &'static str,
    /// Labels, in the order in which values are given; at most one is open.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets in its stored unit, without the infinite one.
    pub buckets: &'static [i128],
    /// Where the number is kept.
    pub kept: Kept,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Never goes down.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Tokens.
    Tokens,
    /// US dollars; stored in picodollars.
    Usd,
    /// Seconds; stored in milliseconds.
    Seconds,
    /// Seconds since 1970-01-01 UTC.
    Timestamp,
    /// Bytes.
    Bytes,
    /// 0 or 1.
    Boolean,
}

/// Where a number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the state: it goes on after a restart.
    State,
    /// In the process: it starts again with it.
    Process,
}

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What values it has.
    pub values: Values,
}

/// What values a label has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These.
    Closed(&'static [&'static str]),
    /// Such as turn up, up to a limit.
    Open {
        /// Values that exist before they turn up.
        at_start: &'static [&'static str],
        /// What they are.
        about: &'static str,
    },
}

impl Kind {
    /// The word of the text format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// The word of the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Tokens => "tokens",
            Self::Usd => "USD",
            Self::Seconds => "seconds",
            Self::Timestamp => "Unix time in seconds",
            Self::Bytes => "bytes",
            Self::Boolean => "0 or 1",
        }
    }

    /// A stored number of this unit as it is rendered.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the text format has floats; the stored number stays exact")]
    pub fn rendered(self, stored: i128) -> f64 {
        match self {
            Self::Usd => crate::ledger::money::Money::from_picousd(stored).to_f64(),
            Self::Seconds | Self::Timestamp => stored as f64 / 1000.0,
            Self::Count | Self::Tokens | Self::Bytes | Self::Boolean => stored as f64,
        }
    }
}

impl Label {
    /// The values that exist from the start.
    #[must_use]
    pub const fn at_start(&self) -> &'static [&'static str] {
        match self.values {
            Values::Closed(values) => values,
            Values::Open { at_start, .. } => at_start,
        }
    }

    /// True if values turn up.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.values, Values::Open { .. })
    }
}

impl Metric {
    /// Name as it is scraped.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// Position of the open label.
    #[must_use]
    pub fn open_label(&self) -> Option<usize> {
        self.labels.iter().position(Label::is_open)
    }
}

pub(super) const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Closed(values) }
}

pub(super) const fn open(name: &'static str, at_start: &'static [&'static str], about: &'static str) -> Label {
    Label { name, values: Values::Open { at_start, about } }
}

pub(super) const fn counter(name: &'static str, unit: Unit, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { prefix: PREFIX, name, kind: Kind::Counter, unit, help, labels, buckets: &[], kept: Kept::State }
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(name, unit, labels, help) }
}

const fn histogram(
    name: &'static str,
    unit: Unit,
    labels: &'static [Label],
    buckets: &'static [i128],
    help: &'static str,
) -> Metric {
    Metric { kind: Kind::Histogram, buckets, ..counter(name, unit, labels, help) }
}

const fn live_counter(name: &'static str, unit: Unit, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { kept: Kept::Process, ..counter(name, unit, labels, help) }
}

const fn live_gauge(name: &'static str, unit: Unit, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { kept: Kept::Process, ..gauge(name, unit, labels, help) }
}

const MODEL: Label = open("model", &[], "canonical model id");
const TOKEN_KIND: Label = closed("kind", &["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"]);
const AGENT: Label = closed("agent", &["main", "subagent"]);
const PROJECT: Label = open(
    "project",
    &[],
    "last component of the working directory (of a worktree that the client made: of its repository's) without \
     secrets and invisible letters, or its hash",
);
const TOOL: Label = open("tool", CORE_TOOLS, "built-in tools by name, `mcp__server` if listed, `mcp`, `other`");
const FAILURE_REASON: Label = closed("reason", &["error", "denied", "interrupted"]);
const API_REASON: Label = closed("reason", &API_ERROR_REASONS);
const ORIGIN: Label = closed(
    "origin",
    &[Origin::Human.name(), Origin::Sdk.name(), Origin::TaskNotification.name(), Origin::Teammate.name()],
);
const ENTRYPOINT: Label = closed("entrypoint", ENTRYPOINTS);
const AGENT_TYPE: Label = closed("agent_type", AGENT_TYPES);
const TRIGGER: Label = closed("trigger", &["auto", "manual"]);
const CHANGE: Label = closed("change", &["added", "removed"]);
const REJECTED: Label = closed("reason", &[Reason::NotJson.name(), Reason::NotAnObject.name(), Reason::TooLong.name()]);
const USAGE_REASON: Label = closed("reason", &[UnreadableUsage::Missing.name(), UnreadableUsage::NotANumber.name()]);
const RECORD_KIND: Label = open("kind", &[OTHER], "type of the line");
const EXPORT_REASON: Label =
    closed("reason", &["connect", "timeout", "status_4xx", "status_5xx", "unauthorized", "throttled", "not_otlp"]);
const DROP_REASON: Label = closed("reason", &["rejected"]);
const ENDPOINT: Label = open("endpoint", &[], "name of an OTLP endpoint in the configuration");
const ROUTE: Label = open("route", &[], "pattern of the path, or `other`");
const CODE: Label = open("code", &[], "HTTP status");
const VERSION: Label = open("version", &[], "version of tailspan");
const REVISION: Label = open("revision", &[], "commit it was built from");
const DROPPABLE: Label = closed(
    "metric",
    &[
        "tailspan_tokens_total",
        "tailspan_cost_usd_total",
        "tailspan_unpriced_tokens_total",
        "tailspan_responses_without_identity_total",
        "tailspan_api_requests_total",
        "tailspan_api_request_duration_seconds",
        "tailspan_tool_calls_total",
        "tailspan_tool_failures_total",
        "tailspan_tool_duration_seconds",
        "tailspan_lifetime_cost_usd",
        "tailspan_lifetime_tokens",
        "tailspan_unknown_records_total",
    ],
);

/// The boundaries that OpenTelemetry advises for model calls, and two more: long answers take minutes. Milliseconds.
const REQUEST_MS: &[i128] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840, 327_680];
/// The same for tools, and one more: builds take longer.
const TOOL_MS: &[i128] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840, 327_680, 655_360];
/// The boundaries that OpenTelemetry advises for agents, and three more: turns take an hour. Milliseconds.
const TURN_MS: &[i128] = &[
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600, 819_200, 1_638_400,
    3_276_800,
];
/// From a tenth of a cent to 100 USD, in picodollars.
const TURN_PICOUSD: &[i128] = &[
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    25_000_000_000,
    50_000_000_000,
    100_000_000_000,
    250_000_000_000,
    500_000_000_000,
    1_000_000_000_000,
    2_500_000_000_000,
    5_000_000_000_000,
    10_000_000_000_000,
    25_000_000_000_000,
    100_000_000_000_000,
];

macro_rules! metrics {
    ($($constant:ident = $make:ident($($argument:expr),+; $help:literal);)*) => {
        $(
            #[doc = $help]
            pub static $constant: Metric = $make($($argument),+, $help);
        )*

        /// Every metric, in the order of the documentation.
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    TOKENS = counter("tokens_total", Unit::Tokens, &[MODEL, TOKEN_KIND, AGENT];
        "Billed tokens. The kinds do not overlap, so their sum is the number of all tokens.");
    COST = counter("cost_usd_total", Unit::Usd, &[MODEL, AGENT];
        "List price of API responses. What has no known price is in tailspan_unpriced_tokens_total instead.");
    PROJECT_COST = counter("project_cost_usd_total", Unit::Usd, &[PROJECT];
        "List price of API responses by project.");
    PROJECT_TOKENS = counter("project_tokens_total", Unit::Tokens, &[PROJECT];
        "Billed tokens of all kinds by project.");
    UNPRICED_TOKENS = counter("unpriced_tokens_total", Unit::Tokens, &[MODEL];
        "Tokens of models without a known price: what the cost leaves out.");
    WITHOUT_IDENTITY = counter("responses_without_identity_total", Unit::Count, &[MODEL];
        "Responses without an id that the API gave them: a gateway chose it, or there is none.");
    UNREADABLE_USAGE = counter("unreadable_usage_total", Unit::Count, &[USAGE_REASON];
        "Responses of which no row tells in numbers what they used.");
    API_REQUESTS = counter("api_requests_total", Unit::Count, &[MODEL];
        "Distinct API responses.");
    API_ERRORS = counter("api_errors_total", Unit::Count, &[API_REASON];
        "Failed API attempts, retried ones included.");
    API_REQUEST_DURATION = histogram("api_request_duration_seconds", Unit::Seconds, &[MODEL], REQUEST_MS;
        "Time from the request to the last row of its response, retries included; observed when the next row comes.");
    TOOL_CALLS = counter("tool_calls_total", Unit::Count, &[TOOL];
        "Distinct tool calls.");
    TOOL_FAILURES = counter("tool_failures_total", Unit::Count, &[TOOL, FAILURE_REASON];
        "Tool calls that failed, were refused, or were interrupted.");
    TOOL_DURATION = histogram("tool_duration_seconds", Unit::Seconds, &[TOOL], TOOL_MS;
        "Time from a tool call to its result, the wait for permission included.");
    TURNS = counter("turns_total", Unit::Count, &[ORIGIN];
        "Prompts that reached the model, by who asked.");
    TURN_DURATION = histogram("turn_duration_seconds", Unit::Seconds, &[], TURN_MS;
        "Time from a prompt to the last thing that it caused; observed when the turn has ended.");
    TURN_COST = histogram("turn_cost_usd", Unit::Usd, &[], TURN_PICOUSD;
        "List price of a turn and of the sub-agents that it waited for; observed when the turn has ended, if it has a price.");
    SESSIONS_STARTED = counter("sessions_started_total", Unit::Count, &[ENTRYPOINT];
        "Sessions whose first row is counted.");
    SESSIONS_ACTIVE = live_gauge("sessions_active", Unit::Count, &[ENTRYPOINT];
        "Sessions with a row in the last 5 minutes.");
    SESSIONS_WAITING = live_gauge("sessions_waiting", Unit::Count, &[ENTRYPOINT];
        "Sessions with a tool open longer than the 95th percentile of its duration and 10 s (60 s below 20 \
         observations): likely a permission prompt.");
    SUBAGENTS_STARTED = counter("subagents_started_total", Unit::Count, &[AGENT_TYPE];
        "Distinct sub-agents, by the type that was known at their first row.");
    SUBAGENT_COST = counter("subagent_cost_usd_total", Unit::Usd, &[AGENT_TYPE];
        "List price of the API responses of sub-agents.");
    COMPACTIONS = counter("compactions_total", Unit::Count, &[TRIGGER];
        "Compactions of a conversation.");
    LINES_CHANGED = counter("lines_changed_total", Unit::Count, &[CHANGE];
        "Lines that tools added to files or removed from files.");
    LIFETIME_COST = gauge("lifetime_cost_usd", Unit::Usd, &[MODEL];
        "List price of everything that the session files have ever shown, before the first start too.");
    LIFETIME_TOKENS = gauge("lifetime_tokens", Unit::Tokens, &[MODEL, TOKEN_KIND];
        "Tokens of everything that the session files have ever shown, before the first start too.");
    CLIENT_REPORTED_COST = gauge("client_reported_cost_usd", Unit::Usd, &[];
        "The client's own figures, the last of each session, a forked history counted once.");
    UNATTRIBUTED_COST = gauge("unattributed_cost_usd", Unit::Usd, &[];
        "What the client's own figures say beyond what its session files show.");
    BUILD_INFO = live_gauge("build_info", Unit::Boolean, &[VERSION, REVISION];
        "Always 1; the labels say what runs.");
    START_TIME = live_gauge("start_time_seconds", Unit::Timestamp, &[];
        "When this process started.");
    INITIAL_SCAN_COMPLETE = live_gauge("initial_scan_complete", Unit::Boolean, &[];
        "1 once every file has been read to its end since this process started.");
    FILES_WATCHED = live_gauge("files_watched", Unit::Count, &[];
        "Session files that are followed.");
    WATCH_DEGRADED = live_gauge("watch_degraded", Unit::Boolean, &[];
        "1 if the system does not report changes of files, so that they are found by looking at all files only.");
    PATHS_UNREADABLE = live_gauge("paths_unreadable", Unit::Count, &[];
        "Folders and files that cannot be looked at or read, for want of permission or for their long paths; the log names each.");
    READ_LAG = live_gauge("read_lag_bytes", Unit::Bytes, &[];
        "Bytes of session files that are not read yet.");
    LAST_EVENT = live_gauge("last_event_timestamp_seconds", Unit::Timestamp, &[];
        "Time of the latest row; absent before the first. A row that is stamped in the future counts from when it was read.");
    LINES = counter("lines_total", Unit::Count, &[];
        "Lines read.");
    REJECTED_LINES = counter("rejected_lines_total", Unit::Count, &[REJECTED];
        "Lines that could not be read.");
    IMPLAUSIBLE_FIGURES = counter("implausible_figures_total", Unit::Count, &[];
        "Costs reported by the client that no client can mean, which are left out.");
    UNKNOWN_RECORDS = counter("unknown_records_total", Unit::Count, &[RECORD_KIND];
        "Lines of a type that this version does not know.");
    STORE_BYTES = live_gauge("store_bytes", Unit::Bytes, &[];
        "Size of the state on disk.");
    STATE_WRITABLE = live_gauge("state_writable", Unit::Boolean, &[];
        "0 while the state cannot be written (its disk is full, read-only or failing) and reading pauses.");
    STATE_DRIFT = live_counter("state_drift_total", Unit::Count, &[];
        "Differences that the self-check has found between the state and the session files; the log names each.");
    LOG_LINES_LOST = live_counter("log_lines_lost_total", Unit::Count, &[];
        "Lines of the log that could not be written: its disk is full, or nobody reads the pipe that stderr is.");
    OUTBOX_SPANS = live_gauge("outbox_spans", Unit::Count, &[];
        "Spans that wait for the backend.");
    OUTBOX_OLDEST = live_gauge("outbox_oldest_timestamp_seconds", Unit::Timestamp, &[];
        "When the span that has waited longest was put into the outbox; absent while the outbox is empty.");
    HISTORY_WAITING = live_gauge("history_waiting_traces", Unit::Count, &[ENDPOINT];
        "Traces of the past that are still to be put into the outbox for an endpoint.");
    SPANS_EXPORTED = live_counter("spans_exported_total", Unit::Count, &[];
        "Spans that the backend took.");
    EXPORT_FAILURES = live_counter("export_failures_total", Unit::Count, &[EXPORT_REASON];
        "Export requests that failed; their spans are sent again unless they were refused.");
    EXPORT_REJECTED = live_counter("export_rejected_spans_total", Unit::Count, &[];
        "Spans that the backend refused while it took the rest of their request.");
    SPANS_DROPPED = live_counter("spans_dropped_total", Unit::Count, &[DROP_REASON];
        "Spans that will never arrive.");
    SERIES_DROPPED = counter("series_dropped_total", Unit::Count, &[DROPPABLE];
        "Updates that were added to the value `other` because the metric has metrics.series_max series.");
    HTTP_REQUESTS = live_counter("http_requests_total", Unit::Count, &[ROUTE, CODE];
        "Answered HTTP requests.");
}

/// The metric of a name without prefix.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name)
}

/// The catalogue as a Markdown table, then the values of closed labels that do not fit it.
#[must_use]
pub fn markdown() -> String {
    markdown_of(ALL)
}

/// The same of some metrics.
#[must_use]
pub fn markdown_of(metrics: &[&Metric]) -> String {
    let mut text = String::from("| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for metric in metrics {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let labels = labels.join(", ");
        let kept = if metric.kept == Kept::Process && metric.kind == Kind::Counter { " Restarts at 0." } else { "" };
        row(
            &mut text,
            format_args!(
                "| `{}` | {} | {} | {labels} | {}{kept} |",
                metric.full_name(),
                metric.kind.name(),
                metric.unit.name(),
                metric.help,
            ),
        );
    }
    row(&mut text, format_args!("\n| label | of | values |\n|---|---|---|"));
    for metric in metrics {
        for label in metric.labels {
            let first = metrics.iter().find(|other| other.labels.contains(label));
            if first.is_some_and(|first| first.name == metric.name) {
                row(&mut text, format_args!("| `{}` | {} | {} |", label.name, owners(metrics, label), values(label)));
            }
        }
    }
    let histograms: Vec<_> = metrics.iter().filter(|metric| metric.kind == Kind::Histogram).collect();
    if !histograms.is_empty() {
        row(&mut text, format_args!("\n| histogram | buckets |\n|---|---|"));
    }
    for metric in histograms {
        let bounds: Vec<_> = metric.buckets.iter().map(|bound| metric.unit.rendered(*bound).to_string()).collect();
        row(&mut text, format_args!("| `{}` | {} |", metric.full_name(), bounds.join(", ")));
    }
    text
}

/// The metrics with a label, by name.
fn owners(metrics: &[&Metric], label: &Label) -> String {
    let owners = metrics.iter().filter(|metric| metric.labels.contains(label));
    owners.map(|metric| format!("`{}`", metric.name)).collect::<Vec<_>>().join(", ")
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Closed(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        Values::Open { about, .. } => about.to_owned(),
    }
}

fn row(text: &mut String, row: std::fmt::Arguments<'_>) {
    match writeln!(text, "{row}") {
        Ok(()) => {}
        Err(_) => unreachable!("writing to a string does not fail"),
    }
}
