//! All runs in memory: what lists and sums of them need, so that no run is decoded for an answer about many.
//!
//! What a run spent is the sum of the units that belong to it. A unit belongs to the run of its turn, as it does to the
//! workflow of its turn, so that the runs of a workflow add up to what the filter `workflow` takes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cells::Window;
use super::filter::NumberedFilter;
use super::names::{Name, Names};
use super::session_cells::{SessionCells, Spent, StoredUnit};
use super::session_work::SessionWork;
use crate::ledger::money::Money;
use crate::ledger::run::{Run, RunOutcome};
use crate::ledger::session::project_of;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::record::Outcome;
use crate::transcript::shown::{shown, shown_name};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// A run, as lists know it.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// Its workflow, as answers show it; `None` without a name.
    pub workflow: Option<Arc<str>>,
    /// Its labels, as answers show them.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// The project in which its first session was started.
    pub project: Option<Arc<str>>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; `None` while its stream is open, even if a result told the outcome.
    pub ended: Option<Timestamp>,
    /// How long it took, or takes so far, in milliseconds.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: RunOutcome,
    /// What the client counted in each of its sessions; `None` for one without a result.
    pub counted: Vec<(SessionId, Option<Money>)>,
}

/// What a session spent in a run, or all of its sessions did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSums {
    /// Turns.
    pub turns: u64,
    /// Responses, tokens and list price, sub-agents included.
    pub spent: Spent,
    /// Calls of each tool.
    pub tools: BTreeMap<Name, RunCalls>,
}

/// The calls of one tool in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCalls {
    /// All of them.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Those that were interrupted.
    pub interrupted: u64,
}

/// What the client counted beside what we did, in picodollars, each at least 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCosts {
    /// Ours, at list prices.
    pub ours: Money,
    /// The client's; `None` if it told none.
    pub client: Option<Money>,
    /// What the client counted beyond ours, session by session; `None` if it told no result of a session of which is known
    /// what it spent.
    pub unattributed: Option<Money>,
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// When they began.
    pub window: Window,
    /// Their workflows; all if there is none.
    pub workflow: Vec<String>,
    /// Their projects; all if there is none.
    pub project: Vec<String>,
    /// Labels that they have, each with the value that it has, or any.
    pub labels: Vec<(String, Option<String>)>,
    /// How they ended; in any way if there is none.
    pub outcome: Vec<RunOutcome>,
    /// Ids of sessions of which they have one; any if there is none.
    pub session: Vec<String>,
    /// The runs among which they are; `None` if they are among all.
    pub among: Option<HashSet<RunId>>,
}

/// All runs.
#[derive(Debug, Default)]
pub struct RunIndex {
    runs: HashMap<RunId, RunEntry>,
    /// The runs of each workflow, by when they began.
    workflows: BTreeMap<Option<Arc<str>>, BTreeSet<(Timestamp, RunId)>>,
    /// What sessions spent in each run.
    sums: HashMap<RunId, Vec<(SessionId, RunSums)>>,
    /// In which runs a session has spent something.
    sessions: HashMap<SessionId, Vec<RunId>>,
    /// Sessions that ended for their age: what they spent in which run is not known any more.
    retired: HashSet<SessionId>,
}

impl RunEntry {
    fn of(run: &Run) -> Self {
        let whole = |text: &Arc<str>| Arc::<str>::from(shown(text));
        let outcome = run.outcome();
        let began = run.began.or(run.last).unwrap_or_default();
        let cwd = run.sessions.iter().find_map(|session| session.cwd.as_deref());
        Self {
            workflow: run.workflow.as_ref().map(whole),
            labels: run.labels.iter().map(|(name, value)| (whole(name), whole(value))).collect(),
            project: cwd.and_then(project_of).map(|project| shown_name(project).into()),
            began,
            ended: run.end(),
            took_ms: run.took_ms(),
            outcome,
            counted: run
                .sessions
                .iter()
                .map(|session| (session.id.clone(), session.last.as_ref().map(|_| session.cost())))
                .collect(),
        }
    }
}

