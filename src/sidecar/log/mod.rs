//! Logs on stderr, as text or JSON; stdout is for results. There are no colour codes: they would end up in files and
//! journals.
//!
//! Every message of the program passes here. Whoever logs never waits for stderr (`queue`), and messages of level INFO
//! and above that repeat themselves are counted (`limit`). DEBUG and TRACE are always written in full if the filter
//! asks for them.

mod limit;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use self::limit::{ABOUT, Limit, LogEvent, Repeats};
use self::queue::LineQueue;
use crate::config::{ConfigError, LogFormat};

/// Libraries whose usual messages say nothing about session files, so that only their warnings and errors are logged.
/// A filter that names one of them decides about its messages.
const NOISY: [&str; 7] =
    ["hyper", "hyper_util", "notify", "opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "sled"];

/// How long the end of the program waits until the log is written; stderr may be a pipe that nobody reads.
const FLUSH: Duration = Duration::from_secs(1);

/// Target of the messages that tell how many others were not written. They are never limited themselves.
const SUMS: &str = "tailspan::log";

/// Target of the self-check, whose INFO messages are never limited: they come as often as the configuration says.
const SCHEDULED: &str = "tailspan::audit::selfcheck";

/// The log of this process: there is one stderr.
struct Logger {
    queue: Arc<LineQueue>,
    /// False if the thread that writes could not be started.
    has_writer: bool,
    limit: Mutex<Limit>,
    started: Instant,
}

static LOG: LazyLock<Logger> = LazyLock::new(Logger::start);

impl Logger {
    fn start() -> Self {
        let queue = Arc::new(LineQueue::default());
        let own = Arc::clone(&queue);
        let write = move || own.write_to(io::stderr(), say_sums);
        let has_writer = thread::Builder::new().name("log".to_owned()).spawn(write).is_ok();
        Self { queue, has_writer, limit: Mutex::default(), started: Instant::now() }
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        if self.has_writer {
            self.queue.add(line);
        } else {
            // If no thread can be started, the program ends at once, and this may be its last message.
            drop(io::stderr().write_all(line));
        }
    }
}

/// Sends logs to stderr from here on, panics of any thread too. A second call changes nothing. Fails if a part of
/// `filter` is neither a level nor a directive such as `target=level`.
pub fn init(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let filtered = tracing_subscriber::registry().with(parse(filter)?).with(Repetitions);
    let result = match format {
        LogFormat::Text => filtered.with(layer().with_ansi(false).with_writer(|| LineBuffer)).try_init(),
        LogFormat::Json => filtered.with(layer().json().flatten_event(true).with_writer(|| LineBuffer)).try_init(),
    };
    match result {
        // The default panic hook writes to stderr itself, and would wait for ever if nobody reads it.
        Ok(()) => std::panic::set_hook(Box::new(|panic| {
            let trace = Backtrace::capture();
            let trace = (trace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(trace));
            tracing::error!(trace, "a part of the program failed: {panic}");
        })),
        Err(error) => tracing::debug!(%error, "logs were already set up"),
    }
    Ok(())
}

/// Lines of the log that could not be written, since the start of the process.
#[must_use]
pub fn lost() -> Arc<AtomicU64> {
    LOG.queue.lost()
}

/// Writes a line as it is, without the time and the level of a log message.
pub fn say(line: &str) {
    LOG.add(format!("{line}\n").as_bytes());
}

/// Writes what there is, and lets further lines wait until [`release`]: somebody else draws on the terminal.
pub fn hold() {
    LOG.queue.flush(FLUSH);
    LOG.queue.hold(true);
}

/// Ends what [`hold`] began.
pub fn release() {
    LOG.queue.hold(false);
}

/// Logs how many messages were counted instead of written, and waits until everything is written, at most a second.
/// To be called before the process ends.
pub fn flush() {
    let sums = LOG.limit().rest(LOG.started.elapsed());
    sums.iter().for_each(say_sum);
    LOG.queue.flush(FLUSH);
}

/// Logs the counted messages that are due, and the number of `lost` lines if some were. Called by the thread that
/// writes.
fn say_sums(lost: Option<u64>) {
    if let Some(lost) = lost {
        tracing::warn!(target: SUMS, lost, "lines of the log could not be written");
    }
    let sums = LOG.limit().due(LOG.started.elapsed());
    sums.iter().for_each(say_sum);
}

fn say_sum(sum: &Repeats) {
    let Repeats { further, like } = sum;
    tracing::warn!(target: SUMS, further, like, "more of the same");
}

/// Takes the formatted text of one message and adds it to the queue.
struct LineBuffer;

impl Write for LineBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Holds back messages that repeat themselves, as [`Limit`] says.
struct Repetitions;

impl<S: Subscriber> Layer<S> for Repetitions {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_scheduled = *metadata.level() == Level::INFO && metadata.target() == SCHEDULED;
        if *metadata.level() > Level::INFO || metadata.target() == SUMS || is_scheduled {
            return true;
        }
        let mut said = SaidFields::default();
        event.record(&mut said);
        let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        let wanted = LogEvent { place, message: &said.message, about: &said.about };
        LOG.limit().admits(wanted, LOG.started.elapsed())
    }
}

