//! What stands on the screen: a function of the replay and of the size of the terminal.
//!
//! ```text
//! title  project                      the session; left out on small screens
//! ‖ #17 · 23 events · turn 3 · $0.12 · ...        where the replay is
//! 09:12:33  +1.2 s ⚙ Call Bash ...    timeline, on wide screens beside the event
//! ⚙ Call Bash #17                     the event
//! ...                                 its numbers and texts
//! ▁▂▁▁█▁                              map: costs, errors in red; left out on small screens
//! ← → step  space play ...            keys, or what is to be said
//! ```

use std::time::Duration;

use super::detail;
use super::event::events;
use super::keys::HELP;
use super::layout::{Area, Layout};
use super::paint::{Line, Style, width};
use super::viewer::{Mode, Viewer};
use crate::cli::ask::answer::{count, text};

/// Letters of the id of a session that are shown, as everywhere.
const ID_LETTERS: usize = 8;

/// Keys that are told in the last line: as many as there is room for.
const HINTS: [&str; 3] = [
    "←→ step  space play  / find  e error  t tool  [ ] turn  f follow  ? keys  q quit",
    "←→ step  space play  / find  ? keys  q quit",
    "? keys  q quit",
];

/// A row of the screen: the line that fills it, and on wide screens a second one from a column on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScreenRow {
    pub line: Line,
    /// The column where it begins, and the line.
    pub beside: Option<(usize, Line)>,
}

impl From<Line> for ScreenRow {
    fn from(line: Line) -> Self {
        Self { line, beside: None }
    }
}

/// The rows of the screen, as many as it has, none of them wider than it is.
#[must_use]
pub fn frame(viewer: &Viewer, now: Duration) -> Vec<ScreenRow> {
    let size = viewer.size;
    let layout = Layout::of(size);
    let mut rows: Vec<ScreenRow> = Vec::with_capacity(size.rows);
    if layout.is_tall {
        let id: String = viewer.about.session.chars().take(ID_LETTERS).collect();
        let title = Line::of(&viewer.about.title, Style::STRONG).with("  ", Style::PLAIN);
        rows.push(
            title
                .with(&format!("{}  {id}", viewer.about.project), Style::DIM)
                .fitted(size.columns, Style::PLAIN)
                .into(),
        );
    }
    rows.push(status(viewer, size.columns).fitted(size.columns, Style::PLAIN.inverted()).into());
    middle(viewer, layout, now, &mut rows);
    if layout.is_tall {
        let place = (viewer.at, viewer.total);
        rows.push(
            viewer.outline.as_ref().map_or_else(Line::default, |outline| outline.map(size.columns, place)).into(),
        );
    }
    rows.truncate(size.rows.saturating_sub(1));
    rows.resize(size.rows.saturating_sub(1), ScreenRow::default());
    if size.rows > 0 {
        rows.push(last(viewer, size.columns).fitted(size.columns, Style::PLAIN).into());
    }
    rows
}

/// The timeline and the event, or the keys.
fn middle(viewer: &Viewer, layout: Layout, now: Duration, rows: &mut Vec<ScreenRow>) {
    let height = layout.pane.rows + 1 + if layout.is_wide { 0 } else { layout.list.rows };
    if let Mode::Help(first) = viewer.mode {
        let mut lines = help(viewer.size.columns, first);
        lines.resize(height, Line::default());
        rows.extend(lines.into_iter().map(ScreenRow::from));
        return;
    }
    let list = timeline(viewer, layout.list);
    let mut pane = pane(viewer, layout.pane, now);
    pane.resize(layout.pane.rows + 1, Line::default());
    if layout.is_wide {
        let left = layout.list.columns;
        let beside = |line: Line| Line::of("│ ", Style::DIM).joined(line);
        let pairs = list.into_iter().zip(pane.into_iter().map(beside));
        rows.extend(pairs.map(|(line, pane)| ScreenRow { line, beside: Some((left, pane)) }));
    } else {
        rows.extend(list.into_iter().chain(pane).map(ScreenRow::from));
    }
}

/// The keys, from one of them on.
fn help(columns: usize, first: usize) -> Vec<Line> {
    // On narrow screens what a key does begins right behind it.
    let room: usize = if columns < 72 { 0 } else { 18 };
    let key = |(key, does): &(&str, &str)| {
        let mut lines = Vec::new();
        let blanks = " ".repeat(room.saturating_sub(width(key)));
        Line::of(key, Style::STRONG).with(&format!("{blanks}  {does}"), Style::PLAIN).wrapped(columns, &mut lines);
        lines
    };
    let heading = Line::of("Keys", Style::STRONG).with("  ↓ more of them, any other key leads back", Style::DIM);
    let lines = std::iter::once(heading).chain(HELP.iter().skip(first).flat_map(key));
    lines.map(|line| line.fitted(columns, Style::PLAIN)).collect()
}

