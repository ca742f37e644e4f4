//! The replay where there is no screen: every event with its texts, one after the other, as the screen has them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::asker::{TEXT_BYTES_MAX, replay_of};
use super::detail;
use super::error::ReplayError;
use super::event::Row;
use super::paint::{Line, Style};
use super::screen::{Means, painted};
use super::viewer::About;
use crate::cli::ask::answer::{count, list, text};
use crate::cli::ask::source::{AskError, Source};

/// Events of a page.
const PAGE: &str = "50";

/// Most ranges of a text that are put together.
const RANGES_MAX: usize = 8;

/// Prints the events from a position on. Fails if nobody answers, or if standard output does.
pub(super) fn run(source: &Source, about: &About, from: usize, has_colours: bool) -> Result<(), ReplayError> {
    let head = Line::of(&about.title, Style::STRONG).with(&format!("  {}", about.project), Style::DIM);
    let mut next = Some(from.to_string());
    let mut lines = vec![head, Line::default()];
    while let Some(from) = next {
        let page = source.ask(&replay_of(&about.session, "").with("from", &from).with("limit", PAGE))?;
        for event in list(&page.json, "/events") {
            lines.extend(told(source, about, event)?);
            match print(&lines, has_colours) {
                // It is no error if the reader closes the pipe early, as `head` does.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed.map_err(ReplayError::Output)?,
            }
            lines.clear();
        }
        // A page that leads to itself would never end.
        next = count(&page.json, "/next_from").map(|next| next.to_string()).filter(|next| *next != from);
    }
    Ok(())
}

fn print(lines: &[Line], has_colours: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        // A plain reader may show no looks at all.
        let told = if has_colours { painted(line, Means { has_colours, has_unicode: true }) } else { line.text() };
        writeln!(out, "{}", told.trim_end())?;
    }
    out.flush()
}

/// An event: when it was, what it is, and its whole texts.
fn told(source: &Source, about: &About, event: &Value) -> Result<Vec<Line>, ReplayError> {
    let Some(row) = Row::of(event, about.zone) else { return Ok(Vec::new()) };
    let turn = row.turn.map(|turn| format!("  turn {turn}")).unwrap_or_default();
    let mut lines = vec![Line::of(&format!("{}{turn}  {}", row.at, row.cost), Style::DIM), detail::heading(event)];
    let mut whole = BTreeMap::new();
    while let Some(part) = detail::cut_piece(event, &whole) {
        let rest = rest(source, &about.session, row.index, part)?;
        // What cannot be read any more stays cut.
        let cut = || text(event, &format!("/content/{part}/text")).unwrap_or_default().to_owned();
        whole.insert(part, rest.unwrap_or_else(cut));
    }
    lines.extend(detail::body(event, &whole, None));
    lines.push(Line::default());
    let indent = "  ".repeat(row.depth);
    Ok(lines.into_iter().map(|line| Line::of(&indent, Style::PLAIN).joined(line)).collect())
}

/// A whole text of an event; `None` if it cannot be read any more.
fn rest(source: &Source, session: &str, event: usize, part: usize) -> Result<Option<String>, AskError> {
    let (mut whole, mut from) = (String::new(), Some(0));
    for _ in 0..RANGES_MAX {
        let Some(at) = from else { break };
        let question = replay_of(session, &format!("/{event}/text")).with("part", &part.to_string());
        let question = question.with("from", &at.to_string()).with("bytes", &TEXT_BYTES_MAX.to_string());
        let answer = match source.ask(&question) {
            Err(AskError::Older { .. }) => return Ok(None),
            answer => answer?,
        };
        whole.push_str(text(&answer.json, "/text").unwrap_or_default());
        from = count(&answer.json, "/next_from");
    }
    if from.is_some() {
        whole.push_str("\n… the rest of this text is not shown");
    }
    Ok(Some(whole))
}
