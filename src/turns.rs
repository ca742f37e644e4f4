//! When a turn has ended, and that its spans leave once.
//!
//! A turn whose rows say that it ended still waits for a moment of quiet: the rows of one response are written one by
//! one, and a span that has left is never corrected. A turn that never says so ends when it has been idle for long.
//! A background sub-agent is a trace of its own and waits for itself. What comes after a turn has left (a late tool
//! result) leaves as further spans of the same trace, with the same derived ids.

use std::collections::{BTreeSet, HashMap};

use crate::ledger::known::Known;
use crate::ledger::money::Money;
use crate::ledger::unit::{Message, Tool, TurnEnd, Unit, UnitId, UnitKey};
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;
use crate::views::ids::{CHAT, EXECUTE_TOOL, span_id};
use crate::views::span::SpanBatch;
use crate::views::trace::{Position, TurnFacts, end_so_far, position_of, trace_of, turn_spans};

/// When turns end and which of them leave.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Spans are wanted at all.
    pub export: bool,
    /// Only turns that end at or after this leave.
    pub since: Timestamp,
    /// Only turns that begin at or after this are in the histograms.
    pub epoch: Timestamp,
    /// Without a row for this long a turn has ended, in milliseconds.
    pub idle_ms: u64,
    /// Quiet time after the end of a turn before it leaves, in milliseconds.
    pub settle_ms: u64,
}

/// Turns that wait for their end or for quiet.
#[derive(Debug)]
pub struct Turns {
    policy: Policy,
    due: HashMap<UnitId, Timestamp>,
    order: BTreeSet<(Timestamp, UnitId)>,
}

/// What leaves in one commit.
#[derive(Debug, Default)]
pub struct Leaving {
    /// Spans for the outbox.
    pub spans: Vec<SpanBatch>,
    /// Units that need no more waiting.
    pub settled: Vec<UnitId>,
    /// Turns for the histograms, with their cost.
    pub observed: Vec<(UnitId, Option<Money>)>,
    /// Latest end of a turn that leaves.
    pub until: Option<Timestamp>,
}

impl Turns {
    /// Goes on with the turns that were waiting when the state was closed.
    #[must_use]
    pub fn new(policy: Policy, pending: Vec<UnitId>, now: Timestamp) -> Self {
        let mut turns = Self { policy, due: HashMap::new(), order: BTreeSet::new() };
        for unit in pending {
            turns.wait(unit, turns.settled(now));
        }
        turns
    }

