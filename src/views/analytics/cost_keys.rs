//! By what rows of costs are told apart: the values of properties as numbers, which are named at the end.

use std::collections::HashMap;

use super::blocks::{Block, block_of, blocks};
use super::cube::Cube;
use super::names::Name;
use super::period::{Period, Quarter, Zone};
use super::periods::{Periods, ordered};
use super::quarters::Properties;
use super::session_cells::CubeUnit;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
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
    /// The workflow.
    Workflow,
    /// How the client was started.
    Entrypoint,
}

/// The values of a row as numbers.
pub(super) type Key = [u32; 2];

/// The values of a row.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Of each property; `None` for what has no value.
    pub(super) values: Vec<Option<String>>,
    /// A text by which rows are in order of their values: of times, in order of time.
    pub(super) order: String,
    /// The block, if rows are told apart by blocks.
    pub(super) block: Option<Block>,
}

/// Gives the values of rows numbers, and names them at the end.
pub(super) struct Keys<'t> {
    cube: &'t Cube,
    blocks: Vec<Block>,
    parts: Vec<KeyPart>,
    /// The sessions so far; a session's number is how many there were with it. Those that follow one another under the same
    /// id are one.
    sessions: Vec<&'t SessionId>,
    numbers: QuarterNumbers,
}

/// One of the properties by which rows are told apart.
struct KeyPart {
    by: GroupBy,
    /// The periods that were met, if rows are told apart by periods.
    periods: Option<Periods>,
}

impl<'t> Keys<'t> {
    pub(super) fn of(cube: &'t Cube, zone: Zone, group_by: &[GroupBy]) -> Self {
        let has_blocks = group_by.contains(&GroupBy::Block);
        let blocks = if has_blocks { blocks(cube) } else { Vec::new() };
        let periods = |by: &GroupBy| match by {
            GroupBy::Period(period) => Some(Periods::of(zone, *period)),
            _ => None,
        };
        let part = |by: &GroupBy| KeyPart { by: *by, periods: periods(by) };
        let parts = group_by.iter().map(part).collect();
        Self { cube, blocks, parts, sessions: Vec::new(), numbers: QuarterNumbers::default() }
    }

    pub(super) fn session(&mut self, id: &'t SessionId) {
        if self.sessions.last() != Some(&id) {
            self.sessions.push(id);
        }
    }

    /// The properties of units and cells by which rows are told apart.
    pub(super) fn properties(&self) -> Properties {
        self.parts.iter().fold(Properties::default(), |all, part| match part.by {
            GroupBy::Project => all.with(Properties::PROJECT, true),
            GroupBy::Branch => all.with(Properties::BRANCH, true),
            GroupBy::Model => all.with(Properties::MODEL, true),
            GroupBy::Agent => all.with(Properties::AGENT, true),
            GroupBy::Entrypoint => all.with(Properties::ENTRYPOINT, true),
            GroupBy::Workflow => all.with(Properties::WORKFLOW, true),
            GroupBy::Period(_) | GroupBy::Block | GroupBy::Session => all,
        })
    }

