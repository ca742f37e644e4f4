//! The cells of one session in memory.
//!
//! Cells of one turn, with those of its sub-agents, lie together: distinct turns are counted exactly by looking at the one
//! before.

use super::cells::{CellAgent, Cells, SpendCell, Whose};
use super::names::{Name, Names};
use crate::ledger::family::TurnNumbers;
use crate::ledger::money::Money;
use crate::ledger::session::Member;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::measures::MAIN;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Quarter;

/// The agent of a sub-agent of which nobody tells the type.
pub const UNKNOWN_AGENT: &str = "unknown";

/// The cells of one session.
#[derive(Debug, Default)]
pub struct SessionCells {
    /// Its units.
    pub units: Vec<CubeUnit>,
    /// The ids of its units, in the same order; none for what stays of a session that ended for its age.
    pub ids: Vec<UnitId>,
    /// Its turns, in order of their prompts, each as a position in `units`.
    pub turns: Vec<CubeTurn>,
    /// Its cells: those of a turn together, and then those of units without a turn.
    pub cells: Vec<CubeCell>,
    /// The run of each unit, in the same order; empty if no unit is of a run.
    pub(super) runs: Vec<Option<RunId>>,
    /// Tools that were called, each once for each unit, by positions in `units`.
    pub(super) tools: Vec<(u32, Name)>,
}

/// A unit of a session.
#[derive(Debug, Clone, Copy)]
pub struct CubeUnit {
    /// Its project.
    pub project: Name,
    /// Its git branch.
    pub branch: Name,
    /// How the client was started.
    pub entrypoint: Name,
    /// The workflow of the run that its turn belongs to.
    pub workflow: Name,
    /// `main`, the type of the sub-agent, or `unknown`.
    pub agent: Name,
    /// Who asked for its turn.
    pub origin: Name,
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
    /// Milliseconds from the prompt to the end; `None` while it goes on.
    pub took_ms: Option<u64>,
}

/// What was spent, as sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Distinct responses.
    pub messages: u64,
    /// Billed tokens.
    pub tokens: Tokens,
    /// List price.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

/// What was spent, in 40 bytes; larger amounts are told in several of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SmallSpent {
    picousd: u64,
    messages: u32,
    tokens: [u32; 5],
    unpriced: u32,
}

impl SmallSpent {
    /// The same with room for any amount.
    pub(super) fn all(&self) -> Spent {
        let [input, output, cache_read, cache_write_5m, cache_write_1h] = self.tokens.map(u64::from);
        Spent {
            messages: self.messages.into(),
            tokens: Tokens { input, output, cache_read, cache_write_5m, cache_write_1h },
            cost: Money::from_picousd(self.picousd.into()),
            unpriced: self.unpriced.into(),
        }
    }
}

/// One cell in 64 bytes, because a question looks at all of them. What does not fit the fields is in a further cell.
#[derive(Debug, Clone, Copy)]
pub struct CubeCell {
    /// Its unit: a position in [`SessionCells::units`].
    pub unit: u32,
    /// When.
    pub quarter: Quarter,
    /// The model.
    pub model: Name,
    /// Position of the section that holds its parts, or [`NO_SECTION`].
    section: u32,
    first_ms: u32,
    last_ms: u32,
    spent: SmallSpent,
}

const _: () = assert!(size_of::<CubeCell>() == 64);

/// Stands for a cell whose parts the unit itself holds.
const NO_SECTION: u32 = u32::MAX;

impl Spent {
    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.tokens += other.tokens;
        self.cost += other.cost;
        self.unpriced += other.unpriced;
    }

    /// Takes out what fits a [`SmallSpent`].
    pub(super) fn take(&mut self) -> SmallSpent {
        let small = |number: &mut u64| {
            let taken = u32::try_from(*number).unwrap_or(u32::MAX);
            *number -= u64::from(taken);
            taken
        };
        let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = &mut self.tokens;
        let tokens = [input, output, cache_read, cache_write_5m, cache_write_1h].map(small);
        let picousd = u64::try_from(self.cost.picousd().max(0)).unwrap_or(u64::MAX);
        self.cost -= Money::from_picousd(picousd.into());
        SmallSpent { picousd, messages: small(&mut self.messages), tokens, unpriced: small(&mut self.unpriced) }
    }

    /// Whether nothing is left; a negative cost, which no price leads to, counts as nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.messages == 0 && self.tokens == Tokens::default() && self.cost <= Money::ZERO && self.unpriced == 0
    }
}

