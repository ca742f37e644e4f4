//! Tokens and cost, filtered and grouped.
//!
//! - A response belongs to the time of its first original row, and a turn to the time of its prompt. Project, branch and
//!   entrypoint are those of its unit; `agent` is whose thread it is of.
//! - A turn counts in each row in which one of its responses counts, whenever that came, if its prompt lies in the row's
//!   time. A turn without responses counts in the row of its own project, branch and entrypoint, without a model.
//! - So tokens and cost of the rows add up to the total. Turns and sessions are distinct within each row and within the
//!   total: they add up where each of them lies in one row.

use std::collections::HashMap;

use super::blocks::{Block, block_of, blocks};
use super::cells::{Cells, SpendCell, Window};
use super::cube::Cube;
use super::filter::{Filter, NumberedFilter};
use super::names::Name;
use super::period::{Period, Quarter, Zone};
use super::periods::{Periods, ordered};
use super::session_cells::{CubeCell, CubeTurn, CubeUnit, SessionCells, Spent};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// An hour, day, week or month.
    Period(Period),
    /// A five-hour block.
    Block,
    /// The project.
    Project,
    /// The git branch.
    Branch,
    /// The model.
    Model,
    /// Whose thread.
    Agent,
    /// The session.
    Session,
    /// The workflow. No session file tells of one.
    Workflow,
    /// How the client was started.
    Entrypoint,
}

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
    let mut table = Table {
        cube,
        question,
        filter: NumberedFilter::of(question.filter, &cube.names),
        partial: partial_quarters(question.filter.window).collect(),
        keys: Keys::of(cube, question),
        rows: Rows::default(),
        total: Row::default(),
        edge: None,
        counted: Vec::new(),
    };
    for ((id, block), number) in cube.cells().zip(1..) {
        if table.filter.takes_session(&id.0) {
            table.session(id, block, number);
        }
    }
    table.finish()
}

/// The values of a row as numbers.
type Key = [u32; 2];

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
    partial: Vec<Quarter>,
    keys: Keys<'t>,
    rows: Rows,
    /// Its distinct turns and sessions; all else of it is the sum of the rows.
    total: Row,
    /// The cell at an edge of the window that was looked at last.
    edge: Option<((UnitId, Option<u32>), Quarter, Name)>,
    /// Which turns of a session were counted. Its memory is used for each session.
    counted: Vec<bool>,
}

/// The rows so far.
#[derive(Default)]
struct Rows {
    places: HashMap<Key, usize, ById>,
    rows: Vec<(Key, Row)>,
    /// The row that was asked for last: most often it is asked for again.
    last: usize,
}

impl Rows {
    /// Changes the row with this key.
    fn change(&mut self, key: Key, change: impl FnOnce(&mut Row)) {
        if self.rows.get(self.last).is_none_or(|(last, _)| *last != key) {
            self.last = *self.places.entry(key).or_insert_with(|| {
                self.rows.push((key, Row::default()));
                self.rows.len() - 1
            });
        }
        if let Some((_, row)) = self.rows.get_mut(self.last) {
            change(row);
        }
    }
}

impl<'t> Table<'t> {
    fn session(&mut self, id: &'t SessionId, block: &SessionCells, number: u32) {
        self.keys.session(id);
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
                self.rows.change(key, |row| row.spend(&spent, number));
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
        self.rows.change(key, |row| row.turn(number));
        self.total.turn(number);
    }

    /// What a cell holds of the window; `None` if nothing.
    fn within(&mut self, session: &SessionCells, cell: &CubeCell) -> Option<Spent> {
        if !self.partial.contains(&cell.quarter) {
            return self.question.filter.window.has(cell.quarter.start()).then(|| cell.spent());
        }
        let holder = (*session.ids.get(cell.unit as usize)?, cell.section());
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
        let (keys, mut total) = (self.keys, self.total.sums);
        for (_, row) in &self.rows.rows {
            total.messages += row.sums.messages;
            total.tokens += row.sums.tokens;
            total.cost += row.sums.cost;
            total.unpriced += row.sums.unpriced;
        }
        let rows = self.rows.rows.into_iter().map(|(key, row)| keys.row(key, row.sums));
        CostTable { rows: rows.collect(), total }
    }
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

/// Gives the values of rows numbers, and names them at the end.
struct Keys<'t> {
    cube: &'t Cube,
    blocks: Vec<Block>,
    parts: Vec<KeyPart>,
    /// The sessions so far; a session's number is how many there were with it.
    sessions: Vec<&'t SessionId>,
    /// The numbers of quarter hours that were met, and of the one that was asked for last.
    quarters: HashMap<Quarter, [u32; 2], ById>,
    last: Option<(Quarter, [u32; 2])>,
}

