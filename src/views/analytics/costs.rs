//! Tokens and cost, filtered and grouped.
//!
//! - A response belongs to the time of its first original row, and a turn to the time of its prompt. Project, branch and
//!   entrypoint are those of its unit; `agent` is whose thread it is of.
//! - A turn counts in each row in which one of its responses counts, whenever that came, if its prompt lies in the row's
//!   time. A turn without responses counts in the row of its own project, branch and entrypoint, without a model.
//! - What stays of sessions that ended for their age counts in the same way. Told apart by sessions, all of them are in the
//!   row `ended`.
//! - So tokens and cost of the rows add up to the total. Turns and sessions are distinct within each row and within the
//!   total: they add up where each of them lies in one row.

use std::collections::HashMap;

use super::blocks::Block;
use super::cells::{Cells, SpendCell, Window};
use super::classes::{Class, ClassQuarters};
pub use super::cost_keys::GroupBy;
use super::cost_keys::{Key, Keys, Values};
use super::cube::{Cube, Spender};
use super::filter::{Filter, NumberedFilter};
use super::names::Name;
use super::period::{Quarter, Zone};
use super::quarters::{Properties, SessionQuarters};
use super::rows::Rows;
use super::session_cells::{CubeCell, CubeTurn, SessionCells, Spent};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::transcript::shown::shown_name;

/// What is asked for.
#[derive(Debug)]
pub struct CostQuestion<'q> {
    /// One or two properties, in the order in which rows name them.
    pub group_by: &'q [GroupBy],
    /// The zone of hours, days, weeks and months.
    pub zone: Zone,
    /// What counts.
    pub filter: &'q Filter,
    /// What happened in the filter's window in its first and last quarter hour, by [`partial`].
    pub edges: &'q Edges,
}

/// Exact cells of quarter hours of which a window takes a part, by the unit or section that holds them.
pub type Edges = HashMap<(UnitId, Option<u32>), Cells>;

/// Sums of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// Distinct responses.
    pub messages: u64,
    /// Distinct turns.
    pub turns: u64,
    /// Distinct sessions.
    pub sessions: u64,
    /// Billed tokens.
    pub tokens: Tokens,
    /// List price.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The value of each property; `None` for what has no value.
    pub values: Vec<Option<String>>,
    /// A text by which rows are in order of their values: of times, in order of time.
    pub order: String,
    /// Its sums.
    pub sums: Sums,
    /// The block, if rows are told apart by blocks.
    pub block: Option<Block>,
}

/// Rows, and their total.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CostTable {
    /// The rows, in no particular order.
    pub rows: Vec<CostRow>,
    /// The sums of everything that the filter takes.
    pub total: Sums,
}

/// The quarter hours of which a window takes only a part.
fn partial_quarters(window: Window) -> impl Iterator<Item = Quarter> {
    let bounds = [window.since, window.until].into_iter().flatten();
    bounds.filter(|time| Quarter::of(*time).start() != *time).map(Quarter::of)
}

/// The units and sections whose parts must be looked at one by one, because the window begins or ends within a quarter
/// hour in which they have cells.
#[must_use]
pub fn partial(cube: &Cube, filter: &Filter) -> Vec<(UnitId, Option<u32>)> {
    let quarters: Vec<Quarter> = partial_quarters(filter.window).collect();
    if quarters.is_empty() {
        return Vec::new();
    }
    let numbered = NumberedFilter::of(filter, &cube.names);
    let mut holders = Vec::new();
    for (_, session) in cube.cells().filter(|(id, _)| numbered.takes_session(&id.0)) {
        for cell in session.cells.iter().filter(|cell| quarters.contains(&cell.quarter)) {
            let place = cell.unit as usize;
            let is_taken = session.units.get(place).is_some_and(|unit| numbered.takes_unit(unit))
                && numbered.takes_tools(session, cell.unit)
                && numbered.takes_model(cell);
            holders.extend(session.ids.get(place).filter(|_| is_taken).map(|id| (*id, cell.section())));
        }
    }
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// Answers a question.
#[must_use]
pub fn costs(cube: &Cube, question: &CostQuestion<'_>) -> CostTable {
    let filter = NumberedFilter::of(question.filter, &cube.names);
    let keys = Keys::of(cube, question.zone, question.group_by);
    let mut table = Table {
        cube,
        question,
        told_apart: Properties::of(&filter).and(keys.properties()),
        filter,
        partial: partial_quarters(question.filter.window).collect(),
        keys,
        rows: Rows::default(),
        total: Row::default(),
        edge: None,
        counted: Vec::new(),
    };
    for (Spender { id, cells, quarters }, number) in cube.spenders().zip(1..) {
        if table.filter.takes_session(&id.0) {
            table.keys.session(id);
            if !table.by_quarter(quarters, number) {
                table.by_cell(cells, number);
            }
        }
    }
    table.finish()
}

/// A row while it is summed up.
#[derive(Debug, Default)]
struct Row {
    sums: Sums,
    /// The session and the turn that were counted last. Those of a session, and of a turn, come one after the other.
    session: u32,
    turn: (u32, u32),
}

struct Table<'t> {
    cube: &'t Cube,
    question: &'t CostQuestion<'t>,
    filter: NumberedFilter,
    /// The properties of units and cells that the question tells apart.
    told_apart: Properties,
    partial: Vec<Quarter>,
    keys: Keys<'t>,
    rows: Rows<Key, Row>,
    /// Its distinct turns and sessions; all else of it is the sum of the rows.
    total: Row,
    /// The cell at an edge of the window that was looked at last.
    edge: Option<((UnitId, Option<u32>), Quarter, Name)>,
    /// Which turns of a session were counted. Its memory is used for each session.
    counted: Vec<bool>,
}

