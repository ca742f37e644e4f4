//! An event as it is read: its numbers, its texts, and what an edit changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ansi;
use super::diff::difference;
use super::event::{duration, has_failed, money, named};
use super::paint::{Line, Style};
use crate::cli::ask::answer::{count, list, number, some_text, text};
use crate::views::analytics::figures::grouped;

/// Facts that are shown under their names as they are.
const FIELDS: [(&str, &str); 13] = [
    ("agent", "sub-agent"),
    ("outcome", "outcome"),
    ("exit_code", "exit code"),
    ("decision", "decision"),
    ("status", "HTTP status"),
    ("attempt", "attempt"),
    ("from", "from"),
    ("to", "to"),
    ("trigger", "trigger"),
    ("tokens_before", "tokens before"),
    ("tokens_after", "tokens after"),
    ("event", "on"),
    ("url", "address"),
];

/// Tools whose calls change files.
const EDITS: [&str; 4] = ["Edit", "MultiEdit", "Write", "NotebookEdit"];

/// Fields of their inputs that a difference shows.
const CHANGES: [&str; 5] = ["old_string", "new_string", "content", "edits", "new_source"];

/// Longest value of an input that stands beside its name, in letters.
const SHORT_LETTERS: usize = 80;

/// Which event it is: the line above its texts.
pub(super) fn heading(event: &Value) -> Line {
    let (sign, name) = named(event);
    let look = if has_failed(event) { Style { bold: true, ..Style::BAD } } else { Style::STRONG };
    let index = count(event, "/index").map(|index| format!(" #{index}")).unwrap_or_default();
    let line = Line::of(&format!("{sign} {name}"), look).with(&index, Style::DIM);
    if has_failed(event) { line.with(" failed", Style::BAD) } else { line }
}

/// Everything else. `whole` has the texts that were asked for as a whole, by their places in the content, and `before` the file
/// that an edit changes, as the session knew it.
pub(super) fn body(event: &Value, whole: &BTreeMap<usize, String>, before: Option<&str>) -> Vec<Line> {
    let facts = facts(event);
    let mut lines = if facts.spans().is_empty() { Vec::new() } else { vec![facts] };
    for (part, piece) in list(event, "/content").iter().enumerate() {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        pieces(event, piece, (whole.get(&part).map(String::as_str), before), &mut lines);
    }
    if let Some(why) = some_text(event, "/content_unavailable") {
        lines.push(Line::of(&format!("no text: {why}"), Style::DIM));
    }
    tasks(event, &mut lines);
    files(event, &mut lines);
    lines
}

/// The first piece that is cut, for asking for the rest of it.
pub(super) fn cut_piece(event: &Value, whole: &BTreeMap<usize, String>) -> Option<usize> {
    let is_cut = |piece: &Value| piece.get("truncated").and_then(Value::as_bool) == Some(true);
    let mut cut = list(event, "/content").iter().enumerate().filter(|(_, piece)| is_cut(piece));
    cut.find(|(part, _)| !whole.contains_key(part)).map(|(part, _)| part)
}

/// The path of the file that an event changes; `None` for events that change none, and for a cut call.
pub(super) fn changed_file(event: &Value) -> Option<String> {
    if text(event, "/kind") != Some("tool_call") || !EDITS.contains(&text(event, "/tool")?) {
        return None;
    }
    let input: Value = serde_json::from_str(text(event, "/content/0/text")?).ok()?;
    some_text(&input, "/file_path").or_else(|| some_text(&input, "/notebook_path"))
}

fn facts(event: &Value) -> Line {
    let mut told: Vec<(String, Style)> = Vec::new();
    for (field, name) in FIELDS {
        let value = match event.get(field) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        // A row says already that everything went well.
        let look = if field == "outcome" && has_failed(event) { Style::BAD } else { Style::DIM };
        told.push((format!("{name} {value}"), look));
    }
    for (place, name) in [
        ("/duration_seconds", "took"),
        ("/ttft_seconds", "first piece after"),
        ("/permission_wait_seconds", "waited for an answer"),
        ("/gap_seconds", "gap"),
        ("/critical_path_seconds", "★ critical path"),
    ] {
        told.extend(number(event, place).map(|seconds| (format!("{name} {}", duration(seconds)), Style::DIM)));
    }
    told.extend(some_text(event, "/cost_usd").map(|cost| (format!("cost {}", money(&cost)), Style::DIM)));
    for (place, name) in [
        ("/state/open_calls_total", "open calls"),
        ("/state/subagents_running_total", "sub-agents running"),
        ("/state/files_total", "files"),
    ] {
        let some = count(event, place).filter(|number| *number > 0);
        told.extend(some.map(|number| (format!("{name} {}", grouped(number)), Style::DIM)));
    }
    let mut line = Line::default();
    for (number, (fact, look)) in told.iter().enumerate() {
        line.push(if number > 0 { " · " } else { "" }, Style::DIM);
        line.push(fact, *look);
    }
    line
}

