//! `tailspan run`: the sidecar, from start to clean end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::audit::selfcheck::SelfCheck;
use crate::config::Config;
use crate::export::{ExportError, PushConfig, Pusher};
use crate::http::api::analytics::cells::SharedCells;
use crate::http::api::events::hub::Events;
use crate::http::api::limits::kept::SharedLimits;
use crate::http::api::replay::kept::Replays;
use crate::http::context::Context;
use crate::http::openapi::ApiDocument;
use crate::http::table::ROUTES;
use crate::http::{App, Readers, RequestCounters, Server, ServerLimits};
use crate::ledger::prices::Prices;
use crate::sidecar::attending::Attending;
use crate::sidecar::error::RunError;
use crate::sidecar::keeping::Keeping;
use crate::sidecar::life::Life;
use crate::sidecar::settings::{endpoints, host, otlp_config, span_rules};
use crate::sidecar::tailer::Shared;
use crate::sidecar::watchdog::Watchdog;
use crate::sidecar::{budgets, clock, indexing, keeping, log, settings, signals, streams, told};
use crate::store::{self, StoreReader};
use crate::streams::sweep::SweepRules;
use crate::streams::{Folder, Intake};
use crate::tail::{self, Hints, RootEnv};
use crate::text::chain;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::metrics::totals::Snapshot;
use crate::vitals::Vitals;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// How long blocking handlers may go on after the server has stopped.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT. A second signal ends the process at once. Fails if a part cannot be started, or if the
/// database fails for good.
pub fn run(config: &Config, env: &RootEnv, prices: Prices) -> Result<(), RunError> {
    let now = clock::now();
    take_files();
    let server = Server::bind(config.listen, ServerLimits::default())?;
    let address = server.local_addr();
    // The endpoints are checked before the state is opened, so that a wrong configuration changes nothing.
    endpoints(config)?;
    let readers = Readers::named(config.web.content_users.iter().map(String::as_str))?;
    let opened = store::open(config.state()?, now)?;
    let (published, totals) = watch::channel(None);
    let pusher = pusher(config, &opened.epoch.instance)?;
    warn_of_waiting(config, opened.writer.meter().spans());
    let mut vitals = Vitals::new(now, config.traces.idle);
    vitals.log_lines_lost = log::lost();
    let vitals = Arc::new(vitals);
    let limits = Arc::new(SharedLimits::loaded(&opened.reader)?);
    let (stop, news, waits, attending) = Default::default();
    let shared = Arc::new(Shared { vitals: Arc::clone(&vitals), stop, limits, published, news, waits, attending });
    let hints = Hints::default();
    attend(config, env, (&shared, &hints), &opened.reader)?;
    let recent = recent(&opened.reader, &vitals, config.traces.idle, now);
    let life = Life {
        config,
        env,
        prices,
        kept: opened.kept.clone(),
        shared,
        hints,
        exported: Arc::default(),
        archive: settings::archive(config),
        recent,
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
    let app = app(&life, totals, readers)?;
    let index_folder = config.search.index.then(|| config.state().map(|state| state.join("index"))).transpose()?;
    let _indexing = indexing::start(Arc::clone(&app), index_folder, Arc::clone(&life.shared.stop))?;
    let _keeping = keeping::start(Keeping::of(&life))?;
    let _sweeping = streams::start(
        Arc::clone(&app.context.intake),
        SweepRules { keep: config.stream.keep, keep_bytes: config.stream.keep_bytes },
        opened.reader.clone(),
    )?;
    let _looking = budgets::start(Arc::clone(&app), !config.budgets.is_empty())?;
    let pushing = pusher.map(|pusher| {
        let app = Arc::clone(&app);
        runtime.spawn(pusher.run(move || (app.context.points(), clock::now()), push_stopped))
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

/// Lets the process have as many files open as the system allows it: each client that follows what happens is one.
fn take_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
}

/// Starts the thread that attends to what is told of sessions from outside their files.
fn attend(
    config: &Config,
    env: &RootEnv,
    (shared, hints): (&Arc<Shared>, &Hints),
    reader: &StoreReader,
) -> Result<(), RunError> {
    let attending = Attending {
        state: config.state()?.to_path_buf(),
        roots: tail::session_roots(&[], &config.projects, env),
        shared: Arc::clone(shared),
        reading: hints.clone(),
        reader: reader.clone(),
    };
    attending.start()
}

/// What the HTTP server needs to answer requests.
fn app(
    life: &Life<'_>,
    totals: watch::Receiver<Option<Snapshot>>,
    readers: Readers,
) -> Result<Arc<App<Context>>, RunError> {
    let folder = Folder::of_state(life.config.state()?);
    let counters = Arc::new(RequestCounters::default());
    let context = Context {
        reader: life.kept.reader.clone(),
        index: Arc::default(),
        cells: SharedCells::new(life.prices.clone())
            .with_budgets(life.config.budgets.clone())
            .with_patterns(life.config.patterns.clone())
            .with_client(settings::client(life.config, life.env)),
        replays: Replays::default(),
        events: Events::new(life.kept.reader.clone(), life.archive.clone(), life.config.events.heartbeat),
        limits: Arc::clone(&life.shared.limits),
        vitals: Arc::clone(&life.shared.vitals),
        totals,
        archive: life.archive.clone(),
        intake: Arc::new(Intake::new(Some(folder), Arc::clone(&life.shared.vitals.streams))),
        outbox: Arc::clone(&life.kept.meter),
        export: Arc::clone(&life.exported),
        requests: Arc::clone(&counters),
        claude_code: life.config.metrics.claude_code,
        document: ApiDocument::of(ROUTES),
        host: host(),
        spans: span_rules(life.config),
        clock: clock::now,
        at: None,
    };
    // What is wrong with its settings is told at the start, and not only to the first who asks.
    let days = context.cells.files_kept_ms() / DAY_MS;
    tracing::info!("the client deletes session files {days} days after they were written last");
    let allowed_hosts = life.config.web.hosts.iter().cloned().collect();
    Ok(Arc::new(App { context, counters, routes: ROUTES, allowed_hosts, readers }))
}

/// Notes the time of the latest row that is counted already, and returns the sessions that may still be open: those with a
/// row within `idle`, and those that are known from outside their files. Sessions whose last row lies in the future are
/// passed over.
fn recent(reader: &StoreReader, vitals: &Vitals, idle: Duration, now: Timestamp) -> Vec<SessionId> {
    let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    let since = Timestamp(now.0.saturating_sub_unsigned(idle_ms));
    let open = vitals.open_since(since);
    let (mut latest, mut recent) = (None, Vec::new());
    let read = reader.each_session(|session| {
        let ended = session.ended().filter(|row| row.may_be(now));
        latest = latest.max(ended);
        if ended >= Some(since) || open.contains(&session.id) {
            recent.push(session.id);
        }
    });
    if let Err(error) = read {
        // This is only a warning: the next row that is read sets the time anew.
        tracing::warn!(error = chain(&error), "the time of the latest row is not known before the next one");
    }
    vitals.last_event.set(latest);
    recent
}

/// Logs a warning if spans of an earlier run wait in the outbox and no endpoint is configured.
fn warn_of_waiting(config: &Config, spans: u64) {
    if config.otlp.is_empty() && spans > 0 {
        tracing::warn!(spans, "spans wait in the outbox, and no OTLP endpoint is configured to take them");
    }
}

/// The pusher of metrics; `None` if the configuration does not ask for it.
fn pusher(config: &Config, instance: &str) -> Result<Option<Pusher>, ExportError> {
    let Some(push) = &config.push else { return Ok(None) };
    let otlp = otlp_config(&push.otlp, config, "tailspan");
    Pusher::new(PushConfig { otlp, interval: push.interval, instance: instance.to_owned() }).map(Some)
}

/// Starts the thread that compares the state with the session files at the configured interval; `None` if the
/// configuration turns it off. The thread ends some time after the sender is dropped; nobody waits for it.
fn start_selfcheck(config: &Config, check: SelfCheck) -> Result<Option<mpsc::Sender<()>>, RunError> {
    let Some(every) = config.selfcheck else { return Ok(None) };
    let (sender, ended) = mpsc::channel();
    let thread = thread::Builder::new().name("check".to_owned()).spawn(move || check.run(every, &ended));
    thread.map(|_| Some(sender)).map_err(|source| RunError::System { what: "the checking thread", source })
}

/// Starts the watchdog's thread, which ends the process if the database never answers again. The thread ends after the
/// sender is dropped.
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
