//! Events as they are shown on a terminal: coloured, cut to its width, long results folded.

use unicode_width::UnicodeWidthChar;

use super::colours;
use super::diff::{DiffLine, Part, parts};
use super::entry::{Entry, Head, Piece};
use super::escape::{lines, one_line, seen};
use super::shown::{Line, agent, summary, title, turn_facts, untold};
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
pub(super) fn drawn(entry: &Entry<'_>) -> String {
    let depth = (2 * entry.event.depth).min(INDENT_MAX);
    let mut drawing = Drawing { indent: "│ ".repeat(depth / 2), ..Drawing::default() };
    if let Some(turn) = entry.turn {
        let colon = if turn.title.is_empty() { "" } else { ": " };
        drawing.line("", PLAIN);
        drawing.line(&format!("━━ Turn {}{colon}{}", turn.index, turn.title), TURN);
        drawing.line(&turn_facts(turn).join(" · "), DIM);
    }
    drawing.event(entry);
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
        for (what, value) in summary(head) {
            self.line(&format!("{what}: {value}"), DIM);
        }
    }

    fn event(&mut self, entry: &Entry<'_>) {
        let Line { what, name, facts, failed } = Line::of(entry);
        let agent = agent(entry).map(|agent| format!("[{agent}] ")).unwrap_or_default();
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
            return self.line(&format!("{}, {} bytes, not text", piece.kind, piece.bytes), DIM);
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
                    self.wrapped(&format!("{sign}{text}"), style);
                }
                self.left(left);
            }
        }
    }

    /// A text, at most so many of its lines.
    fn lines(&mut self, text: &str, style: &str, lines_max: usize) {
        let text = colours::without(text);
        let mut rest = lines(&text);
        let chars_max = if lines_max == TEXT_LINES_MAX { usize::MAX } else { RESULT_CHARS_MAX };
        for line in rest.by_ref().take(lines_max) {
            match line.char_indices().nth(chars_max) {
                Some((end, _)) => self.wrapped(&format!("{}…", line.get(..end).unwrap_or_default()), style),
                None => self.wrapped(line, style),
            }
        }
        self.left(rest.count());
    }

    fn left(&mut self, lines: usize) {
        if lines > 0 {
            self.line(&format!("… {lines} more lines"), DIM);
        }
    }

    /// A text in one line, cut where the terminal ends.
    fn line(&mut self, text: &str, style: &str) {
        self.wrapped(&one_line(text), style);
    }

    /// A line of a text, over as many lines of the terminal as it takes.
    fn wrapped(&mut self, text: &str, style: &str) {
        let text = seen(&colours::without(text));
        let indent = self.indent.chars().count();
        let mut column = indent;
        self.open(style);
        for letter in text.chars() {
            let width = if letter == '\t' { TAB - (column - indent) % TAB } else { letter.width().unwrap_or(0) };
            if column + width > COLUMNS {
                self.close(style);
                self.open(style);
                column = indent;
            }
            match letter {
                '\t' => self.out.extend(std::iter::repeat_n(' ', width)),
                '\n' => {}
                letter => self.out.push(letter),
            }
            column += width;
        }
        self.close(style);
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
