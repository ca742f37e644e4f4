//! What a rule found in a session, and how findings add up.

use std::collections::{BTreeMap, HashSet};

use crate::ledger::money::Money;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::names::Name;

/// One thing that a rule found in a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// The rule: a position in [`SESSION_RULES`](super::session_rules::SESSION_RULES).
    pub rule: u8,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is: a position in [`SessionCells::units`](crate::views::analytics::session_cells::SessionCells::units).
    pub unit: u32,
    /// The model that paid or waited; [`Name::NONE`] if it is about none.
    pub model: Name,
    /// Which of its kind, as the rule tells them apart: a tool, a reason, a type of sub-agent.
    pub name: Name,
    /// What could be saved, in picodollars.
    pub picousd: u64,
    /// What could be saved, in milliseconds.
    pub ms: u64,
    /// What the rule counts: tokens, attempts, calls.
    pub amount: u64,
    /// The response or call that shows it; `None` if there is none.
    pub step: Option<Step>,
}

/// A response or call of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Whether it is a call.
    pub is_call: bool,
    /// The low half of its id in [`Work`](crate::views::analytics::work::Work).
    pub mark: u32,
    /// When it ended.
    pub end: Timestamp,
}

impl Step {
    pub(super) fn new(is_call: bool, id: u64, end: Timestamp) -> Self {
        Self { is_call, mark: u32::try_from(id & u64::from(u32::MAX)).unwrap_or(0), end }
    }
}

/// A finding with whose it is.
#[derive(Debug, Clone)]
pub struct Found<'c> {
    /// Its session.
    pub session: &'c SessionId,
    /// Its unit.
    pub unit: UnitId,
    /// Its turn, from 1; `None` if it is in none.
    pub turn: Option<u32>,
    /// The finding.
    pub finding: Finding,
}

/// What the findings of a rule come to.
#[derive(Debug, Default)]
pub struct Sum {
    /// How many there are.
    pub count: u64,
    /// In how many sessions.
    pub sessions: u64,
    /// What could be saved.
    pub saving: Money,
    /// What could be saved, in milliseconds.
    pub ms: u64,
    /// What the rule counts, in all.
    pub amount: u64,
    /// The most of it in one finding.
    pub largest: u64,
    /// The same by [`Finding::name`], without those that have none.
    pub names: BTreeMap<String, NameSum>,
}

/// What the findings of one name come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameSum {
    /// How many there are.
    pub count: u64,
    /// What the rule counts, in all.
    pub amount: u64,
    /// What could be saved.
    pub saving: Money,
    /// What could be saved, in milliseconds.
    pub ms: u64,
}

impl Sum {
    /// Adds findings up. `shown` returns names as answers show them.
    #[must_use]
    pub fn of(found: &[Found<'_>], shown: &dyn Fn(Name) -> Option<String>) -> Self {
        let mut sum = Self::default();
        let mut names: BTreeMap<Name, NameSum> = BTreeMap::new();
        for Found { finding, .. } in found {
            sum.count += 1;
            sum.saving += Money::from_picousd(finding.picousd.into());
            sum.ms = sum.ms.saturating_add(finding.ms);
            sum.amount = sum.amount.saturating_add(finding.amount);
            sum.largest = sum.largest.max(finding.amount);
            let own = names.entry(finding.name).or_default();
            own.count += 1;
            own.saving += Money::from_picousd(finding.picousd.into());
            own.ms = own.ms.saturating_add(finding.ms);
            own.amount = own.amount.saturating_add(finding.amount);
        }
        sum.sessions = found.iter().map(|found| found.session).collect::<HashSet<_>>().len() as u64;
        sum.names = names.into_iter().filter_map(|(name, own)| Some((shown(name)?, own))).collect();
        sum
    }

    /// The name with the most findings; the first of them by its letters.
    #[must_use]
    pub fn most_common(&self) -> Option<&str> {
        let most = self.names.values().map(|own| own.count).max()?;
        self.names.iter().find(|(_, own)| own.count == most).map(|(name, _)| name.as_str())
    }

    /// How many findings have a name.
    #[must_use]
    pub fn named(&self, name: &str) -> u64 {
        self.names.get(name).map_or(0, |own| own.count)
    }
}
