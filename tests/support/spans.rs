//! Reads attributes of spans.

use tailspan::views::traces::span::{Attribute, Span, Value};

pub(super) fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

pub(super) fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match value(&span.attributes, key) {
        Some(Value::Text(text)) => Some(text),
        None => None,
        other => panic!("{key} is {other:?}"),
    }
}

pub(super) fn int(span: &Span, key: &str) -> Option<i64> {
    match value(&span.attributes, key) {
        Some(Value::Int(int)) => Some(*int),
        None => None,
        other => panic!("{key} is {other:?}"),
    }
}

pub(super) fn count(span: &Span, key: &str) -> u64 {
    u64::try_from(int(span, key).unwrap_or(0)).unwrap()
}

pub(super) fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}
