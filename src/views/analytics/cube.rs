//! All sessions in memory: what the list knows of each, and its cells. A question reads no rows of the state.

use std::collections::HashMap;

use super::index::SessionEntry;
use super::names::Names;
use super::session_cells::{SessionCells, StoredUnit};
use super::session_work::SessionWork;
use crate::ledger::prices::Prices;
use crate::ledger::session::Session;
use crate::transcript::ids::SessionId;

/// The cells of all sessions.
#[derive(Debug, Default)]
pub struct Cube {
    /// Every name in them.
    pub names: Names,
    sessions: HashMap<SessionId, CubeSession>,
}

/// One session.
#[derive(Debug)]
pub struct CubeSession {
    /// What the list of sessions knows of it.
    pub entry: SessionEntry,
    /// Its cells.
    pub cells: SessionCells,
    /// Its tool calls.
    pub work: SessionWork,
}

impl Cube {
    /// Puts a session and its cells in the place of what was there. `prices` values what results of tools cost later.
    pub fn put(&mut self, session: &Session, units: &[StoredUnit], prices: &Prices) {
        let entry = SessionEntry::of(&mut self.names, session);
        let cells = SessionCells::of(&mut self.names, units);
        let work = SessionWork::of(&mut self.names, units, prices);
        self.sessions.insert(session.id.clone(), CubeSession { entry, cells, work });
    }

    /// Takes a session out.
    pub fn remove(&mut self, id: &SessionId) {
        self.sessions.remove(id);
    }

    /// Every session, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &CubeSession)> {
        self.sessions.iter()
    }

    /// The cells of every session, in no particular order.
    pub fn cells(&self) -> impl Iterator<Item = (&SessionId, &SessionCells)> {
        self.sessions.iter().map(|(id, session)| (id, &session.cells))
    }
}
