//! From stored units to traces: by id, by session, newest first.
//!
//! A unit is a row of the store that is read by its key. The trace of a turn is named after its unit; that of a
//! sub-agent of its own is found by the index of first rows. Either is built from the unit at the top of its calls and
//! from the sub-agents below that one: nothing else of the session is read.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::HasTraces;
use super::trace_id::TraceId;
use crate::ledger::session::Session;
use crate::ledger::unit::{TurnEnd, Unit, UnitId, UnitKey};
use crate::store::{Reader, StoreError};
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::jaeger::{Filter, Trace, mark_in_progress};
use crate::views::span::SpanBatch;
use crate::views::trace::{Position, TurnFacts, position_of, roots, trace_of, turn_spans};

/// More levels than any chain of sub-agents has.
const LEVELS_MAX: usize = 64;

/// Units whose times a search keeps at once, the newest; older ones are not looked at.
const CANDIDATES_MAX: usize = 200_000;

/// Sessions that one request keeps; beyond it all are read anew. Its newest turns are of a few sessions, most often.
const SESSIONS_KEPT: usize = 16;

/// Makes traces from the state as it is now, for one request.
pub(super) struct Traces<'c> {
    reader: &'c Reader,
    now: Timestamp,
    idle_ms: u64,
    /// Each turn needs its session, and one with thousands of turns takes long to read.
    sessions: RefCell<HashMap<SessionId, Option<Rc<Session>>>>,
}

/// Units that belong together, with what their spans need from around them.
struct Family {
    units: Vec<Unit>,
    session: Option<Rc<Session>>,
    /// The session that this one was forked from.
    source: Option<Rc<Session>>,
}

impl<'c> Traces<'c> {
    pub(super) fn of<C: HasTraces>(context: &'c C) -> Self {
        Self { reader: context.reader(), now: context.now(), idle_ms: context.idle_ms(), sessions: RefCell::default() }
    }

    /// The trace with this id.
    pub(super) fn by_id(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let row = RowId(id.0);
        for key in [UnitKey::Turn(row), UnitKey::Loose(row)] {
            let unit = self.reader.unit(key.id())?.filter(|unit| unit.key == key);
            if let Some(trace) = self.of_unit(unit, id)? {
                return Ok(Some(trace));
            }
        }
        if let Some(trace) = self.of_unit(self.reader.agent(row)?, id)? {
            return Ok(Some(trace));
        }
        // A sub-agent whose first row was never read has its unit's own id.
        let unit = self.reader.unit(UnitId(id.0))?.filter(|unit| unit.agent.is_some());
        self.of_unit(unit, id)
    }

    fn of_unit(&self, unit: Option<Unit>, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let Some(unit) = unit.filter(|unit| trace_of(unit) == id.0) else { return Ok(None) };
        let batches = self.batches(&self.family(unit)?);
        let own = batches.into_iter().find(|batch| batch.spans.first().is_some_and(|span| span.trace == id.0));
        Ok(own.and_then(Trace::new))
    }

    /// All traces of a session as one; the id of a session is a UUID, which is also the id of the trace.
    pub(super) fn of_session(&self, id: &str, spans_max: usize) -> Result<Option<Trace>, StoreError> {
        let Some(session) = self.session(&SessionId(id.into()))? else { return Ok(None) };
        let units = self.reader.units_of(&session)?;
        let source = self.source_of(&session)?;
        let batches = self.batches(&Family { units, session: Some(session), source });
        Ok(Trace::of_session(RowId::of(id).0, batches, spans_max))
    }

