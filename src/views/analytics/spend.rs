//! What was spent in each quarter hour, without all else that cells tell: small enough to be kept up to date for sums that
//! are asked for all the time.

use std::collections::HashMap;

use super::filter::NumberedFilter;
use super::period::Quarter;
use super::session_cells::{CubeCell, SessionCells};
use crate::ledger::money::Money;
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;

/// Exact sums of list prices by quarter hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarterSpend(HashMap<Quarter, Money, ById>);

/// Whether something comes to the sums or leaves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl FromIterator<(Quarter, Money)> for QuarterSpend {
    fn from_iter<I: IntoIterator<Item = (Quarter, Money)>>(spent: I) -> Self {
        let mut sums: HashMap<Quarter, Money, ById> = HashMap::default();
        for (quarter, cost) in spent {
            *sums.entry(quarter).or_default() += cost;
        }
        Self(sums)
    }
}

impl QuarterSpend {
    /// Counts all cells of a session.
    pub(super) fn count(&mut self, session: &SessionCells, sign: Sign) {
        session.cells.iter().for_each(|cell| self.cell(cell, sign));
    }

    /// Counts the cells of a session that a filter takes.
    pub(super) fn count_taken(&mut self, id: &SessionId, session: &SessionCells, filter: &NumberedFilter, sign: Sign) {
        if !filter.takes_session(&id.0) {
            return;
        }
        let is_taken = |cell: &&CubeCell| {
            session.units.get(cell.unit as usize).is_some_and(|unit| filter.takes_unit(unit))
                && filter.takes_model(cell)
                && filter.takes_tools(session, cell.unit)
        };
        session.cells.iter().filter(is_taken).for_each(|cell| self.cell(cell, sign));
    }

    fn cell(&mut self, cell: &CubeCell, sign: Sign) {
        let cost = cell.spent().cost;
        let sum = self.0.entry(cell.quarter).or_default();
        match sign {
            Sign::Plus => *sum += cost,
            Sign::Minus => *sum -= cost,
        }
        if *sum == Money::ZERO {
            self.0.remove(&cell.quarter);
        }
    }

    /// What was spent on each day, by the first quarter hours of the days in order; the last ends the day before it. What
    /// lies before or behind them is left out.
    #[must_use]
    pub fn by_day(&self, starts: &[Quarter]) -> Vec<Money> {
        let mut days = vec![Money::ZERO; starts.len().saturating_sub(1)];
        for (quarter, cost) in &self.0 {
            let after = starts.partition_point(|start| start <= quarter);
            if let Some(day) = after.checked_sub(1).and_then(|day| days.get_mut(day)) {
                *day += *cost;
            }
        }
        days
    }

    /// The first quarter hour in which something was spent; `None` if nothing was.
    #[must_use]
    pub fn first(&self) -> Option<Quarter> {
        self.0.keys().min().copied()
    }
}
