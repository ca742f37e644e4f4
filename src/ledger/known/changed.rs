//! Two states of the parts of a unit: at the last commit, and now.

use crate::ledger::unit::{Parts, Section, Unit, UnitId};

/// Parts that changed, with the unit around them.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// The unit or section that holds them.
    pub home: UnitId,
    /// The unit, as it was at the last commit; `None` for a new one.
    pub before: Option<&'a Unit>,
    /// The unit as it is.
    pub unit: &'a Unit,
    /// The parts as they were at the last commit; `None` for new ones.
    pub parts_before: Option<&'a Parts>,
    /// The parts as they are.
    pub parts: &'a Parts,
}

impl<'a> Changed<'a> {
    /// The parts that a unit holds itself, as if all were new.
    #[must_use]
    pub fn new(unit: &'a Unit) -> Self {
        Self::between(None, unit)
    }

    /// The parts that a unit holds itself, in two states.
    #[must_use]
    pub fn between(before: Option<&'a Unit>, unit: &'a Unit) -> Self {
        let parts_before = before.map(|unit| &unit.parts);
        Self { home: unit.key.id(), before, unit, parts_before, parts: &unit.parts }
    }

    /// The parts of a section of a unit, as if all were new.
    #[must_use]
    pub fn section(unit: &'a Unit, section: &'a Section) -> Self {
        let home = section.of.section(section.position);
        Self { home, before: None, unit, parts_before: None, parts: &section.parts }
    }

    /// True for a unit with the parts that it holds itself, false for a section.
    #[must_use]
    pub fn is_unit(&self) -> bool {
        self.home == self.unit.key.id()
    }
}
