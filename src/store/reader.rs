//! Reads sessions and units, from any thread that may block.

use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use sled::Tree;

use super::handle::Handle;
use super::writer::FileRow;
use super::{StoreError, codec, keys};
use crate::ledger::session::{Session, UnitRef};
use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{RowId, SessionId};

/// Reads the state. Clones share one database, which may be closed and opened again under them.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    handle: Arc<RwLock<Option<Handle>>>,
}

impl Reader {
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
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        codec::get(self.tree()?.as_ref(), &keys::session(id))
    }

    /// Every session, in no particular order.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn each_session(&self, take: impl FnMut(Session)) -> Result<(), StoreError> {
        self.each_session_as(take)
    }

    /// What every session keeps of its units, in no particular order. The rest of a session is not read.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn each_unit_ref(&self, mut take: impl FnMut(UnitId, UnitRef)) -> Result<(), StoreError> {
        // As `Session` begins; what follows in the value is left alone.
        self.each_session_as(|(_, units): (SessionId, Vec<(UnitId, UnitRef)>)| {
            units.into_iter().for_each(|(id, unit)| take(id, unit));
        })
    }

    fn each_session_as<T: DeserializeOwned>(&self, mut take: impl FnMut(T)) -> Result<(), StoreError> {
        let tree = self.tree()?;
        for row in tree.scan_prefix([keys::SESSION]) {
            let (key, value) = row?;
            if keys::number16(&key).is_some() {
                take(codec::decode(&tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// A unit.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn unit(&self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        let tree = self.tree()?;
        let Some(number) = codec::get(&tree, &keys::number(id))? else { return Ok(None) };
        codec::get(&tree, &keys::unit(number))
    }

    /// The units of a session, in the order of their ids. One that moved to another session since is left out.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn units_of(&self, session: &Session) -> Result<Vec<Unit>, StoreError> {
        let mut units = Vec::with_capacity(session.units.len());
        for id in session.units.keys() {
            units.extend(self.unit(*id)?.filter(|unit| *unit.session() == session.id));
        }
        Ok(units)
    }

    /// A sub-agent by the `uuid` of its first row.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn agent(&self, first_row: RowId) -> Result<Option<Unit>, StoreError> {
        let Some(id) = codec::get(self.tree()?.as_ref(), &keys::agent(first_row))? else { return Ok(None) };
        // An earlier row that was read later has taken its place: then its first row is another one.
        let is_first = |unit: &Unit| unit.agent.as_ref().and_then(|agent| agent.first_row).map(|(_, row)| row);
        Ok(self.unit(id)?.filter(|unit| is_first(unit) == Some(first_row)))
    }

    /// Every file with its number, in the order in which they were first seen.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn each_file(&self, mut take: impl FnMut(FileNumber, FileRow)) -> Result<(), StoreError> {
        let tree = self.tree()?;
        for row in tree.scan_prefix([keys::FILE]) {
            let (key, value) = row?;
            if let Some(number) = keys::number4(&key) {
                take(FileNumber(number), codec::decode(&tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// A file by its number.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn file(&self, number: FileNumber) -> Result<Option<FileRow>, StoreError> {
        codec::get(self.tree()?.as_ref(), &keys::file(number))
    }
}
