//! A session: the sums over its units, and the cost that the client itself reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::{Account, AccountSource};
use super::money::Money;
use super::tally::{SourceEvents, Tally};
use super::unit::{Ask, Surroundings, Told, Unit, UnitId};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::record::{PullRequest, TitleBy};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// A session. Most of it follows from its units, which are not listed here, because there may be tens of thousands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Number of its units that have a user or assistant row.
    pub spoken: u64,
    /// Number of its units whose prompt was the first one of another process.
    pub resumes: u64,
    /// The unit that it begins with; `None` if it has no unit.
    pub first: Option<First>,
    /// Time of its last row.
    pub last: Option<Timestamp>,
    /// Git branch of its latest unit that has one.
    pub latest_branch: Option<LatestBranch>,
    /// True if the first or last unit has changed, so that `first`, `last` and `latest_branch` must be found again.
    pub is_loose: bool,
    /// Sums over its units.
    pub tally: Tally,
    /// The costs that the client reported, one for each turn after which it did; the latest [`ACCOUNTS_MAX`].
    pub accounts: Vec<Account>,
    /// Where it was forked from, if it was.
    pub fork: Option<Fork>,
    /// True if other sessions were forked from it: the cost that these inherited depends on it.
    pub has_forks: bool,
    /// The part of the client's figure that is in the totals already.
    pub counted_report: Reported,
    /// True if the session is in the counter of started sessions.
    pub counted_start: bool,
    /// True if a row that names the session was read, and not only copies of its rows in a fork.
    pub own_rows: bool,
    /// Number of units of which it has the last row and no other session has that row.
    pub alone: u64,
    /// Sessions that have rows of the same units, if nothing tells which rows are copies; at most [`RIVALS_MAX`].
    pub rivals: BTreeSet<SessionId>,
    /// Title without its secrets; `None` if it has none.
    pub title: Option<Arc<str>>,
    /// Who chose the title; means nothing without a title.
    pub title_by: TitleBy,
    /// Pull requests that it made or worked on, the latest [`PULL_REQUESTS_MAX`].
    pub pull_requests: Vec<PullRequest>,
    /// The runs that it is in, the latest [`RUNS_MAX`].
    pub runs: Vec<RunId>,
    /// The events that are in the counters of what one side lacks for ever.
    pub counted_events: SourceEvents,
    /// The unit with what only the client's account tells, if nothing else tells what the session used.
    pub rest: Option<UnitId>,
}

/// Most runs that are kept of one session.
pub const RUNS_MAX: usize = 1_000;

/// Most pull requests that are kept of one session.
pub const PULL_REQUESTS_MAX: usize = 100;

/// Most rivals that are kept of one session.
pub const RIVALS_MAX: usize = 64;

/// Most accounts that are kept of one session. What a fork inherited cannot be told from an older one.
pub const ACCOUNTS_MAX: usize = 1_250;

/// So many of them are dropped at once, the oldest: what stands behind them in the row of the session is written again then.
const ACCOUNTS_DROPPED: usize = 250;

/// The unit that a session begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// Time of its first row.
    pub time: Timestamp,
    /// The unit.
    pub unit: UnitId,
    /// Its surroundings.
    pub context: Surroundings,
}

/// The branch of a session's latest unit that has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestBranch {
    /// Time of the unit's first row.
    pub time: Timestamp,
    /// The unit.
    pub unit: UnitId,
    /// Its branch.
    pub name: Arc<str>,
}

/// An entry of the list of a session's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The unit.
    pub unit: UnitId,
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// True for a turn whose prompt row is known.
    pub turn: bool,
    /// True if its surroundings have a git branch.
    pub branch: bool,
    /// The unit that holds the call which started it, for a sub-agent whose call is known.
    pub parent: Option<UnitId>,
    /// True for a sub-agent that goes on after its call has returned.
    pub background: bool,
}

impl Member {
    /// The entry of a unit.
    #[must_use]
    pub fn of(unit: &Unit) -> Self {
        let (turn, branch) = (unit.is_turn(), unit.context.branch.is_some());
        let parent = unit.agent.as_ref().and_then(|agent| agent.parent);
        let background = unit.agent.as_ref().is_some_and(|agent| agent.background);
        Self { unit: unit.key.id(), first: unit.first, last: unit.last, turn, branch, parent, background }
    }