impl<'t> Table<'t> {
    /// Counts a session by its sums of quarter hours. Returns false if these do not tell what is asked for, and then nothing
    /// is counted.
    fn by_quarter(&mut self, quarters: &SessionQuarters, number: u32) -> bool {
        if self.filter.asks_for_tools() || quarters.has_one_of(&self.partial) {
            return false;
        }
        if quarters.mixed.has_one_of(self.told_apart) {
            return self.by_class(&quarters.classes, number);
        }
        let Some(unit) = quarters.unit.filter(|unit| self.filter.takes_unit(unit)) else { return true };
        if !self.filter.model.takes(quarters.model) {
            return true;
        }
        let window = self.question.filter.window;
        let within = || quarters.all.iter().filter(|one| window.has(one.quarter.start()));
        if !within().all(|one| one.turns == 0 || self.keys.is_of_prompt(one.quarter)) {
            return false;
        }
        for one in within() {
            let times = self.keys.of_quarter(one.quarter);
            let key = self.keys.of_parts(&unit, quarters.model, times);
            self.sums(key, (one.turns, &one.spent()), number);
        }
        true
    }

    /// The same by the sums of classes.
    fn by_class(&mut self, quarters: &ClassQuarters, number: u32) -> bool {
        let window = self.question.filter.window;
        let mut prompts = quarters.prompts().filter(|quarter| window.has(quarter.start()));
        if self.keys.has_blocks() && !prompts.all(|quarter| self.keys.is_of_prompt(quarter)) {
            return false;
        }
        for (class, all) in quarters.by_class() {
            if !takes_class(&self.filter, class) {
                continue;
            }
            for one in all.iter().filter(|one| window.has(one.quarter.start())) {
                let times = self.keys.of_quarter(one.quarter);
                let key = self.keys.of_parts(&class.unit, class.model, times);
                self.sums(key, (one.turns, &one.spent()), number);
            }
        }
        self.shared_turns(quarters, number);
        true
    }

    /// Adds turns that count nowhere else, and what was spent, to the row of a key.
    fn sums(&mut self, key: Key, (turns, spent): (u32, &Spent), number: u32) {
        if let Some(row) = self.rows.get(key, Row::default) {
            row.sums.turns += u64::from(turns);
            row.spend(spent, number);
        }
        self.total.sums.turns += u64::from(turns);
        self.total.in_session(number);
    }

    /// Counts the turns of a session whose responses are of several classes: in each row in which one of these counts, or in
    /// their own if none does.
    fn shared_turns(&mut self, quarters: &ClassQuarters, number: u32) {
        let window = self.question.filter.window;
        let mut counted = None;
        for (class, one) in quarters.shared() {
            let is_answered = one.is_own && counted == Some(one.turn);
            if !is_answered && window.has(one.quarter.start()) && takes_class(&self.filter, class) {
                let times = self.keys.of_quarter(one.quarter);
                let key = self.keys.of_parts(&class.unit, class.model, times);
                self.turn(key, (number, one.turn.saturating_add(1)));
                counted = Some(one.turn);
            }
        }
    }

