//! `[[metrics.custom]]`: reads the rules of custom metrics.

use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, integer, string, wrong};
use super::error::ConfigError;
use super::keys;
use crate::custom::{Event, Kind, RuleError, RuleText};
use crate::views::metrics::custom::compile;
use crate::views::metrics::rules::CustomRules;

const NAME: &str = "the name of the metric without tailspan_custom_ and _total, like \"test_runs\"";
const HELP: &str = "a sentence that says what is counted";
const ON: &str = "\"prompt\", \"message\", \"tool_call\", \"tool_result\", \"turn\", \"subagent\", \"api_error\", \"compaction\" or \"session\"";
const WHEN: &str = "a condition in CEL, as text";
const VALUE: &str = "a number in CEL, as text, like \"1\" or \"duration_seconds\"";
const KIND: &str = "\"counter\" or \"histogram\"";
const BUCKETS: &str = "an array of numbers, the upper bounds of the buckets, for a histogram and nothing else";
const LABELS: &str = "a table of label names, each with a text in CEL, like { outcome = \"outcome\" }";

const FIELDS: [&str; 8] = ["name", "help", "on", "when", "value", "kind", "buckets", "labels"];

pub(super) fn rules(document: &Document<'_>, path: &str, array: &DeArray<'_>) -> Result<CustomRules, ConfigError> {
    let one = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
        let (path, offset) = (format!("{path}[{index}]"), item.span().start);
        match item.get_ref() {
            DeValue::Table(table) => RuleFields { document, path, offset, table }.rule(),
            other => Err(wrong(document.place(offset), path, other, "a table")),
        }
    };
    let texts = array.iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()?;
    compile(texts).map_err(|RuleError { rule, key, at, message }| {
        let item = array.get(rule).or_else(|| array.first());
        let offset = item.map_or(0, |item| place_of(item, &key).unwrap_or(item.span().start));
        ConfigError::Rule { place: document.place(offset), key: format!("{path}[{rule}].{key}"), at, message }
    })
}

/// Where a key of a rule stands, `labels.outcome` for example.
fn place_of(item: &toml::Spanned<DeValue<'_>>, key: &str) -> Option<usize> {
    let mut table = item.get_ref();
    let mut place = None;
    for name in key.splitn(2, '.') {
        let DeValue::Table(fields) = table else { return place };
        let Some((found, value)) = fields.get_key_value(name) else { return place };
        place = Some(found.span().start);
        table = value.get_ref();
    }
    place
}

/// The fields of one rule, with the path and the place that an error about them names.
struct RuleFields<'a> {
    document: &'a Document<'a>,
    path: String,
    offset: usize,
    table: &'a DeTable<'a>,
}

impl RuleFields<'_> {
    fn rule(&self) -> Result<RuleText, ConfigError> {
        self.refuse_unknown()?;
        let text = |value: &DeValue<'_>| string(value);
        let is_histogram = |value: &DeValue<'_>| match string(value)?.as_str() {
            "counter" => Some(false),
            "histogram" => Some(true),
            _ => None,
        };
        let is_histogram = self.optional("kind", KIND, is_histogram)?.unwrap_or(false);
        let kind = if is_histogram {
            Kind::Histogram(self.required("buckets", BUCKETS, numbers)?)
        } else if self.table.contains_key("buckets") {
            return Err(self.refused("buckets", BUCKETS));
        } else {
            Kind::Counter
        };
        let value = match &kind {
            Kind::Counter => self.optional("value", VALUE, text)?,
            Kind::Histogram(_) => Some(self.required("value", VALUE, text)?),
        };
        Ok(RuleText {
            name: self.required("name", NAME, text)?,
            help: self.required("help", HELP, text)?,
            on: self.required("on", ON, |value| Event::named(&string(value)?))?,
            when: self.optional("when", WHEN, text)?,
            value,
            kind,
            labels: self.optional("labels", LABELS, labels)?.unwrap_or_default(),
        })
    }

    fn required<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let missing = || ConfigError::Missing {
            place: self.document.place(self.offset),
            key: format!("{}.{name}", self.path),
            expected,
        };
        self.optional(name, expected, parse)?.ok_or_else(missing)
    }

    fn optional<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(name) else { return Ok(None) };
        parse(value.get_ref()).map(Some).ok_or_else(|| self.refused(name, expected))
    }

    /// The error for a field that has a value which it cannot have.
    fn refused(&self, name: &str, expected: &'static str) -> ConfigError {
        let key = format!("{}.{name}", self.path);
        match self.table.get_key_value(name) {
            Some((at, value)) => wrong(self.document.place(at.span().start), key, value.get_ref(), expected),
            None => ConfigError::Missing { place: self.document.place(self.offset), key, expected },
        }
    }

    fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let unknown = self.table.iter().find(|(name, _)| !FIELDS.iter().any(|known| known == name.get_ref()));
        let Some((name, _)) = unknown else { return Ok(()) };
        let full = |name: &str| format!("{}.{name}", self.path);
        Err(ConfigError::UnknownKey {
            place: self.document.place(name.span().start),
            key: full(name.get_ref()),
            nearest: keys::nearest(&full(name.get_ref()), FIELDS.into_iter().map(full)),
        })
    }
}

fn numbers(value: &DeValue<'_>) -> Option<Vec<f64>> {
    let DeValue::Array(array) = value else { return None };
    let number = |item: &DeValue<'_>| match item {
        DeValue::Float(float) => float.as_str().parse().ok(),
        other => integer(other)?.parse().ok(),
    };
    array.iter().map(|item| number(item.get_ref())).collect()
}

fn labels(value: &DeValue<'_>) -> Option<Vec<(String, String)>> {
    let DeValue::Table(table) = value else { return None };
    table.iter().map(|(name, value)| Some((name.get_ref().to_string(), string(value.get_ref())?))).collect()
}