    fn settled(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_unsigned(self.policy.settle_ms))
    }

    fn idle(&self, since: Timestamp) -> Timestamp {
        Timestamp(since.0.saturating_add_unsigned(self.policy.idle_ms))
    }

    fn wait(&mut self, unit: UnitId, until: Timestamp) -> bool {
        let old = self.due.insert(unit, until);
        if let Some(old) = old {
            self.order.remove(&(old, unit));
        }
        self.order.insert((until, unit));
        old.is_none()
    }

    fn forget(&mut self, unit: UnitId) -> bool {
        let Some(due) = self.due.remove(&unit) else { return false };
        self.order.remove(&(due, unit));
        true
    }

    /// The earliest moment at which something may be due.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Up to `max` units that are due, longest waiting first.
    #[must_use]
    pub fn due(&self, now: Timestamp, max: usize) -> Vec<UnitId> {
        self.order.iter().take_while(|(due, _)| *due <= now).take(max).map(|(_, unit)| *unit).collect()
    }

    /// Looks at the units that changed since the last commit. Returns those that wait from now on, and those that were
    /// waiting and need not.
    pub fn changed(&mut self, known: &mut Known, now: Timestamp) -> (Vec<UnitId>, Vec<UnitId>) {
        let (mut pending, mut settled, mut over) = (Vec::new(), Vec::new(), Vec::new());
        let (mut waiting, mut roots) = (Vec::new(), Vec::new());
        for (_, unit) in known.changes() {
            let id = unit.key.id();
            match (standing(unit), self.wants(unit, now)) {
                // Rows of a sub-agent keep the turn above it open.
                (Standing::Below(parent), _) => {
                    roots.push(parent);
                    settled.push(id);
                }
                (Standing::Nothing, _) | (_, Wants::Nothing) => settled.push(id),
                (_, Wants::Never) => over.push(id),
                (Standing::Alone, Wants::Wait) => waiting.push((id, self.settled(now))),
                // Its call may still turn up: until then nobody knows where it belongs.
                (Standing::Unlinked, Wants::Wait) => {
                    waiting.push((id, self.idle(unit.activity_end()).max(self.settled(now))));
                }
            }
        }
        for (id, until) in waiting {
            if self.wait(id, until) {
                pending.push(id);
            }
        }
        for root in roots {
            if self.due.contains_key(&root) {
                self.wait(root, self.settled(now));
            }
        }
        for id in over {
            if let Some(unit) = known.unit_mut(id) {
                unit.export.done = true;
            }
            settled.push(id);
        }
        settled.retain(|id| self.forget(*id));
        (pending, settled)
    }

    fn wants(&self, unit: &Unit, now: Timestamp) -> Wants {
        let export = unit.export;
        if export.sent {
            let unsent = unit.messages.iter().any(|message| !message.sent)
                || unit.tools.iter().any(|tool| !tool.sent && tool.call.is_some());
            return if unsent { Wants::Wait } else { Wants::Nothing };
        }
        let at = unit.activity_end();
        let ended = unit.end().is_some() || now.since_ms(at) >= self.policy.idle_ms;
        let old = at < self.policy.since.min(self.policy.epoch);
        match (ended && old, export.done) {
            (true, false) => Wants::Never,
            (true, true) => Wants::Nothing,
            (false, _) => Wants::Wait,
        }
    }

    /// Lets a unit leave if it has ended, else says when to look again. Its family is loaded: the units above it, and
    /// the sub-agents below the topmost.
    pub fn leave(&mut self, known: &mut Known, id: UnitId, now: Timestamp, leaving: &mut Leaving) {
        let Some(unit) = known.unit(id) else {
            self.forget(id);
            return leaving.settled.push(id);
        };
        let below = below(known, unit);
        let at = below.iter().map(|agent| agent.activity_end()).fold(unit.activity_end(), Timestamp::max);
        let end = match unit.end() {
            Some(end) => TurnEnd { at: end.at.max(at), ..end },
            None if now.since_ms(at) >= self.policy.idle_ms => TurnEnd { at, reason: "idle" },
            None => {
                self.wait(id, self.idle(at).max(self.settled(now)));
                return;
            }
        };
        let wanted = self.policy.export && end.at >= self.policy.since;
        if wanted {
            leaving.spans.extend(spans(known, unit, end));
            leaving.until = leaving.until.max(Some(end.at));
        }
        if !unit.export.observed && unit.is_turn() {
            let cost = below.iter().map(|agent| agent.cost()).fold(unit.cost(), |sum, cost| sum + cost);
            leaving.observed.push((id, Some(cost)));
        }
        let family: Vec<UnitId> = std::iter::once(id).chain(below.iter().map(|agent| agent.key.id())).collect();
        for id in family {
            if let Some(unit) = known.unit_mut(id) {
                mark(unit, wanted);
            }
        }
        self.forget(id);
        leaving.settled.push(id);
    }
}

/// The sub-agents that leave together with a unit: all below it but background ones.
fn below<'a>(known: &'a Known, unit: &'a Unit) -> Vec<&'a Unit> {
    let (mut all, mut level): (Vec<&Unit>, _) = (Vec::new(), vec![unit]);
    while let Some(parent) = level.pop() {
        for (tool, agent) in parent.tools.iter().filter_map(|tool| Some((tool, tool.agent.as_ref()?))) {
            let found = known.unit(UnitKey::Agent(unit.session().clone(), agent.clone()).id());
            let new = found.filter(|found| {
                // A message to an agent names it too; it belongs below the call that started it.
                let started = found.agent.as_ref().is_some_and(|agent| agent.call.as_deref() == Some(&*tool.id));
                let again = found.key == unit.key || all.iter().any(|known| known.key == found.key);
                started && !again && !is_background(found)
            });
            all.extend(new);
            level.extend(new);
        }
    }
    all
}