/// One of the properties by which rows are told apart.
struct KeyPart {
    by: GroupBy,
    /// The periods that were met, if rows are told apart by periods.
    periods: Option<Periods>,
}

impl<'t> Keys<'t> {
    fn of(cube: &'t Cube, question: &CostQuestion<'t>) -> Self {
        let has_blocks = question.group_by.contains(&GroupBy::Block);
        let blocks = if has_blocks { blocks(cube) } else { Vec::new() };
        let periods = |by: &GroupBy| match by {
            GroupBy::Period(period) => Some(Periods::of(question.zone, *period)),
            _ => None,
        };
        let part = |by: &GroupBy| KeyPart { by: *by, periods: periods(by) };
        let parts = question.group_by.iter().map(part).collect();
        Self { cube, blocks, parts, sessions: Vec::new(), quarters: HashMap::default(), last: None }
    }

    fn session(&mut self, id: &'t SessionId) {
        self.sessions.push(id);
    }

    /// The key of what a unit did at a model; `times` has the numbers of properties that are times.
    fn of_parts(&self, unit: &CubeUnit, model: Name, times: [u32; 2]) -> Key {
        let mut key = times;
        for (number, part) in key.iter_mut().zip(&self.parts) {
            *number = match part.by {
                GroupBy::Period(_) | GroupBy::Block => *number,
                GroupBy::Project => unit.project.0,
                GroupBy::Branch => unit.branch.0,
                GroupBy::Model => model.0,
                GroupBy::Agent => unit.agent.0,
                GroupBy::Session => u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
                GroupBy::Workflow => 0,
                GroupBy::Entrypoint => unit.entrypoint.0,
            };
        }
        key
    }

    /// The numbers, from 1, of the periods or blocks of a quarter hour; 0 for what is no time, and where there is none. A
    /// period begins and ends with a quarter hour.
    fn of_quarter(&mut self, quarter: Quarter) -> [u32; 2] {
        if let Some((_, numbers)) = self.last.filter(|(last, _)| *last == quarter) {
            return numbers;
        }
        let numbers = self.quarters.get(&quarter).copied().unwrap_or_else(|| {
            let mut numbers = [0; 2];
            for (number, part) in numbers.iter_mut().zip(&mut self.parts) {
                let found = match part.by {
                    GroupBy::Period(_) => part.periods.as_mut().and_then(|periods| periods.number(quarter.start())),
                    GroupBy::Block => block_of(&self.blocks, quarter).and_then(|block| u32::try_from(block + 1).ok()),
                    _ => None,
                };
                *number = found.unwrap_or(0);
            }
            self.quarters.insert(quarter, numbers);
            numbers
        });
        self.last = Some((quarter, numbers));
        numbers
    }

    /// The same for a turn, by the time of its prompt and the quarter hour of its first responses: a prompt may come just
    /// before the hour in which its response begins a block.
    fn of_turn(&mut self, prompt: Timestamp, responses: Quarter) -> [u32; 2] {
        let (mut numbers, later) = (self.of_quarter(Quarter::of(prompt)), self.of_quarter(responses));
        for ((number, later), part) in numbers.iter_mut().zip(later).zip(&self.parts) {
            if part.by == GroupBy::Block && *number == 0 {
                *number = later;
            }
        }
        numbers
    }

    fn row(&self, key: Key, sums: Sums) -> CostRow {
        let at = |number: u32| (number as usize).checked_sub(1);
        let (mut values, mut order, mut block) = (Vec::new(), String::new(), None);
        for (part, number) in self.parts.iter().zip(key) {
            let (value, text) = match part.by {
                GroupBy::Period(_) => part.periods.as_ref().map_or((None, None), |periods| periods.named(number)),
                GroupBy::Block => {
                    block = at(number).and_then(|at| self.blocks.get(at)).copied();
                    (block.map(|block| block.start.to_rfc3339()), block.map(|block| ordered(block.start)))
                }
                GroupBy::Session => {
                    let id = at(number).and_then(|at| self.sessions.get(at)).map(|id| id.to_string());
                    (id.clone(), id)
                }
                _ => {
                    let name = self.cube.names.shown(Name(number)).map(|name| name.to_string());
                    (name.clone(), name)
                }
            };
            // What has no value stands behind everything that has one.
            order.push_str(&text.map_or_else(|| "1".to_owned(), |text| format!("0{text}")));
            order.push('\0');
            values.push(value);
        }
        CostRow { values, order, sums, block }
    }
}
