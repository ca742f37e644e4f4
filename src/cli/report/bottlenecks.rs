//! `report bottlenecks`: where the time of turns went, by the critical path.

use serde_json::Value;

use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::titles::short_id;
use crate::cli::ask::answer::{Answer, count, list, number, text};
use crate::cli::ask::question::Question;
use crate::views::analytics::figures::{counted, duration, grouped, milliseconds, percent};

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    asker.sorted(asker.looking_back(asker.question("bottlenecks")))
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    let names = [
        "kind",
        "name",
        "seconds",
        "share",
        "turns",
        "p50_seconds_per_turn",
        "p95_seconds_per_turn",
        "slack_seconds",
        "if_halved_share",
    ];
    names.into_iter().map(|name| (name.to_owned(), format!("/{name}"))).collect()
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Document {
    let when = asker.range.words(asker.present);
    let title = format!("Bottlenecks, {when} ({})", asker.present.zone.name());
    let kinds = list(&answer.json, "/critical_path");
    if kinds.is_empty() {
        return Document { title, parts: vec![Part::Text(Tone::Dim, "No turn ended in this time.".to_owned())] };
    }
    let turns = count(&answer.json, "/turns").unwrap_or(0);
    let seconds = number(&answer.json, "/turn_seconds").unwrap_or(0.0);
    let mut facts = vec![Fact::new("time", format!("{} in {}", duration(seconds), counted(turns, "turn")))];
    facts.extend(most(kinds));
    if let Some(ratio) = number(&answer.json, "/parallelism/ratio") {
        let text = format!("{ratio:.2} things at once on average, while turns lasted");
        facts.push(Fact::new("parallel", text));
    }
    let mut parts = vec![Part::Facts(facts), Part::Table(table(asker, kinds))];
    parts.extend(slowest(kinds).map(Part::Table));
    Document { title, parts }
}

/// What would save most if it were twice as fast.
fn most(kinds: &[Value]) -> Option<Fact> {
    let known = kinds.iter().filter_map(|kind| Some((kind, number(kind, "/if_halved_share")?)));
    let (kind, share) = known.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let text = format!("{}: twice as fast, turns would be {} shorter", label(kind), percent(share));
    Some(Fact::new("most", text).toned(Tone::Strong))
}

/// `model claude-opus-5-5`; only the kind where the name says nothing more.
fn label(kind: &Value) -> String {
    let (kind, name) = (text(kind, "/kind").unwrap_or("-"), text(kind, "/name").unwrap_or_default());
    if name.is_empty() || name == kind { kind.to_owned() } else { format!("{kind} {name}") }
}

fn table(asker: &Asker<'_>, kinds: &[Value]) -> Table {
    let shown = usize::from(asker.limit());
    let own = |kind: &Value| number(kind, "/seconds");
    let most = kinds.iter().filter_map(own).map(milliseconds).max().unwrap_or(0);
    let made = |kind: &Value| {
        let seconds = |place| Cell::or_dash(number(kind, place).map(duration));
        let share = |place| Cell::or_dash(number(kind, place).map(percent));
        Row::of(vec![
            Cell::or_dash(text(kind, "/kind").map(str::to_owned)),
            Cell::or_dash(text(kind, "/name").map(str::to_owned)),
            seconds("/seconds"),
            share("/share"),
            Cell::Bar { part: own(kind).map_or(0, milliseconds), whole: most },
            Cell::or_dash(count(kind, "/turns").map(grouped)),
            seconds("/p50_seconds_per_turn"),
            seconds("/p95_seconds_per_turn"),
            share("/if_halved_share"),
        ])
    };
    let columns = vec![
        Column::fixed("kind"),
        Column::name("name"),
        Column::number("time"),
        Column::number("share").rank(1),
        Column::bar().rank(3),
        Column::number("turns").rank(5),
        Column::number("p50").rank(6),
        Column::number("p95").rank(4),
        Column::number("halved").rank(2),
    ];
    let note = "time: on the critical path, what turns waited for. p50, p95: in a turn. halved: the share of all time \
                that would go if this were twice as fast.";
    let note = if shown < kinds.len() { format!("{note} There are more: --limit.") } else { note.to_owned() };
    Table { columns, rows: kinds.iter().take(shown).map(made).collect(), note: Some(note) }
}

/// The longest waits of the first kinds.
fn slowest(kinds: &[Value]) -> Option<Table> {
    let firsts = kinds.iter().filter_map(|kind| Some((kind, list(kind, "/slowest").first()?)));
    let row = |(kind, wait): (&Value, &Value)| {
        Row::of(vec![
            Cell::or_dash(number(wait, "/seconds").map(duration)),
            Cell::of(label(kind)),
            Cell::linked(text(wait, "/session").map(short_id), text(wait, "/page")),
            Cell::or_dash(count(wait, "/turn").map(grouped)),
        ])
    };
    let rows: Vec<Row> = firsts.take(5).map(row).collect();
    let columns =
        vec![Column::number("longest"), Column::name("waited for"), Column::fixed("session"), Column::number("turn")];
    (!rows.is_empty()).then_some(Table { columns, rows, note: None })
}
