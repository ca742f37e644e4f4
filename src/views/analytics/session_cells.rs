//! The cells of one session in memory.
//!
//! Cells of one turn, with those of its sub-agents, lie together: distinct turns are counted exactly by looking at the one
//! before.

use super::cells::{CellAgent, Cells, Whose};
use super::names::{Name, Names};
use crate::ledger::family::TurnNumbers;
use crate::ledger::money::Money;
use crate::ledger::session::Member;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Quarter;

/// The agent of a sub-agent of which nobody tells the type.
pub const UNKNOWN_AGENT: &str = "unknown";

/// The agent of the main thread.
pub const MAIN_AGENT: &str = "main";

/// The cells of one session.
#[derive(Debug, Default)]
pub struct SessionCells {
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
    /// The turn that it is or belongs to: a position in [`SessionCells::turns`].
    pub turn: Option<u32>,
}

/// A turn of a session.
#[derive(Debug, Clone, Copy)]
pub struct CubeTurn {
    /// Its unit: a position in [`SessionCells::units`].
    pub unit: u32,
    /// Time of the prompt.
    pub at: Timestamp,
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct CubeCell {
    /// Its unit: a position in [`SessionCells::units`].
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

impl SessionCells {
    pub(super) fn of(names: &mut Names, stored: &[StoredUnit]) -> Self {
        let turns = stored.iter().filter(|unit| unit.member.turn);
        let turns: Vec<_> = turns.map(|unit| (unit.member.first, unit.member.unit)).collect();
        let parents = stored.iter().filter_map(|unit| Some((unit.member.unit, unit.member.parent?))).collect();
        let numbers = TurnNumbers::from(turns, parents);
        let mut session = Self::default();
        for (unit, position) in stored.iter().zip(0..) {
            let whose = unit.cells.iter().find_map(|(_, cells)| cells.whose.as_ref());
            let turn = numbers.turn(unit.member.unit).and_then(|number| u32::try_from(number.checked_sub(1)?).ok());
            session.units.push(CubeUnit::of(names, unit, whose, turn));
            if unit.member.turn {
                let prompt = whose.and_then(|whose| whose.prompt);
                let at = prompt.map_or(unit.member.first, |(_, at)| at);
                session.turns.push(CubeTurn { unit: position, at });
            }
            for (section, cells) in &unit.cells {
                let read = cells.spend.iter().map(|cell| CubeCell {
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
                });
                read.for_each(|cell| session.add(cell));
            }
        }
        session.in_order()
    }

    /// Adds a cell. Two models whose names are shown alike are one here.
    fn add(&mut self, cell: CubeCell) {
        let holder = (cell.unit, cell.section);
        let same = self.cells.iter_mut().rev().take_while(|known| (known.unit, known.section) == holder);
        let mut same = same.filter(|known| (known.quarter, known.model) == (cell.quarter, cell.model));
        match same.next() {
            Some(known) => {
                known.messages += cell.messages;
                (known.first, known.last) = (known.first.min(cell.first), known.last.max(cell.last));
                known.tokens += cell.tokens;
                known.cost += cell.cost;
                known.unpriced += cell.unpriced;
            }
            None => self.cells.push(cell),
        }
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
