//! When a turn has ended, and that its spans leave once.
//!
//! - A turn whose rows say that it ended still waits for a moment of quiet: the rows of one response are written one by
//!   one, and a span that has left is never corrected. A turn that never says so ends when it has been idle for long.
//! - A turn that stays open for long, or grows large, sends its finished children early and its root last.
//! - A background sub-agent is a trace of its own and waits for itself.
//! - What comes after a turn has left (a late tool result) leaves as further spans of the same trace, with the same
//!   derived ids. What has left is marked at the message, call or unit that it came from.
//! - History leaves at a limited rate, behind everything live.

mod family;

use std::collections::{BTreeSet, HashMap, HashSet};

use self::family::{Standing, below, is_background, owner, standing, topmost};
use crate::ledger::known::Known;
use crate::ledger::money::Money;
use crate::ledger::unit::{Tool, TurnEnd, Unit, UnitId, UnitKey, price};
use crate::transcript::ids::AgentId;
use crate::transcript::time::Timestamp;
use crate::views::ids::{CHAT, COMPACTION, EXECUTE_TOOL, INVOKE_AGENT, TURN, TURN_KEY, span_id};
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
    /// A turn open for this long sends its finished children early, in milliseconds.
    pub hold_ms: u64,
    /// Spans per second of turns that ended before [`Policy::epoch`].
    pub history_rate: u64,
}

/// A turn with more spans than this sends its finished children early.
const SPANS_HELD_MAX: usize = 400;

/// Turns that wait for their end or for quiet.
#[derive(Debug)]
pub struct Turns {
    policy: Policy,
    due: HashMap<UnitId, Timestamp>,
    order: BTreeSet<(Timestamp, UnitId)>,
    /// Turns of the past, which leave as the rate allows.
    history: BTreeSet<(Timestamp, UnitId)>,
    /// Spans of the past that may leave now, and since when that is known.
    allowance: (u64, Timestamp),
    latest_now: Timestamp,
}

/// What leaves in one commit.
#[derive(Debug, Default)]
pub struct Leaving {
    /// Spans for the outbox.
    pub spans: Vec<SpanBatch>,
    /// Units that wait from now on.
    pub pending: Vec<UnitId>,
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
        let (due, order, history) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut turns = Self { policy, due, order, history, allowance: (policy.history_rate, now), latest_now: now };
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

    fn held(&self, since: Timestamp) -> Timestamp {
        Timestamp(since.0.saturating_add_unsigned(self.policy.hold_ms))
    }

    /// Looks at a unit again at `until`. Returns true if it was not waiting.
    fn wait(&mut self, unit: UnitId, until: Timestamp) -> bool {
        let old = self.due.insert(unit, until);
        if let Some(old) = old {
            self.order.remove(&(old, unit));
            self.history.remove(&(old, unit));
        }
        self.order.insert((until, unit));
        old.is_none()
    }

    /// Puts a turn of the past behind everything live.
    fn wait_as_history(&mut self, unit: UnitId, end: Timestamp) {
        self.wait(unit, end);
        self.order.remove(&(end, unit));
        self.history.insert((end, unit));
    }

    fn forget(&mut self, unit: UnitId) -> bool {
        let Some(due) = self.due.remove(&unit) else { return false };
        self.order.remove(&(due, unit)) | self.history.remove(&(due, unit))
    }

