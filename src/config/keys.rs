//! Every key that this version knows: its path, the type of its value, and the words that messages use for that value.
//!
//! The variable of a key is its path in capitals: `traces.history_since` is `TAILSPAN_TRACES_HISTORY_SINCE`.

/// Which TOML types a key takes, and how the text of its environment variable is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Count,
    /// A number, also with decimals.
    Number,
    /// Bytes: an integer, or text with a unit.
    Size,
    Boolean,
    List,
    Paths,
    /// A table of text values; in a variable `name=value,...`, percent-encoded. Values may be secret.
    Map,
    /// An array of tables with prices; it has no variable.
    Prices,
    /// An array of tables with budgets; it has no variable.
    Budgets,
    /// An array of tables with rules of custom metrics; it has no variable.
    Rules,
    /// A table with the settings of the rules of patterns; it has no variable.
    Patterns,
    /// A table whose values are URLs or tables; in a variable `name=URL,...`. URLs may hold secrets.
    Endpoints,
}

pub(super) struct ConfigKey {
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    pub(super) expected: &'static str,
}

// Declares keys and puts each into `ALL`, so that the file, the variables and the suggestions cannot miss one.
macro_rules! keys {
    ($($name:ident = $path:literal $shape:ident $expected:literal;)*) => {
        $(pub(super) const $name: ConfigKey = ConfigKey { path: $path, shape: Shape::$shape, expected: $expected };)*
        static ALL: &[ConfigKey] = &[$($name),*];
    };
}

