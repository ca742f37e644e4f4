//! Decides when a turn has ended, and sees to it that each of its spans leaves only once.
//!
//! - A turn whose rows say that it ended still waits until no row has come for a moment: the rows of one response are
//!   written one by one, and a span that has left is never corrected. A turn whose rows never say so ends when it has
//!   been idle for long.
//! - A turn that stays open for long, or grows large, sends its finished children early and its root last.
//! - A background sub-agent has a trace of its own, which leaves when the sub-agent itself has ended.
//! - Rows that come after a turn has left, such as a late tool result, leave as further spans of the same trace, with
//!   ids that are derived in the same way. The response, call or unit that a span was made of is marked once it has
//!   left.
//! - Turns of the past leave at a limited rate, after everything live.

mod spans;
mod told;

use std::collections::{BTreeSet, HashMap, HashSet};

pub(crate) use self::spans::{finished_spans, mark_finished, mark_parts, sent_ids, spans};
use self::told::ToldEnds;
use crate::ledger::ended;
use crate::ledger::family::{Standing, owner, standing};
use crate::ledger::known::Known;
use crate::ledger::money::Money;
use crate::ledger::unit::{TurnEnd, Unit, UnitId};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::HELD_SPANS_MAX;
use crate::waiting::{Told, ToldKind};

/// When turns end and which of them leave.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Whether spans are sent at all.
    pub export: bool,
    /// Only turns that end at this time or later leave.
    pub since: Timestamp,
    /// Time of the first start ever. Turns that ended before it are turns of the past.
    pub epoch: Timestamp,
    /// How long an ended turn must have been without a new row before it leaves, in milliseconds.
    pub settle_ms: u64,
    /// A turn that has been open for this many milliseconds sends its finished children early.
    pub hold_ms: u64,
    /// Most spans per second of turns that ended before [`Policy::epoch`].
    pub history_rate: u64,
    /// A turn with more spans than this leaves in pieces: [`WHOLE_SPANS_MAX`], except in tests.
    pub whole_spans_max: u64,
}

/// A turn with more spans than this, those of its sub-agents included, leaves in pieces and is never in memory as a
/// whole.
pub const WHOLE_SPANS_MAX: u64 = 4_000;

/// Most waiting turns that are looked through for those of a session.
const LIVE_MAX: usize = 1_000;

/// The turns that wait for their end, or for a moment without new rows.
#[derive(Debug)]
pub struct Turns {
    policy: Policy,
    /// A turn without a row for this many milliseconds has ended.
    idle_ms: u64,
    /// When each waiting unit is to be looked at.
    due: HashMap<UnitId, Timestamp>,
    /// The live ones of the waiting units, in order of that time.
    order: BTreeSet<(Timestamp, UnitId)>,
    /// The waiting units of the past, in order of their end; they leave as the rate allows.
    history: BTreeSet<(Timestamp, UnitId)>,
    /// How many spans of the past may leave now, and when that was computed.
    allowance: (u64, Timestamp),
    /// The latest `now` that was passed in, from which it is seen that the clock was set back.
    latest_now: Timestamp,
    /// By long turn, the sub-agents below it that have parts which can leave before the turn has ended.
    ready: HashMap<UnitId, BTreeSet<UnitId>>,
    /// What was told of the ends of turns from outside the session files.
    told: ToldEnds,
}

/// What is to be done with a unit that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing for now.
    Nothing,
    /// The unit has ended, and leaves.
    Leave {
        /// When and how the unit ended.
        end: TurnEnd,
        /// True if its spans are sent; false if the unit is only marked.
        wanted: bool,
    },
    /// The unit is open, and the spans that cannot change any more leave.
    LeaveEarly,
}

/// What leaves in one commit.
#[derive(Debug, Default)]
pub struct Leaving {
    /// Spans for the outbox.
    pub spans: Vec<SpanBatch>,
    /// Units that wait from now on, which the commit stores.
    pub pending: Vec<UnitId>,
    /// Units that need not wait any more, which the commit stores.
    pub settled: Vec<UnitId>,
    /// Ended turns for the histograms, with their cost; `None` if that is not known.
    pub observed: Vec<(UnitId, Option<Money>)>,
    /// Sub-agents that have ended and whose end no result of a call tells.
    pub agents: Vec<UnitId>,
    /// Latest end of a turn whose spans leave; `None` if there is none.
    pub until: Option<Timestamp>,
}

impl Turns {
    /// Goes on with the turns that were waiting when the state was closed. A turn without a row for `idle_ms`
    /// milliseconds has ended.
    #[must_use]
    pub fn new(policy: Policy, idle_ms: u64, pending: Vec<UnitId>, now: Timestamp) -> Self {
        let (due, order, history) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        let (allowance, ready) = ((policy.history_rate, now), HashMap::new());
        let mut turns =
            Self { policy, idle_ms, due, order, history, allowance, latest_now: now, ready, told: ToldEnds::default() };
        for unit in pending {
            turns.wait(unit, turns.settled(now));
        }
        turns
    }

