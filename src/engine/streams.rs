//! Decides what only a stream told, when its run is over or nothing more of it comes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use super::Engine;
use super::look::Look;
use crate::ledger::known::{Asked, Known};
use crate::ledger::rest::{Used, homes_of, settle_rests};
use crate::ledger::run::RunSession;
use crate::ledger::settle::settle;
use crate::ledger::unit::{Unit, UnitId};
use crate::store::StoreError;
use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// The session file has everything at most this many milliseconds after the end of the process. Source:
/// `claude-code-format.md` section 15.6.
const TWIN_MS: u64 = 500;

/// Where nobody tells that a file has changed, as on a network drive, its rows are found by the next look at all files, which
/// comes every 3 s. So long a turn without rows in a file waits for them.
const FILE_MS: u64 = 4_000;

/// After this many milliseconds without a line behind a `result`, a session without a file is taken to have none.
const RESULT_MS: u64 = 1_000;

/// After this many milliseconds without a line in a turn, what the stream told of it is taken to be all.
const SILENT_MS: u64 = 600_000;

/// A run is given up no earlier than so many milliseconds after it was looked at: its stream may be read piece by piece.
const READING_MS: u64 = 60_000;

fn after(time: Timestamp, ms: u64) -> Timestamp {
    Timestamp(time.0.saturating_add_unsigned(ms))
}

impl Engine {
    pub(super) fn load_run(&mut self, id: RunId) -> Result<bool, StoreError> {
        if self.known.run(id).is_some() {
            return Ok(false);
        }
        let Some(run) = self.writer.rows().run(id)? else { return Ok(false) };
        self.known.load_run(run);
        Ok(true)
    }

    /// Notes when the runs that the next commit changes, and those of sessions that it changes, are to be looked at.
    pub(super) fn note_runs(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for session in self.known.found_files.clone() {
            self.list_turns_again(&session)?;
        }
        let changed: Vec<RunId> = self.known.changed_runs().filter(|run| !run.settled).map(|run| run.id).collect();
        for run in changed {
            self.look_later(run, now);
        }
        // A session file that comes later than its stream.
        let files = self.known.changed_sessions().filter(|session| session.own_rows && !session.runs.is_empty());
        let late: Vec<RunId> = files.flat_map(|session| session.runs.iter().copied()).collect();
        for id in late {
            self.load_run(id)?;
            // One whose end nobody told would be looked at only when it is given up.
            let last = self.unsettled.get(&id).copied();
            let is_free = last.is_none_or(|look| look.gives_up);
            if is_free && self.known.run(id).is_some_and(|run| !run.provisional.is_empty()) {
                self.look_later(id, now);
                if let Some((look, last)) = self.unsettled.get_mut(&id).zip(last) {
                    *look = look.before(last);
                }
            }
        }
        Ok(())
    }

    /// Has runs look again at turns that only they told of, since the session file is there now. To read all turns of the
    /// session is right this once: without a file, runs do not list what they decided.
    fn list_turns_again(&mut self, session: &SessionId) -> Result<(), StoreError> {
        if self.known.session(session).is_none_or(|session| session.runs.is_empty()) {
            return Ok(());
        }
        let (rows, mut members) = (self.writer.rows(), Vec::new());
        rows.each_member(session, |_, member| {
            members.extend(member.turn.then_some(member.unit));
            ControlFlow::Continue(())
        })?;
        let mut turns: BTreeMap<RunId, Vec<UnitId>> = BTreeMap::new();
        for id in members {
            let stored = if self.known.has(id) { None } else { rows.unit(id)? };
            let unit = self.known.unit(id).or(stored.as_ref()).filter(|unit| unit.provisional.is_some());
            if let Some(of_run) = unit.and_then(|unit| unit.of_run.as_ref()) {
                turns.entry(of_run.run).or_default().push(id);
            }
        }
        for (run, turns) in turns {
            self.load_run(run)?;
            self.known.list_again(run, &turns);
        }
        Ok(())
    }

    fn look_later(&mut self, id: RunId, now: Timestamp) {
        let Some(run) = self.known.run(id) else { return };
        let wait = match (run.end(), run.is_working) {
            (Some(_), _) => TWIN_MS,
            (None, false) => RESULT_MS,
            (None, true) => SILENT_MS,
        };
        self.unsettled.insert(id, Look::at(after(now, wait), now));
    }