keys! {
    PROJECTS = "projects" Paths "a list of directories";
    STATE = "state" Text "a directory";
    LISTEN = "listen" Text "a loopback address with a port, like \"127.0.0.1:9719\"";
    LOG = "log" Text "a log filter, like \"info\" or \"info,tailspan::tail=debug\"";
    LOG_FORMAT = "log_format" Text "\"text\" or \"json\"";
    WEB_HOSTS = "web.hosts" List "a list of host names without scheme, port or wildcard";
    WEB_URL = "web.url" Text
        "an http:// or https:// URL without user name, query and fragment, like \"https://tailspan.example.org\"";
    WEB_CONTENT_USERS = "web.content_users" List "a list of user names or numbers, or \"*\" for everybody";
    OTLP_ENDPOINT = "otlp.endpoint" Text
        "an http:// or https:// URL without user name, like \"http://127.0.0.1:4318\"";
    OTLP_HEADERS = "otlp.headers" Map "a table of HTTP header names with text values (in a variable: name=value,...)";
    OTLP_TIMEOUT = "otlp.timeout" Text "a duration from 1ms to 10m, like \"10s\"";
    OTLP_COMPRESSION = "otlp.compression" Text "\"gzip\" or \"none\"";
    OTLP_ENDPOINTS = "otlp.endpoints" Endpoints
        "a table of at most 16 endpoints, each a URL or a table with `endpoint` (in a variable: name=URL,...)";
    OTLP_CA = "otlp.ca" Text "a PEM file with certificates";
    OTLP_CERTIFICATE = "otlp.certificate" Text "a PEM file with the client certificate for `key`";
    OTLP_KEY = "otlp.key" Text "a PEM file with the private key of `certificate`";
    OTLP_METRICS = "otlp.metrics" Boolean "true or false";
    OTLP_METRICS_ENDPOINT = "otlp.metrics_endpoint" Text
        "an http:// or https:// URL without user name, like \"http://127.0.0.1:4318\"";
    OTLP_METRICS_INTERVAL = "otlp.metrics_interval" Text "a duration from 1s to 1h, like \"60s\"";
    TRACES_IDLE = "traces.idle" Text "a duration from 1ms to 30d, like \"30m\"";
    TRACES_SETTLE = "traces.settle" Text "a duration from 0s to 1h, like \"1s\"";
    TRACES_HOLD = "traces.hold" Text "a duration from 1s to 1d, like \"60s\"";
    TRACES_HISTORY_RATE = "traces.history_rate" Count "an integer from 1 to 1000000";
    TRACES_HISTORY_SINCE = "traces.history_since" Text "\"all\" or an RFC 3339 time, like \"2026-11-01T00:00:00Z\"";
    TRACES_SCOPE = "traces.scope" Text "\"turn\" or \"session\"";
    TRACES_CONTENT = "traces.content" Text "\"off\", \"details\" or \"content\"";
    TRACES_PROFILE = "traces.profile" List "a list of further naming schemes: \"openinference\"";
    METRICS_SERIES_MAX = "metrics.series_max" Count "an integer from 1 to 100000";
    METRICS_PROJECT_LABEL = "metrics.project_label" Text "\"name\", \"hash\" or \"off\"";
    METRICS_PROJECTS_MAX = "metrics.projects_max" Count "an integer from 0 to 100000";
    METRICS_WORKFLOWS = "metrics.workflows" List "a list of names of workflows";
    METRICS_MCP_SERVERS = "metrics.mcp_servers" List "a list of MCP server names";
    METRICS_CUSTOM = "metrics.custom" Rules "an array of tables ([[metrics.custom]])";
    METRICS_CLAUDE_CODE = "metrics.claude_code" Boolean "true or false";
    OUTBOX_BYTES_MAX = "outbox.bytes_max" Size "a size from 1MiB to 1TiB, like \"256MiB\" or a number of bytes";
    SCAN_RESCAN = "scan.rescan" Text "a duration from 10ms to 1h, like \"3s\"";
    SCAN_FORMAT = "scan.format" Text "\"table\", \"json\", \"prometheus\" or \"trace\"";
    SCAN_SESSIONS = "scan.sessions" Boolean "true or false";
    SEARCH_INDEX = "search.index" Boolean "true or false";
    EVENTS_KEEP = "events.keep" Text "a duration from 1s to 30d, like \"1h\"";
    EVENTS_KEEP_BYTES = "events.keep_bytes" Size "a size from 64KiB to 1GiB, like \"4MiB\" or a number of bytes";
    EVENTS_HEARTBEAT = "events.heartbeat" Text "a duration from 10ms to 1h, like \"15s\"";
    ARCHIVE_ENABLED = "archive.enabled" Boolean "true or false";
    ARCHIVE_AFTER = "archive.after" Text "a duration from 0s to 365d, like \"1d\"";
    ARCHIVE_DIRECTORY = "archive.directory" Text "a directory";
    RETENTION_FACTS = "retention.facts" Text "a duration from 1d to 36500d, like \"400d\", or \"never\"";
    RETENTION_ARCHIVE = "retention.archive" Text "a duration from 1d to 36500d, like \"400d\", or \"never\"";
    STREAM_SPOOL_BYTES = "stream.spool_bytes" Size "a size from 64KiB to 1TiB, like \"1GiB\" or a number of bytes";
    STREAM_KEEP = "stream.keep" Text "a duration from 1h to 3650d, like \"7d\"";
    STREAM_KEEP_BYTES = "stream.keep_bytes" Size "a size from 64KiB to 1TiB, like \"4GiB\" or a number of bytes";
    STATUSLINE_FORMAT = "statusline.format" Text "one line of 1 to 500 characters, with names in braces";
    SELFCHECK_EVERY = "selfcheck.every" Text "a duration from 1s to 30d, like \"24h\", or \"0\"";
    BUDGETS = "budgets" Budgets "an array of at most 16 tables ([[budgets]])";
    PATTERNS = "patterns" Patterns "a table ([patterns])";
    RUNAWAY_ENABLED = "runaway.enabled" Boolean "true or false";
    RUNAWAY_USD = "runaway.usd_per_minute" Number "a number above 0 and at most 1000000, like 6 or \"2.5\"";
    RUNAWAY_CALLS = "runaway.calls_per_minute" Number "a number above 0 and at most 1000000, like 240";
    RUNAWAY_FAILURES = "runaway.failures_per_minute" Number "a number above 0 and at most 1000000, like 30";
    RUNAWAY_TIMES = "runaway.times" Number "a number from 1 to 1000000, like 6";
    PRICES_OVERRIDES = "prices.overrides" Prices "an array of tables ([[prices.overrides]])";
}

impl ConfigKey {
    /// The name of the key's environment variable; `None` for prices, budgets, rules and patterns, which have none.
    pub(super) fn variable(&self) -> Option<String> {
        (!matches!(self.shape, Shape::Prices | Shape::Budgets | Shape::Rules | Shape::Patterns))
            .then(|| format!("TAILSPAN_{}", self.path.replace('.', "_").to_ascii_uppercase()))
    }
}

pub(super) fn all() -> &'static [ConfigKey] {
    ALL
}

pub(super) fn find(path: &str) -> Option<&'static ConfigKey> {
    ALL.iter().find(|key| key.path == path)
}

/// Whether `path` names a table with keys below it.
pub(super) fn is_section(path: &str) -> bool {
    ALL.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Full paths of all keys that a configuration file may hold.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|key| key.path)
}

/// The candidate that looks most like `name`, by normalized Damerau-Levenshtein similarity. The similarity of the last
/// components alone counts by nine tenths, so that a key in the wrong table is found too.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, candidate);
        whole.max(strsim::normalized_damerau_levenshtein(&last(name), &last(candidate)) * 0.9)
    };
    candidates.max_by(|left, right| score(left).total_cmp(&score(right))).unwrap_or_default()
}
