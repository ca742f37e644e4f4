//! `report waiting`: which session waits for me, for what, and since when.

use serde_json::Value;

use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Part, Row, Table, Tone};
use super::titles::short_id;
use crate::cli::ask::answer::{Answer, list, some_text, text};
use crate::cli::ask::question::Question;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::figures::{counted, duration};
use crate::waiting::WaitFor;

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    asker.sorted(asker.question("sessions").with("waiting", "any"))
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    let names = [
        ("for", "/waiting/for"),
        ("since", "/waiting/since"),
        ("tool", "/waiting/tool"),
        ("id", "/id"),
        ("project", "/project"),
        ("git_branch", "/git_branch"),
        ("title", "/title"),
        ("page", "/page"),
    ];
    names.into_iter().map(|(name, place)| (name.to_owned(), place.to_owned())).collect()
}

/// The report: what holds a session up stands first, and of what is alike that which has waited longest.
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Document {
    let mut sessions: Vec<&Value> = list(&answer.json, "/sessions").iter().collect();
    sessions.sort_by_key(|session| (rank(session), since(session)));
    let title = format!("Waiting for you, {} ({})", asker.present.clock(asker.present.now), asker.present.zone.name());
    if sessions.is_empty() {
        let text = if asker.source.is_sidecar() {
            "No session waits for you."
        } else {
            "Only `tailspan run` knows which sessions wait, and it does not run."
        };
        return Document { title, parts: vec![Part::Text(Tone::Dim, text.to_owned())] };
    }
    let made = |session: &&Value| {
        let waited = since(session).map(|since| duration(seconds(asker.present.now.since_ms(since))));
        let id = text(session, "/id");
        Row::of(vec![
            Cell::of(text(session, "/waiting/for").unwrap_or_default().to_owned()),
            Cell::or_dash(waited),
            Cell::or_dash(some_text(session, "/waiting/tool")),
            Cell::or_dash(some_text(session, "/project")),
            Cell::or_dash(some_text(session, "/title")),
            Cell::linked(id.map(short_id), text(session, "/page")),
        ])
    };
    let columns = vec![
        Column::fixed("waits for"),
        Column::number("waited"),
        Column::text("tool").rank(3),
        Column::text("project").rank(2),
        Column::text("title").rank(1),
        Column::fixed("session").rank(4),
    ];
    let is_unknown = |session: &&&Value| rank(session) == WaitFor::ALL.len() - 1;
    let unknown = sessions.iter().filter(is_unknown).count() as u64;
    let note = (unknown > 0).then(|| {
        format!(
            "Of {} it is not known whether a tool runs or waits for you: docs/hooks.md.",
            counted(unknown, "session")
        )
    });
    Document { title, parts: vec![Part::Table(Table { columns, rows: sessions.iter().map(made).collect(), note })] }
}

/// How much a wait matters: the position of its word among all.
fn rank(session: &Value) -> usize {
    let word = text(session, "/waiting/for");
    WaitFor::ALL.iter().position(|of| Some(of.word()) == word).unwrap_or(WaitFor::ALL.len())
}

fn since(session: &Value) -> Option<Timestamp> {
    text(session, "/waiting/since").and_then(Timestamp::parse)
}