impl CubeCell {
    /// What was spent.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.spent.all()
    }

    /// Whether a response came in it, and not only further models of one.
    #[must_use]
    pub const fn has_responses(&self) -> bool {
        self.spent.messages > 0
    }

    /// Position of the section that holds its parts; `None` if the unit does.
    #[must_use]
    pub fn section(&self) -> Option<u32> {
        (self.section != NO_SECTION).then_some(self.section)
    }

    /// Time of the first response.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        Timestamp(self.quarter.start().0 + i64::from(self.first_ms))
    }

    /// Time of the last response.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        Timestamp(self.quarter.start().0 + i64::from(self.last_ms))
    }
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
            session.units.push(CubeUnit::of(names, whose, turn));
            session.ids.push(unit.member.unit);
            session.runs.push(whose.and_then(|whose| whose.run));
            if unit.member.turn {
                let prompt = whose.and_then(|whose| whose.prompt);
                let at = prompt.map_or(unit.member.first, |(_, at)| at);
                let took_ms = whose.filter(|whose| whose.is_over).map(|whose| whose.ended.since_ms(at));
                session.turns.push(CubeTurn { unit: position, at, took_ms });
            }
            let tools = unit.cells.iter().flat_map(|(_, cells)| &cells.tools);
            session.tools.extend(tools.map(|tool| (position, names.number(Some(tool)))));
            for (section, cells) in &unit.cells {
                session.add(names, position, *section, cells);
            }
        }
        session.tools.sort_unstable();
        session.tools.dedup();
        if session.runs.iter().all(Option::is_none) {
            session.runs = Vec::new();
        }
        session.in_order()
    }

    /// Adds the cells of a unit or section. Two models whose names are shown alike are one here.
    pub(super) fn add(&mut self, names: &mut Names, unit: u32, section: Option<u32>, cells: &Cells) {
        let mut sums: Vec<(CubeCell, Spent)> = Vec::with_capacity(cells.spend.len());
        for cell in &cells.spend {
            let model = names.number(cells.models.get(cell.model as usize).map(|model| &**model));
            let SpendCell { quarter, first_ms, last_ms, .. } = *cell;
            let same = sums.iter_mut().find(|(known, _)| (known.quarter, known.model) == (quarter, model));
            if let Some((known, sum)) = same {
                (known.first_ms, known.last_ms) = (known.first_ms.min(first_ms), known.last_ms.max(last_ms));
                sum.add(&cell.into());
                continue;
            }
            let section = section.unwrap_or(NO_SECTION);
            let spent = SmallSpent::default();
            let empty = CubeCell { unit, quarter, model, section, first_ms, last_ms, spent };
            sums.push((empty, cell.into()));
        }
        for (empty, mut rest) in sums {
            while !rest.is_nothing() {
                self.cells.push(CubeCell { spent: rest.take(), ..empty });
            }
        }
    }

    /// The tools that a unit, by its position, called.
    pub(super) fn called(&self, unit: u32) -> impl Iterator<Item = Name> {
        let first = self.tools.partition_point(|(of, _)| *of < unit);
        self.tools.iter().skip(first).take_while(move |(of, _)| *of == unit).map(|(_, tool)| *tool)
    }

    /// The same with turns in order of their numbers, and cells in order of turns. Origin, run and workflow of a turn are those
    /// of all units in it: a stream does not tell of every sub-agent.
    pub(super) fn in_order(mut self) -> Self {
        let turn_of = |units: &[CubeUnit], unit: u32| units.get(unit as usize).and_then(|unit| unit.turn);
        self.turns.sort_by_key(|turn| turn_of(&self.units, turn.unit));
        let turns = self.turns.iter().filter_map(|turn| self.units.get(turn.unit as usize));
        let told: Vec<(Name, Name)> = turns.map(|unit| (unit.origin, unit.workflow)).collect();
        let runs = self.turns.iter().map(|turn| self.runs.get(turn.unit as usize).copied().flatten());
        let runs: Vec<Option<RunId>> = runs.collect();
        for (position, unit) in self.units.iter_mut().enumerate() {
            let Some(turn) = unit.turn.map(|turn| turn as usize) else { continue };
            if let Some((origin, workflow)) = told.get(turn) {
                (unit.origin, unit.workflow) = (*origin, *workflow);
            }
            if let (Some(own), Some(run)) = (self.runs.get_mut(position), runs.get(turn)) {
                *own = *run;
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
    fn of(names: &mut Names, whose: Option<&Whose>, turn: Option<u32>) -> Self {
        let agent = whose.map(|whose| match &whose.agent {
            CellAgent::Main => MAIN,
            CellAgent::SubAgent(told) => told.as_deref().unwrap_or(UNKNOWN_AGENT),
        });
        let mut text = |of: fn(&Whose) -> Option<&str>| names.number(whose.and_then(of));
        let (project, branch) = (text(|whose| whose.project.as_deref()), text(|whose| whose.branch.as_deref()));
        let entrypoint = text(|whose| whose.entrypoint.as_deref());
        let origin = text(|whose| whose.prompt.map(|(origin, _)| origin.name()));
        let workflow = names.number_whole(whose.and_then(|whose| whose.workflow.as_deref()));
        Self { project, branch, entrypoint, workflow, agent: names.number(agent), origin, turn }
    }
}

impl From<&SpendCell> for Spent {
    fn from(cell: &SpendCell) -> Self {
        Self { messages: cell.messages, tokens: cell.tokens, cost: cell.cost, unpriced: cell.unpriced }
    }
}
