//! All sessions in memory: what the list knows of each, and its cells. A question reads no rows of the state.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::cells::Window;
use super::filter::{Filter, NumberedFilter};
use super::index::SessionEntry;
use super::names::Names;
use super::patterns::edits::{Edit, edits};
use super::patterns::finding::Finding;
use super::patterns::seen::Seen;
use super::patterns::session_rules::findings;
use super::patterns::settings::PatternSettings;
use super::quarters::SessionQuarters;
use super::retired::RetiredSums;
use super::runs::{RunIndex, RunSums, runs_with};
use super::session_cells::{SessionCells, StoredUnit};
use super::session_work::{SessionWork, works};
use super::spend::{QuarterSpend, Sign};
use crate::ledger::prices::Prices;
use crate::ledger::session::Session;
use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;

/// The cells of all sessions, and what stays of those that ended for their age.
#[derive(Debug, Default)]
pub struct Cube {
    /// Every name in them.
    pub names: Names,
    sessions: HashMap<SessionId, CubeSession>,
    /// What stays of sessions that ended for their age.
    retired: HashMap<SessionId, (SessionCells, SessionQuarters)>,
    ended: EndedId,
    /// What all sessions have spent.
    spend: QuarterSpend,
    /// What was spent of what some filters take.
    watched: Vec<(Filter, QuarterSpend)>,
    /// All runs.
    pub runs: RunIndex,
    /// What the rules of patterns go by.
    patterns: PatternSettings,
}

/// Stands for the id of every session that ended for its age.
#[derive(Debug)]
struct EndedId(SessionId);

impl Default for EndedId {
    fn default() -> Self {
        Self(SessionId("ended".into()))
    }
}

/// The cells of a session, or what stays of one that ended for its age.
pub(super) struct Spender<'c> {
    /// Its id; `ended` for one that ended.
    pub(super) id: &'c SessionId,
    pub(super) cells: &'c SessionCells,
    pub(super) quarters: &'c SessionQuarters,
}

/// One session.
#[derive(Debug)]
pub struct CubeSession {
    /// What the list of sessions knows of it.
    pub entry: SessionEntry,
    /// Its cells.
    pub cells: SessionCells,
    /// What its cells come to in each quarter hour.
    pub(super) quarters: SessionQuarters,
    /// Its tool calls.
    pub work: SessionWork,
    /// What the rules of patterns found in it, in order of time.
    pub findings: Vec<Finding>,
    /// The calls that changed files, in order of time.
    pub edits: Vec<Edit>,
}

impl Cube {
    /// A cube without sessions that keeps sums of what each of these filters takes, and what the rules of patterns find.
    /// Windows of the filters are not looked at.
    #[must_use]
    pub fn watching(filters: impl IntoIterator<Item = Filter>, patterns: PatternSettings) -> Self {
        let watched = filters.into_iter().map(|filter| (filter, QuarterSpend::default())).collect();
        Self { watched, patterns, ..Self::default() }
    }

    /// Puts a session and its cells in the place of what was there. `prices` values what results of tools cost later.
    pub fn put(&mut self, session: &Session, units: &[StoredUnit], prices: &Prices) {
        self.remove(&session.id);
        let entry = SessionEntry::of(&mut self.names, session);
        let cells = SessionCells::of(&mut self.names, units);
        let works = works(units);
        let work = SessionWork::of(&mut self.names, units, &works, prices);
        let forked = session.fork.as_ref().map(|fork| fork.time);
        let seen = Seen::of(units, &works, (&cells, &work), prices, forked);
        let findings = findings(&mut self.names, &seen, &self.patterns);
        let edits = edits(&mut self.names, &works);
        self.count(Some(&session.id), &cells, Sign::Plus);
        self.runs.put_sums(&session.id, RunSums::of(&cells, &work));
        let quarters = SessionQuarters::of(&cells);
        self.sessions.insert(session.id.clone(), CubeSession { entry, cells, quarters, work, findings, edits });
    }

