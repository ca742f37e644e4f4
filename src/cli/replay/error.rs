//! Why nothing, or nothing more, is shown.

use std::io;

use crate::cli::ask::source::AskError;
use crate::config::ConfigError;

/// Why nothing, or nothing more, is shown.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the question was refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// No session has this id.
    #[error("no session has an id that begins with `{session}`")]
    NoSession {
        /// What was asked for.
        session: String,
    },
    /// The session has no event where it was to begin, and why.
    #[error("{0}")]
    Beyond(String),
    /// There is no session at all.
    #[error("there are no sessions yet")]
    NoSessions,
    /// The terminal cannot be used.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
    /// Standard output could not be written.
    #[error("cannot write the events")]
    Output(#[source] io::Error),
    /// The replay could not go on.
    #[error("the replay cannot go on: {0}")]
    Broken(&'static str),
}

impl ReplayError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Ask(AskError::Config(_)) => true,
            Self::Ask(AskError::Refused { status, .. }) => *status == 400,
            _ => false,
        }
    }
}

impl From<ConfigError> for ReplayError {
    fn from(error: ConfigError) -> Self {
        Self::Ask(error.into())
    }
}
