//! The turns that wait to be sent as history, and the rules for sending them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::departure::Departure;
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;

/// Which turns of the past are sent, to which endpoints, and how fast.
#[derive(Debug, Clone, Default)]
pub struct HistoryRules {
    /// The names of all endpoints.
    pub endpoints: Vec<Arc<str>>,
    /// Turns that ended at this time or later are sent; `None` if no history is wanted.
    pub since: Option<Timestamp>,
    /// Most spans that each lane sends per second.
    pub rate: u64,
}

/// Turns that wait to be sent as history, all to the same endpoint or all to every endpoint.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The time at which each turn ended, and the number of its unit.
    pub(super) turns: BTreeSet<(Timestamp, u32)>,
    /// Hashes of the turns' sessions, from which the log tells their number when sending starts.
    pub(super) sessions: HashSet<u64>,
    /// True if the store says that the endpoint misses nothing, so that the plan need not fill this lane.
    pub(super) is_complete: bool,
    /// How many thousandths of a span may leave now, below zero after a long turn; and when that was computed.
    pub(super) allowance: (i128, Option<Timestamp>),
    /// The long turn of which a part is sent already.
    pub(super) departure: Option<(UnitId, Departure)>,
}

impl Lane {
    pub(super) fn earn(&mut self, rate: u64, now: Timestamp) {
        let most = i128::from(rate) * 1_000;
        let (left, since) = self.allowance;
        let earned = since.map_or(most, |since| i128::from(now.since_ms(since)) * i128::from(rate));
        self.allowance = (left.saturating_add(earned).min(most), Some(now));
    }

    pub(super) fn pay(&mut self, spans: usize) {
        self.allowance.0 -= spans as i128 * 1_000;
    }
}
