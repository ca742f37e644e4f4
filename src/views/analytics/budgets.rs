//! Budgets: what may be spent in a month, week or day, held against what was spent and what is expected.

use super::cube::Cube;
use super::filter::Filter;
use super::period::{Period, Zone};
use super::projection::{CONFIDENCE, DailySpend};
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;

/// What may be spent in a period of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name, which no other budget has.
    pub name: String,
    /// What may be spent; above 0.
    pub limit: Money,
    /// A month, week or day.
    pub period: Period,
    /// The zone in which the period begins and ends.
    pub zone: Zone,
    /// What counts; without a window.
    pub filter: Filter,
}

/// How a budget is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetState {
    /// Neither spent nor expected to be.
    Ok,
    /// More is expected to be spent by the end of the period than may be.
    ExpectedOver,
    /// More was spent than may be.
    Over,
}

/// A budget at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetNow {
    /// What was spent in the period so far.
    pub spent: Money,
    /// What it will come to at the end of the period; `None` if there are too few days with spend to tell.
    pub expected: Option<Money>,
    /// How it is doing.
    pub state: BudgetState,
}

impl Budget {
    /// How it is doing at a moment.
    #[must_use]
    pub fn now(&self, cube: &Cube, now: Timestamp) -> BudgetNow {
        let days = DailySpend::of(&cube.spend(&self.filter), self.zone, now);
        let spent = days.as_ref().and_then(|days| days.spent(self.period)).unwrap_or_default();
        let projection = days.and_then(|days| days.projection(self.period, CONFIDENCE).ok());
        let expected = projection.map(|projection| projection.expected);
        let state = match expected {
            _ if spent > self.limit => BudgetState::Over,
            Some(expected) if expected > self.limit => BudgetState::ExpectedOver,
            _ => BudgetState::Ok,
        };
        BudgetNow { spent, expected, state }
    }
}

impl BudgetState {
    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ExpectedOver => "expected_over",
            Self::Over => "over",
        }
    }
}
