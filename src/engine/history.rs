//! History: turns that some endpoint has not got, though it is to have them.
//!
//! ```text
//! plan     every unit of the state is looked at once, unless all endpoints are known to miss nothing
//! lanes    one for turns that have left for nobody: they leave like any other turn, for all
//!          one for each endpoint: turns that have left, but not for it, leave once more for it alone
//! end      it is stored for the endpoint that it misses nothing, so that the next start need not look
//! ```
//!
//! - Who has got what says the store's marks: a crash loses nothing of it, and nothing is sent again for want of it.
//! - A lane sends at most so many spans per second, oldest turns first, when nothing live is to leave; the first goes before
//!   the others. For one endpoint alone no more than [`AHEAD_SPANS_MAX`] are put into the outbox at once: what is live need
//!   not wait behind it.
//! - A turn that goes on while an endpoint misses its beginning is caught up before.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::Engine;
use super::depart::Departure;
use super::leave::{SPANS_MAX, TEXT_BYTES_MAX};
use super::progress::Progress;
use crate::engine::turns::{Leaving, Next};
use crate::ledger::ended;
use crate::ledger::family::has_spans;
use crate::ledger::unit::{Unit, UnitId};
use crate::store::{Handed, Mark, MarkChange, Rows, StoreError, has_left};
use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;

/// Units that are looked at before something else has its turn.
const PLANNED_AT_ONCE: usize = 500;

/// Turns of a lane in one commit.
const TURNS_AT_ONCE: usize = 50;

/// Spans that wait for an endpoint at which no history is added for it alone.
const AHEAD_SPANS_MAX: u64 = 2_000;

/// How soon a lane is looked at again, in milliseconds.
const PAUSE_MS: i64 = 200;

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

/// What is still to be sent.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) rules: HistoryRules,
    /// The unit that was looked at last, while the plan is made.
    plan: Option<Option<u32>>,
    /// For all endpoints, then for each of the rules.
    pub(super) lanes: Vec<Lane>,
    /// Units of which something leaves with the next commit, and whether something had left before.
    left: BTreeMap<UnitId, bool>,
    /// What leaves with the next commit for one endpoint alone.
    alone: Vec<(Arc<str>, UnitId, Vec<SpanBatch>)>,
    /// Since when endpoints miss nothing, as the next commit stores it.
    complete: Vec<(Arc<str>, Option<Timestamp>)>,
    pub(super) progress: Progress,
    looked: Timestamp,
}

/// Turns that wait to be sent as history.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// When they ended, and the numbers of their units.
    pub(super) turns: BTreeSet<(Timestamp, u32)>,
    /// Hashes of their sessions, to be told at the start.
    pub(super) sessions: HashSet<u64>,
    /// It is known to be empty without a look.
    is_complete: bool,
    /// Thousandths of spans that may leave now, below zero after a long turn; and since when that is known.
    allowance: (i128, Option<Timestamp>),
    /// A long turn that is under way.
    pub(super) departure: Option<(UnitId, Departure)>,
}

impl History {
    /// True while there is something to do.
    pub(super) fn is_active(&self) -> bool {
        self.plan.is_some() || self.lanes.iter().any(|lane| !lane.turns.is_empty()) || self.progress.is_under_way()
    }

    /// When to look again.
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

    /// Notes a changed unit that is over without having left.
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

    fn add(&mut self, lane: usize, number: u32, unit: &Unit) -> bool {
        let Some(lane) = self.lanes.get_mut(lane) else { return false };
        lane.sessions.insert(xxh3_64(unit.session().0.as_bytes()));
        lane.turns.insert((ended::over(unit).at, number))
    }

