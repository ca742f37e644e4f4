//! Where spans go: the `otlp.*` keys, and the standard `OTEL_*` variables below them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::env::Env;
use super::error::{ConfigError, Place};
use super::keys::{self, Key, Shape};
use super::merge::{Layer, Value, quoted, refused};
use super::{ClientTls, Compression, Otlp, Tls, text};

const PROTOCOL: &str = "http/protobuf";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

const MILLISECONDS: Key =
    Key { path: "otlp.timeout", shape: Shape::Count, expected: "a whole number of milliseconds from 1 to 600000" };
const ATTRIBUTES: Key = Key {
    path: "resource attributes",
    shape: Shape::Map,
    expected: "name=value pairs, separated by commas, percent-encoded",
};

/// What is sent: each signal has standard variables and a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// The name of a standard variable that is for this signal alone.
    pub(super) fn variable(self, suffix: &str) -> String {
        let signal = if self == Self::Traces { "TRACES" } else { "METRICS" };
        format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}")
    }

    /// Below the base URL of a collector.
    const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// `None` if there is no endpoint. Keys are checked even then: a wrong value should not wait for the day of use.
pub(super) fn otlp(
    name: &str,
    signal: Signal,
    layer: &Layer,
    home: Option<&Path>,
) -> Result<Option<Otlp>, ConfigError> {
    let timeout =
        layer.text(&keys::OTLP_TIMEOUT, |text| text::duration(text, Duration::from_millis(1)..=TIMEOUT_MAX))?;
    let compression = layer.text(&keys::OTLP_COMPRESSION, |text| match text {
        "gzip" => Some(Compression::Gzip),
        "none" => Some(Compression::None),
        _ => None,
    })?;
    let headers = layer.read(&keys::OTLP_HEADERS, |value| match value {
        Value::Map(map) => header_map(map),
        _ => None,
    })?;
    let tls = tls(layer, home)?;
    Ok(endpoint(signal, layer)?.map(|(endpoint, place)| Otlp {
        name: name.to_owned(),
        place,
        endpoint,
        headers: headers.unwrap_or_default(),
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        compression: compression.unwrap_or_default(),
        tls,
    }))
}

