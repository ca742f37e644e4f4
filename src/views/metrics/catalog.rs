//! Every metric, defined once: its name, kind, unit, help, labels and buckets.
//!
//! `/metrics` takes HELP and TYPE from here, the totals take their series from here, and `docs/metrics.md` is
//! [`markdown`](super::document::markdown). A metric that is neither in [`ALL`] nor among those of
//! [`claude_code`](super::claude_code) does not exist.
//!
//! ```text
//! name    tailspan_ + name; base units; `_total` on counters and on nothing else
//! labels  closed: every value is known, and all series exist at 0 from the start
//!         open: values come from session files, checked by `labels` and bounded by `metrics.series_max`
//! kept    in the state: absolute numbers that survive restarts; in the process: numbers about the running process
//! ```

#![warn(missing_docs)]

pub use super::metric::{KeptIn, Label, Metric, MetricKind, MetricUnit, PREFIX, Values};
use super::metric::{closed, counter, counter_of, gauge_of, histogram, histogram_of, live_counter, live_gauge, open};
use crate::ledger::run::RunOutcome;
use crate::measures::{Dimension, Measure};
use crate::transcript::record::{API_ERROR_REASONS, Origin, Reason, UnreadableUsage};
use crate::views::metrics::labels::{AGENT_TYPES, CORE_TOOLS, ENTRYPOINTS, OTHER};

const MODEL: Label = open("model", &[], "canonical model id").of(Dimension::Model);
const TOKEN_KIND: Label =
    closed("kind", &["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"]).of(Dimension::TokenKind);
const AGENT: Label = closed("agent", &["main", "subagent"]).of(Dimension::Agent);
const PROJECT: Label = open(
    "project",
    &[],
    "last component of the working directory (of a worktree that the client made: of its repository's) without \
     secrets and invisible letters, or its hash",
)
.of(Dimension::Project);
const TOOL: Label =
    open("tool", CORE_TOOLS, "built-in tools by name, `mcp__server` if listed, `mcp`, `other`").of(Dimension::Tool);
/// Few tools are ever asked for, and a histogram is twenty lines of every scrape, so one alone exists from the start.
const ASKED_TOOL: Label =
    open("tool", &[OTHER], "built-in tools by name, `mcp__server` if listed, `mcp`, `other`").of(Dimension::Tool);
const FAILURE_REASON: Label = closed("reason", &["error", "denied", "interrupted"]).of(Dimension::Reason);
const API_REASON: Label = closed("reason", &API_ERROR_REASONS).of(Dimension::Reason);
const ORIGIN: Label = closed(
    "origin",
    &[Origin::Human.name(), Origin::Sdk.name(), Origin::TaskNotification.name(), Origin::Teammate.name()],
)
.of(Dimension::Origin);
const ENTRYPOINT: Label = closed("entrypoint", ENTRYPOINTS).of(Dimension::Entrypoint);
const AGENT_TYPE: Label = closed("agent_type", AGENT_TYPES).of(Dimension::AgentType);
const TRIGGER: Label = closed("trigger", &["auto", "manual"]).of(Dimension::Trigger);
pub(super) const WORKFLOW: Label = open(
    "workflow",
    &[],
    "name of the workflow without secrets and invisible letters, if it is listed or one of the first 50; `none` without a \
     name, else `other`",
)
.of(Dimension::Workflow);
const RUN_OUTCOME: Label = closed(
    "outcome",
    &[
        RunOutcome::Success.name(),
        RunOutcome::MaxTurns.name(),
        RunOutcome::DuringExecution.name(),
        RunOutcome::ApiError.name(),
        RunOutcome::Interrupted.name(),
        RunOutcome::Killed.name(),
    ],
)
.of(Dimension::RunOutcome);
const CHANGE: Label = closed("change", &["added", "removed"]).of(Dimension::LineChange);
const REJECTED: Label = closed("reason", &[Reason::NotJson.name(), Reason::NotAnObject.name(), Reason::TooLong.name()]);
const USAGE_REASON: Label =
    closed("reason", &[UnreadableUsage::Missing.name(), UnreadableUsage::NotANumber.name()]).of(Dimension::Reason);