    /// Takes a session out.
    pub fn remove(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            self.count(Some(id), &session.cells, Sign::Minus);
            self.runs.remove_sums(id);
        }
    }

    /// Puts what stays of a session that ended for its age in the place of what stayed before. The session itself may be
    /// there again.
    pub fn put_retired(&mut self, id: &SessionId, sums: &RetiredSums) {
        self.remove_retired(id);
        self.runs.put_retired(id);
        let cells = sums.cells(&mut self.names);
        self.count(None, &cells, Sign::Plus);
        let quarters = SessionQuarters::of(&cells);
        self.retired.insert(id.clone(), (cells, quarters));
    }

    fn remove_retired(&mut self, id: &SessionId) {
        if let Some((cells, _)) = self.retired.remove(id) {
            self.count(None, &cells, Sign::Minus);
        }
    }

    /// Adds a session to the sums that are kept, or takes it out; without an id, one that ended. A filter takes the same cells of it at both times: a
    /// name that became known in between is not one of the session's.
    fn count(&mut self, id: Option<&SessionId>, cells: &SessionCells, sign: Sign) {
        self.spend.count(cells, sign);
        let id = id.unwrap_or(&self.ended.0);
        for (filter, spend) in &mut self.watched {
            spend.count_taken(id, cells, &NumberedFilter::of(filter, &self.names), sign);
        }
    }

    /// What was spent of what a filter takes, whatever its window is. What all have spent, or a filter that is watched
    /// takes, is known already; for any other filter all cells are looked at.
    #[must_use]
    pub fn spend(&self, filter: &Filter) -> Cow<'_, QuarterSpend> {
        let filter = Filter { window: Window::default(), ..filter.clone() };
        if filter == Filter::default() {
            return Cow::Borrowed(&self.spend);
        }
        if let Some((_, spend)) = self.watched.iter().find(|(watched, _)| *watched == filter) {
            return Cow::Borrowed(spend);
        }
        let numbered = NumberedFilter::of(&filter, &self.names);
        let mut spend = QuarterSpend::default();
        for (id, cells) in self.cells() {
            spend.count_taken(id, cells, &numbered, Sign::Plus);
        }
        Cow::Owned(spend)
    }

    /// A session by its id; `None` if there is none, or if it ended for its age.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&CubeSession> {
        self.sessions.get(id)
    }

    /// Every session that has not ended for its age, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &CubeSession)> {
        self.sessions.iter()
    }

    /// The runs of which a turn or sub-agent is what a filter takes; `None` if it takes all. Its window, sessions, projects and
    /// workflows are not looked at: those of a run are its own.
    #[must_use]
    pub fn runs_with(&self, filter: &Filter) -> Option<HashSet<RunId>> {
        let Filter { branch, entrypoint, model, agent, origin, tool, .. } = filter.clone();
        let filter = Filter { branch, entrypoint, model, agent, origin, tool, ..Filter::default() };
        (filter != Filter::default()).then(|| {
            let numbered = NumberedFilter::of(&filter, &self.names);
            self.sessions.values().flat_map(|session| runs_with(&session.cells, &numbered)).collect()
        })
    }

    /// The cells of every session, in no particular order, and what stays of sessions that ended for their age.
    pub fn cells(&self) -> impl Iterator<Item = (&SessionId, &SessionCells)> {
        self.spenders().map(|spender| (spender.id, spender.cells))
    }

    /// The same, with what the cells come to in each quarter hour.
    pub(super) fn spenders(&self) -> impl Iterator<Item = Spender<'_>> {
        let sessions = self.sessions.iter();
        let sessions = sessions.map(|(id, session)| Spender { id, cells: &session.cells, quarters: &session.quarters });
        let retired = self.retired.values().map(|(cells, quarters)| Spender { id: &self.ended.0, cells, quarters });
        sessions.chain(retired)
    }
}
