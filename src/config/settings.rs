//! What can be set, as types that hold valid values only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, SetAt};
use crate::ledger::prices::{self, Override};
use crate::transcript::time::Timestamp;
pub use crate::views::metrics::labels::ProjectLabel;
pub use crate::views::traces::content::ContentLevel;
pub use crate::views::traces::ids::TraceScope;

/// Everything that can be set, valid; each edge gets only its own part.
#[derive(Debug, Clone)]
pub struct Config {
    /// Session roots (`projects`); empty: the caller looks in the places that Claude Code uses.
    pub projects: Vec<PathBuf>,
    /// Where HTTP is served (`listen`), always a loopback address; `127.0.0.1:9719` by default. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Log filter (`log`) in the syntax of `tracing_subscriber`; `info` by default. Checked by `sidecar::log::init`.
    pub log: String,
    /// Form of the log lines (`log_format`); text by default.
    pub log_format: LogFormat,
    /// The HTTP server.
    pub web: Web,
    /// Where spans go, the endpoint of `otlp.endpoint` first; empty: export is off.
    pub otlp: Vec<OtlpSettings>,
    /// Where metrics are pushed to (`otlp.metrics`); `None`: they are only scraped.
    pub push: Option<Push>,
    /// Resource attributes from `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; empty by default.
    pub resource: BTreeMap<String, String>,
    /// How turns become traces.
    pub traces: TraceSettings,
    /// Which series the metrics have.
    pub metrics: Metrics,
    /// Spans that wait for the backend.
    pub outbox: OutboxSettings,
    /// How session files are looked for, and what `tailspan scan` prints.
    pub scan: Scan,
    /// Time between two self-checks (`selfcheck.every`); 24 h by default, 1 s to 30 d. `None`: there are none.
    pub selfcheck: Option<Duration>,
    /// Prices that replace or extend the built-in ones.
    pub prices: PriceSettings,
    /// What the user should know about settings that had no effect; for the log, once at the start.
    pub notices: Vec<String>,
    /// Where settings were given that the start tells of.
    pub places: SetPlaces,
    /// `OTEL_SDK_DISABLED` is true: nothing is exported, whatever is set.
    pub is_export_disabled: bool,
    pub(super) state: Option<PathBuf>,
}

impl Config {
    /// The directory of the state: `state`, else `$XDG_STATE_HOME/tailspan`, else `~/.local/state/tailspan`.
    ///
    /// # Errors
    /// Nothing is set and there is no home directory. An error only here: `scan` needs no state.
    pub fn state(&self) -> Result<&Path, ConfigError> {
        self.state.as_deref().ok_or(ConfigError::NoState)
    }
}

/// Where settings were given that the start tells of; `None`: nowhere, the default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetPlaces {
    /// `projects`.
    pub projects: Option<SetAt>,
    /// `state`, or the variable that its default comes from.
    pub state: Option<SetAt>,
    /// `listen`.
    pub listen: Option<SetAt>,
    /// `traces.history_since`.
    pub history_since: Option<SetAt>,
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

/// The HTTP server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// Names, in lower case and without port, that a `Host` header may carry besides the listener and loopback
    /// (`web.hosts`); none by default.
    pub hosts: BTreeSet<String>,
    /// Names or numbers of users who get answers that quote conversations (`web.content_users`), beside the sidecar's
    /// own and root; `*` is everybody who can connect. None by default.
    pub content_users: BTreeSet<String>,
}

/// Where metrics are pushed to, and how often.
#[derive(Debug, Clone)]
pub struct Push {
    /// The endpoint (`otlp.metrics_endpoint`, else beside that of `otlp.endpoint`), with the path of metrics.
    pub otlp: OtlpSettings,
    /// Time between two pushes (`otlp.metrics_interval`); 60 s by default, 1 s to 1 h.
    pub interval: Duration,
}