const SIDE: Label = closed("side", &["stream", "file"]);
const RECORD_KIND: Label = open("kind", &[OTHER], "type of the line");
const EXPORT_REASON: Label =
    closed("reason", &["connect", "timeout", "status_4xx", "status_5xx", "unauthorized", "throttled", "not_otlp"]);
const DROP_REASON: Label = closed("reason", &["rejected"]);
const ENDPOINT: Label = open("endpoint", &[], "name of an OTLP endpoint in the configuration");
const ROUTE: Label = open("route", &[], "pattern of the path, or `other`");
const CODE: Label = open("code", &[], "HTTP status");
const WAITS_FOR: Label = closed("for", &["permission", "question", "idle", "unknown"]);
const WITHIN: Label = closed("within", &["1d", "7d"]);
const WHAT: Label = closed("what", &["copies", "sessions"]);
const ARRIVED: Label = closed("outcome", &["new", "known", "rejected"]);
const BUDGET: Label = open("budget", &[], "name of a budget in the configuration");
const WINDOW: Label =
    open("window", &[], "`five_hour`, `seven_day`, or another window that the client tells; at most 8");
const RUNAWAY_REASON: Label = closed("reason", &["cost", "calls", "failures"]);
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
        "tailspan_time_to_first_chunk_seconds",
        "tailspan_tool_calls_total",
        "tailspan_tool_failures_total",
        "tailspan_tool_duration_seconds",
        "tailspan_permission_wait_seconds",
        "tailspan_lifetime_cost_usd",
        "tailspan_lifetime_tokens",
        "tailspan_workflow_runs_total",
        "tailspan_workflow_cost_usd_total",
        "tailspan_workflow_run_duration_seconds",
        "tailspan_workflow_last_run_timestamp_seconds",
        "tailspan_unknown_records_total",
    ],
);

/// Buckets of model calls in milliseconds: those that OpenTelemetry advises, and two more, because long answers take
/// minutes.
const REQUEST_MS: &[i128] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840, 327_680];
/// Buckets of the delay between stream and session file in milliseconds. Results of calls come some 10 to 165 later, and the
/// blocks of a response when it has ended.
const DELAY_MS: &[i128] = &[5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 40_960, 163_840];
/// Buckets of the time to the first chunk in milliseconds: those that OpenTelemetry advises for it.
const CHUNK_MS: &[i128] = &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920];
/// Buckets of tool calls in milliseconds: those of [`REQUEST_MS`], and one more, because builds take longer.
const TOOL_MS: &[i128] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840, 327_680, 655_360];
/// Buckets of turns in milliseconds: those that OpenTelemetry advises for agents, and three more, because turns take up
/// to an hour.
const TURN_MS: &[i128] = &[
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600, 819_200, 1_638_400,
    3_276_800,
];
/// Buckets of waits for a permission in milliseconds, from what a program takes to answer to an hour.
const WAIT_MS: &[i128] = TURN_MS;
/// Buckets of the cost of turns in picodollars, from a tenth of a cent to 100 USD.
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

