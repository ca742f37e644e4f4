//! `tailspan stream`: passes on what `claude -p --output-format stream-json` prints, and hands it over to the sidecar.
//!
//! ```text
//! stdin -> reader -> tape -> writer  -> stdout
//!                      |---> courier -> sidecar, else spool
//!                      `---> spiller -> an unlinked file, for what is too much
//! ```
//!
//! The client drops its output and exits if its reader is slow, so the reader waits for nobody. Towards the pipeline the
//! command is as `cat`: the same bytes, the same end. Only SIGINT does not end it, because the client still prints its result.
//!
//! ```text
//! args       flags and variables
//! tape       what was read, until everybody has it; spill  its file
//! lines      which lines are whole
//! courier    hands over; post  requests to the sidecar; leftovers  spools of earlier runs
//! ending     the signals, and how the process ends
//! event      what happens to the process
//! teller     says each thing once
//! ```

mod args;
mod courier;
mod ending;
mod event;
mod leftovers;
mod lines;
mod post;
mod spill;
mod tape;
mod teller;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

pub use args::StreamArgs;
pub use event::StreamError;

use self::courier::Courier;
use self::ending::{End, Signals};
use self::event::Event;
use self::post::Sidecar;
use self::tape::{Head, Next, Tape};
use self::teller::Teller;
use crate::config::{Config, ConfigError, Env};
use crate::sidecar::clock;
use crate::streams::{Folder, Spool};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 128 << 10;
/// Pause before a standard stream that does not wait is tried again.
const PAUSE: Duration = Duration::from_millis(1);
/// How long SIGTERM and SIGHUP leave to read what the client still prints.
const GRACE: Duration = Duration::from_secs(2);
/// How long nothing may move while events are handed over at the end.
const STUCK: Duration = Duration::from_secs(5);

/// Passes standard input on until it ends. `config` is what could be read of the configuration, with what is wrong with the
/// rest; a wrong configuration does not stop the pipe.
///
/// # Errors
///
/// Fails if standard input is a terminal or cannot be read, or if standard output cannot be written for another reason than that
/// nobody reads it: then the process ends by SIGPIPE, as `cat` does.
pub fn run(args: &StreamArgs, config: Result<&Config, &ConfigError>, env: &Env) -> Result<(), StreamError> {
    if io::stdin().is_terminal() {
        return Err(StreamError::Terminal);
    }
    let teller = Arc::new(Teller::default());
    let (events, happened) = mpsc::channel();
    let signals = Signals::hear(&events).map_err(StreamError::Start)?;
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(StreamError::Read)?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(StreamError::Write)?);
    let state = config.ok().and_then(|config| config.state().ok().map(PathBuf::from));
    let mut folders: Vec<PathBuf> = state.iter().map(|state| Folder::of_state(state).path().to_owned()).collect();
    folders.push(std::env::temp_dir());
    let tape = Arc::new(Tape::new(folders));
    // Reading begins before anything else is looked at.
    begin("read", &events, Event::Read, {
        let tape = Arc::clone(&tape);
        move || read(stdin, &tape)
    })?;
    begin("write", &events, Event::Written, {
        let tape = Arc::clone(&tape);
        move || write(stdout, &tape)
    })?;
    let spilled = Arc::clone(&tape);
    thread::Builder::new().name("spill".to_owned()).spawn(move || spilled.spill()).map_err(StreamError::Start)?;
    if let Err(error) = config {
        teller.say(&format!("{}; the bytes are passed on, and events are not kept", crate::text::chain(error)));
    }
    let run = args.run(env, &teller).map_err(StreamError::Start)?;
    let sidecar = config.ok().map(|config| config.listen).filter(|address| address.port() != 0).map(Sidecar::at);
    let begun = clock::now();
    let spool_bytes = config.map_or(0, |config| config.stream.spool_bytes);
    let spool = state.map(|state| Spool::new(Folder::of_state(&state), run.clone(), begun, spool_bytes));
    let is_kept = config.is_ok();
    begin("events", &events, |_| Event::HandedOver, {
        let (tape, teller) = (Arc::clone(&tape), Arc::clone(&teller));
        move || {
            if is_kept {
                Courier::new(&tape, (run, begun), sidecar, spool, &teller).run();
            } else {
                pass_over(&tape);
            }
            Ok(())
        }
    })?;
    let end = watch(&tape, &happened, &teller);
    signals.end(end)
}

