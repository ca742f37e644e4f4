//! Builds the spans of a trace: goes down from a unit to its calls and their sub-agents, and brings sums and ends back
//! up.

use std::collections::{HashSet, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::critical::OnPath;
use super::describe::{self, MAIN_AGENT, SpanThread};
use super::facts::{Own, Position, Slice, TurnFacts};
use super::list::AttributeList;
use super::{events, text};
use crate::ledger::family::AgentWalk;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Agent, Identity, Message, RowFact, Tool, Unit};
use crate::transcript::record::Compaction;
use crate::transcript::time::Timestamp;
use crate::views::traces::attributes as name;
use crate::views::traces::ids::trace_of;
use crate::views::traces::ids::{
    CHAT, COMPACTION, EXECUTE_TOOL, INVOKE_AGENT, SpanAt, SpanId, TURN, TURN_KEY, TraceId, span_id,
};
use crate::views::traces::span::{Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus};

/// Every trace of a turn, its own first. Traces of background sub-agents are there only if `with_background` is true.
pub(super) fn all_traces(facts: &TurnFacts<'_>, with_background: bool) -> Vec<SpanBatch> {
    let mut walk = Walk::of(facts, facts.turn);
    walk.with_background = with_background;
    walk.on_path = OnPath::of(facts);
    let mut batches = vec![walk.trace(facts.turn, facts.end.at, describe::turn_links(facts.turn, facts.position))];
    // The turn does not wait for sub-agents that have traces of their own.
    walk.on_path = OnPath::default();
    while let Some(Apart { unit, started_by }) = walk.apart.pop_front() {
        let links = vec![describe::link(started_by, name::LINK_STARTED_BY)];
        batches.push(walk.trace(unit, unit.activity_end(), links));
    }
    batches
}

/// The trace of a sub-agent that was started in a turn.
pub(super) fn apart_trace<'a>(facts: &TurnFacts<'a>, agent: &'a Unit, started_by: SpanAt) -> SpanBatch {
    Walk::of(facts, agent).trace(agent, agent.activity_end(), vec![describe::link(started_by, name::LINK_STARTED_BY)])
}

/// Some of the spans directly and indirectly below a unit, and the events that belong to the unit's own span.
pub(super) fn slice<'a>(
    facts: &TurnFacts<'a>,
    slice: &Slice<'a>,
    named: &mut HashSet<u64>,
) -> (SpanBatch, Vec<SpanEvent>) {
    let mut walk = Walk::of(facts, slice.unit);
    walk.with_background = false;
    let mut trace = TraceBuilder { id: slice.trace, requests: std::mem::take(named), spans: Vec::new() };
    let of = Invocation {
        unit: slice.unit,
        id: slice.id(),
        key: "",
        parent: None,
        links: Vec::new(),
        end: slice.end,
        depth: 0,
        only: Some(slice.only),
    };
    let thread = walk.thread(slice.unit);
    walk.below(&mut trace, &of, thread);
    *named = std::mem::take(&mut trace.requests);
    let mut chats: Vec<_> = slice.unit.parts.messages.iter().collect();
    chats.sort_by_key(|message| (message.start, &message.id));
    (walk.batch(trace, slice.root), events::of_unit(slice.own, &chats))
}

/// The own span of a unit whose children were made before.
pub(super) fn own<'a>(facts: &TurnFacts<'a>, own: &Own<'a>) -> SpanBatch {
    let walk = Walk::of(facts, own.unit);
    let mut trace = TraceBuilder { id: own.trace, requests: HashSet::new(), spans: Vec::new() };
    let (kind, key) = own.unit.agent.as_ref().map_or((TURN, TURN_KEY), |agent| (INVOKE_AGENT, &*agent.id.0));
    let links = match own.started_by {
        Some(started_by) => vec![describe::link(started_by, name::LINK_STARTED_BY)],
        None if own.parent.is_none() => describe::turn_links(own.unit, facts.position),
        None => Vec::new(),
    };
    let (parent, end, only) = (own.parent, own.end, None);
    let of = Invocation { unit: own.unit, id: span_id(own.trace, kind, key), key, parent, links, end, depth: 0, only };
    walk.close(
        &mut trace,
        of,
        Grown { tokens: own.tokens, end: own.end, events: own.events.clone(), dropped: own.events_dropped },
    );
    walk.batch(trace, own.root)
}

