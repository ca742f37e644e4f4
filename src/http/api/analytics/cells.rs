//! The cells of all sessions, kept in memory for the questions about them. They are loaded when the first question comes,
//! and then only those of sessions that have changed.

use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use http::StatusCode;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};

use crate::http::api::state::HasReader;
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::store::{ChangedSessions, StateVersion, StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::views::analytics::cube::Cube;

/// The cells of all sessions, shared by all handlers.
#[derive(Debug)]
pub struct SharedCells {
    kept: RwLock<Kept>,
    /// Tells the versions of this process from those of another.
    process: u64,
}

#[derive(Debug, Default)]
struct Kept {
    /// `None` if cells could not be read: then all are loaded anew.
    version: Option<StateVersion>,
    cube: Cube,
    /// False while cells are being made for a state that had none.
    complete: bool,
}

/// Access to the cells, whatever else the context of an [`App`](crate::http::App) holds.
pub trait HasCells: HasReader {
    /// The cells of all sessions.
    fn cells(&self) -> &SharedCells;
}

/// The cells as they were at a version of the state.
#[derive(Debug)]
pub(in crate::http) struct CellsNow<'c> {
    kept: RwLockReadGuard<'c, Kept>,
    tag: String,
}

impl Default for SharedCells {
    fn default() -> Self {
        Self { kept: RwLock::default(), process: RandomState::new().hash_one(()) }
    }
}

impl SharedCells {
    /// The cells as the last commit left them. Fails if the state cannot be read.
    pub(in crate::http) fn now(&self, reader: &StoreReader) -> Result<CellsNow<'_>, Problem> {
        // A poisoned lock can be used: what a panic left half made has no version, and is loaded anew.
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if kept.version == Some(reader.version()) {
            return Ok(self.told(kept));
        }
        drop(kept);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.refresh(reader).map_err(unreadable)?;
        drop(kept);
        Ok(self.told(self.kept.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn told<'c>(&self, kept: RwLockReadGuard<'c, Kept>) -> CellsNow<'c> {
        let StateVersion { opened, commit } = kept.version.unwrap_or_default();
        let tag = format!("\"{:x}-{opened:x}-{commit:x}\"", self.process);
        CellsNow { kept, tag }
    }
}

impl Kept {
    fn refresh(&mut self, reader: &StoreReader) -> Result<(), StoreError> {
        let known = self.version.take().is_some();
        let complete = reader.has_all_cells()?;
        let (version, changed) = reader.take_changed();
        let sessions: Vec<SessionId> = match changed {
            ChangedSessions::Some(sessions) if known => sessions.into_iter().collect(),
            ChangedSessions::Some(_) | ChangedSessions::All => {
                self.cube = Cube::default();
                let mut sessions = Vec::new();
                reader.each_session(|session| sessions.push(session.id))?;
                sessions
            }
        };
        for id in sessions {
            match reader.session(&id)? {
                Some(session) => self.cube.put(&session, &reader.cells_of(&id)?),
                None => self.cube.remove(&id),
            }
        }
        (self.version, self.complete) = (Some(version), complete);
        Ok(())
    }
}

impl CellsNow<'_> {
    pub(in crate::http) fn cube(&self) -> &Cube {
        &self.kept.cube
    }

    /// False while cells are being made for a state that had none: then sums are too small.
    pub(in crate::http) fn is_complete(&self) -> bool {
        self.kept.complete
    }

    /// The answer to a client that has the answer of this version already; `None` for any other client.
    pub(in crate::http) fn not_modified(&self, request: &Request) -> Option<Answer> {
        let known = request.header(&IF_NONE_MATCH)?;
        let is_same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag;
        known.split(',').any(|tag| is_same(tag.trim())).then(|| self.tagged(Answer::empty(StatusCode::NOT_MODIFIED)))
    }

    /// The answer with the version that it was computed from.
    pub(in crate::http) fn tagged(&self, answer: Answer) -> Answer {
        match HeaderValue::from_str(&self.tag) {
            Ok(tag) => answer.with_header(ETAG, tag),
            Err(_) => answer,
        }
    }
}
