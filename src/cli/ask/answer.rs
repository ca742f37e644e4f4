//! An answer of the API, and reading values out of it. What is missing, or of another type, is `None`: a sidecar of
//! another version may tell less.

use serde_json::Value;

use crate::ledger::money::Money;

/// An answer: the bytes as they came, and what they say.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    pub(in crate::cli) body: Vec<u8>,
    pub(in crate::cli) json: Value,
}

/// The text at a place (RFC 6901).
pub(in crate::cli) fn text<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value.pointer(place)?.as_str()
}

/// The text at a place, unless it is empty.
pub(in crate::cli) fn some_text(value: &Value, place: &str) -> Option<String> {
    text(value, place).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// The whole number at a place.
pub(in crate::cli) fn count(value: &Value, place: &str) -> Option<u64> {
    value.pointer(place)?.as_u64()
}

/// The number at a place.
pub(in crate::cli) fn number(value: &Value, place: &str) -> Option<f64> {
    value.pointer(place)?.as_f64()
}

/// The exact amount of US dollars at a place.
pub(in crate::cli) fn money(value: &Value, place: &str) -> Option<Money> {
    Money::parse_usd(text(value, place)?)
}

/// The list at a place; empty if there is none.
pub(in crate::cli) fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    value.pointer(place).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All tokens of a row, of every kind.
pub(in crate::cli) fn tokens(row: &Value) -> Option<u64> {
    let kinds = row.pointer("/tokens")?.as_object()?;
    Some(kinds.values().filter_map(Value::as_u64).fold(0, u64::saturating_add))
}