    /// Looks again at a run whose end nobody told, when nothing came for so long that it is given up.
    fn give_up_later(&mut self, id: RunId, looked: Look, now: Timestamp) {
        let Some((run, last)) = self.known.run(id).and_then(|run| Some((run, run.last?))) else { return };
        let due = looked.later.unwrap_or_else(|| after(last, run.patience_ms()).max(after(now, READING_MS)));
        self.unsettled.insert(id, Look::last(due, now));
    }

    /// Settles the runs that are due.
    pub(super) fn settle_runs(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let due = self.unsettled.iter().filter(|(_, look)| look.due <= now);
        let due: Vec<(RunId, Look)> = due.map(|(run, look)| (*run, *look)).collect();
        if due.is_empty() {
            return Ok(());
        }
        // Turns are looked for in the store.
        if self.is_dirty() {
            self.commit(now)?;
        }
        for (id, look) in due {
            self.load_index()?;
            self.load_run(id)?;
            if look.gives_up && self.known.run(id).is_some_and(|run| run.end().is_none()) {
                self.known.run_mut(id).given_up = true;
            }
            let Some(run) = self.known.run(id).cloned() else { continue };
            for session in &run.sessions {
                self.load_stream_session(&session.id)?;
            }
            let turns = self.turns_of(&run.provisional)?;
            let file = after(look.since, FILE_MS);
            if now < file && self.waits_for_a_file(&run.provisional) {
                self.unsettled.insert(id, Look { due: file, gives_up: false, ..look });
                continue;
            }
            let mut used = HashMap::new();
            for session in &run.sessions {
                used.insert(session.id.clone(), self.used_in(&session.id)?);
            }
            let turn_of = |_: &Known, unit: &Unit| turns.get(&unit.key.id()).copied();
            let used_of = |_: &Known, session: &SessionId| used.get(session).cloned().unwrap_or_default();
            settle(&mut self.known, id, &self.prices, &turn_of, &used_of);
            self.commit(now)?;
            if run.end().is_some() {
                self.count_missing(&run.sessions)?;
                self.commit(now)?;
                self.hurry(&run.sessions.iter().map(|session| session.id.clone()).collect(), now)?;
            }
            if !self.let_run_leave(id, now)? {
                self.look_later(id, now);
                continue;
            }
            self.unsettled.remove(&id);
            if run.end().is_none() {
                self.give_up_later(id, look, now);
            }
        }
        Ok(())
    }

    /// The turns of session files that provisional turns belong to, all of them in memory: the twin of each, or else the latest
    /// turn that began before it.
    fn turns_of(&mut self, provisional: &[UnitId]) -> Result<HashMap<UnitId, UnitId>, StoreError> {
        provisional.iter().try_for_each(|unit| self.load_whole(*unit))?;
        let twin_of = |unit: &Unit| unit.provisional.as_ref().and_then(|provisional| provisional.twin);
        let units = || provisional.iter().filter_map(|unit| self.known.unit(*unit));
        let mut in_files = BTreeMap::new();
        for unit in units().filter(|unit| twin_of(unit).is_none()) {
            if !in_files.contains_key(unit.session()) {
                in_files.insert(unit.session().clone(), self.turns_in_file(unit.session(), provisional)?);
            }
        }
        let before = |unit: &Unit| {
            let turns = in_files.get(unit.session())?;
            turns.get(..turns.partition_point(|(first, _)| *first <= unit.first))?.last().map(|(_, turn)| *turn)
        };
        let turn_of = |unit: &Unit| Some((unit.key.id(), twin_of(unit).or_else(|| before(unit))?));
        let turns: HashMap<UnitId, UnitId> = units().filter_map(turn_of).collect();
        for turn in turns.values() {
            self.load(*turn)?;
        }
        Ok(turns)
    }

