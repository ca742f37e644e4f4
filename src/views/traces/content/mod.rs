//! Puts text of the conversation on spans, as much as the configured level allows.
//!
//! ```text
//! level     on execute_tool                                     on chat, invoke_agent
//! off       nothing                                             nothing
//! details   command, file, pattern, URL, query, description     nothing
//! content   as details; also arguments and result               prompt, answer, thinking
//! ```
//!
//! - Every text goes through [`scrub`](crate::transcript::scrub) before it is cut to [`VALUE_BYTES_MAX`], because half
//!   a secret is no longer recognised.
//! - A text that is cut ends in `[TRUNCATED n]`, where `n` is about how many bytes are missing. JSON that is cut stays
//!   JSON: its longest strings are shortened, and if that is not enough, elements are left out.
//! - Paths are relative to the working directory; of a file elsewhere only the name is shown.
//! - An attribute that the level does not allow is never made, so that it cannot reach the outbox.

mod cut;
mod details;
mod json;
mod level;

use serde_json::{Value as Json, json};

use crate::views::traces::attributes as name;
use crate::views::traces::span::Attribute;
use cut::readable;
use level::text;
pub use level::{ContentLevel, ReadRow, VALUE_BYTES_MAX};

/// Attributes from the input of a call of `tool`. `folders` are working directories that paths may be relative to.
#[must_use]
pub fn call(level: ContentLevel, tool: &str, input: &Json, folders: &[&str]) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    if level >= ContentLevel::Details {
        attributes = details::of(tool, input, folders);
    }
    if level >= ContentLevel::Content {
        attributes.push(text(name::TOOL_ARGUMENTS, json::fitted(input)));
    }
    attributes
}

/// Whether [`ContentLevel::Details`] allows any attribute of a call of `tool`.
#[must_use]
pub fn has_details(tool: &str) -> bool {
    details::known(tool)
}

/// Attributes from the `content` of a tool result.
#[must_use]
pub fn result(level: ContentLevel, content: &Json) -> Vec<Attribute> {
    if level < ContentLevel::Content || content.is_null() {
        return Vec::new();
    }
    let value = match lone_text(content) {
        Some(alone) => readable(alone),
        None => json::fitted(&Json::Array(parts(content))),
    };
    vec![text(name::TOOL_RESULT, value)]
}

/// Attributes from the `content` of a prompt.
#[must_use]
pub fn prompt(level: ContentLevel, content: &Json) -> Vec<Attribute> {
    if level < ContentLevel::Content {
        return Vec::new();
    }
    vec![text(name::INPUT_MESSAGES, json::fitted(&json!([{ "role": "user", "parts": parts(content) }])))]
}

/// Attributes of an answer, from the `content` of its rows and the reason why it stopped.
#[must_use]
pub fn answer(level: ContentLevel, contents: &[&Json], finish_reason: Option<&str>) -> Vec<Attribute> {
    if level < ContentLevel::Content {
        return Vec::new();
    }
    let parts: Vec<Json> = contents.iter().flat_map(|content| parts(content)).collect();
    let mut message = json!({ "role": "assistant", "parts": parts });
    if let (Some(message), Some(reason)) = (message.as_object_mut(), finish_reason) {
        message.insert("finish_reason".to_owned(), reason.into());
    }
    vec![text(name::OUTPUT_MESSAGES, json::fitted(&Json::Array(vec![message])))]
}

/// The text of a content that is a single text; `None` if it is anything else.
fn lone_text(content: &Json) -> Option<&str> {
    match content {
        Json::String(text) => Some(text),
        Json::Array(blocks) => match blocks.as_slice() {
            [block] if block.get("type").and_then(Json::as_str) == Some("text") => block.get("text")?.as_str(),
            _ => None,
        },
        _ => None,
    }
}

/// Turns content blocks of the API into the parts of a message as the GenAI conventions have them.
fn parts(content: &Json) -> Vec<Json> {
    match content {
        Json::String(text) => vec![json!({ "type": "text", "content": text })],
        Json::Array(blocks) => blocks.iter().map(part).collect(),
        _ => Vec::new(),
    }
}

fn part(block: &Json) -> Json {
    let field = |key: &str| block.get(key).cloned().unwrap_or_default();
    match block.get("type").and_then(Json::as_str).unwrap_or_default() {
        "text" => json!({ "type": "text", "content": field("text") }),
        "thinking" => json!({ "type": "reasoning", "content": field("thinking") }),
        "tool_use" => json!({
            "type": "tool_call", "id": field("id"), "name": field("name"), "arguments": field("input"),
        }),
        "tool_result" => json!({
            "type": "tool_call_response", "id": field("tool_use_id"), "response": field("content"),
        }),
        // Of images and documents only the size is kept: their bytes would tell a reader nothing.
        other => json!({ "type": other, "bytes": block.to_string().len() }),
    }
}
