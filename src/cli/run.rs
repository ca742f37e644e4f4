//! `tailspan run`: the sidecar, from start to clean end.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::progress::Progress;
use super::scan::threads;
use crate::config::{self, ClientTls, Compression, Config, ConfigError, HistorySince, Profile};
use crate::daemon::selfcheck::SelfCheck;
use crate::daemon::{self, Shared, Sources, Tailer};
use crate::engine::{Engine, SpanRules, Start};
use crate::export::{
    self, ClientFiles, DrainConfig, ExportCounters, ExportError, Exporter, Otlp, OtlpConfig, PushConfig, Pusher,
    TlsFiles,
};
use crate::http::context::{Context, ROUTES};
use crate::http::{App, Limits, RequestCounters, ServeError, Server};
use crate::ledger::prices::Prices;
use crate::store::{self, Opened, StoreError};
use crate::tail::{self, Hints, RootEnv};
use crate::transcript::time::Timestamp;
use crate::turns::Policy;
use crate::views::labels::LabelRules;
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
            _ => false,
        }
    }
}

/// Runs until SIGTERM or SIGINT. A second signal ends the process at once.
///
/// # Errors
///
/// Something could not be started, or the database failed.
pub fn run(config: &Config, env: &RootEnv, prices: Prices) -> Result<(), RunError> {
    let now = daemon::now();
    let server = Server::bind(config.listen, Limits::default())?;
    let address = server.local_addr();
    let endpoints = endpoints(config)?;
    let opened = store::open(config.state()?, now)?;
    let policy = policy(config, &opened);
    let Opened { writer, outbox, reader, epoch, recovered, .. } = opened;
    let pusher = pusher(config, &epoch.instance)?;
    let queues = outbox.readers(&endpoints.iter().map(Otlp::name).collect::<Vec<_>>())?;
    let labels = label_rules(config);
    let engine = Engine::new(
        Start { writer, recovered, epoch, prices: prices.clone(), labels, policy, spans: span_rules(config) },
        now,
    )?;

    let vitals = Arc::new(Vitals::new(now, config.traces.idle));
    let (published, totals) = watch::channel(None);
    let shared = Arc::new(Shared { vitals: Arc::clone(&vitals), stop: AtomicBool::new(false), published });
    let hints = Hints::default();
    let sources = sources(config, env, &policy);
    let meter = engine.outbox();
    warn_of_waiting(config, meter.spans());
    let _checking = start_selfcheck(
        config,
        SelfCheck::new(reader.clone(), prices.clone(), sources.roots.clone(), Arc::clone(&shared)),
    )?;
    let tailer = Tailer::new(engine, Arc::clone(&shared), sources, hints.clone());
    let (tailer, tailer_ended) = start_tailer(tailer, config.state()?.to_path_buf())?;

    let (stop_export, export_stopped) = watch::channel(false);
    let export_counters = Arc::new(ExportCounters::default());
    let exporters = exporters(queues, endpoints, &export_counters);
    let exporter = start_exporters(exporters, export_stopped.clone())?;

    let runtime = runtime()?;
    let (stop_http, http_stopped) = watch::channel(false);
    let counters = Arc::new(RequestCounters::default());
    let context = Context {
        reader,
        vitals,
        totals,
        outbox: meter,
        export: export_counters,
        requests: Arc::clone(&counters),
        now: daemon::now,
    };
    let allowed_hosts = config.web.hosts.iter().cloned().collect();
    let app = Arc::new(App { context, counters, routes: ROUTES, allowed_hosts });
    let pushing = pusher.map(|pusher| {
        let app = Arc::clone(&app);
        runtime.spawn(pusher.run(move || (app.context.points(), daemon::now()), export_stopped))
    });
    let serving = runtime.spawn(server.run(app, http_stopped));
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "tailspan is running");

    let waited = runtime.block_on(wait_for_end(tailer_ended));
    tracing::info!("stopping: what is in flight is finished first; a second signal ends it at once");
    stop_at_second_signal(&runtime);
    shared.stop.store(true, Ordering::Release);
    hints.wake();
    let tailed = tailer.join().map_err(|_| RunError::Panicked { part: "the reader" })?;
    // The spans of the last commit are durable now: one more try to hand them over.
    stop_export.send_replace(true);
    let exported = exporter.map(thread::JoinHandle::join).transpose();
    let pushed = pushing.map(|pushing| runtime.block_on(pushing)).transpose();
    stop_http.send_replace(true);
    let served = runtime.block_on(serving);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    waited?;
    tailed?;
    exported.map_err(|_| RunError::Panicked { part: "the exporter" })?.transpose()?;
    pushed.map_err(|_| RunError::Panicked { part: "the pusher of metrics" })?;
    served.map_err(|_| RunError::Panicked { part: "the server" })??;
    tracing::info!("stopped");
    Ok(())
}

/// Where HTTP is answered.
fn runtime() -> Result<Runtime, RunError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| RunError::System { what: "the runtime", source })
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