/// The spans of a unit that have not left yet.
fn spans(known: &Known, unit: &Unit, end: TurnEnd) -> Vec<SpanBatch> {
    let top = topmost(known, unit);
    let session = known.session(top.session());
    let source = session.and_then(|session| session.fork.as_ref()).and_then(|fork| known.session(&fork.from));
    let find = |agent: &AgentId| known.unit(UnitKey::Agent(top.session().clone(), agent.clone()).id());
    let facts = TurnFacts {
        turn: top,
        agents: &find,
        position: session.map_or_else(Position::default, |session| position_of(session, top.key.id(), source)),
        end: if top.key == unit.key { end } else { end_so_far(top) },
    };
    let mut batches = turn_spans(&facts);
    let own = trace_of(unit);
    let background = |trace: u128| {
        known
            .units()
            .filter(|other| is_background(other) && other.key != unit.key)
            .any(|other| trace_of(other) == trace)
    };
    batches.retain(|batch| {
        let trace = batch.spans.first().map(|span| span.trace);
        trace.is_some_and(|trace| trace == own || (top.key == unit.key && !background(trace)))
    });
    if unit.export.sent {
        keep_unsent(&mut batches, unit);
    }
    batches.retain(|batch| !batch.spans.is_empty());
    batches
}

/// The turn, or whatever stands at the top of the calls that led to a unit.
fn topmost<'a>(known: &'a Known, unit: &'a Unit) -> &'a Unit {
    /// More levels than any chain of sub-agents has.
    const LEVELS_MAX: usize = 64;
    let mut top = unit;
    for _ in 0..LEVELS_MAX {
        match top.agent.as_ref().and_then(|agent| agent.parent).and_then(|parent| known.unit(parent)) {
            Some(parent) => top = parent,
            None => break,
        }
    }
    top
}

/// What a changed unit needs.
enum Wants {
    /// To wait for its end or for quiet.
    Wait,
    /// Nothing more: all of it has left, or was never wanted.
    Nothing,
    /// To be marked: it ended before anybody wanted it.
    Never,
}

/// Where a unit's spans belong.
enum Standing {
    /// Into a trace of its own.
    Alone,
    /// Into a trace of its own, if its call does not turn up.
    Unlinked,
    /// Below the unit that holds its call.
    Below(UnitId),
    /// It has no spans.
    Nothing,
}

fn standing(unit: &Unit) -> Standing {
    match (&unit.key, &unit.agent) {
        (UnitKey::Agent(..), Some(agent)) => match agent.parent {
            Some(parent) if !agent.background => Standing::Below(parent),
            Some(_) => Standing::Alone,
            None => Standing::Unlinked,
        },
        _ if unit.is_turn() || !unit.messages.is_empty() || unit.tools.iter().any(|tool| tool.call.is_some()) => {
            Standing::Alone
        }
        _ => Standing::Nothing,
    }
}

/// True for a sub-agent that goes on after its call has returned.
fn is_background(unit: &Unit) -> bool {
    unit.agent.as_ref().is_some_and(|agent| agent.background)
}

/// Marks a unit whose spans have left, or were decided not to.
fn mark(unit: &mut Unit, sent: bool) {
    unit.export.done = true;
    unit.export.observed = true;
    unit.export.sent |= sent;
    // The last response of a turn has no row behind it that would say that it is complete.
    unit.messages.iter_mut().for_each(|message| message.closed = true);
    if sent {
        unit.messages.iter_mut().for_each(|message| message.sent = true);
        unit.tools.iter_mut().filter(|tool| tool.call.is_some()).for_each(|tool| tool.sent = true);
    }
}

/// Leaves only what came after the unit had left: spans of messages and calls that are not marked.
fn keep_unsent(batches: &mut [SpanBatch], unit: &Unit) {
    for batch in batches {
        batch.spans.retain(|span| {
            let chat = |message: &Message| {
                let key = message.request.as_deref().unwrap_or(&message.id);
                !message.sent && span_id(span.trace, CHAT, key) == span.id
            };
            let tool = |tool: &Tool| !tool.sent && span_id(span.trace, EXECUTE_TOOL, &tool.id) == span.id;
            unit.messages.iter().any(chat) || unit.tools.iter().any(tool)
        });
    }
}
