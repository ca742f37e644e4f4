//! How one request to an endpoint ended.

use std::time::Duration;

/// Longest part of a collector's message that is logged, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The collector took everything in the request.
    Accepted,
    /// The collector took the request but for some spans or points, which must not be sent again (OTLP partial
    /// success).
    Partial {
        /// Number of spans or points that were not taken; 0 if the message is only a warning.
        rejected: u64,
        /// The collector's reason.
        message: String,
    },
    /// The payload is bad: it will never be taken as it is.
    Rejected {
        /// HTTP status; `None` if the payload was too large to be sent at all.
        status: Option<u16>,
        /// The collector's reason.
        message: String,
    },
    /// The endpoint refuses every request, whatever is in it.
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
    /// The request was not taken now, and may be taken later.
    Retry {
        /// HTTP status; `None` if there was no connection.
        status: Option<u16>,
        /// `Retry-After`, counted from the moment of the answer; `None` if there was none or it lies in the past.
        after: Option<Duration>,
        /// The collector's reason, or the connection's.
        message: String,
    },
    /// There was no answer, and the request may have arrived.
    Ambiguous {
        /// True if time ran out, false if the connection broke.
        timed_out: bool,
        /// The connection's reason.
        message: String,
    },
}

/// Makes `text` one line of at most [`MESSAGE_CHARS_MAX`] characters, because it comes from outside and goes to the
/// log.
pub(super) fn shortened(text: &str) -> String {
    let line: String = text.trim().chars().take(MESSAGE_CHARS_MAX).collect();
    line.replace(char::is_control, " ")
}
