//! How handlers reach the state, whatever else the context of an [`App`](crate::http::App) holds.

use crate::store::StoreReader;
use crate::transcript::time::Timestamp;
use crate::views::traces::finish::SpanRules;

/// A context with access to the state and the time.
pub trait HasReader {
    /// The reader of sessions and units.
    fn reader(&self) -> &StoreReader;

    /// The current time. Traces that are in progress last until now, and rows that are stamped later are stamped wrong.
    fn now(&self) -> Timestamp;

    /// How spans are drawn, the same as for the exporter.
    fn span_rules(&self) -> &SpanRules;
}
