//! What stays of the spending of a session that ended for its age: for each turn, and for each kind of sub-agent in it, what
//! was spent at each model in each quarter hour. So the sums of every day, project and model stay as they were. What was
//! said and done in the session, its ids and its title are gone.
//!
//! It is stored as it is here, and is never made anew, since what it is made of is gone. So its form depends on no other
//! type: a change of it needs a new version and a way to read the old one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cells::{Cells, SpendCell};
use super::names::{Name, Names};
use super::period::Quarter;
use super::session_cells::{CubeTurn, CubeUnit, SessionCells, Spent, StoredUnit};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;

/// What a session spent, without the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredSums {
    /// Names of projects, branches, models and more, as answers show them. Below a name is its position here plus 1, and 0
    /// stands for none.
    names: Vec<Box<str>>,
    turns: Vec<RetiredTurn>,
    units: Vec<RetiredUnit>,
}

/// A turn: its position in `units`, and the time of its prompt in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RetiredTurn {
    unit: u32,
    at: i64,
}

/// What units that share a place have in common: names, the turn, and the tools that they called.
type Kind = ([u32; 5], Option<u32>, Vec<u32>);

/// A turn without its sub-agents, or all sub-agents of one kind in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RetiredUnit {
    /// Names of project, branch, entrypoint, agent and origin.
    whose: [u32; 5],
    /// Position of the turn in `turns`.
    turn: Option<u32>,
    /// Names of the tools that were called, each once.
    tools: Vec<u32>,
    spend: Vec<RetiredSpend>,
}

/// What was spent at one model in one quarter hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RetiredSpend {
    /// Quarter hours since 1970-01-01 UTC.
    quarter: i32,
    /// Name of the model.
    model: u32,
    messages: u64,
    /// Times of the first and the last response, in milliseconds after the beginning of the quarter hour.
    within: [u32; 2],
    /// Tokens: input, output, cache reads, cache writes for 5 minutes and for an hour.
    tokens: [u64; 5],
    /// List price in picodollars.
    picousd: i128,
    /// Tokens without a known price.
    unpriced: u64,
}

impl RetiredSums {
    /// What stays of the units of a session.
    #[must_use]
    pub fn of(stored: &[StoredUnit]) -> Self {
        let mut names = Names::default();
        let session = SessionCells::of(&mut names, stored);
        let mut sums = Self::default();
        let mut positions = HashMap::new();
        for turn in &session.turns {
            let unit = sums.unit_of(&session, turn.unit, &mut positions);
            sums.turns.push(RetiredTurn { unit: unit.unwrap_or(u32::MAX), at: turn.at.0 });
        }
        for cell in &session.cells {
            let Some(position) = sums.unit_of(&session, cell.unit, &mut positions) else { continue };
            let Some(unit) = sums.units.get_mut(position as usize) else { continue };
            let offset = |time: Timestamp| u32::try_from(time.since_ms(cell.quarter.start())).unwrap_or(u32::MAX);
            unit.spend(cell.quarter, cell.model, [offset(cell.first()), offset(cell.last())], &cell.spent());
        }
        sums.names = (1..).map_while(|name| names.shown(Name(name))).map(|name| Box::from(&**name)).collect();
        sums
    }

    /// Where the sums of a unit of a session are, by the unit's position there. Units that differ in nothing share a place.
    fn unit_of(&mut self, session: &SessionCells, unit: u32, positions: &mut HashMap<Kind, u32>) -> Option<u32> {
        let known = session.units.get(unit as usize)?;
        let whose = [known.project, known.branch, known.entrypoint, known.agent, known.origin].map(|name| name.0);
        let kind = (whose, known.turn, session.called(unit).map(|tool| tool.0).collect::<Vec<_>>());
        if let Some(position) = positions.get(&kind) {
            return Some(*position);
        }
        let position = u32::try_from(self.units.len()).ok()?;
        self.units.push(RetiredUnit { whose, turn: known.turn, tools: kind.2.clone(), spend: Vec::new() });
        positions.insert(kind, position);
        Some(position)
    }

