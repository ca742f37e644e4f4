//! `report tools`: calls, failures and durations of each tool, and the slowest calls.

use serde_json::Value;

use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::titles::short_id;
use crate::cli::ask::answer::{Answer, count, list, number, text};
use crate::cli::ask::question::Question;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, duration, grouped, milliseconds, percent};

/// Single calls that are shown.
const SLOWEST: usize = 5;

/// A tool that fails at least this often is worth a look.
const FAILURES_WORTH: f64 = 0.1;

/// The question that the report is about.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    let question = asker.sorted(asker.looking_back(asker.question("tools/usage")));
    // What waited longest comes first, because that is what people waited for.
    if asker.args.sort.is_none() { question.with("sort", "critical_path") } else { question }
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    let names = [
        ("tool", "/tool"),
        ("calls", "/calls"),
        ("failed", "/failed"),
        ("denied", "/denied"),
        ("interrupted", "/interrupted"),
        ("open", "/open"),
        ("failure_ratio", "/failure_ratio"),
        ("duration_count", "/duration_seconds/count"),
        ("duration_sum_seconds", "/duration_seconds/sum"),
        ("duration_p50_seconds", "/duration_seconds/p50"),
        ("duration_p90_seconds", "/duration_seconds/p90"),
        ("duration_p95_seconds", "/duration_seconds/p95"),
        ("duration_p99_seconds", "/duration_seconds/p99"),
        ("duration_max_seconds", "/duration_seconds/max"),
        ("result_bytes_sum", "/result_bytes/sum"),
        ("context_tokens_estimate", "/context/tokens_estimate"),
        ("context_carried_tokens_estimate", "/context/carried_tokens_estimate"),
        ("context_carry_cost_usd_estimate", "/context/carry_cost_usd_estimate"),
        ("sessions", "/sessions"),
        ("critical_path_seconds", "/critical_path_seconds"),
        ("critical_path_share", "/critical_path_share"),
        ("previous_calls", "/previous/calls"),
        ("previous_failure_ratio", "/previous/failure_ratio"),
        ("previous_p50_seconds", "/previous/p50"),
        ("previous_p95_seconds", "/previous/p95"),
    ];
    names.into_iter().map(|(name, place)| (name.to_owned(), place.to_owned())).collect()
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Document {
    let when = asker.range.words(asker.present);
    let title = format!("Tools, {when} ({})", asker.present.zone.name());
    let tools = list(&answer.json, "/tools");
    if tools.is_empty() {
        return Document { title, parts: vec![Part::Text(Tone::Dim, "No tool was called in this time.".to_owned())] };
    }
    let of = |place| count(&answer.json, place).unwrap_or(0);
    let calls = format!(
        "{}: {} failed, {} denied, {} interrupted, {} without a result",
        counted(of("/total/calls"), "call"),
        grouped(of("/total/failed")),
        grouped(of("/total/denied")),
        grouped(of("/total/interrupted")),
        grouped(of("/total/open")),
    );
    let mut facts = vec![Fact::new("calls", calls)];
    facts.extend(waited(tools));
    facts.extend(slow(tools));
    let mut parts = vec![Part::Facts(facts), Part::Table(table(asker, tools))];
    parts.extend(slowest(asker, tools).map(Part::Table));
    Document { title, parts }
}

/// The tool that turns waited for longest.
fn waited(tools: &[Value]) -> Option<Fact> {
    let (tool, seconds) = most(tools, "/critical_path_seconds")?;
    let share = number(tool, "/critical_path_share")
        .map_or_else(String::new, |share| format!(", {} of the time of turns", percent(share)));
    let name = text(tool, "/tool")?;
    Some(Fact::new("waited for", format!("{name} most: {}{share}", duration(seconds))).toned(Tone::Strong))
}

/// The tool whose calls are slowest.
fn slow(tools: &[Value]) -> Option<Fact> {
    let (tool, seconds) = most(tools, "/duration_seconds/p95")?;
    let (name, calls) = (text(tool, "/tool")?, count(tool, "/calls")?);
    let text = format!("{name}: one call in 20 takes {} or longer ({})", duration(seconds), counted(calls, "call"));
    Some(Fact::new("slowest", text))
}

