//! Layers of settings. Each source gives text, lists or tables by key; for each key the strongest source wins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::{ConfigError, SetAt};
use super::keys::ConfigKey;
use crate::ledger::prices::Override;
use crate::views::analytics::budgets::Budget;
use crate::views::analytics::patterns::settings::PatternSettings;
use crate::views::metrics::rules::CustomRules;

/// A value before it is checked. It has no `Debug`, because it may hold secrets.
#[derive(Clone)]
pub(super) enum SetValue {
    /// A single value as text, so that one parser per key serves file, variable and flag.
    Text(String),
    List(Vec<String>),
    Paths(Vec<PathBuf>),
    Map(BTreeMap<String, String>),
    Prices(Vec<Override>),
    Budgets(Vec<Budget>),
    Rules(CustomRules),
    Patterns(SetPatterns),
    Endpoints(Endpoints),
}

/// The settings of patterns, and where the model was named, whose price can only be looked up once all prices are known.
#[derive(Clone)]
pub(super) struct SetPatterns {
    pub(super) settings: PatternSettings,
    pub(super) cheaper_model_at: Option<SetAt>,
}

impl SetValue {
    fn describe(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(items) => quoted(&items.join(", ")),
            Self::Paths(paths) => format!("{paths:?}"),
            // The values of headers may be secret.
            Self::Map(_) => "a table whose values are not shown".to_owned(),
            Self::Endpoints(_) => "a table of endpoints".to_owned(),
            Self::Patterns(_) => "a table of patterns".to_owned(),
            Self::Prices(_) | Self::Budgets(_) | Self::Rules(_) => "an array of tables".to_owned(),
        }
    }
}

#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: SetValue,
    pub(super) place: SetAt,
}

/// Endpoints by name: where each was given, and what was given.
pub(super) type Endpoints = BTreeMap<String, (SetAt, Layer)>;

#[derive(Clone, Default)]
pub(super) struct Layer(BTreeMap<&'static str, Given>);

impl Layer {
    pub(super) fn insert(&mut self, key: &ConfigKey, value: SetValue, place: SetAt) {
        self.0.insert(key.path, Given { value, place });
    }

    pub(super) fn remove(&mut self, key: &ConfigKey) {
        self.0.remove(key.path);
    }

    /// Puts a stronger layer on top: its values replace those of the same key.
    pub(super) fn overlay(&mut self, stronger: Self) {
        self.0.extend(stronger.0);
    }

    pub(super) fn get(&self, key: &ConfigKey) -> Option<&Given> {
        self.0.get(key.path)
    }

    /// The value of `key` as `parse` reads it; `None` if it is not given. Fails if `parse` returns `None`.
    pub(super) fn read<T>(
        &self,
        key: &ConfigKey,
        parse: impl FnOnce(&SetValue) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.get(key) else { return Ok(None) };
        parse(&given.value).map(Some).ok_or_else(|| refused(key, given.place.clone(), given.value.describe()))
    }

    /// [`Layer::read`] for single values.
    pub(super) fn text<T>(
        &self,
        key: &ConfigKey,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.read(key, |value| match value {
            SetValue::Text(text) => parse(text),
            _ => None,
        })
    }

    /// [`Layer::read`] for lists; `parse` reads one item.
    pub(super) fn list<T, C: FromIterator<T>>(
        &self,
        key: &ConfigKey,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<C>, ConfigError> {
        self.read(key, |value| match value {
            SetValue::List(items) => items.iter().map(|item| parse(item)).collect(),
            _ => None,
        })
    }
}

pub(super) fn refused(key: &ConfigKey, place: SetAt, got: String) -> ConfigError {
    ConfigError::SetValue { place, key: key.path.to_owned(), got, expected: key.expected }
}

/// Most characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 80;

/// Text as a message shows it: in quotes, with control characters escaped, cut to [`SHOWN_CHARS_MAX`] characters.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() { format!("{shown:?}...") } else { format!("{shown:?}") }
}
