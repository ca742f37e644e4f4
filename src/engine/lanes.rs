//! The history that is still to be sent: a lane for all endpoints together, and one for each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::lane::{HistoryRules, Lane};
use super::progress::SendingProgress;
use crate::ledger::ended;
use crate::ledger::family::has_spans;
use crate::ledger::unit::{Unit, UnitId};
use crate::store::has_left;
use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// Pause between two looks at the lanes, in milliseconds.
const PAUSE_MS: i64 = 200;

/// The history that is still to be sent, and what the next commit stores about it.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) rules: HistoryRules,
    /// While the plan is made, the number of the unit that was looked at last (`Some(None)` before the first); else
    /// `None`.
    pub(super) plan: Option<Option<u32>>,
    /// The lane for all endpoints, then one for each endpoint in the order of the rules.
    pub(super) lanes: Vec<Lane>,
    /// Units of which something leaves with the next commit for all endpoints, and whether something had left before.
    pub(super) left: BTreeMap<UnitId, bool>,
    /// Spans that leave with the next commit for one endpoint alone.
    pub(super) alone: Vec<(Arc<str>, UnitId, Vec<SpanBatch>)>,
    /// What the next commit stores of endpoints: the time from which on one misses nothing, or `None` to delete that.
    pub(super) complete: Vec<(Arc<str>, Option<Timestamp>)>,
    pub(super) progress: SendingProgress,
    /// When the lanes were looked at last.
    pub(super) looked: Timestamp,
}

impl Unsent {
    /// True while there is something to do.
    pub(super) fn is_active(&self) -> bool {
        self.plan.is_some() || self.lanes.iter().any(|lane| !lane.turns.is_empty()) || self.progress.is_under_way()
    }

    /// When the lanes are to be looked at again; `None` if there is nothing to do.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let pause = if self.plan.is_some() { 0 } else { PAUSE_MS };
        self.is_active().then(|| Timestamp(self.looked.0.saturating_add(pause)))
    }

    /// Notes that something of a unit leaves with the next commit for all endpoints.
    pub(super) fn leaves(&mut self, unit: UnitId, has_left: bool) {
        let before = self.left.entry(unit).or_insert(has_left);
        *before &= has_left;
    }

    /// Notes that spans of a unit leave with the next commit for one endpoint alone.
    pub(super) fn leaves_alone(&mut self, endpoint: Arc<str>, unit: UnitId, spans: Vec<SpanBatch>) {
        self.alone.push((endpoint, unit, spans));
    }

    /// Puts a changed unit into the first lane if it is over and has left for nobody.
    pub(super) fn note(&mut self, number: u32, unit: &Unit) {
        let Some(since) = self.rules.since.filter(|_| !self.rules.endpoints.is_empty()) else { return };
        if !is_untold(unit, since) || !self.add(0, number, unit) {
            return;
        }
        for (lane, endpoint) in self.lanes.iter_mut().skip(1).zip(&self.rules.endpoints) {
            if std::mem::take(&mut lane.is_complete) {
                self.complete.push((Arc::clone(endpoint), None));
            }
        }
    }

    pub(super) fn add(&mut self, lane: usize, number: u32, unit: &Unit) -> bool {
        let Some(lane) = self.lanes.get_mut(lane) else { return false };
        lane.sessions.insert(xxh3_64(unit.session().0.as_bytes()));
        lane.turns.insert((ended::over(unit).at, number))
    }

    /// Puts a unit into the lanes where it belongs. `marked` holds the endpoints that have got the spans that have
    /// left.
    pub(super) fn plan(&mut self, number: u32, unit: &Unit, marked: &[(String, u64)]) {
        let Some(since) = self.rules.since else { return };
        if is_untold(unit, since) {
            self.add(0, number, unit);
        } else if is_told(unit, since) {
            for position in 0..self.rules.endpoints.len() {
                let is_complete = self.lanes.get(position + 1).is_none_or(|lane| lane.is_complete);
                let name = self.rules.endpoints.get(position);
                if !is_complete && !marked.iter().any(|(marked, _)| Some(&**marked) == name.map(|name| &**name)) {
                    self.add(position + 1, number, unit);
                }
            }
        }
    }

    /// Begins with new rules. `stored` says of each endpoint the time from which on it misses nothing, as far as that
    /// was known; entries that are no longer true are corrected with the next commit. If no history is wanted, an
    /// endpoint gets the turns that end from `epoch` on.
    pub(super) fn begin(&mut self, rules: HistoryRules, stored: Vec<(String, Timestamp)>, epoch: Timestamp) {
        self.lanes = (0..=rules.endpoints.len()).map(|_| Lane::default()).collect();
        let wanted = rules.since.unwrap_or(epoch);
        for (name, since) in stored {
            let position = rules.endpoints.iter().position(|endpoint| **endpoint == *name);
            let Some(position) = position else {
                // An endpoint that is no longer configured does not get the turns that end from now on.
                self.complete.push((name.into(), None));
                continue;
            };
            if since < wanted {
                self.complete.push((name.into(), Some(wanted)));
            }
            if let Some(lane) = self.lanes.get_mut(position + 1) {
                lane.is_complete = since <= wanted;
            }
        }
        let misses = self.lanes.iter().skip(1).any(|lane| !lane.is_complete);
        if rules.since.is_some() && misses {
            self.plan = Some(None);
        } else if rules.since.is_some() {
            self.progress.planned();
        }
        self.rules = rules;
    }

    /// Notes that all history for an endpoint is in the outbox.
    pub(super) fn completed(&mut self, position: usize) {
        if let (Some(lane), Some(name)) = (self.lanes.get_mut(position + 1), self.rules.endpoints.get(position))
            && !lane.is_complete
        {
            lane.is_complete = true;
            self.complete.push((Arc::clone(name), self.rules.since));
        }
    }
}

/// True for the root of a trace that is over, ended at `since` or later, and has left for nobody.
pub(super) fn is_untold(unit: &Unit, since: Timestamp) -> bool {
    unit.export.done && !unit.export.sent && is_root(unit, since)
}

/// True for the root of a trace that ended at `since` or later and of which something has left.
pub(super) fn is_told(unit: &Unit, since: Timestamp) -> bool {
    (unit.export.sent || !unit.export.done) && has_parts_left(unit) && is_root(unit, since)
}

fn is_root(unit: &Unit, since: Timestamp) -> bool {
    unit.leaves_with().is_none() && has_spans(unit) && ended::over(unit).at >= since
}

/// True if something of a unit has left, in itself or in one of its sections.
pub(super) fn has_parts_left(unit: &Unit) -> bool {
    has_left(unit) || unit.sections.as_ref().is_some_and(|sections| sections.gist.unsent < sections.gist.spans)
}
