//! Collects the attributes of a span.

use super::text::{VALUE_BYTES_MAX, printable};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::seconds;
use crate::views::traces::attributes;
use crate::views::traces::span::{Attribute, Value};

/// Attributes in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct AttributeList(Vec<Attribute>);

impl AttributeList {
    /// Returns the attributes, in no more memory than they need: a large trace has thousands of such lists.
    pub(super) fn done(mut self) -> Vec<Attribute> {
        self.0.shrink_to_fit();
        self.0
    }

    fn put(&mut self, key: &'static str, value: Value) {
        self.0.push(Attribute { key: key.into(), value });
    }

    /// Adds a word of this program, which cannot hold a secret.
    pub(super) fn word(&mut self, key: &'static str, word: &'static str) {
        self.put(key, Value::Text(word.to_owned()));
    }

    /// Adds a text from outside, made printable. An empty text is left out.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.put(key, Value::Text(printable(text, VALUE_BYTES_MAX)));
        }
    }

    pub(super) fn maybe_text(&mut self, key: &'static str, text: Option<&str>) {
        self.text(key, text.unwrap_or_default());
    }

    /// Adds a list of ids that this program made.
    pub(super) fn several(&mut self, key: &'static str, ids: impl Iterator<Item = String>) {
        self.put(key, Value::Texts(ids.collect()));
    }

    pub(super) fn one_of(&mut self, key: &'static str, text: &str) {
        self.put(key, Value::Texts(vec![printable(text, VALUE_BYTES_MAX)]));
    }

    /// Adds a count. Counts from 2^63 on become 2^63 - 1, because OTLP has no larger integers.
    pub(super) fn count(&mut self, key: &'static str, count: u64) {
        self.put(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    }

    pub(super) fn number(&mut self, key: &'static str, number: impl Into<i64>) {
        self.put(key, Value::Int(number.into()));
    }

    pub(super) fn seconds(&mut self, key: &'static str, milliseconds: u64) {
        self.put(key, Value::Float(seconds(milliseconds)));
    }

    pub(super) fn dollars(&mut self, key: &'static str, money: Money) {
        self.put(key, Value::Float(money.to_f64()));
    }

    pub(super) fn flag(&mut self, key: &'static str) {
        self.put(key, Value::Bool(true));
    }

    /// Adds the prompt tokens, those read from and written to the cache included, and the generated tokens.
    pub(super) fn usage(&mut self, tokens: Tokens) {
        self.count(attributes::INPUT_TOKENS, tokens.prompt());
        self.count(attributes::OUTPUT_TOKENS, tokens.output);
    }
}
