//! Why there is no export.

use std::io;
use std::path::PathBuf;

use crate::cli::ask::source::AskError;
use crate::config::ConfigError;

/// The status of an answer to a question that is wrong.
const BAD_REQUEST: u16 = 400;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the question was refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// There is no session.
    #[error("there is no session")]
    Nothing,
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl ExportError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Ask(AskError::Config(_)) => true,
            Self::Ask(AskError::Refused { status, .. }) => *status == BAD_REQUEST,
            Self::Ask(_) | Self::Write { .. } | Self::Nothing | Self::Output(_) => false,
        }
    }
}

impl From<ConfigError> for ExportError {
    fn from(error: ConfigError) -> Self {
        Self::Ask(error.into())
    }
}
