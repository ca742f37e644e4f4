//! A session: the sums of its units and the client's own account of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::tally::Tally;
use super::unit::{Context, Unit, UnitId};
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::time::Timestamp;

/// A session. Everything but the client's account follows from its units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    // `Reader::each_unit_ref` reads the first two fields alone.
    /// Its id.
    pub id: SessionId,
    /// Its units: turns, sub-agents, rows before the first prompt.
    pub units: BTreeMap<UnitId, UnitRef>,
    /// The different surroundings of its units; [`UnitRef::context`] is a position in it.
    pub contexts: Vec<Context>,
    /// Sums over its units.
    pub tally: Tally,
    /// The client's own account, once per turn after which it was written.
    pub accounts: Vec<Account>,
    /// Where it was forked from, if it was.
    pub fork: Option<Fork>,
    /// Sessions that were forked from this one: what they inherited depends on it.
    pub forks: BTreeSet<SessionId>,
    /// What of the client's account is in the totals.
    pub counted_report: Reported,
    /// The session is in the counter of started sessions.
    pub counted_start: bool,
    /// A row of its own was read: not only copies of it in a fork.
    pub own_rows: bool,
    /// Sub-agents that a call or a side file named before any row of theirs was read.
    pub waiting_agents: BTreeMap<AgentId, WaitingAgent>,
    /// Title, if it has one.
    pub title: Option<Arc<str>>,
    /// A person chose the title.
    pub title_is_custom: bool,
}

/// What a session keeps of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRef {
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// Position in [`Session::contexts`].
    pub context: u32,
    /// It is a turn with a prompt.
    pub turn: bool,
    /// Its prompt was the first of another process.
    pub resumes: bool,
    /// It has a user or assistant row.
    pub spoken: bool,
}

/// A `cost-state` row. It has no time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The unit that was current in the file.
    pub unit: Option<UnitId>,
    /// Latest time of a row before it.
    pub after: Timestamp,
    /// `totalCostUSD`, cumulative.
    pub cost: Money,
}

/// What is known of a sub-agent before its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingAgent {
    /// Its type.
    pub agent_type: Option<Arc<str>>,
    /// `tool_use.id` of the call that started it.
    pub call: Option<Box<str>>,
    /// It goes on after its call has returned.
    pub background: bool,
}

/// Where a session was forked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The session whose rows were copied last.
    pub from: SessionId,
    /// The unit of the last copied row.
    pub unit: UnitId,
    /// Its time.
    pub time: Timestamp,
}

impl Session {
    /// A session of which nothing is known but its id.
    #[must_use]
    pub const fn new(id: SessionId) -> Self {
        Self {
            id,
            units: BTreeMap::new(),
            contexts: Vec::new(),
            tally: Tally {
                turns: 0,
                subagents: 0,
                compactions: 0,
                api_errors: 0,
                lines_added: 0,
                lines_removed: 0,
                models: BTreeMap::new(),
                tools: BTreeMap::new(),
            },
            accounts: Vec::new(),
            fork: None,
            forks: BTreeSet::new(),
            counted_report: Reported { cost: Money::ZERO, unattributed: Money::ZERO },
            counted_start: false,
            own_rows: false,
            waiting_agents: BTreeMap::new(),
            title: None,
            title_is_custom: false,
        }
    }

    /// Takes a unit in, or its newer state.
    pub fn put(&mut self, unit: &Unit) {
        let position = self.contexts.iter().position(|context| *context == unit.context).unwrap_or_else(|| {
            self.contexts.push(unit.context.clone());
            self.contexts.len() - 1
        });
        let context = u32::try_from(position).unwrap_or(u32::MAX);
        let (turn, resumes, spoken) = (unit.is_turn(), unit.resumes, unit.spoken);
        let entry = UnitRef { first: unit.first, last: unit.last, context, turn, resumes, spoken };
        self.units.insert(unit.key.id(), entry);
    }

    /// True if it owns a user or assistant row: other files hold only metadata.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.units.values().any(|unit| unit.spoken)
    }

    /// True if a process ended and another went on.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.units.values().any(|unit| unit.resumes)
    }

    /// Time of its first row.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        self.units.values().map(|unit| unit.first).min()
    }

    /// Time of its last row.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        self.units.values().map(|unit| unit.last).max()
    }

    /// Surroundings at its first row.
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        let (_, first) = self.units.iter().min_by_key(|(id, unit)| (unit.first, **id))?;
        self.contexts.get(usize::try_from(first.context).ok()?)
    }

    /// Git branch of its latest unit that tells one.
    #[must_use]
    pub fn branch(&self) -> Option<Arc<str>> {
        let told = self.units.iter().filter_map(|(id, unit)| {
            let branch = self.contexts.get(usize::try_from(unit.context).ok()?)?.branch.clone()?;
            Some(((unit.first, *id), branch))
        });
        told.max_by_key(|(when, _)| *when).map(|(_, branch)| branch)
    }

    /// Last path component of the folder it was started in.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        project_of(self.context()?.cwd.as_deref()?)
    }

    /// Takes a `cost-state` row in; of several after one turn the last in the file counts.
    pub fn account(&mut self, account: Account) {
        match self.accounts.iter_mut().find(|known| known.unit == account.unit) {
            Some(known) if account.after >= known.after => *known = account,
            Some(_) => {}
            None => self.accounts.push(account),
        }
        self.accounts.sort_by_key(|account| account.after);
    }

    /// The client's last figure for this session, forked history included.
    #[must_use]
    pub fn reported(&self) -> Option<Money> {
        self.accounts.last().map(|account| account.cost)
    }

    /// What this session had reported when `fork` left it.
    #[must_use]
    pub fn reported_before(&self, fork: &Fork) -> Option<Money> {
        let of_unit = self.accounts.iter().rfind(|account| account.unit == Some(fork.unit));
        of_unit.or_else(|| self.accounts.iter().rfind(|account| account.after <= fork.time)).map(|known| known.cost)
    }
}

/// Last path component of a folder, of Windows paths too.
#[must_use]
pub fn project_of(cwd: &str) -> Option<&str> {
    cwd.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().filter(|name| !name.is_empty())
}

/// What the client reports about one session beyond what it inherited by a fork, and beyond what its rows show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Its own part of the client's figure.
    pub cost: Money,
    /// The client's figure minus ours, if positive.
    pub unattributed: Money,
}

/// The client's figure for a session; `source` is the session it was forked from.
#[must_use]
pub fn reported(session: &Session, source: Option<&Session>) -> Option<Reported> {
    let fork = session.fork.as_ref().zip(source);
    let inherited = fork.and_then(|(fork, source)| source.reported_before(fork));
    // Of a source whose own file is gone, only the copies are left: its part stands in the fork's figure alone. A source
    // that is there and wrote none was killed, and handed nothing on.
    let copied = match fork {
        Some((_, source)) if inherited.is_none() && !source.own_rows => source.tally.cost(),
        _ => Money::ZERO,
    };
    let cost = (session.reported()? - inherited.unwrap_or_default()).max(Money::ZERO);
    let unattributed = (cost - copied - session.tally.cost()).max(Money::ZERO);
    Some(Reported { cost, unattributed })
}
