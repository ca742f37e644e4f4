//! The layer of the configuration file. Values are read from the parse tree, because it knows the line of every key
//! and keeps decimals as they are written.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::keys::{self, Key, Shape};
use super::merge::{Layer, Value, quoted};
use super::{endpoints, prices};

/// A file that is being read.
pub(super) struct Document<'a> {
    path: &'a Path,
    text: &'a str,
}

pub(super) fn layer(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let document = Document { path, text: &text };
    // The parser's own message shows the line, which may hold a secret.
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        place: document.place(error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', ", "),
    })?;
    let mut layer = Layer::default();
    document.section("", table.get_ref(), &mut layer)?;
    Ok(layer)
}

impl Document<'_> {
    /// The line of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Place::File { path: self.path.to_owned(), line }
    }

    /// Fills `layer` from the table at `prefix`. Tables are no deeper than the parser allows (80).
    fn section(&self, prefix: &str, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), ConfigError> {
        for (name, value) in table {
            let path =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let place = self.place(name.span().start);
            match (keys::find(&path), value.get_ref()) {
                (Some(key), value) => layer.insert(key, self.value(key, value, &place)?, place),
                (None, DeValue::Table(table)) if keys::is_section(&path) => self.section(&path, table, layer)?,
                (None, value) if keys::is_section(&path) => return Err(wrong(place, path, value, "a table")),
                (None, value) => return Err(self.unknown(path, value, place)),
            }
        }
        Ok(())
    }

    /// The error about an unknown key; of an unknown table, about its first key, which says more.
    fn unknown(&self, path: String, value: &DeValue<'_>, place: Place) -> ConfigError {
        let first = match value {
            DeValue::Table(table) => table.iter().next(),
            _ => None,
        };
        if let Some((name, value)) = first {
            let path = format!("{path}.{}", name.get_ref());
            return self.unknown(path, value.get_ref(), self.place(name.span().start));
        }
        let nearest = keys::nearest(&path, keys::known_keys().map(str::to_owned));
        ConfigError::UnknownKey { place, key: path, nearest }
    }

    pub(super) fn value(&self, key: &Key, value: &DeValue<'_>, place: &Place) -> Result<Value, ConfigError> {
        let of_shape = match (key.shape, value) {
            (Shape::Prices, DeValue::Array(array)) => {
                return prices::overrides(self, key.path, array).map(Value::Prices);
            }
            (Shape::Endpoints, DeValue::Table(table)) => {
                return endpoints::of_table(self, table).map(Value::Endpoints);
            }
            (Shape::Text | Shape::Size, DeValue::String(text)) => Some(Value::Text(text.to_string())),
            (Shape::Count | Shape::Size, DeValue::Integer(_)) => integer(value).map(Value::Text),
            (Shape::Boolean, DeValue::Boolean(boolean)) => Some(Value::Text(boolean.to_string())),
            (Shape::List, DeValue::Array(array)) => strings(array.iter().map(|item| item.get_ref())).map(Value::List),
            (Shape::Paths, DeValue::Array(array)) => strings(array.iter().map(|item| item.get_ref()))
                .map(|paths: Vec<String>| Value::Paths(paths.into_iter().map(PathBuf::from).collect())),
            (Shape::Map, DeValue::Table(table)) => table
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), string(value.get_ref())?)))
                .collect::<Option<_>>()
                .map(Value::Map),
            _ => None,
        };
        of_shape.ok_or_else(|| wrong(place.clone(), key.path.to_owned(), value, key.expected))
    }
}

/// The error about a value of the wrong type.
pub(super) fn wrong(place: Place, key: String, value: &DeValue<'_>, expected: &'static str) -> ConfigError {
    ConfigError::Value { place, key, got: describe(value), expected }
}

/// A whole number in decimal, whatever base it is written in.
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

fn strings<'a, 'i: 'a>(values: impl Iterator<Item = &'a DeValue<'i>>) -> Option<Vec<String>> {
    values.map(string).collect()
}

fn describe(value: &DeValue<'_>) -> String {
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
