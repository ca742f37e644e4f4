//! Reads spans and their attributes.

use tailspan::views::traces::span::{Attribute, Span, Value};

use super::world::World;

/// The spans that wait to be sent, oldest first; they go on waiting.
pub(crate) fn waiting(world: &mut World) -> Vec<Span> {
    let rows = world.outbox.as_mut().unwrap().peek(usize::MAX, usize::MAX).unwrap();
    rows.into_iter().flat_map(|(_, batch)| batch.spans).collect()
}

pub(crate) fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

pub(crate) fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match value(&span.attributes, key) {
        Some(Value::Text(text)) => Some(text),
        None => None,
        other => panic!("{key} is {other:?}"),
    }
}

pub(crate) fn int(span: &Span, key: &str) -> Option<i64> {
    match value(&span.attributes, key) {
        Some(Value::Int(int)) => Some(*int),
        None => None,
        other => panic!("{key} is {other:?}"),
    }
}

pub(crate) fn count(span: &Span, key: &str) -> u64 {
    u64::try_from(int(span, key).unwrap_or(0)).unwrap()
}

pub(crate) fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}
