//! The configuration in the words of those who use it.

use std::time::Duration;

use crate::config::{self, ClientTls, Compression, Config, HistorySince, Profile};
use crate::engine::HistoryRules;
use crate::engine::turns::{Policy, WHOLE_SPANS_MAX};
use crate::export::{ClientFiles, ExportError, OtlpConfig, OtlpEndpoint, TlsFiles};
use crate::sidecar::tailer::TailSources;
use crate::store::Opened;
use crate::tail::{self, RootEnv};
use crate::transcript::time::Timestamp;
use crate::views::metrics::labels::LabelRules;
use crate::views::traces::finish::SpanRules;

/// How session files are looked for.
pub(super) fn sources(config: &Config, env: &RootEnv, rules: &SpanRules) -> TailSources {
    TailSources {
        roots: tail::session_roots(&[], &config.projects, env),
        rescan: config.scan.rescan,
        // Without an endpoint nobody would ever make room.
        outbox_bytes_max: if config.otlp.is_empty() { u64::MAX } else { config.outbox.bytes_max },
        idle_ms: rules.idle_ms,
        threads: threads(),
    }
}

/// Turns that end from this time on are sent, if there is an endpoint.
fn sent_since(config: &Config, opened: &Opened) -> Timestamp {
    let wanted = match config.traces.history_since {
        HistorySince::Epoch => opened.epoch.first_start,
        HistorySince::All => Timestamp(i64::MIN),
        HistorySince::Time(time) => time,
    };
    // What a damaged database had sent, nobody knows any more; that it had, epoch.json does.
    let floor = opened.recovered.export_floor.map(|floor| Timestamp(floor.0.saturating_add(1)));
    floor.map_or(wanted, |floor| wanted.max(floor))
}

/// Who gets which turns of the past.
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

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What spans look like, for the engine and for HTTP alike.
pub(super) fn span_rules(config: &Config) -> SpanRules {
    let traces = &config.traces;
    let service = config.resource.get("service.name").cloned();
    SpanRules {
        content: traces.content,
        scope: traces.scope,
        openinference: traces.profile.contains(&Profile::OpenInference),
        service: service.map_or(SpanRules::DEFAULT.service, Into::into),
        idle_ms: milliseconds(traces.idle),
    }
}

/// What the configuration says about labels, in the words of the metrics.
#[must_use]
pub fn label_rules(config: &Config) -> LabelRules {
    LabelRules {
        series_max: config.metrics.series_max,
        projects_max: config.metrics.projects_max,
        project: config.metrics.project_label,
        mcp_servers: config.metrics.mcp_servers.clone(),
    }
}

pub(super) fn endpoints(config: &Config) -> Result<Vec<OtlpEndpoint>, ExportError> {
    let service = &span_rules(config).service;
    config.otlp.iter().map(|otlp| OtlpEndpoint::new(otlp_config(otlp, config, service))).collect()
}

/// `service` is what sends, unless the resource says its name.
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

/// Where session files are looked for, as the environment says.
#[must_use]
pub fn root_env(env: &config::Env) -> RootEnv {
    RootEnv { claude_config_dir: env.get("CLAUDE_CONFIG_DIR").map(Into::into), home: env.home() }
}

/// Threads that read and parse.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8))
}