fn most<'t>(tools: &'t [Value], place: &str) -> Option<(&'t Value, f64)> {
    let known = tools.iter().filter_map(|tool| Some((tool, number(tool, place)?)));
    known.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

fn table(asker: &Asker<'_>, tools: &[Value]) -> Table {
    let shown = usize::from(asker.limit());
    let path = |tool: &Value| number(tool, "/critical_path_seconds");
    let most = tools.iter().filter_map(path).map(milliseconds).max().unwrap_or(0);
    let seconds = |tool: &Value, place: &str| Cell::or_dash(number(tool, place).map(duration));
    let made = |tool: &Value| {
        let ratio = number(tool, "/failure_ratio");
        let failed = Cell::toned(
            if ratio.is_some_and(|ratio| ratio >= FAILURES_WORTH) { Tone::Bad } else { Tone::Plain },
            ratio.map_or_else(|| "-".to_owned(), percent),
        );
        Row::of(vec![
            Cell::or_dash(text(tool, "/tool").map(str::to_owned)),
            Cell::or_dash(count(tool, "/calls").map(grouped)),
            failed,
            seconds(tool, "/duration_seconds/p50"),
            seconds(tool, "/duration_seconds/p95"),
            before(tool),
            seconds(tool, "/duration_seconds/max"),
            seconds(tool, "/critical_path_seconds"),
            Cell::Bar { part: path(tool).map_or(0, milliseconds), whole: most },
        ])
    };
    let columns = vec![
        Column::name("tool"),
        Column::number("calls"),
        Column::number("failed").rank(1),
        Column::number("p50").rank(2),
        Column::number("p95"),
        Column::number("before").rank(6),
        Column::number("max").rank(5),
        Column::number("waited").rank(3),
        Column::bar().rank(4),
    ];
    let note = "p50, p95: half, and one in 20, of the calls take that long or longer. before: p95 in the same length of \
                time before. waited: how much of the time of turns the calls were on the critical path.";
    let note = if shown < tools.len() { format!("{note} There are more tools: --limit.") } else { note.to_owned() };
    Table { columns, rows: tools.iter().take(shown).map(made).collect(), note: Some(note) }
}

/// The p95 of the time before, toned by what became of it.
fn before(tool: &Value) -> Cell {
    let (now, before) = (number(tool, "/duration_seconds/p95"), number(tool, "/previous/p95"));
    let Some(before) = before else { return Cell::toned(Tone::Dim, "-") };
    let tone = match now {
        Some(now) if now > before * 1.5 => Tone::Warn,
        Some(now) if now * 1.5 < before => Tone::Good,
        _ => Tone::Dim,
    };
    Cell::toned(tone, duration(before))
}

/// The longest calls of all tools.
pub(super) fn slowest(asker: &Asker<'_>, tools: &[Value]) -> Option<Table> {
    let calls = tools.iter().flat_map(|tool| list(tool, "/slowest").iter().map(move |call| (tool, call)));
    let mut calls: Vec<(f64, &Value, &Value)> =
        calls.filter_map(|(tool, call)| Some((number(call, "/duration_seconds")?, tool, call))).collect();
    if calls.is_empty() {
        return None;
    }
    calls.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    calls.truncate(SLOWEST);
    let made = |(seconds, tool, call): &(f64, &Value, &Value)| {
        let at = text(call, "/at").and_then(Timestamp::parse).map(|at| asker.present.moment(at));
        Row::of(vec![
            Cell::of(duration(*seconds)),
            Cell::or_dash(text(tool, "/tool").map(str::to_owned)),
            Cell::or_dash(text(call, "/outcome").map(str::to_owned)),
            Cell::or_dash(at),
            Cell::linked(text(call, "/session").map(short_id), text(call, "/page")),
            Cell::or_dash(count(call, "/turn").map(grouped)),
        ])
    };
    let columns = vec![
        Column::number("slowest"),
        Column::name("tool"),
        Column::fixed("outcome").rank(2),
        Column::fixed("at").rank(3),
        Column::fixed("session"),
        Column::number("turn").rank(1),
    ];
    Some(Table { columns, rows: calls.iter().map(made).collect(), note: None })
}
