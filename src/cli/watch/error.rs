//! Why `watch` ends.

use std::io;

use crate::cli::ask::source::AskError;
use crate::config::ConfigError;

/// Why it ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the question was refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Nobody listens.
    #[error("no sidecar answers at {listen}: start `tailspan run`, or name its address with --listen")]
    Nobody {
        /// Where a sidecar was looked for.
        listen: std::net::SocketAddr,
        /// What went wrong on the way.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write events")]
    Output(#[source] io::Error),
}

impl WatchError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Ask(AskError::Config(_)) => true,
            Self::Ask(AskError::Refused { status, .. }) => *status == 400,
            Self::Ask(_) | Self::Nobody { .. } | Self::Output(_) => false,
        }
    }
}

impl From<ConfigError> for WatchError {
    fn from(error: ConfigError) -> Self {
        Self::Ask(error.into())
    }
}
