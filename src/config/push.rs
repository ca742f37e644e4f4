//! `otlp.metrics`: reads where metrics are pushed to, from the keys of `[otlp]` and the standard variables for metrics.

use std::path::Path;
use std::time::Duration;

use super::env::Env;
use super::error::{ConfigError, SetAt};
use super::keys::{self, ConfigKey, Shape};
use super::merge::{Layer, SetValue, quoted, refused};
use super::otlp::{self, Signal};
use super::settings::Push;
use super::{standard, text};

const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

const MILLISECONDS: ConfigKey = ConfigKey {
    path: "otlp.metrics_interval",
    shape: Shape::Count,
    expected: "a whole number of milliseconds from 1000 to 3600000",
};

/// The settings of pushed metrics; `None` unless `otlp.metrics` is true. `own` holds all layers above the standard
/// variables.
pub(super) fn push(
    own: &Layer,
    env: &Env,
    home: Option<&Path>,
    notices: &mut Vec<String>,
) -> Result<Option<Push>, ConfigError> {
    let is_wanted = own.text(&keys::OTLP_METRICS, text::boolean)?.unwrap_or(false);
    let allowed = Duration::from_secs(1)..=INTERVAL_MAX;
    let interval = own.text(&keys::OTLP_METRICS_INTERVAL, |text| text::duration(text, allowed))?;
    let Some(wanted) = own.get(&keys::OTLP_METRICS).filter(|_| is_wanted) else { return Ok(None) };
    let mut layer = standard::layer(env, Signal::Metrics)?;
    layer.overlay(without_secrets_of_others(own));
    if let Some(given) = own.get(&keys::OTLP_METRICS_ENDPOINT) {
        layer.insert(&keys::OTLP_ENDPOINT, given.value.clone(), given.place.clone());
    }
    let missing = || ConfigError::Missing {
        place: wanted.place.clone(),
        key: keys::OTLP_METRICS_ENDPOINT.path.to_owned(),
        expected: "it or `otlp.endpoint`: there is nowhere to push metrics to",
    };
    let otlp = otlp::otlp("metrics", Signal::Metrics, &layer, home)?.ok_or_else(missing)?;
    if let Some(preference) = env.text(TEMPORALITY, &keys::OTLP_METRICS)?
        && !preference.eq_ignore_ascii_case("cumulative")
    {
        notices.push(format!("{TEMPORALITY} has no effect: pushed metrics are cumulative"));
    }
    let interval = match interval {
        Some(interval) => interval,
        None => standard_interval(env)?.unwrap_or(INTERVAL_DEFAULT),
    };
    Ok(Some(Push { otlp, interval }))
}

fn standard_interval(env: &Env) -> Result<Option<Duration>, ConfigError> {
    const VARIABLE: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    let Some(given) = env.text(VARIABLE, &MILLISECONDS)? else { return Ok(None) };
    let refusal = || refused(&MILLISECONDS, SetAt::Variable(VARIABLE.to_owned()), quoted(given));
    let milliseconds = text::count(given, 1_000..=3_600_000).and_then(|count| u64::try_from(count).ok());
    milliseconds.map(Duration::from_millis).map(Some).ok_or_else(refusal)
}

/// `own` without headers and client certificates if metrics go to another host than `otlp.endpoint`: these are meant
/// for that host, and another one must not see them.
fn without_secrets_of_others(own: &Layer) -> Layer {
    let host = |key: &ConfigKey| match own.get(key).map(|given| &given.value) {
        Some(SetValue::Text(text)) => text.trim().parse::<http::Uri>().ok().and_then(|uri| uri.authority().cloned()),
        _ => None,
    };
    let mut layer = own.clone();
    if let (Some(traces), Some(metrics)) = (host(&keys::OTLP_ENDPOINT), host(&keys::OTLP_METRICS_ENDPOINT))
        && traces != metrics
    {
        for key in [&keys::OTLP_HEADERS, &keys::OTLP_CERTIFICATE, &keys::OTLP_KEY] {
            layer.remove(key);
        }
    }
    layer
}
