//! A session as Markdown that GitHub shows: a heading for each turn, prompts as quotes, answers as they are, calls and
//! results as blocks of code.
//!
//! Every text but an answer is escaped or stands in a block whose fence is longer than any run of backticks within, so it
//! stays text whatever stands in it. What [`prose`](super::prose) does to answers stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::colours;
use super::diff::{DiffLine, Part, parts};
use super::entry::{Entry, Form, Head, Piece, Texts, TurnHead};
use super::escape::{code, fenced, lines, markdown, one_line};
use super::prose;
use super::shown::{Agents, Line, Row, details, other, sums, title, turn_facts, untold};
use crate::views::sessions::event::Detail;
use crate::views::sessions::kinds::EventKind;

/// A result or a thought with more lines, or more bytes, is folded.
const OPEN_LINES_MAX: usize = 20;
const OPEN_BYTES_MAX: usize = 2000;

/// Writes Markdown.
#[derive(Debug, Default)]
pub(super) struct Markdown {
    agents: Agents,
    /// The answers without words whose first call has not come, by thread.
    held: BTreeMap<Option<Arc<str>>, Held>,
}

/// An answer without words. Its model and its cost stand with its first call; it has a paragraph only if none comes.
#[derive(Debug)]
struct Held {
    message_id: Box<str>,
    facts: Vec<String>,
    paragraph: String,
}

impl Form for Markdown {
    fn pause(&self) -> &'static [u8] {
        b"\n"
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        let mut text = format!("# {}\n\n", markdown(&one_line(title(head))));
        push_table(&sums(head), &mut text);
        text.push_str("\n<details><summary>All sums</summary>\n\n");
        push_table(&details(head), &mut text);
        text.push_str("\n</details>\n");
        out.extend_from_slice(text.as_bytes());
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let mut text = String::new();
        if let Some(turn) = entry.turn {
            self.push_held(&mut text);
            push_turn(turn, &mut text);
        }
        let facts = self.of_message(entry, &mut text);
        if let Some(held) = self.held(entry) {
            self.held.insert(entry.event.agent.clone(), held);
            out.extend_from_slice(text.as_bytes());
            return;
        }
        text.push_str(&line(entry, self.agents.name(entry), facts));
        let kind = entry.event.detail.kind();
        for piece in entry.texts.pieces() {
            push_piece(kind, entry, piece, &mut text);
        }
        out.extend_from_slice(text.as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.push_held(&mut text);
        out.extend_from_slice(text.as_bytes());
    }
}

impl Markdown {
    /// What stands with a call of the answer that was held, if the event is its first. Otherwise that answer is written.
    fn of_message(&mut self, entry: &Entry<'_>, text: &mut String) -> Vec<String> {
        let Some(held) = self.held.remove(&entry.event.agent) else { return Vec::new() };
        match &entry.event.detail {
            Detail::ToolCall { message_id, .. } if *message_id == held.message_id => held.facts,
            _ => {
                text.push_str(&held.paragraph);
                Vec::new()
            }
        }
    }

    /// An answer that is held: one without words, in a thread that was told of.
    fn held(&mut self, entry: &Entry<'_>) -> Option<Held> {
        let Detail::Message { message_id, .. } = &entry.event.detail else { return None };
        let is_wordless = matches!(entry.texts, Texts::Told(pieces) if pieces.is_empty());
        if !is_wordless || !self.agents.knows(entry) {
            return None;
        }
        // The call has a time of its own, and that the answer ended with a call goes without saying.
        let Line { name, facts, own_facts, .. } = Line::of(entry);
        let facts =
            name.into_iter().chain(facts.into_iter().skip(own_facts)).filter(|fact| fact != "tool_use").collect();
        let paragraph = line(entry, self.agents.name(entry), Vec::new());
        Some(Held { message_id: message_id.clone(), facts, paragraph })
    }

    fn push_held(&mut self, text: &mut String) {
        std::mem::take(&mut self.held).into_values().for_each(|held| text.push_str(&held.paragraph));
    }
}

fn push_table(rows: &[Row], text: &mut String) {
    text.push_str("| | |\n|---|---|\n");
    for (what, value) in rows {
        text.push_str(&format!("| {what} | {} |\n", markdown(value)));
    }
}

fn push_turn(turn: &TurnHead, text: &mut String) {
    let title = markdown(&turn.title);
    let colon = if title.is_empty() { "" } else { ": " };
    let facts: Vec<String> = turn_facts(turn).iter().map(|fact| markdown(fact)).collect();
    text.push_str(&format!("\n## Turn {}{colon}{title}\n\n{}\n", turn.index, facts.join(" · ")));
}

