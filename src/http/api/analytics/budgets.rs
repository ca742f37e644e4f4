//! The budgets of the configuration, held against the cells of all sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::StateVersion;
use crate::transcript::time::Timestamp;
use crate::views::analytics::budgets::{Budget, BudgetNow};
use crate::views::analytics::cube::Cube;
use crate::views::analytics::filter::Filter;

/// The budgets, and how they were doing when they were looked at last: a scrape takes that, and waits for nothing.
#[derive(Debug, Default)]
pub struct SharedBudgets {
    budgets: Arc<[Budget]>,
    told: Mutex<Option<Told>>,
}

#[derive(Debug, Clone)]
struct Told {
    /// The version of the state, and the moment.
    at: (StateVersion, Timestamp),
    now: Arc<[BudgetNow]>,
}

/// Budgets, and how each was doing at one moment. Before the first such moment the second list is empty.
#[derive(Debug, Clone, Default)]
pub struct BudgetsNow {
    budgets: Arc<[Budget]>,
    now: Arc<[BudgetNow]>,
}

impl SharedBudgets {
    pub(super) fn of(budgets: Vec<Budget>) -> Self {
        Self { budgets: budgets.into(), told: Mutex::default() }
    }

    /// The budgets of the configuration.
    pub(in crate::http) fn configured(&self) -> &[Budget] {
        &self.budgets
    }

    /// How they are doing. What was computed at the same version of the state for the same moment is taken again.
    pub(super) fn now(&self, cube: &Cube, version: StateVersion, now: Timestamp) -> BudgetsNow {
        let at = (version, now);
        let told = self.last().filter(|told| told.at == at).unwrap_or_else(|| {
            let told = Told { at, now: self.budgets.iter().map(|budget| budget.now(cube, now)).collect() };
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told.clone());
            told
        });
        BudgetsNow { budgets: Arc::clone(&self.budgets), now: told.now }
    }

    /// How they were doing when they were looked at last.
    pub(in crate::http) fn told(&self) -> BudgetsNow {
        BudgetsNow { budgets: Arc::clone(&self.budgets), now: self.last().map(|told| told.now).unwrap_or_default() }
    }

    fn last(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl BudgetsNow {
    /// Budgets, and how each is doing, in the same order.
    #[must_use]
    pub fn of(budgets: Vec<Budget>, now: Vec<BudgetNow>) -> Self {
        Self { budgets: budgets.into(), now: now.into() }
    }

    /// Each budget, with how it was doing if that is known.
    pub(in crate::http) fn iter(&self) -> impl Iterator<Item = (&Budget, Option<&BudgetNow>)> {
        let now = self.now.iter().map(Some).chain(std::iter::repeat(None));
        self.budgets.iter().zip(now)
    }

    /// The budgets as an answer tells them.
    pub(super) fn forms(&self) -> Vec<BudgetForm<'_>> {
        self.iter().filter_map(|(budget, now)| Some(BudgetForm::of(budget, now?))).collect()
    }
}

/// A budget in an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Budget")]
pub(super) struct BudgetForm<'a> {
    /// Its name in the configuration.
    name: &'a str,
    /// The values of each filter of it; `null` if it is for everything.
    scope: Option<BTreeMap<&'static str, &'a [String]>>,
    /// What may be spent in its period.
    limit_usd: String,
    /// What was spent in the period so far.
    spent_usd: String,
    /// What the whole period will most likely have cost; `null` if there is too little history.
    expected_usd: Option<String>,
    /// `ok`, `expected_over` or `over`.
    state: &'static str,
}

impl<'a> BudgetForm<'a> {
    fn of(budget: &'a Budget, now: &BudgetNow) -> Self {
        let scope = scope(&budget.filter);
        Self {
            name: &budget.name,
            scope: (!scope.is_empty()).then_some(scope),
            limit_usd: budget.limit.to_string(),
            spent_usd: now.spent.to_string(),
            expected_usd: now.expected.map(|expected| expected.to_string()),
            state: now.state.word(),
        }
    }
}

/// The filters that are given, by the names of their parameters.
fn scope(filter: &Filter) -> BTreeMap<&'static str, &[String]> {
    let Filter { window: _, session, project, branch, entrypoint, model, agent, origin, tool, workflow } = filter;
    let all: [(&'static str, &[String]); 9] = [
        ("session", session),
        ("project", project),
        ("branch", branch),
        ("entrypoint", entrypoint),
        ("model", model),
        ("agent", agent),
        ("origin", origin),
        ("tool", tool),
        ("workflow", workflow),
    ];
    all.into_iter().filter(|(_, values)| !values.is_empty()).collect()
}
