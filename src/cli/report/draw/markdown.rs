//! A report as one Markdown file, in the dialect of GitHub.

use super::document::{Align, Cell, Cut, Document, Fact, Part, Seen, Table};
use super::glyphs::Glyphs;

/// The report as Markdown.
pub(in crate::cli::report) fn render(document: &Document) -> String {
    let mut out = format!("# {}\n", escaped(&document.title));
    for part in &document.parts {
        out.push('\n');
        match part {
            Part::Text(_, text) => out.push_str(&format!("{}\n", escaped(text))),
            Part::Facts(facts) => facts.iter().for_each(|one| out.push_str(&fact(one))),
            Part::Table(table) => out.push_str(&rows(table)),
            Part::Advice(advice) => {
                for (number, one) in (1..).zip(advice) {
                    out.push_str(&format!("{number}. **{}** ({})\n\n", escaped(&one.title), escaped(&one.weight)));
                    out.push_str(&format!("   {}\n\n   {}\n", escaped(&one.finding), escaped(&one.recommendation)));
                    out.extend(one.evidence.iter().map(|Seen { text, page }| {
                        let text = page.as_deref().map_or_else(|| escaped(text), |page| link(text, page));
                        format!("   - {text}\n")
                    }));
                }
            }
        }
    }
    out
}

fn fact(fact: &Fact) -> String {
    let spark = Glyphs::UNICODE.spark(&fact.spark);
    // Blanks at the ends of a code span may be taken away, so that the bars would stand elsewhere.
    let spark = if spark.trim().is_empty() { spark } else { format!("`{}` ", spark.replace(' ', "·")) };
    format!("- **{}**: {spark}{}\n", fact.name, escaped(&fact.text))
}

fn rows(table: &Table) -> String {
    let shown: Vec<usize> =
        table.columns.iter().enumerate().filter(|(_, column)| column.cut != Cut::Bar).map(|(at, _)| at).collect();
    let line = |cells: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = shown.iter().map(|at| cells(*at)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let column = |at: usize| table.columns.get(at);
    let mut out = line(&|at| column(at).map_or(String::new(), |column| escaped(column.head)));
    out.push_str(&line(&|at| match column(at).map(|column| column.align) {
        Some(Align::Right) => "---:".to_owned(),
        _ => "---".to_owned(),
    }));
    for row in &table.rows {
        out.push_str(&line(&|at| match row.cells.get(at) {
            Some(Cell::Text(_, text)) => escaped(text),
            Some(Cell::Link(text, page)) => link(text, page),
            _ => String::new(),
        }));
    }
    if let Some(note) = &table.note {
        out.push_str(&format!("\n{}\n", escaped(note)));
    }
    out
}

/// A link; the address has nothing in it that means something in Markdown but `&`, which stays.
fn link(text: &str, page: &str) -> String {
    format!("[{}]({page})", escaped(text))
}

/// Text that stands for itself: no mark-up of its own, no HTML, one line.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in Glyphs::UNICODE.clean(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}
