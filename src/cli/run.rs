//! `tailspan run`: the sidecar, from start to clean end.

mod life;
mod signals;
mod told;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;

use self::life::Life;
use super::log;
use super::scan::threads;
use crate::config::{self, ClientTls, Compression, Config, ConfigError, HistorySince, Profile};
use crate::daemon::selfcheck::SelfCheck;
use crate::daemon::watchdog::Watchdog;
use crate::daemon::{self, Shared, Sources};
use crate::engine::{HistoryRules, SpanRules};
use crate::export::{ClientFiles, ExportError, Otlp, OtlpConfig, PushConfig, Pusher, TlsFiles};
use crate::http::context::{Context, ROUTES};
use crate::http::{App, Limits, Readers, RequestCounters, ServeError, Server};
use crate::ledger::prices::Prices;
use crate::report::chain;
use crate::store::{self, Opened, Reader, StoreError};
use crate::tail::{self, Hints, RootEnv};
use crate::transcript::time::Timestamp;
use crate::turns::{Policy, WHOLE_SPANS_MAX};
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::Snapshot;
use crate::vitals::Vitals;

/// How long blocking handlers may go on after the server has stopped.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// Why the sidecar could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The OTLP endpoint cannot be used.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start {what}")]
    System {
        /// What was to be started.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A part of the program panicked.
    #[error("{part} stopped unexpectedly")]
    Panicked {
        /// The part.
        part: &'static str,
    },
}

impl RunError {
    /// True if the configuration must be mended.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) => true,
            Self::Export(error) => error.is_configuration(),
            Self::Serve(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// Runs until SIGTERM or SIGINT. A second signal ends the process at once.
///
/// # Errors
///
/// Something could not be started, or the database failed for good.
pub fn run(config: &Config, env: &RootEnv, prices: Prices) -> Result<(), RunError> {
    let now = daemon::now();
    let server = Server::bind(config.listen, Limits::default())?;
    let address = server.local_addr();
    // Before the state is opened: a configuration that is wrong changes nothing.
    endpoints(config)?;
    let readers = Readers::named(config.web.content_users.iter().map(String::as_str))?;
    let opened = store::open(config.state()?, now)?;
    let pusher = pusher(config, &opened.epoch.instance)?;
    warn_of_waiting(config, opened.writer.meter().spans());
    let mut vitals = Vitals::new(now, config.traces.idle);
    vitals.log_lines_lost = log::lost();
    vitals.last_event.set(latest_row(&opened.reader, now));
    let vitals = Arc::new(vitals);
    let (published, totals) = watch::channel(None);
    let life = Life {
        config,
        env,
        prices,
        kept: opened.kept.clone(),
        shared: Arc::new(Shared { vitals: Arc::clone(&vitals), stop: AtomicBool::new(false), published }),
        hints: Hints::default(),
        exported: Arc::default(),
    };
    let _checking = start_selfcheck(config, life.selfcheck())?;
    let _watching = start_watchdog(life.watchdog())?;

    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| RunError::System { what: "the runtime", source })?;
    let (stop_http, http_stopped) = watch::channel(false);
    let (stop_push, push_stopped) = watch::channel(false);
    let app = app(&life, totals, readers);
    let pushing = pusher.map(|pusher| {
        let app = Arc::clone(&app);
        runtime.spawn(pusher.run(move || (app.context.points(), daemon::now()), push_stopped))
    });
    let serving = runtime.spawn(server.run(app, http_stopped));
    let asked = signals::asked_to_end(&runtime, Arc::clone(&life.shared), life.hints.clone(), life.kept.pulse.clone())?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "tailspan is running");
    told::tell(config, env, address);

    let lived = life.run(opened, &runtime, asked);
    life.shared.stop.store(true, Ordering::Release);
    stop_push.send_replace(true);
    let pushed = pushing.map(|pushing| runtime.block_on(pushing)).transpose();
    stop_http.send_replace(true);
    let served = runtime.block_on(serving);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    lived?;
    pushed.map_err(|_| RunError::Panicked { part: "the pusher of metrics" })?;
    served.map_err(|_| RunError::Panicked { part: "the server" })??;
    tracing::info!("stopped");
    Ok(())
}

/// What HTTP answers from.
fn app(life: &Life<'_>, totals: watch::Receiver<Option<Snapshot>>, readers: Readers) -> Arc<App<Context>> {
    let counters = Arc::new(RequestCounters::default());
    let context = Context {
        reader: life.kept.reader.clone(),
        vitals: Arc::clone(&life.shared.vitals),
        totals,
        outbox: Arc::clone(&life.kept.meter),
        export: Arc::clone(&life.exported),
        requests: Arc::clone(&counters),
        claude_code: life.config.metrics.claude_code,
        now: daemon::now,
    };
    let allowed_hosts = life.config.web.hosts.iter().cloned().collect();
    Arc::new(App { context, counters, routes: ROUTES, allowed_hosts, readers })
}

