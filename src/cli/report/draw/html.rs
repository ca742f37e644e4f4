//! A report as one HTML file: no scripts, nothing from elsewhere, light and dark.

use super::document::{Advice, Align, Cell, Cut, Document, Fact, Part, Row, Seen, Table, Tone};
use super::glyphs::Glyphs;

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"referrer\" content=\"no-referrer\">
";

const STYLE: &str = "<style>
:root { color-scheme: light dark; --ink: light-dark(#1c2024, #e6e8ea); --soft: light-dark(#5c656e, #9aa4ae);
  --line: light-dark(#dde1e5, #31373d); --bar: light-dark(#3b82c4, #5aa2e0); --good: light-dark(#1a7f37, #4ac26b);
  --warn: light-dark(#8a6100, #d4a72c); --bad: light-dark(#b42318, #ff7b72); }
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 0; }
.scroll { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .85rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.cut { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
.number { text-align: right; }
.bar { min-width: 8rem; width: 30%; }
meter { width: 100%; height: .8rem; }
meter::-webkit-meter-optimum-value { background: var(--bar); }
meter::-webkit-meter-bar { background: transparent; border: 0; }
meter::-moz-meter-bar { background: var(--bar); }
.strong { font-weight: 700; } .dim, .note { color: var(--soft); }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1.5rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
.spark { font-family: monospace; white-space: pre; }
article { border-left: 3px solid var(--line); padding-left: 1rem; margin: 1.5rem 0; }
article p { margin: .3rem 0; } ul { margin: .3rem 0; color: var(--soft); }
</style>
";

/// The report as a page.
pub(in crate::cli::report) fn render(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut out = format!("{HEAD}<title>{title}</title>\n{STYLE}</head>\n<body>\n<main>\n<h1>{title}</h1>\n");
    for part in &document.parts {
        match part {
            Part::Text(tone, text) => {
                out.push_str(&format!("<p class=\"{}\">{}</p>\n", class(*tone), escaped(text)));
            }
            Part::Facts(facts) => out.push_str(&facts_of(facts)),
            Part::Table(table) => out.push_str(&table_of(table)),
            Part::Advice(advice) => out.extend(advice.iter().map(article)),
        }
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn facts_of(facts: &[Fact]) -> String {
    let fact = |fact: &Fact| {
        let spark = Glyphs::UNICODE.spark(&fact.spark);
        let (name, text, class) = (fact.name, escaped(&fact.text), class(fact.tone));
        format!("<dt>{name}</dt><dd class=\"{class}\"><span class=\"spark\">{spark}</span> {text}</dd>\n")
    };
    format!("<dl>\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
}

fn table_of(table: &Table) -> String {
    let class_of = |cut: Cut, align: Align| match (cut, align) {
        (Cut::Bar, _) => "bar",
        (_, Align::Right) => "number",
        (Cut::End, _) => "cut",
        _ => "",
    };
    let mut out = "<div class=\"scroll\">\n<table>\n<thead><tr>".to_owned();
    for column in &table.columns {
        let class = class_of(column.cut, column.align);
        out.push_str(&format!("<th scope=\"col\" class=\"{class}\">{}</th>", escaped(column.head)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for Row { cells, tone } in &table.rows {
        out.push_str(&format!("<tr class=\"{}\">", class(*tone)));
        for (column, cell) in table.columns.iter().zip(cells) {
            let place = class_of(column.cut, column.align);
            out.push_str(&match cell {
                Cell::Text(tone, text) => {
                    format!("<td class=\"{place} {}\">{}</td>", class(*tone), escaped(text))
                }
                Cell::Link(text, page) => format!("<td class=\"{place} plain\">{}</td>", link(text, page)),
                Cell::Bar { part, whole } => format!("<td class=\"{place}\">{}</td>", meter(*part, *whole)),
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(note) = &table.note {
        out.push_str(&format!("<p class=\"note\">{}</p>\n", escaped(note)));
    }
    out + "</div>\n"
}

/// A bar in thousandths. The figure beside it is read aloud, the bar is not.
fn meter(part: u128, whole: u128) -> String {
    let thousandths = part.min(whole).saturating_mul(1000).checked_div(whole).unwrap_or(0);
    format!("<meter min=\"0\" max=\"1000\" value=\"{thousandths}\" aria-hidden=\"true\"></meter>")
}

fn article(advice: &Advice) -> String {
    let evidence: String = advice.evidence.iter().map(seen).collect();
    let evidence = if evidence.is_empty() { evidence } else { format!("<ul>\n{evidence}</ul>\n") };
    format!(
        "<article>\n<h2 class=\"{}\">{}</h2>\n<p class=\"dim\">{}</p>\n<p>{}</p>\n<p class=\"good\">{}</p>\n{evidence}\
         </article>\n",
        class(advice.tone),
        escaped(&advice.title),
        escaped(&advice.weight),
        escaped(&advice.finding),
        escaped(&advice.recommendation),
    )
}

fn seen(Seen { text, page }: &Seen) -> String {
    let text = page.as_deref().map_or_else(|| escaped(text), |page| link(text, page));
    format!("<li>{text}</li>\n")
}

/// A link to a page that knows nothing of where it was followed from.
fn link(text: &str, page: &str) -> String {
    format!("<a rel=\"noreferrer\" href=\"{}\">{}</a>", escaped(page), escaped(text))
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Strong => "strong",
        Tone::Dim => "dim",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    }
}

/// Text that is text in HTML, also within an attribute.
fn escaped(text: &str) -> String {
    let text = Glyphs::UNICODE.clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
