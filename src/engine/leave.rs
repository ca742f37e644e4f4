//! Lets turns that have ended leave: makes their spans and hands them to the outbox.

use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use super::Engine;
use crate::archive::OpenFiles;
use crate::engine::turns::{Leaving, Next, finished_spans, mark_finished, spans};
use crate::ledger::ended;
use crate::ledger::family::{Family, LEVELS_MAX, Standing, Want, standing};
use crate::ledger::gist::Gist;
use crate::ledger::known::Known;
use crate::ledger::session::Session;
use crate::ledger::settle::let_go;
use crate::ledger::unit::{Parts, Tool, Unit, UnitId, UnitKey};
use crate::store::{Rows, StoreError, has_left};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;
use crate::views::traces::finish::{MadeOf, finish};
use crate::views::traces::span::SpanBatch;
use crate::views::traces::tree::{Earlier, Position, position_of};

/// Most turns that leave in one commit.
const LEAVING_MAX: usize = 50;

/// Most sessions whose order of turns is kept in memory.
const ORDERS_MAX: usize = 16;

/// If a commit has this many spans, it takes no further turn.
pub(super) const SPANS_MAX: usize = 1_000;

/// If the spans of a commit have this many bytes of text, it takes no further turn.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// Lets turns that have ended leave, or some history if none has. Returns true if more turns are ready.
    pub fn tick(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        self.settle_runs(now)?;
        if self.has_more_to_tell() {
            self.commit(now)?;
        }
        if self.tick_live(now)? {
            return Ok(true);
        }
        self.tick_history(now)?;
        Ok(false)
    }

    /// Notes that a turn which its rows leave open is over if the process has let go of it. It then is over for everybody who
    /// reads, unless a later row goes on with it. Until that is so for a moment, in which rows may still come, it returns when
    /// the turn is to be looked at again.
    fn end_if_let_go(&mut self, id: UnitId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let Some(unit) = self.known.unit(id) else { return Ok(None) };
        if unit.end().is_some() || !matches!(standing(unit), Standing::Alone) {
            return Ok(None);
        }
        if let Some(of_run) = unit.of_run.as_ref().map(|of_run| of_run.run) {
            self.load_run(of_run)?;
        }
        let Some(unit) = self.known.unit(id) else { return Ok(None) };
        let run_end = unit.of_run.as_ref().and_then(|of_run| self.known.run(of_run.run)?.end());
        let Some((at, settled)) = self.turns.let_go(unit.session(), run_end) else { return Ok(None) };
        if settled > now {
            return Ok(Some(settled));
        }
        let mut units = vec![id];
        if !self.turns.is_long(unit) {
            self.load_below(id)?;
            units.extend(family_of(&self.known, id).map(|family| family.ids()).unwrap_or_default());
        }
        units.into_iter().for_each(|unit| let_go(&mut self.known, unit, at));
        Ok(None)
    }

    fn tick_live(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let due = self.turns.due(now, LEAVING_MAX);
        if due.is_empty() {
            return Ok(false);
        }
        // The code below reads sessions from the store, so every change must be stored before.
        if self.is_dirty() {
            self.commit(now)?;
        }
        let mut leaving = Leaving::default();
        let (mut looked_at, mut text_bytes, mut in_pieces) = (0, 0, None);
        for id in &due {
            looked_at += 1;
            let session = self.load_above(*id)?;
            self.tighten_unit(*id)?;
            let again = self.end_if_let_go(*id, now)?;
            let next = self.turns.look(&self.known, *id, now, &mut leaving);
            again.into_iter().for_each(|again| self.turns.again(*id, again));
            if next == Next::Nothing {
                continue;
            }
            session.map_or(Ok(()), |session| self.load_order(session))?;
            let is_long = self.known.unit(*id).is_some_and(|unit| self.turns.is_long(unit));
            if is_long {
                in_pieces = self.depart(*id, next, &mut leaving)?.then_some(*id);
                break;
            }
            text_bytes += self.let_leave(*id, next, &mut leaving)?;
            let spans: usize = leaving.spans.iter().map(|batch| batch.spans.len()).sum();
            if text_bytes > TEXT_BYTES_MAX || spans > SPANS_MAX {
                break;
            }
        }
        self.handed_out = self.handed_out.max(leaving.until);
        let is_past = |id: &UnitId| self.known.unit(*id).is_some_and(|unit| self.turns.is_past(unit));
        let at_once = in_pieces.filter(|id| !is_past(id));
        in_pieces.iter().for_each(|id| self.turns.again(*id, now));
        self.write(leaving, now)?;
        // Lines that were read for their text are not kept: they may be large, and may change.
        self.latest_rows = Mutex::default();
        // The commit above put the turn off, as new rows do; its next piece is to leave at once.
        at_once.iter().for_each(|id| self.turns.again(*id, now));
        Ok(in_pieces.is_some() || looked_at >= LEAVING_MAX || looked_at < due.len())
    }

    /// Lets a unit leave with its whole family. Returns how many bytes of text the spans hold.
    pub(super) fn let_leave(&mut self, id: UnitId, next: Next, leaving: &mut Leaving) -> Result<usize, StoreError> {
        self.load_below(id)?;
        let Some(family) = family_of(&self.known, id) else { return Ok(0) };
        let below = family.ids();
        let session = self.known.session(family.top().session());
        let earlier = self.earlier_of(family.top(), session)?;
        let position = session.map_or_else(Position::default, |session| position_of(session, family.top(), earlier));
        let mut batches = match next {
            Next::Leave { end, wanted: true } => spans(&family, position, end),
            Next::LeaveEarly => finished_spans(&family, position, ended::so_far(family.top())),
            Next::Leave { wanted: false, .. } | Next::Nothing => Vec::new(),
        };
        let mut text_bytes = self.finish(&mut batches, family.unit().session(), &family.units().collect::<Vec<_>>());
        let had_left = family.units().any(has_left);
        let missed_by = if had_left && !batches.is_empty() { self.missed_by(family.unit())? } else { Vec::new() };
        if !missed_by.is_empty() {
            let (again, bytes) = self.again(&family)?;
            text_bytes += bytes;
            missed_by.into_iter().for_each(|endpoint| self.history.leaves_alone(endpoint, id, again.clone()));
        }
        if !batches.is_empty() {
            self.history.leaves(id, had_left);
        }
        leaving.spans.append(&mut batches);
        match next {
            Next::Leave { end, wanted } => self.turns.leave(&mut self.known, &below, end, wanted, leaving),
            Next::LeaveEarly => {
                for unit in below {
                    let homes = self.known.unit(unit).map(Unit::section_ids).into_iter().flatten().chain([unit]);
                    homes.for_each(|home| mark_finished(&mut self.known, home));
                }
            }
            Next::Nothing => {}
        }
        Ok(text_bytes)
    }

    /// What lies before a turn in its session.
    pub(super) fn earlier_of(&self, turn: &Unit, session: Option<&Session>) -> Result<Earlier, StoreError> {
        match session.and_then(|session| Some((session, self.orders.get(&session.id)?))) {
            Some((session, order)) => self.writer.rows().earlier(session, turn, order),
            None => Ok(Earlier::default()),
        }
    }

    /// Loads the order of the turns of a session. Every change must be stored before.
    pub(super) fn load_order(&mut self, session: SessionId) -> Result<(), StoreError> {
        if !self.orders.contains_key(&session) {
            if self.orders.len() >= ORDERS_MAX {
                self.orders.clear();
            }
            let order = self.writer.rows().turn_order(&session)?;
            self.orders.insert(session, order);
        }
        Ok(())
    }

    /// Brings the orders of turns that are in memory up to date with what was committed.
    pub(super) fn change_orders(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        for (before, unit) in self.known.changed_units() {
            let moved = before.filter(|before| before.session() != unit.session());
            if let Some(order) = moved.and_then(|before| self.orders.get_mut(before.session())) {
                order.change(moved, None);
            }
            if let Some(order) = self.orders.get_mut(unit.session()) {
                order.change(before.filter(|_| moved.is_none()), Some(unit));
            }
        }
    }

    /// Gives spans of a session their final form. `units` are all units that the spans may be made of. Returns how many
    /// bytes of text were put on the spans.
    pub(super) fn finish(&self, batches: &mut [SpanBatch], session: &SessionId, units: &[&Unit]) -> usize {
        let fork = self.known.session(session).and_then(|session| session.fork.as_ref());
        let of = MadeOf { session, source: fork.map(|fork| &fork.from), units };
        let mut latest = self.latest_rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = OpenFiles::new(&self.archive);
        finish(batches, &self.spans, of, &mut |row, expected| {
            files.read(&mut latest, (row.file, row.place), expected, || self.path_of(row.file))
        })
    }

    /// Loads a unit, the units above it, its session and the session that this was forked from. Returns the session.
    pub(super) fn load_above(&mut self, id: UnitId) -> Result<Option<SessionId>, StoreError> {
        self.load(id)?;
        let mut top = id;
        for _ in 0..LEVELS_MAX {
            let parent = self.known.unit(top).and_then(|unit| unit.agent.as_ref()).and_then(|agent| agent.parent);
            let Some(parent) = parent else { break };
            self.load(parent)?;
            top = parent;
        }
        let session = self.known.unit(top).map(|unit| unit.session().clone());
        if let Some(session) = &session {
            self.load_session(session)?;
            let source = self.known.session(session).and_then(|session| session.fork.as_ref());
            if let Some(source) = source.map(|fork| fork.from.clone()) {
                self.load_session(&source)?;
            }
        }
        Ok(session)
    }

    /// Computes again when a unit and the sub-agents below it were active last, if a part that may have been the last
    /// was changed. Every change must be stored before.
    pub(super) fn tighten_unit(&mut self, id: UnitId) -> Result<(), StoreError> {
        let Some(unit) = self.known.unit(id).filter(|unit| unit.is_loose()) else { return Ok(()) };
        let tight = tight(self.writer.rows(), unit, 0)?;
        if let Some(unit) = self.known.unit_mut(id) {
            *unit = tight;
        }
        Ok(())
    }

    /// Loads what the spans of a unit are made of: its sections, the sub-agents that its calls started, and their
    /// sections.
    pub(super) fn load_below(&mut self, id: UnitId) -> Result<(), StoreError> {
        let session = self.known.unit(id).map(|unit| unit.session().clone());
        let (mut open, mut met) = (vec![id], HashSet::from([id]));
        while let Some(next) = open.pop() {
            self.load(next)?;
            let Some(unit) = self.known.unit(next) else { continue };
            if next != id && unit.agent.as_ref().is_some_and(|agent| agent.background) {
                continue;
            }
            let sections = unit.sections.as_ref().map_or(0, |sections| sections.count);
            for position in 0..sections {
                self.load_section(next, position)?;
            }
            let homes = (0..sections).map(|position| next.section(position)).chain([next]);
            let called: Vec<AgentId> = homes
                .filter_map(|home| self.known.parts(home))
                .flat_map(|parts| parts.tools.iter().flat_map(Tool::agents).cloned())
                .collect();
            let ids = called.iter().filter_map(|agent| Some(UnitKey::agent(session.as_ref()?, agent).id()));
            open.extend(ids.filter(|agent| met.insert(*agent)));
        }
        Ok(())
    }
}