/// How session files are looked for.
fn sources(config: &Config, env: &RootEnv, policy: &Policy) -> Sources {
    Sources {
        roots: tail::session_roots(&[], &config.projects, env),
        rescan: config.scan.rescan,
        // Without an endpoint nobody would ever make room.
        outbox_bytes_max: if config.otlp.is_empty() { u64::MAX } else { config.outbox.bytes_max },
        idle_ms: policy.idle_ms,
        threads: threads(),
    }
}

/// Time of the latest row that is counted already; `None` if there is none but such as are stamped in the future.
fn latest_row(reader: &Reader, now: Timestamp) -> Option<Timestamp> {
    let mut latest = None;
    let read = reader.each_session(|session| latest = latest.max(session.ended().filter(|row| row.may_be(now))));
    if let Err(error) = read {
        // Whoever reads the session says so too; the next row tells the time anew.
        tracing::warn!(error = chain(&error), "the time of the latest row is not known before the next one");
    }
    latest
}

/// Says that spans of an earlier run wait for an endpoint that is no longer configured.
fn warn_of_waiting(config: &Config, spans: u64) {
    if config.otlp.is_empty() && spans > 0 {
        tracing::warn!(spans, "spans wait in the outbox, and no OTLP endpoint is configured to take them");
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
fn history_rules(config: &Config, opened: &Opened) -> HistoryRules {
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
fn policy(config: &Config, opened: &Opened) -> Policy {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let epoch = opened.epoch.first_start;
    Policy {
        export: !config.otlp.is_empty(),
        since: sent_since(config, opened).max(epoch),
        epoch,
        idle_ms: milliseconds(config.traces.idle),
        settle_ms: milliseconds(config.traces.settle),
        hold_ms: milliseconds(config.traces.hold),
        history_rate: config.traces.history_rate,
        whole_spans_max: WHOLE_SPANS_MAX,
    }
}

/// What spans look like.
fn span_rules(config: &Config) -> SpanRules {
    let traces = &config.traces;
    let openinference = traces.profile.contains(&Profile::OpenInference);
    SpanRules { content: traces.content, scope: traces.scope, openinference }
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

fn endpoints(config: &Config) -> Result<Vec<Otlp>, ExportError> {
    config.otlp.iter().map(|otlp| Otlp::new(otlp_config(otlp, config, "claude-code"))).collect()
}

/// What pushes metrics, if that is wanted.
fn pusher(config: &Config, instance: &str) -> Result<Option<Pusher>, ExportError> {
    let Some(push) = &config.push else { return Ok(None) };
    let otlp = otlp_config(&push.otlp, config, "tailspan");
    Pusher::new(PushConfig { otlp, interval: push.interval, instance: instance.to_owned() }).map(Some)
}

/// `service` is what sends, unless the resource says its name.
fn otlp_config(otlp: &config::Otlp, config: &Config, service: &str) -> OtlpConfig {
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

/// Starts the thread that compares the state with the files now and then, unless that is not wanted. It ends some time
/// after what is returned has gone; nobody waits for it.
fn start_selfcheck(config: &Config, check: SelfCheck) -> Result<Option<mpsc::Sender<()>>, RunError> {
    let Some(every) = config.selfcheck else { return Ok(None) };
    let (sender, ended) = mpsc::channel();
    let thread = thread::Builder::new().name("check".to_owned()).spawn(move || check.run(every, &ended));
    thread.map(|_| Some(sender)).map_err(|source| RunError::System { what: "the checking thread", source })
}

/// Starts the thread that ends the process if the database never answers again.
fn start_watchdog(watchdog: Watchdog) -> Result<mpsc::Sender<()>, RunError> {
    let (sender, ended) = mpsc::channel();
    let body = move || {
        if let Some(reason) = watchdog.run(&ended) {
            tracing::error!("{reason}: this is the end, a restart goes on where the state stopped");
            log::flush();
            std::process::exit(1);
        }
    };
    let thread = thread::Builder::new().name("watch".to_owned()).spawn(body);
    thread.map(|_| sender).map_err(|source| RunError::System { what: "the watching thread", source })
}

/// Where session files are looked for, as the environment says.
#[must_use]
pub fn root_env(env: &config::Env) -> RootEnv {
    RootEnv { claude_config_dir: env.get("CLAUDE_CONFIG_DIR").map(Into::into), home: env.home() }
}
