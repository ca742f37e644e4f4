//! Reads the configuration file into a layer.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::document::{Document, wrong};
use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey, Shape};
use super::merge::{Layer, SetValue};
use super::{budgets, custom, endpoints, patterns, prices};

pub(super) fn layer(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let document = Document { path, text: &text };
    // The parser's own message shows the line, which may hold a secret.
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        place: document.place(error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', ", "),
    })?;
    let mut layer = Layer::default();
    section(&document, "", table.get_ref(), &mut layer)?;
    Ok(layer)
}

/// Fills `layer` from the table at `prefix`. Tables are no deeper than the parser allows (80).
fn section(document: &Document<'_>, prefix: &str, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), ConfigError> {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let place = document.place(name.span().start);
        match (keys::find(&path), value.get_ref()) {
            (Some(key), value) => layer.insert(key, value_of(document, key, value, &place)?, place),
            (None, DeValue::Table(table)) if keys::is_section(&path) => section(document, &path, table, layer)?,
            (None, value) if keys::is_section(&path) => return Err(wrong(place, path, value, "a table")),
            (None, value) => return Err(unknown(document, path, value, place)),
        }
    }
    Ok(())
}

/// The error about an unknown key. For an unknown table it names the first key in it, which tells the user more.
fn unknown(document: &Document<'_>, path: String, value: &DeValue<'_>, place: SetAt) -> ConfigError {
    let first = match value {
        DeValue::Table(table) => table.iter().next(),
        _ => None,
    };
    if let Some((name, value)) = first {
        let path = format!("{path}.{}", name.get_ref());
        return unknown(document, path, value.get_ref(), document.place(name.span().start));
    }
    let nearest = keys::nearest(&path, keys::known_keys().map(str::to_owned));
    ConfigError::UnknownKey { place, key: path, nearest }
}

fn value_of(
    document: &Document<'_>,
    key: &ConfigKey,
    value: &DeValue<'_>,
    place: &SetAt,
) -> Result<SetValue, ConfigError> {
    match (key.shape, value) {
        (Shape::Prices, DeValue::Array(array)) => prices::overrides(document, key.path, array).map(SetValue::Prices),
        (Shape::Budgets, DeValue::Array(array)) => budgets::budgets(document, key.path, array).map(SetValue::Budgets),
        (Shape::Rules, DeValue::Array(array)) => custom::rules(document, key.path, array).map(SetValue::Rules),
        (Shape::Patterns, DeValue::Table(table)) => {
            patterns::patterns(document, key.path, table).map(SetValue::Patterns)
        }
        (Shape::Endpoints, DeValue::Table(table)) => endpoints::of_table(document, table).map(SetValue::Endpoints),
        _ => document.value(key, value, place),
    }
}