    /// The unit with whose spans its own leave; see [`Unit::leaves_with`].
    #[must_use]
    pub fn leaves_with(&self) -> Option<UnitId> {
        self.parent.filter(|_| !self.background)
    }
}

/// What is known of a sub-agent before any of its rows was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingAgent {
    /// What its side file or its workflow tells; for a run of the Workflow tool, its call.
    pub told: Told,
    /// Calls whose results name it.
    pub asks: Vec<Ask>,
    /// For a run of the Workflow tool, which waits like a sub-agent: the sub-agents that it started.
    pub agents: Vec<AgentId>,
}

/// Where a session was forked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The session that the last copied row was copied from.
    pub from: SessionId,
    /// The unit of the last copied row.
    pub unit: UnitId,
    /// Time of the last copied row.
    pub time: Timestamp,
}

impl Session {
    /// A session of which nothing is known but its id.
    #[must_use]
    pub const fn new(id: SessionId) -> Self {
        Self {
            id,
            spoken: 0,
            resumes: 0,
            first: None,
            last: None,
            latest_branch: None,
            is_loose: false,
            tally: Tally {
                turns: 0,
                subagents: 0,
                compactions: 0,
                api_errors: 0,
                lines_added: 0,
                lines_removed: 0,
                events: SourceEvents { both: 0, only_stream: 0, only_file: 0 },
                models: BTreeMap::new(),
                tools: BTreeMap::new(),
            },
            accounts: Vec::new(),
            fork: None,
            has_forks: false,
            counted_report: Reported { cost: Money::ZERO, unattributed: Money::ZERO },
            counted_start: false,
            own_rows: false,
            alone: 0,
            rivals: BTreeSet::new(),
            title: None,
            title_by: TitleBy::Summary,
            pull_requests: Vec::new(),
            runs: Vec::new(),
            counted_events: SourceEvents { both: 0, only_stream: 0, only_file: 0 },
            rest: None,
        }
    }

