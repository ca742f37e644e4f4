//! Makes spans that have left already once more, for an endpoint that has not got them.
//!
//! A long turn is walked as if it left for the first time, with the `sent` marks of its parts inverted: parts that have
//! left are made into spans, and parts that have not are passed over, because they will leave for all endpoints later.
//! The inverted marks are never stored.

use std::collections::HashSet;

use super::Engine;
use super::departure::{Departure, Frame, UNITS_MAX, count};
use super::leave::{SPANS_MAX, family_of};
use crate::engine::turns::sent_ids;
use crate::ledger::ended;
use crate::ledger::family::Family;
use crate::ledger::unit::{Parts, Unit, UnitId};
use crate::store::StoreError;
use crate::views::traces::ids::trace_of;
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Position, family_spans, position_of};

/// Spans, the bytes of text in them, and whether there are more of the same unit.
pub(super) type Again = (Vec<SpanBatch>, usize, bool);

impl Engine {
    /// The spans that have left of a unit that is not long. Every change must be stored before.
    pub(super) fn resend(&mut self, id: UnitId) -> Result<Again, StoreError> {
        let session = self.load_above(id)?;
        session.map_or(Ok(()), |session| self.load_order(session))?;
        self.load_below(id)?;
        let Some(family) = family_of(&self.known, id) else { return Ok((Vec::new(), 0, false)) };
        let (batches, text_bytes) = self.again(&family)?;
        Ok((batches, text_bytes, false))
    }

    /// The spans that have left of a family, and the bytes of text in them.
    pub(super) fn again(&self, family: &Family<'_>) -> Result<(Vec<SpanBatch>, usize), StoreError> {
        let (unit, session) = (family.unit(), self.known.session(family.top().session()));
        let earlier = self.earlier_of(family.top(), session)?;
        let position = session.map_or_else(Position::default, |session| position_of(session, family.top(), earlier));
        let end = if unit.export.done { ended::over(unit) } else { ended::so_far(unit) };
        let (mut batches, own) = (family_spans(family, position, end), trace_of(unit));
        let sent = sent_ids(std::iter::once(unit).chain(family.below()), own);
        for batch in &mut batches {
            // Sub-agents that are nested too deep for this trace have traces of their own, which left with the root.
            batch.spans.retain(|span| if span.trace == own { sent.contains(&span.id) } else { unit.export.sent });
        }
        batches.retain(|batch| !batch.spans.is_empty());
        let text_bytes = self.finish(&mut batches, unit.session(), &family.units().collect::<Vec<_>>());
        Ok((batches, text_bytes))
    }

    /// The next piece of the spans that have left of a long unit, for the endpoint of `lane`. Every change must be
    /// stored before.
    pub(super) fn resend_piece(&mut self, lane: usize, id: UnitId) -> Result<Again, StoreError> {
        self.load_index()?;
        let departure = self.history.lanes.get_mut(lane).and_then(|lane| lane.departure.take());
        let departure = departure.filter(|(of, _)| *of == id).map(|(_, departure)| departure);
        self.known.forget();
        self.turns_marks_round = true;
        let walked = self.walk(departure, id);
        self.turns_marks_round = false;
        self.known.forget();
        let (departure, batches) = walked?;
        let goes_on = departure.is_some();
        if let Some(lane) = self.history.lanes.get_mut(lane) {
            lane.departure = departure.map(|departure| (id, departure));
        }
        Ok((batches, 0, goes_on))
    }

    fn walk(
        &mut self,
        departure: Option<Departure>,
        id: UnitId,
    ) -> Result<(Option<Departure>, Vec<SpanBatch>), StoreError> {
        let session = self.load_above(id)?;
        session.map_or(Ok(()), |session| self.load_order(session))?;
        let Some(unit) = self.known.unit(id) else { return Ok((None, Vec::new())) };
        let end = if unit.export.done { ended::over(unit) } else { ended::so_far(unit) };
        let mut departure = match departure {
            Some(departure) => departure,
            None => {
                let top = self.known.top_of(unit);
                let earlier = self.earlier_of(top, self.known.session(top.session()))?;
                let mut departure = Departure::new(HashSet::new(), earlier);
                departure.frames.push(Frame::of(id, None));
                departure
            }
        };
        let (mut batches, mut units) = (Vec::new(), 0);
        while count(&batches) < SPANS_MAX && units < UNITS_MAX {
            let Some(frame) = departure.frames.last_mut() else { return Ok((None, batches)) };
            self.load(frame.unit)?;
            let Some(home) = self.known.unit(frame.unit).and_then(|unit| frame.next_home(unit)) else {
                let Some(frame) = departure.frames.pop() else { return Ok((None, batches)) };
                batches.extend(self.own_spans(&departure, &frame, id, end));
                departure.walked.insert(frame.unit);
                continue;
            };
            let Some(chosen) = self.choose(&mut departure, home)? else { continue };
            batches.extend(self.slice(&mut departure, &chosen, id, end)?);
            units += 1 + chosen.agents.len();
            let calls = self.known.parts(home).map_or(0, |parts| parts.tools.len());
            if let Some(frame) = departure.frames.last_mut()
                && frame.tool >= calls
            {
                (frame.position, frame.tool) = (frame.position + 1, 0);
            }
        }
        let is_over = departure.frames.is_empty();
        Ok(((!is_over).then_some(departure), batches))
    }
}

/// Inverts the `sent` marks of a unit and of the parts that it holds itself.
pub(super) fn turn_round(unit: &mut Unit) {
    unit.export.sent = !unit.export.sent;
    turn_parts_round(&mut unit.parts);
}

/// Inverts the `sent` marks of parts.
pub(super) fn turn_parts_round(parts: &mut Parts) {
    parts.messages.iter_mut().for_each(|message| message.sent = !message.sent);
    parts.tools.iter_mut().for_each(|tool| tool.sent = !tool.sent);
    parts.compactions_mut().for_each(|row| row.sent = !row.sent);
}
