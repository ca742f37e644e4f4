//! Pictures in session files: as bytes of a form that browsers know and that holds no scripts.

use std::sync::Arc;

use serde_json::Value;

use super::pieces::{contents, kind_of};
use crate::transcript::expected::Expected;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its content type, as its first bytes tell.
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// The content types of pictures.
pub const FORMS: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// The picture in a piece of an event, by the position of the piece. `None` if the piece is none, or is of another form.
#[must_use]
pub fn picture(rows: &[Arc<Value>], expected: &Expected, part: usize) -> Option<Picture> {
    let block = contents(rows, expected).flat_map(|content| blocks(content, expected)).nth(part)??;
    if kind_of(block) != "image" {
        return None;
    }
    let bytes = decode(block.pointer("/source/data")?.as_str()?)?;
    Some(Picture { content_type: form(&bytes)?, bytes })
}

/// The blocks that the pieces of a content stand for, in their order; `None` for what is no block.
fn blocks<'r>(content: &'r Value, expected: &Expected) -> Vec<Option<&'r Value>> {
    let whole = |content: &Value| if content.is_null() { Vec::new() } else { vec![None] };
    let Value::Array(blocks) = content else { return whole(content) };
    match expected {
        Expected::Prompt(_) | Expected::StreamPrompt | Expected::Note(_) => blocks.iter().map(Some).collect(),
        Expected::Message(_) => blocks.iter().filter(|block| kind_of(block) != "tool_use").map(Some).collect(),
        Expected::Call(_) => Vec::new(),
        Expected::Result(id) => {
            let result = blocks.iter().find(|block| block.get("tool_use_id").and_then(Value::as_str) == Some(id));
            match result.and_then(|result| result.get("content")) {
                Some(Value::Array(parts)) => parts.iter().map(Some).collect(),
                Some(content) => whole(content),
                None => Vec::new(),
            }
        }
    }
}

/// The form of a picture by its first bytes.
fn form(bytes: &[u8]) -> Option<&'static str> {
    let [png, jpeg, gif, webp] = FORMS;
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(png),
        [0xff, 0xd8, 0xff, ..] => Some(jpeg),
        [b'G', b'I', b'F', b'8', ..] => Some(gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(webp),
        _ => None,
    }
}

/// Bytes written as base64 in the alphabet of RFC 4648, section 4; `None` if it is none.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = (bits << 6) | u32::from(sextet(*digit)?);
        }
        let [_, first, second, third] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        let whole = [first, second, third];
        bytes.extend(whole.iter().take(group.len() - 1));
    }
    (digits.len() % 4 != 1).then_some(bytes)
}

const fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
