//! The cells of all sessions in memory, by session, so that a question reads no rows of the state.
//!
//! Names are numbers here. Cells of one turn, with those of its sub-agents, lie together: distinct turns and sessions are
//! counted exactly by looking at the one before.

use std::collections::HashMap;
use std::sync::Arc;

use super::cells::{CellAgent, Cells, Whose};
use crate::ledger::family::TurnNumbers;
use crate::ledger::money::Money;
use crate::ledger::session::Member;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Quarter;

/// The agent of a sub-agent of which nobody tells the type.
pub const UNKNOWN_AGENT: &str = "unknown";

/// The agent of the main thread.
pub const MAIN_AGENT: &str = "main";

/// The number of a name; [`Name::NONE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);
}

/// Every name, as answers show it.
#[derive(Debug, Default)]
pub struct Names {
    /// By the names as the session files have them.
    raw: HashMap<Box<str>, Name>,
    shown: Vec<Arc<str>>,
    by_shown: HashMap<Arc<str>, Name>,
}

impl Names {
    /// The number of a name, which is shown without secrets and invisible characters.
    fn number(&mut self, raw: Option<&str>) -> Name {
        let Some(raw) = raw else { return Name::NONE };
        if let Some(known) = self.raw.get(raw) {
            return *known;
        }
        let shown: Arc<str> = shown_name(raw).into();
        let next = Name(u32::try_from(self.shown.len() + 1).unwrap_or(u32::MAX));
        let number = *self.by_shown.entry(Arc::clone(&shown)).or_insert(next);
        if number == next {
            self.shown.push(shown);
        }
        self.raw.insert(raw.into(), number);
        number
    }

    /// The number of a name as answers show it; `None` if nothing has it.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<Name> {
        self.by_shown.get(shown).copied()
    }

    /// The name with a number; `None` for [`Name::NONE`].
    #[must_use]
    pub fn shown(&self, name: Name) -> Option<&Arc<str>> {
        self.shown.get((name.0 as usize).checked_sub(1)?)
    }
}

/// The cells of all sessions.
#[derive(Debug, Default)]
pub struct Cube {
    /// Every name in them.
    pub names: Names,
    sessions: HashMap<SessionId, Block>,
}

/// The cells of one session.
#[derive(Debug, Default)]
pub struct Block {
    /// Its units.
    pub units: Vec<CubeUnit>,
    /// Its turns, in order of their prompts, each as a position in `units`.
    pub turns: Vec<CubeTurn>,
    /// Its cells: those of a turn together, and then those of units without a turn.
    pub cells: Vec<CubeCell>,
}

/// A unit of a session.
#[derive(Debug, Clone)]
pub struct CubeUnit {
    /// Its id.
    pub id: UnitId,
    /// Its project.
    pub project: Name,
    /// Its git branch.
    pub branch: Name,
    /// How the client was started.
    pub entrypoint: Name,
    /// `main`, the type of the sub-agent, or `unknown`.
    pub agent: Name,
    /// Who asked for its turn.
    pub origin: Name,
    /// Tools that it called.
    pub tools: Vec<Name>,
    /// The turn that it is or belongs to: a position in [`Block::turns`].
    pub turn: Option<u32>,
}

/// A turn of a session.
#[derive(Debug, Clone, Copy)]
pub struct CubeTurn {
    /// Its unit: a position in [`Block::units`].
    pub unit: u32,
    /// Time of the prompt.
    pub at: Timestamp,
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct CubeCell {
    /// Its unit: a position in [`Block::units`].
    pub unit: u32,
    /// The section that holds its parts; `None` if the unit does.
    pub section: Option<u32>,
    /// When.
    pub quarter: Quarter,
    /// The model.
    pub model: Name,
    /// Distinct responses.
    pub messages: u64,
    /// Time of the first of them.
    pub first: Timestamp,
    /// Time of the last of them.
    pub last: Timestamp,
    /// Billed tokens.
    pub tokens: Tokens,
    /// List price.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

/// A unit as it is stored: its entry in the session, and the cells of it and of its sections.
#[derive(Debug)]
pub struct StoredUnit {
    /// The entry.
    pub member: Member,
    /// The cells, those of the unit itself without a position, those of sections with theirs.
    pub cells: Vec<(Option<u32>, Cells)>,
}

impl Cube {
    /// Puts the cells of a session in the place of those that were there; without any, the session is gone.
    pub fn put(&mut self, session: SessionId, units: &[StoredUnit]) {
        if units.is_empty() {
            self.sessions.remove(&session);
        } else {
            let block = Block::of(&mut self.names, units);
            self.sessions.insert(session, block);
        }
    }

    /// Every session with its cells, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &Block)> {
        self.sessions.iter()
    }

    /// The cells of one session.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Block> {
        self.sessions.get(id)
    }
}

