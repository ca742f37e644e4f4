//! Which observations a reader takes.

use super::measure::Measure;
use crate::transcript::time::Timestamp;

/// Which observations of the parts of units a reader takes. At the first start nearly all
/// is of before the epoch, and is not even made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// All that is stamped at this time or later.
    pub since: Timestamp,
    /// Measures that are taken whenever they were observed, one bit for each.
    always: u64,
}

// One bit for each.
const _: () = assert!(Measure::ALL.len() <= 64);

impl Wanted {
    /// Everything that is stamped at `since` or later.
    #[must_use]
    pub const fn since(since: Timestamp) -> Self {
        Self { since, always: 0 }
    }

    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self::since(Timestamp(i64::MIN))
    }

    /// And this measure, whenever it was observed.
    #[must_use]
    pub const fn and_always(self, measure: Measure) -> Self {
        Self { always: self.always | 1 << measure as u64, ..self }
    }

    /// True if an observation is taken.
    #[must_use]
    pub const fn takes(self, measure: Measure, at: Timestamp) -> bool {
        at.0 >= self.since.0 || self.always & 1 << measure as u64 != 0
    }
}
