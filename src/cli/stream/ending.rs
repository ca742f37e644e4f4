//! The signals, and how the process ends: as `cat` would in its place.
//!
//! ```text
//! SIGINT            goes to the whole foreground group; the client prints its result after it, so it is passed over, as by
//!                   `tee -i`, and the end of standard input is the end
//! SIGTERM, SIGHUP   what the client still prints is read for a moment; then the process ends by the signal. One that was
//!                   ignored when the process began (`nohup`) stays ignored
//! EPIPE             nobody reads standard output: the process ends by SIGPIPE, once the events are handed over
//! ```

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::flag::register_usize;
use signal_hook::iterator::Signals as Caught;
use signal_hook::low_level::emulate_default_handler;

use super::event::{Event, StreamError};
use crate::sidecar::log;

/// Bytes that the pipe of standard input is asked to hold, so that the client is not delayed while this process waits for a
/// processor; usual are 64 KiB.
const PIPE_BYTES: usize = 1 << 20;

/// How the process ends.
pub(super) enum End {
    /// With 0.
    Fine,
    /// By a signal.
    Signal(i32),
    /// With an error.
    Failed(StreamError),
}

impl End {
    /// What a standard output that is broken means.
    pub(super) fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Signal(SIGPIPE)
        } else {
            Self::Failed(StreamError::Write(error))
        }
    }

    /// This end, unless it is fine.
    pub(super) fn or(self, other: Self) -> Self {
        if matches!(self, Self::Fine) { other } else { self }
    }
}

/// The signals that are heard.
pub(super) struct Signals {
    /// The last one that ends the process; 0 if none came. It is set when the signal arrives, and not when the thread that hears
    /// it comes to tell.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Hears signals on a thread of its own.
    pub(super) fn hear(events: &Sender<Event>) -> io::Result<Self> {
        let ignored = ignored();
        let is_heard = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
        let last = Arc::new(AtomicUsize::new(0));
        for signal in [SIGTERM, SIGHUP].into_iter().filter(is_heard) {
            register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
        }
        let mut caught = Caught::new([SIGINT, SIGTERM, SIGHUP].iter().filter(|signal| is_heard(signal)))?;
        let events = events.clone();
        let body = move || {
            for signal in caught.forever().filter(|signal| *signal != SIGINT) {
                if events.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(body).map(|_| Self { last })
    }

    /// The end by a signal, if one came.
    fn end_by_signal(&self) -> End {
        let last = i32::try_from(self.last.load(Ordering::SeqCst)).unwrap_or_default();
        if last == 0 { End::Fine } else { End::Signal(last) }
    }

    /// Ends the process by a signal, or says how it ended otherwise.
    pub(super) fn end(self, end: End) -> Result<(), StreamError> {
        match end.or(self.end_by_signal()) {
            End::Fine => Ok(()),
            End::Failed(error) => Err(error),
            End::Signal(signal) => {
                log::flush();
                // If the system refuses, the process ends with 0.
                emulate_default_handler(signal).map_err(StreamError::Start)
            }
        }
    }
}

/// The signals that were ignored when the process began, as bits; none where the system does not tell.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Asks for a larger pipe, if it is one.
#[cfg(target_os = "linux")]
pub(super) fn widen(stdin: &File) {
    // It is as good as it was if the system refuses.
    rustix::pipe::fcntl_setpipe_size(stdin, PIPE_BYTES).ok();
}

/// Asks for a larger pipe, where the system has such.
#[cfg(not(target_os = "linux"))]
pub(super) fn widen(_: &File) {}