/// Buckets of runs in milliseconds: those that OpenTelemetry advises for workflows, and one more for work of a night.
const RUN_MS: &[i128] =
    &[1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000];

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
    TOKENS = counter_of("tokens_total", Measure::Tokens, &[MODEL, TOKEN_KIND, AGENT];
        "Billed tokens. The kinds do not overlap, so their sum is the number of all tokens.");
    COST = counter_of("cost_usd_total", Measure::Cost, &[MODEL, AGENT];
        "List price of API responses. What has no known price is in tailspan_unpriced_tokens_total instead.");
    PROJECT_COST = counter_of("project_cost_usd_total", Measure::Cost, &[PROJECT];
        "List price of API responses by project.");
    PROJECT_TOKENS = counter_of("project_tokens_total", Measure::Tokens, &[PROJECT];
        "Billed tokens of all kinds by project.");
    UNPRICED_TOKENS = counter_of("unpriced_tokens_total", Measure::UnpricedTokens, &[MODEL];
        "Tokens of models without a known price: what the cost leaves out.");
    WITHOUT_IDENTITY = counter_of("responses_without_identity_total", Measure::Unidentified, &[MODEL];
        "Responses without an id that the API gave them: a gateway chose it, or there is none.");
    UNREADABLE_USAGE = counter_of("unreadable_usage_total", Measure::UnreadableUsage, &[USAGE_REASON];
        "Responses of which no row tells in numbers what they used.");
    API_REQUESTS = counter_of("api_requests_total", Measure::Responses, &[MODEL];
        "Distinct API responses.");
    API_ERRORS = counter_of("api_errors_total", Measure::ApiErrors, &[API_REASON];
        "Failed API attempts, retried ones included.");
    API_REQUEST_DURATION = histogram_of("api_request_duration_seconds", Measure::ResponseDuration, &[MODEL], REQUEST_MS;
        "Time from the request to the last row of its response, retries included; observed when the next row comes.");
    TIME_TO_FIRST_CHUNK =
        histogram_of("time_to_first_chunk_seconds", Measure::TimeToFirstChunk, &[MODEL], CHUNK_MS;
        "Time from the request to the first piece of its response, retries not included; only of runs that are streamed with partial messages.");
    TOOL_CALLS = counter_of("tool_calls_total", Measure::ToolCalls, &[TOOL];
        "Distinct tool calls.");
    TOOL_FAILURES = counter_of("tool_failures_total", Measure::ToolFailures, &[TOOL, FAILURE_REASON];
        "Tool calls that failed, were refused, or were interrupted.");
    TOOL_DURATION = histogram_of("tool_duration_seconds", Measure::ToolDuration, &[TOOL], TOOL_MS;
        "Time from a tool call to its result, the wait for permission included.");
    PERMISSION_WAIT = histogram_of("permission_wait_seconds", Measure::PermissionWait, &[ASKED_TOOL], WAIT_MS;
        "Time for which a call waited until a person or a program answered whether it may run; only where a stream shows \
         exactly that: calls that were refused, questions to a person, edits of files.");
    TURNS = counter_of("turns_total", Measure::Turns, &[ORIGIN];
        "Prompts that reached the model, by who asked.");
    TURN_DURATION = histogram_of("turn_duration_seconds", Measure::TurnDuration, &[], TURN_MS;
        "Time from a prompt to the last thing that it caused; observed when the turn has ended.");
    TURN_COST = histogram_of("turn_cost_usd", Measure::TurnCost, &[], TURN_PICOUSD;
        "List price of a turn and of the sub-agents that it waited for; observed when the turn has ended, if it has a price.");
    SESSIONS_STARTED = counter_of("sessions_started_total", Measure::Sessions, &[ENTRYPOINT];
        "Sessions whose first row is counted.");
    SESSIONS_ACTIVE = live_gauge("sessions_active", MetricUnit::Count, &[ENTRYPOINT];
        "Sessions with a row in the last 5 minutes.");
    SESSIONS_WAITING = live_gauge("sessions_waiting", MetricUnit::Count, &[ENTRYPOINT, WAITS_FOR];
        "Sessions that wait for a person: `permission`, `question`, `idle` (the turn is over), or `unknown`: a tool open \
         longer than the 95th percentile of its duration and 10 s (60 s below 20 observations), likely a permission prompt.");
    SUBAGENTS_STARTED = counter_of("subagents_started_total", Measure::Subagents, &[AGENT_TYPE];
        "Distinct sub-agents, by the type that was known at their first row.");
    SUBAGENT_COST = counter_of("subagent_cost_usd_total", Measure::Cost, &[AGENT_TYPE];
        "List price of the API responses of sub-agents.");
    COMPACTIONS = counter_of("compactions_total", Measure::Compactions, &[TRIGGER];
        "Compactions of a conversation.");
    LINES_CHANGED = counter_of("lines_changed_total", Measure::LinesChanged, &[CHANGE];
        "Lines that tools added to files or removed from files.");
    LIFETIME_COST = gauge_of("lifetime_cost_usd", Measure::Cost, &[MODEL];
        "List price of everything that the session files have ever shown, before the first start too.");
    LIFETIME_TOKENS = gauge_of("lifetime_tokens", Measure::Tokens, &[MODEL, TOKEN_KIND];
        "Tokens of everything that the session files have ever shown, before the first start too.");
    CLIENT_REPORTED_COST = gauge_of("client_reported_cost_usd", Measure::ClientReported, &[];
        "The client's own figures, the last of each session, a forked history counted once.");
    UNATTRIBUTED_COST = gauge_of("unattributed_cost_usd", Measure::Unattributed, &[];
        "What the client's own figures say beyond what its session files show.");
    WORKFLOW_RUNS = counter_of("workflow_runs_total", Measure::WorkflowRuns, &[WORKFLOW, RUN_OUTCOME];
        "Runs whose streams were passed on and that have ended, by how they did.");
    WORKFLOW_COST = counter_of("workflow_cost_usd_total", Measure::WorkflowCost, &[WORKFLOW];
        "List price of runs that have ended, as it was known then.");
    WORKFLOW_DURATION = histogram_of("workflow_run_duration_seconds", Measure::WorkflowDuration, &[WORKFLOW], RUN_MS;
        "Time from the beginning of a run to the end of its stream; observed when it has ended.");
    WORKFLOW_LAST_RUN = gauge_of("workflow_last_run_timestamp_seconds", Measure::WorkflowLastRun, &[WORKFLOW];
        "When the last run ended, before the first start too.");
    BUDGET_LIMIT = live_gauge("budget_usd", MetricUnit::Usd, &[BUDGET];
        "What may be spent in the period of a budget of the configuration.");
    BUDGET_SPENT = live_gauge("budget_spent_usd", MetricUnit::Usd, &[BUDGET];
        "List price of what a budget counts in its present period so far; at most a minute old.");
    BUDGET_EXPECTED = live_gauge("budget_expected_usd", MetricUnit::Usd, &[BUDGET];
        "What a budget is expected to come to at the end of its period; absent below seven days with spend.");
    LIMIT_USED = live_gauge("limit_used_ratio", MetricUnit::Ratio, &[WINDOW];
        "What is used of a limit of the account, as the client told its status line last; absent from the reset on until it is \
         told anew.");
    LIMIT_RESET = live_gauge("limit_reset_timestamp_seconds", MetricUnit::Timestamp, &[WINDOW];
        "When the window of a limit begins anew; absent once it has.");
    LIMIT_FULL = live_gauge("limit_full_timestamp_seconds", MetricUnit::Timestamp, &[WINDOW];
        "When a limit will be used up by its forecast; absent if that is not before the reset, and if nobody knows.");
    LIMIT_SAMPLE = live_gauge("limit_sample_timestamp_seconds", MetricUnit::Timestamp, &[WINDOW];
        "When a status line told last what is used of a limit.");
    SESSIONS_RUNAWAY = live_gauge("sessions_runaway", MetricUnit::Count, &[RUNAWAY_REASON];
        "Sessions that run away: they spend, call or fail far faster than they did, or than the configuration allows.");
    BUILD_INFO = live_gauge("build_info", MetricUnit::Boolean, &[VERSION, REVISION];
        "Always 1; the labels say what runs.");
    START_TIME = live_gauge("start_time_seconds", MetricUnit::Timestamp, &[];
        "When this process started.");
    INITIAL_SCAN_COMPLETE = live_gauge("initial_scan_complete", MetricUnit::Boolean, &[];
        "1 once every file has been read to its end since this process started.");
    FILES_WATCHED = live_gauge("files_watched", MetricUnit::Count, &[];
        "Session files that are followed.");
    WATCH_DEGRADED = live_gauge("watch_degraded", MetricUnit::Boolean, &[];
        "1 if the system does not report changes of files, so that they are found by looking at all files only.");
    PATHS_UNREADABLE = live_gauge("paths_unreadable", MetricUnit::Count, &[];
        "Folders and files that cannot be looked at or read, for want of permission or for their long paths; the log names each.");
    READ_LAG = live_gauge("read_lag_bytes", MetricUnit::Bytes, &[];
        "Bytes of session files that are not read yet.");
    LAST_EVENT = live_gauge("last_event_timestamp_seconds", MetricUnit::Timestamp, &[];
        "Time of the latest row; absent before the first. A row that is stamped in the future counts from when it was read.");
    LINES = counter("lines_total", MetricUnit::Count, &[];
        "Lines read.");
    CORRELATION_DELAY = histogram("correlation_delay_seconds", MetricUnit::Seconds, &[], DELAY_MS;
        "How much later than on a stream a row stood in the session file.");
    CORRELATION_MISSING = counter("correlation_missing_total", MetricUnit::Count, &[SIDE];
        "Rows of responses and results of calls that one side lacks for ever, of sessions of which a stream told.");
    REJECTED_LINES = counter("rejected_lines_total", MetricUnit::Count, &[REJECTED];
        "Lines that could not be read.");
    IMPLAUSIBLE_FIGURES = counter("implausible_figures_total", MetricUnit::Count, &[];
        "Costs reported by the client that no client can mean, which are left out.");
    UNKNOWN_RECORDS = counter("unknown_records_total", MetricUnit::Count, &[RECORD_KIND];
        "Lines of a type that this version does not know.");
    STORE_BYTES = live_gauge("store_bytes", MetricUnit::Bytes, &[];
        "Size of the state on disk.");
    STATE_WRITABLE = live_gauge("state_writable", MetricUnit::Boolean, &[];
        "0 while the state cannot be written (its disk is full, read-only or failing) and reading pauses.");
    STATE_DRIFT = live_counter("state_drift_total", MetricUnit::Count, &[];
        "Differences that the self-check has found between the state and the session files; the log names each.");
    SESSIONS_EXPIRING = live_gauge("sessions_expiring", MetricUnit::Count, &[WITHIN];
        "Sessions whose file the client deletes within this time, as its settings say, and that the archive has no copy of.");
    ARCHIVE_COPIES = live_gauge("archive_copies", MetricUnit::Count, &[];
        "Copies of session files in the archive, also of what files were before they were rewritten.");
    ARCHIVE_BYTES = live_gauge("archive_bytes", MetricUnit::Bytes, &[];
        "Size of the copies on disk.");
    ARCHIVE_FILE_BYTES = live_gauge("archive_file_bytes", MetricUnit::Bytes, &[];
        "Size of the session files that the copies hold.");
    ARCHIVE_COPIED = live_counter("archive_copied_total", MetricUnit::Count, &[];
        "Session files that were copied, read back and found to be equal.");
    ARCHIVE_FAILURES = live_counter("archive_failures_total", MetricUnit::Count, &[];
        "Tries to copy a session file that failed; the log says why, and it is tried again.");
    ARCHIVE_WRITABLE = live_gauge("archive_writable", MetricUnit::Boolean, &[];
        "0 while copies cannot be written (the disk is full, read-only or failing) and copying pauses.");
    RETENTION_ENDED = live_counter("retention_ended_total", MetricUnit::Count, &[WHAT];
        "Copies in the archive, and sessions of the state, that ended for their age, as the section retention of the configuration says.");
    LOG_LINES_LOST = live_counter("log_lines_lost_total", MetricUnit::Count, &[];
        "Lines of the log that could not be written: its disk is full, or nobody reads the pipe that stderr is.");
    EVENT_CLIENTS = live_gauge("event_clients", MetricUnit::Count, &[];
        "Clients that follow the stream of events.");
    EVENT_BYTES = live_counter("event_sent_bytes_total", MetricUnit::Bytes, &[];
        "Bytes of events that were handed to clients.");
    EVENT_CLIENTS_DROPPED = live_counter("event_clients_dropped_total", MetricUnit::Count, &[];
        "Clients of the stream of events that were cut off because they read too slowly.");
    SEARCH_INDEX_COMPLETE = live_gauge("search_index_complete", MetricUnit::Boolean, &[];
        "1 once the index of search knew every session file since this process started; until then, search reads more.");
    SEARCH_INDEX_FILES = live_gauge("search_index_files", MetricUnit::Count, &[];
        "Session files that the index of search knows.");
    SEARCH_INDEX_KNOWN = live_gauge("search_index_known_bytes", MetricUnit::Bytes, &[];
        "Bytes of session files that the index of search knows.");
    SEARCH_INDEX_BYTES = live_gauge("search_index_bytes", MetricUnit::Bytes, &[];
        "Size of the index of search on disk.");
    SEARCH_INDEX_SECONDS = live_counter("search_index_seconds_total", MetricUnit::Seconds, &[];
        "Time that was spent on the index of search, by a thread that gives way to all others.");
    STREAM_LINES = live_counter("stream_lines_total", MetricUnit::Count, &[ARRIVED];
        "Lines of streams that arrived: new, known already, or rejected because they are no objects of JSON.");
    STREAM_BYTES = live_counter("stream_bytes_total", MetricUnit::Bytes, &[];
        "Bytes of lines of streams that arrived and were new.");
    STREAM_LOST_LINES = counter("stream_lost_lines_total", MetricUnit::Count, &[];
        "Lines of streams that `tailspan stream` dropped because its spool or its disk was full, as it told later.");
    STREAM_FILES = live_gauge("stream_files", MetricUnit::Count, &[];
        "Stream files below the state, at the last look.");
    STREAM_FILE_BYTES = live_gauge("stream_file_bytes", MetricUnit::Bytes, &[];
        "Size of the stream files below the state, at the last look.");
    STREAM_FILES_ENDED = live_counter("stream_files_ended_total", MetricUnit::Count, &[];
        "Stream files that were deleted for their age or size, as the section stream of the configuration says.");
    OUTBOX_SPANS = live_gauge("outbox_spans", MetricUnit::Count, &[];
        "Spans that wait for the backend.");
    OUTBOX_OLDEST = live_gauge("outbox_oldest_timestamp_seconds", MetricUnit::Timestamp, &[];
        "When the span that has waited longest was put into the outbox; absent while the outbox is empty.");
    HISTORY_WAITING = live_gauge("history_waiting_traces", MetricUnit::Count, &[ENDPOINT];
        "Traces of the past that are still to be put into the outbox for an endpoint.");
    SPANS_EXPORTED = live_counter("spans_exported_total", MetricUnit::Count, &[];
        "Spans that the backend took.");
    EXPORT_FAILURES = live_counter("export_failures_total", MetricUnit::Count, &[EXPORT_REASON];
        "Export requests that failed; their spans are sent again unless they were refused.");
    EXPORT_REJECTED = live_counter("export_rejected_spans_total", MetricUnit::Count, &[];
        "Spans that the backend refused while it took the rest of their request.");
    SPANS_DROPPED = live_counter("spans_dropped_total", MetricUnit::Count, &[DROP_REASON];
        "Spans that will never arrive.");
    SERIES_DROPPED = counter("series_dropped_total", MetricUnit::Count, &[DROPPABLE];
        "Updates that were added to the value `other` because the metric has metrics.series_max series.");
    HTTP_REQUESTS = live_counter("http_requests_total", MetricUnit::Count, &[ROUTE, CODE];
        "Answered HTTP requests.");
}

/// The metric with this name, given without its prefix; `None` if there is none.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name)
}
