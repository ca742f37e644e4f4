//! Reads sessions, units and files, from any thread that may block.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use sled::Tree;
use tokio::sync::watch;

use super::changes::{ChangedSessions, Changes, StateVersion};
use super::error::StoreError;
use super::events::{EventPlace, LogEnd, ToldEvents};
use super::file::FileRow;
use super::handle::Handle;
use super::rows::Rows;
use super::{codec, keys, limits};
use crate::ledger::run::Run;
use crate::ledger::session::{Member, Session};
use crate::ledger::unit::{Parts, Section, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::stream::RunId;
use crate::views::analytics::limits::sample::LimitSample;
use crate::views::analytics::retired::RetiredSums;
use crate::views::analytics::session_cells::StoredUnit;
use crate::views::traces::tree::{Earlier, TurnOrder};

/// Reads the state. Clones share one database, which may be closed and opened again meanwhile. Every read fails with
/// [`StoreError::Closed`] while it is closed, and with another error if the database cannot be read.
#[derive(Debug, Clone, Default)]
pub struct StoreReader {
    handle: Arc<RwLock<Option<Handle>>>,
    changes: Arc<Changes>,
    log_end: Arc<LogEnd>,
}

impl StoreReader {
    pub(super) fn opened(&self, handle: Handle) {
        *self.handle.write().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    /// Releases the database, so that it can be opened again. Until then every read fails.
    pub fn close(&self) {
        *self.handle.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn tree(&self) -> Result<Arc<Tree>, StoreError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        handle.as_ref().map(Handle::tree).ok_or(StoreError::Closed)
    }

    /// What commits have changed, for readers that keep something in memory.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The end of the log of events, for the writer.
    pub(super) fn log_end(&self) -> Arc<LogEnd> {
        Arc::clone(&self.log_end)
    }

    /// Tells of new events once they are durable. While it is kept, commits with few rows are made durable at once.
    #[must_use]
    pub fn await_events(&self) -> watch::Receiver<EventPlace> {
        self.log_end.subscribe()
    }

    /// The end of what is durable of the log of events.
    #[must_use]
    pub fn events_end(&self) -> EventPlace {
        self.log_end.place()
    }

    /// What was told behind a place in the log of events, at most so many rows, each of one commit. It may be more than is
    /// durable.
    pub fn events_after(&self, sequence: u64, rows_max: usize) -> Result<Vec<ToldEvents>, StoreError> {
        Rows::of(self.tree()?.as_ref()).events_after(sequence, rows_max)
    }

    /// The number of the first event that is kept; `None` if there is none.
    pub fn first_event(&self) -> Result<Option<u64>, StoreError> {
        Rows::of(self.tree()?.as_ref()).first_event()
    }

    /// The session that an event names by [`session_number`](super::session_number); `None` if there is none, or if it
    /// ended for its age.
    pub fn session_numbered(&self, number: UnitId) -> Result<Option<Session>, StoreError> {
        let session = Rows::of(self.tree()?.as_ref()).session_numbered(number)?;
        Ok(session.filter(|session| !session.is_retired()))
    }

    /// Takes the sessions that changed since the last call, for the one reader that keeps the cells of all sessions in
    /// memory, and the version of the state that has all of these changes.
    #[must_use]
    pub fn take_changed(&self) -> (StateVersion, ChangedSessions) {
        self.changes.take()
    }

    /// Takes the runs that changed since the last call, for the same reader, after the sessions; `None` if any may have
    /// changed.
    #[must_use]
    pub fn take_changed_runs(&self) -> Option<HashSet<RunId>> {
        self.changes.take_runs()
    }

    /// A run by its id; `None` if there is none.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Rows::of(self.tree()?.as_ref()).run(id)
    }

    /// Gives every run to `take`, in the order of their ids.
    pub fn each_run(&self, take: impl FnMut(Run)) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_run(take)
    }

    /// The version of the state as it is now.
    #[must_use]
    pub fn version(&self) -> StateVersion {
        self.changes.version()
    }

    /// A version of what is stored of a session: it changes whenever the session does, and sometimes when it does not.
    #[must_use]
    pub fn version_of(&self, session: &SessionId) -> (u64, u64) {
        self.changes.of(session)
    }

    /// The cells of a session: of each of its units and their sections.
    pub fn cells_of(&self, session: &SessionId) -> Result<Vec<StoredUnit>, StoreError> {
        Rows::of(self.tree()?.as_ref()).cells_of(session)
    }

    /// A session by its whole id; `None` if there is none, or if it ended for its age.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.source(id)?.filter(|session| !session.is_retired()))
    }

    /// A session from which another was forked, even if it ended for its age; `None` if there is none.
    pub fn source(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Rows::of(self.tree()?.as_ref()).session(id)
    }

    /// What stays of what a session spent that ended for its age, even if the session went on since; `None` if it never ended.
    pub fn retired(&self, id: &SessionId) -> Result<Option<RetiredSums>, StoreError> {
        Ok(Rows::of(self.tree()?.as_ref()).retired(id)?.map(|retired| retired.sums))
    }

    /// The sessions that ended for their age, in no particular order, also those that went on since.
    pub fn retired_sessions(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut sessions = Vec::new();
        Rows::of(self.tree()?.as_ref()).each_retired(|retired| sessions.push(retired.session))?;
        Ok(sessions)
    }

    /// Gives every look at a limit of the account to `take`: the rows of a window in the order of their times, then its present
    /// look, with `true`.
    pub fn each_limit(&self, take: impl FnMut(LimitSample, bool)) -> Result<(), StoreError> {
        limits::each(self.tree()?.as_ref(), take)
    }

    /// Gives every session that has not ended for its age to `take`, in no particular order.
    pub fn each_session(&self, mut take: impl FnMut(Session)) -> Result<(), StoreError> {
        self.each_source(|session| {
            if !session.is_retired() {
                take(session);
            }
        })
    }

    /// Gives every session to `take`, in no particular order, also those that ended for their age.
    pub fn each_source(&self, mut take: impl FnMut(Session)) -> Result<(), StoreError> {
        let tree = self.tree()?;
        for row in tree.scan_prefix([keys::SESSION]) {
            let (key, value) = row?;
            if keys::number16(&key).is_some() {
                take(codec::decode(&tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// Gives the entries of a session's units to `take`, until it breaks: turns in order of their first rows, then all
    /// other units in that order.
    pub fn each_member(
        &self,
        session: &SessionId,
        mut take: impl FnMut(Member) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_member(session, |_, member| take(member))
    }

    /// The turns of a session in order.
    pub fn turn_order(&self, session: &SessionId) -> Result<TurnOrder, StoreError> {
        Rows::of(self.tree()?.as_ref()).turn_order(session)
    }

    /// What lies before a turn in its session; `order` has the turns of the session.
    pub fn earlier(&self, session: &Session, unit: &Unit, order: &TurnOrder) -> Result<Earlier, StoreError> {
        Rows::of(self.tree()?.as_ref()).earlier(session, unit, order)
    }

    /// The sessions that were forked from `source`.
    pub fn forks(&self, source: &SessionId) -> Result<Vec<SessionId>, StoreError> {
        Rows::of(self.tree()?.as_ref()).forks(source)
    }

    /// A unit as it is stored, without the parts in its sections; `None` if there is none.
    pub fn unit(&self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        Rows::of(self.tree()?.as_ref()).unit(id)
    }

    /// A unit with all of its parts, also those in sections; `None` if there is none.
    pub fn whole(&self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        let unit = self.unit(id)?;
        unit.map(|unit| self.joined(unit)).transpose()
    }

    /// Adds to a unit, as it is stored, the parts in its sections.
    pub fn joined(&self, mut unit: Unit) -> Result<Unit, StoreError> {
        if unit.sections.take().is_some() {
            self.each_section(unit.key.id(), |section| {
                unit.parts.append(section.parts);
                ControlFlow::Continue(())
            })?;
        }
        Ok(unit)
    }

    /// Puts on a unit that was read what rules extracted of its texts.
    pub fn add_extracts(&self, unit: &mut Unit) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).add_extracts(unit)
    }

    /// Puts on a section that was read what rules extracted of its texts; `of` is its unit.
    pub fn add_section_extracts(&self, of: UnitId, section: &mut Section) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).add_section_extracts(of, section)
    }

    /// A section of a long unit; `None` if there is none at this position.
    pub fn section(&self, of: UnitId, position: u32) -> Result<Option<Section>, StoreError> {
        Rows::of(self.tree()?.as_ref()).section(of, position)
    }

    /// Gives the sections of a long unit to `take`, in order, until it breaks.
    pub fn each_section(&self, of: UnitId, take: impl FnMut(Section) -> ControlFlow<()>) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_section(of, 0, take)
    }

    /// Gives the units of a session, as they are stored, to `take`, in no particular order, until it breaks. A unit
    /// that moves to another session meanwhile is left out.
    pub fn each_unit_of(
        &self,
        session: &SessionId,
        mut take: impl FnMut(Unit) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let tree = self.tree()?;
        let rows = Rows::of(&tree);
        let mut numbers = Vec::new();
        rows.each_member(session, |number, _| {
            numbers.push(number);
            ControlFlow::Continue(())
        })?;
        // In the order of numbers, because units that were written together lie together on disk.
        numbers.sort_unstable();
        for number in numbers {
            let Some(unit) = rows.numbered(number)?.filter(|unit| unit.session() == session) else { continue };
            if take(unit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Gives all parts of all units of a session to `take`, in no particular order.
    pub fn each_parts_of(&self, session: &SessionId, mut take: impl FnMut(&Parts)) -> Result<(), StoreError> {
        self.each_unit_of(session, |unit| {
            take(&unit.parts);
            if unit.sections.is_some() {
                self.each_section(unit.key.id(), |section| {
                    take(&section.parts);
                    ControlFlow::Continue(())
                })?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The units of a session with all of their parts, in the order of their ids.
    pub fn units_of(&self, session: &Session) -> Result<Vec<Unit>, StoreError> {
        let mut units = Vec::new();
        self.each_unit_of(&session.id, |unit| {
            units.push(self.joined(unit)?);
            Ok(ControlFlow::Continue(()))
        })?;
        units.sort_by_key(|unit| unit.key.id());
        Ok(units)
    }

    /// A sub-agent by the `uuid` of its first row; `None` if there is none.
    pub fn agent(&self, first_row: RowId) -> Result<Option<Unit>, StoreError> {
        let Some(id) = codec::get(self.tree()?.as_ref(), &keys::agent(first_row))? else { return Ok(None) };
        // The stored key may be out of date: an earlier row that was read later is the first row then.
        let is_first = |unit: &Unit| unit.agent.as_ref().and_then(|agent| agent.first_row).map(|(_, row)| row);
        Ok(self.unit(id)?.filter(|unit| is_first(unit) == Some(first_row)))
    }

    /// True if streams told of anything.
    pub fn has_runs(&self) -> Result<bool, StoreError> {
        Rows::of(self.tree()?.as_ref()).has_runs()
    }

    /// Gives every file with its number to `take`, in the order in which they were first seen.
    pub fn each_file(&self, take: impl FnMut(FileNumber, FileRow)) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_file(take)
    }

    /// How many bytes of each file are counted, by its path. Fails if the database fails or is damaged.
    pub fn counted(&self) -> Result<HashMap<PathBuf, u64>, StoreError> {
        let mut counted = HashMap::new();
        self.each_file(|_, row| {
            let bytes = row.cursor.map_or(0, |cursor| cursor.offset);
            counted.insert(PathBuf::from(OsString::from_vec(row.path)), bytes);
        })?;
        Ok(counted)
    }

    /// A file by its number; `None` if nothing is stored for it.
    pub fn file(&self, number: FileNumber) -> Result<Option<FileRow>, StoreError> {
        Rows::of(self.tree()?.as_ref()).file(number)
    }
}
