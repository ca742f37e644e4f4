//! `report today`: the day so far, on one screen.

use super::asker::Asker;
use super::blocks;
use super::costs;
use super::draw::document::{Document, Fact, Part, Tone};
use super::draw::glyphs::Spark;
use super::range::Range;
use super::rows::{compared, spent, total};
use super::tools;
use super::why;
use super::{money_ahead, range::Present};
use crate::cli::ask::answer::{self, Answer, list, text};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::AskError;
use crate::cli::limits as words;
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;
use crate::views::analytics::blocks::BLOCK_MS;
use crate::views::analytics::figures::{amount, counted};
use crate::views::analytics::period::{Period, Zone};

/// The answers that the report is made of; each has a name in its JSON.
pub(super) struct Answers {
    /// Costs of today by hour: the main answer.
    pub(super) hours: Answer,
    /// Costs of the blocks that may still be running.
    pub(super) blocks: Answer,
    /// Costs of today by session.
    pub(super) sessions: Answer,
    /// Tools of today; `None` if who was asked does not know them.
    pub(super) tools: Option<Answer>,
    /// The limits of the account; `None` if who was asked does not know them.
    pub(super) limits: Option<Answer>,
}

/// The question for the hours of today.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    asker.question("costs").with("group_by", "hour")
}

/// Asks everything.
pub(super) fn ask(asker: &Asker<'_>) -> Result<Answers, AskError> {
    // A block that runs now has begun less than one block ago, after a gap of at most that length.
    let recent = Range { since: Some(Timestamp(asker.present.now.0.saturating_sub(4 * BLOCK_MS))), until: None };
    Ok(Answers {
        hours: asker.ask(&question(asker))?,
        blocks: asker.ask(&asker.question_of("costs", recent).with("group_by", "block"))?,
        sessions: asker.ask(&asker.question("costs").with("group_by", "session"))?,
        tools: asker.ask_if_known(&asker.question("tools/usage").with("sort", "duration"))?,
        limits: asker.ask_if_known(&Question::of("limits").with("limit", "0"))?,
    })
}

/// The answers as one JSON object, each as it came.
pub(super) fn json(answers: &Answers) -> Vec<u8> {
    let named = [
        ("hours", Some(&answers.hours)),
        ("blocks", Some(&answers.blocks)),
        ("sessions", Some(&answers.sessions)),
        ("tools", answers.tools.as_ref()),
        ("limits", answers.limits.as_ref()),
    ];
    let mut out = Vec::from(b"{");
    for (name, answer) in named {
        let comma = if out.len() > 1 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"{name}\":").as_bytes());
        out.extend_from_slice(answer.map_or(b"null", |answer| answer.body.as_slice()));
    }
    out.push(b'}');
    out
}

/// The report.
pub(super) fn document(asker: &Asker<'_>, answers: &Answers) -> Result<Document, AskError> {
    let Present { now, zone } = asker.present;
    let hours = &answers.hours.json;
    let title = format!("Today, {} ({})", asker.present.clock(now), zone.name());
    let mut facts = vec![Fact::new("spent", spent(hours)).toned(Tone::Strong)];
    if let Some(before) = yesterday(asker)? {
        let compared = compared(total(hours), total(&before.json), "by this time");
        facts.push(Fact { name: "yesterday", ..compared });
    }
    facts.extend(course(asker, &answers.hours));
    facts.push(blocks::active(&answers.blocks.json, asker.present).unwrap_or_else(|| Fact::new("block", "none runs")));
    facts.extend(money_ahead::projection(hours));
    facts.extend(limits(answers, now, zone));
    let sessions = list(&answers.sessions.json, "/rows").len() as u64;
    let mut parts = vec![Part::Facts(facts)];
    parts.extend(money_ahead::budgets(hours).map(Part::Table));
    if sessions == 0 {
        parts.push(Part::Text(Tone::Dim, "Nothing was spent today.".to_owned()));
        return Ok(Document { title, parts });
    }
    parts.push(Part::Text(Tone::Dim, format!("{}, the dearest first:", counted(sessions, "session"))));
    parts.push(Part::Table(why::sessions(asker, total(hours))?));
    let tools = answers.tools.as_ref().map_or(&[][..], |tools| list(&tools.json, "/tools"));
    parts.extend(tools::slowest(asker, tools).map(Part::Table));
    Ok(Document { title, parts })
}

/// A line for each window of the limits of the account.
fn limits(answers: &Answers, now: Timestamp, zone: Zone) -> Vec<Fact> {
    let windows = answers.limits.as_ref().map_or(&[][..], |limits| list(&limits.json, "/windows"));
    let fact = |window| {
        let sentence = words::sentence(window, now, zone)?;
        Some(Fact::new("limit", format!("{}: {sentence}", words::name(window)?)))
    };
    windows.iter().filter_map(fact).collect()
}

/// What was spent yesterday up to this time of the day.
fn yesterday(asker: &Asker<'_>) -> Result<Option<Answer>, AskError> {
    let Present { now, zone } = asker.present;
    let today = zone.period(Period::Day, now);
    let before = today.and_then(|today| {
        let day = zone.period(Period::Day, Timestamp(today.start.0.checked_sub(1)?))?;
        let until = Timestamp(day.start.0.checked_add(now.0.checked_sub(today.start.0)?)?);
        Some(Range { since: Some(day.start), until: Some(until) })
    });
    let before = before.filter(|range| range.since < range.until);
    before.map(|range| asker.ask(&asker.question_of("costs", range).with("limit", "1"))).transpose()
}

/// A small bar for each hour since midnight.
fn course(asker: &Asker<'_>, hours: &Answer) -> Option<Fact> {
    let Present { now, zone } = asker.present;
    let rows = list(&hours.json, "/rows");
    let cost = |name: &str| {
        let row = rows.iter().find(|row| text(row, "/hour") == Some(name));
        row.and_then(|row| answer::money(row, "/cost_usd")).unwrap_or(Money::ZERO)
    };
    let mut at = zone.period(Period::Day, now)?.start;
    let mut spark = Vec::new();
    // A day has 25 hours at most, and a change of the clock may cut one in two.
    while at <= now && spark.len() < 30 {
        let hour = zone.period(Period::Hour, at)?;
        spark.push(amount(cost(&hour.name)));
        at = hour.end;
    }
    let text = format!("by hour, 00:00 to {}", asker.present.hour(now));
    (!rows.is_empty()).then(|| Fact { spark: Spark { amounts: spark, ..Spark::default() }, ..Fact::new("hours", text) })
}

/// The rows of the report as CSV: the hours.
pub(super) fn csv_columns() -> Vec<super::draw::csv::CsvColumn> {
    costs::csv_columns(&[super::args::GroupKey::Hour])
}