    /// Turns that ended before this have left, if they were wanted: a later one may still be open or not idle for long
    /// enough. `None` while the past is leaving.
    #[must_use]
    pub fn left_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.history.is_empty().then(|| Timestamp(now.0.saturating_sub_unsigned(self.policy.idle_ms.saturating_add(1))))
    }

    /// The earliest moment at which something may be due.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        /// How soon the past is looked at again, in milliseconds.
        const ALLOWANCE_MS: i64 = 200;
        let history = (!self.history.is_empty()).then(|| Timestamp(self.allowance.1.0.saturating_add(ALLOWANCE_MS)));
        self.order.first().map(|(due, _)| *due).into_iter().chain(history).min()
    }

    /// Up to `max` units that are due, longest waiting first; then some of the past, oldest first.
    #[must_use]
    pub fn due(&mut self, now: Timestamp, max: usize) -> Vec<UnitId> {
        /// Fewest spans of a turn: its root and a response.
        const TURN_SPANS_MIN: u64 = 2;
        if std::mem::replace(&mut self.latest_now, now) > now {
            // The clock was set back: what is due by the old time would wait for as long as it was ahead.
            let soon = self.settled(now);
            for (_, unit) in self.order.split_off(&(soon, UnitId(u128::MAX))) {
                self.wait(unit, soon);
            }
        }
        let due = self.order.iter().take_while(|(due, _)| *due <= now);
        let mut units: Vec<UnitId> = due.take(max).map(|(_, unit)| *unit).collect();
        if !self.history.is_empty() {
            // A clock that was set back must not stop it.
            let (left, since) = (self.allowance.0, self.allowance.1.min(now));
            self.allowance.1 = since;
            let earned = now.since_ms(since).saturating_mul(self.policy.history_rate) / 1000;
            if earned > 0 {
                self.allowance = (left.saturating_add(earned).min(self.policy.history_rate), now);
            }
            let some = usize::try_from(self.allowance.0.div_ceil(TURN_SPANS_MIN)).unwrap_or(max);
            units.extend(self.history.iter().take(some.min(max - units.len())).map(|(_, unit)| *unit));
        }
        units
    }

    /// Looks at the units that changed since the last commit. Returns those that wait from now on, and those that were
    /// waiting and need not.
    pub fn changed(&mut self, known: &mut Known, now: Timestamp) -> (Vec<UnitId>, Vec<UnitId>) {
        let (mut pending, mut settled, mut over) = (Vec::new(), Vec::new(), Vec::new());
        let (mut waiting, mut roots) = (Vec::new(), Vec::new());
        self.latest_now = self.latest_now.max(now);
        for (_, unit) in known.changes() {
            let id = unit.key.id();
            match (standing(unit), self.wants(unit, now)) {
                // Rows of a sub-agent keep the turn above it open, or are late for it.
                (Standing::Below(parent), wants) => {
                    roots.push((parent, unit.export.sent && matches!(wants, Wants::Wait)));
                    settled.push(id);
                }
                (Standing::Nothing, _) | (_, Wants::Nothing) => settled.push(id),
                (_, Wants::Never) => over.push(id),
                (Standing::Alone, Wants::Wait) if unit.end().is_some() => waiting.push((id, self.settled(now))),
                // An open turn must not put off its own early spans by going on.
                (Standing::Alone, Wants::Wait) => {
                    let known = self.due.get(&id).copied();
                    waiting.push((id, known.map_or(self.settled(now), |known| known.min(self.settled(now)))));
                }
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
        for (root, late) in roots {
            if (late || self.due.contains_key(&root)) && self.wait(root, self.settled(now)) {
                pending.push(root);
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
                || unit.tools.iter().any(|tool| !tool.sent && tool.call.is_some())
                || unit.compactions.iter().any(|compacted| !compacted.sent);
            return if unsent { Wants::Wait } else { Wants::Nothing };
        }
        let at = unit.activity_end();
        let ended = unit.end().is_some() || now.since_ms(at) >= self.policy.idle_ms;
        let old = at < self.policy.since.min(self.policy.epoch);
        match (export.done, ended && old) {
            (true, _) => Wants::Nothing,
            (false, true) => Wants::Never,
            (false, false) => Wants::Wait,
        }
    }

    /// Lets a unit leave if it has ended, else says when to look again. Its family is loaded: the units above it, and
    /// the sub-agents below the topmost.
    pub fn leave(&mut self, known: &mut Known, id: UnitId, now: Timestamp, leaving: &mut Leaving) {
        let Some(unit) = known.unit(id) else {
            self.forget(id);
            return leaving.settled.push(id);
        };
        match standing(unit) {
            Standing::Below(_) => {
                // Meanwhile its call has turned up, or it has something late: it leaves with the turn above it.
                let top = owner(known, unit).key.id();
                self.forget(id);
                leaving.settled.push(id);
                if top != id && self.wait(top, self.settled(now)) {
                    leaving.pending.push(top);
                }
                return;
            }
            // After a restart, or a clock that was set back, it is looked at too early.
            Standing::Unlinked if now.since_ms(unit.activity_end()) < self.policy.idle_ms => {
                let until = self.idle(unit.activity_end()).max(self.settled(now));
                self.wait(id, until);
                return;
            }
            _ => {}
        }
        let below = below(known, unit);
        let at = below.iter().map(|agent| agent.activity_end()).fold(unit.activity_end(), Timestamp::max);
        let end = match unit.end() {
            Some(end) => TurnEnd { at: end.at.max(at), ..end },
            None if now.since_ms(at) >= self.policy.idle_ms => TurnEnd { at, reason: "idle" },
            None => return self.leave_early(known, id, at, now, leaving),
        };
        let wanted = self.policy.export && end.at >= self.policy.since;
        if wanted && end.at < self.policy.epoch && !unit.export.sent {
            if self.allowance.0 == 0 {
                return self.wait_as_history(id, end.at);
            }
            let spans = 1 + unit.messages.len() + unit.tools.len();
            self.allowance.0 = self.allowance.0.saturating_sub(spans as u64);
        }
        if wanted {
            leaving.spans.extend(spans(known, unit, end, true));
            leaving.until = leaving.until.max(Some(end.at));
        }
        if !unit.export.observed && unit.is_turn() {
            leaving.observed.push((id, price(below.iter().copied().chain([unit]))));
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

    /// Lets the finished children of an open unit leave, if it has been open for long or has grown large.
    fn leave_early(&mut self, known: &mut Known, id: UnitId, at: Timestamp, now: Timestamp, leaving: &mut Leaving) {
        let Some(unit) = known.unit(id) else { return };
        let begun = unit.prompt.as_ref().map_or(unit.first, |prompt| prompt.time);
        let below = below(known, unit);
        let size = |unit: &Unit| 1 + unit.messages.len() + unit.tools.len();
        let large = below.iter().map(|agent| size(agent)).sum::<usize>() + size(unit) > SPANS_HELD_MAX;
        let long = now.since_ms(begun) >= self.policy.hold_ms;
        if !(large || long) {
            self.wait(id, self.idle(at).min(self.held(begun)).max(self.settled(now)));
            return;
        }
        let some = has_finished(unit) || below.iter().any(|agent| has_finished(agent));
        if self.policy.export && now >= self.policy.since && some {
            leaving.spans.extend(spans(known, unit, end_so_far(unit), false));
            let family: Vec<UnitId> = std::iter::once(id).chain(below.iter().map(|agent| agent.key.id())).collect();
            for id in family {
                if let Some(unit) = known.unit_mut(id) {
                    mark_finished(unit);
                }
            }
        }
        self.wait(id, self.idle(at).min(self.held(now)).max(self.settled(now)));
    }
}

/// What a turn cost, with all that leaves together with it; `None` if a part has no price.
pub(crate) fn turn_cost(known: &Known, turn: &Unit) -> Option<Money> {
    price(below(known, turn).into_iter().chain([turn]))
}

/// The spans of a unit that have not left yet: all of them if it has ended, else those that cannot change any more.
fn spans(known: &Known, unit: &Unit, end: TurnEnd, ended: bool) -> Vec<SpanBatch> {
    let top = topmost(known, unit);
    let session = known.session(top.session());
    let source = session.and_then(|session| session.fork.as_ref()).and_then(|fork| known.session(&fork.from));
    let find = |agent: &AgentId| known.unit(UnitKey::agent(top.session(), agent).id());
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
        trace.is_some_and(|trace| trace == own || (ended && top.key == unit.key && !background(trace)))
    });
    let mut sent = HashSet::new();
    let mut finished = HashSet::new();
    for unit in std::iter::once(unit).chain(below(known, unit)) {
        note_ids(unit, own, &mut sent, &mut finished);
    }
    for batch in &mut batches {
        batch.spans.retain(|span| !sent.contains(&span.id) && (ended || finished.contains(&span.id)));
    }
    batches.retain(|batch| !batch.spans.is_empty());
    batches
}

/// Span ids of a unit's parts in `trace`: those that have left, and those that cannot change any more.
fn note_ids(unit: &Unit, trace: u128, sent: &mut HashSet<u64>, finished: &mut HashSet<u64>) {
    let (kind, key) = unit.agent.as_ref().map_or((TURN, TURN_KEY), |agent| (INVOKE_AGENT, &*agent.id.0));
    if unit.export.sent {
        sent.insert(span_id(trace, kind, key));
    }
    for message in &unit.messages {
        // Two responses may share a request id: then both keys are in use.
        for key in message.request.as_deref().into_iter().chain([&*message.id]) {
            let id = span_id(trace, CHAT, key);
            if message.sent {
                sent.insert(id);
            }
            if message.closed {
                finished.insert(id);
            }
        }
    }
    for compacted in &unit.compactions {
        let id = span_id(trace, COMPACTION, &compacted.id.to_string());
        if compacted.sent {
            sent.insert(id);
        }
        finished.insert(id);
    }
    for tool in &unit.tools {
        let id = span_id(trace, EXECUTE_TOOL, &tool.id);
        if tool.sent {
            sent.insert(id);
        }
        // A call that started a sub-agent lasts as long as that: it leaves with the root.
        if is_finished(tool) {
            finished.insert(id);
        }
    }
}

/// True for a call whose span cannot change any more, and that has no sub-agent below it.
fn is_finished(tool: &Tool) -> bool {
    tool.call.is_some() && tool.result.as_ref().is_some_and(|end| !end.filled_in) && tool.agent.is_none()
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
        unit.compactions.iter_mut().for_each(|compacted| compacted.sent = true);
    }
}

/// True if an open unit has parts whose spans can leave and have not.
fn has_finished(unit: &Unit) -> bool {
    unit.messages.iter().any(|message| message.closed && !message.sent)
        || unit.tools.iter().any(|tool| is_finished(tool) && !tool.sent)
        || unit.compactions.iter().any(|compacted| !compacted.sent)
}

/// Marks the parts of an open unit whose spans have left early.
fn mark_finished(unit: &mut Unit) {
    unit.messages.iter_mut().filter(|message| message.closed).for_each(|message| message.sent = true);
    unit.tools.iter_mut().filter(|tool| is_finished(tool)).for_each(|tool| tool.sent = true);
    unit.compactions.iter_mut().for_each(|compacted| compacted.sent = true);
}
