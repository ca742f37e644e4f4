//! Reads the `otlp.*` keys of one endpoint, for spans or for pushed metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey};
use super::merge::{Layer, SetValue, quoted, refused};
use super::settings::{ClientTls, Compression, OtlpSettings, Tls};
use super::text;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// The OpenTelemetry signal that is sent. Each signal has standard variables and a URL path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    TraceSettings,
    Metrics,
}

impl Signal {
    /// The name of the standard variable for this signal alone, such as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub(super) fn variable(self, suffix: &str) -> String {
        let signal = if self == Self::TraceSettings { "TRACES" } else { "METRICS" };
        format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}")
    }

    /// The path of the signal below the base URL of a collector, as the OTLP specification says.
    const fn path(self) -> &'static str {
        match self {
            Self::TraceSettings => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// The settings of one endpoint; `None` if the layer has no endpoint. The other keys are checked even then, so that a
/// wrong value shows at once.
pub(super) fn otlp(
    name: &str,
    signal: Signal,
    layer: &Layer,
    home: Option<&Path>,
) -> Result<Option<OtlpSettings>, ConfigError> {
    let timeout =
        layer.text(&keys::OTLP_TIMEOUT, |text| text::duration(text, Duration::from_millis(1)..=TIMEOUT_MAX))?;
    let compression = layer.text(&keys::OTLP_COMPRESSION, |text| match text {
        "gzip" => Some(Compression::Gzip),
        "none" => Some(Compression::None),
        _ => None,
    })?;
    let headers = layer.read(&keys::OTLP_HEADERS, |value| match value {
        SetValue::Map(map) => header_map(map),
        _ => None,
    })?;
    let tls = tls(layer, home)?;
    Ok(endpoint(signal, layer)?.map(|(endpoint, place)| OtlpSettings {
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
    let file = |key: &ConfigKey| layer.text(key, |text| text::path(Path::new(text), home));
    let missing = |key: &ConfigKey, other: &ConfigKey| {
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

/// The complete URL, and where it was given. The OpenTelemetry specification says which of its variables take a base
/// URL and which a complete one; `otlp.endpoint` takes both.
fn endpoint(signal: Signal, layer: &Layer) -> Result<Option<(Uri, SetAt)>, ConfigError> {
    let Some(given) = layer.get(&keys::OTLP_ENDPOINT) else { return Ok(None) };
    let SetValue::Text(text) = &given.value else { return Ok(None) };
    let place = || given.place.clone();
    // Text before an @ is a user name or a password, which would not be sent: the client sends headers only.
    if text.contains('@') {
        return Err(refused(&keys::OTLP_ENDPOINT, place(), "a URL with a user name, which is not shown".to_owned()));
    }
    let complete = |uri: Uri| match &given.place {
        SetAt::Variable(name) if *name == signal.variable("ENDPOINT") => Some(uri),
        SetAt::Variable(name) if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => with_path(uri, signal),
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

/// Appends the path of the signal to a base URL. If the URL ends with the path of traces, that is replaced, so that
/// metrics go to the same collector.
fn with_path(uri: Uri, signal: Signal) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let base = uri.path().strip_suffix(Signal::TraceSettings.path()).unwrap_or(uri.path());
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
