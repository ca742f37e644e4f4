//! `tailspan backfill`: history as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::args::BackfillArgs;
use super::scan::{ScanError, targets};
use crate::audit::held;
use crate::audit::pass;
use crate::audit::survey::Survey;
use crate::config::{Config, ConfigError};
use crate::ledger::prices::Prices;
use crate::sidecar::clock;
use crate::sidecar::progress::Progress;
use crate::sidecar::settings::{label_rules, threads};
use crate::store::{self, StoreError};
use crate::tail::RootEnv;
use crate::transcript::time::Timestamp;
use crate::views::metrics::history::{HistoryEnd, HistorySpan, MetricHistory, ScrapeTarget, Written};

/// Milliseconds of samples that Prometheus may not have written to a block yet: its head spans up to 3 h. Backfilled
/// blocks that reach into this time cost other series their samples.
const HEAD_MS: i64 = 3 * 3_600_000;

/// Why the history could not be printed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `--from-state` was given, and there is no state.
    #[error("there is no state in {path}: it begins with `tailspan run`", path = path.display())]
    NoState {
        /// The state folder.
        path: PathBuf,
    },
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Session files could not be read, or the result could not be written.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl BackfillError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Config(_))
    }
}

/// Prints the history that the session files hold, or with `--from-state` that of the state. Fails if the arguments
/// contradict each other, if there is nothing to read, or if something could not be read or written.
pub fn run(args: &BackfillArgs, config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), BackfillError> {
    let now = clock::now();
    // Without a state directory nobody knows when the sidecar first started; the history is printed all the same.
    let epoch = config.state().ok().map(store::first_start).transpose()?.flatten();
    let span = span(args, epoch, now)?;
    let ending = if epoch == Some(span.until) { HistoryEnd::Reset } else { HistoryEnd::Open };
    let mut history = MetricHistory::new(label_rules(config), span);
    let problems = if args.from_state {
        of_state(config, prices, &mut history)?
    } else {
        of_files(args, config, env, prices, &mut history)?
    };
    let undated = history.undated();
    let instance = args.instance.clone().unwrap_or_else(|| config.listen.to_string());
    let written = print(history, &ScrapeTarget { job: args.job.clone(), instance }, ending)?;
    say(written, span, ending, undated, now);
    for problem in &problems {
        tracing::warn!("{problem}");
    }
    let count = problems.len();
    if count == 0 { Ok(()) } else { Err(ScanError::Unreadable { count }.into()) }
}

fn span(args: &BackfillArgs, epoch: Option<Timestamp>, now: Timestamp) -> Result<HistorySpan, BackfillError> {
    let refused = |what: String| Err(BackfillError::Usage(what));
    // If the clock was set back since the first start, that lies in the future, for which there is no history.
    let epoch = epoch.map(|epoch| epoch.min(now));
    let until = args.until.or(epoch).unwrap_or(now);
    if until > now {
        return refused(format!("--until {} is not over yet", until.to_rfc3339()));
    }
    if let Some(since) = args.since.filter(|since| *since >= until) {
        return refused(format!("--since {} is not before the end, {}", since.to_rfc3339(), until.to_rfc3339()));
    }
    Ok(HistorySpan { since: args.since, until, step_s: args.step })
}

/// Adds the session files to `history`. Returns a sentence for each file or folder that could not be read.
fn of_files(
    args: &BackfillArgs,
    config: &Config,
    env: &RootEnv,
    prices: &Prices,
    history: &mut MetricHistory,
) -> Result<Vec<String>, BackfillError> {
    let targets = targets(&args.dirs, config, env)?;
    let mut problems = Vec::new();
    let found = pass::find(&targets, &mut problems).map_err(|path| ScanError::NotFound { path })?;
    let progress = Progress::start(found.len() as u64, found.iter().map(|found| found.size).sum());
    let survey = Survey::of(found, prices, threads()).with_rules(config.metrics.custom.rules());
    let read = survey.each(|files, bytes| progress.advance(files, bytes), |pass| pass.remember(history));
    progress.finish();
    problems.extend(read.problems);
    Ok(problems)
}

/// Adds the state to `history`, session by session. The returned list is always empty.
fn of_state(config: &Config, prices: &Prices, history: &mut MetricHistory) -> Result<Vec<String>, BackfillError> {
    let folder = config.state()?;
    if !store::exists(folder) {
        return Err(BackfillError::NoState { path: folder.to_path_buf() });
    }
    let opened = store::open(folder, clock::now())?;
    if opened.recovered.prices.is_some_and(|used| used != prices.fingerprint()) {
        tracing::warn!("prices have changed since: `tailspan run` computes every cost in the state again");
    }
    held::everything(&opened.reader, |change| history.observe(change))?;
    Ok(Vec::new())
}

/// Writes the history to standard output piece by piece, because a year of it may not fit into memory.
fn print(history: MetricHistory, target: &ScrapeTarget, ending: HistoryEnd) -> Result<Written, ScanError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = history.write(target, ending, |text| out.write_all(text.as_bytes()));
    match written.and_then(|written| out.flush().map(|()| written)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::default()),
        written => written.map_err(ScanError::Output),
    }
}

/// Logs what the written history holds, and what can go wrong when it is loaded.
fn say(written: Written, span: HistorySpan, ending: HistoryEnd, undated: u64, now: Timestamp) {
    let until = span.until.to_rfc3339();
    let Written { series, samples, first } = written;
    match first {
        Some(first) => tracing::info!(series, samples, since = first.to_rfc3339(), until, "history is written"),
        None => tracing::warn!(until, "there is no history before the end"),
    }
    if ending == HistoryEnd::Reset {
        tracing::info!("the end is the first start of the sidecar: its counters go on from there");
    }
    if undated > 0 {
        tracing::warn!(undated, "stamped before 2025 or not at all, and left out; --since 1970-01-01 counts them too");
    }
    let safe = Timestamp(span.until.0.saturating_add(HEAD_MS));
    if safe > now && samples > 0 {
        tracing::warn!(
            "a Prometheus that runs already may lose samples of other jobs: give it the blocks after {}",
            safe.to_rfc3339()
        );
    }
}