/// A walk over all traces of one turn.
struct Walk<'f, 'a> {
    facts: &'f TurnFacts<'a>,
    reach: AgentWalk<'f, 'a>,
    /// Whether background sub-agents, which go on after their calls have returned, are walked too.
    with_background: bool,
    /// What lies on the critical path of the turn, while the turn's own trace is made.
    on_path: OnPath,
    /// Sub-agents with traces of their own that are still to be walked.
    apart: VecDeque<Apart<'a>>,
}

/// A sub-agent whose trace is still to be built.
struct Apart<'a> {
    unit: &'a Unit,
    started_by: SpanAt,
}

/// One trace in the making.
struct TraceBuilder<'a> {
    id: TraceId,
    /// Hashes of the request ids that span ids of this trace were derived from already.
    requests: HashSet<u64>,
    /// Spans with their natural keys.
    spans: Vec<(&'a str, Span)>,
}

/// A turn or a sub-agent about to become a span with everything below it.
struct Invocation<'a> {
    unit: &'a Unit,
    id: SpanId,
    key: &'a str,
    parent: Option<SpanId>,
    links: Vec<SpanLink>,
    /// The end of the span, unless something below it that has no end of its own lasts longer.
    end: Timestamp,
    depth: usize,
    /// Ids of the unit's parts that become spans; `None` for all.
    only: Option<&'a HashSet<Box<str>>>,
}

/// When the span of a unit begins: with its prompt. Rows that continue a turn of another file have no prompt; their
/// span begins with the request of their first response, which is earlier than their first row.
fn start_of(unit: &Unit) -> Timestamp {
    let requests = unit.parts.messages.iter().filter(|_| unit.agent.is_none()).map(|message| message.start);
    unit.prompt.as_ref().map_or_else(|| requests.fold(unit.first, Timestamp::min), |prompt| prompt.time)
}

/// What the spans below a unit add to the span of the unit, or a unit to the span above it.
struct Grown {
    tokens: Tokens,
    end: Timestamp,
    events: Vec<SpanEvent>,
    /// Number of events that were left out before.
    dropped: usize,
}

impl<'f, 'a> Walk<'f, 'a> {
    fn of(facts: &'f TurnFacts<'a>, root: &'a Unit) -> Self {
        let (reach, on_path) = (AgentWalk::from(root, facts.agents), OnPath::default());
        Self { facts, reach, with_background: true, on_path, apart: VecDeque::new() }
    }

    /// The trace whose root is `unit`.
    fn trace(&mut self, unit: &'a Unit, end: Timestamp, links: Vec<SpanLink>) -> SpanBatch {
        let id = trace_of(unit);
        let (kind, key) = unit.agent.as_ref().map_or((TURN, TURN_KEY), |agent| (INVOKE_AGENT, &agent.id.0));
        let mut trace = TraceBuilder { id, requests: HashSet::new(), spans: Vec::new() };
        let root = Invocation { unit, id: span_id(id, kind, key), key, parent: None, links, end, depth: 0, only: None };
        self.invoke(&mut trace, root);
        self.batch(trace, unit)
    }

    /// The spans of a trace in order, as a batch. `unit` is the root of the trace, whose client version the batch gets.
    fn batch(&self, mut trace: TraceBuilder<'_>, unit: &Unit) -> SpanBatch {
        trace.spans.sort_by(|(a_key, a), (b_key, b)| {
            (a.parent.is_none(), a.start, a_key).cmp(&(b.parent.is_none(), b.start, b_key))
        });
        let version = unit.context.version.as_ref().or(self.facts.turn.context.version.as_ref());
        SpanBatch {
            service_version: version.map_or_else(String::new, |version| version.to_string()),
            spans: trace.spans.into_iter().map(|(_, span)| span).collect(),
        }
    }

    /// Makes all spans below a turn or sub-agent, then its own.
    fn invoke(&mut self, trace: &mut TraceBuilder<'a>, of: Invocation<'a>) -> Grown {
        let unit = of.unit;
        let thread = self.thread(unit);
        let below = self.below(trace, &of, thread);
        self.close(trace, of, below)
    }

