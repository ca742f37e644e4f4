//! Two states of the parts of a unit: as they were at the last commit, and as they are.

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
    /// The parts as they were; `None` for new ones.
    pub parts_before: Option<&'a Parts>,
    /// The parts as they are.
    pub parts: &'a Parts,
}

impl<'a> Changed<'a> {
    /// All that a unit holds itself, as if it were new.
    #[must_use]
    pub fn new(unit: &'a Unit) -> Self {
        Self::between(None, unit)
    }

    /// What a unit holds itself in two states.
    #[must_use]
    pub fn between(before: Option<&'a Unit>, unit: &'a Unit) -> Self {
        let parts_before = before.map(|unit| &unit.parts);
        Self { home: unit.key.id(), before, unit, parts_before, parts: &unit.parts }
    }

    /// All of one of a unit's sections, as if it were new.
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
