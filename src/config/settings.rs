//! The settings, as types that hold valid values only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, SetAt};
use crate::ledger::prices::{self, Override};
use crate::transcript::time::Timestamp;
pub use crate::views::analytics::budgets::Budget;
pub use crate::views::analytics::patterns::settings::PatternSettings;
pub use crate::views::analytics::runaway::settings::RunawaySettings;
pub use crate::views::metrics::labels::ProjectLabel;
use crate::views::metrics::rules::CustomRules;
pub use crate::views::traces::content::ContentLevel;
pub use crate::views::traces::ids::TraceScope;

/// All settings, checked; each room gets only its own part.
#[derive(Debug, Clone)]
pub struct Config {
    /// Session roots (`projects`); if empty, the caller looks in the places that Claude Code uses.
    pub projects: Vec<PathBuf>,
    /// Where HTTP is served (`listen`), always a loopback address; `127.0.0.1:9719` by default. Port 0 takes a free
    /// one.
    pub listen: SocketAddr,
    /// Log filter (`log`) in the syntax of `tracing_subscriber`; `info` by default. Checked by `sidecar::log::init`.
    pub log: String,
    /// Form of the log lines (`log_format`); text by default.
    pub log_format: LogFormat,
    /// Settings of the HTTP server (`web.*`).
    pub web: Web,
    /// Where spans are sent, the endpoint of `otlp.endpoint` first; empty if export is off.
    pub otlp: Vec<OtlpSettings>,
    /// Where metrics are pushed to (`otlp.metrics`); `None` if they are only scraped.
    pub push: Option<Push>,
    /// Resource attributes from `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; empty by default.
    pub resource: BTreeMap<String, String>,
    /// Settings of traces: how turns become traces (`traces.*`).
    pub traces: TraceSettings,
    /// Settings of metrics: which series they have (`metrics.*`).
    pub metrics: Metrics,
    /// Settings of the outbox, where spans wait to be sent (`outbox.*`).
    pub outbox: OutboxSettings,
    /// How session files are looked for, and what `tailspan scan` prints.
    pub scan: Scan,
    /// Whether there is an index of search (`search.*`).
    pub search: SearchSettings,
    /// The stream of events (`events.*`).
    pub events: EventSettings,
    /// Copies of session files (`archive.*`).
    pub archive: ArchiveSettings,
    /// When things end (`retention.*`).
    pub retention: Retention,
    /// Streams: how much waits for a sidecar, and how long it is kept (`stream.*`).
    pub stream: StreamSettings,
    /// What `tailspan statusline` prints (`statusline.*`).
    pub statusline: Statusline,
    /// Time between two self-checks (`selfcheck.every`); 24 h by default, 1 s to 30 d. `None` turns them off.
    pub selfcheck: Option<Duration>,
    /// What may be spent (`budgets`); none by default, at most 16.
    pub budgets: Vec<Budget>,
    /// Which rules of patterns are on, and from where on they speak up (`patterns`).
    pub patterns: PatternSettings,
    /// From where on a session runs away (`runaway.*`).
    pub runaway: RunawaySettings,
    /// Prices that replace or extend the built-in ones.
    pub prices: PriceSettings,
    /// Sentences about settings that have no effect, for the log at the start.
    pub notices: Vec<String>,
    /// Where the settings that the log names at the start were given.
    pub places: SetPlaces,
    /// Whether `OTEL_SDK_DISABLED` is true: nothing is exported then, whatever else is set.
    pub is_export_disabled: bool,
    pub(super) state: Option<PathBuf>,
    pub(super) archive_directory: Option<PathBuf>,
}

impl Config {
    /// The directory of the state: `state`, else `$XDG_STATE_HOME/tailspan`, else `~/.local/state/tailspan`. Fails if
    /// nothing is set and there is no home directory. That is not an error of the whole configuration, because `scan`
    /// needs no state.
    pub fn state(&self) -> Result<&Path, ConfigError> {
        self.state.as_deref().ok_or(ConfigError::NoState)
    }

    /// The directory of the archive: `archive.directory`, else `archive` in that of the state. Fails as [`Self::state`]
    /// does.
    pub fn archive_directory(&self) -> Result<PathBuf, ConfigError> {
        self.archive_directory.clone().map_or_else(|| self.state().map(|state| state.join("archive")), Ok)
    }
}

