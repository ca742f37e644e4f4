//! The layer of the command line's flags, which is stronger than all others.

use std::path::PathBuf;

use super::error::SetAt;
use super::keys;
use super::merge::{Layer, SetValue};

/// What the command line says about the configuration. The values are checked together with those of other sources.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: path of the configuration file; `None`: no file is read.
    pub config: Option<PathBuf>,
    /// `--projects`: session roots in the order given; empty: not given.
    pub projects: Vec<PathBuf>,
    /// `--state`: directory of the state.
    pub state: Option<PathBuf>,
    /// `--listen`: address and port to serve HTTP on.
    pub listen: Option<String>,
    /// `--otlp-endpoint`: URL that traces are sent to.
    pub otlp_endpoint: Option<String>,
    /// `--traces-history-since`: `all` or an RFC 3339 time.
    pub traces_history_since: Option<String>,
    /// `--log-format`: `text` or `json`.
    pub log_format: Option<String>,
    /// `--format` of `scan`: `table`, `json`, `prometheus` or `trace`.
    pub scan_format: Option<String>,
    /// `--sessions` of `scan`: list the sessions too.
    pub scan_sessions: bool,
    /// `--directory` of `archive`.
    pub archive_directory: Option<PathBuf>,
    /// `--format` of `statusline`: the line with names in braces.
    pub statusline_format: Option<String>,
    /// True for a command that sends nothing. `OTEL_EXPORTER_*` variables, which may be meant for Claude Code itself,
    /// are not read then and cannot make it fail.
    pub offline: bool,
}

impl Flags {
    pub(super) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        if !self.projects.is_empty() {
            layer.insert(&keys::PROJECTS, SetValue::Paths(self.projects.clone()), SetAt::Flag("--projects"));
        }
        if let Some(state) = &self.state {
            layer.insert(&keys::STATE, SetValue::Paths(vec![state.clone()]), SetAt::Flag("--state"));
        }
        if let Some(directory) = &self.archive_directory {
            let directory = SetValue::Paths(vec![directory.clone()]);
            layer.insert(&keys::ARCHIVE_DIRECTORY, directory, SetAt::Flag("--directory"));
        }
        let sessions = self.scan_sessions.then(|| "true".to_owned());
        let texts = [
            (&keys::LISTEN, "--listen", &self.listen),
            (&keys::OTLP_ENDPOINT, "--otlp-endpoint", &self.otlp_endpoint),
            (&keys::TRACES_HISTORY_SINCE, "--traces-history-since", &self.traces_history_since),
            (&keys::LOG_FORMAT, "--log-format", &self.log_format),
            (&keys::SCAN_FORMAT, "--format", &self.scan_format),
            (&keys::STATUSLINE_FORMAT, "--format", &self.statusline_format),
            (&keys::SCAN_SESSIONS, "--sessions", &sessions),
        ];
        for (key, flag, text) in texts {
            if let Some(text) = text {
                layer.insert(key, SetValue::Text(text.clone()), SetAt::Flag(flag));
            }
        }
        layer
    }
}