    /// The turns of a session in the order in which they began, without these provisional ones; none if there is no session
    /// file.
    fn turns_in_file(&self, id: &SessionId, provisional: &[UnitId]) -> Result<Vec<(Timestamp, UnitId)>, StoreError> {
        if !self.known.session(id).is_some_and(|session| session.own_rows) {
            return Ok(Vec::new());
        }
        let (mut turns, provisional) = (Vec::new(), provisional.iter().collect::<HashSet<_>>());
        self.writer.rows().each_member(id, |_, member| {
            if member.turn && !provisional.contains(&member.unit) {
                turns.push((member.first, member.unit));
            }
            ControlFlow::Continue(())
        })?;
        turns.sort_unstable();
        Ok(turns)
    }

    /// Whether one of these turns has neither rows in a file nor become a turn without them.
    fn waits_for_a_file(&self, provisional: &[UnitId]) -> bool {
        let is_alone = |unit: &Unit| unit.provisional.as_ref().is_some_and(|provisional| provisional.twin.is_none());
        let units = provisional.iter().filter_map(|unit| self.known.unit(*unit));
        units.into_iter().any(|unit| is_alone(unit) && unit.prompt.is_none())
    }

    /// Takes out what streams told of questions whether calls may run since the last time, in the order of their lines.
    pub fn asked(&mut self) -> VecDeque<Asked> {
        self.known.asked.take()
    }

    /// Brings the rests of changed sessions up to date. The file of a session may tell later what was its rest before.
    pub(super) fn settle_rests(&mut self) -> Result<(), StoreError> {
        let of_units = self.known.changed_units().map(|(_, unit)| unit.session());
        let changed = of_units.chain(self.known.changed_sessions().map(|session| &session.id));
        let sessions = changed.filter(|id| self.known.session(id).is_some_and(|session| session.rest.is_some()));
        let sessions: BTreeSet<SessionId> = sessions.cloned().collect();
        for session in &sessions {
            self.load_stream_session(session)?;
        }
        if !sessions.is_empty() {
            settle_rests(&mut self.known, &self.prices);
        }
        Ok(())
    }

    /// Takes in by how much rows of the session file were later than on the stream.
    pub(super) fn note_delays(&mut self) -> Result<(), StoreError> {
        for delay in self.known.arrivals.take() {
            self.load_run(delay.run)?;
            self.known.delayed(&delay);
            self.projections.delayed(delay.ms);
        }
        Ok(())
    }

    /// Counts the lines that streams say are missing.
    pub(super) fn note_losses(&mut self) {
        for (at, lines) in self.known.losses.drain(..) {
            self.projections.lost(at, lines);
        }
    }

    /// Counts what one side lacks of the sessions of a run that is over. It is stored with each session how much of it was
    /// counted, so that a session with several runs counts once.
    fn count_missing(&mut self, sessions: &[RunSession]) -> Result<(), StoreError> {
        for session in sessions {
            self.load_session(&session.id)?;
            let Some(known) = self.known.session(&session.id) else { continue };
            let (now, before) = (known.tally.events, known.counted_events);
            if now == before {
                continue;
            }
            let in_file = now.only_stream.saturating_sub(before.only_stream);
            self.projections.missing(in_file, now.only_file.saturating_sub(before.only_file));
            self.known.session_mut(&session.id).counted_events = now;
        }
        Ok(())
    }

    /// What the responses of a session used, as of the last commit. Of a session with a file nobody asks for it.
    fn used_in(&mut self, id: &SessionId) -> Result<Used, StoreError> {
        if self.known.session(id).is_none_or(|session| session.own_rows) {
            self.used.forget(id);
            return Ok(Used::default());
        }
        self.used.of(id, self.writer.rows())
    }

    /// Loads a session with its runs and its rests.
    fn load_stream_session(&mut self, id: &SessionId) -> Result<(), StoreError> {
        self.load_index()?;
        self.load_session(id)?;
        let Some(session) = self.known.session(id) else { return Ok(()) };
        let index = &self.known.index;
        let rests: Vec<UnitId> = homes_of(session).filter(|home| index.has_unit(*home)).collect();
        for run in session.runs.clone() {
            self.load_run(run)?;
        }
        rests.into_iter().try_for_each(|rest| self.load_whole(rest))
    }

    fn load_whole(&mut self, id: UnitId) -> Result<(), StoreError> {
        self.load(id)?;
        let sections = self.known.unit(id).and_then(|unit| unit.sections.as_ref()).map_or(0, |sections| sections.count);
        for position in 0..sections {
            self.load_section(id, position)?;
        }
        Ok(())
    }
}
