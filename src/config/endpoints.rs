//! `[otlp.endpoints]`: further endpoints for spans. Each has a layer of its own above the keys that it may take from
//! `[otlp]`.
//!
//! Headers and client certificates are never taken from `[otlp]`: they are secrets that belong to another endpoint.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::document::{Document, wrong};
use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey};
use super::merge::{Endpoints, Layer, SetValue, quoted, refused};
use super::otlp;
use super::otlp::Signal;
use super::settings::OtlpSettings;

/// Name of the endpoint that `otlp.endpoint` gives.
pub(super) const DEFAULT: &str = "default";
const ENDPOINTS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
const NAME: &str =
    "a name of at most 64 letters, digits, `-` and `_`, other than `default`, which is the one of `otlp.endpoint`";
const ENDPOINT: &str = "a URL, or a table with `endpoint`";

const FIELDS: [&ConfigKey; 7] = [
    &keys::OTLP_ENDPOINT,
    &keys::OTLP_HEADERS,
    &keys::OTLP_TIMEOUT,
    &keys::OTLP_COMPRESSION,
    &keys::OTLP_CA,
    &keys::OTLP_CERTIFICATE,
    &keys::OTLP_KEY,
];
const INHERITED: [&ConfigKey; 3] = [&keys::OTLP_TIMEOUT, &keys::OTLP_COMPRESSION, &keys::OTLP_CA];
const SECRETS: [&ConfigKey; 3] = [&keys::OTLP_HEADERS, &keys::OTLP_CERTIFICATE, &keys::OTLP_KEY];

pub(super) fn of_table(document: &Document<'_>, table: &DeTable<'_>) -> Result<Endpoints, ConfigError> {
    let mut endpoints = Endpoints::new();
    for (name, value) in table {
        let (place, name) = (document.place(name.span().start), name.get_ref().to_string());
        check_name(&name, &place)?;
        let mut layer = Layer::default();
        match value.get_ref() {
            DeValue::String(url) => {
                layer.insert(&keys::OTLP_ENDPOINT, SetValue::Text(url.to_string()), place.clone());
            }
            DeValue::Table(fields) => read_fields(document, &name, fields, &mut layer)?,
            other => return Err(wrong(place, format!("{}.{name}", keys::OTLP_ENDPOINTS.path), other, ENDPOINT)),
        }
        endpoints.insert(name, (place, layer));
    }
    Ok(endpoints)
}

fn read_fields(
    document: &Document<'_>,
    name: &str,
    fields: &DeTable<'_>,
    layer: &mut Layer,
) -> Result<(), ConfigError> {
    for (field, value) in fields {
        let place = document.place(field.span().start);
        let Some(key) = FIELDS.into_iter().find(|key| key.path == format!("otlp.{}", field.get_ref())) else {
            let key = format!("{}.{name}.{}", keys::OTLP_ENDPOINTS.path, field.get_ref());
            let nearest = keys::nearest(&key, FIELDS.into_iter().map(|known| path(known, name)));
            return Err(ConfigError::UnknownKey { place, key, nearest });
        };
        let value = document.value(key, value.get_ref(), &place).map_err(|error| of_endpoint(error, name))?;
        layer.insert(key, value, place);
    }
    Ok(())
}

/// Reads endpoints from a variable's text, `name=URL,...`.
pub(super) fn of_variable(text: &str, place: &SetAt) -> Result<Endpoints, ConfigError> {
    let mut endpoints = Endpoints::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        // The text is not repeated in the message, because a URL may hold a secret.
        let hidden = || refused(&keys::OTLP_ENDPOINTS, place.clone(), "text that is not shown".to_owned());
        let (name, url) = part.split_once('=').ok_or_else(hidden)?;
        check_name(name.trim(), place)?;
        let mut layer = Layer::default();
        layer.insert(&keys::OTLP_ENDPOINT, SetValue::Text(url.trim().to_owned()), place.clone());
        if endpoints.insert(name.trim().to_owned(), (place.clone(), layer)).is_some() {
            return Err(refused(&keys::OTLP_ENDPOINTS, place.clone(), format!("a list with two of `{}`", name.trim())));
        }
    }
    Ok(endpoints)
}