/// Says that spans of an earlier run wait for an endpoint that is no longer configured.
fn warn_of_waiting(config: &Config, spans: u64) {
    if config.otlp.is_empty() && spans > 0 {
        tracing::warn!(spans, "spans wait in the outbox, and no OTLP endpoint is configured to take them");
    }
}

/// Which turns leave as traces.
fn policy(config: &Config, opened: &Opened) -> Policy {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let epoch = opened.epoch.first_start;
    let wanted = match config.traces.history_since {
        HistorySince::Epoch => epoch,
        HistorySince::All => Timestamp(i64::MIN),
        HistorySince::Time(time) => time,
    };
    let floor = opened.recovered.export_floor.map(|floor| Timestamp(floor.0.saturating_add(1)));
    let since = floor.map_or(wanted, |floor| wanted.max(floor));
    Policy {
        export: !config.otlp.is_empty(),
        since,
        epoch,
        idle_ms: milliseconds(config.traces.idle),
        settle_ms: milliseconds(config.traces.settle),
        hold_ms: milliseconds(config.traces.hold),
        history_rate: config.traces.history_rate,
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

/// An exporter for each endpoint; they share their counters.
fn exporters(
    queues: Vec<store::OutboxReader>,
    endpoints: Vec<Otlp>,
    counters: &Arc<ExportCounters>,
) -> Vec<Exporter<store::OutboxReader>> {
    let exporter = |(queue, otlp)| Exporter::new(queue, otlp, DrainConfig::default()).counting(Arc::clone(counters));
    queues.into_iter().zip(endpoints).map(exporter).collect()
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

type Ended = Result<(), StoreError>;

/// Starts the thread that reads and writes; the receiver is told when it ends, for whatever reason.
fn start_tailer(
    mut tailer: Tailer,
    state: PathBuf,
) -> Result<(thread::JoinHandle<Ended>, oneshot::Receiver<()>), RunError> {
    let (ending, ended) = oneshot::channel();
    let body = move || {
        // Dropped at the end of the thread, by a panic too: that is the message.
        let _ending = ending;
        let progress: Mutex<Option<Progress>> = Mutex::new(None);
        let result = tailer.run(|files, bytes, files_total, bytes_total| {
            if let Ok(mut bar) = progress.lock() {
                bar.get_or_insert_with(|| Progress::start(files_total, bytes_total)).advance(files, bytes);
            }
        });
        if let Err(error) = &result {
            tracing::error!(error = crate::report::chain(error), "the state cannot be used any more");
            if error.is_damage()
                && let Err(error) = store::mark_damaged(&state)
            {
                tracing::error!(error = crate::report::chain(&error), "the next start cannot be told");
            }
        }
        result
    };
    let thread = thread::Builder::new().name("tail".to_owned()).spawn(body);
    thread.map(|thread| (thread, ended)).map_err(|source| RunError::System { what: "the reading thread", source })
}

/// Starts the thread that compares the state with the files now and then, unless that is not wanted. It ends some time
/// after what is returned has gone; nobody waits for it.
fn start_selfcheck(config: &Config, check: SelfCheck) -> Result<Option<mpsc::Sender<()>>, RunError> {
    let Some(every) = config.selfcheck else { return Ok(None) };
    let (sender, ended) = mpsc::channel();
    let thread = thread::Builder::new().name("check".to_owned()).spawn(move || check.run(every, &ended));
    thread.map(|_| Some(sender)).map_err(|source| RunError::System { what: "the checking thread", source })
}

/// Starts the thread that sends spans, unless there is nowhere to send them. It has a runtime of its own, since reading
/// the outbox may block.
fn start_exporters(
    exporters: Vec<Exporter<store::OutboxReader>>,
    stopped: watch::Receiver<bool>,
) -> Result<Option<thread::JoinHandle<Result<(), ExportError>>>, RunError> {
    if exporters.is_empty() {
        return Ok(None);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System { what: "the exporter's runtime", source })?;
    let body = move || {
        let result = runtime.block_on(export::run_all(exporters, stopped));
        // A name that takes long to be looked up must not hold up the end.
        runtime.shutdown_background();
        result
    };
    let thread = thread::Builder::new().name("export".to_owned()).spawn(body);
    thread.map(Some).map_err(|source| RunError::System { what: "the exporting thread", source })
}

async fn wait_for_end(tailer_ended: oneshot::Receiver<()>) -> Result<(), RunError> {
    let failed = |source| RunError::System { what: "the signal handlers", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = tailer_ended => {}
    }
    Ok(())
}

fn stop_at_second_signal(runtime: &Runtime) {
    runtime.spawn(async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // 128 and the number of SIGTERM, as a shell reports a process that a signal ended.
        std::process::exit(143);
    });
}

/// Where session files are looked for, as the environment says.
#[must_use]
pub fn root_env(env: &config::Env) -> RootEnv {
    RootEnv { claude_config_dir: env.get("CLAUDE_CONFIG_DIR").map(Into::into), home: env.home() }
}
