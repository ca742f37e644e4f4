//! How handlers reach the state, whatever else the context of an [`App`](crate::http::App) holds.

use std::sync::{Arc, OnceLock};

use crate::archive::Archive;
use crate::http::route::problem::Problem;
use crate::index::catalogue::SearchIndex;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::Runaway;
use crate::views::traces::finish::SpanRules;
use crate::waiting::Waits;

/// A context with access to the state and the time.
pub trait HasReader {
    /// The reader of sessions and units.
    fn reader(&self) -> &StoreReader;

    /// The current time. Traces that are in progress last until now, and rows that are stamped later are stamped wrong.
    fn now(&self) -> Timestamp;

    /// How spans are drawn, the same as for the exporter.
    fn span_rules(&self) -> &SpanRules;

    /// Copies of session files, for texts whose file is gone; none unless the context has some.
    fn archive(&self) -> Archive {
        Archive::default()
    }

    /// The sessions that run away; none unless the context follows sessions while they run.
    fn runaways(&self) -> Vec<Runaway> {
        Vec::new()
    }

    /// The sessions that wait for a person now; none if nobody follows them.
    fn waits(&self) -> Waits {
        Waits::default()
    }

    /// What search narrows by; nothing before it is opened, and without it.
    fn index(&self) -> Arc<OnceLock<SearchIndex>> {
        Arc::default()
    }
}

/// The problem that a client gets when the state cannot be read; the cause is logged.
pub(in crate::http) fn unreadable(error: StoreError) -> Problem {
    if matches!(error, StoreError::Closed) {
        return Problem::unavailable(error.to_string());
    }
    tracing::error!(error = &error as &dyn std::error::Error, "the state could not be read for an answer");
    Problem::internal(format!("the state cannot be read: {error}"))
}