/// Every endpoint, that of `otlp.endpoint` first, and a notice for each setting that has no effect.
pub(super) fn all(layer: &Layer, home: Option<&Path>) -> Result<(Vec<OtlpSettings>, Vec<String>), ConfigError> {
    let mut all: Vec<OtlpSettings> = otlp::otlp(DEFAULT, Signal::TraceSettings, layer, home)?.into_iter().collect();
    let given = match layer.get(&keys::OTLP_ENDPOINTS) {
        Some(given) => match &given.value {
            SetValue::Endpoints(endpoints) if endpoints.len() > ENDPOINTS_MAX => {
                let got = format!("a list of {} endpoints", endpoints.len());
                return Err(refused(&keys::OTLP_ENDPOINTS, given.place.clone(), got));
            }
            SetValue::Endpoints(endpoints) => endpoints.clone(),
            _ => Endpoints::new(),
        },
        None => Endpoints::new(),
    };
    for (name, (place, own)) in &given {
        let mut whole = Layer::default();
        for key in INHERITED {
            if let Some(given) = layer.get(key) {
                whole.insert(key, given.value.clone(), given.place.clone());
            }
        }
        whole.overlay(own.clone());
        let missing = || ConfigError::Missing {
            place: place.clone(),
            key: path(&keys::OTLP_ENDPOINT, name),
            expected: keys::OTLP_ENDPOINT.expected,
        };
        let otlp = otlp::otlp(name, Signal::TraceSettings, &whole, home).map_err(|error| of_endpoint(error, name))?;
        all.push(otlp.ok_or_else(missing)?);
    }
    let notices = without_effect(layer, &given, &all);
    Ok((all, notices))
}

fn without_effect(layer: &Layer, given: &Endpoints, all: &[OtlpSettings]) -> Vec<String> {
    let mut notices = Vec::new();
    let mut say = |layer: &Layer, name: &str, keys: &[&ConfigKey], why: &str| {
        for key in keys {
            if let Some(given) = layer.get(key) {
                notices.push(format!("{}: `{}` has no effect: {why}", given.place, path(key, name)));
            }
        }
    };
    let is_plain = |otlp: &OtlpSettings| otlp.endpoint.scheme_str() != Some("https");
    if all.iter().all(is_plain) && !all.is_empty() {
        say(layer, DEFAULT, &[&keys::OTLP_CA], "no endpoint is https");
    }
    for otlp in all.iter().filter(|otlp| is_plain(otlp)) {
        match given.get(&otlp.name) {
            None => say(layer, DEFAULT, &[&keys::OTLP_CERTIFICATE, &keys::OTLP_KEY], "the endpoint is http, not https"),
            Some((_, own)) => {
                let keys = [&keys::OTLP_CA, &keys::OTLP_CERTIFICATE, &keys::OTLP_KEY];
                say(own, &otlp.name, &keys, "the endpoint is http, not https");
            }
        }
    }
    if !all.is_empty() && all.iter().all(|otlp| otlp.name != DEFAULT) {
        say(layer, DEFAULT, &SECRETS, "there is no `otlp.endpoint`, and other endpoints do not take it");
    }
    notices
}

fn check_name(name: &str, place: &SetAt) -> Result<(), ConfigError> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_plain && !name.is_empty() && name.len() <= NAME_BYTES_MAX && name != DEFAULT {
        return Ok(());
    }
    Err(ConfigError::SetValue {
        place: place.clone(),
        key: keys::OTLP_ENDPOINTS.path.to_owned(),
        got: format!("a table with {}", quoted(name)),
        expected: NAME,
    })
}

/// The full path of `key` for the endpoint `name`.
fn path(key: &ConfigKey, name: &str) -> String {
    match key.path.strip_prefix("otlp.") {
        Some(field) if name != DEFAULT => format!("{}.{name}.{field}", keys::OTLP_ENDPOINTS.path),
        _ => key.path.to_owned(),
    }
}

/// Turns an error that names a key of `[otlp]` into one that names the same key of the endpoint `name`.
fn of_endpoint(error: ConfigError, name: &str) -> ConfigError {
    let renamed = |key: &str| match key.strip_prefix("otlp.") {
        Some(field) => format!("{}.{name}.{field}", keys::OTLP_ENDPOINTS.path),
        None => key.to_owned(),
    };
    match error {
        ConfigError::SetValue { place, key, got, expected } => {
            ConfigError::SetValue { place, key: renamed(&key), got, expected }
        }
        ConfigError::Missing { place, key, expected } => ConfigError::Missing { place, key: renamed(&key), expected },
        other => other,
    }
}
