//! What one session came to in each quarter hour, whoever did what.
//!
//! Most questions tell nothing within a session apart: they ask for times, or for what all of the session has in common.
//! They look at these sums instead of its cells, of which there are several times as many. For others there are the sums of
//! [`super::classes`].

use std::collections::BTreeMap;

use super::classes::ClassQuarters;
use super::filter::NumberedFilter;
use super::names::Name;
use super::period::Quarter;
use super::session_cells::{CubeUnit, SessionCells, SmallSpent, Spent};

/// Some of the properties by which units and cells are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Properties(u8);

impl Properties {
    pub(super) const PROJECT: Self = Self(1);
    pub(super) const BRANCH: Self = Self(1 << 1);
    pub(super) const ENTRYPOINT: Self = Self(1 << 2);
    pub(super) const AGENT: Self = Self(1 << 3);
    pub(super) const ORIGIN: Self = Self(1 << 4);
    pub(super) const MODEL: Self = Self(1 << 5);
    pub(super) const TOOL: Self = Self(1 << 6);
    pub(super) const WORKFLOW: Self = Self(1 << 7);

    /// These and, if a condition holds, one more.
    pub(super) const fn with(self, other: Self, holds: bool) -> Self {
        Self(if holds { self.0 | other.0 } else { self.0 })
    }

    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(super) const fn has_one_of(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// The properties that a filter looks at.
    pub(super) const fn of(filter: &NumberedFilter) -> Self {
        Self(0)
            .with(Self::PROJECT, filter.project.is_asked())
            .with(Self::BRANCH, filter.branch.is_asked())
            .with(Self::ENTRYPOINT, filter.entrypoint.is_asked())
            .with(Self::AGENT, filter.agent.is_asked())
            .with(Self::ORIGIN, filter.origin.is_asked())
            .with(Self::MODEL, filter.model.is_asked())
            .with(Self::TOOL, filter.tool.is_asked())
            .with(Self::WORKFLOW, filter.workflow.is_asked())
    }
}

/// The sums of one session by quarter hour.
#[derive(Debug, Default)]
pub(super) struct SessionQuarters {
    /// In order of time.
    pub(super) all: Vec<CubeQuarter>,
    /// One of the units that have cells or are turns; `None` if there is none.
    pub(super) unit: Option<CubeUnit>,
    /// The model of one of the cells.
    pub(super) model: Name,
    /// The properties in which units and cells differ.
    pub(super) mixed: Properties,
    /// The same by classes, if there are several.
    pub(super) classes: ClassQuarters,
}

/// What a session came to in one quarter hour. What does not fit the fields is in a further one.
#[derive(Debug, Clone, Copy)]
pub(super) struct CubeQuarter {
    /// When.
    pub(super) quarter: Quarter,
    /// Turns whose prompts lie in it.
    pub(super) turns: u32,
    spent: SmallSpent,
}

const _: () = assert!(size_of::<CubeQuarter>() == 48);

impl CubeQuarter {
    /// What was spent; nothing if there are only prompts.
    pub(super) fn spent(&self) -> Spent {
        self.spent.all()
    }
}

impl SessionQuarters {
    /// The sums of cells and turns that are in order.
    pub(super) fn of(session: &SessionCells) -> Self {
        let mut sums: BTreeMap<Quarter, (u32, Spent)> = BTreeMap::new();
        for cell in &session.cells {
            sums.entry(cell.quarter).or_default().1.add(&cell.spent());
        }
        for turn in &session.turns {
            sums.entry(Quarter::of(turn.at)).or_default().0 += 1;
        }
        let mut quarters = Self { all: Vec::with_capacity(sums.len()), ..Self::default() };
        for (quarter, (mut turns, mut rest)) in sums {
            while turns > 0 || !rest.is_nothing() {
                quarters.all.push(CubeQuarter { quarter, turns: std::mem::take(&mut turns), spent: rest.take() });
            }
        }
        quarters.compare(session);
        if quarters.mixed != Properties::TOOL {
            quarters.classes = ClassQuarters::of(session);
        }
        quarters
    }

    /// Finds what all units and cells have in common. Turns without responses have no model.
    fn compare(&mut self, session: &SessionCells) {
        let unit = |unit: u32| session.units.get(unit as usize);
        let counted = session.cells.iter().map(|cell| cell.unit).chain(session.turns.iter().map(|turn| turn.unit));
        for other in counted.filter_map(unit) {
            let own = self.unit.get_or_insert(*other);
            self.mixed = self
                .mixed
                .with(Properties::PROJECT, own.project != other.project)
                .with(Properties::BRANCH, own.branch != other.branch)
                .with(Properties::ENTRYPOINT, own.entrypoint != other.entrypoint)
                .with(Properties::AGENT, own.agent != other.agent)
                .with(Properties::ORIGIN, own.origin != other.origin)
                .with(Properties::WORKFLOW, own.workflow != other.workflow);
        }
        let mut answered = vec![false; session.turns.len()];
        let turn_of = |cell: u32| unit(cell)?.turn;
        self.model = session.cells.first().map_or(Name::NONE, |cell| cell.model);
        for cell in &session.cells {
            self.mixed = self.mixed.with(Properties::MODEL, cell.model != self.model);
            let turn = turn_of(cell.unit).and_then(|turn| answered.get_mut(turn as usize));
            turn.into_iter().for_each(|answered| *answered = true);
        }
        self.mixed = self.mixed.with(Properties::MODEL, answered.contains(&false)).with(Properties::TOOL, true);
    }

    /// Whether it has sums of one of some quarter hours.
    pub(super) fn has_one_of(&self, quarters: &[Quarter]) -> bool {
        quarters.iter().any(|quarter| self.all.binary_search_by_key(quarter, |own| own.quarter).is_ok())
    }
}
