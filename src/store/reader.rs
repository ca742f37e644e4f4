//! Reads sessions and units, from any thread that may block.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};

use sled::Tree;

use super::error::StoreError;
use super::file::FileRow;
use super::handle::Handle;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::session::{Member, Session};
use crate::ledger::unit::{Parts, Section, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{RowId, SessionId};
use crate::views::traces::tree::{Earlier, TurnOrder};

/// Reads the state. Clones share one database, which may be closed and opened again under them.
#[derive(Debug, Clone, Default)]
pub struct StoreReader {
    handle: Arc<RwLock<Option<Handle>>>,
}

impl StoreReader {
    pub(super) fn opened(&self, handle: Handle) {
        *self.handle.write().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    /// Lets go of the database, so that it can be opened again. Until then every read fails.
    pub fn close(&self) {
        *self.handle.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn tree(&self) -> Result<Arc<Tree>, StoreError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        handle.as_ref().map(Handle::tree).ok_or(StoreError::Closed)
    }

    /// A session by its whole id.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        codec::get(self.tree()?.as_ref(), &keys::session(id))
    }

    /// Every session, in no particular order.
    pub fn each_session(&self, mut take: impl FnMut(Session)) -> Result<(), StoreError> {
        let tree = self.tree()?;
        for row in tree.scan_prefix([keys::SESSION]) {
            let (key, value) = row?;
            if keys::number16(&key).is_some() {
                take(codec::decode(&tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// The units of a session with what is listed of them: its turns in order of their first rows, then all others in
    /// that order, as long as they are wanted.
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

    /// What lies before a turn in its session, whose turns are in `order`.
    pub fn earlier(&self, session: &Session, unit: &Unit, order: &TurnOrder) -> Result<Earlier, StoreError> {
        Rows::of(self.tree()?.as_ref()).earlier(session, unit, order)
    }

    /// The sessions that were forked from one.
    pub fn forks(&self, source: &SessionId) -> Result<Vec<SessionId>, StoreError> {
        Rows::of(self.tree()?.as_ref()).forks(source)
    }

    /// A unit as it is stored: the parts of a long one lie in its sections.
    pub fn unit(&self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        Rows::of(self.tree()?.as_ref()).unit(id)
    }

    /// A unit with all of its parts, however many they are.
    pub fn whole(&self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        let unit = self.unit(id)?;
        unit.map(|unit| self.joined(unit)).transpose()
    }

    /// A unit as it is stored, with the parts that lie in its sections.
    pub fn joined(&self, mut unit: Unit) -> Result<Unit, StoreError> {
        if unit.sections.take().is_some() {
            self.each_section(unit.key.id(), |section| {
                unit.parts.append(section.parts);
                ControlFlow::Continue(())
            })?;
        }
        Ok(unit)
    }

    /// A section of a long unit.
    pub fn section(&self, of: UnitId, position: u32) -> Result<Option<Section>, StoreError> {
        Rows::of(self.tree()?.as_ref()).section(of, position)
    }

    /// The sections of a long unit, in order, as long as they are wanted.
    pub fn each_section(&self, of: UnitId, take: impl FnMut(Section) -> ControlFlow<()>) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_section(of, 0, take)
    }

    /// The units of a session as they are stored, in no particular order, as long as they are wanted. One that moved to
    /// another session since is left out.
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
        // What was written together lies together.
        numbers.sort_unstable();
        for number in numbers {
            let Some(unit) = rows.numbered(number)?.filter(|unit| unit.session() == session) else { continue };
            if take(unit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Everything that happened in a session, in no particular order.
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

    /// A sub-agent by the `uuid` of its first row.
    pub fn agent(&self, first_row: RowId) -> Result<Option<Unit>, StoreError> {
        let Some(id) = codec::get(self.tree()?.as_ref(), &keys::agent(first_row))? else { return Ok(None) };
        // An earlier row that was read later has taken its place: then its first row is another one.
        let is_first = |unit: &Unit| unit.agent.as_ref().and_then(|agent| agent.first_row).map(|(_, row)| row);
        Ok(self.unit(id)?.filter(|unit| is_first(unit) == Some(first_row)))
    }

    /// Every file with its number, in the order in which they were first seen.
    pub fn each_file(&self, take: impl FnMut(FileNumber, FileRow)) -> Result<(), StoreError> {
        Rows::of(self.tree()?.as_ref()).each_file(take)
    }

    /// A file by its number.
    pub fn file(&self, number: FileNumber) -> Result<Option<FileRow>, StoreError> {
        Rows::of(self.tree()?.as_ref()).file(number)
    }
}
