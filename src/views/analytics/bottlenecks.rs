//! Where the time of turns went: the critical paths of all turns that have ended, added up.
//!
//! A turn belongs to the time of its prompt, and to its own project, branch, entrypoint and origin. The filters `model`,
//! `tool` and `agent` take the turns in which such a model, tool or agent was at work.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::critical_path::PathKind;
use super::cube::{Cube, CubeSession};
use super::filter::{Filter, NumberedFilter};
use super::names::Name;
use super::session_work::{CubePart, Longest};
use super::sketch::Sketch;
use crate::ledger::unit::UnitId;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Most of the longest stretches that a row tells of.
pub const SLOWEST_MAX: usize = 5;

/// What turns waited for, of one kind and name.
#[derive(Debug)]
pub struct PathRow {
    /// The kind.
    pub kind: PathKind,
    /// Which of its kind, as answers show it.
    pub name: String,
    /// Milliseconds on critical paths.
    pub path_ms: u64,
    /// How many milliseconds longer what lies beside the paths could have taken for free.
    pub slack_ms: u64,
    /// By how many milliseconds all turns would be shorter if this took half the time.
    pub saved_ms: u64,
    /// Milliseconds on the paths until the first pieces of responses came; `None` if no stream tells.
    pub first_chunk_ms: Option<u64>,
    /// Turns that have it on their paths.
    pub turns: u64,
    /// Milliseconds on the path of each of these turns.
    pub per_turn: Sketch,
    slowest: BinaryHeap<Reverse<SlowStretch>>,
}

/// A long stretch. Of equally long ones the earlier comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlowStretch {
    /// Milliseconds on the critical path.
    pub path_ms: u32,
    start: Reverse<Timestamp>,
    /// Its session.
    pub session: SessionId,
    /// The unit of the response or call that it lies in.
    pub unit: UnitId,
    /// Whether that is a call.
    pub is_call: bool,
    /// How long the whole response or call took, in milliseconds.
    pub took_ms: u64,
    /// The low half of its id.
    pub mark: u32,
}

/// All that turns waited for.
#[derive(Debug, Default)]
pub struct Bottlenecks {
    /// Turns that have ended.
    pub turns: u64,
    /// Their milliseconds from prompt to end.
    pub turn_ms: u64,
    /// The durations of everything that was done in them, added up, in milliseconds.
    pub busy_ms: u64,
    /// What they waited for, in no particular order. The milliseconds add up to those of the turns.
    pub rows: Vec<PathRow>,
    /// Milliseconds by project, kind and name, in this order.
    pub stacks: BTreeMap<(String, &'static str, String), u64>,
}

impl SlowStretch {
    /// When the response or call began.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start.0
    }

    fn of(id: &SessionId, session: &CubeSession, longest: &Longest) -> Option<Self> {
        let unit = *session.cells.ids.get(longest.unit as usize)?;
        let Longest { path_ms, is_call, mark, start, took_ms, .. } = *longest;
        Some(Self { path_ms, start: Reverse(start), session: id.clone(), unit, is_call, took_ms, mark })
    }
}

impl PathRow {
    fn new(kind: PathKind) -> Self {
        let (name, per_turn, slowest) = (String::new(), Sketch::new(), BinaryHeap::new());
        Self { kind, name, path_ms: 0, slack_ms: 0, saved_ms: 0, first_chunk_ms: None, turns: 0, per_turn, slowest }
    }

    fn add(&mut self, part: &CubePart) {
        self.path_ms += part.path_ms;
        self.slack_ms += u64::from(part.slack_ms);
        self.saved_ms += u64::from(part.saved_ms);
        if let Some(ms) = part.first_chunk_ms {
            self.first_chunk_ms = Some(self.first_chunk_ms.unwrap_or(0) + u64::from(ms));
        }
        if part.path_ms > 0 {
            self.turns += 1;
            self.per_turn.add(u32::try_from(part.path_ms).unwrap_or(u32::MAX));
        }
    }

