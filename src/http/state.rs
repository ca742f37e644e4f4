//! How the analytics routes reach the state, whatever else the context of an [`App`](super::App) holds.

use crate::store::Reader;

/// A context with access to the state.
pub trait HasReader {
    /// Reads sessions and units.
    fn reader(&self) -> &Reader;
}