    /// Whether spans that end at this time are sent at all.
    pub(super) fn wants_end(&self, at: Timestamp) -> bool {
        self.policy.export && at >= self.policy.since
    }

    fn settled(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_unsigned(self.policy.settle_ms))
    }

    fn idle(&self, since: Timestamp) -> Timestamp {
        Timestamp(since.0.saturating_add_unsigned(self.idle_ms))
    }

    fn held(&self, since: Timestamp) -> Timestamp {
        Timestamp(since.0.saturating_add_unsigned(self.policy.hold_ms))
    }

    /// Has a unit looked at again at `until`. Returns true if it was not waiting before.
    fn wait(&mut self, unit: UnitId, until: Timestamp) -> bool {
        let old = self.due.insert(unit, until);
        if let Some(old) = old {
            self.order.remove(&(old, unit));
            self.history.remove(&(old, unit));
        }
        self.order.insert((until, unit));
        old.is_none()
    }

    /// Has a turn of the past wait behind everything live.
    fn wait_as_history(&mut self, unit: UnitId, end: Timestamp) {
        self.wait(unit, end);
        self.order.remove(&(end, unit));
        self.history.insert((end, unit));
    }

    fn forget(&mut self, unit: UnitId) -> bool {
        let Some(due) = self.due.remove(&unit) else { return false };
        self.order.remove(&(due, unit)) | self.history.remove(&(due, unit))
    }

    /// True if a unit waits for its end, or for its spans to leave.
    #[must_use]
    pub fn is_waiting(&self, unit: UnitId) -> bool {
        self.due.contains_key(&unit)
    }

    /// The time before which every turn that ended and is to be exported has been handed over. A later turn may still
    /// be open, or not idle for long enough. `None` while turns of the past are still leaving.
    #[must_use]
    pub fn left_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.history.is_empty().then(|| Timestamp(now.0.saturating_sub_unsigned(self.idle_ms.saturating_add(1))))
    }

    /// The earliest moment at which a unit may be due; `None` if none waits.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        /// Pause between two looks at turns of the past, in milliseconds.
        const ALLOWANCE_MS: i64 = 200;
        let history = (!self.history.is_empty()).then(|| Timestamp(self.allowance.1.0.saturating_add(ALLOWANCE_MS)));
        self.order.first().map(|(due, _)| *due).into_iter().chain(history).min()
    }

    /// Up to `max` units that are due, the one with the earliest due time first; then some of the past, oldest first.
    #[must_use]
    pub fn due(&mut self, now: Timestamp, max: usize) -> Vec<UnitId> {
        /// The fewest spans that a turn has: its root and a response.
        const TURN_SPANS_MIN: u64 = 2;
        if std::mem::replace(&mut self.latest_now, now) > now {
            // The clock was set back: units that are due by the old time would wait for as long as the clock was ahead.
            let soon = self.settled(now);
            for (_, unit) in self.order.split_off(&(soon, UnitId(u128::MAX))) {
                self.wait(unit, soon);
            }
        }
        let due = self.order.iter().take_while(|(due, _)| *due <= now);
        let mut units: Vec<UnitId> = due.take(max).map(|(_, unit)| *unit).collect();
        if !self.history.is_empty() {
            // A clock that was set back must not keep turns of the past from leaving.
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

    /// Looks at the units that changed since the last commit. Returns the units that wait from now on, and those that
    /// were waiting and need not wait any more.
    pub fn changed(&mut self, known: &mut Known, now: Timestamp) -> (Vec<UnitId>, Vec<UnitId>) {
        let (mut pending, mut settled, mut over) = (Vec::new(), Vec::new(), Vec::new());
        let (mut waiting, mut roots) = (Vec::new(), Vec::new());
        self.latest_now = self.latest_now.max(now);
        for (_, unit) in known.changed_units() {
            let id = unit.key.id();
            match (standing(unit), self.wants(unit, now)) {
                // Rows of a sub-agent keep the turn above it open, or come after that turn has left.
                (Standing::Below(parent), wants) => {
                    self.note_ready(known, unit);
                    let has_left = unit.export.sent || known.unit(parent).is_some_and(|parent| parent.export.sent);
                    roots.push((parent, has_left && matches!(wants, Wants::Wait)));
                    settled.push(id);
                }
                (Standing::Nothing, _) | (_, Wants::Nothing) => settled.push(id),
                (_, Wants::Never) => over.push(id),
                (Standing::Alone, Wants::Wait) if unit.end().is_some() => {
                    waiting.push((id, if self.told.is_whole(unit) { now } else { self.settled(now) }));
                }
                // New rows of an open turn must not put off the spans that leave early.
                (Standing::Alone, Wants::Wait) => {
                    let known = self.due.get(&id).copied();
                    waiting.push((id, known.map_or(self.settled(now), |known| known.min(self.settled(now)))));
                }
                // The call that started this sub-agent may still be read: until then its trace is not known.
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
        let mut called_back = HashSet::new();
        for (root, late) in roots {
            if (late || self.due.contains_key(&root)) && self.wait(root, self.settled(now)) {
                pending.push(root);
            }
            if late {
                called_back.insert(root);
            }
        }
        for id in over {
            if let Some(unit) = known.unit_mut(id) {
                unit.export.done = true;
            }
            settled.push(id);
        }
        // A turn with nothing of its own to send still waits if parts came late below it.
        settled.retain(|id| !called_back.contains(id) && self.forget(*id));
        (pending, settled)
    }

    fn wants(&self, unit: &Unit, now: Timestamp) -> Wants {
        let export = unit.export;
        let gist = unit.gist();
        if export.sent {
            return if gist.unsent > 0 { Wants::Wait } else { Wants::Nothing };
        }
        let at = unit.activity_end();
        let ended = ended::ended(unit, at, now, self.idle_ms).is_some();
        let old = at < self.policy.since.min(self.policy.epoch);
        match (export.done, ended && old) {
            (true, _) => Wants::Nothing,
            (false, true) => Wants::Never,
            (false, false) => Wants::Wait,
        }
    }

    /// Notes a sub-agent below a long turn if it has parts that can leave, or that came late. This is noted because a
    /// long turn is not searched as a whole.
    fn note_ready(&mut self, known: &Known, unit: &Unit) {
        let (gist, top) = (unit.gist(), owner(known, unit));
        let came_late = if unit.export.sent { gist.unsent > 0 } else { top.export.sent };
        if (gist.ready > 0 || came_late) && self.is_long(top) {
            self.ready.entry(top.key.id()).or_default().insert(unit.key.id());
        }
    }

    /// True for a turn that leaves in pieces.
    #[must_use]
    pub fn is_long(&self, unit: &Unit) -> bool {
        unit.gist_with_below().spans > self.policy.whole_spans_max
    }

    /// Takes in what was told of a session. True if turns that wait may have ended by it.
    pub fn note_told(&mut self, session: &SessionId, told: &Told) -> bool {
        self.told.note(session, told);
        matches!(told.kind, ToldKind::Stopped | ToldKind::SessionEnded)
    }

    /// The live units that wait.
    #[must_use]
    pub fn live(&self) -> Vec<UnitId> {
        self.order.iter().map(|(_, unit)| *unit).take(LIVE_MAX).collect()
    }

    /// Has a unit looked at as soon as what was told of its session allows.
    pub fn hurry(&mut self, unit: &Unit, now: Timestamp) {
        let id = unit.key.id();
        let Some(due) = self.due.get(&id).copied() else { return };
        let until = if self.told.is_whole(unit) { now } else { self.settled(now) };
        if until < due {
            self.wait(id, until);
        }
    }

    /// When the process let go of a session, and from when on no row is expected any more: a hook told it, or a run of it ended
    /// at `run_end`.
    pub(super) fn let_go(&self, session: &SessionId, run_end: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
        let at = self.told.let_go(session).max(run_end);
        at.map(|at| (at, self.settled(at)))
    }

    /// Takes the noted sub-agents below a long turn: those that have parts which can leave, as far as this process has
    /// seen. They are noted again when they change.
    pub fn take_ready(&mut self, turn: UnitId) -> BTreeSet<UnitId> {
        self.ready.remove(&turn).unwrap_or_default()
    }

    /// True if sub-agents are noted below a turn.
    #[must_use]
    pub fn has_ready(&self, turn: UnitId) -> bool {
        self.ready.contains_key(&turn)
    }

    /// Notes again that `unit`, a sub-agent below the long `turn`, has parts which can leave.
    pub fn note_again(&mut self, turn: UnitId, unit: UnitId) {
        if unit != turn {
            self.ready.entry(turn).or_default().insert(unit);
        }
    }

    /// Decides what is to be done with a unit that is due: it leaves if it has ended, else it waits again. The units
    /// above it must be in memory.
    pub fn look(&mut self, known: &Known, id: UnitId, now: Timestamp, leaving: &mut Leaving) -> Next {
        let Some(unit) = known.unit(id) else {
            self.forget(id);
            leaving.settled.push(id);
            return Next::Nothing;
        };
        match standing(unit) {
            Standing::Below(_) => {
                // The call that started it has been read since, or parts came late: it leaves with the turn above it.
                let top = owner(known, unit).key.id();
                self.forget(id);
                leaving.settled.push(id);
                if top != id && self.wait(top, self.settled(now)) {
                    leaving.pending.push(top);
                }
                return Next::Nothing;
            }
            // After a restart, or after the clock was set back, a unit may be looked at too early.
            Standing::Unlinked if now.since_ms(unit.activity_end()) < self.idle_ms => {
                let until = self.idle(unit.activity_end()).max(self.settled(now));
                self.wait(id, until);
                return Next::Nothing;
            }
            _ => {}
        }
        let at = unit.activity_end_with_below();
        let Some(end) = ended::ended(unit, at, now, self.idle_ms) else { return self.look_early(unit, at, now) };
        let wanted = self.wants_end(end.at);
        if wanted && end.at < self.policy.epoch && !unit.export.sent {
            if self.allowance.0 == 0 {
                self.wait_as_history(id, end.at);
                return Next::Nothing;
            }
            self.allowance.0 = self.allowance.0.saturating_sub(1 + unit.gist().spans);
        }
        Next::Leave { end, wanted }
    }

    /// Decides the same for an open unit that was active last at `at`: its finished children leave if it has been open
    /// for long or has grown large.
    fn look_early(&mut self, unit: &Unit, at: Timestamp, now: Timestamp) -> Next {
        let (id, gist) = (unit.key.id(), unit.gist_with_below());
        let begun = unit.prompt.as_ref().map_or(unit.first, |prompt| prompt.time);
        let large = gist.spans > HELD_SPANS_MAX;
        let long = now.since_ms(begun) >= self.policy.hold_ms;
        if !(large || long) {
            self.wait(id, self.idle(at).min(self.held(begun)).max(self.settled(now)));
            return Next::Nothing;
        }
        self.wait(id, self.idle(at).min(self.held(now)).max(self.settled(now)));
        if self.policy.export && now >= self.policy.since && gist.ready > 0 { Next::LeaveEarly } else { Next::Nothing }
    }

    /// True for a unit whose last activity lies before the first start ever.
    #[must_use]
    pub fn is_past(&self, unit: &Unit) -> bool {
        unit.activity_end() < self.policy.epoch
    }

    /// Has a unit that waits looked at again at `until`.
    pub fn again(&mut self, id: UnitId, until: Timestamp) {
        self.wait(id, until);
    }

    /// Marks a unit that has ended, and the sub-agents below it, as left, and notes for the commit what follows from
    /// that. `family` holds the unit first.
    pub fn leave(&mut self, known: &mut Known, family: &[UnitId], end: TurnEnd, wanted: bool, leaving: &mut Leaving) {
        let Some(unit) = family.first().and_then(|id| known.unit(*id)) else { return };
        let id = unit.key.id();
        if wanted {
            leaving.until = leaving.until.max(Some(end.at));
        }
        if !unit.export.observed && unit.is_turn() {
            leaving.observed.push((id, unit.price_with_below()));
        }
        leaving.agents.extend(family.iter().copied().filter(|agent| is_ended_here(known, *agent, id)));
        for id in family {
            mark(known, *id, wanted);
        }
        self.forget(id);
        leaving.settled.push(id);
    }
}

/// Whether a unit is a sub-agent that ends when `top` leaves, and was not told of before: the one that leaves, or one whose
/// call has not returned.
fn is_ended_here(known: &Known, id: UnitId, top: UnitId) -> bool {
    let Some(unit) = known.unit(id).filter(|unit| !unit.export.observed) else { return false };
    let Some(agent) = unit.agent.as_ref().filter(|agent| agent.first_row.is_some()) else { return false };
    let call = || known.unit(agent.parent?)?.parts.tool(agent.call.as_deref()?);
    id == top || call().is_some_and(|call| call.result.is_none())
}

/// What a changed unit needs.
enum Wants {
    /// It waits for its end, or for a moment without new rows.
    Wait,
    /// Nothing more: all of it has left, or was decided not to leave.
    Nothing,
    /// It is marked as done without leaving: it ended before the time from which on turns leave.
    Never,
}

/// Marks a unit whose spans have left (`sent`) or are not to leave, and all of its parts that are in memory.
pub(crate) fn mark(known: &mut Known, id: UnitId, sent: bool) {
    let Some(unit) = known.unit_mut(id) else { return };
    unit.export.done = true;
    unit.export.observed = true;
    unit.export.sent |= sent;
    // A sub-agent whose call had not been read left as a trace of its own, and later parts of it go to that trace too.
    if let Some(agent) = unit.agent.as_mut().filter(|agent| sent && agent.parent.is_none()) {
        (agent.background, agent.told.background) = (true, true);
    }
    let homes: Vec<UnitId> = std::iter::once(id).chain(unit.section_ids()).collect();
    for home in homes {
        mark_parts(known, home, sent);
    }
}
