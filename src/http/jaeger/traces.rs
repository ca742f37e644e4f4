//! Makes traces from stored units: by id, by session, newest first.
//!
//! A unit is a row of the store that is read by its key. The id of a turn's trace is that of its unit; the trace of a
//! sub-agent with a trace of its own is found by the index of first rows. Both are built from the unit at the root and
//! from the sub-agents below it; nothing else of the session is read. If a trace has more spans than an answer may
//! have, its first spans are built, and its root, whose sums are those of the whole trace.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::http::api::state::HasReader;
use crate::http::jaeger::cut::Cut;
use crate::http::jaeger::lookup::Lookup;
use crate::http::jaeger::roots::{roots_of, session_by_hash};
use crate::http::jaeger::runs;
use crate::http::jaeger::trace_id::uuid;
use crate::ledger::family::{AgentWalk, Family, LEVELS_MAX, Want, below, has_spans, is_background, roots};
use crate::ledger::session::{Member, Session};
use crate::ledger::unit::{Unit, UnitId};
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{TraceId, TraceScope, trace_of};
use crate::views::traces::jaeger::{Filter, Trace, mark_in_progress};
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Position, TurnFacts, family_spans, position_of, turn_spans};

/// Most spans in one answer, some 1.5 kB each. A search leaves out further traces, a whole session its oldest turns,
/// and a single trace its last spans. A warning says so.
pub(super) const SPANS_MAX: usize = 20_000;

/// Spans that are shown of a trace that has more than [`SPANS_MAX`].
const CUT_SPANS_MAX: usize = 10_000;

/// Most units that a search looks at, the newest ones; older ones are left out.
const CANDIDATES_MAX: usize = 200_000;

/// Makes traces from the state as it is now, for one request.
pub(super) struct Traces<'c> {
    reader: &'c StoreReader,
    lookup: Lookup<'c>,
    /// Units whose traces were cut. The sub-agents below them are not built once more.
    cut: RefCell<HashSet<UnitId>>,
}

/// A unit that may have spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    first: Timestamp,
    unit: UnitId,
    /// The unit in whose trace its spans are; `None` if it has a trace of its own.
    above: Option<UnitId>,
}

impl Candidate {
    fn of(member: &Member) -> Self {
        Self { first: member.first, unit: member.unit, above: member.leaves_with() }
    }
}

/// Some traces, and the units whose spans are in them.
#[derive(Default)]
struct Built {
    traces: Vec<Trace>,
    units: Vec<UnitId>,
}

impl<'c> Traces<'c> {
    pub(super) fn of<C: HasReader>(context: &'c C) -> Self {
        Self { reader: context.reader(), lookup: Lookup::of(context), cut: RefCell::default() }
    }

    /// The same, but spans get no text, so that no session file is read.
    pub(super) fn without_text<C: HasReader>(context: &'c C) -> Self {
        Self { lookup: Lookup::without_text(context), ..Self::of(context) }
    }

    /// The trace with this id; `None` if there is none.
    pub(super) fn by_id(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        for unit in roots_of(self.reader, id)? {
            // The trace of a turn is found by its id even if exported spans share one trace for the whole session.
            let built = self.build_around(unit.key.id(), unit.leaves_with(), TraceScope::Turn)?;
            if let Some(trace) = built.traces.into_iter().find(|trace| trace.id() == id) {
                return Ok(Some(trace));
            }
        }
        let runs = runs::by_id(&self.lookup, id)?;
        if runs.is_some() { Ok(runs) } else { self.of_session_by_hash(id) }
    }

    /// The trace of a session whose id is no UUID, if each session is one trace. The id of such a trace is a hash of
    /// the session's id.
    fn of_session_by_hash(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let mut session = None;
        if self.lookup.rules.scope == TraceScope::Session && self.lookup.session(&SessionId(uuid(id).into()))?.is_none()
        {
            session = session_by_hash(self.reader, id)?;
        }
        session.map_or(Ok(None), |session| self.of_session(&session.0, SPANS_MAX))
    }

