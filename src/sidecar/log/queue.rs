//! The lines that wait to be written to stderr. Whoever logs never waits and never fails: a separate thread writes.
//!
//! If the log's disk is full, or its reader has gone or sleeps, lines are lost, and the program goes on. Lost lines are
//! counted, and their number is logged once lines can be written again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes that wait. A line that would exceed them is lost.
const BYTES_MAX: usize = 1 << 18;

/// Pause between two calls of `look` in [`LineQueue::write_to`] while no line comes.
const LOOK: Duration = Duration::from_secs(10);

/// Pause between two tries to write to a full pipe that does not block.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// The lines that wait to be written, and the number of lines that were lost.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    waiting: Mutex<WaitingLines>,
    /// Notified when a line was added.
    added: Condvar,
    /// Notified when everything is written.
    written: Condvar,
    lost: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct WaitingLines {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// True while a line that was taken from `lines` is being written.
    writes: bool,
    /// True while no further line may be written.
    is_held: bool,
}

impl LineQueue {
    /// Adds a line. Control characters except tabs and the last newline become spaces, so that text from outside cannot
    /// look like a line of its own.
    pub(super) fn add(&self, line: &[u8]) {
        let mut line = line.to_vec();
        let text = line.len().saturating_sub(usize::from(line.ends_with(b"\n")));
        line.iter_mut().take(text).filter(|byte| byte.is_ascii_control() && **byte != b'\t').for_each(|b| *b = b' ');
        let mut waiting = self.waiting();
        if waiting.bytes.saturating_add(line.len()) > BYTES_MAX {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line);
        self.added.notify_one();
    }

    /// Number of lines that were never written, since the start of the process.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// Waits until everything is written, but not longer than `longest`.
    pub(super) fn flush(&self, longest: Duration) {
        let is_busy = |waiting: &mut WaitingLines| waiting.writes || !waiting.lines.is_empty();
        drop(self.written.wait_timeout_while(self.waiting(), longest, is_busy));
    }

    /// Whether lines wait for the opposite call instead of being written.
    pub(super) fn hold(&self, is_held: bool) {
        self.waiting().is_held = is_held;
        self.added.notify_one();
    }

    /// Writes lines to `out` for ever. Calls `look` with `None` after each line and every [`LOOK`], and with the number
    /// of lines that were newly lost after a line could be written.
    pub(super) fn write_to(&self, mut out: impl Write, look: impl Fn(Option<u64>)) {
        let mut said = 0;
        loop {
            if let Some(line) = self.next() {
                let result = write(&mut out, &line);
                let lost = match result {
                    Ok(()) => self.lost.load(Ordering::Relaxed),
                    Err(_) => self.lost.fetch_add(1, Ordering::Relaxed) + 1,
                };
                if result.is_ok() && lost > said {
                    look(Some(lost - said));
                    said = lost;
                }
                self.settled();
            }
            look(None);
        }
    }

    /// Waits for the oldest line; `None` if there was none for [`LOOK`].
    fn next(&self) -> Option<Vec<u8>> {
        let is_idle = |waiting: &mut WaitingLines| waiting.lines.is_empty() || waiting.is_held;
        let waited = self.added.wait_timeout_while(self.waiting(), LOOK, is_idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.is_held {
            return None;
        }
        let line = waiting.lines.pop_front()?;
        waiting.bytes -= line.len();
        waiting.writes = true;
        Some(line)
    }

    fn settled(&self) {
        let mut waiting = self.waiting();
        waiting.writes = false;
        if waiting.lines.is_empty() {
            self.written.notify_all();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a whole line. If a pipe that does not block is full, it tries again until the pipe has room.
fn write(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => line = line.get(bytes..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(TRY_AGAIN),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
