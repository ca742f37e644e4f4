//! Events as they are shown on a terminal: coloured, cut to its width, long results folded.

use unicode_width::UnicodeWidthChar;

use super::colours;
use super::diff::{DiffLine, Part, parts};
use super::entry::{Entry, Head, Piece};
use super::escape::{lines, one_line, seen};
use super::shown::{Agents, Line, details, other, sums, title, turn_facts, untold};
use crate::views::sessions::event::Detail;
use crate::views::sessions::kinds::EventKind;

/// Columns of the terminal.
pub(super) const COLUMNS: usize = 100;
/// Most lines of a result that are shown, and of each part of an input.
const RESULT_LINES_MAX: usize = 12;
/// Most characters of a line of a result that are shown.
const RESULT_CHARS_MAX: usize = 400;
/// Most lines of any other text that are shown.
const TEXT_LINES_MAX: usize = 400;
/// A tab goes on to a multiple of so many columns.
const TAB: usize = 4;
/// Most columns that sub-agents are moved to the right.
const INDENT_MAX: usize = 12;

const PLAIN: &str = "";
const BOLD: &str = "1";
const DIM: &str = "2";
const DIM_ITALIC: &str = "2;3";
const PROMPT: &str = "1;36";
const TURN: &str = "1;35";
const TOOL: &str = "1;33";
const FAILED: &str = "1;31";
const ADDED: &str = "32";
const REMOVED: &str = "31";

/// Lines of a terminal that are drawn.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    out: String,
    /// What stands before each line.
    indent: String,
}

/// An event.
pub(super) fn drawn(entry: &Entry<'_>, agents: &mut Agents) -> String {
    let depth = (2 * entry.event.depth).min(INDENT_MAX);
    let mut drawing = Drawing { indent: "│ ".repeat(depth / 2), ..Drawing::default() };
    if let Some(turn) = entry.turn {
        let colon = if turn.title.is_empty() { "" } else { ": " };
        drawing.line("", PLAIN);
        drawing.line(&format!("━━ Turn {}{colon}{}", turn.index, turn.title), TURN);
        drawing.line(&turn_facts(turn).join(" · "), DIM);
    }
    drawing.event(entry, agents.name(entry));
    drawing.text()
}

impl Drawing {
    /// Everything that was drawn, with the line ends of a terminal.
    pub(super) fn text(self) -> String {
        self.out
    }

    /// What stands before all events.
    pub(super) fn head(&mut self, head: &Head) {
        self.line(title(head), BOLD);
        for (what, value) in sums(head).into_iter().chain(details(head)) {
            self.line(&format!("{what}: {value}"), DIM);
        }
    }

    fn event(&mut self, entry: &Entry<'_>, agent: Option<String>) {
        let Line { what, name, facts, failed, .. } = Line::of(entry);
        let agent = agent.map(|agent| format!("[{agent}] ")).unwrap_or_default();
        let name = name.filter(|name| !name.is_empty()).map(|name| format!(" {name}")).unwrap_or_default();
        let untold = untold(entry.texts).map(|why| format!(" · {why}")).unwrap_or_default();
        let kind = entry.event.detail.kind();
        let (sign, style) = match kind {
            _ if failed => ("✗", FAILED),
            EventKind::Prompt | EventKind::QueuedPrompt => ("❯", PROMPT),
            EventKind::Message => ("●", BOLD),
            EventKind::ToolCall => ("▶", TOOL),
            EventKind::ToolResult => ("└", DIM),
            _ => ("·", DIM),
        };
        self.line(&format!("{sign} {agent}{what}{name} · {}{untold}", facts.join(" · ")), style);
        self.indent.push_str("  ");
        for piece in entry.texts.pieces() {
            self.piece(kind, entry, piece);
        }
    }