/// Where the settings that the log names at the start were given; `None` if one was not given and its default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetPlaces {
    /// Where `projects` was given.
    pub projects: Option<SetAt>,
    /// Where `state` was given, or `XDG_STATE_HOME` if its default comes from that variable.
    pub state: Option<SetAt>,
    /// Where `listen` was given.
    pub listen: Option<SetAt>,
    /// Where `traces.history_since` was given.
    pub history_since: Option<SetAt>,
}

/// Streams of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// Most bytes of all spools of a folder together (`stream.spool_bytes`); 1 GiB by default, 64 KiB to 1 TiB.
    pub spool_bytes: u64,
    /// How long a stream file stays after it was written last (`stream.keep`); 7 days by default, 1 h to 3650 d.
    pub keep: Duration,
    /// Most bytes of all stream files together (`stream.keep_bytes`); 4 GiB by default, 64 KiB to 1 TiB.
    pub keep_bytes: u64,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings of the HTTP server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// The address under which people reach the pages (`web.url`), without a slash at the end; `http://` and `listen` by
    /// default. `None` if that is a free port, which is another one after each start.
    pub url: Option<String>,
    /// Names, in lower case and without port, that a `Host` header may carry besides the listener and loopback
    /// (`web.hosts`); none by default.
    pub hosts: BTreeSet<String>,
    /// Names or numbers of users who get answers that quote conversations (`web.content_users`), besides the user that
    /// the sidecar runs as and root; `*` is everybody who can connect. None by default.
    pub content_users: BTreeSet<String>,
}

/// Where metrics are pushed to, and how often.
#[derive(Debug, Clone)]
pub struct Push {
    /// The endpoint, with the path of metrics: that of `otlp.metrics_endpoint`, else the collector of `otlp.endpoint`.
    pub otlp: OtlpSettings,
    /// Time between two pushes (`otlp.metrics_interval`); 60 s by default, 1 s to 1 h.
    pub interval: Duration,
}

/// An endpoint that spans or metrics are sent to. Keys of `otlp.endpoints.NAME` have the same meaning as those of
/// `otlp`.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// Name of the endpoint in the state and in the log: `default` for that of `otlp.endpoint`, else the name in
    /// `otlp.endpoints`; `metrics` for that of pushed metrics.
    pub name: String,
    /// Where its URL was given.
    pub place: SetAt,
    /// Complete URL, `http` or `https`: the path of the signal, such as `/v1/traces`, is already appended to a base
    /// URL.
    pub endpoint: http::Uri,
    /// Headers of every request (`otlp.headers`); the values are marked as sensitive and do not show in `Debug`.
    pub headers: http::HeaderMap,
    /// How long one request may take (`otlp.timeout`); 10 s by default, 1 ms to 10 min.
    pub timeout: Duration,
    /// How request bodies are compressed (`otlp.compression`); gzip by default.
    pub compression: Compression,
    /// Certificates for an `https` endpoint.
    pub tls: Tls,
}

/// PEM files of an `https` endpoint; they are read when the exporter starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that are trusted besides those of the system (`otlp.ca`); none by default.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to a server that asks for one; none by default.
    pub client: Option<ClientTls>,
}

/// PEM files of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate and those that lead to its authority (`otlp.certificate`).
    pub certificate: PathBuf,
    /// The private key of the certificate, not encrypted (`otlp.key`).
    pub key: PathBuf,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// With gzip (RFC 1952).
    #[default]
    Gzip,
    /// Not at all.
    None,
}

/// Settings of traces: how turns become traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// A turn without a new row for this long has ended (`traces.idle`); 30 min by default, 1 ms to 30 d.
    pub idle: Duration,
    /// How long an ended turn waits for late rows (`traces.settle`); 1 s by default, 0 to 1 h.
    pub settle: Duration,
    /// How long a turn may stay open before its finished children leave early (`traces.hold`); 60 s by default, 1 s to
    /// 1 d.
    pub hold: Duration,
    /// Spans of past turns that are sent per second (`traces.history_rate`); 500 by default, 1 to 1,000,000.
    pub history_rate: u64,
    /// Which turns of the past are exported (`traces.history_since`); none by default.
    pub history_since: HistorySince,
    /// What a trace holds (`traces.scope`); a turn by default.
    pub scope: TraceScope,
    /// How much of the conversation spans hold (`traces.content`); nothing by default.
    pub content: ContentLevel,
    /// Naming schemes whose attributes spans carry beside those of the GenAI conventions (`traces.profile`); none by
    /// default.
    pub profile: BTreeSet<Profile>,
}

