//! Models without a known price.

use super::history_rule::{Asked, HistoryRule, Judged, Shown};
use super::rule::{Basis, EVIDENCE_MAX, RuleText, Severity};
use super::session_rule::Figure;
use crate::ledger::money::Money;
use crate::views::analytics::costs::{CostRow, GroupBy};
use crate::views::analytics::figures::{counted, short};

/// The rule.
pub(super) static RULE: HistoryRule = HistoryRule {
    text: RuleText {
        id: "unpriced",
        title: "Models without a price",
        severity: Severity::Warn,
        basis: Basis::Measured,
        recommendation: "Give them a price: `[[prices.overrides]]` in the configuration. History is then priced anew.",
        method: "Tokens of models that neither the built-in table nor the configuration has a price for. They are in no cost, \
                 so every sum of money is too small.",
        saves: false,
        limits: &[],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    if asked.hours.total.unpriced == 0 {
        return None;
    }
    let rows = asked.costs(&[GroupBy::Model]).rows;
    let unpriced = rows.into_iter().filter(|row| row.sums.unpriced > 0);
    let name = |row: &CostRow| row.values.first().cloned().flatten().unwrap_or_else(|| "unknown".to_owned());
    let mut models: Vec<(String, u64)> = unpriced.map(|row| (name(&row), row.sums.unpriced)).collect();
    models.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    let tokens = models.iter().map(|(_, tokens)| *tokens).sum::<u64>();
    let (first, _) = models.first()?;
    let evidence = models.iter().take(EVIDENCE_MAX).map(|(model, tokens)| Shown {
        session: None,
        at: None,
        detail: format!("{model}: {} tokens", short(*tokens)),
    });
    Some(Judged {
        sentence: format!(
            "{} tokens of {} have no price, so that no cost has them: {first}{}.",
            short(tokens),
            counted(models.len() as u64, "model"),
            if models.len() > 1 { " and others" } else { "" }
        ),
        figures: vec![("tokens", Figure::Count(tokens)), ("tokens_by_model", Figure::Counts(models.clone()))],
        saving: Money::ZERO,
        seen: None,
        evidence: evidence.collect(),
    })
}
