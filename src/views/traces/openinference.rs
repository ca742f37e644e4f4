//! Adds the attribute names that Phoenix and Arize read to those of the GenAI conventions, if
//! `traces.profile = ["openinference"]` is set.
//!
//! Source: Arize-ai/openinference@1fe497f1d, `spec/semantic_conventions.md`. The values come from attributes that the
//! span has already, so no text leaves that would not leave without these names.

use serde::de::IgnoredAny;

use crate::views::traces::attributes as name;
use crate::views::traces::span::{Attribute, Span, Value};

/// The kind of a span, by which backends colour and count spans: `AGENT`, `LLM`, `TOOL` or `CHAIN`.
const SPAN_KIND: &str = "openinference.span.kind";
/// Generated and prompt tokens together.
const TOKENS_TOTAL: &str = "llm.token_count.total";
/// Value of [`INPUT_TYPE`] and [`OUTPUT_TYPE`] if the text is JSON.
const JSON: &str = "application/json";
const INPUT: &str = "input.value";
const INPUT_TYPE: &str = "input.mime_type";
const OUTPUT: &str = "output.value";
const OUTPUT_TYPE: &str = "output.mime_type";

/// Attributes of model calls, and their further names.
const LLM: &[(&str, &str)] = &[
    (name::REQUEST_MODEL, "llm.model_name"),
    (name::PROVIDER, "llm.provider"),
    (name::INPUT_TOKENS, "llm.token_count.prompt"),
    (name::OUTPUT_TOKENS, "llm.token_count.completion"),
    (name::CACHE_READ_TOKENS, "llm.token_count.prompt_details.cache_read"),
    (name::CACHE_WRITE_TOKENS, "llm.token_count.prompt_details.cache_write"),
    (name::REASONING_TOKENS, "llm.token_count.completion_details.reasoning"),
    (name::COST_AMOUNT, "llm.cost.total"),
];
/// Attributes of tool calls, and their further names.
const TOOL: &[(&str, &str)] =
    &[(name::TOOL_NAME, "tool.name"), (name::TOOL_CALL_ID, "tool.id"), (name::TOOL_ARGUMENTS, "tool.parameters")];
/// Attributes of turns and sub-agents, and their further names.
const AGENT: &[(&str, &str)] = &[(name::AGENT_NAME, "agent.name")];
/// Attributes that hold text, on any span: the further name, and the name of the text's type.
const TEXTS: &[(&str, &str, &str)] = &[
    (name::INPUT_MESSAGES, INPUT, INPUT_TYPE),
    (name::TOOL_ARGUMENTS, INPUT, INPUT_TYPE),
    (name::OUTPUT_MESSAGES, OUTPUT, OUTPUT_TYPE),
    (name::TOOL_RESULT, OUTPUT, OUTPUT_TYPE),
];

/// Adds the further names to a span that has all other attributes.
pub fn add(span: &mut Span) {
    let find = |key: &str| span.attributes.iter().find(|known| known.key == key).map(|known| known.value.clone());
    let operation = match find(name::OPERATION) {
        Some(Value::Text(operation)) => operation,
        _ => String::new(),
    };
    let (kind, names) = match operation.as_str() {
        "chat" => ("LLM", LLM),
        "execute_tool" => ("TOOL", TOOL),
        "invoke_agent" => ("AGENT", AGENT),
        _ => ("CHAIN", &[][..]),
    };
    let mut added = vec![attribute(SPAN_KIND, Value::Text(kind.to_owned()))];
    if kind == "LLM" {
        added.push(attribute("llm.system", Value::Text("anthropic".to_owned())));
    }
    added.extend(names.iter().filter_map(|(from, to)| Some(attribute(to, find(from)?))));
    if let (true, Some(Value::Int(prompt)), Some(Value::Int(answer))) =
        (kind == "LLM", find(name::INPUT_TOKENS), find(name::OUTPUT_TOKENS))
    {
        added.push(attribute(TOKENS_TOTAL, Value::Int(prompt.saturating_add(answer))));
    }
    for (from, to, form) in TEXTS {
        let Some(value) = find(from) else { continue };
        let is_json = matches!(&value, Value::Text(text) if serde_json::from_str::<IgnoredAny>(text).is_ok());
        added.push(attribute(to, value));
        added.extend(is_json.then(|| attribute(form, Value::Text(JSON.to_owned()))));
    }
    span.attributes.extend(added);
}

fn attribute(key: &'static str, value: Value) -> Attribute {
    Attribute { key: key.into(), value }
}
