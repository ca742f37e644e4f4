//! The rows of one session in any table but that of sessions, which are made of its units and their sections.
//!
//! Rows of a session are in order of time, and turns in order of their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::around::{Around, Asked, Names};
use super::column::Row;
use super::costs::CostRows;
use super::messages::MessageRow;
use super::table::Table;
use super::tools::{Models, ToolRow, add_models};
use super::turns::TurnRows;
use crate::ledger::family::TurnNumbers;
use crate::ledger::session::Member;
use crate::ledger::unit::{Parts, Unit};

/// The rows of a session so far.
pub struct SessionRows<'e> {
    asked: &'e Asked,
    names: &'e mut Names,
    numbers: TurnNumbers,
    /// Who asked for each turn, by its number; empty unless that is asked for.
    origins: HashMap<usize, &'static str>,
    rows: Rows,
}

enum Rows {
    None,
    Turns(TurnRows),
    Messages(Vec<MessageRow>),
    Tools(Vec<ToolRow>),
    Costs(CostRows),
}

impl<'e> SessionRows<'e> {
    /// No rows of a session yet, of which these are the units.
    pub fn of(table: Table, asked: &'e Asked, members: &[Member], names: &'e mut Names) -> Self {
        let turns = members.iter().filter(|unit| unit.turn).map(|unit| (unit.first, unit.unit)).collect();
        let parents = members.iter().filter_map(|unit| Some((unit.unit, unit.parent?))).collect();
        let rows = match table {
            Table::Sessions => Rows::None,
            Table::Turns => Rows::Turns(TurnRows::default()),
            Table::Messages => Rows::Messages(Vec::new()),
            Table::Tools => Rows::Tools(Vec::new()),
            Table::Costs => Rows::Costs(CostRows::default()),
        };
        Self { asked, names, numbers: TurnNumbers::from(turns, parents), origins: HashMap::new(), rows }
    }

    /// Whether every unit must be given to [`SessionRows::origin`] before the first is added.
    #[must_use]
    pub const fn needs_origins(&self) -> bool {
        !self.asked.filter.origin.is_empty()
    }

    /// Whether the parts in sections are needed.
    #[must_use]
    pub const fn needs_sections(&self) -> bool {
        !matches!(self.rows, Rows::None | Rows::Turns(_))
    }

    /// Whether the rows of a unit can only be told when all of its parts are there at once.
    #[must_use]
    pub const fn needs_whole(&self) -> bool {
        matches!(self.rows, Rows::Tools(_)) && !self.asked.filter.model.is_empty()
    }

    /// Takes in who asked for a turn.
    pub fn origin(&mut self, unit: &Unit) {
        let asked = unit.prompt.as_ref().filter(|_| unit.is_turn()).zip(self.numbers.turn(unit.key.id()));
        self.origins.extend(asked.map(|(prompt, number)| (number, prompt.origin.name())));
    }

    /// Adds a unit with the parts that it holds itself. Returns what its sections are added with, if they are asked for.
    pub fn unit(&mut self, unit: &Unit) -> Option<Arc<Around>> {
        let number = self.numbers.turn(unit.key.id());
        let around = Arc::new(Around::of(unit, number, &self.asked.host, self.names));
        let origin = number.and_then(|number| self.origins.get(&number)).copied();
        let mut is_taken = self.asked.takes(&around, origin);
        // Of the table of calls the tools are asked for call by call.
        if is_taken && !matches!(self.rows, Rows::Tools(_)) {
            is_taken = self.asked.takes_tools(unit, self.names);
        }
        if let Rows::Turns(rows) = &mut self.rows {
            rows.add(self.asked, &around, unit, is_taken, self.names);
            return None;
        }
        is_taken.then(|| {
            self.parts(&around, &unit.parts);
            around
        })
    }

    /// Adds parts of a unit.
    pub fn parts(&mut self, around: &Arc<Around>, parts: &Parts) {
        let Self { asked, names, .. } = self;
        match &mut self.rows {
            Rows::None | Rows::Turns(_) => {}
            Rows::Messages(rows) => MessageRow::add_all(rows, asked, around, parts, names),
            Rows::Costs(rows) => rows.add(asked, around, parts, names),
            Rows::Tools(rows) => {
                let mut models = Models::new();
                if !asked.filter.model.is_empty() {
                    add_models(&mut models, parts, names);
                }
                ToolRow::add_all(rows, (asked, &models), around, parts, names);
            }
        }
    }

    /// Gives every row to `take`, in order, until it fails. Returns how many there were.
    pub fn give<E>(self, mut take: impl FnMut(&dyn Row) -> Result<(), E>) -> Result<(), E> {
        match self.rows {
            Rows::None => Ok(()),
            Rows::Turns(rows) => rows.into_rows().try_for_each(|row| take(&row)),
            Rows::Costs(rows) => rows.into_rows().try_for_each(|row| take(&row)),
            Rows::Messages(mut rows) => {
                rows.sort_by(|a, b| a.order().cmp(&b.order()));
                rows.iter().try_for_each(|row| take(row))
            }
            Rows::Tools(mut rows) => {
                rows.sort_by(|a, b| a.order().cmp(&b.order()));
                rows.iter().try_for_each(|row| take(row))
            }
        }
    }
}