    /// Counts a session cell by cell.
    fn by_cell(&mut self, block: &SessionCells, number: u32) {
        let window = self.question.filter.window;
        let (mut turn, mut marked) = (None, None);
        let mut counted = std::mem::take(&mut self.counted);
        counted.clear();
        counted.resize(block.turns.len(), false);
        for cell in &block.cells {
            let Some(unit) = block.units.get(cell.unit as usize) else { continue };
            let is_taken = self.filter.takes_unit(unit)
                && self.filter.takes_model(cell)
                && self.filter.takes_tools(block, cell.unit);
            if !is_taken {
                continue;
            }
            if let Some(spent) = self.within(block, cell) {
                let times = self.keys.of_quarter(cell.quarter);
                let key = self.keys.of_parts(unit, cell.model, times);
                self.rows.get(key, Row::default).into_iter().for_each(|row| row.spend(&spent, number));
                self.total.in_session(number);
            }
            let Some(position) = unit.turn else { continue };
            let Some(own) = block.turns.get(position as usize).filter(|own| window.has(own.at)) else { continue };
            if turn.is_none_or(|(known, _)| known != position) {
                turn = Some((position, self.keys.of_turn(own.at, cell.quarter)));
            }
            let key = self.keys.of_parts(unit, cell.model, turn.map_or([0; 2], |(_, times)| times));
            if marked == Some((position, key)) {
                continue;
            }
            marked = Some((position, key));
            self.turn(key, (number, position.saturating_add(1)));
            counted.iter_mut().skip(position as usize).take(1).for_each(|counted| *counted = true);
        }
        let silent = block.turns.iter().zip(0u32..).zip(&counted).filter(|(_, counted)| !**counted);
        for ((own, position), _) in silent {
            self.silent_turn(block, own, (number, position.saturating_add(1)));
        }
        self.counted = counted;
    }

    /// Counts a turn without responses that the filter takes.
    fn silent_turn(&mut self, block: &SessionCells, turn: &CubeTurn, number: (u32, u32)) {
        let Some(unit) = block.units.get(turn.unit as usize) else { return };
        let is_taken = self.question.filter.window.has(turn.at)
            && self.filter.takes_unit(unit)
            && self.filter.takes_tools(block, turn.unit);
        if is_taken && !self.filter.asks_for_models() {
            let times = self.keys.of_quarter(Quarter::of(turn.at));
            let key = self.keys.of_parts(unit, Name::NONE, times);
            self.turn(key, number);
        }
    }

    /// Counts a turn, by the numbers of its session and of itself, once in a row and in the total.
    fn turn(&mut self, key: Key, number: (u32, u32)) {
        self.rows.get(key, Row::default).into_iter().for_each(|row| row.turn(number));
        self.total.turn(number);
    }

    /// What a cell holds of the window; `None` if nothing.
    fn within(&mut self, session: &SessionCells, cell: &CubeCell) -> Option<Spent> {
        if !self.partial.contains(&cell.quarter) {
            return self.question.filter.window.has(cell.quarter.start()).then(|| cell.spent());
        }
        let Some(unit) = session.ids.get(cell.unit as usize) else {
            // Of what ended for its age nobody knows more than the quarter hour: it counts with its beginning.
            return self.question.filter.window.has(cell.quarter.start()).then(|| cell.spent());
        };
        let holder = (*unit, cell.section());
        // What does not fit one cell is in several, one after the other: the exact sums are taken once.
        let edge = Some((holder, cell.quarter, cell.model));
        if std::mem::replace(&mut self.edge, edge) == edge {
            return None;
        }
        let cells = self.question.edges.get(&holder)?;
        let model = self.cube.names.shown(cell.model)?;
        let is_it = |exact: &&SpendCell| {
            let name = cells.models.get(exact.model as usize).map(|name| shown_name(name));
            exact.quarter == cell.quarter && name.as_deref() == Some(model)
        };
        let mut found = cells.spend.iter().filter(is_it).peekable();
        found.peek()?;
        let mut sum = Spent::default();
        found.for_each(|exact| sum.add(&exact.into()));
        Some(sum)
    }

    fn finish(self) -> CostTable {
        let (keys, mut total, rows) = (self.keys, self.total.sums, self.rows.into_rows());
        for (_, row) in &rows {
            total.messages += row.sums.messages;
            total.tokens += row.sums.tokens;
            total.cost += row.sums.cost;
            total.unpriced += row.sums.unpriced;
        }
        let row = |(key, row): (Key, Row)| {
            let Values { values, order, block } = keys.values(key);
            CostRow { values, order, sums: row.sums, block }
        };
        CostTable { rows: rows.into_iter().map(row).collect(), total }
    }
}

fn takes_class(filter: &NumberedFilter, class: &Class) -> bool {
    filter.takes_unit(&class.unit) && filter.model.takes(class.model)
}

impl Row {
    fn spend(&mut self, spent: &Spent, session: u32) {
        self.sums.messages += spent.messages;
        self.sums.tokens += spent.tokens;
        self.sums.cost += spent.cost;
        self.sums.unpriced += spent.unpriced;
        self.in_session(session);
    }

    fn turn(&mut self, turn: (u32, u32)) {
        if self.turn != turn {
            self.turn = turn;
            self.sums.turns += 1;
        }
        self.in_session(turn.0);
    }

    fn in_session(&mut self, session: u32) {
        if self.session != session {
            self.session = session;
            self.sums.sessions += 1;
        }
    }
}