impl Block {
    fn of(names: &mut Names, stored: &[StoredUnit]) -> Self {
        let turns = stored.iter().filter(|unit| unit.member.turn);
        let turns: Vec<_> = turns.map(|unit| (unit.member.first, unit.member.unit)).collect();
        let parents = stored.iter().filter_map(|unit| Some((unit.member.unit, unit.member.parent?))).collect();
        let numbers = TurnNumbers::from(turns, parents);
        let mut block = Self::default();
        for (unit, position) in stored.iter().zip(0..) {
            let whose = unit.cells.iter().find_map(|(_, cells)| cells.whose.as_ref());
            let turn = numbers.turn(unit.member.unit).and_then(|number| u32::try_from(number.checked_sub(1)?).ok());
            block.units.push(CubeUnit::of(names, unit, whose, turn));
            if unit.member.turn {
                let prompt = whose.and_then(|whose| whose.prompt);
                let at = prompt.map_or(unit.member.first, |(_, at)| at);
                block.turns.push(CubeTurn { unit: position, at });
            }
            for (section, cells) in &unit.cells {
                block.cells.extend(cells.spend.iter().map(|cell| CubeCell {
                    unit: position,
                    section: *section,
                    quarter: cell.quarter,
                    model: names.number(cells.models.get(cell.model as usize).map(|model| &**model)),
                    messages: cell.messages,
                    first: cell.first(),
                    last: cell.last(),
                    tokens: cell.tokens,
                    cost: cell.cost,
                    unpriced: cell.unpriced,
                }));
            }
        }
        block.in_order()
    }

    /// The same with turns in order of their numbers, and cells in order of turns. The origin of a turn is that of all
    /// units in it.
    fn in_order(mut self) -> Self {
        let turn_of = |units: &[CubeUnit], unit: u32| units.get(unit as usize).and_then(|unit| unit.turn);
        self.turns.sort_by_key(|turn| turn_of(&self.units, turn.unit));
        let origins: Vec<Name> =
            self.turns.iter().filter_map(|turn| self.units.get(turn.unit as usize)).map(|unit| unit.origin).collect();
        for unit in &mut self.units {
            if let Some(origin) = unit.turn.and_then(|turn| origins.get(turn as usize)) {
                unit.origin = *origin;
            }
        }
        self.cells.sort_by_key(|cell| {
            let turn = turn_of(&self.units, cell.unit);
            (turn.is_none(), turn, cell.quarter)
        });
        self
    }
}

impl CubeUnit {
    fn of(names: &mut Names, stored: &StoredUnit, whose: Option<&Whose>, turn: Option<u32>) -> Self {
        let mut tools: Vec<Name> =
            stored.cells.iter().flat_map(|(_, cells)| &cells.tools).map(|tool| names.number(Some(tool))).collect();
        tools.sort_unstable();
        tools.dedup();
        let agent = whose.map(|whose| match &whose.agent {
            CellAgent::Main => MAIN_AGENT,
            CellAgent::SubAgent(told) => told.as_deref().unwrap_or(UNKNOWN_AGENT),
        });
        let mut text = |of: fn(&Whose) -> Option<&str>| names.number(whose.and_then(of));
        let (project, branch) = (text(|whose| whose.project.as_deref()), text(|whose| whose.branch.as_deref()));
        let entrypoint = text(|whose| whose.entrypoint.as_deref());
        let origin = text(|whose| whose.prompt.map(|(origin, _)| origin.name()));
        Self { id: stored.member.unit, project, branch, entrypoint, agent: names.number(agent), origin, tools, turn }
    }
}