    fn slow(&mut self, path_ms: u32, slow: impl FnOnce() -> Option<SlowStretch>) {
        let is_full = self.slowest.len() >= SLOWEST_MAX;
        if is_full && self.slowest.peek().is_some_and(|Reverse(least)| least.path_ms > path_ms) {
            return;
        }
        self.slowest.extend(slow().map(Reverse));
        if self.slowest.len() > SLOWEST_MAX {
            self.slowest.pop();
        }
    }

    /// The longest stretches, longest first.
    #[must_use]
    pub fn slowest(&self) -> Vec<SlowStretch> {
        let mut slowest: Vec<SlowStretch> = self.slowest.iter().map(|Reverse(slow)| slow.clone()).collect();
        slowest.sort_by(|a, b| b.cmp(a));
        slowest
    }
}

/// Adds up the critical paths of the turns that the filter takes.
#[must_use]
pub fn bottlenecks(cube: &Cube, filter: &Filter) -> Bottlenecks {
    let numbered = NumberedFilter::of(filter, &cube.names);
    let mut rows: HashMap<(PathKind, Name), PathRow, ById> = HashMap::default();
    let mut stacks: HashMap<(Name, PathKind, Name), u64, ById> = HashMap::default();
    let mut all = Bottlenecks::default();
    for (id, session) in cube.sessions().filter(|(id, _)| numbered.takes_session(&id.0)) {
        let at_work = AtWork::of(session, &numbered);
        for (position, turn) in session.cells.turns.iter().enumerate() {
            let unit = session.cells.units.get(turn.unit as usize);
            let (Some(unit), Some(took_ms)) = (unit, turn.took_ms) else { continue };
            if !(filter.window.has(turn.at) && numbered.takes_turn(unit) && at_work.takes(position)) {
                continue;
            }
            all.turns += 1;
            all.turn_ms += took_ms;
            all.busy_ms += session.work.busy_ms(turn.unit);
            for part in session.work.parts_of(turn.unit) {
                let row = rows.entry((part.kind, part.name)).or_insert_with(|| PathRow::new(part.kind));
                row.add(part);
                *stacks.entry((unit.project, part.kind, part.name)).or_default() += part.path_ms;
                if let Some(longest) = &part.longest {
                    row.slow(longest.path_ms, || SlowStretch::of(id, session, longest));
                }
            }
        }
    }
    let shown = |name: Name| cube.names.shown(name).map(|name| name.to_string()).unwrap_or_default();
    all.rows = rows.into_iter().map(|((_, name), row)| PathRow { name: shown(name), ..row }).collect();
    for ((project, kind, name), ms) in stacks.into_iter().filter(|(_, ms)| *ms > 0) {
        *all.stacks.entry((shown(project), kind.name(), shown(name))).or_default() += ms;
    }
    all
}

/// The turns of a session in which wanted models, tools and agents were at work; `None` if all are wanted.
struct AtWork([Option<Vec<bool>>; 3]);

impl AtWork {
    fn of(session: &CubeSession, filter: &NumberedFilter) -> Self {
        let cells = &session.cells;
        let turn_of = |unit: u32| cells.units.get(unit as usize).and_then(|unit| unit.turn);
        let marked = |units: &mut dyn Iterator<Item = u32>| {
            let mut marks = vec![false; cells.turns.len()];
            for turn in units.filter_map(turn_of) {
                marks.iter_mut().skip(turn as usize).take(1).for_each(|mark| *mark = true);
            }
            marks
        };
        let units = || (0u32..).zip(&cells.units);
        Self([
            filter
                .model
                .is_asked()
                .then(|| marked(&mut cells.cells.iter().filter(|cell| filter.takes_model(cell)).map(|cell| cell.unit))),
            filter
                .tool
                .is_asked()
                .then(|| marked(&mut units().map(|(unit, _)| unit).filter(|unit| filter.takes_tools(cells, *unit)))),
            filter
                .agent
                .is_asked()
                .then(|| marked(&mut units().filter(|(_, own)| filter.agent.takes(own.agent)).map(|(unit, _)| unit))),
        ])
    }

    fn takes(&self, turn: usize) -> bool {
        self.0.iter().flatten().all(|marks| marks.get(turn).copied().unwrap_or(false))
    }
}
