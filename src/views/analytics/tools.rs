//! Tool calls, filtered and grouped by tool, and by up to two further properties.
//!
//! A call belongs to the time at which it was made. Project and agent are those of its turn or sub-agent; the filter `tool`
//! takes the calls of the tool, and `model` those of responses of the model.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::cells::Window;
use super::cube::{Cube, CubeSession};
use super::filter::{Filter, NumberedFilter};
use super::names::Name;
use super::period::{Period, Zone};
use super::periods::Periods;
use super::rows::Rows;
use super::session_cells::CubeUnit;
use super::session_work::{CARRY_PICOUSD, CubeCall};
use super::sketch::Sketch;
use crate::ledger::money::Money;
use crate::ledger::unit::UnitId;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;

/// Most of the slowest calls that a row tells of.
pub const SLOWEST_MAX: usize = 5;

/// What rows are told apart by besides the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolGroup {
    /// A day, week or month.
    Period(Period),
    /// The project.
    Project,
    /// Whose thread.
    Agent,
}

/// What is asked for.
#[derive(Debug)]
pub struct ToolQuestion<'q> {
    /// What rows are told apart by besides the tool, in the order in which rows name them.
    pub group_by: &'q [ToolGroup],
    /// The zone of days, weeks and months.
    pub zone: Zone,
    /// What counts.
    pub filter: &'q Filter,
}

/// How calls ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Those that were interrupted.
    pub interrupted: u64,
    /// Those without a result.
    pub open: u64,
}

/// What there is to tell of the calls of a row.
#[derive(Debug, Default)]
pub struct ToolRow {
    /// How they ended.
    pub outcomes: Outcomes,
    /// Milliseconds from call to result.
    pub took_ms: Summed,
    /// Bytes of results.
    pub bytes: Summed,
    /// Tokens of results, estimated.
    pub tokens: u64,
    /// The same, once for each later response that had the result in its prompt.
    pub carried_tokens: u64,
    /// What later responses paid for results, in units of [`CARRY_PICOUSD`].
    carry: u64,
    /// Sessions with such calls.
    pub sessions: u64,
    /// Milliseconds of turns that waited for these calls and for nothing else.
    pub critical_ms: u64,
    /// The session that was counted last.
    session: u32,
    /// What takes much memory; `None` until [`ToolTable::add_details`] is called, if there are many rows.
    pub details: Option<Box<ToolDetails>>,
}

/// Whole numbers, of which only these are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summed {
    /// How many there are.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    max: u32,
}

/// What takes much memory to tell of the calls of a row.
#[derive(Debug, Default)]
pub struct ToolDetails {
    /// Milliseconds from call to result.
    pub took_ms: Sketch,
    /// Bytes of results.
    pub bytes: Sketch,
    /// The slowest calls.
    slowest: BinaryHeap<Reverse<Slow>>,
}

/// A slow call. Of equally slow ones the earlier comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slow {
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    at: Reverse<Timestamp>,
    /// Its session.
    pub session: SessionId,
    /// Its unit.
    pub unit: UnitId,
    /// How it ended; `None` while no result counts.
    pub outcome: Option<Outcome>,
    /// The low half of its id.
    pub mark: u32,
}

/// Which row a call belongs to: its tool, and the numbers of the further properties. Tables of other questions about the
/// same cube have the same keys, unless rows are told apart by time.
pub type Key = (Name, [u32; 2]);

/// The values of a row.
#[derive(Debug)]
pub struct ToolValues {
    /// The tool.
    pub tool: String,
    /// The value of each further property; `None` for what has no value.
    pub values: Vec<Option<String>>,
    /// A text by which rows are in order of their values.
    pub order: String,
}

/// Rows, and their total.
#[derive(Debug)]
pub struct ToolTable<'c> {
    calls: Calls<'c>,
    /// The rows, in no particular order.
    pub rows: Vec<(Key, ToolRow)>,
    /// The calls of all rows.
    pub total: Outcomes,
    /// Milliseconds of all turns that have ended, whose prompts the filter takes, whoever was at work in them.
    pub turn_ms: u64,
}

/// Most rows that have details from the first. Of more rows an answer shows only a page.
const DETAILED_MAX: usize = 512;

/// The calls that are asked for.
#[derive(Debug)]
struct Calls<'c> {
    cube: &'c Cube,
    window: Window,
    filter: NumberedFilter,
    group_by: &'c [ToolGroup],
    /// The periods that were met, of each property that is a time.
    periods: Vec<Option<Periods>>,
}

