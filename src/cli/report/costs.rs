//! `report costs`: what was spent, on what, and what changed.

use serde_json::Value;

use super::args::GroupKey;
use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::draw::glyphs::Spark;
use super::money_ahead;
use super::rows::{self, SUMS, compared, cost_cell, day_name, key_cell, spent, sums, total};
use super::titles;
use super::why;
use crate::cli::ask::answer::{self, Answer, count, list, text};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::AskError;
use crate::ledger::money::Money;
use crate::views::analytics::figures::{amount, grouped, money, share};
use crate::views::analytics::period::Period;

/// Rows from which on a table of times has a line of small bars above it.
const SPARK_MIN: usize = 3;

/// Most days that are shown with those on which nothing was spent.
const DAYS_MAX: usize = 62;

/// The keys that rows are told apart by.
pub(super) fn keys(asker: &Asker<'_>) -> Vec<GroupKey> {
    if asker.args.by.is_empty() { vec![GroupKey::Day] } else { asker.args.by.clone() }
}

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    let names: Vec<&str> = keys(asker).iter().map(|key| key.name()).collect();
    let question = asker.question("costs").with("group_by", &names.join(","));
    // Times are not limited: a day that was left out would be taken for one without spend.
    if keys(asker).first().is_some_and(|key| key.is_time()) { asker.in_order(question) } else { asker.sorted(question) }
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns(keys: &[GroupKey]) -> Vec<CsvColumn> {
    let own = |key: &GroupKey| (key.name().to_owned(), format!("/{}", key.name()));
    let mut columns: Vec<CsvColumn> = keys.iter().map(own).collect();
    let mut add = |names: &[(&str, &str)]| {
        columns.extend(names.iter().map(|(name, place)| ((*name).to_owned(), (*place).to_owned())));
    };
    add(&[
        ("messages", "/messages"),
        ("turns", "/turns"),
        ("sessions", "/sessions"),
        ("input_tokens", "/tokens/input"),
        ("output_tokens", "/tokens/output"),
        ("cache_read_tokens", "/tokens/cache_read"),
        ("cache_write_5m_tokens", "/tokens/cache_write_5m"),
        ("cache_write_1h_tokens", "/tokens/cache_write_1h"),
        ("cost_usd", "/cost_usd"),
        ("unpriced_tokens", "/unpriced_tokens"),
    ]);
    if keys.contains(&GroupKey::Block) {
        add(&[
            ("ended_at", "/ended_at"),
            ("is_active", "/is_active"),
            ("burn_usd_per_hour", "/burn_usd_per_hour"),
            ("projected_usd", "/projected_usd"),
        ]);
    }
    columns
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Result<Document, AskError> {
    let keys = keys(asker);
    let names: Vec<&str> = keys.iter().map(|key| key.name()).collect();
    let when = asker.range.words(asker.present);
    let title = format!("Costs by {}, {when} ({})", names.join(" and "), asker.present.zone.name());
    let total = total(&answer.json);
    let before = match asker.range.before(asker.present.now) {
        Some(range) => Some(asker.ask(&asker.question_of("costs", range).with("limit", "1"))?),
        None => None,
    };
    let mut facts = vec![Fact::new("spent", spent(&answer.json)).toned(Tone::Strong)];
    facts
        .extend(before.as_ref().map(|before| compared(total, rows::total(&before.json), "in the same length of time")));
    facts.extend(course(asker, &keys, answer));
    facts.extend(unpriced(&answer.json));
    facts.extend(money_ahead::projection(&answer.json));
    let mut parts = vec![Part::Facts(facts)];
    parts.extend(money_ahead::budgets(&answer.json).map(Part::Table));
    if list(&answer.json, "/rows").is_empty() {
        parts.push(Part::Text(Tone::Dim, "Nothing was spent in this time.".to_owned()));
        return Ok(Document { title, parts });
    }
    parts.push(Part::Table(table(asker, &keys, answer)?));
    parts.extend(why::parts(asker, &keys, total)?);
    Ok(Document { title, parts })
}

/// A line of small bars, if rows are times.
fn course(asker: &Asker<'_>, keys: &[GroupKey], answer: &Answer) -> Option<Fact> {
    let rows = list(&answer.json, "/rows");
    let [key] = keys else { return None };
    let cost = |row: &Value| answer::money(row, "/cost_usd").map_or(0, amount);
    let spark: Vec<u128> = match key {
        GroupKey::Day => days(asker, rows).iter().map(|(_, row)| row.map_or(0, cost)).collect(),
        _ => rows.iter().map(cost).collect(),
    };
    let most = rows.iter().max_by_key(|row| cost(row))?;
    let name = text(most, &format!("/{}", key.name()))?;
    let name = if *key == GroupKey::Day { day_name(asker, name) } else { name.to_owned() };
    let text = format!("most: {name}, {}", money(answer::money(most, "/cost_usd")?));
    (key.is_time() && (SPARK_MIN..=DAYS_MAX).contains(&spark.len()))
        .then(|| Fact { spark: Spark { amounts: spark, ..Spark::default() }, ..Fact::new("course", text) })
}

fn unpriced(answer: &Value) -> Option<Fact> {
    let tokens = count(answer, "/total/unpriced_tokens").filter(|tokens| *tokens > 0)?;
    let text = format!("{} tokens have no known price and are not in the cost", grouped(tokens));
    Some(Fact::new("unpriced", text).toned(Tone::Warn))
}

fn table(asker: &Asker<'_>, keys: &[GroupKey], answer: &Answer) -> Result<Table, AskError> {
    let is_time = keys.first().is_some_and(|key| key.is_time());
    let rows = list(&answer.json, "/rows");
    let shown = if is_time { rows.len() } else { rows.len().min(asker.limit().into()) };
    let ids: Vec<&str> = rows.iter().take(shown).filter_map(|row| text(row, "/session")).collect();
    let told = titles::of(asker, &ids)?;
    let has_sessions = keys.contains(&GroupKey::Session);
    let mut columns: Vec<Column> = keys.iter().map(|key| column_of(*key)).collect();
    if has_sessions {
        columns.extend([Column::text("project").rank(4), Column::text("title").rank(2)]);
    }
    columns.extend([Column::number("cost"), Column::bar().rank(3), Column::number("share").rank(1)]);
    columns.extend(SUMS);
    let total = total(&answer.json);
    let most = rows.iter().filter_map(|row| answer::money(row, "/cost_usd")).map(amount).max().unwrap_or(0);
    let made = |row: &Value| {
        let cost = answer::money(row, "/cost_usd").unwrap_or(Money::ZERO);
        let mut cells: Vec<Cell> = keys.iter().map(|key| key_cell(asker, *key, row)).collect();
        if has_sessions {
            let told = text(row, "/session").and_then(|id| told.get(id)).cloned().unwrap_or_default();
            cells.extend([Cell::or_dash(told.project), Cell::or_dash(told.title)]);
        }
        cells.extend([cost_cell(row), Cell::Bar { part: amount(cost), whole: most }]);
        cells.push(Cell::of(share(cost, total)));
        cells.extend(sums(row));
        Row::of(cells)
    };
    let mut drawn: Vec<Row> = if matches!(keys, [GroupKey::Day]) && asker.args.sort.is_none() {
        days(asker, rows).iter().map(|day| day.1.map_or_else(|| idle(&day.0, columns.len()), made)).collect()
    } else {
        rows.iter().take(shown).map(made).collect()
    };
    let mut cells = vec![Cell::of("total")];
    cells.extend((1..keys.len() + if has_sessions { 2 } else { 0 }).map(|_| Cell::empty()));
    cells.extend([Cell::of(money(total)), Cell::empty(), Cell::empty()]);
    cells.extend(answer.json.pointer("/total").map(sums).into_iter().flatten());
    drawn.push(Row::total(cells));
    let has_more = shown < rows.len() || text(&answer.json, "/next_cursor").is_some();
    let note = has_more.then(|| "There are more rows: --limit, or --csv for all of them.".to_owned());
    Ok(Table { columns, rows: drawn, note })
}

fn column_of(key: GroupKey) -> Column {
    match key {
        GroupKey::Hour | GroupKey::Day | GroupKey::Week | GroupKey::Month | GroupKey::Block | GroupKey::Session => {
            Column::fixed(key.name())
        }
        _ => Column::name(key.name()),
    }
}

/// Every day of the range, with its row if something was spent on it; only those with a row if there are too many days,
/// or if the range has no beginning.
fn days<'r>(asker: &Asker<'_>, rows: &'r [Value]) -> Vec<(String, Option<&'r Value>)> {
    let row_of = |name: &str| rows.iter().find(|row| text(row, "/day") == Some(name));
    let only_rows = || rows.iter().map(|row| (String::new(), Some(row))).collect();
    let zone = asker.present.zone;
    let Some(mut at) = asker.range.since else { return only_rows() };
    let until = asker.range.until.unwrap_or(asker.present.now).min(asker.present.now);
    let mut days = Vec::new();
    while at < until {
        let Some(day) = zone.period(Period::Day, at).filter(|_| days.len() < DAYS_MAX) else { return only_rows() };
        days.push((day_name(asker, &day.name), row_of(&day.name)));
        at = day.end;
    }
    // What is stamped in the future is not hidden.
    let shown = days.iter().filter(|(_, row)| row.is_some()).count();
    if shown == rows.len() { days } else { only_rows() }
}

/// A day on which nothing was spent.
fn idle(name: &str, columns: usize) -> Row {
    let mut cells = vec![Cell::of(name), Cell::of("-")];
    cells.resize(columns, Cell::empty());
    Row { cells, tone: Tone::Dim }
}