fn pieces(event: &Value, piece: &Value, (whole, before): (Option<&str>, Option<&str>), lines: &mut Vec<Line>) {
    let kind = text(piece, "/type").unwrap_or_default();
    if kind != "text" {
        lines.push(Line::of(&kind.replace('_', " "), Style::MARK));
    }
    let bytes = grouped(count(piece, "/bytes").unwrap_or(0));
    let Some(shown) = whole.or_else(|| text(piece, "/text")) else {
        lines.push(Line::of(&format!("{bytes} bytes, not shown in a terminal"), Style::DIM));
        return;
    };
    let is_cut = whole.is_none() && piece.get("truncated").and_then(Value::as_bool) == Some(true);
    let told = if kind == "tool_input" && !is_cut { serde_json::from_str(shown).ok() } else { None };
    match (kind, told) {
        (_, Some(Value::Object(input))) => inputs(event, &input, before, lines),
        ("tool_result", _) => lines.extend(ansi::lines(shown)),
        ("thinking", _) => lines.extend(plain(shown, Style { italic: true, ..Style::DIM })),
        _ => lines.extend(plain(shown, Style::PLAIN)),
    }
    if is_cut {
        lines.push(Line::of(&format!("… of {bytes} bytes: enter shows the rest"), Style::WARN));
    }
}

/// Lines of a text that no program coloured.
fn plain(text: &str, look: Style) -> impl Iterator<Item = Line> {
    text.split('\n').map(move |line| Line::of(line.strip_suffix('\r').unwrap_or(line), look))
}

fn inputs(event: &Value, input: &serde_json::Map<String, Value>, before: Option<&str>, lines: &mut Vec<Line>) {
    let is_edit = text(event, "/tool").is_some_and(|tool| EDITS.contains(&tool));
    for (name, value) in input {
        if is_edit && CHANGES.contains(&name.as_str()) {
            continue;
        }
        let shown = match value {
            Value::String(text) => text.clone(),
            value => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        if shown.contains('\n') || shown.chars().count() > SHORT_LETTERS {
            lines.push(Line::of(&format!("{name}:"), Style::MARK));
            lines.extend(plain(&shown, Style::PLAIN));
        } else {
            lines.push(Line::of(&format!("{name}: "), Style::MARK).with(&shown, Style::PLAIN));
        }
    }
    if is_edit {
        changes(input, before, lines);
    }
}

/// What an edit changes: in the file as the session knew it, else as its call tells it.
fn changes(input: &serde_json::Map<String, Value>, before: Option<&str>, lines: &mut Vec<Line>) {
    let input = Value::Object(input.clone());
    if let Some(content) = text(&input, "/content") {
        return lines.extend(difference(before.unwrap_or_default(), content, before.is_some()));
    }
    let one = std::slice::from_ref(&input);
    let edits = if input.get("edits").is_some() { list(&input, "/edits") } else { one };
    if let Some((before, after)) = before.and_then(|before| Some((before, edited(before, edits)?))) {
        return lines.extend(difference(before, &after, true));
    }
    for (number, edit) in edits.iter().enumerate() {
        let new = text(edit, "/new_string").or_else(|| text(edit, "/new_source"));
        if let Some(new) = new {
            if number > 0 {
                lines.push(Line::of("⋯", Style::DIM));
            }
            lines.extend(difference(text(edit, "/old_string").unwrap_or_default(), new, false));
        }
    }
}

/// A file after edits; `None` if one of them does not fit to it.
fn edited(before: &str, edits: &[Value]) -> Option<String> {
    let mut after = before.to_owned();
    for edit in edits {
        let (old, new) = (text(edit, "/old_string")?, text(edit, "/new_string")?);
        if !after.contains(old) {
            return None;
        }
        let is_all = edit.get("replace_all").and_then(Value::as_bool) == Some(true);
        after = if is_all { after.replace(old, new) } else { after.replacen(old, new, 1) };
    }
    Some(after)
}

/// The list of tasks, if there is one.
fn tasks(event: &Value, lines: &mut Vec<Line>) {
    let tasks = list(event, "/state/tasks");
    if tasks.is_empty() {
        return;
    }
    let total = count(event, "/state/tasks_total").unwrap_or(0);
    lines.extend([Line::default(), Line::of(&format!("Tasks ({})", grouped(total)), Style::MARK)]);
    for task in tasks {
        let (mark, look) = match text(task, "/status").unwrap_or_default() {
            "completed" => ("☑", Style::DIM),
            "in_progress" => ("◐", Style::STRONG),
            _ => ("☐", Style::PLAIN),
        };
        lines.push(Line::of(&format!("{mark} {}", text(task, "/subject").unwrap_or_default()), look));
    }
}

/// The files so far, the latest first.
fn files(event: &Value, lines: &mut Vec<Line>) {
    let files = list(event, "/state/files");
    if files.is_empty() {
        return;
    }
    let total = count(event, "/state/files_total").unwrap_or(0);
    lines.extend([Line::default(), Line::of(&format!("Files so far ({})", grouped(total)), Style::MARK)]);
    lines.extend(files.iter().filter_map(Value::as_str).map(|path| Line::of(path, Style::PLAIN)));
}