    /// All traces of a session as one, with the session's id as trace id; `None` if there is no such session.
    pub(super) fn of_session(&self, id: &str, spans_max: usize) -> Result<Option<Trace>, StoreError> {
        let Some(session) = self.lookup.session(&SessionId(id.into()))? else { return Ok(None) };
        let tally = &session.tally;
        let calls: u64 = tally.tools.values().map(|tool| tool.calls).sum();
        let spans = tally.messages() + calls + tally.compactions + tally.turns + tally.subagents;
        if spans <= spans_max as u64 {
            let units = self.reader.units_of(&session)?;
            return Ok(Trace::of_session(
                TraceScope::of_session(&session.id),
                self.all_batches(&session, &units)?,
                spans_max,
            ));
        }
        self.newest_of_session(&session, spans_max)
    }

    /// The newest traces of a session that is too large to be read as a whole.
    fn newest_of_session(&self, session: &Session, spans_max: usize) -> Result<Option<Trace>, StoreError> {
        let mut members = Vec::new();
        self.reader.each_member(&session.id, |member| {
            members.push(Candidate::of(&member));
            ControlFlow::Continue(())
        })?;
        members.sort_unstable_by(|a, b| b.cmp(a));
        let (mut built, mut batches, mut spans, mut warnings) = (HashSet::new(), Vec::new(), 0, Vec::new());
        for Candidate { unit, above, .. } in members {
            if spans >= spans_max {
                break;
            }
            if built.contains(&unit) {
                continue;
            }
            let new = self.build_around(unit, above, self.lookup.rules.scope)?;
            built.extend(new.units);
            for trace in new.traces {
                spans += trace.spans().count();
                warnings.extend(trace.warnings().iter().cloned());
                batches.extend(trace.into_batches());
            }
        }
        let shown = batches.len();
        let trace = Trace::of_session(TraceScope::of_session(&session.id), batches, spans_max);
        warnings
            .push(format!("the session is too large to be shown whole: at most its newest {shown} traces are here"));
        Ok(trace.map(|trace| warnings.into_iter().fold(trace, Trace::with_warning)))
    }

    /// Gives `take` the traces that may have spans within the filter's times, those that start last first, until `take`
    /// breaks. Traces are built one by one, so that few are built that are not needed.
    pub(super) fn newest_first(
        &self,
        filter: &Filter,
        mut take: impl FnMut(Trace) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (mut built, mut known): (HashSet<UnitId>, HashSet<TraceId>) = Default::default();
        // Traces with their starts, which take a while to find in a large trace.
        let mut waiting: Vec<(Timestamp, Trace)> = Vec::new();
        let mut runs = runs::run_traces(self.reader, filter)?;
        for Candidate { first, unit, above } in self.candidates(filter)? {
            // A trace is given to `take` once no later candidate can start after it.
            while waiting.last().is_some_and(|(start, _)| *start > first) {
                if waiting.pop().is_some_and(|(_, trace)| take(trace).is_break()) {
                    return Ok(());
                }
            }
            while let Some(of_run) = runs.pop_if(|run| run.began >= first) {
                let trace = runs::build(&self.lookup, &of_run)?.filter(|trace| known.insert(trace.id()));
                waiting.extend(trace.map(|trace| (trace.start(), trace)));
            }
            if built.contains(&unit) {
                continue;
            }
            let new = self.build_for_search(unit, above)?;
            built.extend(new.units);
            let new = new.traces.into_iter().filter(|trace| known.insert(trace.id()));
            waiting.extend(new.map(|trace| (trace.start(), trace)));
            waiting.sort_by_key(|(start, trace)| (*start, trace.id()));
        }
        loop {
            let next = waiting.last().map(|(start, _)| *start);
            let next = match runs.pop_if(|run| next.is_none_or(|start| run.began >= start)) {
                Some(of_run) => runs::build(&self.lookup, &of_run)?.filter(|trace| known.insert(trace.id())),
                None if next.is_none() => return Ok(()),
                None => waiting.pop().map(|(_, trace)| trace),
            };
            if next.is_some_and(|trace| take(trace).is_break()) {
                return Ok(());
            }
        }
    }

