//! `report blocks`: blocks of five hours, as the client's limits count them.

use serde_json::Value;

use super::args::GroupKey;
use super::asker::Asker;
use super::costs;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::range::Present;
use super::rows;
use crate::cli::ask::answer::{self, Answer, count, list, text, tokens};
use crate::cli::ask::question::Question;
use crate::ledger::money::Money;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::blocks::BLOCK_MS;
use crate::views::analytics::figures::{amount, duration, grouped, money, short};

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    // Times are not limited: a block that was left out would be taken for none.
    asker.in_order(asker.question("costs").with("group_by", "block"))
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    costs::csv_columns(&[GroupKey::Block])
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Document {
    let when = asker.range.words(asker.present);
    let title = format!("Blocks of five hours, {when} ({})", asker.present.zone.name());
    let rows = list(&answer.json, "/rows");
    if rows.is_empty() {
        return Document { title, parts: vec![Part::Text(Tone::Dim, "Nothing was spent in this time.".to_owned())] };
    }
    let mut facts = vec![Fact::new("spent", rows::spent(&answer.json)).toned(Tone::Strong)];
    facts.push(active(&answer.json, asker.present).unwrap_or_else(|| Fact::new("now", "no block is running")));
    Document { title, parts: vec![Part::Facts(facts), Part::Table(table(asker, rows))] }
}

/// The block that is running, in a sentence; `None` if none is.
pub(super) fn active(answer: &Value, present: Present) -> Option<Fact> {
    let block = running(answer)?;
    let cost = answer::money(block, "/cost_usd").map(money)?;
    let start = text(block, "/block").and_then(Timestamp::parse)?;
    let mut sentence = format!("{cost} since {}", present.hour(start));
    if let Some(left) = left(block, present.now) {
        sentence.push_str(&format!(", {} left", duration(left)));
    }
    if let Some(burn) = answer::money(block, "/burn_usd_per_hour") {
        sentence.push_str(&format!(", {} an hour", money(burn)));
    }
    if let Some(end) = answer::money(block, "/projected_usd") {
        sentence.push_str(&format!(", about {} at its end", money(end)));
    }
    Some(Fact::new("block", sentence))
}

/// The row of the block that is running; `None` if none is.
pub(in crate::cli) fn running(answer: &Value) -> Option<&Value> {
    list(answer, "/rows").iter().find(|row| row.pointer("/is_active").and_then(Value::as_bool) == Some(true))
}

/// Seconds until a block ends; `None` if it has ended.
pub(in crate::cli) fn left(block: &Value, now: Timestamp) -> Option<f64> {
    let start = text(block, "/block").and_then(Timestamp::parse)?;
    let end = Timestamp(start.0.checked_add(BLOCK_MS)?);
    Some(end.since_ms(now)).filter(|left| *left > 0).map(seconds)
}

fn table(asker: &Asker<'_>, rows: &[Value]) -> Table {
    let cost = |row: &Value| answer::money(row, "/cost_usd").unwrap_or(Money::ZERO);
    let most = rows.iter().map(|row| amount(cost(row))).max().unwrap_or(0);
    let made = |row: &Value| {
        let is_active = row.pointer("/is_active").and_then(Value::as_bool) == Some(true);
        let dollars = |place| Cell::or_dash(answer::money(row, place).map(money));
        let last = text(row, "/ended_at").and_then(Timestamp::parse).map(|last| asker.present.hour(last));
        let cells = vec![
            rows::key_cell(asker, GroupKey::Block, row),
            Cell::or_dash(last),
            rows::cost_cell(row),
            Cell::Bar { part: amount(cost(row)), whole: most },
            Cell::or_dash(count(row, "/messages").map(grouped)),
            Cell::or_dash(tokens(row).map(short)),
            dollars("/burn_usd_per_hour"),
            if is_active { dollars("/projected_usd") } else { Cell::empty() },
        ];
        Row { cells, tone: if is_active { Tone::Strong } else { Tone::Plain } }
    };
    let columns = vec![
        Column::fixed("block"),
        Column::fixed("last").rank(4),
        Column::number("cost"),
        Column::bar().rank(3),
        Column::number("responses").rank(6),
        Column::number("tokens").rank(5),
        Column::number("per hour").rank(1),
        Column::number("at its end").rank(2),
    ];
    Table { columns, rows: rows.iter().map(made).collect(), note: None }
}