    /// Hands out traces that may have spans within the filter's times, those that start last first, until `take` has
    /// enough. Builds no more than it must: `take` decides one by one.
    pub(super) fn newest_first(
        &self,
        filter: &Filter,
        mut take: impl FnMut(Trace) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (mut built, mut known): (HashSet<UnitId>, HashSet<u128>) = Default::default();
        let mut waiting: Vec<Trace> = Vec::new();
        for (first, id) in self.candidates(filter)? {
            // A trace may go out once nothing that is still to come can start after it.
            while waiting.last().is_some_and(|trace| trace.start() > first) {
                if waiting.pop().is_some_and(|trace| take(trace).is_break()) {
                    return Ok(());
                }
            }
            if built.contains(&id) {
                continue;
            }
            let Some(unit) = self.reader.unit(id)? else { continue };
            let family = self.family(unit)?;
            built.extend(family.units.iter().map(|unit| unit.key.id()));
            // A sub-agent that the unit above it does not lead to brings that one along a second time.
            let traces = self.batches(&family).into_iter().filter_map(Trace::new);
            waiting.extend(traces.filter(|trace| known.insert(trace.id())));
            waiting.sort_by_key(|trace| (trace.start(), trace.id()));
        }
        while let Some(trace) = waiting.pop() {
            if take(trace).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Units that may have spans within the filter's times, with the times of their first rows, latest first.
    fn candidates(&self, filter: &Filter) -> Result<Vec<(Timestamp, UnitId)>, StoreError> {
        let mut candidates: Vec<(Timestamp, UnitId)> = Vec::new();
        let latest_first = |candidates: &mut Vec<(Timestamp, UnitId)>| {
            candidates.sort_unstable_by(|a, b| b.cmp(a));
            candidates.truncate(CANDIDATES_MAX);
        };
        self.reader.each_unit_ref(|id, unit| {
            if filter.may_take(unit.first, unit.last) {
                candidates.push((unit.first, id));
            }
            if candidates.len() >= 2 * CANDIDATES_MAX {
                latest_first(&mut candidates);
            }
        })?;
        latest_first(&mut candidates);
        Ok(candidates)
    }

    /// A unit, the one at the top of the calls that led to it, and all sub-agents below that.
    fn family(&self, unit: Unit) -> Result<Family, StoreError> {
        let mut met = HashSet::from([unit.key.id()]);
        let mut units = vec![unit];
        for _ in 0..LEVELS_MAX {
            let parent = units.last().and_then(|unit| unit.agent.as_ref()?.parent).filter(|id| met.insert(*id));
            let Some(parent) = parent.map(|parent| self.reader.unit(parent)).transpose()?.flatten() else { break };
            units.push(parent);
        }
        let mut next = 0;
        while let Some(unit) = units.get(next) {
            let session = unit.session().clone();
            let called = unit.tools.iter().filter_map(|tool| tool.agent.clone());
            let ids: Vec<UnitId> = called.map(|agent| UnitKey::Agent(session.clone(), agent).id()).collect();
            for id in ids.into_iter().filter(|id| met.insert(*id)) {
                units.extend(self.reader.unit(id)?);
            }
            next += 1;
        }
        let session = match units.first() {
            Some(unit) => self.session(unit.session())?,
            None => None,
        };
        let source = session.as_ref().map(|session| self.source_of(session)).transpose()?.flatten();
        Ok(Family { units, session, source })
    }

    fn session(&self, id: &SessionId) -> Result<Option<Rc<Session>>, StoreError> {
        if let Some(known) = self.sessions.borrow().get(id) {
            return Ok(known.clone());
        }
        let session = self.reader.session(id)?.map(Rc::new);
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= SESSIONS_KEPT {
            sessions.clear();
        }
        sessions.insert(id.clone(), session.clone());
        Ok(session)
    }

    fn source_of(&self, session: &Session) -> Result<Option<Rc<Session>>, StoreError> {
        match &session.fork {
            Some(fork) => self.session(&fork.from),
            None => Ok(None),
        }
    }

    /// The spans of a family, one batch per trace.
    fn batches(&self, family: &Family) -> Vec<SpanBatch> {
        let units: Vec<&Unit> = family.units.iter().collect();
        let agents: HashMap<&AgentId, &Unit> =
            units.iter().filter_map(|unit| Some((&unit.agent.as_ref()?.id, *unit))).collect();
        let find = |id: &AgentId| agents.get(id).copied();
        let mut batches = Vec::new();
        for root in roots(&units) {
            let position = match &family.session {
                Some(session) => position_of(session, root.key.id(), family.source.as_deref()),
                None => Position::default(),
            };
            let at = below(root, &find).iter().map(|agent| agent.activity_end()).fold(root.activity_end(), Ord::max);
            let end = self.end_of(root, at);
            let mut made = turn_spans(&TurnFacts { turn: root, agents: &find, position, end });
            self.mark(&mut made, (root, at), &agents);
            batches.append(&mut made);
        }
        batches
    }

    /// As the exporter has it, but that what has not ended lasts until now. `at` is the last activity in its trace.
    fn end_of(&self, unit: &Unit, at: Timestamp) -> TurnEnd {
        match unit.end() {
            Some(end) => TurnEnd { at: end.at.max(at), ..end },
            None if self.goes_on(unit, at) => TurnEnd { at: self.now.max(at), reason: "open" },
            None => TurnEnd { at, reason: "idle" },
        }
    }

    fn goes_on(&self, unit: &Unit, at: Timestamp) -> bool {
        unit.end().is_none() && self.now.since_ms(at) < self.idle_ms
    }

    /// Marks the traces that go on: that of `root`, whose last activity is the time with it, and those of sub-agents.
    fn mark(&self, batches: &mut [SpanBatch], root: (&Unit, Timestamp), agents: &HashMap<&AgentId, &Unit>) {
        let own = agents.values().map(|agent| (*agent, agent.activity_end()));
        let open: HashSet<u128> = own
            .filter(|(agent, _)| agent.key != root.0.key)
            .chain([root])
            .filter(|(unit, at)| self.goes_on(unit, *at))
            .map(|(unit, _)| trace_of(unit))
            .collect();
        for batch in batches {
            if batch.spans.first().is_some_and(|span| open.contains(&span.trace)) {
                mark_in_progress(batch, self.now);
            }
        }
    }
}

/// The sub-agents whose ends the end of `root` waits for: all below it but background ones.
fn below<'a>(root: &'a Unit, find: &dyn Fn(&AgentId) -> Option<&'a Unit>) -> Vec<&'a Unit> {
    let mut met: HashSet<&UnitKey> = HashSet::from([&root.key]);
    let (mut all, mut level): (Vec<&Unit>, _) = (Vec::new(), vec![root]);
    while let Some(parent) = level.pop() {
        for tool in &parent.tools {
            let started = tool.agent.as_ref().and_then(find).filter(|unit| {
                // A message to an agent names it too; it belongs below the call that started it.
                let waits = unit.agent.as_ref().is_some_and(|agent| {
                    !agent.background && agent.call.as_deref().is_none_or(|call| *call == *tool.id)
                });
                waits && met.insert(&unit.key)
            });
            all.extend(started);
            level.extend(started);
        }
    }
    all
}
