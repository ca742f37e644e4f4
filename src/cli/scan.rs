//! `tailspan scan`: reads the session files once and prints the result.

use std::io::{self, Write};
use std::path::PathBuf;

use super::table;
use crate::audit::pass;
use crate::audit::survey::Survey;
use crate::config::{Config, ScanFormat};
use crate::ledger::money::Money;
use crate::ledger::prices::Prices;
use crate::sidecar::progress::Progress;
use crate::sidecar::settings::{label_rules, threads};
use crate::tail::{self, RootEnv};
use crate::text;
use crate::views::metrics::points::{Point, points, points_of};
use crate::views::metrics::text::TextFormat;
use crate::views::metrics::totals::Sample;
use crate::views::sessions::summary::CustomCount;

/// Why a scan failed.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A target that was named does not exist.
    #[error("there is no {}: name a projects folder, a config folder that has one, or a session file", path.display())]
    NotFound {
        /// The target as it was named.
        path: PathBuf,
    },
    /// No session root exists.
    #[error("no session files: {}; name a folder, or set CLAUDE_CONFIG_DIR", missing(roots))]
    NoRoot {
        /// The folders that were looked for.
        roots: Vec<PathBuf>,
    },
    /// Files could not be read; everything else was printed.
    #[error("{count} files or folders could not be read")]
    Unreadable {
        /// Number of files and folders that could not be read.
        count: usize,
    },
    /// Standard output could not be written.
    #[error("cannot write the result")]
    Output(#[source] io::Error),
}

/// Which folders are not there.
fn missing(paths: &[PathBuf]) -> String {
    match paths {
        [path] => format!("there is no folder {}", text::display(path)),
        paths => {
            let named: Vec<String> = paths.iter().map(|path| text::display(path)).collect();
            format!("neither of {} exists", named.join(", "))
        }
    }
}

/// Reads the files and folders in `dirs`, or the session roots if there are none, and prints the result in the
/// configured format. Fails if a target does not exist, a file could not be read, or the output could not be written.
pub fn run(dirs: &[PathBuf], config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), ScanError> {
    let targets = targets(dirs, config, env)?;
    let mut problems = Vec::new();
    let found = pass::find(&targets, &mut problems).map_err(|path| ScanError::NotFound { path })?;
    let bytes = found.iter().map(|found| found.size).sum();
    let progress = Progress::start(found.len() as u64, bytes);
    let rules = config.metrics.custom.rules();
    let survey = Survey::of(found, prices, threads()).with_last_rows().with_rules(rules);
    let advance = |files, bytes| progress.advance(files, bytes);
    let (text, read) = match config.scan.format {
        ScanFormat::Json => {
            let (mut summary, read) = survey.summary(config.scan.sessions, advance);
            summary.custom_metrics = custom(&survey, config);
            let json = serde_json::to_string_pretty(&summary).map_err(io::Error::other).map_err(ScanError::Output)?;
            (json + "\n", read)
        }
        ScanFormat::Table => {
            let (mut summary, read) = survey.summary(config.scan.sessions, advance);
            summary.custom_metrics = custom(&survey, config);
            (table::render(&summary), read)
        }
        ScanFormat::Trace => survey.trees(advance),
        ScanFormat::Prometheus => {
            let (totals, read) = survey.totals(label_rules(config), advance);
            (TextFormat::Plain.write(&points(&totals), &[]), read)
        }
    };
    progress.finish();
    print(&text)?;
    problems.extend(read.problems);
    for problem in &problems {
        tracing::warn!("{problem}");
    }
    if problems.is_empty() { Ok(()) } else { Err(ScanError::Unreadable { count: problems.len() }) }
}

/// What the rules of custom metrics count; `None` if there are none. The files are read once more for it.
fn custom(survey: &Survey<'_>, config: &Config) -> Option<Vec<CustomCount>> {
    if config.metrics.custom.rules().is_empty() {
        return None;
    }
    let (totals, _) = survey.totals(label_rules(config), |_, _| {});
    let count = |point: Point| {
        let names = point.metric.labels.iter().map(|label| label.name.to_owned());
        let (count, sum) = match &point.sample {
            Sample::Number(sum) => (None, *sum),
            Sample::Histogram(histogram) => (Some(histogram.count), histogram.sum),
        };
        CustomCount {
            metric: point.metric.full_name(),
            labels: names.zip(point.labels.iter().map(ToString::to_string)).collect(),
            count,
            sum: decimal(sum),
        }
    };
    Some(totals.custom().iter().flat_map(|metric| points_of(metric, &totals)).map(count).collect())
}

/// A number of a custom metric as exact decimal text.
pub(super) fn decimal(stored: i128) -> String {
    Money::from_picousd(stored).to_string()
}

/// Writes a result to standard output. It is no error if the reader closes the pipe early, as `head` does.
pub(super) fn print(text: &str) -> Result<(), ScanError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ScanError::Output),
    }
}

/// The targets to read: `dirs`, or the session roots that exist if `dirs` is empty. Fails if no root exists.
pub(super) fn targets(dirs: &[PathBuf], config: &Config, env: &RootEnv) -> Result<Vec<PathBuf>, ScanError> {
    if !dirs.is_empty() {
        return Ok(dirs.to_vec());
    }
    let roots = tail::session_roots(&[], &config.projects, env);
    let existing = tail::existing(&roots);
    if existing.is_empty() { Err(ScanError::NoRoot { roots }) } else { Ok(existing) }
}
