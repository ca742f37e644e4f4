//! Writes what status lines have told of the limits of the account.

use crate::engine::Engine;
use crate::http::api::limits::kept::SharedLimits;
use crate::store::StoreError;

/// Writes what is not written yet. Fails as the store does; then it is tried again once the state can be written.
pub(super) fn keep(engine: &mut Engine, limits: &SharedLimits) -> Result<(), StoreError> {
    let rows = limits.unwritten();
    if !rows.is_empty() {
        engine.keep_limits(&rows)?;
        limits.written(&rows);
    }
    Ok(())
}