/// A place where spans go, and how. Keys of `otlp.endpoints.NAME` have the same meaning as those of `otlp`.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// `default` for the endpoint of `otlp.endpoint`, else its name in `otlp.endpoints`. The state knows it by this name.
    pub name: String,
    /// Where its URL was given.
    pub place: SetAt,
    /// Complete URL of the traces endpoint, `http` or `https`. From a base URL, `/v1/traces` is already appended.
    pub endpoint: http::Uri,
    /// Sent with every request (`otlp.headers`); the values are marked as sensitive and do not show in `Debug`.
    pub headers: http::HeaderMap,
    /// How long one request may take (`otlp.timeout`); 10 s by default, 1 ms to 10 min.
    pub timeout: Duration,
    /// How request bodies are packed (`otlp.compression`); gzip by default.
    pub compression: Compression,
    /// Certificates for an `https` endpoint.
    pub tls: Tls,
}

/// PEM files of an `https` endpoint; they are read when the exporter starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that are trusted besides those of the system (`otlp.ca`).
    pub ca: Option<PathBuf>,
    /// What is shown to a server that asks who we are; none by default.
    pub client: Option<ClientTls>,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate and those that lead to its authority (`otlp.certificate`).
    pub certificate: PathBuf,
    /// Its private key (`otlp.key`).
    pub key: PathBuf,
}

/// How request bodies are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip.
    #[default]
    Gzip,
    /// As they are.
    None,
}

/// How turns become traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// A turn without news for this long has ended (`traces.idle`); 30 min by default, 1 ms to 30 days.
    pub idle: Duration,
    /// How long an ended turn waits for late rows (`traces.settle`); 1 s by default, 0 to 1 h.
    pub settle: Duration,
    /// How long a turn may stay open before its finished children leave early (`traces.hold`); 60 s by default, 1 s to
    /// 1 d.
    pub hold: Duration,
    /// Spans per second of turns of the past (`traces.history_rate`); 500 by default.
    pub history_rate: u64,
    /// Which turns of the past are exported (`traces.history_since`).
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
    /// That of Phoenix and Arize, which Langfuse reads too.
    OpenInference,
}

/// Which turns of the past are sent to every endpoint that has not got them.
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

/// Which series the metrics have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Label sets per metric before the rest goes to `other` (`metrics.series_max`); 500 by default, 1 to 100,000.
    pub series_max: usize,
    /// What the `project` label holds (`metrics.project_label`).
    pub project_label: ProjectLabel,
    /// Projects with a label value of their own (`metrics.projects_max`); 50 by default, 0 to 100,000.
    pub projects_max: usize,
    /// MCP servers that are named in the `tool` label (`metrics.mcp_servers`); none by default.
    pub mcp_servers: BTreeSet<String>,
    /// Whether `/metrics/claude-code` is served (`metrics.claude_code`); no by default.
    pub claude_code: bool,
}

/// Spans that wait for the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Bytes of waiting spans at which reading pauses (`outbox.bytes_max`); 256 MiB by default, 1 MiB to 1 TiB.
    pub bytes_max: u64,
}

/// How session files are looked for, and what `tailspan scan` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Time between two looks at all files (`scan.rescan`); 3 s by default, 10 ms to 1 h. File events hasten it; while
    /// looks find nothing that no event had told, it grows to 20 times as much.
    pub rescan: Duration,
    /// What `tailspan scan` prints (`scan.format`); a table by default.
    pub format: ScanFormat,
    /// Whether `tailspan scan` lists the sessions (`scan.sessions`); no by default.
    pub sessions: bool,
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
    /// In the order of the file (`prices.overrides`); none by default.
    pub overrides: Vec<Override>,
}

impl PriceSettings {
    /// The built-in prices with these on top.
    ///
    /// # Errors
    /// Overrides that contradict each other, or of something that is no model.
    pub fn table(&self) -> Result<prices::Prices, ConfigError> {
        prices::Prices::with_overrides(&self.overrides).map_err(|message| ConfigError::Prices { message })
    }
}