    /// Units that may have spans within the filter's times, with the times of their first rows, latest first.
    fn candidates(&self, filter: &Filter) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let latest_first = |candidates: &mut Vec<Candidate>| {
            candidates.sort_unstable_by(|a, b| b.cmp(a));
            candidates.truncate(CANDIDATES_MAX);
        };
        let mut sessions = Vec::new();
        self.reader.each_session(|session| {
            if session.started().zip(session.ended()).is_some_and(|(first, last)| filter.may_take(first, last)) {
                sessions.push(session.id);
            }
        })?;
        for session in sessions {
            self.reader.each_member(&session, |member| {
                if filter.may_take(member.first, member.last) {
                    candidates.push(Candidate::of(&member));
                }
                ControlFlow::Continue(())
            })?;
            if candidates.len() >= 2 * CANDIDATES_MAX {
                latest_first(&mut candidates);
            }
        }
        latest_first(&mut candidates);
        Ok(candidates)
    }

    /// The trace that holds the spans of a unit, which are in the trace of the unit `above` it. If that trace does not
    /// hold the unit, the unit's own trace is built too.
    fn build_around(&self, unit: UnitId, above: Option<UnitId>, scope: TraceScope) -> Result<Built, StoreError> {
        let (mut root, mut next) = (None, above);
        for _ in 0..LEVELS_MAX {
            if next.is_some_and(|next| self.is_cut(next)) {
                return Ok(Built { traces: Vec::new(), units: vec![unit] });
            }
            let Some(found) = next.map(|next| self.reader.unit(next)).transpose()?.flatten() else { break };
            next = found.leaves_with();
            root = Some(found);
        }
        let mut built = root.map_or_else(|| Ok(Built::default()), |root| self.build(&root, scope))?;
        let is_there = |built: &Built| built.units.contains(&unit) || built.units.iter().any(|unit| self.is_cut(*unit));
        if !is_there(&built)
            && let Some(unit) = self.reader.unit(unit)?
        {
            let own = self.build(&unit, scope)?;
            built.units.extend(own.units);
            built.traces.extend(own.traces);
        }
        Ok(built)
    }

    /// The trace that holds the spans of a unit: that of a turn, or that of the whole session if its spans share one.
    fn build_for_search(&self, unit: UnitId, above: Option<UnitId>) -> Result<Built, StoreError> {
        if self.lookup.rules.scope == TraceScope::Turn {
            return self.build_around(unit, above, TraceScope::Turn);
        }
        let Some(found) = self.reader.unit(unit)? else { return Ok(Built::default()) };
        let mut units = vec![unit];
        self.reader.each_member(found.session(), |member| {
            units.push(member.unit);
            ControlFlow::Continue(())
        })?;
        let trace = self.of_session(&found.session().0, SPANS_MAX)?;
        Ok(Built { traces: trace.into_iter().collect(), units })
    }

    fn is_cut(&self, unit: UnitId) -> bool {
        self.cut.borrow().contains(&unit)
    }

    /// The trace whose root is `root`, and those of sub-agents that are nested too deep for it.
    fn build(&self, root: &Unit, scope: TraceScope) -> Result<Built, StoreError> {
        if !has_spans(root) {
            return Ok(Built { traces: Vec::new(), units: vec![root.key.id()] });
        }
        let gist = root.gist_with_below();
        let all = gist.spans;
        if all > SPANS_MAX as u64 {
            let at = gist.latest.unwrap_or_else(|| root.activity_end());
            let Cut { mut batch, units, shown: made_of } = Cut::of(&self.lookup, root, CUT_SPANS_MAX)?;
            let made_of: Vec<&Unit> = made_of.iter().collect();
            let going_on = self.going_on(std::slice::from_ref(&batch), (root, at), std::iter::empty());
            self.lookup.finish(std::slice::from_mut(&mut batch), scope, root.session(), &made_of)?;
            self.mark(std::slice::from_mut(&mut batch), &going_on);
            self.cut.borrow_mut().insert(root.key.id());
            let shown = batch.spans.len();
            let warning = format!("the trace is too large to be shown whole: {shown} of its {all} spans are here");
            let traces = Trace::new(batch).into_iter().map(|trace| trace.with_warning(warning.clone())).collect();
            return Ok(Built { traces, units });
        }
        let mut find = |id, want| {
            Ok::<_, StoreError>(match want {
                Want::Whole => self.reader.whole(id)?.map(Cow::Owned),
                Want::Head => self.reader.unit(id)?.map(Cow::Owned),
            })
        };
        let Some(family) = Family::load(root.key.id(), &mut find)? else {
            return Ok(Built { traces: Vec::new(), units: Vec::new() });
        };
        let at = family.below().iter().map(|agent| agent.activity_end()).fold(root.activity_end(), Ord::max);
        let position = self.lookup.session(family.top().session())?;
        let earlier = self.lookup.earlier(position.as_deref(), family.top())?;
        let position =
            position.as_deref().map_or_else(Position::default, |session| position_of(session, family.top(), earlier));
        let mut batches = family_spans(&family, position, self.lookup.end_of(root, at));
        let going_on = self.going_on(&batches, (family.unit(), at), family.below().into_iter());
        self.lookup.finish(&mut batches, scope, root.session(), &family.units().collect::<Vec<_>>())?;
        self.mark(&mut batches, &going_on);
        let units =
            family.units().filter(|unit| !is_background(unit)).chain([root]).map(|unit| unit.key.id()).collect();
        Ok(Built { traces: batches.into_iter().filter_map(Trace::new).collect(), units })
    }

    /// The spans of all units of a session, one batch per trace.
    fn all_batches(&self, session: &Session, units: &[Unit]) -> Result<Vec<SpanBatch>, StoreError> {
        let units: Vec<&Unit> = units.iter().collect();
        let agents: HashMap<&str, &Unit> =
            units.iter().filter_map(|unit| Some((unit.agent.as_ref()?.id.plain(), *unit))).collect();
        let find = |id: &AgentId| agents.get(id.plain()).copied();
        let mut batches = Vec::new();
        for root in roots(&units) {
            let position = position_of(session, root, self.lookup.earlier(Some(session), root)?);
            let at = below(root, &find).iter().map(|agent| agent.activity_end()).fold(root.activity_end(), Ord::max);
            let end = self.lookup.end_of(root, at);
            let mut made = turn_spans(&TurnFacts { turn: root, agents: &find, position, end });
            let made_of: Vec<&Unit> = AgentWalk::from(root, &find).everything(root).collect();
            let going_on = self.going_on(&made, (root, at), agents.values().copied());
            self.lookup.finish(&mut made, self.lookup.rules.scope, &session.id, &made_of)?;
            self.mark(&mut made, &going_on);
            batches.append(&mut made);
        }
        Ok(batches)
    }

    /// Tells for each batch whether its trace is in progress. The traces are that of `root`, whose last activity was at
    /// `at`, and those of `agents`. This must be called before the batches get their final form, in which a whole
    /// session may share one trace.
    fn going_on<'a>(
        &self,
        batches: &[SpanBatch],
        (root, at): (&Unit, Timestamp),
        agents: impl Iterator<Item = &'a Unit>,
    ) -> Vec<bool> {
        let own = agents.filter(|agent| agent.key != root.key).map(|agent| (agent, agent.activity_end()));
        let open: HashSet<TraceId> = own
            .chain([(root, at)])
            .filter(|(unit, at)| self.lookup.goes_on(unit, *at))
            .map(|(unit, _)| trace_of(unit))
            .collect();
        let goes_on = |batch: &SpanBatch| batch.spans.first().is_some_and(|span| open.contains(&span.trace));
        batches.iter().map(goes_on).collect()
    }

    /// Marks the batches whose traces are in progress.
    fn mark(&self, batches: &mut [SpanBatch], going_on: &[bool]) {
        for (batch, _) in batches.iter_mut().zip(going_on).filter(|(_, goes_on)| **goes_on) {
            mark_in_progress(batch, self.lookup.now);
        }
    }
}
