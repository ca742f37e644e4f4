//! Which observations a reader takes.

use super::measure::Measure;
use crate::transcript::time::Timestamp;

/// Which observations of the parts of units a reader takes. Other observations are not made at all, which saves most of
/// the work at the first start, when nearly all rows are older than the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Observations at this time or later are taken.
    pub since: Timestamp,
    /// Measures of which all observations are taken: one bit for each measure.
    always: u64,
    /// True if what counters alone go on to have is taken too.
    superseded: bool,
}

// `Wanted::always` has one bit for each measure.
const _: () = assert!(Measure::ALL.len() <= 64);

impl Wanted {
    /// Takes observations at `since` or later.
    #[must_use]
    pub const fn since(since: Timestamp) -> Self {
        Self { since, always: 0, superseded: false }
    }

    /// Takes all observations.
    #[must_use]
    pub const fn all() -> Self {
        Self::since(Timestamp(i64::MIN))
    }

    /// Also takes all observations of this measure, whatever their time.
    #[must_use]
    pub const fn and_always(self, measure: Measure) -> Self {
        Self { always: self.always | 1 << measure as u64, ..self }
    }

    /// Also takes what a rest had that was superseded ([`Message::is_superseded`](crate::ledger::unit::Message::is_superseded)),
    /// at [`SpanPlace::Superseded`](super::SpanPlace::Superseded).
    #[must_use]
    pub const fn and_superseded(self) -> Self {
        Self { superseded: true, ..self }
    }

    /// True if what a rest had that was superseded is taken.
    #[must_use]
    pub const fn takes_superseded(self) -> bool {
        self.superseded
    }

    /// True if an observation of this measure at this time is taken.
    #[must_use]
    pub const fn takes(self, measure: Measure, at: Timestamp) -> bool {
        at.0 >= self.since.0 || self.always & 1 << measure as u64 != 0
    }
}