/// A naming scheme beside the GenAI conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// OpenInference, the scheme of Phoenix and Arize, which Langfuse reads too.
    OpenInference,
}

/// Which turns of the past are sent to endpoints that do not have them yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HistorySince {
    /// None: only turns that end while there is an endpoint, from the sidecar's first start on.
    #[default]
    Epoch,
    /// Every turn that the files hold.
    All,
    /// Turns that end at this moment or later.
    Time(Timestamp),
}

/// Settings of metrics: which series they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Label sets per metric; further ones are counted as `other` (`metrics.series_max`). 500 by default, 1 to 100,000.
    pub series_max: usize,
    /// What the `project` label holds (`metrics.project_label`); see [`ProjectLabel`] for the default.
    pub project_label: ProjectLabel,
    /// Projects with a label value of their own (`metrics.projects_max`); 50 by default, 0 to 100,000.
    pub projects_max: usize,
    /// MCP servers that are named in the `tool` label (`metrics.mcp_servers`); none by default.
    pub mcp_servers: BTreeSet<String>,
    /// Workflows with a label value of their own (`metrics.workflows`); the first 50 by default.
    pub workflows: Option<BTreeSet<String>>,
    /// Whether `/metrics/claude-code` is served (`metrics.claude_code`); no by default.
    pub claude_code: bool,
    /// Rules of custom metrics, checked (`metrics.custom`); none by default.
    pub custom: CustomRules,
}

/// Settings of the outbox, where spans wait to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Bytes of waiting spans at which reading pauses (`outbox.bytes_max`); 256 MiB by default, 1 MiB to 1 TiB.
    pub bytes_max: u64,
}

/// How session files are looked for, and what `tailspan scan` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Time between two scans of all files (`scan.rescan`); 3 s by default, 10 ms to 1 h. File events cause earlier
    /// looks; while scans find nothing that events had not told, the time grows up to 20 times as much.
    pub rescan: Duration,
    /// What `tailspan scan` prints (`scan.format`); a table by default.
    pub format: ScanFormat,
    /// Whether `tailspan scan` lists the sessions (`scan.sessions`); no by default.
    pub sessions: bool,
}

/// Settings of search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchSettings {
    /// Whether an index is kept, without which all session files are read (`search.index`); yes by default.
    pub index: bool,
}

/// The stream of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSettings {
    /// How long events are kept for clients that come back (`events.keep`); 1 h by default, 1 s to 30 d.
    pub keep: Duration,
    /// Most bytes of the events that are kept (`events.keep_bytes`); 4 MiB by default, 64 KiB to 1 GiB.
    pub keep_bytes: u64,
    /// Time between two heartbeats (`events.heartbeat`); 15 s by default, 10 ms to 1 h.
    pub heartbeat: Duration,
}

/// Copies of session files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// Whether session files are copied (`archive.enabled`); no by default. Copies that there are, are read anyway.
    pub enabled: bool,
    /// How long a file was not written before it is copied (`archive.after`); 1 d by default, 0 to 365 d.
    pub after: Duration,
}

/// When things end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Age at which what is known of a session ends, but for sums by day (`retention.facts`); `None`, never, by default.
    pub facts: Option<Duration>,
    /// Age at which copies in the archive end (`retention.archive`); `None`, never, by default.
    pub archive: Option<Duration>,
}

/// What `tailspan statusline` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statusline {
    /// The line, with names of figures in braces (`statusline.format`); 1 to 500 characters on one line.
    pub format: String,
}

/// What `tailspan scan` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanFormat {
    /// Tables for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// The Prometheus text format.
    Prometheus,
    /// The spans of all turns.
    Trace,
}

/// Prices that replace or extend the built-in ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceSettings {
    /// The overrides in the order of the file (`prices.overrides`); none by default.
    pub overrides: Vec<Override>,
}

impl PriceSettings {
    /// The built-in prices with these overrides on top. Fails if overrides contradict each other, or if one names
    /// something that is no model.
    pub fn table(&self) -> Result<prices::Prices, ConfigError> {
        prices::Prices::with_overrides(&self.overrides).map_err(|message| ConfigError::Prices { message })
    }
}