    /// Notes that it is in a run.
    pub(super) fn joined(&mut self, run: RunId) {
        if !self.runs.contains(&run) {
            self.runs.push(run);
        }
        let beyond = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..beyond);
    }

    /// Updates the session to a change of one of its units. `before` is `None` if the unit was not in the session,
    /// `after` is `None` if it is not in the session any more.
    pub fn change(&mut self, before: Option<&Unit>, after: Option<&Unit>) {
        let (before, after) = (before.filter(|unit| !unit.is_shell()), after.filter(|unit| !unit.is_shell()));
        if let Some(unit) = before {
            self.tally.subtract(&unit.tally());
            self.spoken = self.spoken.saturating_sub(u64::from(unit.spoken));
            self.resumes = self.resumes.saturating_sub(u64::from(unit.resumes));
            self.is_loose |= self.was_at_an_end(unit, after);
        }
        if let Some(unit) = after {
            self.tally.add(&unit.tally());
            self.spoken += u64::from(unit.spoken);
            self.resumes += u64::from(unit.resumes);
            self.reach(&Member::of(unit), &unit.context);
        }
    }

    /// True if the session began or ended with `before` or has its branch, and that may not be so with `after`.
    fn was_at_an_end(&self, before: &Unit, after: Option<&Unit>) -> bool {
        let id = before.key.id();
        let began = self.first.as_ref().is_some_and(|first| first.unit == id)
            && after.is_none_or(|after| after.first > before.first);
        let ended = self.last <= Some(before.last) && after.is_none_or(|after| after.last < before.last);
        let told = self.latest_branch.as_ref().is_some_and(|branch| branch.unit == id)
            && after.is_none_or(|after| after.first < before.first || after.context.branch.is_none());
        began || ended || told
    }

    /// Extends the session to a unit.
    fn reach(&mut self, unit: &Member, context: &Surroundings) {
        let place = (unit.first, unit.unit);
        if self.first.as_ref().is_none_or(|first| place <= (first.time, first.unit) || first.unit == unit.unit) {
            self.first = Some(First { time: unit.first, unit: unit.unit, context: context.clone() });
        }
        self.last = self.last.max(Some(unit.last));
        let latest = self.latest_branch.as_ref();
        if let Some(name) = &context.branch
            && latest.is_none_or(|branch| place >= (branch.time, branch.unit) || branch.unit == unit.unit)
        {
            self.latest_branch = Some(LatestBranch { time: unit.first, unit: unit.unit, name: Arc::clone(name) });
        }
    }

    /// Finds again how the session begins and ends, from all of its units. `context` returns the surroundings of a
    /// unit. Fails if `context` fails.
    pub fn tighten<E>(
        &mut self,
        members: &[Member],
        mut context: impl FnMut(UnitId) -> Result<Option<Surroundings>, E>,
    ) -> Result<(), E> {
        let place = |unit: &&Member| (unit.first, unit.unit);
        let ends = [members.iter().min_by_key(place), members.iter().filter(|unit| unit.branch).max_by_key(place)];
        (self.first, self.latest_branch) = (None, None);
        self.last = members.iter().map(|unit| unit.last).max();
        for unit in ends.into_iter().flatten() {
            if let Some(context) = context(unit.unit)? {
                self.reach(unit, &context);
            }
        }
        self.is_loose = false;
        Ok(())
    }

    /// True if a unit of it has a user or assistant row. Other sessions have only metadata.
    #[must_use]
    pub const fn is_real(&self) -> bool {
        self.spoken > 0
    }

    /// True if the session ended for its age, and nothing was counted in it since: its units are gone, and its sums stay.
    /// Any other session in which somebody spoke has a unit that it begins with.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.is_real() && self.first.is_none()
    }

    /// Ends the session for its age. What stays is what keeps it from being counted once more if its rows are read again,
    /// what was inherited by sessions that were forked from it, its sums, and the time of its last row.
    pub fn retire(&mut self) {
        (self.first, self.latest_branch, self.is_loose) = (None, None, false);
        self.title = None;
        self.pull_requests = Vec::new();
    }

    /// True if a process ended and another one went on with the session.
    #[must_use]
    pub const fn resumed(&self) -> bool {
        self.resumes > 0
    }

    /// Time of its first row.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        self.first.as_ref().map(|first| first.time)
    }

    /// Time of its last row.
    #[must_use]
    pub const fn ended(&self) -> Option<Timestamp> {
        self.last
    }

    /// Surroundings at its first row.
    #[must_use]
    pub fn context(&self) -> Option<&Surroundings> {
        self.first.as_ref().map(|first| &first.context)
    }

    /// Git branch of its latest unit that has one.
    #[must_use]
    pub fn branch(&self) -> Option<Arc<str>> {
        self.latest_branch.as_ref().map(|branch| Arc::clone(&branch.name))
    }

    /// Its project: see [`project_of`], for the folder that it was started in.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        project_of(self.context()?.cwd.as_deref()?)
    }

    /// Adds an account of the client. Of several of one source after the same turn the last one counts.
    pub fn account(&mut self, account: Account) {
        let is_result = |account: &Account| matches!(account.source, AccountSource::Result { .. });
        let same = |known: &&mut Account| known.unit == account.unit && is_result(known) == is_result(&account);
        match self.accounts.iter_mut().find(same) {
            Some(known) if (account.after, account.source) >= (known.after, known.source) => *known = account,
            Some(_) => {}
            None => self.accounts.push(account),
        }
        // A row of the session file is written after the `result` of the same turn.
        self.accounts.sort_by_key(|account| (account.after, account.source));
        if self.accounts.len() > ACCOUNTS_MAX {
            self.accounts.drain(..ACCOUNTS_DROPPED);
        }
    }

    /// The cost that the client reported last, copied history of a forked session included.
    #[must_use]
    pub fn reported(&self) -> Option<Money> {
        self.accounts.last().map(|account| account.cost)
    }

    /// The part of the client's figures that was spent before the first run of which a stream told. It counts only if there
    /// is no session file, since then nothing else tells what it was spent for.
    #[must_use]
    pub fn restored(&self) -> Money {
        match self.accounts.first().map(|first| first.source) {
            Some(AccountSource::Result { restored, .. }) if !self.own_rows => restored,
            _ => Money::ZERO,
        }
    }

    /// Adds a title. The one with the greatest [`TitleBy`] counts; of two with the same the later one.
    pub fn entitle(&mut self, title: &Arc<str>, by: TitleBy) {
        if self.title.is_none() || by >= self.title_by {
            (self.title, self.title_by) = (Some(Arc::clone(title)), by);
        }
    }

    /// Adds a pull request. Its row is written again and again, and the last one counts.
    pub fn pull_request(&mut self, new: &PullRequest) {
        self.pull_requests.retain(|known| (known.number, &known.repository) != (new.number, &new.repository));
        self.pull_requests.push(new.clone());
        let beyond = self.pull_requests.len().saturating_sub(PULL_REQUESTS_MAX);
        self.pull_requests.drain(..beyond);
    }

    /// The cost that the client had reported for this session when `fork` was made.
    #[must_use]
    pub fn reported_before(&self, fork: &Fork) -> Option<&Account> {
        let of_unit = self.accounts.iter().rfind(|account| account.unit == Some(fork.unit));
        of_unit.or_else(|| self.accounts.iter().rfind(|account| account.after <= fork.time))
    }
}

