//! Uses the opened state until it fails or the end is asked for. A full or failing disk pauses the sidecar and does not
//! end it: the state is opened again once it can be written.
//!
//! sled goes on failing once a write has failed, so everything that holds the database is dropped and made anew when
//! there is room again. Meanwhile `/metrics` shows what was published last, which is durable; the session files keep
//! new rows, and their cursors stay where they were.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use crate::archive::Archive;
use crate::audit::selfcheck::SelfCheck;
use crate::config::Config;
use crate::engine::{Engine, PARTS_MAX, Start};
use crate::export::{self, DrainConfig, ExportCounters, ExportError, Exporter, OtlpEndpoint};
use crate::ledger::prices::Prices;
use crate::sidecar::clock;
use crate::sidecar::error::RunError;
use crate::sidecar::progress::Progress;
use crate::sidecar::runaways;
use crate::sidecar::settings::{endpoints, event_limits, history_rules, label_rules, policy, sources, span_rules};
use crate::sidecar::tailer::{Shared, Tailer};
use crate::sidecar::watchdog::Watchdog;
use crate::store::{self, OpenStore, Opened, StoreError};
use crate::tail::{self, Hints, RootEnv};
use crate::text::chain;
use crate::transcript::ids::SessionId;
use crate::vitals::Vitals;

/// The shortest and the longest pause between two tries to use the state again. The pause doubles with each try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

/// After a failure of a state that was in use for longer than this, the pauses begin with the shortest again.
const CALM: Duration = Duration::from_secs(60);

/// Free bytes that the disk must have before the state is opened again: eight of sled's segments of 512 KiB.
const ROOM_BYTES: u64 = 4 << 20;

/// What outlives the database: it is used again each time that the state is opened anew.
pub(super) struct Life<'a> {
    pub(super) config: &'a Config,
    pub(super) env: &'a RootEnv,
    pub(super) prices: Prices,
    pub(super) kept: OpenStore,
    pub(super) shared: Arc<Shared>,
    pub(super) hints: Hints,
    pub(super) exported: Arc<ExportCounters>,
    pub(super) archive: Archive,
    /// Sessions that were active when the process started.
    pub(super) recent: Vec<SessionId>,
}

