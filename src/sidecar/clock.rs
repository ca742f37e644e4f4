//! The only clock of the program.

use crate::transcript::time::Timestamp;

/// The current time of the system's clock, in milliseconds since the Unix epoch (UTC). A time before 1970 becomes 1970.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
