//! Writes attributes as Jaeger's typed tags.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use super::trace::{SCOPE_NAME, SCOPE_VERSION, kind_name};
use crate::views::traces::span::{Attribute, Span, SpanBatch, SpanEvent, SpanStatus, Value};

/// Largest integer that every reader of JSON keeps exact: 2^53 - 1.
const SAFE_INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// A tag in the JSON of Jaeger's v1 API: `{"key": ..., "type": ..., "value": ...}`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "JaegerTag")]
pub(super) struct JsonTag<'a> {
    key: &'a str,
    r#type: &'static str,
    value: TagValue<'a>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "JaegerTagValue")]
enum TagValue<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl<'a> JsonTag<'a> {
    fn text(key: &'a str, text: &'a str) -> Self {
        Self { key, r#type: "string", value: TagValue::Text(text.into()) }
    }

    fn of(attribute: &'a Attribute) -> Self {
        let (r#type, value) = match &attribute.value {
            Value::Text(text) => ("string", TagValue::Text(text.into())),
            Value::Bool(flag) => ("bool", TagValue::Bool(*flag)),
            Value::Float(number) => ("float64", TagValue::Float(*number)),
            // Jaeger too writes such an integer as text, because JavaScript would round it.
            Value::Int(number) if number.unsigned_abs() > SAFE_INTEGER_MAX => {
                ("int64", TagValue::Text(number.to_string().into()))
            }
            Value::Int(number) => ("int64", TagValue::Int(*number)),
            // Jaeger's tags have no lists; Jaeger too writes a list as JSON text.
            Value::Texts(texts) => {
                ("string", TagValue::Text(serde_json::Value::from(texts.as_slice()).to_string().into()))
            }
        };
        Self { key: &attribute.key, r#type, value }
    }

    /// Whether the tag has this key, and `text` is its value written as text.
    pub(super) fn reads(&self, key: &str, text: &str) -> bool {
        self.key == key
            && match &self.value {
                TagValue::Text(own) => own == text,
                TagValue::Bool(flag) => text == if *flag { "true" } else { "false" },
                TagValue::Int(number) => number.to_string() == text,
                TagValue::Float(number) => number.to_string() == text,
            }
    }
}

/// Tags of a span in order of their names: scope, attributes, kind, status.
pub(super) fn of_span(span: &Span) -> Vec<JsonTag<'_>> {
    let mut tags =
        vec![JsonTag::text("otel.scope.name", SCOPE_NAME), JsonTag::text("otel.scope.version", SCOPE_VERSION)];
    tags.extend(span.attributes.iter().map(JsonTag::of));
    tags.push(JsonTag::text("span.kind", kind_name(span.kind)));
    if let SpanStatus::Error(text) = &span.status {
        tags.push(JsonTag::text("otel.status_code", "ERROR"));
        tags.push(JsonTag { key: "error", r#type: "bool", value: TagValue::Bool(true) });
        if !text.is_empty() {
            tags.push(JsonTag::text("otel.status_description", text));
        }
    }
    tags.sort_by_key(|tag| tag.key);
    tags
}

/// Tags of the process: the resource without `service.name`.
pub(super) fn of_process(batch: &SpanBatch) -> Vec<JsonTag<'_>> {
    let version = Some(&*batch.service_version).filter(|version| !version.is_empty());
    version.map(|version| JsonTag::text("service.version", version)).into_iter().collect()
}

/// Fields of a log: the event's name, then its attributes.
pub(super) fn of_event(event: &SpanEvent) -> Vec<JsonTag<'_>> {
    std::iter::once(JsonTag::text("event", &event.name)).chain(event.attributes.iter().map(JsonTag::of)).collect()
}
