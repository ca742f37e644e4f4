//! Turns the configuration into the settings that each room takes.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::archive::Archive;
use crate::config::{self, ClientTls, Compression, Config, HistorySince, Profile};
use crate::engine::HistoryRules;
use crate::engine::turns::{Policy, WHOLE_SPANS_MAX};
use crate::export::{ClientFiles, ExportError, OtlpConfig, OtlpEndpoint, TlsFiles};
use crate::sidecar::tailer::TailSources;
use crate::store::{EventLimits, Opened};
use crate::tail::{self, ClientSettings, RootEnv};
use crate::text::chain;
use crate::transcript::time::Timestamp;
use crate::views::metrics::labels::LabelRules;
use crate::views::traces::finish::SpanRules;

/// How session files are looked for.
pub(super) fn sources(config: &Config, env: &RootEnv, rules: &SpanRules) -> TailSources {
    TailSources {
        roots: tail::session_roots(&[], &config.projects, env),
        streams: streams(config),
        rescan: config.scan.rescan,
        // Without an endpoint nothing leaves the outbox, so a full one would stop reading for ever.
        outbox_bytes_max: if config.otlp.is_empty() { u64::MAX } else { config.outbox.bytes_max },
        idle_ms: rules.idle_ms,
        threads: threads(),
        rules: config.metrics.custom.rules().clone(),
        end_after: config.retention.facts,
        archive: archive(config),
    }
}

/// The folder of stream files, which is made if it does not exist, so that it is watched from the beginning.
fn streams(config: &Config) -> PathBuf {
    let folder = config.state().map_or_else(|_| PathBuf::new(), tail::streams_below);
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
        tracing::warn!(folder = %folder.display(), error = chain(&error), "the folder of streams cannot be made");
    }
    folder
}

/// Where the copies of session files are; nowhere if there is no place for a state either.
pub fn archive(config: &Config) -> Archive {
    config.archive_directory().map_or_else(|_| Archive::default(), |directory| Archive::at(&directory))
}

/// The name of this machine.
pub fn host() -> Arc<str> {
    rustix::system::uname().nodename().to_string_lossy().into()
}

/// Turns that end from this time on are sent, if there is an endpoint.
fn sent_since(config: &Config, opened: &Opened) -> Timestamp {
    let wanted = match config.traces.history_since {
        HistorySince::Epoch => opened.epoch.first_start,
        HistorySince::All => Timestamp(i64::MIN),
        HistorySince::Time(time) => time,
    };
    // After a damaged database was replaced, nobody knows which turns it had sent. `epoch.json` tells only up to when
    // turns may have been sent, so no turn from before that is sent again.
    let floor = opened.recovered.export_floor.map(|floor| Timestamp(floor.0.saturating_add(1)));
    floor.map_or(wanted, |floor| wanted.max(floor))
}

/// Which turns of the past are sent, and to which endpoints.
pub(super) fn history_rules(config: &Config, opened: &Opened) -> HistoryRules {
    let is_wanted = config.traces.history_since != HistorySince::Epoch;
    let since = sent_since(config, opened);
    if is_wanted && opened.recovered.export_floor.is_some_and(|floor| since > floor) {
        let since = since.to_rfc3339();
        tracing::info!(
            since,
            "the database was made anew: turns that ended before this count as sent to every endpoint"
        );
    }
    HistoryRules {
        endpoints: config.otlp.iter().map(|otlp| otlp.name.as_str().into()).collect(),
        since: is_wanted.then_some(since),
        rate: config.traces.history_rate,
    }
}

/// Which turns leave as traces when they end; those that ended before the first start are history.
pub(super) fn policy(config: &Config, opened: &Opened) -> Policy {
    let epoch = opened.epoch.first_start;
    Policy {
        export: !config.otlp.is_empty(),
        since: sent_since(config, opened).max(epoch),
        epoch,
        settle_ms: milliseconds(config.traces.settle),
        hold_ms: milliseconds(config.traces.hold),
        history_rate: config.traces.history_rate,
        whole_spans_max: WHOLE_SPANS_MAX,
    }
}

/// How much of the log of events is kept.
pub(super) fn event_limits(config: &Config) -> EventLimits {
    EventLimits { keep_ms: milliseconds(config.events.keep), bytes_max: config.events.keep_bytes }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How spans are drawn, for the engine and for HTTP alike.
pub(super) fn span_rules(config: &Config) -> SpanRules {
    let traces = &config.traces;
    let service = config.resource.get("service.name").cloned();
    SpanRules {
        content: traces.content,
        scope: traces.scope,
        openinference: traces.profile.contains(&Profile::OpenInference),
        service: service.map_or(SpanRules::DEFAULT.service, Into::into),
        idle_ms: milliseconds(traces.idle),
        pages: config.web.url.clone(),
    }
}

/// The rules for labels of metrics, from the configuration.
#[must_use]
pub fn label_rules(config: &Config) -> LabelRules {
    LabelRules {
        series_max: config.metrics.series_max,
        projects_max: config.metrics.projects_max,
        project: config.metrics.project_label,
        mcp_servers: config.metrics.mcp_servers.clone(),
        workflows: config.metrics.workflows.clone(),
        custom: config.metrics.custom.clone(),
    }
}

pub(super) fn endpoints(config: &Config) -> Result<Vec<OtlpEndpoint>, ExportError> {
    let service = &span_rules(config).service;
    config.otlp.iter().map(|otlp| OtlpEndpoint::new(otlp_config(otlp, config, service))).collect()
}

/// Settings of one endpoint. `service` is the `service.name` unless the configured resource has one.
pub(super) fn otlp_config(otlp: &config::OtlpSettings, config: &Config, service: &str) -> OtlpConfig {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    OtlpConfig {
        name: otlp.name.clone(),
        endpoint: otlp.endpoint.to_string(),
        headers: otlp.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        timeout: otlp.timeout,
        gzip: otlp.compression == Compression::Gzip,
        tls: TlsFiles {
            ca: otlp.tls.ca.clone(),
            client: otlp.tls.client.clone().map(|ClientTls { certificate, key }| ClientFiles { certificate, key }),
        },
        resource: config.resource.clone().into_iter().filter(|(name, _)| name != "service.name").collect(),
        service_name: config.resource.get("service.name").map_or(service, String::as_str).to_owned(),
    }
}

/// The environment variables that say where session files are looked for.
#[must_use]
pub fn root_env(env: &config::Env) -> RootEnv {
    RootEnv { claude_config_dir: env.get("CLAUDE_CONFIG_DIR").map(Into::into), home: env.home() }
}

/// The settings of the client, beside the folders where session files are looked for.
#[must_use]
pub(super) fn client(config: &Config, env: &RootEnv) -> ClientSettings {
    ClientSettings::of(tail::session_roots(&[], &config.projects, env))
}

/// Number of threads that read and parse: one for each processor, at most 8.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8))
}
