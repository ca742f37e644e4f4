//! How the analytics routes reach the state, whatever else the context of an [`App`](crate::http::App) holds.

use crate::store::StoreReader;
use crate::transcript::time::Timestamp;
use crate::views::traces::finish::SpanRules;

/// A context with access to the state and the time.
pub trait HasReader {
    /// Reads sessions and units.
    fn reader(&self) -> &StoreReader;

    /// The time: what goes on lasts until now, and what is stamped later is stamped wrong.
    fn now(&self) -> Timestamp;

    /// What spans look like: as the exporter has it.
    fn span_rules(&self) -> &SpanRules;
}
