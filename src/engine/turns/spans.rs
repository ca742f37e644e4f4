//! Makes the spans of a unit that have not left yet, and marks the parts whose spans have left.

use std::collections::HashSet;

use crate::ledger::family::Family;
use crate::ledger::known::Known;
use crate::ledger::unit::{Parts, TurnEnd, Unit, UnitId};
use crate::views::traces::ids::{CHAT, COMPACTION, EXECUTE_TOOL, INVOKE_AGENT, TURN, TURN_KEY, span_id};
use crate::views::traces::ids::{SpanId, TraceId, trace_of};
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Position, family_spans};

/// The spans of a unit that has ended, and of the sub-agents below it, without those that have left.
pub(crate) fn spans(family: &Family<'_>, position: Position<'_>, end: TurnEnd) -> Vec<SpanBatch> {
    let (mut batches, left) = (family_spans(family, position, end), Left::of(family));
    for batch in &mut batches {
        batch.spans.retain(|span| !left.sent.contains(&span.id));
    }
    batches.retain(|batch| !batch.spans.is_empty());
    batches
}

/// The spans of an open unit, and of the sub-agents below it, that cannot change any more, without those that have
/// left.
pub(crate) fn finished_spans(family: &Family<'_>, position: Position<'_>, so_far: TurnEnd) -> Vec<SpanBatch> {
    let (mut batches, left) = (family_spans(family, position, so_far), Left::of(family));
    let own = trace_of(family.unit());
    batches.retain(|batch| batch.spans.first().is_some_and(|span| span.trace == own));
    for batch in &mut batches {
        batch.spans.retain(|span| !left.sent.contains(&span.id) && left.finished.contains(&span.id));
    }
    batches.retain(|batch| !batch.spans.is_empty());
    batches
}

/// Ids of spans in a unit's own trace.
#[derive(Default)]
struct Left {
    /// Ids of the spans that have left.
    sent: HashSet<SpanId>,
    /// Ids of the spans that cannot change any more.
    finished: HashSet<SpanId>,
}

impl Left {
    fn of(family: &Family<'_>) -> Self {
        let (trace, mut left) = (trace_of(family.unit()), Self::default());
        for unit in std::iter::once(family.unit()).chain(family.below()) {
            left.note(unit, trace);
        }
        left
    }

    fn note(&mut self, unit: &Unit, trace: TraceId) {
        let (kind, key) = unit.agent.as_ref().map_or((TURN, TURN_KEY), |agent| (INVOKE_AGENT, &*agent.id.0));
        if unit.export.sent {
            self.sent.insert(span_id(trace, kind, key));
        }
        for message in &unit.parts.messages {
            // If two responses share a request id, one span id is derived from the message id, so both are noted.
            for key in message.request.as_deref().into_iter().chain([&*message.id]) {
                let id = span_id(trace, CHAT, key);
                if message.sent {
                    self.sent.insert(id);
                }
                if message.closed {
                    self.finished.insert(id);
                }
            }
        }
        for (row, _) in unit.parts.compactions() {
            let id = span_id(trace, COMPACTION, &row.id.to_string());
            if row.sent {
                self.sent.insert(id);
            }
            self.finished.insert(id);
        }
        for tool in &unit.parts.tools {
            let id = span_id(trace, EXECUTE_TOOL, &tool.id);
            if tool.sent {
                self.sent.insert(id);
            }
            // A call that started a sub-agent lasts as long as the sub-agent, so it is not finished and leaves with the
            // root.
            if tool.is_finished() {
                self.finished.insert(id);
            }
        }
    }
}

/// Ids of the spans of these units in `trace` that have left.
pub(crate) fn sent_ids<'a>(units: impl Iterator<Item = &'a Unit>, trace: TraceId) -> HashSet<SpanId> {
    let mut left = Left::default();
    units.for_each(|unit| left.note(unit, trace));
    left.sent
}

/// Marks parts whose spans have left (`sent`) or are not to leave.
pub(crate) fn mark_parts(known: &mut Known, home: UnitId, sent: bool) {
    let is_marked = |parts: &Parts| {
        parts.messages.iter().all(|message| message.closed && (message.sent || !sent))
            && parts.tools.iter().all(|tool| tool.told_result().is_some() || tool.result.is_none())
            && (!sent
                || parts.tools.iter().all(|tool| tool.sent || tool.call.is_none())
                    && parts.compactions().all(|(row, _)| row.sent))
    };
    if known.parts(home).is_none_or(is_marked) {
        return;
    }
    let Some(parts) = known.parts_mut(home) else { return };
    // No row follows the last response of a turn, so nothing else would mark that response as complete.
    parts.messages.iter_mut().for_each(|message| message.closed = true);
    parts.give_up();
    if sent {
        parts.messages.iter_mut().for_each(|message| message.sent = true);
        parts.tools.iter_mut().filter(|tool| tool.call.is_some()).for_each(|tool| tool.sent = true);
        parts.compactions_mut().for_each(|row| row.sent = true);
    }
}

/// Marks the parts of an open unit whose spans have left early.
pub(crate) fn mark_finished(known: &mut Known, home: UnitId) {
    let Some(parts) = known.parts_mut(home) else { return };
    parts.messages.iter_mut().filter(|message| message.closed).for_each(|message| message.sent = true);
    parts.tools.iter_mut().filter(|tool| tool.is_finished()).for_each(|tool| tool.sent = true);
    parts.compactions_mut().for_each(|row| row.sent = true);
}
