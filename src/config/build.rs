//! Builds a [`Config`] from the layers. The order of the sources, the defaults and the ranges are set here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::env::Env;
use super::error::{ConfigError, SetAt};
use super::flags::Flags;
use super::merge::{Layer, SetValue, quoted};
use super::otlp::Signal;
use super::settings::{
    ArchiveSettings, Config, ContentLevel, EventSettings, LogFormat, Metrics, OutboxSettings, PriceSettings, Profile,
    ProjectLabel, Retention, RunawaySettings, Scan, ScanFormat, SearchSettings, SetPlaces, Statusline, StreamSettings,
    TraceScope, TraceSettings, Web,
};
use super::text::Listen;
use super::{endpoints, file, keys, push, standard, text};
use crate::views::metrics::rules::CustomRules;

const LISTEN_DEFAULT: &str = "127.0.0.1:9719";
const XDG: &str = "XDG_STATE_HOME";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);
const STATUSLINE_DEFAULT: &str = "{today} today | block {block} {block_left} | session {session} | {budget} | {limit}";
const STATUSLINE_CHARS_MAX: usize = 500;
const SERIES_MAX: usize = 100_000;
/// Largest amount of a minute that may be set.
const AMOUNT_MAX: f64 = 1e6;

impl Config {
    /// Reads the file that `flags` name and resolves all sources. Fails at the first source that cannot be read, key
    /// that is not known, or value that is not valid.
    pub fn resolve(flags: &Flags, env: &Env) -> Result<Self, ConfigError> {
        config(flags, env)
    }
}

fn config(flags: &Flags, env: &Env) -> Result<Config, ConfigError> {
    let mut own = flags.config.as_deref().map(file::layer).transpose()?.unwrap_or_default();
    own.overlay(env.layer()?);
    own.overlay(flags.layer());
    let mut notices = Vec::new();
    let home = env.home();
    let off = flags.offline || standard::is_disabled(env);
    let push = if off { None } else { push::push(&own, env, home.as_deref(), &mut notices)? };
    let layer = with_standard_variables(own, flags.offline, env, &mut notices)?;
    let (mut otlp, without_effect) = endpoints::all(&layer, home.as_deref())?;
    if off {
        otlp.clear();
    } else {
        notices.extend(without_effect);
    }
    let listen = listen(&layer)?;
    let config = Config {
        projects: projects(&layer, home.as_deref())?,
        listen,
        log: layer.text(&keys::LOG, |text| Some(text.to_owned()))?.unwrap_or_else(|| "info".to_owned()),
        log_format: layer.text(&keys::LOG_FORMAT, log_format)?.unwrap_or_default(),
        web: web(&layer, listen)?,
        otlp,
        push,
        resource: resource(flags.offline, env, &mut notices)?,
        traces: traces(&layer)?,
        metrics: metrics(&layer)?,
        outbox: OutboxSettings {
            bytes_max: layer
                .text(&keys::OUTBOX_BYTES_MAX, |text| text::size(text, 1 << 20..=1 << 40))?
                .unwrap_or(256 << 20),
        },
        scan: scan(&layer)?,
        search: SearchSettings { index: layer.text(&keys::SEARCH_INDEX, text::boolean)?.unwrap_or(true) },
        events: events(&layer)?,
        archive: archive(&layer)?,
        retention: retention(&layer)?,
        stream: stream(&layer)?,
        statusline: Statusline {
            format: layer.text(&keys::STATUSLINE_FORMAT, statusline)?.unwrap_or_else(|| STATUSLINE_DEFAULT.to_owned()),
        },
        selfcheck: layer.text(&keys::SELFCHECK_EVERY, selfcheck)?.unwrap_or(Some(24 * HOUR)),
        budgets: layer
            .read(&keys::BUDGETS, |value| match value {
                SetValue::Budgets(budgets) => Some(budgets.clone()),
                _ => None,
            })?
            .unwrap_or_default(),
        patterns: layer
            .read(&keys::PATTERNS, |value| match value {
                SetValue::Patterns(set) => Some(set.settings.clone()),
                _ => None,
            })?
            .unwrap_or_default(),
        runaway: runaway(&layer)?,
        prices: PriceSettings {
            overrides: layer
                .read(&keys::PRICES_OVERRIDES, |value| match value {
                    SetValue::Prices(overrides) => Some(overrides.clone()),
                    _ => None,
                })?
                .unwrap_or_default(),
        },
        state: state(&layer, env, home.as_deref())?,
        archive_directory: directory(&layer, &keys::ARCHIVE_DIRECTORY, home.as_deref())?,
        notices,
        places: places(&layer, env),
        is_export_disabled: standard::is_disabled(env),
    };
    cheaper_model_has_a_price(&layer, &config)?;
    Ok(config)
}