/// The family of a unit; `None` if the unit is not in memory. What belongs to the unit must be in memory too.
pub(super) fn family_of(known: &Known, id: UnitId) -> Option<Family<'_>> {
    let mut find = |id, want| {
        Ok::<_, Infallible>(match want {
            Want::Whole => known.whole(id),
            Want::Head => known.unit(id).map(Cow::Borrowed),
        })
    };
    match Family::load(id, &mut find) {
        Ok(family) => family,
        Err(never) => match never {},
    }
}

/// A unit whose gists, of its sections and of the sub-agents below it, are computed anew from the store.
fn tight(rows: Rows<'_>, unit: &Unit, depth: usize) -> Result<Unit, StoreError> {
    let (mut tight, id, session) = (unit.clone(), unit.key.id(), unit.session());
    let (mut gist, mut agents) = (Gist::default(), Vec::new());
    let mut note = |parts: &Parts| {
        agents.extend(parts.tools.iter().filter_map(|tool| Some((tool.agent.clone()?, tool.id.clone()))))
    };
    note(&unit.parts);
    if unit.sections.is_some() {
        rows.each_section(id, 0, |section| {
            gist.add(&Gist::of(&section.parts));
            note(&section.parts);
            ControlFlow::Continue(())
        })?;
    }
    if let Some(sections) = &mut tight.sections {
        sections.gist = gist;
    }
    if unit.below.is_some() && depth < LEVELS_MAX {
        let (mut below, mut met) = (Gist::default(), HashSet::new());
        for (agent, _) in agents {
            let agent = UnitKey::agent(session, &agent).id();
            let Some(agent) = rows.unit(agent)?.filter(|agent| agent.leaves_with() == Some(id)) else { continue };
            if met.insert(agent.key.id()) {
                below.add(&self::tight(rows, &agent, depth + 1)?.gist_with_below());
            }
        }
        tight.below = Some(Box::new(below));
    }
    Ok(tight)
}