/// The project of a folder: its last path component, also of a Windows path. A worktree that the client made
/// (`X/.claude/worktrees/NAME`) belongs to the project of `X`. `None` if there is no component.
#[must_use]
pub fn project_of(cwd: &str) -> Option<&str> {
    const WORKTREES: [&str; 2] = ["/.claude/worktrees/", "\\.claude\\worktrees\\"];
    let worktree = WORKTREES.iter().filter_map(|folder| cwd.split_once(folder)).find(|(_, name)| !name.is_empty());
    let folder = worktree.map_or(cwd, |(repository, _)| repository);
    folder.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().filter(|name| !name.is_empty())
}

/// The cost that the client reports for one session, without the part that a fork inherited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The client's figure without the inherited part.
    pub cost: Money,
    /// How much of `cost` is not explained by the rows of the session; 0 if their cost is greater.
    pub unattributed: Money,
}

/// What the client's last figure for a session is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The last account of the session.
    pub last: &'a Account,
    /// The account of the session that it was forked from, whose figures `last` includes.
    pub inherited: Option<&'a Account>,
    /// Sums over copied rows whose cost `last` includes, if no account tells that.
    pub copied: Option<&'a Tally>,
}

/// What the client reports for a session; `source` is the session that it was forked from. `None` if it reported
/// nothing.
#[must_use]
pub fn statement<'a>(session: &'a Session, source: Option<&'a Session>) -> Option<Statement<'a>> {
    let fork = session.fork.as_ref().zip(source);
    let before = fork.and_then(|(fork, source)| source.reported_before(fork));
    let last = session.accounts.last()?;
    // Clients that write no `startTime` go on counting from the figure of the source.
    let counts_on = |before: &&Account| match (before.started, last.started) {
        (Some(one), Some(other)) => one == other,
        _ => !matches!(last.source, AccountSource::Result { restored: Money::ZERO, .. }),
    };
    // If the source's own file is gone, its reported cost is unknown, and the cost of its copied rows is taken off. A
    // source whose file is there but has no figure was killed, and the fork inherited nothing.
    let copied = fork.filter(|(_, source)| before.is_none() && !source.own_rows).map(|(_, source)| &source.tally);
    Some(Statement { last, inherited: before.filter(counts_on), copied })
}

/// The client's figure for a session; `source` is the session that it was forked from. `None` if the client reported
/// none.
#[must_use]
pub fn reported(session: &Session, source: Option<&Session>) -> Option<Reported> {
    let Statement { last, inherited, copied } = statement(session, source)?;
    let cost = (last.cost - inherited.map_or(Money::ZERO, |before| before.cost)).max(Money::ZERO);
    let copied = copied.map_or(Money::ZERO, Tally::cost);
    let cost = (cost - session.restored()).max(Money::ZERO);
    let unattributed = (cost - copied - session.tally.cost()).max(Money::ZERO);
    Some(Reported { cost, unattributed })
}
