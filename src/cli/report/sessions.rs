//! `report sessions`: what was worked on, when, and what it cost.

use std::collections::HashMap;

use serde_json::Value;

use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::rows::{cost_cell, spent};
use super::titles::short_id;
use crate::cli::ask::answer::{Answer, count, list, some_text, text};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::AskError;
use crate::ledger::money::Money;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::figures::{duration, grouped, money};

/// Most sessions whose share of the time is asked for at once.
const AT_ONCE: usize = 100;

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    asker.sorted(asker.question("sessions"))
}

/// The columns of the rows as CSV: those of the API, and what of it falls into the time that is asked for.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    let names = [
        ("id", "/id"),
        ("started_at", "/started_at"),
        ("ended_at", "/ended_at"),
        ("project", "/project"),
        ("git_branch", "/git_branch"),
        ("title", "/title"),
        ("turns", "/turns"),
        ("messages", "/messages"),
        ("input_tokens", "/tokens/input"),
        ("output_tokens", "/tokens/output"),
        ("cache_read_tokens", "/tokens/cache_read"),
        ("cache_write_5m_tokens", "/tokens/cache_write_5m"),
        ("cache_write_1h_tokens", "/tokens/cache_write_1h"),
        ("cost_usd", "/cost_usd"),
        ("client_reported_usd", "/client_reported_usd"),
        ("models", "/models"),
        ("subagents", "/subagents"),
        ("forked_from", "/forked_from"),
        ("resumed", "/resumed"),
        ("page", "/page"),
    ];
    names.into_iter().map(|(name, place)| (name.to_owned(), place.to_owned())).collect()
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Result<Document, AskError> {
    let when = asker.range.words(asker.present);
    let title = format!("Sessions, {when} ({})", asker.present.zone.name());
    let sessions = list(&answer.json, "/sessions");
    let shown = sessions.len().min(asker.limit().into());
    let mut shown: Vec<&Value> = sessions.iter().take(shown).collect();
    if shown.is_empty() {
        let text = "No session had a row in this time.".to_owned();
        return Ok(Document { title, parts: vec![Part::Text(Tone::Dim, text)] });
    }
    if asker.args.sort.is_none() {
        // The API begins with the latest; a terminal ends with it, where the eye is.
        shown.reverse();
    }
    let total = asker.ask(&asker.question("costs").with("limit", "1"))?;
    let in_range = in_range(asker, &shown)?;
    let mut table = table(asker, &shown, &in_range);
    let all = count(&answer.json, "/total").unwrap_or(0);
    if shown.len() as u64 != all {
        let order = asker.args.sort.as_deref().unwrap_or("latest");
        table.note = Some(format!("{} of {} sessions, by {order}: --limit shows more.", shown.len(), grouped(all)));
    }
    let facts = Part::Facts(vec![Fact::new("spent", spent(&total.json)).toned(Tone::Strong)]);
    Ok(Document { title, parts: vec![facts, Part::Table(table)] })
}

/// The sums of sessions within the time of the report, by id.
fn in_range(asker: &Asker<'_>, sessions: &[&Value]) -> Result<HashMap<String, Value>, AskError> {
    let mut sums = HashMap::new();
    // A filter for sessions would ask for all of them besides these.
    if asker.filters.iter().any(|(name, _)| *name == "session") {
        let answer = asker.ask(&asker.question("costs").with("group_by", "session"))?;
        sums.extend(list(&answer.json, "/rows").iter().filter_map(by_id));
        return Ok(sums);
    }
    for some in sessions.chunks(AT_ONCE) {
        let question = asker.question("costs").with("group_by", "session");
        let ids = some.iter().filter_map(|session| text(session, "/id"));
        let answer = asker.ask(&ids.fold(question, |question, id| question.with("session", id)))?;
        sums.extend(list(&answer.json, "/rows").iter().filter_map(by_id));
    }
    Ok(sums)
}

fn by_id(row: &Value) -> Option<(String, Value)> {
    Some((text(row, "/session")?.to_owned(), row.clone()))
}

fn table(asker: &Asker<'_>, sessions: &[&Value], in_range: &HashMap<String, Value>) -> Table {
    let spent_by = |session: &Value| text(session, "/id").and_then(|id| in_range.get(id));
    let made = |session: &&Value| {
        let time = |place| text(session, place).and_then(Timestamp::parse);
        let (started, ended) = (time("/started_at"), time("/ended_at"));
        let lasted = started.zip(ended).map(|(started, ended)| duration(seconds(ended.since_ms(started))));
        let turns = spent_by(session).and_then(|row| count(row, "/turns")).unwrap_or(0);
        Row::of(vec![
            Cell::or_dash(started.map(|started| asker.present.moment(started))),
            Cell::or_dash(lasted),
            Cell::or_dash(some_text(session, "/project")),
            Cell::or_dash(some_text(session, "/title")),
            Cell::of(grouped(turns)),
            spent_by(session).map_or_else(|| Cell::of(money(Money::ZERO)), cost_cell),
            Cell::linked(text(session, "/id").map(short_id), text(session, "/page")),
        ])
    };
    let columns = vec![
        Column::fixed("started"),
        Column::number("lasted").rank(5),
        Column::text("project").rank(2),
        Column::text("title").rank(1),
        Column::number("turns").rank(3),
        Column::number("cost"),
        Column::fixed("session").rank(4),
    ];
    Table { columns, rows: sessions.iter().map(made).collect(), note: None }
}
