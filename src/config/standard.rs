//! Reads the standard `OTEL_*` variables, which are weaker than the keys of this program.

use std::collections::BTreeMap;

use super::env::Env;
use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey, Shape};
use super::merge::{Layer, SetValue, quoted, refused};
use super::otlp::Signal;
use super::text;

const PROTOCOL: &str = "http/protobuf";
const MILLISECONDS: ConfigKey = ConfigKey {
    path: "otlp.timeout",
    shape: Shape::Count,
    expected: "a whole number of milliseconds from 1 to 600000",
};
const ATTRIBUTES: ConfigKey = ConfigKey {
    path: "resource attributes",
    shape: Shape::Map,
    expected: "name=value pairs, separated by commas, percent-encoded",
};

/// Whether `OTEL_SDK_DISABLED` turns export off.
pub(super) fn is_disabled(env: &Env) -> bool {
    env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether the standard variables name an endpoint.
pub(super) fn has_endpoint(env: &Env) -> bool {
    variable(env, Signal::TraceSettings, "ENDPOINT", &keys::OTLP_ENDPOINT).is_ok_and(|found| found.is_some())
}

/// The layer of the standard variables for `signal`. To be called only if something is exported: values that are not
/// valid are errors.
pub(super) fn layer(env: &Env, signal: Signal) -> Result<Layer, ConfigError> {
    if let Some((name, protocol)) = variable(env, signal, "PROTOCOL", &keys::OTLP_ENDPOINT)?
        && protocol != PROTOCOL
    {
        return Err(ConfigError::Protocol { place: SetAt::Variable(name), got: quoted(protocol) });
    }
    let mut layer = Layer::default();
    for (suffix, key) in [
        ("ENDPOINT", &keys::OTLP_ENDPOINT),
        ("COMPRESSION", &keys::OTLP_COMPRESSION),
        ("CERTIFICATE", &keys::OTLP_CA),
        ("CLIENT_CERTIFICATE", &keys::OTLP_CERTIFICATE),
        ("CLIENT_KEY", &keys::OTLP_KEY),
    ] {
        if let Some((name, value)) = variable(env, signal, suffix, key)? {
            layer.insert(key, SetValue::Text(value.to_owned()), SetAt::Variable(name));
        }
    }
    if let Some((name, value)) = variable(env, signal, "TIMEOUT", &MILLISECONDS)? {
        let place = SetAt::Variable(name);
        let timeout =
            text::count(value, 1..=600_000).ok_or_else(|| refused(&MILLISECONDS, place.clone(), quoted(value)))?;
        layer.insert(&keys::OTLP_TIMEOUT, SetValue::Text(format!("{timeout}ms")), place);
    }
    if let Some((name, value)) = variable(env, signal, "HEADERS", &keys::OTLP_HEADERS)? {
        let place = SetAt::Variable(name);
        let hidden = || refused(&keys::OTLP_HEADERS, place.clone(), "text that is not shown".to_owned());
        layer.insert(&keys::OTLP_HEADERS, SetValue::Map(text::pairs(value).ok_or_else(hidden)?), place.clone());
    }
    Ok(layer)
}

/// Resource attributes. `OTEL_SERVICE_NAME` is stronger than a `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, as the
/// OpenTelemetry specification says.
pub(super) fn resource(env: &Env) -> Result<BTreeMap<String, String>, ConfigError> {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let given = env.text(VARIABLE, &ATTRIBUTES)?.unwrap_or_default();
    let refusal = || refused(&ATTRIBUTES, SetAt::Variable(VARIABLE.to_owned()), quoted(given));
    let mut resource = text::pairs(given).ok_or_else(refusal)?;
    if let Some(name) = env.text("OTEL_SERVICE_NAME", &ATTRIBUTES)? {
        resource.insert("service.name".to_owned(), name.to_owned());
    }
    Ok(resource)
}

/// The name and value of a standard variable: the one for `signal` alone if it is set, else the one for all signals.
fn variable<'e>(
    env: &'e Env,
    signal: Signal,
    suffix: &str,
    key: &ConfigKey,
) -> Result<Option<(String, &'e str)>, ConfigError> {
    for name in [signal.variable(suffix), format!("OTEL_EXPORTER_OTLP_{suffix}")] {
        if let Some(value) = env.text(&name, key)? {
            return Ok(Some((name, value.trim())));
        }
    }
    Ok(None)
}