/// Fails if `patterns.cheaper_model` names a model without a price. Wrong prices are told when they are used.
fn cheaper_model_has_a_price(layer: &Layer, config: &Config) -> Result<(), ConfigError> {
    let Some(SetValue::Patterns(set)) = layer.get(&keys::PATTERNS).map(|given| &given.value) else { return Ok(()) };
    let (Some(place), Ok(prices)) = (set.cheaper_model_at.clone(), config.prices.table()) else { return Ok(()) };
    let model = config.patterns.cheaper_model.clone();
    if prices.knows(&model) {
        return Ok(());
    }
    // Of models whose names go on, the newest has the largest number.
    let longer = prices.known_models().filter(|known| known.starts_with(&model)).max();
    let nearest = longer.map_or_else(|| keys::nearest(&model, prices.known_models().map(str::to_owned)), str::to_owned);
    Err(ConfigError::UnpricedModel { place, key: "patterns.cheaper_model", model, nearest })
}

fn places(layer: &Layer, env: &Env) -> SetPlaces {
    let place = |key| layer.get(key).map(|given| given.place.clone());
    SetPlaces {
        projects: place(&keys::PROJECTS),
        state: place(&keys::STATE).or_else(|| xdg(env).map(|_| SetAt::Variable(XDG.to_owned()))),
        listen: place(&keys::LISTEN),
        history_since: place(&keys::TRACES_HISTORY_SINCE),
    }
}

/// Puts `own` on top of the standard variables if something is exported. They are often set for Claude Code itself, so
/// a process that exports nothing must not fail because of them.
fn with_standard_variables(
    own: Layer,
    offline: bool,
    env: &Env,
    notices: &mut Vec<String>,
) -> Result<Layer, ConfigError> {
    let own_endpoint = own.get(&keys::OTLP_ENDPOINT).or_else(|| own.get(&keys::OTLP_ENDPOINTS));
    let exports = own_endpoint.is_some() || standard::has_endpoint(env);
    if offline || !exports {
        return Ok(own);
    }
    if standard::is_disabled(env) {
        notices.push("OTEL_SDK_DISABLED is true: nothing is exported, although there is an OTLP endpoint".to_owned());
        return Ok(own);
    }
    let mut layer = standard::layer(env, Signal::TraceSettings)?;
    layer.overlay(own);
    Ok(layer)
}

/// Resource attributes. If they are not valid, a command that sends nothing adds a notice and goes on without them.
fn resource(offline: bool, env: &Env, notices: &mut Vec<String>) -> Result<BTreeMap<String, String>, ConfigError> {
    match standard::resource(env) {
        Err(error) if offline => {
            notices.push(error.to_string());
            Ok(BTreeMap::new())
        }
        result => result,
    }
}

fn projects(layer: &Layer, home: Option<&Path>) -> Result<Vec<PathBuf>, ConfigError> {
    let roots = layer.read(&keys::PROJECTS, |value| match value {
        SetValue::Paths(paths) => paths.iter().map(|path| text::path(path, home)).collect(),
        _ => None,
    })?;
    Ok(roots.unwrap_or_default())
}

fn state(layer: &Layer, env: &Env, home: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    let given = directory(layer, &keys::STATE, home)?;
    let base = || xdg(env).or_else(|| home.map(|home| home.join(".local/state")));
    Ok(given.or_else(|| base().map(|base| base.join("tailspan"))))
}

/// A directory that a key, a variable or a flag names.
fn directory(layer: &Layer, key: &keys::ConfigKey, home: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    layer.read(key, |value| match value {
        SetValue::Text(text) => text::path(Path::new(text), home),
        SetValue::Paths(paths) => paths.first().and_then(|path| text::path(path, home)),
        _ => None,
    })
}

