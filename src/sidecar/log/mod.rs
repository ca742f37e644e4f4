//! Logs on stderr, as text or JSON. stdout belongs to the results. No colour codes: they end up in files and journals.
//!
//! Every message of the program passes here, so here is what holds for each: who logs never waits for stderr
//! (`queue`), and what repeats itself is summed (`limit`) from level INFO up. DEBUG and TRACE are written whole to
//! who asks for them.

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

/// Libraries whose everyday messages say nothing about session files. A filter that names one of them decides for it.
const NOISY: [&str; 7] =
    ["hyper", "hyper_util", "notify", "opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "sled"];

/// How long the end of the program waits for a log that nobody takes.
const FLUSH: Duration = Duration::from_secs(1);

/// Target of messages that sum up others: no limit holds for them.
const SUMS: &str = "tailspan::log";

/// What tells at INFO what came of work on a schedule: the configuration says how often, nobody else.
const SCHEDULED: &str = "tailspan::audit::selfcheck";

/// The log of this process: there is one stderr.
struct Logger {
    queue: Arc<LineQueue>,
    /// There is a thread that writes.
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
            // Nothing will run without threads: these are the last words.
            drop(io::stderr().write_all(line));
        }
    }
}

/// Sends logs to stderr from here on, panics of any thread too. A second call changes nothing.
///
/// # Errors
/// A part of `filter` is neither a level nor `target=level`.
pub fn init(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let filtered = tracing_subscriber::registry().with(parse(filter)?).with(Repetitions);
    let result = match format {
        LogFormat::Text => filtered.with(layer().with_ansi(false).with_writer(|| LineBuffer)).try_init(),
        LogFormat::Json => filtered.with(layer().json().flatten_event(true).with_writer(|| LineBuffer)).try_init(),
    };
    match result {
        // The usual hook would wait for a stderr that nobody reads.
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

/// Writes a line that stands alone, not a message of the log.
pub fn say(line: &str) {
    LOG.add(format!("{line}\n").as_bytes());
}

/// Says what is still to be summed, and waits until everything is written: before the process ends. Not longer than a
/// second, for stderr may be a pipe that nobody reads.
pub fn flush() {
    let sums = LOG.limit().rest(LOG.started.elapsed());
    sums.iter().for_each(say_sum);
    LOG.queue.flush(FLUSH);
}

/// Called by the thread that writes, with the number of lines that were lost before the last one.
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

/// Writes what the formatter made of one message.
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

/// Keeps messages back that repeat themselves.
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

/// The parts of a message that tell it from others.
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
            // A lone word would be taken for a target: `TAILSPAN_LOG=verbose` would silence everything.
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
