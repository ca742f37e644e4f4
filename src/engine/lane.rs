//! Turns that wait to be sent as history, and who gets them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::departure::Departure;
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;

/// Who gets which turns of the past.
#[derive(Debug, Clone, Default)]
pub struct HistoryRules {
    /// The names of all endpoints.
    pub endpoints: Vec<Arc<str>>,
    /// Turns that ended at this time or later; `None`: no history is wanted.
    pub since: Option<Timestamp>,
    /// Spans per second, of each lane.
    pub rate: u64,
}

/// Turns that wait to be sent as history.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// When they ended, and the numbers of their units.
    pub(super) turns: BTreeSet<(Timestamp, u32)>,
    /// Hashes of their sessions, to be told at the start.
    pub(super) sessions: HashSet<u64>,
    /// It is known to be empty without a look.
    pub(super) is_complete: bool,
    /// Thousandths of spans that may leave now, below zero after a long turn; and since when that is known.
    pub(super) allowance: (i128, Option<Timestamp>),
    /// A long turn that is under way.
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
