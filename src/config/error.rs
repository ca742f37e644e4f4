//! The errors of a configuration, and where in its sources they are.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetAt {
    /// A line (from 1) of the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// An environment variable, by name.
    Variable(String),
    /// A command-line flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for SetAt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(name) => write!(formatter, "{name}"),
        }
    }
}

/// Why a configuration is refused. Values that may be secret (headers, user names in URLs) are never part of a message.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that `--config` names cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// Reason of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// The line at which reading stopped.
        place: SetAt,
        /// Reason of the parser, without the text of the line, which may hold a secret.
        message: String,
    },
    /// The configuration file holds a key that does not exist.
    #[error("{place}: unknown key `{key}`; the nearest known key is `{nearest}`")]
    UnknownKey {
        /// Line of the key.
        place: SetAt,
        /// Full path of the key.
        key: String,
        /// Full path of the known key that looks most like it.
        nearest: String,
    },
    /// A number outside of its range.
    #[error("{place}: `{key}` is {got}, expected a number from {from} to {to}")]
    Range {
        /// Where it was given.
        place: SetAt,
        /// Full path of the key.
        key: String,
        /// The value, or its type.
        got: String,
        /// The least that it may be.
        from: f64,
        /// The most that it may be.
        to: f64,
    },
    /// A model is named that has no price.
    #[error("{place}: `{key}` is \"{model}\", which has no price; the nearest model with one is \"{nearest}\"")]
    UnpricedModel {
        /// Line of the table that names it.
        place: SetAt,
        /// Full path of the key.
        key: &'static str,
        /// The model as it was named.
        model: String,
        /// The model with a price that looks most like it.
        nearest: String,
    },
    /// A `TAILSPAN_*` variable is set that does not exist.
    #[error("unknown environment variable {name}; the nearest known one is {nearest}")]
    UnknownVariable {
        /// Name of the variable.
        name: String,
        /// The known variable that looks most like it.
        nearest: String,
    },
    /// A value of the wrong type, form or range.
    #[error("{place}: `{key}` is {got}, expected {expected}")]
    SetValue {
        /// Where it was given.
        place: SetAt,
        /// Full path of the key.
        key: String,
        /// The value, or its type if the value is not shown.
        got: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// A key that is required is missing.
    #[error("{place}: `{key}` is missing, expected {expected}")]
    Missing {
        /// Where the table begins, or the setting stands, that requires the key.
        place: SetAt,
        /// Full path of the key.
        key: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// A rule of a custom metric that cannot be used.
    #[error("{place}: `{key}`{}: {message}", in_words(*at))]
    Rule {
        /// Line of the key.
        place: SetAt,
        /// Full path of the key, `metrics.custom[0].when` for example.
        key: String,
        /// Line and column in the text of the value, both from 1; `None` if the value as a whole is wrong.
        at: Option<(usize, usize)>,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// Prices that cannot be used.
    #[error("`prices.overrides`: {message}")]
    Prices {
        /// What is wrong, with the model.
        message: String,
    },
    /// The address to listen on is not a loopback address, so that other machines could reach it.
    #[error(
        "{place}: `{key}` is {got}, which is not a loopback address; listening elsewhere needs authentication, which this \
         version does not have yet: use 127.0.0.1, [::1] or localhost"
    )]
    NotLoopback {
        /// Where it was given.
        place: SetAt,
        /// Full path of the key.
        key: &'static str,
        /// The address, quoted.
        got: String,
    },
    /// The standard variables ask for an OTLP transport that this version does not have.
    #[error(
        "{place} is {got}, but this version sends OTLP as http/protobuf only; set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=\
         http/protobuf and an OTLP/HTTP endpoint (usually port 4318), or OTEL_SDK_DISABLED=true to switch export off"
    )]
    Protocol {
        /// The variable that names the protocol.
        place: SetAt,
        /// Value of the variable, quoted.
        got: String,
    },
    /// There is no directory for the state: it is not configured, and neither `XDG_STATE_HOME` nor `HOME` is set.
    #[error("no place for the state: give `state` (--state, TAILSPAN_STATE), or set XDG_STATE_HOME or HOME")]
    NoState,
    /// A part of the log filter is neither a level nor a directive.
    #[error(
        "`log` (TAILSPAN_LOG) has {part}, expected a level (error, warn, info, debug, trace, off) or target=level, separated \
         by commas"
    )]
    Filter {
        /// The part at fault, quoted.
        part: String,
    },
}

/// A place in the text of a value, as messages tell it.
fn in_words(at: Option<(usize, usize)>) -> String {
    match at {
        None => String::new(),
        Some((1, column)) => format!(", column {column}"),
        Some((line, column)) => format!(", line {line} of the text, column {column}"),
    }
}