impl RunFilter {
    /// Whether it takes a run.
    #[must_use]
    pub fn takes(&self, id: RunId, run: &RunEntry) -> bool {
        let one_of = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|wanted| wanted == name))
        };
        let has = |(name, value): &(String, Option<String>)| {
            run.labels.get(name.as_str()).is_some_and(|own| value.as_ref().is_none_or(|value| **own == **value))
        };
        self.among.as_ref().is_none_or(|among| among.contains(&id))
            && self.window.has(run.began)
            && one_of(&self.workflow, run.workflow.as_deref())
            && one_of(&self.project, run.project.as_deref())
            && self.labels.iter().all(has)
            && (self.outcome.is_empty() || self.outcome.contains(&run.outcome))
            && (self.session.is_empty() || run.counted.iter().any(|(id, _)| one_of(&self.session, Some(&*id.0))))
    }
}

impl RunSums {
    /// What a session spent in each run that it has turns of.
    pub(super) fn of(cells: &SessionCells, work: &SessionWork) -> Vec<(RunId, Self)> {
        let mut sums: BTreeMap<RunId, Self> = BTreeMap::new();
        let run_of = |unit: u32| cells.runs.get(unit as usize).copied().flatten();
        for turn in &cells.turns {
            if let Some(run) = run_of(turn.unit) {
                sums.entry(run).or_default().turns += 1;
            }
        }
        for cell in &cells.cells {
            if let Some(run) = run_of(cell.unit) {
                sums.entry(run).or_default().spent.add(&cell.spent());
            }
        }
        if !cells.runs.is_empty() {
            for call in &work.calls {
                let Some(run) = run_of(call.unit) else { continue };
                sums.entry(run).or_default().tools.entry(call.tool).or_default().add(call.outcome);
            }
        }
        sums.into_iter().collect()
    }

    /// Adds what another session spent.
    pub fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        self.spent.add(&other.spent);
        for (tool, calls) in &other.tools {
            let own = self.tools.entry(*tool).or_default();
            own.calls += calls.calls;
            own.failed += calls.failed;
            own.denied += calls.denied;
            own.interrupted += calls.interrupted;
        }
    }
}

impl RunCalls {
    const fn add(&mut self, outcome: Option<Outcome>) {
        self.calls += 1;
        match outcome {
            Some(Outcome::Failed) => self.failed += 1,
            Some(Outcome::Denied) => self.denied += 1,
            Some(Outcome::Interrupted) => self.interrupted += 1,
            Some(Outcome::Ok) | None => {}
        }
    }
}

impl RunCosts {
    /// What the client counted beyond ours or, of a client that counted less, nothing.
    fn add(&mut self, ours: Money, client: Option<Money>) {
        self.ours += ours;
        if let Some(client) = client {
            self.client = Some(self.client.unwrap_or_default() + client);
            let beyond = (client - ours).max(Money::ZERO);
            self.unattributed = Some(self.unattributed.unwrap_or_default() + beyond);
        }
    }
}

impl RunIndex {
    /// Puts a run in the place of what was known of it.
    pub fn put(&mut self, run: &Run) {
        let entry = RunEntry::of(run);
        if let Some(old) = self.runs.remove(&run.id)
            && let Some(runs) = self.workflows.get_mut(&old.workflow)
        {
            runs.remove(&(old.began, run.id));
            if runs.is_empty() {
                self.workflows.remove(&old.workflow);
            }
        }
        self.workflows.entry(entry.workflow.clone()).or_default().insert((entry.began, run.id));
        self.runs.insert(run.id, entry);
    }

    /// Puts what a session spent in runs in the place of what it did before.
    pub(super) fn put_sums(&mut self, id: &SessionId, sums: Vec<(RunId, RunSums)>) {
        self.remove_sums(id);
        if sums.is_empty() {
            return;
        }
        self.sessions.insert(id.clone(), sums.iter().map(|(run, _)| *run).collect());
        for (run, sums) in sums {
            self.sums.entry(run).or_default().push((id.clone(), sums));
        }
    }

