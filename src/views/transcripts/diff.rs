//! What a call is given, as people read it: what it changes in a file, the command that it runs, and all the rest.

use serde_json::{Map, Value};

use super::escape::lines;

/// A part of the input of a call.
pub(super) enum Part<'i> {
    /// A name and a value that fit a line.
    Short(&'i str, String),
    /// A text of several lines, with the language that it is in, or none.
    Long(&'i str, &'static str, String),
    /// What changes in a file.
    Change(Vec<DiffLine<'i>>),
}

/// A line of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiffLine<'i> {
    Same(&'i str),
    Removed(&'i str),
    Added(&'i str),
}

/// Most characters of a value in a line.
const SHORT_CHARS_MAX: usize = 120;

/// The parts of an input, all that it holds among them: values that fit a line first.
pub(super) fn parts<'i>(tool: &str, input: &'i Value) -> Vec<Part<'i>> {
    let Value::Object(members) = input else { return vec![value_of("input", input)] };
    let (changes, told) = changes(tool, members);
    let rest = members.iter().filter(|(name, _)| !told.contains(&name.as_str()));
    let (short, long): (Vec<_>, Vec<_>) =
        rest.map(|(name, value)| value_of(name, value)).partition(|part| matches!(part, Part::Short(..)));
    short.into_iter().chain(changes).chain(long).collect()
}

fn value_of<'i>(name: &'i str, value: &Value) -> Part<'i> {
    let (text, is_text) = match value {
        Value::String(text) => (text.clone(), true),
        other => (other.to_string(), false),
    };
    let is_one_line = !text.contains(['\n', '\r']) && text.trim() == text && !text.is_empty();
    if name != "command" && is_one_line && text.chars().count() <= SHORT_CHARS_MAX {
        return Part::Short(name, text);
    }
    let language = match (name, is_text) {
        ("command", true) => "bash",
        (_, true) => "",
        (_, false) => "json",
    };
    let text = if is_text { text } else { serde_json::to_string_pretty(value).unwrap_or(text) };
    Part::Long(name, language, text)
}

/// The changes that an input asks for, and the members that tell of them.
fn changes<'i>(tool: &str, members: &'i Map<String, Value>) -> (Vec<Part<'i>>, &'static [&'static str]) {
    let text = |members: &'i Map<String, Value>, name: &str| members.get(name).and_then(Value::as_str);
    if let (Some(old), Some(new)) = (text(members, "old_string"), text(members, "new_string")) {
        return (vec![Part::Change(change(old, new))], &["old_string", "new_string"]);
    }
    let added = match tool {
        "Write" => text(members, "content").map(|content| (content, ["content"].as_slice())),
        "NotebookEdit" => text(members, "new_source").map(|source| (source, ["new_source"].as_slice())),
        _ => None,
    };
    if let Some((content, told)) = added {
        return (vec![Part::Change(change("", content))], told);
    }
    let edits = members.get("edits").filter(|_| tool == "MultiEdit").and_then(Value::as_array);
    let edits: Option<Vec<Part<'i>>> = edits.and_then(|edits| {
        let one = |edit: &'i Value| {
            let edit = edit.as_object()?;
            // An edit that tells more is shown as it is.
            let is_whole = edit.keys().all(|name| name == "old_string" || name == "new_string");
            let both = text(edit, "old_string").zip(text(edit, "new_string")).filter(|_| is_whole);
            both.map(|(old, new)| Part::Change(change(old, new)))
        };
        edits.iter().map(one).collect()
    });
    edits.map_or((Vec::new(), &[]), |edits| (edits, &["edits"]))
}

/// How a text becomes another, line by line: what both begin and end with is the same.
fn change<'t>(old: &'t str, new: &'t str) -> Vec<DiffLine<'t>> {
    let of = |text: &'t str| if text.is_empty() { Vec::new() } else { lines(text).collect::<Vec<_>>() };
    let (old, new) = (of(old), of(new));
    let begin = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (old.iter().skip(begin), new.iter().skip(begin));
    let end = old_rest.clone().rev().zip(new_rest.clone().rev()).take_while(|(old, new)| old == new).count();
    let same = old.iter().take(begin).map(|line| DiffLine::Same(line));
    let removed = old_rest.take(old.len() - begin - end).map(|line| DiffLine::Removed(line));
    let added = new_rest.take(new.len() - begin - end).map(|line| DiffLine::Added(line));
    let behind = old.iter().skip(old.len() - end).map(|line| DiffLine::Same(line));
    same.chain(removed).chain(added).chain(behind).collect()
}

impl<'i> DiffLine<'i> {
    /// The sign before the line, and the line.
    pub(super) const fn parts(self) -> (char, &'i str) {
        match self {
            Self::Same(line) => (' ', line),
            Self::Removed(line) => ('-', line),
            Self::Added(line) => ('+', line),
        }
    }
}
