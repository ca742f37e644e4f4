//! The cells of all sessions, kept in memory for the questions about them. They are loaded when the first question comes,
//! and then only those of sessions that have changed.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};

use super::budgets::{BudgetsNow, SharedBudgets};
use super::place::KnownPlaces;
use crate::http::api::search::known::KnownFiles;
use crate::http::api::state::HasReader;
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::problem::{Problem, UNCHANGED};
use crate::http::route::request::Request;
use crate::ledger::prices::Prices;
use crate::store::{ChangedSessions, StateVersion, StoreError, StoreReader};
use crate::tail::client::ClientSettings;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::budgets::Budget;
use crate::views::analytics::cube::Cube;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::patterns::files_deleted_soon::files_kept_ms;
use crate::views::analytics::patterns::settings::PatternSettings;
use crate::views::analytics::period::Quarter;

/// How often cells are read again if a reading in between has failed.
const TRIES: usize = 10;

/// The cells of all sessions, and the budgets that they are held against, shared by all handlers.
#[derive(Debug)]
pub struct SharedCells {
    kept: RwLock<Kept>,
    prices: Prices,
    budgets: SharedBudgets,
    /// What the client says of its files; `None` if nobody asks it.
    client: Option<ClientSettings>,
    /// Tells the versions of this process from those of another.
    process: u64,
}

#[derive(Debug, Default)]
struct Kept {
    /// `None` if cells could not be read: then all are loaded anew.
    version: Option<StateVersion>,
    cube: Cube,
    /// Where calls and responses stand that answers name one by one, by session.
    places: Mutex<KnownPlaces>,
    /// Which files hold the texts of sessions, as far as a search has asked.
    files: Arc<KnownFiles>,
    /// Of what these take the cube keeps sums.
    watched: Vec<Filter>,
    /// What the rules of patterns go by.
    patterns: PatternSettings,
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
    budgets: &'c SharedBudgets,
    process: u64,
    version: StateVersion,
}

impl SharedCells {
    /// No cells yet. `prices` values what results of tools cost later.
    #[must_use]
    pub fn new(prices: Prices) -> Self {
        let (kept, budgets) = (RwLock::default(), SharedBudgets::of(Vec::new()));
        Self { kept, prices, budgets, client: None, process: RandomState::new().hash_one(()) }
    }

    /// The same with the budgets of the configuration.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Vec<Budget>) -> Self {
        let watched = budgets.iter().map(|budget| budget.filter.clone()).collect();
        self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).watched = watched;
        Self { budgets: SharedBudgets::of(budgets), ..self }
    }

    /// The same with the settings of patterns.
    #[must_use]
    pub fn with_patterns(mut self, patterns: PatternSettings) -> Self {
        self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).patterns = patterns;
        self
    }

    /// The same with the settings of the client, which are read again for each question that goes by them.
    #[must_use]
    pub fn with_client(self, client: ClientSettings) -> Self {
        Self { client: Some(client), ..self }
    }

    /// The budgets, and how they were doing when they were looked at last.
    pub(in crate::http) const fn budgets(&self) -> &SharedBudgets {
        &self.budgets
    }

    /// For how long the client keeps a session file that is not written any more, in milliseconds: as the configuration
    /// says, else as the settings of the client say now.
    pub fn files_kept_ms(&self) -> u64 {
        // No file is read while others wait for the lock.
        let patterns = self.kept.read().unwrap_or_else(PoisonError::into_inner).patterns.clone();
        files_kept_ms(&patterns, || self.client.as_ref().map(ClientSettings::kept_days))
    }

    /// Whether a question has loaded them.
    pub(in crate::http) fn are_loaded(&self) -> bool {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).version.is_some()
    }

    /// The cells as the last commit left them. Fails if the state cannot be read.
    pub(in crate::http) fn now(&self, reader: &StoreReader) -> Result<CellsNow<'_>, Problem> {
        let mut wanted = reader.version();
        for _ in 0..TRIES {
            // A poisoned lock can be used: what a panic left half made has no version, and is loaded anew.
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(version) = kept.version.filter(|version| *version >= wanted) {
                return Ok(CellsNow { kept, budgets: &self.budgets, process: self.process, version });
            }
            drop(kept);
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            if kept.version.is_none_or(|version| version < wanted) {
                kept.refresh(reader, &self.prices).map_err(unreadable)?;
            }
            // Another reading may fail before this one goes on.
            wanted = kept.version.unwrap_or(wanted);
        }
        Err(Problem::unavailable("the state changes faster than it can be read"))
    }
}