    fn piece(&mut self, kind: EventKind, entry: &Entry<'_>, piece: &Piece) {
        let Some(text) = &piece.text else {
            return self.line(&format!("{}, not text", other(piece)), DIM);
        };
        match kind {
            EventKind::ToolCall => match &piece.input {
                Some(input) => {
                    let tool = if let Detail::ToolCall { tool, .. } = &entry.event.detail { tool } else { "" };
                    parts(tool, input).into_iter().for_each(|part| self.part(part));
                }
                None => self.lines(text, PLAIN, RESULT_LINES_MAX),
            },
            EventKind::ToolResult => self.lines(text, DIM, RESULT_LINES_MAX),
            EventKind::Prompt | EventKind::QueuedPrompt => self.lines(text, PROMPT, TEXT_LINES_MAX),
            _ if piece.kind == "thinking" => self.lines(text, DIM_ITALIC, TEXT_LINES_MAX),
            _ => self.lines(text, PLAIN, TEXT_LINES_MAX),
        }
    }

    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Short(name, value) => self.line(&format!("{name}: {value}"), PLAIN),
            Part::Long(name, _, value) => {
                self.line(&format!("{name}:"), PLAIN);
                self.indent.push_str("  ");
                self.lines(&value, PLAIN, RESULT_LINES_MAX);
                self.indent.truncate(self.indent.len() - 2);
            }
            Part::Change(change) => {
                let left = change.len().saturating_sub(2 * RESULT_LINES_MAX);
                for line in change.iter().take(2 * RESULT_LINES_MAX) {
                    let style = match line {
                        DiffLine::Same(_) => DIM,
                        DiffLine::Removed(_) => REMOVED,
                        DiffLine::Added(_) => ADDED,
                    };
                    let (sign, text) = line.parts();
                    self.wrapped(&format!("{sign}{text}"), style, Wrap::Anywhere);
                }
                self.left(left);
            }
        }
    }

    /// A text, at most so many of its lines.
    fn lines(&mut self, text: &str, style: &str, lines_max: usize) {
        let text = colours::without(text);
        let mut rest = lines(&text);
        let is_text = lines_max == TEXT_LINES_MAX;
        let chars_max = if is_text { usize::MAX } else { RESULT_CHARS_MAX };
        let mut is_code = !is_text;
        for line in rest.by_ref().take(lines_max) {
            let is_fence = is_text && line.trim_start().starts_with("```");
            is_code ^= is_fence;
            let wrap = if is_code { Wrap::Anywhere } else { Wrap::AtSpaces };
            match line.char_indices().nth(chars_max) {
                Some((end, _)) => self.wrapped(&format!("{}…", line.get(..end).unwrap_or_default()), style, wrap),
                None => self.wrapped(line, style, wrap),
            }
        }
        self.left(rest.count());
    }

    fn left(&mut self, lines: usize) {
        if lines > 0 {
            self.line(&format!("… {lines} more line{}", if lines == 1 { "" } else { "s" }), DIM);
        }
    }

    /// A text in one line, cut where the terminal ends.
    fn line(&mut self, text: &str, style: &str) {
        self.wrapped(&one_line(text), style, Wrap::AtSpaces);
    }

    /// A line of a text, over as many lines of the terminal as it takes.
    fn wrapped(&mut self, text: &str, style: &str, wrap: Wrap) {
        let text = seen(&colours::without(text));
        let columns = COLUMNS.saturating_sub(self.indent.chars().count());
        for row in rows(&text, columns, wrap) {
            self.open(style);
            self.out.push_str(&row);
            self.close(style);
        }
    }

    fn open(&mut self, style: &str) {
        if !self.indent.is_empty() {
            self.out.push_str(&format!("\u{1b}[2m{}\u{1b}[0m", self.indent));
        }
        if !style.is_empty() {
            self.out.push_str(&format!("\u{1b}[{style}m"));
        }
    }

    fn close(&mut self, style: &str) {
        self.out.push_str(if style.is_empty() { "\r\n" } else { "\u{1b}[0m\r\n" });
    }
}

/// Where a line that is too long goes on in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrap {
    /// Behind the last space that fits, if there is one: texts.
    AtSpaces,
    /// Where the terminal ends: code, where every space counts.
    Anywhere,
}

/// A line as rows of at most so many columns, at least one row. Tabs become spaces.
fn rows(text: &str, columns: usize, wrap: Wrap) -> Vec<String> {
    let (mut rows, mut row, mut column) = (Vec::new(), String::new(), 0);
    // Where the row can end: behind its last space, in bytes and in columns.
    let mut space: Option<(usize, usize)> = None;
    'letters: for letter in text.chars() {
        let width = |column: usize| if letter == '\t' { TAB - column % TAB } else { letter.width().unwrap_or(0) };
        while column > 0 && column + width(column) > columns {
            match space.take() {
                _ if wrap == Wrap::AtSpaces && letter == ' ' => {
                    rows.push(std::mem::take(&mut row));
                    column = 0;
                    continue 'letters;
                }
                Some((end, before)) => {
                    let rest = row.split_off(end);
                    rows.push(std::mem::replace(&mut row, rest));
                    column -= before;
                }
                None => {
                    rows.push(std::mem::take(&mut row));
                    column = 0;
                }
            }
        }
        let width = width(column);
        match letter {
            '\t' => row.extend(std::iter::repeat_n(' ', width)),
            '\n' => {}
            letter => row.push(letter),
        }
        column += width;
        // A row of spaces alone is none.
        if wrap == Wrap::AtSpaces && letter == ' ' && !row.trim_start().is_empty() {
            space = Some((row.len(), column));
        }
    }
    rows.push(row);
    rows
}
