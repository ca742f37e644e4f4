//! Sends history: turns of the past that some endpoint should have and does not have.
//!
//! ```text
//! plan     every unit of the state is looked at once, unless all endpoints are known to miss nothing
//! lanes    the first lane holds turns that have left for nobody: they leave like any other turn, for all endpoints
//!          each endpoint has a further lane: turns that have left, but not for it, leave once more for it alone
//! end      the store notes that an endpoint misses nothing, so that the next start need not make a plan
//! ```
//!
//! - Marks in the store say which endpoint has got which turn, so that a crash neither loses a turn nor sends one
//!   again.
//! - A lane sends at most [`HistoryRules::rate`] spans per second, oldest turns first, and only when no live turn is to
//!   leave. The lane for all endpoints goes before the others. For one endpoint alone nothing is added while
//!   [`AHEAD_SPANS_MAX`] spans or more wait for it in the outbox, so that live turns need not wait behind history.
//! - If a turn goes on while an endpoint misses its beginning, the beginning is sent to that endpoint first.

use std::sync::Arc;

use super::Engine;
use super::departure::count;
use super::lane::HistoryRules;
use super::lanes::{Unsent, is_told, is_untold};
use super::leave::{SPANS_MAX, TEXT_BYTES_MAX};
use crate::engine::turns::{Leaving, Next};
use crate::ledger::ended;
use crate::ledger::unit::Unit;
use crate::store::{Handed, Mark, MarkChange, Rows, StoreError};
use crate::transcript::time::Timestamp;

/// Units that one step of the plan looks at, before the engine does something else.
const PLANNED_AT_ONCE: usize = 500;

/// Most turns of a lane that leave in one commit.
const TURNS_AT_ONCE: usize = 50;

/// If this many spans wait for an endpoint in the outbox, no history is added for it alone.
const AHEAD_SPANS_MAX: u64 = 2_000;

impl Engine {
    /// Logs how much history is sent. Returns the positions of endpoints for which all history is in the outbox.
    fn say_progress(&mut self, now: Timestamp) -> Vec<usize> {
        let meter = self.writer.meter();
        let Unsent { progress, rules, lanes, .. } = &mut self.history;
        progress.say(rules, lanes, &meter, now)
    }

    /// Makes the engine send history too: `rules` say which turns, and to which endpoints.
    pub fn with_history(mut self, rules: HistoryRules, now: Timestamp) -> Result<Self, StoreError> {
        let stored = self.writer.rows().complete()?;
        self.history.begin(rules, stored, self.epoch.first_start);
        if !self.history.complete.is_empty() {
            // This must be stored before a turn ends that one of these endpoints does not get.
            self.commit(now)?;
        }
        Ok(self)
    }

    /// How many turns of the past wait to be put into the outbox, by name of the endpoint.
    #[must_use]
    pub fn history_waiting(&self) -> Vec<(Arc<str>, u64)> {
        let lanes = &self.history.lanes;
        let for_all = lanes.first().map_or(0, |lane| lane.turns.len());
        let waiting = self.history.rules.endpoints.iter().zip(lanes.iter().skip(1));
        waiting.map(|(name, lane)| (Arc::clone(name), (for_all + lane.turns.len()) as u64)).collect()
    }

    /// Sends some history, or makes a step of the plan.
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
        // The lanes of single endpoints wait for the first lane, or an endpoint would get more than the rate.
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

    /// Lets a turn that has left for nobody leave for all endpoints.
    fn send_to_all(&mut self, number: u32, leaving: &mut Leaving) -> Result<Sent, StoreError> {
        let (Some(since), Some(unit)) = (self.history.rules.since, self.writer.rows().numbered(number)?) else {
            return Ok(Sent::default());
        };
        let id = unit.key.id();
        let session = self.load_above(id)?;
        self.tighten_unit(id)?;
        session.map_or(Ok(()), |session| self.load_order(session))?;
        // Rows that came since the plan was made may have changed the unit.
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

    /// Sends the spans of a turn that have left already to one endpoint alone.
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

    /// The endpoints that should have the spans of a unit that have left, and do not have them.
    pub(super) fn missed_by(&self, unit: &Unit) -> Result<Vec<Arc<str>>, StoreError> {
        let mut missed_by = Vec::new();
        if self.history.rules.since.is_some_and(|since| ended::over(unit).at >= since) {
            let marks = self.writer.rows().marks(self.number_of(unit.key.id())?)?;
            let endpoints = self.history.rules.endpoints.iter();
            missed_by.extend(endpoints.filter(|name| !marks.iter().any(|(marked, _)| **marked == ***name)).cloned());
        }
        Ok(missed_by)
    }

    /// What the next commit hands to single endpoints, and the marks of the units of which something leaves with it.
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
                // An endpoint that misses the beginning of the turn gets no mark, because it still misses that.
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

/// The result of sending a turn: numbers of spans and bytes of text, and whether more of the turn is to be sent.
#[derive(Debug, Default)]
struct Sent {
    spans: usize,
    text_bytes: usize,
    goes_on: bool,
}

fn is_marked(rows: Rows<'_>, unit: u32, endpoint: &str) -> Result<bool, StoreError> {
    Ok(rows.marks(unit)?.iter().any(|(name, _)| name == endpoint))
}
