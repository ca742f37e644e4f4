//! The environment variables, passed as a value, and the layer of the `TAILSPAN_*` variables among them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey, Shape};
use super::merge::{Layer, SetValue, refused};
use super::{endpoints, text};

/// The environment variables of a process, or of a test. The type has no `Debug`, because some of them are secrets.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<OsString, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    /// Collects pairs of name and value, as `std::env::vars_os()` gives them.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Env {
    /// The value of a variable; `None` if it is not set or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The home directory, from `HOME`; `None` if that is not set or empty.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// The value of the variable `name` as text; fails with an error about `key` if it is not UTF-8.
    pub(super) fn text(&self, name: &str, key: &ConfigKey) -> Result<Option<&str>, ConfigError> {
        let not_text = || refused(key, SetAt::Variable(name.to_owned()), "not valid UTF-8".to_owned());
        self.get(name).map(|value| value.to_str().ok_or_else(not_text)).transpose()
    }

    pub(super) fn layer(&self) -> Result<Layer, ConfigError> {
        self.refuse_unknown()?;
        let mut layer = Layer::default();
        for key in keys::all() {
            let Some(name) = key.variable() else { continue };
            let Some(value) = self.text(&name, key)? else { continue };
            let place = SetAt::Variable(name);
            if key.shape == Shape::Endpoints {
                layer.insert(key, SetValue::Endpoints(endpoints::of_variable(value, &place)?), place);
                continue;
            }
            match split(key.shape, value) {
                Some(value) => layer.insert(key, value, place),
                // Only a table of pairs can fail here. Its text is not shown, because its values may be secret.
                None => return Err(refused(key, place, "text that is not shown".to_owned())),
            }
        }
        Ok(layer)
    }

    fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let known: Vec<String> = keys::all().iter().filter_map(ConfigKey::variable).collect();
        for name in self.0.keys().map(|name| name.to_string_lossy()).filter(|name| name.starts_with("TAILSPAN_")) {
            if !known.iter().any(|known| *known == name) && !is_of_others(&name) {
                let nearest = keys::nearest(&name, known.into_iter());
                return Err(ConfigError::UnknownVariable { name: name.into_owned(), nearest });
            }
        }
        Ok(())
    }
}

/// Whether a `TAILSPAN_*` variable is no setting: it names the workflow for `tailspan stream`, is one of the tests or of the
/// build, or one that Kubernetes or
/// Docker links put into every container when a service is called `tailspan`.
fn is_of_others(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["TAILSPAN_TEST_", "TAILSPAN_SERVICE_HOST", "TAILSPAN_SERVICE_PORT", "TAILSPAN_PORT_"];
    matches!(name, "TAILSPAN_WORKFLOW" | "TAILSPAN_REVISION" | "TAILSPAN_PORT")
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn split(shape: Shape, value: &str) -> Option<SetValue> {
    let items = |separators: &[char]| -> Vec<String> {
        value.split(separators).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    match shape {
        Shape::Text | Shape::Count | Shape::Number | Shape::Size | Shape::Boolean => {
            Some(SetValue::Text(value.to_owned()))
        }
        Shape::List => Some(SetValue::List(items(&[',']))),
        Shape::Paths => Some(SetValue::Paths(items(&[',', ':']).into_iter().map(PathBuf::from).collect())),
        Shape::Map => text::pairs(value).map(SetValue::Map),
        Shape::Prices | Shape::Budgets | Shape::Rules | Shape::Patterns | Shape::Endpoints => None,
    }
}