/// What stands above the texts of an event. `agent` is what its sub-agent is called, `more` are further facts.
fn line(entry: &Entry<'_>, agent: Option<String>, more: Vec<String>) -> String {
    let Line { what, name, mut facts, failed, .. } = Line::of(entry);
    facts.insert(0, format!("event {}", entry.event.index));
    facts.extend(untold(entry.texts));
    facts.extend(more);
    let nested = "↳ ".repeat(entry.event.depth);
    let agent = agent.map(|agent| format!("{nested}sub-agent {} · ", code(&agent))).unwrap_or_default();
    let name = name.filter(|name| !name.is_empty()).map(|name| format!(" {}", code(&name))).unwrap_or_default();
    let mark = if failed { "⚠ " } else { "" };
    let facts: Vec<String> = facts.iter().map(|fact| markdown(fact)).collect();
    format!("\n{agent}{mark}**{what}**{name} · {}\n", facts.join(" · "))
}

fn push_piece(kind: EventKind, entry: &Entry<'_>, piece: &Piece, text: &mut String) {
    text.push('\n');
    match (&piece.text, kind) {
        (None, _) => text.push_str(&format!("{}, not text\n", markdown(&other(piece)))),
        (Some(_), EventKind::ToolCall) => match &piece.input {
            Some(input) => push_input(entry, input, text),
            None => text.push_str(&fenced("json", piece.text.as_deref().unwrap_or_default())),
        },
        (Some(own), EventKind::ToolResult) => push_block(&colours::without(own), "", text),
        (Some(own), _) if piece.kind == "thinking" => push_folded("Thinking", own, "", text),
        (Some(own), EventKind::Message | EventKind::AwaySummary) => text.push_str(&prose::within_markdown(own)),
        (Some(own), _) => push_quote(own, text),
    }
}

/// A text as a quote, in which its lines and their indents stay.
fn push_quote(own: &str, text: &mut String) {
    let mut rest = lines(own).peekable();
    while let Some(line) = rest.next() {
        let inner = line.trim_start_matches([' ', '\t']);
        let indent: usize =
            line.chars().take_while(|letter| " \t".contains(*letter)).map(|l| if l == '\t' { 4 } else { 1 }).sum();
        // A line end that is to be seen needs a text before and behind it.
        let is_followed = rest.peek().is_some_and(|next| !next.trim().is_empty()) && !inner.is_empty();
        let end = if is_followed { "\\" } else { "" };
        text.push_str(format!("> {}{}{end}", "&nbsp;".repeat(indent), markdown(inner)).trim_end_matches(' '));
        text.push('\n');
    }
}

fn push_input(entry: &Entry<'_>, input: &Value, text: &mut String) {
    let tool = if let Detail::ToolCall { tool, .. } = &entry.event.detail { tool } else { "" };
    let mut before = None;
    for part in parts(tool, input) {
        let is_short = matches!(part, Part::Short(..));
        // Between a list and a block, and between two blocks.
        text.push_str(if before.is_some_and(|before: bool| !(before && is_short)) { "\n" } else { "" });
        before = Some(is_short);
        match part {
            Part::Short(name, value) => text.push_str(&format!("- {}: {}\n", markdown(name), code(&value))),
            Part::Long(name, language, value) => {
                let name = if language == "bash" { String::new() } else { format!("{}:\n\n", markdown(name)) };
                text.push_str(&(name + &fenced(language, &value)));
            }
            Part::Change(change) => {
                let lines: Vec<String> = change.iter().map(|line| of_diff(*line)).collect();
                text.push_str(&fenced("diff", &lines.join("\n")));
            }
        }
    }
}

fn of_diff(line: DiffLine<'_>) -> String {
    let (sign, line) = line.parts();
    format!("{sign}{line}")
}

/// A text as a block, folded if it is long.
fn push_block(own: &str, language: &str, text: &mut String) {
    let count = lines(own).count();
    if count > OPEN_LINES_MAX || own.len() > OPEN_BYTES_MAX {
        push_folded(&format!("{count} line{}", if count == 1 { "" } else { "s" }), own, language, text);
    } else {
        text.push_str(&fenced(language, own));
    }
}

/// A folded block. `what` is of our own.
fn push_folded(what: &str, own: &str, language: &str, text: &mut String) {
    text.push_str(&format!("<details><summary>{what}</summary>\n\n{}\n</details>\n", fenced(language, own)));
}
