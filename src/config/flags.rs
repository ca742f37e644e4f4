//! The strongest layer: what the command line says.

use std::path::PathBuf;

use super::error::SetAt;
use super::keys;
use super::merge::{Layer, SetValue};

/// What the command line says about the configuration, as text; checked together with all else.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--projects`, in order.
    pub projects: Vec<PathBuf>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--otlp-endpoint`.
    pub otlp_endpoint: Option<String>,
    /// `--traces-history-since`.
    pub traces_history_since: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
    /// `--format` of `scan`.
    pub scan_format: Option<String>,
    /// `--sessions` of `scan`.
    pub scan_sessions: bool,
    /// The command sends nothing: `OTEL_EXPORTER_*` variables, which may be meant for Claude Code itself, are not read
    /// and cannot stop it.
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
        let sessions = self.scan_sessions.then(|| "true".to_owned());
        let texts = [
            (&keys::LISTEN, "--listen", &self.listen),
            (&keys::OTLP_ENDPOINT, "--otlp-endpoint", &self.otlp_endpoint),
            (&keys::TRACES_HISTORY_SINCE, "--traces-history-since", &self.traces_history_since),
            (&keys::LOG_FORMAT, "--log-format", &self.log_format),
            (&keys::SCAN_FORMAT, "--format", &self.scan_format),
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