    /// Makes the span of a turn or sub-agent whose children are made.
    fn close(&self, trace: &mut TraceBuilder<'a>, of: Invocation<'a>, below: Grown) -> Grown {
        let unit = of.unit;
        let thread = self.thread(unit);
        let mut list = describe::agent(thread, unit, below.tokens);
        if of.parent.is_none() {
            if unit.agent.is_none() {
                describe::turn(&mut list, self.facts);
            }
            describe::surroundings(&mut list, &unit.context);
            describe::run(&mut list, unit);
        }
        let status = events::unit_status(unit, &mut list);
        let events = events::bounded_beyond(below.events, below.dropped, &mut list);
        let start = start_of(unit);
        let end = not_before(start, below.end, &mut list);
        let agent_type = unit.agent.as_ref().map_or(Some(MAIN_AGENT), |agent| agent.agent_type.as_deref());
        let span = Span {
            trace: trace.id,
            id: of.id,
            parent: of.parent,
            kind: SpanKind::Internal,
            name: text::span_name("invoke_agent", agent_type.unwrap_or_default()),
            start,
            end,
            attributes: list.done(),
            events,
            links: of.links,
            status,
        };
        trace.spans.push((of.key, span));
        Grown { tokens: below.tokens, end, events: Vec::new(), dropped: 0 }
    }

    /// Makes the spans of model calls, tool calls, compactions and sub-agents directly and indirectly below a unit.
    fn below(&mut self, trace: &mut TraceBuilder<'a>, of: &Invocation<'a>, thread: SpanThread<'a>) -> Grown {
        let mut chats: Vec<_> = of.unit.parts.messages.iter().collect();
        chats.sort_by_key(|message| (message.start, &message.id));
        let events::Events { of_chats, of_unit } = events::distribute(of.unit, &chats);
        let mut grown = Grown { tokens: Tokens::default(), end: of.end, events: of_unit, dropped: 0 };
        let is_wanted = |id: &str| of.only.is_none_or(|only| only.contains(id));
        for (message, events) in chats.into_iter().zip(of_chats).filter(|(message, _)| is_wanted(&message.id)) {
            grown.tokens += describe::tokens_of(message);
            let on_path = self.on_path.within(Identity::Message(&message.id));
            trace.chat(thread, message, of.id, (events, on_path));
        }
        let mut tools: Vec<_> = of.unit.parts.tools.iter().collect();
        tools.sort_by_key(|tool| (tool.call.as_ref().map(|call| call.rank.time), &tool.id));
        for tool in tools.into_iter().filter(|tool| is_wanted(&tool.id)) {
            let Some(below) = self.tool(trace, of, thread, tool) else { continue };
            grown.tokens += below.tokens;
            grown.end = grown.end.max(below.end);
        }
        for (row, done) in of.unit.parts.compactions().filter(|(row, _)| is_wanted(&row.id.to_string())) {
            trace.compaction(thread, (row, done), of.id, self.facts.position);
        }
        grown
    }

    /// Makes the spans of a tool call and of the sub-agent below it; `None` if only the result of the call is known.
    ///
    /// The returned end is later than that of the unit only for a call without an end of its own: how long it took is
    /// known only from what its sub-agent did.
    fn tool(
        &mut self,
        trace: &mut TraceBuilder<'a>,
        of: &Invocation<'a>,
        thread: SpanThread<'a>,
        tool: &'a Tool,
    ) -> Option<Grown> {
        let call = tool.call.as_ref()?;
        let id = span_id(trace.id, EXECUTE_TOOL, &tool.id);
        let (mut apart, mut below) = (Vec::new(), None);
        for started in self.reach.started_by(tool, of.depth) {
            if started.apart {
                apart.push(trace_of(started.unit));
                let started_by = SpanAt { trace: trace.id, span: id };
                let is_alone = |agent: &Agent| agent.background || agent.call.is_none();
                if self.with_background || !started.unit.agent.as_ref().is_some_and(is_alone) {
                    self.apart.push_back(Apart { unit: started.unit, started_by });
                }
            } else {
                below = self.nested(trace, started.unit, id, of.depth + 1);
            }
        }
        let request = of.unit.parts.messages.iter().find(|message| message.id == call.message);
        let request = request.and_then(|message| message.request.as_deref());
        let mut list = describe::tool(thread, tool, request, &apart);
        describe::critical_path(&mut list, self.on_path.within(Identity::Call(&tool.id)));
        let events = events::bounded(events::of_call(&of.unit.parts, tool), &mut list);
        let start = call.rank.time;
        let below_end = below.as_ref().map_or(start, |below| below.end);
        let (end, handed_up) = match &tool.result {
            Some(result) if !result.filled_in => (not_before(start, result.rank.time, &mut list), of.end),
            Some(_) => (below_end.max(start), below_end),
            None => (not_before(start, of.end.max(below_end), &mut list), below_end),
        };
        let span = Span {
            trace: trace.id,
            id,
            parent: Some(of.id),
            kind: SpanKind::Internal,
            name: text::span_name("execute_tool", &call.name),
            start,
            end,
            attributes: list.done(),
            events,
            links: Vec::new(),
            status: describe::tool_status(tool),
        };
        trace.spans.push((&tool.id, span));
        let tokens = below.map_or_else(Tokens::default, |below| below.tokens);
        Some(Grown { tokens, end: handed_up, events: Vec::new(), dropped: 0 })
    }

