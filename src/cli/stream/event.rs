//! What happens to the process, and why it fails.

use std::io;

/// Why the command cannot begin, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Nothing is piped in.
    #[error(
        "standard input is a terminal: pipe the client into it, as in `claude -p … --output-format stream-json --verbose | \
         tailspan stream`"
    )]
    Terminal,
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Read(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write standard output")]
    Write(#[source] io::Error),
    /// A thread cannot be started, or signals cannot be heard.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

impl StreamError {
    /// Whether the command was used wrongly.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Terminal)
    }
}

/// What happens to the process.
pub(super) enum Event {
    /// Standard input has ended.
    Read(io::Result<()>),
    /// Standard output has everything, or is broken.
    Written(io::Result<()>),
    /// Everything is handed over.
    HandedOver,
    /// A signal that ends the process.
    Signal(i32),
}