/// Where the replay is. What matters less stands further to the right, and is left out first.
fn status(viewer: &Viewer, columns: usize) -> Line {
    let row = viewer.pages.row(viewer.at);
    let sign = match (viewer.play.is_on(), viewer.follows) {
        (true, _) => "▶",
        (false, true) => "⤓",
        (false, false) => "‖",
    };
    // Events are counted from 0, so that "of" would make the last one look as if another came.
    let mut parts = vec![format!(" {sign} #{}", viewer.at), events(viewer.total)];
    if viewer.follows {
        parts.push("following".to_owned());
    }
    parts.extend(row.and_then(|row| row.turn).map(|turn| format!("turn {turn}")));
    parts.extend(row.map(|row| row.cost.clone()).filter(|cost| !cost.is_empty()));
    let event = viewer.event.as_ref().filter(|_| viewer.is_current());
    let context = event.and_then(|event| count(event, "/state/context_tokens"));
    parts.extend(context.map(|tokens| format!("ctx {}", thousands(tokens))));
    parts.push(viewer.play.told());
    parts.extend(row.map(|row| row.at.clone()));
    let model = event.and_then(|event| text(event, "/state/model"));
    parts.extend(model.map(str::to_owned));
    let mut line = Line::default();
    for (number, part) in parts.iter().enumerate() {
        let part = if number > 0 { format!(" · {part}") } else { part.clone() };
        if number > 0 && line.width() + width(&part) > columns {
            break;
        }
        line.push(&part, Style::PLAIN.inverted());
    }
    line
}

/// Tokens in thousands, as people say them.
fn thousands(tokens: u64) -> String {
    if tokens < 1000 { tokens.to_string() } else { format!("{}.{}k", tokens / 1000, tokens % 1000 / 100) }
}

fn timeline(viewer: &Viewer, area: Area) -> Vec<Line> {
    let mut lines = Vec::with_capacity(area.rows);
    for index in viewer.top..viewer.top.saturating_add(area.rows) {
        if index >= viewer.total {
            lines.push(Line::default());
            continue;
        }
        let line = match viewer.pages.row(index) {
            Some(row) => row.line(area.columns),
            None => Line::of(&format!("#{index} …"), Style::DIM).fitted(area.columns, Style::PLAIN),
        };
        lines.push(if index == viewer.at { line.inverted() } else { line });
    }
    lines
}

/// The event: a line that says which, and as much of its texts as there is room for.
fn pane(viewer: &Viewer, area: Area, now: Duration) -> Vec<Line> {
    let fitted = |line: Line| line.fitted(area.columns, Style::PLAIN);
    if viewer.total == 0 {
        return vec![fitted(Line::of("This session has no events yet.", Style::DIM))];
    }
    let Some(event) = viewer.event.as_ref().filter(|_| !viewer.is_late(now)) else {
        return vec![fitted(Line::of(&format!("#{} …", viewer.at), Style::DIM))];
    };
    let mut heading = detail::heading(event);
    if !viewer.is_current() {
        heading.push(" …", Style::DIM);
    }
    let last = viewer.scroll.saturating_add(area.rows);
    if viewer.scroll > 0 || viewer.body.len() > last {
        let range = format!("  lines {}-{} of {}", viewer.scroll + 1, last.min(viewer.body.len()), viewer.body.len());
        heading.push(&range, Style::DIM);
    }
    let heading = fitted(heading);
    let heading = if viewer.mode == Mode::Text { heading.inverted() } else { heading };
    let seen = viewer.body.iter().skip(viewer.scroll).take(area.rows);
    std::iter::once(heading).chain(seen.map(|line| fitted(line.clone()))).collect()
}

/// The last line: the words that are typed, what is to be said, or the keys.
fn last(viewer: &Viewer, columns: usize) -> Line {
    match &viewer.mode {
        Mode::Find(words) => {
            // Of long words the end is seen, where they are typed.
            let mut shown: String = words.clone();
            while width(&shown) + 8 > columns && !shown.is_empty() {
                shown.remove(0);
            }
            return Line::of("find: ", Style::STRONG).with(&shown, Style::PLAIN).with(" ", Style::PLAIN.inverted());
        }
        Mode::Events | Mode::Text | Mode::Help(_) => {}
    }
    // Whatever else is to be said: keys do nothing as long as nobody answers.
    if let Some(why) = &viewer.silence {
        return Line::of(why, Style::BAD);
    }
    if let Some((said, look)) = &viewer.notice {
        return Line::of(said, *look);
    }
    if viewer.mode == Mode::Text {
        return Line::of("↑ ↓ page up, page down: the text   tab: back to the events", Style::DIM);
    }
    let hint = HINTS.iter().find(|hint| width(hint) <= columns).copied();
    Line::of(hint.unwrap_or_default(), Style::DIM)
}