    /// Makes the spans of a sub-agent inside the trace of its call.
    fn nested(&mut self, trace: &mut TraceBuilder<'a>, unit: &'a Unit, call: SpanId, depth: usize) -> Option<Grown> {
        let key: &str = &unit.agent.as_ref()?.id.0;
        let id = span_id(trace.id, INVOKE_AGENT, key);
        let end = unit.activity_end();
        Some(
            self.invoke(
                trace,
                Invocation { unit, id, key, parent: Some(call), links: Vec::new(), end, depth, only: None },
            ),
        )
    }

    fn thread(&self, unit: &'a Unit) -> SpanThread<'a> {
        let session: &str = &self.facts.turn.session().0;
        SpanThread { session, conversation: unit.agent.as_ref().map_or(session, |agent| agent.id.told()) }
    }
}

impl<'a> TraceBuilder<'a> {
    /// Makes the span of a compaction. It is linked to the previous turn, the last of those that the compaction
    /// summarises.
    fn compaction(
        &mut self,
        thread: SpanThread<'a>,
        (row, done): (&RowFact, &Compaction),
        parent: SpanId,
        position: Position<'a>,
    ) {
        let key = row.id.to_string();
        let duration = i64::try_from(done.duration_ms).unwrap_or(i64::MAX);
        let start = Timestamp(row.time.0.saturating_sub(duration));
        let links = position.previous.map(|turn| describe::link(turn, name::LINK_SUMMARISES));
        let span = Span {
            trace: self.id,
            id: span_id(self.id, COMPACTION, &key),
            parent: Some(parent),
            kind: SpanKind::Internal,
            name: name::COMPACT.to_owned(),
            start,
            end: row.time,
            attributes: describe::compaction(thread, done).done(),
            events: Vec::new(),
            links: links.into_iter().collect(),
            status: SpanStatus::Unset,
        };
        self.spans.push((name::COMPACT, span));
    }

    /// Makes the span of a model call, with its events and the milliseconds of the critical path that lie in it.
    fn chat(
        &mut self,
        thread: SpanThread<'a>,
        message: &'a Message,
        parent: SpanId,
        (events, on_path): (Vec<SpanEvent>, Option<u64>),
    ) {
        let names = |request: &&str| self.requests.insert(xxh3_64(request.as_bytes()));
        let request = message.request.as_deref().filter(names);
        let key = request.unwrap_or(&message.id);
        let mut list = describe::chat(thread, message);
        describe::critical_path(&mut list, on_path);
        let events = events::bounded(events, &mut list);
        let span = Span {
            trace: self.id,
            id: span_id(self.id, CHAT, key),
            parent: Some(parent),
            kind: SpanKind::Client,
            name: text::span_name("chat", describe::request_model(message)),
            start: message.start,
            end: not_before(message.start, message.end, &mut list),
            attributes: list.done(),
            events,
            links: Vec::new(),
            status: SpanStatus::Unset,
        };
        self.spans.push((key, span));
    }
}

/// `end`, or `start` if the clock went backwards between them; that is marked with an attribute.
fn not_before(start: Timestamp, end: Timestamp, list: &mut AttributeList) -> Timestamp {
    if end < start {
        list.flag(name::CLOCK_ADJUSTED);
    }
    end.max(start)
}
