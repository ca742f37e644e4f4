//! What the rows of a session show of it now.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::known::Changed;
use crate::ledger::session::Session;
use crate::ledger::unit::{Identity, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::record::Origin;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// Most turns and sub-agents of one session that are kept; the earliest are forgotten first.
const UNITS_MAX: usize = 64;

/// Most open calls that are kept of one home (a unit or a section).
const OPEN_MAX: usize = 64;

/// Entry points at which a person writes the prompts. Programs that start the client write them at others.
const OF_PERSONS: [&str; 3] = ["cli", "claude-vscode", "claude-desktop"];

/// What the rows of a session show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSigns {
    /// True if a person writes its prompts.
    pub is_of_a_person: bool,
    /// True if its client keeps a list of its processes, so that one that is not in it has ended.
    pub is_listed: bool,
    /// Time of its last row.
    pub last: Timestamp,
    /// True if the client wrote its account behind the last row, as it does when it lets go of a session.
    pub is_closed: bool,
    /// The latest turn, if it is over.
    pub over: Option<TurnOver>,
    /// The run that the latest turn of the main thread belongs to; `None` unless a stream tells.
    pub run: Option<RunId>,
    /// The main thread and the sub-agents, as far as something happened in them lately.
    pub threads: Vec<ThreadSigns>,
}

/// A turn that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnOver {
    /// When it ended.
    pub at: Timestamp,
    /// True if a row says so that the client writes behind all others of a turn.
    pub is_told: bool,
}

/// A turn of the main thread, or a sub-agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadSigns {
    /// The sub-agent; `None` for the main thread.
    pub agent: Option<Arc<str>>,
    /// When it began.
    pub started: Timestamp,
    /// True for a turn of the session file: it is over once another began.
    pub is_turn: bool,
    /// When something last happened in it.
    pub last: Timestamp,
    /// Its calls without a result.
    pub open: Vec<OpenCall>,
}

/// A call without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// Hash of its id, see [`Identity::Call`]; `None` if it does not matter which call it is.
    pub id: Option<u64>,
    /// Name of the tool.
    pub tool: Arc<str>,
    /// When it was called.
    pub since: Timestamp,
}

/// The rows of one session, as far as they are needed, kept while they come.
#[derive(Debug, Default)]
pub struct RowState {
    is_of_a_person: bool,
    is_listed: bool,
    last: Timestamp,
    /// Time of the last row before the client's latest account.
    accounted: Option<Timestamp>,
    units: BTreeMap<UnitId, UnitState>,
    file: Option<FileNumber>,
}

#[derive(Debug, Default)]
struct UnitState {
    agent: Option<Arc<str>>,
    is_turn: bool,
    is_in_file: bool,
    run: Option<RunId>,
    started: Timestamp,
    last: Timestamp,
    over: Option<TurnOver>,
    is_superseded: bool,
    open: BTreeMap<UnitId, Vec<OpenCall>>,
}

impl RowState {
    /// Takes in parts that changed.
    pub fn note(&mut self, change: &Changed<'_>) {
        let unit = change.unit;
        self.last = self.last.max(unit.last);
        self.file = Some(unit.claim.file);
        if unit.agent.is_none() {
            let by_hand = unit.prompt.as_ref().is_some_and(|prompt| prompt.origin == Origin::Human);
            self.is_of_a_person = match unit.context.entrypoint.as_deref() {
                Some(entrypoint) => OF_PERSONS.contains(&entrypoint),
                // Clients of before this was written tell a person by the prompt alone.
                None => by_hand,
            };
        }
        self.is_listed |= unit.context.version.as_deref().is_some_and(keeps_a_list);
        let state = self.units.entry(unit.key.id()).or_default();
        state.note(change);
        if state.is_superseded {
            self.units.remove(&unit.key.id());
        }
        if self.units.len() > UNITS_MAX
            && let Some(oldest) = self.units.iter().min_by_key(|(_, state)| state.last).map(|(id, _)| *id)
        {
            self.units.remove(&oldest);
        }
    }

    /// Takes in what is known of the session as a whole.
    pub fn note_session(&mut self, session: &Session) {
        self.accounted = session.accounts.iter().map(|account| account.after).max();
    }

    /// The file that its latest rows stand in; `None` before the first.
    #[must_use]
    pub const fn file(&self) -> Option<FileNumber> {
        self.file
    }

    /// What the rows show.
    #[must_use]
    pub fn signs(&self) -> RowSigns {
        let latest = self.units.values().filter(|unit| unit.is_turn).max_by_key(|unit| unit.started);
        let main = self.units.values().filter(|unit| unit.agent.is_none()).max_by_key(|unit| unit.started);
        RowSigns {
            is_of_a_person: self.is_of_a_person,
            is_listed: self.is_listed,
            last: self.last,
            is_closed: self.accounted.is_some_and(|accounted| accounted >= self.last),
            over: latest.and_then(|turn| turn.over),
            run: main.and_then(|unit| unit.run),
            threads: self.units.values().map(UnitState::signs).collect(),
        }
    }
}

impl UnitState {
    fn note(&mut self, change: &Changed<'_>) {
        let unit = change.unit;
        self.agent = unit.agent.as_ref().map(|agent| agent.id.shared());
        self.is_turn = unit.is_turn();
        self.is_in_file = unit.provisional.is_none();
        self.run = unit.of_run.as_ref().map(|of_run| of_run.run);
        self.started = unit.started();
        self.last = unit.last;
        self.over = over(unit);
        self.is_superseded = unit.superseded.is_some();
        let open = change.parts.tools.iter().filter(|tool| tool.is_open()).filter_map(|tool| {
            let call = tool.call.as_ref()?;
            let id = Some(Identity::Call(&tool.id).hash());
            Some(OpenCall { id, tool: Arc::clone(&call.name), since: call.rank.time })
        });
        let open: Vec<OpenCall> = open.take(OPEN_MAX).collect();
        if open.is_empty() {
            self.open.remove(&change.home);
        } else {
            self.open.insert(change.home, open);
        }
    }

    fn signs(&self) -> ThreadSigns {
        // What an interrupted turn left open will never have a result.
        let open = if self.over.is_some() { Vec::new() } else { self.open.values().flatten().cloned().collect() };
        let is_turn = self.is_turn && self.is_in_file;
        ThreadSigns { agent: self.agent.clone(), started: self.started, is_turn, last: self.last, open }
    }
}

/// True for versions of the client that keep a list of their processes, as far as was seen.
fn keeps_a_list(version: &str) -> bool {
    const FIRST_SEEN: [u64; 3] = [2, 1, 330];
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0)) >= FIRST_SEEN
}

/// The end of a unit, as its rows tell it.
fn over(unit: &Unit) -> Option<TurnOver> {
    let at = unit.end()?.at;
    Some(TurnOver { at, is_told: is_told_over(unit) })
}

/// True if a row tells the end of a unit that the client writes behind all others of it: of one with a terminal how long
/// the turn took, of others which hooks ran at its end.
#[must_use]
pub fn is_told_over(unit: &Unit) -> bool {
    let has_terminal = unit.context.entrypoint.as_deref() == Some("cli");
    let is_last = unit.active_ms.is_some() || !has_terminal;
    // The text of a hook that the model has to answer is written before the hooks are summed up.
    let answered = |asked: Timestamp| unit.gist().response.is_some_and(|response| asked < response.end);
    is_last
        && unit.asked_again.is_none_or(answered)
        && unit.told_end.is_some_and(|told| told.time >= unit.activity_end())
}
