//! Makes some parts of a long turn into spans, with the parts near them in memory.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::Engine;
use super::departure::{Chosen, Departure, Frame};
use crate::engine::turns::sent_ids;
use crate::ledger::family::is_background;
use crate::ledger::known::Known;
use crate::ledger::unit::{Message, Parts, TurnEnd, Unit, UnitId, UnitKey};
use crate::store::StoreError;
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::trace_of;
use crate::views::traces::ids::{EXECUTE_TOOL, SpanAt, span_id};
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{
    Earlier, Own, Position, Slice, TurnFacts, own_span, position_of, slice_spans, started_in,
};

impl Engine {
    /// Makes the chosen parts into spans. `root` is the unit that leaves.
    pub(super) fn slice(
        &mut self,
        departure: &mut Departure,
        chosen: &Chosen,
        root: UnitId,
        end: TurnEnd,
    ) -> Result<Vec<SpanBatch>, StoreError> {
        let Some(frame) = departure.frames.last_mut() else { return Ok(Vec::new()) };
        let (id, position) = (frame.unit, frame.position);
        self.load_callers(id, chosen)?;
        let (Some(unit), Some(root), Some(own)) =
            (self.known.unit(id), self.known.unit(root), self.known.parts(chosen.home))
        else {
            return Ok(Vec::new());
        };
        let around = window(&self.known, unit, chosen.near.clone(), own);
        let agents: HashMap<UnitId, Cow<'_, Unit>> =
            chosen.agents.iter().filter_map(|agent| Some((*agent, self.known.whole(*agent)?))).collect();
        let top = self.known.top_of(root);
        let find = |agent: &AgentId| {
            let id = UnitKey::agent(top.session(), agent).id();
            // Of a sub-agent that leaves by itself only the trace id is needed, for a link.
            agents.get(&id).map(|unit| &**unit).or_else(|| self.known.unit(id).filter(|unit| is_background(unit)))
        };
        let facts = TurnFacts { turn: top, agents: &find, position: self.position(root, top, departure.earlier), end };
        let slice = Slice {
            unit: &around,
            own,
            only: &chosen.only,
            trace: trace_of(root),
            root,
            end: end_in(unit, id == root.key.id(), end),
        };
        let (batch, events) = slice_spans(&facts, &slice, &mut departure.named);
        if frame.seen <= position {
            frame.seen = position + 1;
            frame.see(own, events);
        }
        let sent = sent_ids(agents.values().map(|unit| &**unit), trace_of(root));
        let mut batches = vec![batch];
        batches.iter_mut().for_each(|batch| batch.spans.retain(|span| !sent.contains(&span.id)));
        batches.retain(|batch| !batch.spans.is_empty());
        let units: Vec<&Unit> = std::iter::once(&around).chain(agents.values().map(|unit| &**unit)).collect();
        self.finish(&mut batches, root.session(), &units);
        Ok(batches)
    }

    /// Loads the responses that made the chosen calls. One response may make any number of calls, so it may stand in a
    /// section far away.
    fn load_callers(&mut self, id: UnitId, chosen: &Chosen) -> Result<(), StoreError> {
        let Some(parts) = self.known.parts(chosen.home) else { return Ok(()) };
        let mut callers: Vec<Box<str>> =
            parts.tools.iter().filter_map(|tool| Some(tool.call.as_ref()?.message.clone())).collect();
        callers.dedup();
        for caller in callers {
            let home = self.known.home_of_message(&caller);
            if let Some(home) = home.filter(|home| self.known.index.owner(*home) == id) {
                self.load(home)?;
            }
        }
        Ok(())
    }

    /// The own span of a unit whose parts have left, as a batch; empty if that span has left already.
    pub(super) fn own_spans(&self, departure: &Departure, frame: &Frame, root: UnitId, end: TurnEnd) -> Vec<SpanBatch> {
        let (Some(unit), Some(root)) = (self.known.unit(frame.unit), self.known.unit(root)) else { return Vec::new() };
        if unit.export.sent {
            return Vec::new();
        }
        let messages = frame.first.iter().chain(&frame.answer).cloned().collect();
        let shown =
            Unit { parts: Parts { messages, ..Parts::default() }, sections: unit.sections.clone(), ..unit.head() };
        let top = self.known.top_of(root);
        let facts =
            TurnFacts { turn: top, agents: &|_| None, position: self.position(root, top, departure.earlier), end };
        let trace = trace_of(root);
        let own = Own {
            unit: &shown,
            trace,
            root,
            parent: frame.call.as_deref().map(|call| span_id(trace, EXECUTE_TOOL, call)),
            started_by: if frame.call.is_none() { self.started_by(root) } else { None },
            end: end_in(unit, frame.call.is_none(), end),
            tokens: unit.gist_with_below().tokens,
            events: frame.events.clone(),
            events_dropped: frame.events_dropped,
        };
        let mut batches = vec![own_span(&facts, &own)];
        self.finish(&mut batches, root.session(), &[&shown]);
        batches
    }

    /// The span of the call that started a sub-agent which has a trace of its own.
    fn started_by(&self, unit: &Unit) -> Option<SpanAt> {
        let call = unit.agent.as_ref()?.call.as_deref()?;
        started_in(&self.known.above(unit), call)
    }

    fn position<'a>(&'a self, root: &Unit, top: &Unit, earlier: Earlier) -> Position<'a> {
        let session = self.known.session(root.session());
        session.map_or_else(Position::default, |session| position_of(session, top, earlier))
    }
}

/// A unit with the parts of the sections in `near`, and with the responses from other sections that made the calls of
/// `own`.
fn window(known: &Known, unit: &Unit, near: Range<u32>, own: &Parts) -> Unit {
    let id = unit.key.id();
    let mut parts = Parts::default();
    if unit.sections.is_some() {
        for position in near {
            if let Some(near) = known.parts(id.section(position)) {
                parts.append(near.clone());
            }
        }
        let is_near: HashSet<&str> = parts.messages.iter().map(|message| &*message.id).collect();
        let calls = own.tools.iter().filter_map(|tool| tool.call.as_ref());
        let far: HashSet<&str> =
            calls.map(|call| &*call.message).filter(|message| !is_near.contains(message)).collect();
        let far = far.into_iter().filter_map(|message| known.parts(known.home_of_message(message)?)?.message(message));
        let far: Vec<Message> = far.cloned().collect();
        parts.messages.extend(far);
    } else {
        parts = own.clone();
    }
    Unit { parts, ..unit.head() }
}

/// When a unit ended: `end` for the root, and the time of its last activity for a sub-agent below it.
fn end_in(unit: &Unit, is_root: bool, end: TurnEnd) -> Timestamp {
    let gist = unit.gist();
    match unit.gist_with_below().latest {
        _ if is_root => end.at,
        // How long a call without a result lasts is known only from the sub-agent below it.
        Some(latest) if gist.open > 0 => latest,
        _ => unit.activity_end(),
    }
}