    /// Whether rows are told apart by blocks, and there are any.
    pub(super) const fn has_blocks(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// The key of what a unit did at a model; `times` has the numbers of properties that are times.
    pub(super) fn of_parts(&self, unit: &CubeUnit, model: Name, times: [u32; 2]) -> Key {
        let mut key = times;
        for (number, part) in key.iter_mut().zip(&self.parts) {
            *number = match part.by {
                GroupBy::Period(_) | GroupBy::Block => *number,
                GroupBy::Project => unit.project.0,
                GroupBy::Branch => unit.branch.0,
                GroupBy::Model => model.0,
                GroupBy::Agent => unit.agent.0,
                GroupBy::Session => u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
                GroupBy::Workflow => unit.workflow.0,
                GroupBy::Entrypoint => unit.entrypoint.0,
            };
        }
        key
    }

    /// The numbers, from 1, of the periods or blocks of a quarter hour; 0 for what is no time, and where there is none. A
    /// period begins and ends with a quarter hour.
    pub(super) fn of_quarter(&mut self, quarter: Quarter) -> [u32; 2] {
        let Self { blocks, parts, numbers, .. } = self;
        numbers.get(quarter, || {
            let mut numbers = [0; 2];
            for (number, part) in numbers.iter_mut().zip(parts) {
                let found = match part.by {
                    GroupBy::Period(_) => part.periods.as_mut().and_then(|periods| periods.number(quarter.start())),
                    GroupBy::Block => block_of(blocks, quarter).and_then(|block| u32::try_from(block + 1).ok()),
                    _ => None,
                };
                *number = found.unwrap_or(0);
            }
            numbers
        })
    }

    /// The same for a turn, by the time of its prompt and the quarter hour of its first responses: a prompt may come just
    /// before the hour in which its response begins a block.
    pub(super) fn of_turn(&mut self, prompt: Timestamp, responses: Quarter) -> [u32; 2] {
        let (mut numbers, later) = (self.of_quarter(Quarter::of(prompt)), self.of_quarter(responses));
        for ((number, later), part) in numbers.iter_mut().zip(later).zip(&self.parts) {
            if part.by == GroupBy::Block && *number == 0 {
                *number = later;
            }
        }
        numbers
    }

    /// Whether the numbers of a turn are those of the quarter hour of its prompt, whenever its responses came.
    pub(super) fn is_of_prompt(&mut self, prompt: Quarter) -> bool {
        if self.blocks.is_empty() {
            return true;
        }
        let numbers = self.of_quarter(prompt);
        numbers.iter().zip(&self.parts).all(|(number, part)| part.by != GroupBy::Block || *number != 0)
    }

    /// The values of a row.
    pub(super) fn values(&self, key: Key) -> Values {
        let at = |number: u32| (number as usize).checked_sub(1);
        let mut all = Values::default();
        for (part, number) in self.parts.iter().zip(key) {
            let (value, text) = match part.by {
                GroupBy::Period(_) => part.periods.as_ref().map_or((None, None), |periods| periods.named(number)),
                GroupBy::Block => {
                    all.block = at(number).and_then(|at| self.blocks.get(at)).copied();
                    (all.block.map(|block| block.start.to_rfc3339()), all.block.map(|block| ordered(block.start)))
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
            all.order.push_str(&text.map_or_else(|| "1".to_owned(), |text| format!("0{text}")));
            all.order.push('\0');
            all.values.push(value);
        }
        all
    }
}

/// Quarter hours whose numbers lie together: those of two days and two thirds.
const PAGE: i32 = 256;

/// The numbers of quarter hours that were met. Those of one session lie close together.
#[derive(Default)]
struct QuarterNumbers {
    pages: HashMap<i32, usize, ById>,
    numbers: Vec<Vec<Option<[u32; 2]>>>,
    /// The page that was asked for last, and its place.
    last: Option<(i32, usize)>,
}

impl QuarterNumbers {
    /// The numbers of a quarter hour, which are made if it was not met before.
    fn get(&mut self, quarter: Quarter, make: impl FnOnce() -> [u32; 2]) -> [u32; 2] {
        let (page, within) = (quarter.0.div_euclid(PAGE), quarter.0.rem_euclid(PAGE));
        let place = match self.last {
            Some((last, place)) if last == page => place,
            _ => *self.pages.entry(page).or_insert_with(|| {
                self.numbers.push(vec![None; PAGE.unsigned_abs() as usize]);
                self.numbers.len() - 1
            }),
        };
        self.last = Some((page, place));
        let known = self.numbers.get_mut(place).and_then(|page| page.get_mut(within.unsigned_abs() as usize));
        known.map_or([0; 2], |known| *known.get_or_insert_with(make))
    }
}