/// The parts of a message that [`Limit`] compares.
#[derive(Default)]
struct SaidFields {
    message: String,
    about: String,
}

impl Visit for SaidFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if ABOUT.contains(&name) => {
                let space = if self.about.is_empty() { "" } else { " " };
                write!(self.about, "{space}{name}={value:?}")
            }
            _ => Ok(()),
        };
        match written {
            Ok(()) => {}
            Err(_) => unreachable!("writing to a string does not fail"),
        }
    }
}

fn parse(filter: &str) -> Result<EnvFilter, ConfigError> {
    let refused = |part: &str| ConfigError::Filter { part: format!("{part:?}") };
    let mut everything = LevelFilter::OFF;
    let parts: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(refused(filter));
    }
    for part in &parts {
        match part.parse::<LevelFilter>() {
            Ok(level) => everything = level,
            // The crate takes a lone word for a target, so that `TAILSPAN_LOG=verbose` would silence everything.
            Err(_) if !part.contains(['=', '[']) || part.parse::<Directive>().is_err() => return Err(refused(part)),
            Err(_) => {}
        }
    }
    let cap = everything.min(LevelFilter::WARN);
    // Later directives replace earlier ones of the same target, so the user's come last.
    let capped = NOISY.iter().map(|target| format!("{target}={cap}"));
    let directives: Vec<String> = capped.chain(parts.into_iter().map(str::to_owned)).collect();
    EnvFilter::builder().parse(directives.join(",")).map_err(|_| refused(filter))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn libraries_are_capped_unless_the_filter_names_them() {
        let shown = |filter: &str| parse(filter).unwrap().to_string();
        let has = |filter: &str, directive: &str| shown(filter).split(',').any(|part| part == directive);
        assert!(has("info", "sled=warn") && has("info", "info"));
        assert!(has("error", "hyper=error"));
        assert!(has("info, tailspan=debug", "tailspan=debug"));
        assert!(has("debug,hyper=trace", "hyper=trace") && !has("debug,hyper=trace", "hyper=warn"));
        assert!(has("tailspan::tail=debug", "sled=off"));
        assert!(has("info,tailspan[step{file=1}]=trace", "info"));
    }

    #[test]
    fn a_part_that_is_no_directive_is_named() {
        for (filter, part) in
            [("", ""), ("verbose", "verbose"), ("info,tailspan=loud", "tailspan=loud"), ("info, debg", "debg")]
        {
            let error = parse(filter).err().unwrap().to_string();
            assert!(error.contains(&format!("{part:?}")), "{error}");
            assert!(error.contains("TAILSPAN_LOG"), "{error}");
        }
    }
}