impl Outcomes {
    fn add(&mut self, outcome: Option<Outcome>) {
        self.calls += 1;
        match outcome {
            None => self.open += 1,
            Some(Outcome::Ok) => {}
            Some(Outcome::Failed) => self.failed += 1,
            Some(Outcome::Denied) => self.denied += 1,
            Some(Outcome::Interrupted) => self.interrupted += 1,
        }
    }

    /// Failed calls as a share of all; `None` without calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    pub fn failure_ratio(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.failed as f64 / self.calls as f64)
    }
}

impl Slow {
    /// When the call was made.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at.0
    }
}

impl Summed {
    fn add(&mut self, number: u32) {
        self.count += 1;
        self.sum = self.sum.saturating_add(number.into());
        self.max = self.max.max(number);
    }

    /// The largest; `None` if there is none.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        (self.count > 0).then_some(self.max)
    }
}

impl ToolRow {
    fn add(&mut self, call: &CubeCall, session: u32) {
        self.outcomes.add(call.outcome);
        if let Some(took) = call.took_ms() {
            self.took_ms.add(took);
        }
        if call.outcome.is_some() {
            self.bytes.add(call.bytes);
        }
        self.tokens += u64::from(call.tokens);
        self.carried_tokens += u64::from(call.tokens) * u64::from(call.carried);
        self.carry += u64::from(call.carry);
        self.critical_ms += u64::from(call.critical_ms);
        if self.session != session {
            self.session = session;
            self.sessions += 1;
        }
    }

    /// What later responses paid for the results, estimated.
    #[must_use]
    pub fn carry_cost(&self) -> Money {
        Money::from_picousd(i128::from(self.carry) * i128::from(CARRY_PICOUSD))
    }
}

impl ToolDetails {
    fn add(&mut self, (id, session): (&SessionId, &CubeSession), call: &CubeCall) {
        if call.outcome.is_some() {
            self.bytes.add(call.bytes);
        }
        let Some(took_ms) = call.took_ms() else { return };
        self.took_ms.add(took_ms);
        let is_full = self.slowest.len() >= SLOWEST_MAX;
        if is_full && self.slowest.peek().is_some_and(|Reverse(least)| least.took_ms > took_ms) {
            return;
        }
        self.slowest.extend(Slow::of(id, session, call, took_ms).map(Reverse));
        if self.slowest.len() > SLOWEST_MAX {
            self.slowest.pop();
        }
    }

    /// The slowest calls, slowest first.
    #[must_use]
    pub fn slowest(&self) -> Vec<Slow> {
        let mut slowest: Vec<Slow> = self.slowest.iter().map(|Reverse(slow)| slow.clone()).collect();
        slowest.sort_by(|a, b| b.cmp(a));
        slowest
    }
}

/// Answers a question.
#[must_use]
pub fn tools<'c>(cube: &'c Cube, question: &ToolQuestion<'c>) -> ToolTable<'c> {
    let filter = NumberedFilter::of(question.filter, &cube.names);
    let periods = question.group_by.iter().map(|by| by.periods(question.zone)).collect();
    let window = question.filter.window;
    let mut calls = Calls { cube, window, filter, group_by: question.group_by, periods };
    let mut rows: Rows<Key, ToolRow> = Rows::default();
    let (mut total, mut are_many) = (Outcomes::default(), false);
    calls.each(|key, number, session, call| {
        if rows.len() > DETAILED_MAX && !are_many {
            are_many = true;
            rows.iter_mut().for_each(|row| row.details = None);
        }
        total.add(call.outcome);
        let details = || (!are_many).then(Box::default);
        if let Some(row) = rows.get(key, || ToolRow { details: details(), ..ToolRow::default() }) {
            row.add(call, number);
            row.details.iter_mut().for_each(|details| details.add(session, call));
        }
    });
    let rows = rows.into_rows();
    let turn_ms = calls.turn_ms();
    ToolTable { calls, rows, total, turn_ms }
}

