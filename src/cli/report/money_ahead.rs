//! What is still to be spent: the projection of the month, and budgets. An older sidecar tells neither.

use serde_json::Value;

use super::draw::document::{Cell, Column, Fact, Row, Table, Tone};
use crate::cli::ask::answer::{self, count, list, number, text};
use crate::ledger::money::Money;
use crate::views::analytics::figures::{amount, money, percent, share};

/// What the month will cost, in a sentence; or why nobody knows.
pub(super) fn projection(answer: &Value) -> Option<Fact> {
    if let Some(reason) = text(answer, "/projection_reason") {
        return Some(Fact::new("month", format!("no projection: {reason}")).toned(Tone::Dim));
    }
    let projection = answer.pointer("/projection").filter(|projection| projection.is_object())?;
    let dollars = |place| answer::money(projection, place).map(money);
    let mut sentence = format!(
        "{}: {} so far, about {} at its end",
        text(projection, "/month").unwrap_or("this month"),
        dollars("/spent_usd")?,
        dollars("/expected_usd")?,
    );
    if let (Some(low), Some(high)) = (dollars("/low_usd"), dollars("/high_usd")) {
        sentence.push_str(&format!(", between {low} and {high}"));
        if let Some(confidence) = number(projection, "/confidence") {
            sentence.push_str(&format!(" with a confidence of {}", percent(confidence)));
        }
    }
    if let Some(days) = count(projection, "/days_used") {
        sentence.push_str(&format!(" (from {days} days)"));
    }
    Some(Fact::new("month", sentence))
}

/// Budgets as a table; `None` if there are none.
pub(super) fn budgets(answer: &Value) -> Option<Table> {
    let budgets = list(answer, "/budgets");
    if budgets.is_empty() {
        return None;
    }
    let row = |budget: &Value| {
        let dollars = |place| answer::money(budget, place);
        let (spent, limit) =
            (dollars("/spent_usd").unwrap_or(Money::ZERO), dollars("/limit_usd").unwrap_or(Money::ZERO));
        let (tone, state) = state(budget);
        Row::of(vec![
            Cell::or_dash(text(budget, "/name").map(str::to_owned)),
            Cell::of(money(spent)),
            Cell::Bar { part: amount(spent), whole: amount(limit) },
            Cell::of(share(spent, limit)),
            Cell::or_dash(dollars("/expected_usd").map(money)),
            Cell::of(money(limit)),
            Cell::toned(tone, state),
        ])
    };
    let columns = vec![
        Column::name("budget"),
        Column::number("spent"),
        Column::bar().rank(4),
        Column::number("used").rank(3),
        Column::number("expected").rank(2),
        Column::number("limit").rank(1),
        Column::fixed("state"),
    ];
    Some(Table { columns, rows: budgets.iter().map(row).collect(), note: None })
}

/// The state of a budget in words, and how it is meant.
pub(super) fn state(budget: &Value) -> (Tone, String) {
    match text(budget, "/state") {
        Some("ok") => (Tone::Good, "ok".to_owned()),
        Some("expected_over") => (Tone::Warn, "will be over".to_owned()),
        Some("over") => (Tone::Bad, "over".to_owned()),
        other => (Tone::Plain, other.unwrap_or("-").to_owned()),
    }
}
