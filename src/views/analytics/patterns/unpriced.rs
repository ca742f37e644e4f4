//! Models without a known price.

use std::collections::BTreeMap;

use super::history_rule::{Asked, HistoryRule, Judged, Shown, first_and_last};
use super::rule::{Basis, RuleText, Severity};
use super::session_rule::Figure;
use super::usage::{Cells, cells};
use crate::ledger::money::Money;
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
                 so every sum of money is too small. It is no saving.",
        limits: &[],
    },
    judge,
};

fn judge(asked: &Asked<'_>) -> Option<Judged> {
    let mut models: BTreeMap<_, (u64, _, _)> = BTreeMap::new();
    cells(asked, &mut |Cells { cell, .. }| {
        let unpriced = cell.spent().unpriced;
        if unpriced > 0 {
            let (sum, first, last) = models.entry(cell.model).or_insert((0, cell.first(), cell.last()));
            (*sum, *first, *last) = (*sum + unpriced, cell.first().min(*first), cell.last().max(*last));
        }
    });
    let shown = |name| asked.cube.names.shown(name).map_or_else(|| "unknown".to_owned(), |name| name.to_string());
    let seen = first_and_last(models.values().flat_map(|(_, first, last)| [*first, *last]));
    let mut models: Vec<(String, u64, _)> =
        models.into_iter().map(|(model, (tokens, _, last))| (shown(model), tokens, last)).collect();
    models.sort_by(|(a, one, _), (b, other, _)| other.cmp(one).then_with(|| a.cmp(b)));
    let tokens = models.iter().map(|(_, tokens, _)| *tokens).sum::<u64>();
    let (first, ..) = models.first()?;
    let evidence = models.iter().map(|(model, tokens, last)| Shown {
        session: None,
        at: Some(*last),
        detail: format!("{model}: {} tokens", short(*tokens)),
    });
    Some(Judged {
        sentence: format!(
            "{} of {} have no price, so that no cost has them: {first}{}.",
            short(tokens) + " tokens",
            counted(models.len() as u64, "model"),
            if models.len() > 1 { " and others" } else { "" }
        ),
        figures: vec![
            ("tokens", Figure::Count(tokens)),
            ("tokens_by_model", Figure::Counts(models.iter().map(|(name, sum, _)| (name.clone(), *sum)).collect())),
        ],
        saving: Money::ZERO,
        seen,
        evidence: evidence.collect(),
    })
}