/// Starts a thread, which says `done` when it has ended.
fn begin(
    name: &str,
    events: &Sender<Event>,
    done: fn(io::Result<()>) -> Event,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), StreamError> {
    let events = events.clone();
    let body = move || {
        let result = work();
        // Nobody listens any more once the process ends.
        drop(events.send(done(result)));
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop).map_err(StreamError::Start)
}

/// Reads standard input to its end.
fn read(mut stdin: File, tape: &Tape) -> io::Result<()> {
    ending::widen(&stdin);
    let mut buffer = Vec::new();
    let result = loop {
        buffer.resize(PIECE_BYTES, 0);
        match stdin.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                buffer.truncate(count);
                tape.push(&mut buffer, clock::now().0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => break Err(error),
        }
    };
    tape.close();
    result
}

/// Writes everything to standard output.
fn write(mut stdout: File, tape: &Tape) -> io::Result<()> {
    let mut place = 0;
    while tape.wait(place, None) == Next::More {
        let piece = tape.piece(place, place + PIECE_BYTES as u64)?;
        let mut bytes = piece.as_ref();
        while !bytes.is_empty() {
            match stdout.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    place += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(error) => {
                    // Nothing is kept for a standard output that takes nothing any more.
                    tape.close();
                    tape.advance(Head::Out, tape.end());
                    return Err(error);
                }
            }
            if !bytes.is_empty() {
                tape.advance(Head::Out, place);
            }
        }
        // The tape may read into the buffer again once nobody has it.
        drop(piece);
        tape.advance(Head::Out, place);
    }
    Ok(())
}

/// Lets the tape go by without handing anything over.
fn pass_over(tape: &Tape) {
    while tape.wait(tape.place(Head::Events), None) == Next::More {
        tape.advance(Head::Events, tape.end());
    }
}

/// Waits until the process may end, and says how.
fn watch(tape: &Tape, happened: &mpsc::Receiver<Event>, teller: &Teller) -> End {
    let (mut is_written, mut is_handed_over) = (false, false);
    let mut end = End::Fine;
    // Until when a signal lets things go on; and since when the events have been where they are.
    let mut deadline: Option<Instant> = None;
    let mut moved = (Instant::now(), 0);
    while !(is_written && is_handed_over) {
        let left =
            deadline.map_or(Duration::from_secs(1), |deadline| deadline.saturating_duration_since(Instant::now()));
        match happened.recv_timeout(left.min(Duration::from_secs(1))) {
            Ok(Event::Read(Ok(()))) => {}
            Ok(Event::Read(Err(error))) => end = end.or(End::Failed(StreamError::Read(error))),
            Ok(Event::Written(result)) => {
                is_written = true;
                if let Err(error) = result {
                    tape.close();
                    end = End::of_output(error);
                }
            }
            Ok(Event::HandedOver) => is_handed_over = true,
            Ok(Event::Signal(signal)) => {
                // A second one does not wait.
                let grace = if matches!(end, End::Signal(_)) { Duration::ZERO } else { GRACE };
                (end, deadline) = (End::Signal(signal), Some(Instant::now() + grace));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(error) = tape.take_failure() {
            teller.say(&format!("what is too much for the memory cannot be put on the disk: {error}"));
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            tape.close();
            // What standard output has not taken yet is left, as the pipe of a process that was ended.
            is_written = true;
            deadline = Some(Instant::now() + GRACE);
        }
        let place = tape.place(Head::Events);
        if tape.closed().is_none() || place != moved.1 {
            moved = (Instant::now(), place);
        }
        if !is_handed_over && is_written && moved.0.elapsed() > STUCK {
            teller.say("events cannot be handed over, because nothing takes them: they are lost");
            break;
        }
    }
    end
}