impl Life<'_> {
    pub(super) fn selfcheck(&self) -> SelfCheck {
        let roots = tail::session_roots(&[], &self.config.projects, self.env);
        let streams = self.config.state().map_or_else(|_| PathBuf::new(), tail::streams_below);
        let (vitals, stop) = (Arc::clone(&self.shared.vitals), Arc::clone(&self.shared.stop));
        SelfCheck::new(self.kept.reader.clone(), self.prices.clone(), (roots, streams), vitals, stop)
    }

    pub(super) fn watchdog(&self) -> Watchdog {
        let roots = tail::session_roots(&[], &self.config.projects, self.env);
        Watchdog::new(self.kept.pulse.clone(), Arc::clone(&self.shared.vitals), roots)
    }

    /// Reads, writes and sends until `asked` becomes true, or until the state fails for good.
    pub(super) fn run(
        &self,
        mut opened: Opened,
        runtime: &Runtime,
        mut asked: watch::Receiver<bool>,
    ) -> Result<(), RunError> {
        let mut pause = PAUSES[0];
        loop {
            let begun = Instant::now();
            match self.once(opened, runtime, &mut asked) {
                // The end was asked for while the state failed: the process need not wait, and nothing is lost.
                Err(RunError::Store(error)) if error.may_pass() && *asked.borrow() => {
                    say_trouble(&self.shared.vitals, self.config.state()?, &error);
                    return Ok(());
                }
                Err(RunError::Store(error)) if error.may_pass() => {
                    if begun.elapsed() > CALM {
                        pause = PAUSES[0];
                    }
                    match self.wait_until_usable(&error, &mut pause, runtime, &mut asked)? {
                        Some(again) => opened = again,
                        None => return Ok(()),
                    }
                }
                result => return result,
            }
        }
    }

    /// Uses one opened state until it fails or the end is asked for. When this returns, nothing but readers holds the
    /// database any more.
    fn once(&self, opened: Opened, runtime: &Runtime, asked: &mut watch::Receiver<bool>) -> Result<(), RunError> {
        let now = clock::now();
        let (policy, history) = (policy(self.config, &opened), history_rules(self.config, &opened));
        let endpoints = endpoints(self.config)?;
        let Opened { writer, outbox, mut epoch, recovered, .. } = opened;
        let queues = outbox.readers(&endpoints.iter().map(OtlpEndpoint::name).collect::<Vec<_>>())?;
        let (prices, labels, spans) = (self.prices.clone(), label_rules(self.config), span_rules(self.config));
        let labels = labels.seen(|rules| epoch.count_rules(rules, now))?;
        let engine =
            Engine::new(Start { writer, recovered, epoch, prices, labels, policy, spans, parts_max: PARTS_MAX }, now)?;
        let mut engine = engine
            .with_history(history, now)?
            .with_archive(self.archive.clone())
            .with_runaways(self.config.runaway)
            .with_events(event_limits(self.config));
        engine.recall(&self.recent)?;
        runaways::resume(&mut engine, &self.kept.reader, now)?;
        let sources = sources(self.config, self.env, &span_rules(self.config));
        let tailer = Tailer::new(engine, Arc::clone(&self.shared), sources, self.hints.clone());
        let over = tailer.over();
        let (tailer, tailer_ended) =
            start_tailer(tailer, Arc::clone(&self.shared.vitals), self.config.state()?.to_path_buf())?;
        let (stop_export, export_stopped) = watch::channel(false);
        let exporting = start_exporters(exporters(queues, endpoints, &self.exported), export_stopped)?;
        let (exporter, exporter_ended) = exporting.unzip();
        let exporter_ended = async {
            match exporter_ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        runtime.block_on(async {
            tokio::select! {
                _ = asked.wait_for(|asked| *asked) => {}
                _ = tailer_ended => {}
                // Without the exporters the outbox would fill up and reading would pause for ever, so the tailer ends
                // too.
                () = exporter_ended => over.store(true, Ordering::Release),
            }
        });
        self.hints.wake();
        let tailed = tailer.join().map_err(|_| RunError::Panicked { part: "the reader" })?;
        // The spans of the last commit are durable now, and the exporters try once more to send them.
        stop_export.send_replace(true);
        let exported = exporter.map(thread::JoinHandle::join).transpose();
        // The tailer's error comes first, because that of the exporters most often has the same cause.
        tailed?;
        let exported = exported.map_err(|_| RunError::Panicked { part: "the exporter" })?.transpose();
        exported.map(|_| ()).map_err(|error| self.store_error(error))
    }

    /// The error that ended the exporters; a failure of their queue is an error of the state, and marks a damaged one.
    fn store_error(&self, error: ExportError) -> RunError {
        let ExportError::Queue { source, .. } = error else { return RunError::Export(error) };
        if let (true, Ok(state)) = (source.is_damage(), self.config.state()) {
            mark_damaged(state);
        }
        RunError::Store(source)
    }

    /// Says that the state cannot be written, and tries to open it until it can be. Returns `None` if the end is asked
    /// for before that.
    fn wait_until_usable(
        &self,
        error: &StoreError,
        pause: &mut Duration,
        runtime: &Runtime,
        asked: &mut watch::Receiver<bool>,
    ) -> Result<Option<Opened>, RunError> {
        let folder = self.config.state()?;
        say_trouble(&self.shared.vitals, folder, error);
        self.kept.reader.close();
        let room = room_for(error);
        loop {
            let wait = async { tokio::time::timeout(*pause, asked.wait_for(|asked| *asked)).await.is_ok() };
            if runtime.block_on(wait) {
                return Ok(None);
            }
            *pause = pause.saturating_mul(2).min(PAUSES[1]);
            let tried = store::probe(folder, room).and_then(|()| store::open_again(folder, clock::now(), &self.kept));
            match tried {
                Ok(opened) => {
                    tracing::info!(state = %folder.display(), "the state can be written again: reading goes on");
                    self.shared.vitals.set_trouble(None);
                    return Ok(Some(opened));
                }
                // The state may still be locked: a request that is being answered holds the old database for a moment.
                Err(error) if error.may_pass() || matches!(error, StoreError::Locked { .. }) => {
                    tracing::debug!(error = chain(&error), "the state cannot be written yet");
                    if matches!(error, StoreError::Gone { .. }) {
                        say_trouble(&self.shared.vitals, folder, &error);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Logs that the state cannot be written and puts the reason into `vitals`, unless it is there already.
fn say_trouble(vitals: &Vitals, folder: &Path, error: &StoreError) {
    let reason = format!("the state in {} cannot be written: {}", folder.display(), chain(error));
    if vitals.trouble().as_ref() == Some(&reason) {
        return;
    }
    tracing::error!(
        error = chain(error),
        state = %folder.display(),
        "the state cannot be written: reading pauses until it can; nothing is lost, the session files keep what comes"
    );
    vitals.set_trouble(Some(reason));
}

/// Bytes that must be free before the state is opened again after an error.
fn room_for(error: &StoreError) -> u64 {
    match error {
        StoreError::Full { needed, .. } => ROOM_BYTES + needed,
        _ => ROOM_BYTES,
    }
}

type Ended = Result<(), StoreError>;

/// Starts the thread that reads and writes. The receiver is woken when the thread ends, for whatever reason.
fn start_tailer(
    mut tailer: Tailer,
    vitals: Arc<Vitals>,
    state: PathBuf,
) -> Result<(thread::JoinHandle<Ended>, oneshot::Receiver<()>), RunError> {
    let (ending, ended) = oneshot::channel();
    let body = move || {
        // This sender is dropped when the thread ends, also by a panic, and that wakes the receiver.
        let _ending = ending;
        let progress: Mutex<Option<Progress>> = Mutex::new(None);
        let result = tailer.run(|files, bytes, files_total, bytes_total| {
            if let Ok(mut bar) = progress.lock() {
                bar.get_or_insert_with(|| Progress::start(files_total, bytes_total)).advance(files, bytes);
            }
        });
        match &result {
            // This is said before the database is closed, which may take long.
            Err(error) if error.may_pass() => say_trouble(&vitals, &state, error),
            Err(error) => {
                tracing::error!(error = chain(error), "the state cannot be used any more");
                if error.is_damage() {
                    mark_damaged(&state);
                }
            }
            Ok(()) => {}
        }
        result
    };
    let thread = thread::Builder::new().name("tail".to_owned()).spawn(body);
    thread.map(|thread| (thread, ended)).map_err(|source| RunError::System { what: "the reading thread", source })
}

fn mark_damaged(state: &Path) {
    if let Err(error) = store::mark_damaged(state) {
        tracing::error!(error = chain(&error), "the next start cannot be told");
    }
}

/// An exporter for each endpoint; they share their counters.
fn exporters(
    queues: Vec<store::OutboxReader>,
    endpoints: Vec<OtlpEndpoint>,
    counters: &Arc<ExportCounters>,
) -> Vec<Exporter> {
    let exporter = |(queue, otlp)| Exporter::new(queue, otlp, DrainConfig::default()).counting(Arc::clone(counters));
    queues.into_iter().zip(endpoints).map(exporter).collect()
}

/// The thread that sends spans, and the receiver that is woken when it ends.
type Exporting = (thread::JoinHandle<Result<(), ExportError>>, oneshot::Receiver<()>);

/// Starts the thread that sends spans; `None` if there is no exporter. The thread has a runtime of its own, since
/// reading the outbox may block.
fn start_exporters(exporters: Vec<Exporter>, stopped: watch::Receiver<bool>) -> Result<Option<Exporting>, RunError> {
    if exporters.is_empty() {
        return Ok(None);
    }
    let (ending, ended) = oneshot::channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System { what: "the exporter's runtime", source })?;
    let body = move || {
        // This sender is dropped when the thread ends, also by a panic, and that wakes the receiver.
        let _ending = ending;
        let result = runtime.block_on(export::run_all(exporters, stopped));
        // A host name that takes long to be looked up must not hold up the end of the process.
        runtime.shutdown_background();
        result
    };
    let thread = thread::Builder::new().name("export".to_owned()).spawn(body);
    let thread = thread.map_err(|source| RunError::System { what: "the exporting thread", source })?;
    Ok(Some((thread, ended)))
}
