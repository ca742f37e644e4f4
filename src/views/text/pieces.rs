//! Turns rows into pieces of text, each cut to a length that a page can hold.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::transcript::expected::Expected;

/// Longest text of one piece, in bytes. A longer text is cut and marked as truncated.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// Longest text of one event, in bytes. Further pieces are empty and marked as truncated.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Most pieces of one event. If there are more, the last one stands for all that were left out.
const PIECES_MAX: usize = 256;

/// About how many bytes a piece adds to an answer besides its text.
const FRAME_BYTES: usize = 80;

/// One text of an event, or a note that there is something else than text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TextPiece {
    /// `text`, `thinking`, `tool_input` (JSON as text), `tool_result`, `image`, ...
    r#type: String,
    /// The text, or its beginning; `null` for something that is no text, such as an image.
    text: Option<String>,
    /// Length of the text before it was cut, in bytes of UTF-8; for something that is no text, the length of its JSON.
    bytes: usize,
    /// True if the text is cut or missing.
    truncated: bool,
}

impl TextPiece {
    /// A text of at most `bytes_max` bytes.
    fn text(kind: &str, mut text: String, bytes_max: usize) -> Self {
        let bytes = text.len();
        let truncated = cut(&mut text, bytes_max);
        Self { r#type: kind.to_owned(), text: Some(text), bytes, truncated }
    }

    /// A piece for something that is no text, whose bytes would tell a reader nothing.
    fn other(kind: &str, value: &Value) -> Self {
        Self { r#type: kind.to_owned(), text: None, bytes: value.to_string().len(), truncated: true }
    }

    /// What it is, its text, and the length of its whole text.
    #[must_use]
    pub fn into_parts(self) -> (String, Option<String>, usize) {
        (self.r#type, self.text, self.bytes)
    }

    /// About how many bytes the piece adds to an answer.
    pub fn weight(&self) -> usize {
        self.text.as_ref().map_or(0, String::len).saturating_add(FRAME_BYTES)
    }
}

/// Shortens `text` to at most `bytes_max` at the boundary of a character. Returns false if it was short enough.
fn cut(text: &mut String, bytes_max: usize) -> bool {
    let whole = text.len() <= bytes_max;
    if !whole {
        text.truncate(boundary(text, bytes_max));
    }
    !whole
}

/// A range of a text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TextRange {
    /// `text`, `thinking`, `tool_input` (JSON as text), `tool_result`, ...
    r#type: String,
    /// Where the range begins in the whole text, in bytes of UTF-8: at the beginning of a character.
    from: usize,
    /// The text of the range; `null` if the piece is no text, such as an image.
    text: Option<String>,
    /// Length of the whole text in bytes of UTF-8; for something that is no text, the length of its JSON.
    bytes: usize,
    /// Where the next range begins; `null` at the end of the text.
    next_from: Option<usize>,
}

/// A range of a piece of an event, which is not cut otherwise: of the piece at this position, at most `bytes` bytes from the
/// byte `from` on, but one character at least. `None` if there is no such piece.
pub fn range(
    rows: &[Arc<Value>],
    expected: &Expected,
    part: usize,
    (from, bytes): (usize, usize),
) -> Option<TextRange> {
    let mut contents = contents(rows, expected);
    let mut before = 0;
    let piece = contents.find_map(|content| {
        let pieces = pieces_of(content, expected, usize::MAX);
        let count = pieces.len();
        let own = pieces.into_iter().nth(part - before);
        before += count;
        own
    })?;
    let TextPiece { r#type, text, bytes: whole, .. } = piece;
    let Some(text) = text else {
        return Some(TextRange { r#type, from: 0, text: None, bytes: whole, next_from: None });
    };
    let start = boundary(&text, from);
    let end = boundary(&text, start.saturating_add(bytes));
    let next = text.get(start..).and_then(|rest| rest.chars().next()).map_or(start, |first| start + first.len_utf8());
    let end = end.max(next);
    let next_from = (end < text.len()).then_some(end);
    Some(TextRange { r#type, from: start, text: text.get(start..end).map(str::to_owned), bytes: whole, next_from })
}

/// The last boundary of a character at or before a byte.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

pub(super) fn contents<'r>(rows: &'r [Arc<Value>], expected: &Expected) -> impl Iterator<Item = &'r Value> + use<'r> {
    let places: &'static [&'static str] =
        if matches!(expected, Expected::Note(_)) { &["/attachment/prompt", "/content"] } else { &["/message/content"] };
    rows.iter().filter_map(move |row| places.iter().find_map(|place| row.pointer(place)))
}

/// The pieces of an event, each of at most `bytes_max` bytes, and never more than [`PIECE_BYTES_MAX`]. `rows` are all rows of
/// the event, and `expected` says what it is.
pub fn pieces(rows: &[Arc<Value>], expected: &Expected, bytes_max: usize) -> Vec<TextPiece> {
    let bytes_max = bytes_max.min(PIECE_BYTES_MAX);
    let contents = contents(rows, expected);
    let mut pieces: Vec<TextPiece> = contents.flat_map(|content| pieces_of(content, expected, bytes_max)).collect();
    let mut left = EVENT_BYTES_MAX;
    for piece in &mut pieces {
        if let Some(text) = &mut piece.text {
            piece.truncated |= cut(text, left);
            left = left.saturating_sub(text.len());
        }
    }
    if pieces.len() > PIECES_MAX {
        let bytes = pieces.drain(PIECES_MAX - 1..).map(|piece| piece.bytes).sum();
        pieces.push(TextPiece { r#type: "omitted".to_owned(), text: None, bytes, truncated: true });
    }
    pieces
}

/// The pieces of an event as [`pieces`], all of them and with their whole texts.
#[must_use]
pub fn whole_pieces(rows: &[Arc<Value>], expected: &Expected) -> Vec<TextPiece> {
    contents(rows, expected).flat_map(|content| pieces_of(content, expected, usize::MAX)).collect()
}

fn pieces_of(content: &Value, expected: &Expected, max: usize) -> Vec<TextPiece> {
    let Value::Array(blocks) = content else { return whole(content, "text", max) };
    match expected {
        Expected::Prompt(_) | Expected::StreamPrompt | Expected::Note(_) => {
            blocks.iter().map(|block| piece(block, "text", max)).collect()
        }
        // Tool calls in a response are events of their own.
        Expected::Message(_) => {
            blocks.iter().filter(|block| kind_of(block) != "tool_use").map(|block| piece(block, "text", max)).collect()
        }
        Expected::Call(id) => {
            let call = blocks.iter().find(|block| block.get("id").and_then(Value::as_str) == Some(id));
            call.and_then(|call| call.get("input"))
                .map(|input| TextPiece::text("tool_input", input.to_string(), max))
                .into_iter()
                .collect()
        }
        Expected::Result(id) => {
            let result = blocks.iter().find(|block| block.get("tool_use_id").and_then(Value::as_str) == Some(id));
            match result.and_then(|result| result.get("content")) {
                Some(Value::Array(parts)) => parts.iter().map(|part| piece(part, "tool_result", max)).collect(),
                Some(content) => whole(content, "tool_result", max),
                None => Vec::new(),
            }
        }
    }
}

fn whole(content: &Value, kind: &str, max: usize) -> Vec<TextPiece> {
    match content {
        Value::String(text) => vec![TextPiece::text(kind, text.clone(), max)],
        Value::Null => Vec::new(),
        other => vec![TextPiece::other(kind, other)],
    }
}

/// A block as a piece; `text_kind` is the type of the piece if the block is text.
fn piece(block: &Value, text_kind: &str, max: usize) -> TextPiece {
    let text = |key: &str| block.get(key).and_then(Value::as_str).map(str::to_owned);
    match kind_of(block) {
        "text" => text("text").map(|text| TextPiece::text(text_kind, text, max)),
        "thinking" => text("thinking").map(|text| TextPiece::text("thinking", text, max)),
        _ => None,
    }
    .unwrap_or_else(|| TextPiece::other(kind_of(block), block))
}

pub(super) fn kind_of(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or("unknown")
}