    /// Remembers that a session ended for its age.
    pub(super) fn put_retired(&mut self, id: &SessionId) {
        self.retired.insert(id.clone());
    }

    /// Takes out what a session spent.
    pub(super) fn remove_sums(&mut self, id: &SessionId) {
        for run in self.sessions.remove(id).unwrap_or_default() {
            if let Some(sums) = self.sums.get_mut(&run) {
                sums.retain(|(session, _)| session != id);
                if sums.is_empty() {
                    self.sums.remove(&run);
                }
            }
        }
    }

    /// A run by its id.
    #[must_use]
    pub fn get(&self, id: RunId) -> Option<&RunEntry> {
        self.runs.get(&id)
    }

    /// The runs whose ids begin with a text of hexadecimal digits and dashes, in any case.
    #[must_use]
    pub fn beginning_with(&self, text: &str) -> Vec<RunId> {
        let text = text.to_ascii_lowercase();
        self.runs.keys().copied().filter(|id| id.0.to_string().starts_with(&text)).collect()
    }

    /// Whether there is a run of a workflow.
    #[must_use]
    pub fn has_workflow(&self, name: &str) -> bool {
        self.workflows.contains_key(&Some(Arc::from(name)))
    }

    /// The runs of each workflow that a filter takes, newest first. The first is without a name.
    pub fn workflows<'i>(
        &'i self,
        filter: &'i RunFilter,
    ) -> impl Iterator<Item = (Option<&'i Arc<str>>, Vec<(RunId, &'i RunEntry)>)> {
        self.workflows.iter().map(|(name, runs)| {
            let runs = runs.iter().rev().filter_map(|(_, id)| Some((*id, self.runs.get(id)?)));
            (name.as_ref(), runs.filter(|(id, run)| filter.takes(*id, run)).collect())
        })
    }

    /// The runs that a filter takes, in no particular order.
    pub fn taken<'i>(&'i self, filter: &'i RunFilter) -> impl Iterator<Item = (RunId, &'i RunEntry)> {
        let wanted = |name: &Option<Arc<str>>| {
            let is_it = |wanted: &String| name.as_deref() == Some(wanted.as_str());
            filter.workflow.is_empty() || filter.workflow.iter().any(is_it)
        };
        let runs = self.workflows.iter().filter(move |(name, _)| wanted(name)).flat_map(|(_, runs)| runs);
        runs.filter_map(|(_, id)| Some((*id, self.runs.get(id)?))).filter(|(id, run)| filter.takes(*id, run))
    }

    /// What a run spent in one of its sessions; `None` if it spent nothing, or if that is not known any more.
    #[must_use]
    pub fn sums_in(&self, id: RunId, session: &SessionId) -> Option<&RunSums> {
        self.sums.get(&id)?.iter().find(|(known, _)| known == session).map(|(_, sums)| sums)
    }

    /// Whether it is known what a run spent in one of its sessions: nothing, if it has no turn there. Of a session that ended
    /// for its age it is not.
    #[must_use]
    pub fn knows(&self, id: RunId, session: &SessionId) -> bool {
        self.sums_in(id, session).is_some() || !self.retired.contains(session)
    }

    /// Whether it is known what a run spent in all of its sessions.
    #[must_use]
    pub fn knows_all(&self, id: RunId) -> bool {
        self.runs.get(&id).is_some_and(|run| run.counted.iter().all(|(session, _)| self.knows(id, session)))
    }

    /// What a run spent in all of its sessions.
    #[must_use]
    pub fn sums(&self, id: RunId) -> RunSums {
        let mut all = RunSums::default();
        self.sums.get(&id).into_iter().flatten().for_each(|(_, sums)| all.add(sums));
        all
    }

    /// The costs of a run: ours beside the client's.
    #[must_use]
    pub fn costs(&self, id: RunId) -> RunCosts {
        let mut costs = RunCosts::default();
        let Some(run) = self.runs.get(&id) else { return costs };
        let sums = self.sums.get(&id).map(Vec::as_slice).unwrap_or_default();
        for (session, client) in &run.counted {
            match self.sums_in(id, session) {
                Some(sums) => costs.add(sums.spent.cost, *client),
                // Without a turn of this run, all that the client counted is beyond ours.
                None if self.knows(id, session) => costs.add(Money::ZERO, *client),
                // Of a session that ended for its age it is not known what it spent, nor by how much that differs.
                None => costs.client = costs.client.into_iter().chain(*client).reduce(|sum, cost| sum + cost),
            }
        }
        // A turn that a fork got hold of is of the run still.
        let is_other = |session: &SessionId| run.counted.iter().all(|(known, _)| known != session);
        for (_, sums) in sums.iter().filter(|(session, _)| is_other(session)) {
            costs.add(sums.spent.cost, None);
        }
        costs
    }
}