/// The value of `XDG_STATE_HOME`. The XDG base directory specification says that a path that is not absolute is
/// ignored.
fn xdg(env: &Env) -> Option<PathBuf> {
    env.get(XDG).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn web(layer: &Layer, listen: SocketAddr) -> Result<Web, ConfigError> {
    let own = (listen.port() != 0).then(|| format!("http://{listen}"));
    Ok(Web {
        url: layer.text(&keys::WEB_URL, text::page_url)?.or(own),
        hosts: layer.list(&keys::WEB_HOSTS, text::host_name)?.unwrap_or_default(),
        content_users: layer.list(&keys::WEB_CONTENT_USERS, text::user_name)?.unwrap_or_default(),
    })
}

fn listen(layer: &Layer) -> Result<SocketAddr, ConfigError> {
    let address = layer.text(&keys::LISTEN, text::listen)?.or_else(|| text::listen(LISTEN_DEFAULT));
    match (address, layer.get(&keys::LISTEN)) {
        (Some(Listen::Loopback(address)), _) => Ok(address),
        (_, Some(given)) => {
            let got = if let SetValue::Text(text) = &given.value { quoted(text) } else { String::new() };
            Err(ConfigError::NotLoopback { place: given.place.clone(), key: keys::LISTEN.path, got })
        }
        (_, None) => unreachable!("the default address is a loopback address"),
    }
}

fn traces(layer: &Layer) -> Result<TraceSettings, ConfigError> {
    let idle = |text: &str| text::duration(text, MILLISECOND..=24 * 30 * HOUR);
    let settle = |text: &str| text::duration(text, Duration::ZERO..=HOUR);
    let rate = |text: &str| text::count(text, 1..=1_000_000).and_then(|rate| u64::try_from(rate).ok());
    let hold = |text: &str| text::duration(text, Duration::from_secs(1)..=24 * HOUR);
    Ok(TraceSettings {
        idle: layer.text(&keys::TRACES_IDLE, idle)?.unwrap_or(HOUR / 2),
        settle: layer.text(&keys::TRACES_SETTLE, settle)?.unwrap_or(Duration::from_secs(1)),
        hold: layer.text(&keys::TRACES_HOLD, hold)?.unwrap_or(Duration::from_secs(60)),
        history_rate: layer.text(&keys::TRACES_HISTORY_RATE, rate)?.unwrap_or(500),
        history_since: layer.text(&keys::TRACES_HISTORY_SINCE, text::history_since)?.unwrap_or_default(),
        scope: layer.text(&keys::TRACES_SCOPE, scope)?.unwrap_or_default(),
        content: layer.text(&keys::TRACES_CONTENT, content)?.unwrap_or_default(),
        profile: layer.list(&keys::TRACES_PROFILE, profile)?.unwrap_or_default(),
    })
}

fn scope(text: &str) -> Option<TraceScope> {
    match text {
        "turn" => Some(TraceScope::Turn),
        "session" => Some(TraceScope::Session),
        _ => None,
    }
}

fn content(text: &str) -> Option<ContentLevel> {
    match text {
        "off" => Some(ContentLevel::Off),
        "details" => Some(ContentLevel::Details),
        "content" => Some(ContentLevel::Content),
        _ => None,
    }
}

fn profile(text: &str) -> Option<Profile> {
    (text == "openinference").then_some(Profile::OpenInference)
}

fn metrics(layer: &Layer) -> Result<Metrics, ConfigError> {
    let label = |text: &str| match text {
        "name" => Some(ProjectLabel::Name),
        "hash" => Some(ProjectLabel::Hash),
        "off" => Some(ProjectLabel::Off),
        _ => None,
    };
    let server = |text: &str| Some(text.trim().to_owned()).filter(|name| !name.is_empty());
    Ok(Metrics {
        series_max: layer.text(&keys::METRICS_SERIES_MAX, |text| text::count(text, 1..=SERIES_MAX))?.unwrap_or(500),
        project_label: layer.text(&keys::METRICS_PROJECT_LABEL, label)?.unwrap_or_default(),
        projects_max: layer.text(&keys::METRICS_PROJECTS_MAX, |text| text::count(text, 0..=SERIES_MAX))?.unwrap_or(50),
        mcp_servers: layer.list(&keys::METRICS_MCP_SERVERS, server)?.unwrap_or_default(),
        workflows: layer.list(&keys::METRICS_WORKFLOWS, server)?,
        custom: custom(layer)?.unwrap_or_default(),
        claude_code: layer.text(&keys::METRICS_CLAUDE_CODE, text::boolean)?.unwrap_or(false),
    })
}

/// Reads the rules in the file at `path`, which may hold other settings as well.
///
/// # Errors
///
/// Fails if the file cannot be read, holds a mistake, or holds no rule.
pub fn rules_of(path: &Path) -> Result<CustomRules, ConfigError> {
    let layer = file::layer(path)?;
    custom(&layer)?.filter(|rules| !rules.rules().is_empty()).ok_or_else(|| ConfigError::Missing {
        place: SetAt::File { path: path.to_owned(), line: 1 },
        key: keys::METRICS_CUSTOM.path.to_owned(),
        expected: keys::METRICS_CUSTOM.expected,
    })
}

/// The rules of custom metrics; `None` if there are none.
fn custom(layer: &Layer) -> Result<Option<CustomRules>, ConfigError> {
    layer.read(&keys::METRICS_CUSTOM, |value| match value {
        SetValue::Rules(rules) => Some(rules.clone()),
        _ => None,
    })
}

fn events(layer: &Layer) -> Result<EventSettings, ConfigError> {
    let keep = |text: &str| text::duration(text, Duration::from_secs(1)..=30 * DAY);
    let heartbeat = |text: &str| text::duration(text, 10 * MILLISECOND..=HOUR);
    let bytes = |text: &str| text::size(text, 64 << 10..=1 << 30);
    Ok(EventSettings {
        keep: layer.text(&keys::EVENTS_KEEP, keep)?.unwrap_or(HOUR),
        keep_bytes: layer.text(&keys::EVENTS_KEEP_BYTES, bytes)?.unwrap_or(4 << 20),
        heartbeat: layer.text(&keys::EVENTS_HEARTBEAT, heartbeat)?.unwrap_or(Duration::from_secs(15)),
    })
}

fn scan(layer: &Layer) -> Result<Scan, ConfigError> {
    let format = |text: &str| match text {
        "table" => Some(ScanFormat::Table),
        "json" => Some(ScanFormat::Json),
        "prometheus" => Some(ScanFormat::Prometheus),
        "trace" => Some(ScanFormat::Trace),
        _ => None,
    };
    let rescan = |text: &str| text::duration(text, 10 * MILLISECOND..=HOUR);
    Ok(Scan {
        rescan: layer.text(&keys::SCAN_RESCAN, rescan)?.unwrap_or(Duration::from_secs(3)),
        format: layer.text(&keys::SCAN_FORMAT, format)?.unwrap_or_default(),
        sessions: layer.text(&keys::SCAN_SESSIONS, text::boolean)?.unwrap_or(false),
    })
}

/// The line of `tailspan statusline`; `None` if it is empty, too long or not one line.
fn statusline(text: &str) -> Option<String> {
    let is_line = !text.trim().is_empty() && text.chars().count() <= STATUSLINE_CHARS_MAX;
    (is_line && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn archive(layer: &Layer) -> Result<ArchiveSettings, ConfigError> {
    let after = layer.text(&keys::ARCHIVE_AFTER, |text| text::duration(text, Duration::ZERO..=365 * DAY))?;
    Ok(ArchiveSettings {
        enabled: layer.text(&keys::ARCHIVE_ENABLED, text::boolean)?.unwrap_or(false),
        after: after.unwrap_or(DAY),
    })
}

fn stream(layer: &Layer) -> Result<StreamSettings, ConfigError> {
    let size = |text: &str| text::size(text, 64 << 10..=1 << 40);
    let keep = |text: &str| text::duration(text, HOUR..=3650 * DAY);
    Ok(StreamSettings {
        spool_bytes: layer.text(&keys::STREAM_SPOOL_BYTES, size)?.unwrap_or(1 << 30),
        keep: layer.text(&keys::STREAM_KEEP, keep)?.unwrap_or(7 * DAY),
        keep_bytes: layer.text(&keys::STREAM_KEEP_BYTES, size)?.unwrap_or(4 << 30),
    })
}

fn runaway(layer: &Layer) -> Result<RunawaySettings, ConfigError> {
    let amount = |text: &str| text::number(text).filter(|number| *number > 0.0 && *number <= AMOUNT_MAX);
    let times = |text: &str| text::number(text).filter(|number| (1.0..=AMOUNT_MAX).contains(number));
    let standard = RunawaySettings::default();
    Ok(RunawaySettings {
        enabled: layer.text(&keys::RUNAWAY_ENABLED, text::boolean)?.unwrap_or(standard.enabled),
        usd_per_minute: layer.text(&keys::RUNAWAY_USD, amount)?.unwrap_or(standard.usd_per_minute),
        calls_per_minute: layer.text(&keys::RUNAWAY_CALLS, amount)?.unwrap_or(standard.calls_per_minute),
        failures_per_minute: layer.text(&keys::RUNAWAY_FAILURES, amount)?.unwrap_or(standard.failures_per_minute),
        times: layer.text(&keys::RUNAWAY_TIMES, times)?.unwrap_or(standard.times),
    })
}

fn retention(layer: &Layer) -> Result<Retention, ConfigError> {
    Ok(Retention {
        facts: layer.text(&keys::RETENTION_FACTS, age)?.flatten(),
        archive: layer.text(&keys::RETENTION_ARCHIVE, age)?.flatten(),
    })
}

/// The age at which something ends: `Some(None)` for `never`; `None` if `text` is not valid.
fn age(text: &str) -> Option<Option<Duration>> {
    match text.trim() {
        "never" => Some(None),
        text => text::duration(text, DAY..=36_500 * DAY).map(Some),
    }
}

/// The time between two self-checks: `Some(None)` for `0`, which turns them off; `None` if `text` is not valid.
fn selfcheck(text: &str) -> Option<Option<Duration>> {
    match text.trim() {
        "0" => Some(None),
        text => text::duration(text, Duration::from_secs(1)..=24 * 30 * HOUR).map(Some),
    }
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}
