//! What is known of the process that has a session open.

use crate::transcript::time::Timestamp;

/// What is known of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProcessSigns {
    /// Nobody tells whether it runs.
    #[default]
    Unknown,
    /// There is none: it has ended, or has another session open now.
    Gone,
    /// It runs.
    Runs {
        /// True if it has a terminal, in which it asks for permissions itself.
        is_terminal: bool,
        /// What it does, and since when; `None` if it does not tell.
        status: Option<(ProcessStatus, Timestamp)>,
    },
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessStatus {
    /// A turn runs.
    Busy,
    /// No turn runs.
    Idle,
    /// It waits for a person to allow something.
    WaitsForPermission,
    /// It waits for a person to answer something.
    WaitsForAnswer,
    /// It shows something else, or says what nobody here knows.
    Other,
}

impl ProcessStatus {
    /// What the client writes of itself: its status, and what it waits for.
    #[must_use]
    pub fn of(status: &str, waiting_for: Option<&str>) -> Self {
        match (status, waiting_for) {
            ("busy", _) => Self::Busy,
            ("idle", _) => Self::Idle,
            ("waiting", Some("permission prompt" | "sandbox request")) => Self::WaitsForPermission,
            ("waiting", Some("input needed")) => Self::WaitsForAnswer,
            _ => Self::Other,
        }
    }
}