impl ToolTable<'_> {
    /// Adds details to rows of the table that have none.
    pub fn add_details(&mut self, rows: &mut [(Key, ToolRow)]) {
        let is_bare = |(place, (key, row)): (usize, &(Key, ToolRow))| row.details.is_none().then_some((*key, place));
        let places: HashMap<Key, usize, ById> = rows.iter().enumerate().filter_map(is_bare).collect();
        if places.is_empty() {
            return;
        }
        self.calls.each(|key, _, session, call| {
            if let Some((_, row)) = places.get(&key).and_then(|place| rows.get_mut(*place)) {
                row.details.get_or_insert_default().add(session, call);
            }
        });
    }

    /// The values of a row.
    #[must_use]
    pub fn values(&self, key: Key) -> ToolValues {
        let shown = |name: Name| self.calls.cube.names.shown(name).map(|name| name.to_string());
        let tool = shown(key.0).unwrap_or_default();
        let (mut values, mut order) = (Vec::new(), String::new());
        for ((by, number), periods) in self.calls.group_by.iter().zip(key.1).zip(&self.calls.periods) {
            let (value, text) = match by {
                ToolGroup::Period(_) => periods.as_ref().map_or((None, None), |periods| periods.named(number)),
                ToolGroup::Project | ToolGroup::Agent => (shown(Name(number)), shown(Name(number))),
            };
            // What has no value stands behind everything that has one.
            order.push_str(&text.map_or_else(|| "1".to_owned(), |text| format!("0{text}")));
            order.push('\0');
            values.push(value);
        }
        order.push_str(&tool);
        ToolValues { tool, values, order }
    }
}

impl Calls<'_> {
    /// Gives every call with the key of its row, and with its session and the number of that, from 1.
    fn each(&mut self, mut take: impl FnMut(Key, u32, (&SessionId, &CubeSession), &CubeCall)) {
        let Self { cube, window, filter, group_by, periods } = self;
        for ((id, session), number) in cube.sessions().zip(1..).filter(|((id, _), _)| filter.takes_session(&id.0)) {
            for call in calls_within(session, *window) {
                let Some(unit) = session.cells.units.get(call.unit as usize) else { continue };
                if filter.tool.takes(call.tool) && filter.model.takes(call.model) && filter.takes_unit(unit) {
                    take((call.tool, key(group_by, periods, unit, call.at)), number, (id, session), call);
                }
            }
        }
    }

    fn turn_ms(&self) -> u64 {
        let sessions = self.cube.sessions().filter(|(id, _)| self.filter.takes_session(&id.0));
        sessions.map(|(_, session)| turn_ms_of(session, &self.filter, self.window)).sum()
    }
}

impl Slow {
    fn of(id: &SessionId, session: &CubeSession, call: &CubeCall, took_ms: u32) -> Option<Self> {
        let unit = *session.cells.ids.get(call.unit as usize)?;
        let (at, session, outcome, mark) = (Reverse(call.at), id.clone(), call.outcome, call.mark);
        Some(Self { took_ms, at, session, unit, outcome, mark })
    }
}

fn turn_ms_of(session: &CubeSession, filter: &NumberedFilter, window: Window) -> u64 {
    let is_taken = |unit: u32| session.cells.units.get(unit as usize).is_some_and(|unit| filter.takes_turn(unit));
    let turns = session.cells.turns.iter().filter(|turn| window.has(turn.at) && is_taken(turn.unit));
    turns.filter_map(|turn| turn.took_ms).sum()
}

/// The calls of a session that were made in a window.
fn calls_within(session: &CubeSession, window: Window) -> &[CubeCall] {
    let calls = session.work.calls.as_slice();
    let first = window.since.map_or(0, |since| calls.partition_point(|call| call.at < since));
    let last = window.until.map_or(calls.len(), |until| calls.partition_point(|call| call.at < until));
    calls.get(first..last).unwrap_or_default()
}

fn key(by: &[ToolGroup], periods: &mut [Option<Periods>], unit: &CubeUnit, at: Timestamp) -> [u32; 2] {
    let mut key = [0; 2];
    for ((number, by), periods) in key.iter_mut().zip(by).zip(periods) {
        *number = match by {
            ToolGroup::Period(_) => periods.as_mut().and_then(|periods| periods.number(at)).unwrap_or(0),
            ToolGroup::Project => unit.project.0,
            ToolGroup::Agent => unit.agent.0,
        };
    }
    key
}

impl ToolGroup {
    fn periods(self, zone: Zone) -> Option<Periods> {
        match self {
            Self::Period(period) => Some(Periods::of(zone, period)),
            Self::Project | Self::Agent => None,
        }
    }
}
