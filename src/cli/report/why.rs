//! Why it cost what it cost: the projects, models and sessions that a time spent most on, and what each of them spent in
//! the same length of time before.

use std::collections::HashMap;

use super::args::GroupKey;
use super::asker::Asker;
use super::draw::document::{Cell, Column, Part, Row, Table, Tone};
use super::rows::{cost_cell, key_cell, tone_of_change};
use super::titles::{self, short_id};
use crate::cli::ask::answer::{self, count, list, text};
use crate::cli::ask::source::AskError;
use crate::ledger::money::Money;
use crate::views::analytics::figures::{amount, change, grouped, money, share};

/// Rows of each table.
const ROWS: usize = 5;

/// Most values of the time before that are compared with.
const BEFORE_ROWS: &str = "1000";

/// The tables, without those that `keys` make the report itself. Nothing if nothing was spent.
pub(super) fn parts(asker: &Asker<'_>, keys: &[GroupKey], total: Money) -> Result<Vec<Part>, AskError> {
    if total <= Money::ZERO {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    for key in [GroupKey::Project, GroupKey::Model].into_iter().filter(|key| !keys.contains(key)) {
        parts.push(shares(asker, key, total)?);
    }
    if !keys.contains(&GroupKey::Session) {
        parts.push(sessions(asker, total)?);
    }
    parts.retain(|table| !table.rows.is_empty());
    Ok(parts.into_iter().map(Part::Table).collect())
}

fn shares(asker: &Asker<'_>, key: GroupKey, total: Money) -> Result<Table, AskError> {
    let by = key.name();
    let question = asker.question("costs").with("group_by", by).with("limit", &ROWS.to_string());
    let answer = asker.ask(&question)?;
    let before = match asker.range.before(asker.present.now) {
        Some(range) => {
            let question = asker.question_of("costs", range).with("group_by", by).with("limit", BEFORE_ROWS);
            Some(asker.ask(&question)?)
        }
        None => None,
    };
    let place = format!("/{by}");
    let cost = |row| answer::money(row, "/cost_usd").unwrap_or(Money::ZERO);
    let spent_before: Option<HashMap<Option<&str>, Money>> = before
        .as_ref()
        .map(|before| list(&before.json, "/rows").iter().map(|row| (text(row, &place), cost(row))).collect());
    let mut columns =
        vec![Column::name(by), Column::number("cost"), Column::bar().rank(3), Column::number("share").rank(1)];
    if spent_before.is_some() {
        columns.push(Column::number("before").rank(4));
        columns.push(Column::number("change").rank(2));
    }
    let rows = list(&answer.json, "/rows");
    let most = rows.iter().map(|row| amount(cost(row))).max().unwrap_or(0);
    let made = |row| {
        let cost = cost(row);
        let mut cells = vec![
            key_cell(asker, key, row),
            cost_cell(row),
            Cell::Bar { part: amount(cost), whole: most },
            Cell::of(share(cost, total)),
        ];
        if let Some(spent) = &spent_before {
            let before = spent.get(&text(row, &place)).copied().unwrap_or(Money::ZERO);
            cells.push(Cell::toned(Tone::Dim, money(before)));
            cells.push(Cell::toned(tone_of_change(cost - before), change(cost - before)));
        }
        Row::of(cells)
    };
    let note = text(&answer.json, "/next_cursor").map(|_| format!("There are more: --by {by}."));
    Ok(Table { columns, rows: rows.iter().map(made).collect(), note })
}

/// The sessions that spent most within the time.
pub(super) fn sessions(asker: &Asker<'_>, total: Money) -> Result<Table, AskError> {
    let question = asker.question("costs").with("group_by", "session").with("limit", &ROWS.to_string());
    let answer = asker.ask(&question)?;
    let rows = list(&answer.json, "/rows");
    let ids: Vec<&str> = rows.iter().filter_map(|row| text(row, "/session")).collect();
    let told = titles::of(asker, &ids)?;
    let made = |row| {
        let cost = answer::money(row, "/cost_usd").unwrap_or(Money::ZERO);
        let id = text(row, "/session").unwrap_or_default();
        let told = told.get(id).cloned().unwrap_or_default();
        Row::of(vec![
            Cell::linked(Some(short_id(id)), told.page.as_deref()),
            Cell::or_dash(told.project),
            Cell::or_dash(told.title),
            Cell::or_dash(count(row, "/turns").map(grouped)),
            cost_cell(row),
            Cell::of(share(cost, total)),
        ])
    };
    let columns = vec![
        Column::fixed("session"),
        Column::text("project").rank(3),
        Column::text("title").rank(1),
        Column::number("turns").rank(4),
        Column::number("cost"),
        Column::number("share").rank(2),
    ];
    Ok(Table { columns, rows: rows.iter().map(made).collect(), note: None })
}