    /// Puts a unit into the lanes where it belongs; `marked` are the endpoints that have got what has left of it.
    fn plan(&mut self, number: u32, unit: &Unit, marked: &[(String, u64)]) {
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

    /// Takes over from the stored rows which endpoints miss nothing, and what of that holds no longer. With no history
    /// wanted, an endpoint gets what ends from `epoch` on.
    fn begin(&mut self, rules: HistoryRules, stored: Vec<(String, Timestamp)>, epoch: Timestamp) {
        self.lanes = (0..=rules.endpoints.len()).map(|_| Lane::default()).collect();
        let wanted = rules.since.unwrap_or(epoch);
        for (name, since) in stored {
            let position = rules.endpoints.iter().position(|endpoint| **endpoint == *name);
            let Some(position) = position else {
                // What ends from now on it does not get.
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

    /// An endpoint has everything in the outbox that it is to get.
    fn completed(&mut self, position: usize) {
        if let (Some(lane), Some(name)) = (self.lanes.get_mut(position + 1), self.rules.endpoints.get(position))
            && !lane.is_complete
        {
            lane.is_complete = true;
            self.complete.push((Arc::clone(name), self.rules.since));
        }
    }
}

impl Lane {
    fn earn(&mut self, rate: u64, now: Timestamp) {
        let most = i128::from(rate) * 1_000;
        let (left, since) = self.allowance;
        let earned = since.map_or(most, |since| i128::from(now.since_ms(since)) * i128::from(rate));
        self.allowance = (left.saturating_add(earned).min(most), Some(now));
    }

    fn pay(&mut self, spans: usize) {
        self.allowance.0 -= spans as i128 * 1_000;
    }
}

impl Engine {
    /// Sends history as well: `rules` say what, and to whom.
    pub fn with_history(mut self, rules: HistoryRules, now: Timestamp) -> Result<Self, StoreError> {
        let stored = self.writer.rows().complete()?;
        self.history.begin(rules, stored, self.epoch.first_start);
        if !self.history.complete.is_empty() {
            // Before anything ends that one of them does not get.
            self.commit(now)?;
        }
        Ok(self)
    }

    /// Turns of the past that wait to be put into the outbox, for each endpoint.
    #[must_use]
    pub fn history_waiting(&self) -> Vec<(Arc<str>, u64)> {
        let lanes = &self.history.lanes;
        let for_all = lanes.first().map_or(0, |lane| lane.turns.len());
        let waiting = self.history.rules.endpoints.iter().zip(lanes.iter().skip(1));
        waiting.map(|(name, lane)| (Arc::clone(name), (for_all + lane.turns.len()) as u64)).collect()
    }

    /// Sends some of the history.
    pub(super) fn tick_history(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if !self.history.is_active() {
            return Ok(());
        }
        self.history.looked = now;
        if self.is_dirty() {
            self.commit(now)?;
        }
        if self.history.plan.is_some() {
            return self.plan_some();
        }
        for position in self.say_progress(now) {
            self.history.completed(position);
        }
        // Both at once would be more than the rate.
        let is_for_all = self.history.lanes.first().is_some_and(|lane| !lane.turns.is_empty());
        let lanes = if is_for_all { 0..1 } else { 1..self.history.lanes.len() };
        for lane in lanes {
            self.send_some(lane, now)?;
        }
        if !self.history.complete.is_empty() {
            self.commit(now)?;
        }
        Ok(())
    }

    fn plan_some(&mut self) -> Result<(), StoreError> {
        let Some(mut after) = self.history.plan else { return Ok(()) };
        for _ in 0..PLANNED_AT_ONCE {
            let rows = self.writer.rows();
            let Some(number) = rows.next_number(after)? else {
                self.history.plan = None;
                self.history.progress.planned();
                return Ok(());
            };
            after = Some(number);
            let marked = rows.marks(number)?;
            let is_marked = |name: &Arc<str>| marked.iter().any(|(marked, _)| **marked == **name);
            if self.history.rules.endpoints.iter().all(is_marked) {
                continue;
            }
            if let Some(unit) = rows.numbered(number)? {
                self.history.plan(number, &unit, &marked);
            }
        }
        self.history.plan = Some(after);
        Ok(())
    }

    /// Sends some turns of a lane, as one commit.
    fn send_some(&mut self, position: usize, now: Timestamp) -> Result<(), StoreError> {
        let endpoint = position.checked_sub(1).and_then(|position| self.history.rules.endpoints.get(position)).cloned();
        let rate = self.history.rules.rate;
        let Some(lane) = self.history.lanes.get_mut(position) else { return Ok(()) };
        lane.earn(rate, now);
        let meter = self.writer.meter();
        if lane.turns.is_empty() || endpoint.as_ref().is_some_and(|name| meter.spans_for(name) >= AHEAD_SPANS_MAX) {
            return Ok(());
        }
        let mut leaving = Leaving::default();
        let (mut spans, mut text_bytes) = (0, 0);
        for _ in 0..TURNS_AT_ONCE {
            let Some(lane) = self.history.lanes.get(position) else { break };
            let Some((_, number)) = lane.turns.first().copied().filter(|_| lane.allowance.0 > 0) else { break };
            let sent = match &endpoint {
                None => self.send_to_all(number, &mut leaving)?,
                Some(endpoint) => self.send_alone(position, endpoint, number)?,
            };
            spans += sent.spans;
            text_bytes += sent.text_bytes;
            let Some(lane) = self.history.lanes.get_mut(position) else { break };
            lane.pay(sent.spans);
            if sent.goes_on {
                break;
            }
            lane.turns.pop_first();
            if spans >= SPANS_MAX || text_bytes > TEXT_BYTES_MAX {
                break;
            }
        }
        self.handed_out = self.handed_out.max(leaving.until);
        self.write(leaving, now)?;
        self.latest_rows = std::sync::Mutex::default();
        Ok(())
    }

    /// Lets a turn leave that has left for nobody.
    fn send_to_all(&mut self, number: u32, leaving: &mut Leaving) -> Result<Sent, StoreError> {
        let (Some(since), Some(unit)) = (self.history.rules.since, self.writer.rows().numbered(number)?) else {
            return Ok(Sent::default());
        };
        let id = unit.key.id();
        let session = self.load_above(id)?;
        self.tighten_unit(id)?;
        session.map_or(Ok(()), |session| self.load_order(session))?;
        // Rows that came meanwhile may have changed it.
        let Some(unit) = self.known.unit(id).filter(|unit| is_untold(unit, since)) else { return Ok(Sent::default()) };
        let (next, is_long) = (Next::Leave { end: ended::over(unit), wanted: true }, self.turns.is_long(unit));
        let before = count(&leaving.spans);
        let mut sent = Sent::default();
        if is_long {
            sent.goes_on = self.depart(id, next, leaving)?;
        } else {
            sent.text_bytes = self.let_leave(id, next, leaving)?;
        }
        sent.spans = count(&leaving.spans) - before;
        Ok(sent)
    }

    /// Sends to one endpoint what has left of a turn.
    fn send_alone(&mut self, position: usize, endpoint: &Arc<str>, number: u32) -> Result<Sent, StoreError> {
        let rows = self.writer.rows();
        let (Some(since), Some(unit)) = (self.history.rules.since, rows.numbered(number)?) else {
            return Ok(Sent::default());
        };
        if !is_told(&unit, since) || is_marked(rows, number, endpoint)? {
            return Ok(Sent::default());
        }
        let id = unit.key.id();
        let (batches, text_bytes, goes_on) =
            if self.turns.is_long(&unit) { self.resend_piece(position, id)? } else { self.resend(id)? };
        let spans = count(&batches);
        self.history.leaves_alone(Arc::clone(endpoint), id, batches);
        Ok(Sent { spans, text_bytes, goes_on })
    }

    /// The endpoints that miss what has left of a unit, though they are to have it.
    pub(super) fn missed_by(&self, unit: &Unit) -> Result<Vec<Arc<str>>, StoreError> {
        let mut missed_by = Vec::new();
        if self.history.rules.since.is_some_and(|since| ended::over(unit).at >= since) {
            let marks = self.writer.rows().marks(self.number_of(unit.key.id())?)?;
            let endpoints = self.history.rules.endpoints.iter();
            missed_by.extend(endpoints.filter(|name| !marks.iter().any(|(marked, _)| **marked == ***name)).cloned());
        }
        Ok(missed_by)
    }

    /// What the next commit hands to some endpoints and not to others, and the marks of what leaves with it.
    pub(super) fn handed(&mut self) -> Result<Handed, StoreError> {
        let (left, alone) = (std::mem::take(&mut self.history.left), std::mem::take(&mut self.history.alone));
        let mut handed = Handed { complete: std::mem::take(&mut self.history.complete), ..Handed::default() };
        let mut mark = |unit, endpoint: &Arc<str>, change| {
            handed.marks.push(Mark { unit, endpoint: Arc::clone(endpoint), change });
        };
        for (id, had_left) in &left {
            let unit = self.number_of(*id)?;
            let known = self.writer.rows().marks(unit)?;
            for endpoint in &self.history.rules.endpoints {
                let first = known.iter().find(|(name, _)| **name == **endpoint).map(|(_, first)| *first);
                let is_caught_up = alone.iter().any(|(name, unit, _)| name == endpoint && unit == id);
                // Whoever misses the beginning goes on missing it.
                if first.is_some() || !had_left || is_caught_up {
                    mark(unit, endpoint, MarkChange::WithAll(first));
                }
            }
            for (name, _) in known {
                if !self.history.rules.endpoints.iter().any(|endpoint| **endpoint == *name) {
                    mark(unit, &name.into(), MarkChange::Without);
                }
            }
        }
        for (endpoint, id, _) in alone.iter().filter(|(_, id, _)| !left.contains_key(id)) {
            let lanes = self.history.rules.endpoints.iter().zip(self.history.lanes.iter().skip(1));
            let mut under_way = lanes.filter_map(|(name, lane)| Some((name, lane.departure.as_ref()?.0)));
            if !under_way.any(|under_way| under_way == (endpoint, *id)) {
                mark(self.number_of(*id)?, endpoint, MarkChange::Alone);
            }
        }
        for (endpoint, _, batches) in alone {
            handed.alone.extend(batches.into_iter().map(|batch| (Arc::clone(&endpoint), batch)));
        }
        Ok(handed)
    }
}

/// What came of sending a turn.
#[derive(Debug, Default)]
struct Sent {
    spans: usize,
    text_bytes: usize,
    goes_on: bool,
}

/// True for the root of a trace that is over and has left for nobody, though it ended late enough.
fn is_untold(unit: &Unit, since: Timestamp) -> bool {
    unit.export.done && !unit.export.sent && is_root(unit, since)
}

/// True for the root of a trace of which something has left.
fn is_told(unit: &Unit, since: Timestamp) -> bool {
    (unit.export.sent || !unit.export.done) && has_parts_left(unit) && is_root(unit, since)
}

fn is_root(unit: &Unit, since: Timestamp) -> bool {
    unit.leaves_with().is_none() && has_spans(unit) && ended::over(unit).at >= since
}

/// True if something of a unit has left, be it in a section.
pub(super) fn has_parts_left(unit: &Unit) -> bool {
    has_left(unit) || unit.sections.as_ref().is_some_and(|sections| sections.gist.unsent < sections.gist.spans)
}

fn is_marked(rows: Rows<'_>, unit: u32, endpoint: &str) -> Result<bool, StoreError> {
    Ok(rows.marks(unit)?.iter().any(|(name, _)| name == endpoint))
}

pub(super) fn count(batches: &[SpanBatch]) -> usize {
    batches.iter().map(|batch| batch.spans.len()).sum()
}
