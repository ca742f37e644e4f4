//! The errors that end the sidecar, or keep it from starting.

use std::io;

use crate::config::ConfigError;
use crate::export::ExportError;
use crate::http::ServeError;
use crate::store::StoreError;

/// Why the sidecar could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on, or the server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// An OTLP endpoint cannot be used.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start {what}")]
    System {
        /// What was to be started.
        what: &'static str,
        /// Reason of the system.
        source: io::Error,
    },
    /// A part of the program panicked.
    #[error("{part} stopped unexpectedly")]
    Panicked { part: &'static str },
}

impl RunError {
    /// True if the configuration must be mended, so that a restart alone does not help.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) => true,
            Self::Export(error) => error.is_configuration(),
            Self::Serve(error) => error.is_configuration(),
            _ => false,
        }
    }
}
