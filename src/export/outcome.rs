//! What became of one request, in the words of this room.

use std::time::Duration;

/// Longest part of a collector's message that is logged, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Taken whole.
    Accepted,
    /// Taken but for some spans, which must not be sent again.
    Partial {
        /// Number of spans that were not taken; 0 if the message is only a warning.
        rejected: u64,
        /// The collector's reason.
        message: String,
    },
    /// The payload is bad: it will never be taken as it is.
    Rejected {
        /// HTTP status; `None` if it was too large to be sent at all.
        status: Option<u16>,
        /// The collector's reason.
        message: String,
    },
    /// The endpoint does not want us, whatever we send.
    Unauthorized {
        /// HTTP status.
        status: u16,
        /// The collector's reason.
        message: String,
    },
    /// What answered is no OTLP receiver: nothing was taken, whatever the status says.
    Foreign {
        /// HTTP status.
        status: u16,
        /// What answered instead, in words.
        message: String,
    },
    /// Not taken now.
    Retry {
        /// HTTP status; `None` if there was no connection.
        status: Option<u16>,
        /// `Retry-After`, counted from now.
        after: Option<Duration>,
        /// The collector's reason, or the connection's.
        message: String,
    },
    /// No answer, after the request may have been sent.
    Ambiguous {
        /// True if time ran out, false if the connection broke.
        timed_out: bool,
        /// The connection's reason.
        message: String,
    },
}

/// One line of at most [`MESSAGE_CHARS_MAX`] characters: it comes from outside and goes to the log.
pub(super) fn shortened(text: &str) -> String {
    let line: String = text.trim().chars().take(MESSAGE_CHARS_MAX).collect();
    line.replace(char::is_control, " ")
}
