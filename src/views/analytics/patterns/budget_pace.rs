//! A budget that is used up, or will be before its period ends.

use super::history_rule::{Asked, HistoryRule, Judged, Shown};
use super::rule::{Basis, RuleText, Severity};
use super::session_rule::Figure;
use crate::ledger::money::Money;
use crate::views::analytics::budgets::BudgetState;
use crate::views::analytics::cells::Window;
use crate::views::analytics::figures::{counted, money};
use crate::views::analytics::filter::Filter;

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "budget_pace",
        title: "A budget is running out",
        severity: Severity::Warn,
        basis: Basis::Estimated,
        recommendation: "See what it went to (`tailspan report costs`), and do what the other findings say first.",
        method: "Each budget of the configuration: what was spent in its period so far, and what the whole period is expected \
                 to cost, as the projection says. It is told for the time of the question, whatever range is asked for, and only without \
                 filters.",
        saves: false,
        limits: &[],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let everything = Filter { window: Window::default(), ..asked.filter.clone() } == Filter::default();
    let late = asked.budgets.iter().filter(|(_, now)| everything && now.state != BudgetState::Ok);
    let mut late: Vec<_> = late
        .map(|(budget, now)| {
            let comes_to = now.expected.unwrap_or(now.spent).max(now.spent);
            (comes_to - budget.limit, comes_to, *budget, *now)
        })
        .collect();
    late.sort_by(|(one, _, a, _), (other, _, b, _)| other.cmp(one).then_with(|| a.name.cmp(&b.name)));
    let (above, comes_to, worst, _) = *late.first()?;
    let used_up = late.iter().filter(|(.., now)| now.state == BudgetState::Over).count() as u64;
    let expected = late.len() as u64 - used_up;
    let found = [(used_up, "used up"), (expected, "expected to be used up")];
    let found: Vec<String> = found
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {} {what}", counted(*count, "budget"), if *count == 1 { "is" } else { "are" }))
        .collect();
    let sentence =
        format!("{}. `{}` will come to {} of {}.", found.join(", "), worst.name, money(comes_to), money(worst.limit));
    let evidence = late.iter().map(|(_, comes_to, budget, now)| {
        let (spent, limit) = (money(now.spent), money(budget.limit));
        let detail = format!("`{}`: {spent} of {limit} spent, {} expected", budget.name, money(*comes_to));
        Shown { session: None, at: None, detail }
    });
    Some(Judged {
        sentence,
        figures: vec![
            ("used_up", Figure::Count(used_up)),
            ("expected_over", Figure::Count(expected)),
            ("above_usd", Figure::Usd(above)),
        ],
        saving: Money::ZERO,
        seen: None,
        evidence: evidence.collect(),
    })
}
