//! Reads values from a configuration file. They are taken from the parse tree, because it knows the line of every key
//! and keeps decimals as they are written.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::error::{ConfigError, SetAt};
use super::keys::{ConfigKey, Shape};
use super::merge::{SetValue, quoted};

/// A configuration file: its path, for messages, and its whole text.
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Document<'_> {
    /// The line in which the byte at `offset` stands.
    pub(super) fn place(&self, offset: usize) -> SetAt {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        SetAt::File { path: self.path.to_owned(), line }
    }

    /// Reads a value for `key`, whose shape is not one of those with tables of their own ([`Shape::Prices`],
    /// [`Shape::Budgets`], [`Shape::Rules`], [`Shape::Patterns`], [`Shape::Endpoints`]).
    pub(super) fn value(&self, key: &ConfigKey, value: &DeValue<'_>, place: &SetAt) -> Result<SetValue, ConfigError> {
        let of_shape = match (key.shape, value) {
            (Shape::Number, DeValue::Float(float)) => Some(SetValue::Text(float.as_str().replace('_', ""))),
            (Shape::Text | Shape::Size | Shape::Number, DeValue::String(text)) => {
                Some(SetValue::Text(text.to_string()))
            }
            (Shape::Count | Shape::Size | Shape::Number, DeValue::Integer(_)) => integer(value).map(SetValue::Text),
            (Shape::Boolean, DeValue::Boolean(boolean)) => Some(SetValue::Text(boolean.to_string())),
            (Shape::List, DeValue::Array(array)) => {
                strings(array.iter().map(|item| item.get_ref())).map(SetValue::List)
            }
            (Shape::Paths, DeValue::Array(array)) => strings(array.iter().map(|item| item.get_ref()))
                .map(|paths: Vec<String>| SetValue::Paths(paths.into_iter().map(PathBuf::from).collect())),
            (Shape::Map, DeValue::Table(table)) => table
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), string(value.get_ref())?)))
                .collect::<Option<_>>()
                .map(SetValue::Map),
            _ => None,
        };
        of_shape.ok_or_else(|| wrong(place.clone(), key.path.to_owned(), value, key.expected))
    }
}

/// The error for a value of the wrong type.
pub(super) fn wrong(place: SetAt, key: String, value: &DeValue<'_>, expected: &'static str) -> ConfigError {
    ConfigError::SetValue { place, key, got: describe(value), expected }
}

/// A whole number as decimal text, whatever base it is written in; `None` if the value is no integer.
pub(super) fn integer(value: &DeValue<'_>) -> Option<String> {
    let DeValue::Integer(integer) = value else { return None };
    i128::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number.to_string())
}

pub(super) fn string(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    }
}

pub(super) fn strings<'a, 'i: 'a>(values: impl Iterator<Item = &'a DeValue<'i>>) -> Option<Vec<String>> {
    values.map(string).collect()
}

pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(integer) => format!("the integer {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(boolean) => format!("the boolean {boolean}"),
        DeValue::Datetime(datetime) => format!("the time {datetime}"),
        DeValue::Array(array) if array.iter().all(|item| string(item.get_ref()).is_some()) => "an array".to_owned(),
        DeValue::Array(_) => "an array with other things than text".to_owned(),
        DeValue::Table(table) if table.iter().all(|(_, item)| string(item.get_ref()).is_some()) => "a table".to_owned(),
        DeValue::Table(_) => "a table with other things than text".to_owned(),
    }
}