fn tls(layer: &Layer, home: Option<&Path>) -> Result<Tls, ConfigError> {
    let file = |key: &Key| layer.text(key, |text| text::path(Path::new(text), home));
    let missing = |key: &Key, other: &Key| {
        let Some(given) = layer.get(other) else { unreachable!("a key that was read is in its layer") };
        ConfigError::Missing { place: given.place.clone(), key: key.path.to_owned(), expected: key.expected }
    };
    let client = match (file(&keys::OTLP_CERTIFICATE)?, file(&keys::OTLP_KEY)?) {
        (Some(certificate), Some(key)) => Some(ClientTls { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return Err(missing(&keys::OTLP_KEY, &keys::OTLP_CERTIFICATE)),
        (None, Some(_)) => return Err(missing(&keys::OTLP_CERTIFICATE, &keys::OTLP_KEY)),
    };
    Ok(Tls { ca: file(&keys::OTLP_CA)?, client })
}

/// Whether the standard switch turns export off.
pub(super) fn is_disabled(env: &Env) -> bool {
    env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether the standard variables name an endpoint.
pub(super) fn has_endpoint(env: &Env) -> bool {
    standard(env, Signal::Traces, "ENDPOINT", &keys::OTLP_ENDPOINT).is_ok_and(|found| found.is_some())
}

/// The layer of the standard variables; to be asked only if something is exported.
pub(super) fn standard_layer(env: &Env, signal: Signal) -> Result<Layer, ConfigError> {
    if let Some((name, protocol)) = standard(env, signal, "PROTOCOL", &keys::OTLP_ENDPOINT)?
        && protocol != PROTOCOL
    {
        return Err(ConfigError::Protocol { place: Place::Variable(name), got: quoted(protocol) });
    }
    let mut layer = Layer::default();
    for (suffix, key) in [
        ("ENDPOINT", &keys::OTLP_ENDPOINT),
        ("COMPRESSION", &keys::OTLP_COMPRESSION),
        ("CERTIFICATE", &keys::OTLP_CA),
        ("CLIENT_CERTIFICATE", &keys::OTLP_CERTIFICATE),
        ("CLIENT_KEY", &keys::OTLP_KEY),
    ] {
        if let Some((name, value)) = standard(env, signal, suffix, key)? {
            layer.insert(key, Value::Text(value.to_owned()), Place::Variable(name));
        }
    }
    if let Some((name, value)) = standard(env, signal, "TIMEOUT", &MILLISECONDS)? {
        let place = Place::Variable(name);
        let timeout =
            text::count(value, 1..=600_000).ok_or_else(|| refused(&MILLISECONDS, place.clone(), quoted(value)))?;
        layer.insert(&keys::OTLP_TIMEOUT, Value::Text(format!("{timeout}ms")), place);
    }
    if let Some((name, value)) = standard(env, signal, "HEADERS", &keys::OTLP_HEADERS)? {
        let place = Place::Variable(name);
        let hidden = || refused(&keys::OTLP_HEADERS, place.clone(), "text that is not shown".to_owned());
        layer.insert(&keys::OTLP_HEADERS, Value::Map(text::pairs(value).ok_or_else(hidden)?), place.clone());
    }
    Ok(layer)
}

/// Resource attributes; `OTEL_SERVICE_NAME` is stronger than a `service.name` among the others.
pub(super) fn resource(env: &Env) -> Result<BTreeMap<String, String>, ConfigError> {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let given = env.text(VARIABLE, &ATTRIBUTES)?.unwrap_or_default();
    let refusal = || refused(&ATTRIBUTES, Place::Variable(VARIABLE.to_owned()), quoted(given));
    let mut resource = text::pairs(given).ok_or_else(refusal)?;
    if let Some(name) = env.text("OTEL_SERVICE_NAME", &ATTRIBUTES)? {
        resource.insert("service.name".to_owned(), name.to_owned());
    }
    Ok(resource)
}

/// The name and value of a standard variable: the one for the signal, else the one for all.
fn standard<'e>(
    env: &'e Env,
    signal: Signal,
    suffix: &str,
    key: &Key,
) -> Result<Option<(String, &'e str)>, ConfigError> {
    for name in [signal.variable(suffix), format!("OTEL_EXPORTER_OTLP_{suffix}")] {
        if let Some(value) = env.text(&name, key)? {
            return Ok(Some((name, value.trim())));
        }
    }
    Ok(None)
}

/// The complete URL, and where it was given. The specification decides for its variables; ours take a base as well as a
/// complete URL.
fn endpoint(signal: Signal, layer: &Layer) -> Result<Option<(Uri, Place)>, ConfigError> {
    let Some(given) = layer.get(&keys::OTLP_ENDPOINT) else { return Ok(None) };
    let Value::Text(text) = &given.value else { return Ok(None) };
    let place = || given.place.clone();
    // What stands before an @ is a password, and would not be sent: the client knows headers only.
    if text.contains('@') {
        return Err(refused(&keys::OTLP_ENDPOINT, place(), "a URL with a user name, which is not shown".to_owned()));
    }
    let complete = |uri: Uri| match &given.place {
        Place::Variable(name) if *name == signal.variable("ENDPOINT") => Some(uri),
        Place::Variable(name) if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => with_path(uri, signal),
        _ if uri.path().ends_with(signal.path()) => Some(uri),
        _ => with_path(uri, signal),
    };
    let uri = text
        .trim()
        .parse::<Uri>()
        .ok()
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && has_host(uri));
    let uri = uri.and_then(complete).map(|uri| Some((uri, place())));
    uri.ok_or_else(|| refused(&keys::OTLP_ENDPOINT, place(), quoted(text)))
}

fn has_host(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| !host.is_empty())
}

/// A base URL with the path of the signal; where traces go to a complete URL, metrics go beside them.
fn with_path(uri: Uri, signal: Signal) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let base = uri.path().strip_suffix(Signal::Traces.path()).unwrap_or(uri.path());
    let path = format!("{}{}{query}", base.trim_end_matches('/'), signal.path());
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn header_map(pairs: &BTreeMap<String, String>) -> Option<HeaderMap> {
    pairs
        .iter()
        .map(|(name, value)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((name.parse::<HeaderName>().ok()?, value))
        })
        .collect()
}
