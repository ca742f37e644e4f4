//! The texts of an event, by kind, decoded and whole: what a page of the replay cuts or shows as JSON is not cut here.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::transcript::expected::Expected;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// What a person or a program asked, also while a turn ran, and what a sub-agent was asked.
    Prompt,
    /// What the model answered, and the summary of what was done while a person was away.
    Answer,
    /// What the model thought.
    Thinking,
    /// The values of a tool call's input, without their names.
    ToolInput,
    /// What a tool returned, and the note that work in the background ended.
    ToolResult,
    /// The title of a session.
    Title,
}

impl TextKind {
    /// Every kind with its name.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("prompt", Self::Prompt),
        ("answer", Self::Answer),
        ("thinking", Self::Thinking),
        ("tool_input", Self::ToolInput),
        ("tool_result", Self::ToolResult),
        ("title", Self::Title),
    ];
}

/// Some pieces of text of one kind.
pub type Pieces<'r> = Vec<Cow<'r, str>>;

/// The texts of an event, each kind once. `rows` are all rows of the event, `expected` says what it is, and `plain` what
/// text without a kind of its own is.
#[must_use]
pub fn texts<'r>(rows: &'r [Arc<Value>], expected: &Expected, plain: TextKind) -> Vec<(TextKind, Pieces<'r>)> {
    let places: &[&str] =
        if matches!(expected, Expected::Note(_)) { &["/attachment/prompt", "/content"] } else { &["/message/content"] };
    let mut texts = Vec::new();
    for content in rows.iter().filter_map(|row| places.iter().find_map(|place| row.pointer(place))) {
        add(&mut texts, content, expected, plain);
    }
    texts
}

fn add<'r>(texts: &mut Vec<(TextKind, Pieces<'r>)>, content: &'r Value, expected: &Expected, plain: TextKind) {
    let Value::Array(blocks) = content else {
        // A call or a result stands in a block.
        if !matches!(expected, Expected::Call(_) | Expected::Result(_)) {
            put(texts, plain, content.as_str());
        }
        return;
    };
    let own = |key: &str, id: &str| blocks.iter().find(|block| block.get(key).and_then(Value::as_str) == Some(id));
    match expected {
        Expected::Prompt(_) | Expected::StreamPrompt | Expected::Note(_) | Expected::Message(_) => {
            blocks.iter().for_each(|block| add_block(texts, block, plain));
        }
        Expected::Call(id) => {
            if let Some(input) = own("id", id).and_then(|call| call.get("input")) {
                add_values(texts, input);
            }
        }
        Expected::Result(id) => match own("tool_use_id", id).and_then(|result| result.get("content")) {
            Some(Value::Array(parts)) => parts.iter().for_each(|part| add_block(texts, part, plain)),
            Some(Value::String(text)) => put(texts, plain, Some(text)),
            _ => {}
        },
    }
}

fn add_block<'r>(texts: &mut Vec<(TextKind, Pieces<'r>)>, block: &'r Value, plain: TextKind) {
    let text = |key: &str| block.get(key).and_then(Value::as_str);
    match text("type") {
        Some("text") => put(texts, plain, text("text")),
        Some("thinking") => put(texts, TextKind::Thinking, text("thinking")),
        _ => {}
    }
}

/// Adds the values of an input, however deep they lie. The nesting of a line is bounded where it is read.
fn add_values<'r>(texts: &mut Vec<(TextKind, Pieces<'r>)>, value: &'r Value) {
    match value {
        Value::String(text) => put(texts, TextKind::ToolInput, Some(text)),
        Value::Number(number) => put_piece(texts, TextKind::ToolInput, Cow::Owned(number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| add_values(texts, item)),
        Value::Object(fields) => fields.values().for_each(|field| add_values(texts, field)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn put<'r>(texts: &mut Vec<(TextKind, Pieces<'r>)>, kind: TextKind, text: Option<&'r str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        put_piece(texts, kind, Cow::Borrowed(text));
    }
}

fn put_piece<'r>(texts: &mut Vec<(TextKind, Pieces<'r>)>, kind: TextKind, piece: Cow<'r, str>) {
    match texts.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, pieces)) => pieces.push(piece),
        None => texts.push((kind, vec![piece])),
    }
}
