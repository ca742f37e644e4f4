//! `report patterns`: what could be done better, and what that would save.

use serde_json::Value;

use super::asker::Asker;
use super::draw::csv::CsvColumn;
use super::draw::document::{Advice, Document, Fact, Part, Seen, Tone, is_address};
use super::draw::glyphs::Spark;
use super::titles::short_id;
use crate::cli::ask::answer::{self, Answer, count, list, number, text};
use crate::cli::ask::question::Question;
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{amount, counted, duration, money};

/// Places that are shown of each finding.
const EVIDENCE: usize = 3;

/// The question that the report is about. There is one answer without pages: the report itself shows so many of it.
pub(super) fn question(asker: &Asker<'_>) -> Question {
    asker.in_order(asker.looking_back(asker.question("patterns")))
}

/// The columns of the rows as CSV.
pub(super) fn csv_columns() -> Vec<CsvColumn> {
    let names = [
        "id",
        "severity",
        "title",
        "finding",
        "recommendation",
        "saving_usd",
        "saving_seconds",
        "basis",
        "method",
        "since",
        "until",
    ];
    names.into_iter().map(|name| (name.to_owned(), format!("/{name}"))).collect()
}

/// The report. `answer` is that to [`question`].
pub(super) fn document(asker: &Asker<'_>, answer: &Answer) -> Document {
    let when = asker.range.words(asker.present);
    let title = format!("What to change, {when} ({})", asker.present.zone.name());
    let patterns = list(&answer.json, "/patterns");
    if patterns.is_empty() {
        let text = match count(&answer.json, "/usage/total/messages") {
            Some(0) => "Nothing was done in this time, as far as the filters take it.",
            _ => "No rule found anything to change in this time.",
        };
        let text = text.to_owned();
        let parts = [Part::Text(Tone::Good, text)].into_iter().chain(week(answer));
        return Document { title, parts: parts.collect() };
    }
    let shown = usize::from(asker.limit());
    let found = counted(patterns.len() as u64, "finding");
    let saves = |pattern: &Value| {
        answer::money(pattern, "/saving_usd").is_some_and(|saving| saving > Money::ZERO)
            || number(pattern, "/saving_seconds").is_some_and(|saving| saving > 0.0)
    };
    let order = "the largest saving first; savings may overlap";
    let found = if patterns.iter().any(saves) { format!("{found}, {order}") } else { found };
    let mut parts = vec![Part::Facts(vec![Fact::new("found", found).toned(Tone::Strong)])];
    parts.push(Part::Advice(patterns.iter().take(shown).map(|pattern| advice(asker, pattern)).collect()));
    if shown < patterns.len() {
        parts.push(Part::Text(Tone::Dim, "There are more: --limit.".to_owned()));
    }
    parts.extend(week(answer));
    Document { title, parts }
}

/// What was spent in each hour of the week, a row for each day from midnight to midnight, all on one scale.
fn week(answer: &Answer) -> Option<Part> {
    let cost = |hour: &Value| answer::money(hour, "/cost_usd").map_or(0, amount);
    let days: Vec<(&str, Vec<u128>)> = list(&answer.json, "/usage/week")
        .iter()
        .filter_map(|day| Some((text(day, "/weekday")?, list(day, "/hours").iter().map(cost).collect())))
        .collect();
    let most = days.iter().flat_map(|(_, hours)| hours).copied().max().filter(|most| *most > 0)?;
    let facts = days.iter().filter_map(|(weekday, amounts)| {
        let (name, _) = DAYS.iter().find(|(_, whole)| whole == weekday)?;
        let sum = amounts.iter().sum::<u128>();
        let sum = money(Money::from_picousd(i128::try_from(sum).unwrap_or(i128::MAX)));
        let spark = Spark { amounts: amounts.clone(), most: Some(most), scale: "" };
        Some(Fact { spark, ..Fact::new(name, sum) })
    });
    let scale = Spark { scale: "0     6     12    18    ", ..Spark::default() };
    let hours = Fact { spark: scale, ..Fact::new("hour", "") };
    Some(Part::Facts([hours].into_iter().chain(facts).collect()))
}

/// The weekdays, as they are shown and as the answer names them.
const DAYS: [(&str, &str); 7] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];

fn advice(asker: &Asker<'_>, pattern: &Value) -> Advice {
    let own = |place| text(pattern, place).unwrap_or_default().to_owned();
    let tone = match text(pattern, "/severity") {
        Some("cost") => Tone::Bad,
        Some("warn") => Tone::Warn,
        _ => Tone::Strong,
    };
    let dollars = answer::money(pattern, "/saving_usd").filter(|saving| *saving > Money::ZERO).map(money);
    let time = number(pattern, "/saving_seconds").filter(|saving| *saving > 0.0).map(duration);
    let saving: Vec<String> = dollars.into_iter().chain(time).collect();
    let mut weight = own("/severity");
    if !saving.is_empty() {
        weight.push_str(&format!(", could save {}", saving.join(" and ")));
    }
    if let Some(basis) = text(pattern, "/basis") {
        weight.push_str(&format!(" ({basis})"));
    }
    let evidence = list(pattern, "/evidence");
    let mut seen: Vec<Seen> = evidence
        .iter()
        .take(EVIDENCE)
        .map(|one| {
            let page = text(one, "/page").filter(|page| is_address(page)).map(str::to_owned);
            Seen { text: place(asker, one), page }
        })
        .collect();
    if evidence.len() > EVIDENCE {
        seen.push(Seen { text: "and more".to_owned(), page: None });
    }
    let (finding, recommendation) = (own("/finding"), own("/recommendation"));
    Advice { title: own("/title"), tone, weight, finding, recommendation, evidence: seen }
}

/// Where something was seen: session, turn, time and what it was.
fn place(asker: &Asker<'_>, one: &Value) -> String {
    let mut words = Vec::new();
    words.extend(text(one, "/session").map(|id| format!("session {}", short_id(id))));
    words.extend(count(one, "/turn").map(|turn| format!("turn {turn}")));
    words.extend(text(one, "/at").and_then(Timestamp::parse).map(|at| asker.present.moment(at)));
    let place = words.join(", ");
    match text(one, "/detail") {
        Some(detail) if place.is_empty() => detail.to_owned(),
        Some(detail) => format!("{place}: {detail}"),
        None => place,
    }
}
