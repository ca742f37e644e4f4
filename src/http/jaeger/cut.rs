//! Cuts a trace that has more spans than an answer may have: makes its first spans, and its root.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::http::jaeger::lookup::Lookup;
use crate::ledger::family::{LEVELS_MAX, is_background, is_started_by};
use crate::ledger::unit::{Parts, Tool, Unit, UnitId, UnitKey};
use crate::store::StoreError;
use crate::transcript::ids::AgentId;
use crate::views::traces::ids::trace_of;
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Own, Position, Slice, TurnFacts, own_span, position_of, slice_spans, started_in};

/// A trace that is cut.
pub(super) struct Cut {
    /// The first spans of the trace, and its root.
    pub(super) batch: SpanBatch,
    /// The units of which spans are in `batch`.
    pub(super) units: Vec<UnitId>,
    /// The units that these spans were made of, as far as they were read.
    pub(super) shown: Vec<Unit>,
}

/// The room for spans that is left, and the parts and sub-agents that were put into it.
#[derive(Default)]
struct Room {
    spans: usize,
    parts: Parts,
    only: HashSet<Box<str>>,
    agents: HashMap<UnitId, Unit>,
}

impl Cut {
    pub(super) fn of(lookup: &Lookup<'_>, root: &Unit, spans_max: usize) -> Result<Self, StoreError> {
        let mut room = Room { spans: spans_max.saturating_sub(1), ..Room::default() };
        room.fill(lookup, root, &root.parts)?;
        let mut failed = Ok(());
        if root.sections.is_some() {
            lookup.reader.each_section(root.key.id(), |section| {
                failed = room.fill(lookup, root, &section.parts);
                if failed.is_err() || room.spans == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        failed?;
        let shown = Unit { parts: room.parts, sections: root.sections.clone(), ..root.head() };
        let mut above: Vec<Unit> = Vec::new();
        let mut parent = root.agent.as_ref().and_then(|agent| agent.parent);
        while let Some(id) = parent.filter(|_| above.len() < LEVELS_MAX) {
            let Some(unit) = lookup.reader.unit(id)? else { break };
            parent = unit.agent.as_ref().and_then(|agent| agent.parent);
            above.push(unit);
        }
        let top = above.last().unwrap_or(&shown);
        let session = lookup.session(top.session())?;
        let earlier = lookup.earlier(session.as_deref(), top)?;
        let position = session.as_deref().map_or_else(Position::default, |session| position_of(session, top, earlier));
        let find = |agent: &AgentId| room.agents.get(&UnitKey::agent(top.session(), agent).id());
        let gist = root.gist_with_below();
        let end = lookup.end_of(root, gist.latest.unwrap_or_else(|| root.activity_end()));
        let facts = TurnFacts { turn: top, agents: &find, position, end };
        let (trace, own) = (trace_of(root), &shown.parts);
        let slice = Slice { unit: &shown, own, only: &room.only, trace, root: &shown, end: end.at };
        let (mut batch, events) = slice_spans(&facts, &slice, &mut HashSet::new());
        let call = root.agent.as_ref().and_then(|agent| agent.call.as_deref());
        let started_by = call.and_then(|call| started_in(&above.iter().collect::<Vec<_>>(), call));
        let own = Own {
            unit: &shown,
            trace,
            root: &shown,
            parent: None,
            started_by,
            end: end.at,
            tokens: gist.tokens,
            events,
            events_dropped: 0,
        };
        batch.spans.extend(own_span(&facts, &own).spans);
        let units = room.agents.iter().filter(|(_, unit)| !is_background(unit)).map(|(id, _)| *id);
        let units = units.chain([root.key.id()]).collect();
        let agents = room.agents.into_values();
        Ok(Self { batch, units, shown: agents.chain([shown]).collect() })
    }
}

impl Room {
    /// Adds as many of these parts as there is room for, each call with the sub-agents below it.
    fn fill(&mut self, lookup: &Lookup<'_>, root: &Unit, parts: &Parts) -> Result<(), StoreError> {
        let room = |room: &mut usize, spans: usize| {
            let fits = spans <= *room;
            *room = room.saturating_sub(spans);
            fits
        };
        for message in &parts.messages {
            if room(&mut self.spans, 1) {
                self.only.insert(message.id.clone());
            }
        }
        self.only.extend(parts.compactions().map(|(row, _)| row.id.to_string().into()));
        for tool in parts.tools.iter().filter(|tool| tool.call.is_some()) {
            let mut below = Vec::new();
            for agent in tool.agents() {
                below.extend(self.below(lookup, root, agent, &tool.id)?);
            }
            let spans = below.iter().filter(|unit| !is_background(unit)).map(|unit| unit.gist().spans + 1).sum::<u64>();
            let spans = usize::try_from(spans).unwrap_or(usize::MAX);
            if spans < self.spans {
                room(&mut self.spans, spans + 1);
                self.only.insert(tool.id.clone());
                self.agents.extend(below.into_iter().map(|unit| (unit.key.id(), unit)));
            } else {
                self.spans = 0;
                break;
            }
        }
        // All parts are kept, because failures and hooks among them belong to spans that are shown.
        self.parts.append(parts.clone());
        Ok(())
    }

    /// The sub-agents below a call, if there is room for them. A background agent is only named, because it has a trace
    /// of its own.
    fn below(&self, lookup: &Lookup<'_>, root: &Unit, agent: &AgentId, call: &str) -> Result<Vec<Unit>, StoreError> {
        let id = |agent: &AgentId| UnitKey::agent(root.session(), agent).id();
        let Some(head) = lookup.reader.unit(id(agent))? else { return Ok(Vec::new()) };
        if is_background(&head) {
            let is_own = head.agent.as_ref().is_some_and(|agent| agent.call.as_deref() == Some(call));
            return Ok(if is_own { vec![head] } else { Vec::new() });
        }
        // If there is no room for a sub-agent, its call is shown without it.
        if !is_started_by(&head, call) || head.gist_with_below().spans >= self.spans as u64 {
            return Ok(Vec::new());
        }
        let (mut found, mut open) = (Vec::new(), vec![head]);
        let mut met: HashSet<UnitId> = HashSet::new();
        while let Some(unit) = open.pop() {
            if !met.insert(unit.key.id()) {
                continue;
            }
            let unit = if is_background(&unit) { unit } else { lookup.reader.joined(unit)? };
            for agent in unit.parts.tools.iter().flat_map(Tool::agents) {
                open.extend(lookup.reader.unit(id(agent))?);
            }
            found.push(unit);
        }
        Ok(found)
    }
}