impl Kept {
    fn refresh(&mut self, reader: &StoreReader, prices: &Prices) -> Result<(), StoreError> {
        let known = self.version.take().is_some();
        let (version, changed) = reader.take_changed();
        // A run that changed meanwhile is newer than the version, and is read again with the next one.
        let runs = reader.take_changed_runs().filter(|_| known);
        let mut sessions: Vec<SessionId> = match changed {
            ChangedSessions::Some(sessions) if known => sessions.into_iter().collect(),
            ChangedSessions::Some(_) | ChangedSessions::All => {
                self.cube = Cube::watching(self.watched.iter().cloned(), self.patterns.clone());
                reader.each_run(|run| self.cube.runs.put(&run))?;
                self.places().clear();
                self.files.forget_all();
                let mut sessions = Vec::new();
                reader.each_session(|session| sessions.push(session.id))?;
                sessions.extend(reader.retired_sessions()?);
                sessions
            }
        };
        sessions.sort_unstable();
        // A session that goes on after it ended is named twice.
        sessions.dedup();
        for id in sessions {
            self.places().remove(&id);
            self.files.forget(&id);
            if let Some(sums) = reader.retired(&id)? {
                self.cube.put_retired(&id, &sums);
            }
            match reader.session(&id)? {
                Some(session) => self.cube.put(&session, &reader.cells_of(&id)?, prices),
                None => self.cube.remove(&id),
            }
        }
        for id in runs.into_iter().flatten() {
            if let Some(run) = reader.run(id)? {
                self.cube.runs.put(&run);
            }
        }
        self.version = Some(version);
        Ok(())
    }
}

impl Kept {
    fn places(&self) -> MutexGuard<'_, KnownPlaces> {
        // A poisoned lock can be used: each entry is put in as a whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment for which projections and budgets are told at a given one: the beginning of its quarter hour, so that the same
/// answer holds for as long. Less would be precision that no projection has, and more would let a new day wait.
pub(super) fn told_at(now: Timestamp) -> Timestamp {
    Quarter::of(now).start()
}

impl CellsNow<'_> {
    /// Where calls and responses stand, as far as answers have named them since their sessions changed.
    pub(in crate::http) fn places(&self) -> MutexGuard<'_, KnownPlaces> {
        self.kept.places()
    }

    /// Which files hold the texts of sessions, as far as is known.
    pub(in crate::http) fn files(&self) -> Arc<KnownFiles> {
        Arc::clone(&self.kept.files)
    }

    /// What the rules of patterns go by.
    pub(super) fn patterns(&self) -> &PatternSettings {
        &self.kept.patterns
    }

    pub(in crate::http) fn cube(&self) -> &Cube {
        &self.kept.cube
    }

    /// How the budgets are doing at [`told_at`] a moment.
    pub(in crate::http) fn budgets(&self, now: Timestamp) -> BudgetsNow {
        self.budgets.now(self.cube(), self.version, told_at(now))
    }

    /// False while cells are being made for a state that had none: then sums are too small.
    pub(in crate::http) fn is_complete(&self) -> bool {
        self.version.has_all_cells
    }

    /// The version as an entity tag. `besides` tells apart what else an answer depends on.
    fn tag(&self, besides: &str) -> String {
        let StateVersion { opened, commit, .. } = self.version;
        format!("W/\"{:x}-{opened:x}-{commit:x}{besides}\"", self.process)
    }

    /// The answer to a client that has the answer of this version already; `None` for any other client.
    pub(in crate::http) fn not_modified(&self, request: &Request, besides: &str) -> Option<Answer> {
        let (known, own) = (request.header(&IF_NONE_MATCH)?, self.tag(besides));
        // The comparison is weak: RFC 9110, section 13.1.2.
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let is_same = known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(&own));
        is_same.then(|| self.tagged(Answer::empty(UNCHANGED), besides))
    }

    /// The answer with the version that it was computed from.
    pub(in crate::http) fn tagged(&self, answer: Answer, besides: &str) -> Answer {
        match HeaderValue::from_str(&self.tag(besides)) {
            Ok(tag) => answer.with_header(ETAG, tag),
            Err(_) => answer,
        }
    }
}
