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
    /// A label has two values.
    #[error("--label gives {label} two values, {first:?} and {second:?}: a run has one value of each label")]
    TwoValues {
        /// The name of the label.
        label: String,
        /// Its value.
        first: String,
        /// What a later argument says.
        second: String,
    },
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
        matches!(self, Self::Terminal | Self::TwoValues { .. })
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
