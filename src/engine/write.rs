//! Makes one commit: brings sums up to date, shows the views what changed, and hands every change to the store as one
//! batch.

use std::collections::BTreeSet;

use super::{DIRTY_UNITS_MAX, Engine};
use crate::engine::live;
use crate::engine::turns::Leaving;
use crate::ledger::known::Known;
use crate::ledger::session::{Member, reported};
use crate::ledger::unit::{Identity, Tool, Unit, UnitId};
use crate::measures::Change;
use crate::store::{Commit, SectionChange, StoreError, UnitChange};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::metrics::exemplars::trace_around;

/// If more units and sections than this are in memory after a commit, all are dropped and read from the store again.
const LOADED_MAX: usize = 600;

/// The same limit for the parts that they hold: some 5 MB.
const LOADED_PARTS_MAX: usize = 10_000;

impl Engine {
    pub(super) fn write(&mut self, leaving: Leaving, now: Timestamp) -> Result<(), StoreError> {
        self.settle_rests()?;
        self.note_delays()?;
        self.note_losses();
        self.roll_up()?;
        let (pending, settled) = self.turns.changed(&mut self.known, now);
        self.projections.set_time(now);
        self.recall_pace(now)?;
        self.observe(&leaving, now);
        self.note_sessions(now)?;
        self.tell_runs();
        let (events, caught_up) = (self.told(&leaving)?, self.read_until());
        self.note_threads();
        for (_, unit) in self.known.changed_units() {
            self.history.note(self.number_of(unit.key.id())?, unit);
        }
        self.note_runs(now)?;
        let handed = self.handed()?;
        let (mut units, mut sections) = (Vec::new(), Vec::new());
        for (before, unit) in self.known.changed_units() {
            units.push(UnitChange { number: self.number_of(unit.key.id())?, before, unit });
        }
        for (id, before, section) in self.known.changed_sections() {
            let (number, unit) = (self.known.index.number(id), self.number_of(section.of)?);
            sections.push(SectionChange { id, number, unit, before, section });
        }
        let pending = pending.into_iter().chain(leaving.pending).map(|id| Ok((self.number_of(id)?, id)));
        let pending = pending.collect::<Result<_, StoreError>>()?;
        let settled = settled.into_iter().chain(leaving.settled).map(|id| self.number_of(id));
        let settled = settled.collect::<Result<_, StoreError>>()?;
        let commit = Commit {
            files: self.files.changed().collect(),
            units,
            sections,
            sessions: self.known.changed_sessions().collect(),
            waiting: self.known.changed_waiting().collect(),
            runs: self.known.changed_runs().collect(),
            forks: self.known.new_forks().collect(),
            totals: self.projections.dirty().collect(),
            pending,
            settled,
            spans: leaving.spans,
            handed,
            events,
            caught_up,
            now,
            prices: self.new_prices.then(|| self.prices.fingerprint()),
        };
        self.writer.commit(&commit)?;
        self.known.changed_sessions().for_each(|session| self.projections.live().note_session(session));
        self.change_orders();
        self.used.change(&self.known);
        self.new_prices = false;
        self.last_commit = now;
        self.files.committed();
        self.known.committed();
        self.projections.committed();
        if self.known.loaded() > LOADED_MAX || self.known.loaded_parts() > LOADED_PARTS_MAX {
            self.forget();
        }
        Ok(())
    }

    /// Drops from memory what can be read from the store again, except the thread of a file that is folded in part.
    fn forget(&mut self) {
        let halfway = self.halfway.as_ref().and_then(|(file, _)| Some((*file, self.known.thread(*file)?.clone())));
        self.known.forget();
        if let Some((file, thread)) = halfway {
            self.known.load_thread(file, thread);
        }
    }

    /// Loads what the sums of units and sessions need, and brings them up to date.
    fn roll_up(&mut self) -> Result<(), StoreError> {
        loop {
            let mut loaded = false;
            for unit in self.known.missing_above() {
                loaded |= self.load(unit)?;
            }
            for unit in self.known.spread_runs() {
                loaded |= self.load(unit)?;
            }
            if !loaded {
                break;
            }
        }
        self.known.roll_up();
        let loose: Vec<SessionId> = self
            .known
            .changed_sessions()
            .filter(|session| session.is_loose)
            .map(|session| session.id.clone())
            .collect();
        for session in loose {
            self.tighten(&session)?;
        }
        Ok(())
    }

    /// Computes again when a session begins and ends, from what is stored and from what the next commit changes.
    fn tighten(&mut self, id: &SessionId) -> Result<(), StoreError> {
        let mut members: Vec<Member> = Vec::new();
        self.writer.rows().each_member(id, |_, member| {
            members.push(member);
            std::ops::ControlFlow::Continue(())
        })?;
        members.retain(|member| !self.known.dirty_units.contains(&member.unit));
        let own = self.known.changed_units().map(|(_, unit)| unit);
        let own = own.filter(|unit| unit.session() == id && !unit.is_shell());
        members.extend(own.map(Member::of));
        let mut session = self.known.session_mut(id).clone();
        session.tighten::<StoreError>(&members, |unit| match self.known.unit(unit) {
            Some(unit) => Ok(Some(unit.context.clone())),
            None => Ok(self.writer.rows().unit(unit)?.map(|unit| unit.context)),
        })?;
        *self.known.session_mut(id) = session;
        Ok(())
    }