/// The runs to which those units of a session belong that a filter takes; one may be named several times.
pub(super) fn runs_with(cells: &SessionCells, filter: &NumberedFilter) -> Vec<RunId> {
    // Which models a unit asked is told by its cells.
    let asked: HashSet<u32> = if filter.asks_for_models() {
        cells.cells.iter().filter(|cell| filter.takes_model(cell)).map(|cell| cell.unit).collect()
    } else {
        HashSet::new()
    };
    let units = (0..).zip(&cells.units).zip(&cells.runs);
    let taken = units.filter(|((position, unit), _)| {
        (!filter.asks_for_models() || asked.contains(position))
            && filter.takes_unit(unit)
            && filter.takes_tools(cells, *position)
    });
    taken.filter_map(|(_, run)| *run).collect()
}

/// A turn of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunTurn {
    /// Its position in the session, from 1.
    pub number: usize,
    /// Its unit.
    pub unit: UnitId,
    /// Time of the prompt.
    pub at: Timestamp,
    /// Milliseconds from the prompt to the end; `None` while it goes on.
    pub took_ms: Option<u64>,
    /// Distinct responses, those of sub-agents included.
    pub messages: u64,
    /// List price, sub-agents included.
    pub cost: Money,
}

/// What the units of a session spent in a run, but for calls of tools, and the turns among them, by the `uuid` of their
/// prompts.
#[must_use]
pub fn spent_in(stored: &[StoredUnit], run: RunId) -> (RunSums, Vec<RowId>) {
    let cells = SessionCells::of(&mut Names::default(), stored);
    let turns: Vec<RowId> = turns_of(&cells, run).into_iter().map(|turn| RowId(turn.unit.0)).collect();
    let sums = RunSums::of(&cells, &SessionWork::default()).into_iter().find(|(known, _)| *known == run);
    (sums.map(|(_, sums)| sums).unwrap_or_default(), turns)
}

/// The turns of a session that belong to a run, in order.
#[must_use]
pub fn turns_of(cells: &SessionCells, run: RunId) -> Vec<RunTurn> {
    let is_of_run = |unit: u32| cells.runs.get(unit as usize).copied().flatten() == Some(run);
    let mut turns: Vec<Option<RunTurn>> = Vec::with_capacity(cells.turns.len());
    for (turn, number) in cells.turns.iter().zip(1..) {
        let unit = cells.ids.get(turn.unit as usize).copied().filter(|_| is_of_run(turn.unit));
        let (at, took_ms, messages, cost) = (turn.at, turn.took_ms, 0, Money::ZERO);
        turns.push(unit.map(|unit| RunTurn { number, unit, at, took_ms, messages, cost }));
    }
    for cell in &cells.cells {
        let turn = cells.units.get(cell.unit as usize).and_then(|unit| unit.turn);
        if let Some(Some(turn)) = turn.and_then(|turn| turns.get_mut(turn as usize)) {
            turn.messages += cell.spent().messages;
            turn.cost += cell.spent().cost;
        }
    }
    turns.into_iter().flatten().collect()
}