    /// Adds what stays of the same session from later, if it went on after it had ended, and ended again.
    pub fn append(&mut self, later: &Self) {
        let names: Vec<u32> = later.names.iter().map(|name| self.name(name)).collect();
        let named = |name: u32| (name as usize).checked_sub(1).and_then(|at| names.get(at)).copied().unwrap_or(0);
        let (turns, units) =
            [self.turns.len(), self.units.len()].map(|len| u32::try_from(len).unwrap_or(u32::MAX)).into();
        self.turns
            .extend(later.turns.iter().map(|turn| RetiredTurn { unit: turn.unit.saturating_add(units), ..*turn }));
        self.units.extend(later.units.iter().map(|unit| RetiredUnit {
            whose: unit.whose.map(named),
            turn: unit.turn.map(|turn| turn.saturating_add(turns)),
            tools: unit.tools.iter().map(|tool| named(*tool)).collect(),
            spend: unit.spend.iter().map(|spend| RetiredSpend { model: named(spend.model), ..spend.clone() }).collect(),
        }));
    }

    /// The number of a name, which is added if it is new.
    fn name(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|known| **known == *name);
        let position = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        u32::try_from(position + 1).unwrap_or(0)
    }

    fn named(&self, name: u32) -> Option<&str> {
        self.names.get((name as usize).checked_sub(1)?).map(|name| &**name)
    }

    /// The same as cells in memory. They have no ids of units.
    pub(super) fn cells(&self, names: &mut Names) -> SessionCells {
        let mut session = SessionCells::default();
        for (unit, position) in self.units.iter().zip(0..) {
            let [project, branch, entrypoint, agent, origin] = unit.whose.map(|name| names.number(self.named(name)));
            // Of a session that ended for its age nobody knows the workflow any more, nor what it spent in which run.
            let (workflow, turn) = (Name::NONE, unit.turn);
            session.units.push(CubeUnit { project, branch, entrypoint, workflow, agent, origin, turn });
            for tool in &unit.tools {
                session.tools.push((position, names.number(self.named(*tool))));
            }
            let mut cells = Cells::default();
            for spend in &unit.spend {
                let model = u32::try_from(cells.models.len()).unwrap_or(u32::MAX);
                cells.models.push(self.named(spend.model).unwrap_or_default().into());
                cells.spend.push(spend.cell(model));
            }
            session.add(names, position, None, &cells);
        }
        let turn = |turn: &RetiredTurn| CubeTurn { unit: turn.unit, at: Timestamp(turn.at), took_ms: None };
        session.turns = self.turns.iter().map(turn).collect();
        session.tools.sort_unstable();
        session.tools.dedup();
        session.in_order()
    }
}

impl RetiredUnit {
    fn spend(&mut self, quarter: Quarter, Name(model): Name, within: [u32; 2], spent: &Spent) {
        let is_it = |spend: &RetiredSpend| (spend.quarter, spend.model) == (quarter.0, model);
        let position = self.spend.iter().rposition(is_it).unwrap_or_else(|| {
            let (messages, tokens, picousd, unpriced) = Default::default();
            self.spend.push(RetiredSpend { quarter: quarter.0, model, messages, within, tokens, picousd, unpriced });
            self.spend.len() - 1
        });
        let Some(spend) = self.spend.get_mut(position) else { return };
        let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = spent.tokens;
        for (sum, tokens) in spend.tokens.iter_mut().zip([input, output, cache_read, cache_write_5m, cache_write_1h]) {
            *sum += tokens;
        }
        let ([first, last], [known_first, known_last]) = (within, spend.within);
        spend.within = [first.min(known_first), last.max(known_last)];
        spend.messages += spent.messages;
        spend.picousd += spent.cost.picousd();
        spend.unpriced += spent.unpriced;
    }
}

impl RetiredSpend {
    fn cell(&self, model: u32) -> SpendCell {
        let [input, output, cache_read, cache_write_5m, cache_write_1h] = self.tokens;
        let [first_ms, last_ms] = self.within;
        SpendCell {
            quarter: Quarter(self.quarter),
            model,
            messages: self.messages,
            first_ms,
            last_ms,
            tokens: Tokens { input, output, cache_read, cache_write_5m, cache_write_1h },
            cost: Money::from_picousd(self.picousd),
            unpriced: self.unpriced,
        }
    }
}