    /// Shows the views what has changed.
    fn observe(&mut self, leaving: &Leaving, now: Timestamp) {
        for changed in self.known.changes() {
            let find = |id| self.known.unit(id);
            let trace = trace_around(changed.unit, &find, &|unit, call| call_of(&self.known, unit, call));
            self.projections.observe(&Change::Parts(changed), trace, now);
            self.last_event = self.last_event.max(Some(live::written(changed.unit.last, now)));
        }
        for (turn, cost) in &leaving.observed {
            if let Some(turn) = self.known.unit(*turn) {
                self.projections.observe(&Change::Ended { turn, cost: *cost }, None, now);
            }
        }
    }

    /// Puts the threads of changed files into their rows. For a file that is folded in part, that is the thread before
    /// the piece.
    fn note_threads(&mut self) {
        for file in self.files.dirty.clone() {
            let halfway = self.halfway.as_ref().filter(|(halfway, _)| *halfway == file).map(|(_, before)| before);
            if let Some(thread) = halfway.or_else(|| self.known.thread(file)) {
                self.files.set_thread(file, thread);
            }
        }
    }

    /// The number of a unit. If the index of identities is not in memory yet, no unit is new, and the store has the
    /// number.
    pub(super) fn number_of(&self, unit: UnitId) -> Result<u32, StoreError> {
        let known = self.known.index.number(unit);
        let number = if known.is_some() { known } else { self.writer.rows().number(unit)? };
        number.ok_or(StoreError::Unnumbered)
    }

    /// Counts what follows from whole sessions: the cost that the client reports, and the start of a session.
    fn note_sessions(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let changed: Vec<(SessionId, bool)> =
            self.known.changed_sessions().map(|session| (session.id.clone(), session.has_forks)).collect();
        let mut affected: BTreeSet<SessionId> = changed.iter().map(|(id, _)| id.clone()).collect();
        for (id, _) in changed.iter().filter(|(_, has_forks)| *has_forks) {
            affected.extend(self.writer.rows().forks(id)?);
            affected.extend(self.known.new_forks().filter(|(source, _)| source == id).map(|(_, fork)| fork.clone()));
        }
        for id in affected {
            self.load_session(&id)?;
            let source =
                self.known.session(&id).and_then(|session| session.fork.as_ref()).map(|fork| fork.from.clone());
            if let Some(source) = &source {
                self.load_session(source)?;
            }
            let Some(session) = self.known.session(&id) else { continue };
            let source = source.as_ref().and_then(|source| self.known.session(source));
            let new = reported(session, source).filter(|_| session.is_real()).unwrap_or_default();
            let old = session.counted_report;
            let starts = session.is_real() && !session.counted_start;
            if new == old && !starts {
                continue;
            }
            let change = Change::Session { session, is_new: starts, before: old, now: new };
            self.projections.observe(&change, None, now);
            if starts {
                self.tell_session(&session.clone());
            }
            let session = self.known.session_mut(&id);
            session.counted_report = new;
            session.counted_start |= starts;
        }
        Ok(())
    }

    /// Computes every cost in the state again after prices have changed. Counters keep the costs that they have
    /// counted.
    pub(super) fn reprice(&mut self, now: Timestamp) -> Result<(), StoreError> {
        tracing::info!("prices have changed: the cost of everything in the state is computed again");
        let mut last = None;
        while let Some((number, unit)) = self.writer.rows().next_unit(last)? {
            last = Some(number);
            let sections = unit.sections.as_ref().map_or(0, |sections| sections.count);
            let id = unit.key.id();
            self.load(id)?;
            self.reprice_parts(id, now)?;
            for position in 0..sections {
                // A commit in between may have dropped the unit from memory.
                self.load(id)?;
                self.load_section(id, position)?;
                self.reprice_parts(id.section(position), now)?;
            }
        }
        // The new prices are noted only now, so that everything is computed again after a crash before this commit.
        self.new_prices = true;
        self.commit(now)
    }

    fn reprice_parts(&mut self, home: UnitId, now: Timestamp) -> Result<(), StoreError> {
        if let Some(parts) = self.known.parts_mut(home) {
            parts.reprice(&self.prices);
        }
        if self.known.dirty_units.len() >= DIRTY_UNITS_MAX || self.known.dirty_parts() >= super::DIRTY_PARTS_MAX {
            self.commit(now)?;
        }
        Ok(())
    }
}

/// The call `call` that started a sub-agent. It is looked for in the unit first, because the index of identities may
/// not be in memory yet.
fn call_of<'a>(known: &'a Known, unit: &'a Unit, call: &str) -> Option<&'a Tool> {
    let indexed = || known.parts(known.index.home(Identity::Call(call).hash())?)?.tool(call);
    unit.parts.tool(call).or_else(indexed)
}
