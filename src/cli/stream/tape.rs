//! The tape: what was read of standard input, until standard output and the sidecar have it.
//!
//! One thread writes to it, and two heads read from it, each at its own place. What is newest is in memory; what a head is far
//! behind with lies in an unlinked file, so that memory is bounded while neither is waited for.
//!
//! ```text
//!        spill (file)         |   chunks (memory)        |
//!   ...-------+---------------+------------+-------------+ end
//!          head of a slow one            head of the other
//! ```
//!
//! If the file cannot be written (the disk is full), the tape stays in memory up to [`MEMORY_MAX`]. Then the events are
//! dropped, so that standard output goes on; only if it is standard output that is behind, reading waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::spill;

/// From so many bytes on, memory that standard output still needs is given to the file.
const MEMORY_SOFT: usize = 6 << 20;
/// Most bytes in memory.
const MEMORY_MAX: usize = 16 << 20;
/// If a head is so far behind, reading waits a moment for it: what is in memory need not go through the file, and is still in the
/// cache of the processor.
const PACE_BYTES: u64 = 4 << 20;
/// The head is waited for until it is no further behind than that.
const PACED_BYTES: u64 = 1 << 20;
/// How long that moment is at most. A head that needed longer is not waited for again before it has come so near.
const PACE: Duration = Duration::from_millis(10);
/// Buffers of this size or more are kept as they were read; of smaller ones a copy without the rest of the buffer.
const WHOLE_BYTES: usize = 64 << 10;
/// Most buffers that wait to be read into again.
const FREE_MAX: usize = 64;
/// How long reading waits for the events to move before what only they need is given to the file. While they are written to the
/// spool, the same disk takes them no faster twice.
const SPOOL_PATIENCE: Duration = Duration::from_millis(20);
/// What a chunk takes besides its bytes, about.
const CHUNK_BYTES: usize = 64;
/// Most bytes that are read from the file at once.
const PIECE_BYTES: usize = 256 << 10;
/// How long reading waits for the disk before events are dropped.
const DISK_PATIENCE: Duration = Duration::from_millis(250);
/// Most times of arrival that are kept for lines which are not looked at yet.
const ARRIVALS_MAX: usize = 1 << 16;

/// A head of the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// What standard output has.
    Out,
    /// What is handed over.
    Events,
}

/// What a head finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more.
    More,
    /// Nothing more will come.
    End,
    /// Nothing has come in time.
    Late,
}

/// The tape.
#[derive(Debug)]
pub(super) struct Tape {
    state: Mutex<State>,
    /// Something came, or will come no more.
    more: Condvar,
    /// There is room again.
    room: Condvar,
    /// There is too much.
    full: Condvar,
    folders: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// Where memory begins.
    begin: u64,
    end: u64,
    memory: usize,
    heads: [u64; 2],
    /// When bytes came, milliseconds since 1970, by the place where they begin; each time once.
    arrivals: VecDeque<(u64, i64)>,
    /// Since when nothing more will come.
    closed: Option<Instant>,
    /// Whether a head was waited for in vain, and is not near yet.
    is_slow: bool,
    /// Whether reading waits for a head.
    is_waiting: bool,
    /// Buffers to read into.
    free: Vec<Vec<u8>>,
    /// Whether reading waits for memory that only the events need.
    is_pressed: bool,
    /// Lines and bytes of events that were dropped and not told of yet.
    dropped: (u64, u64),
    spill: Option<Spilled>,
    /// Why nothing can be spilled; told once.
    failure: Option<io::Error>,
    has_failed: bool,
}

#[derive(Debug)]
struct Chunk {
    start: u64,
    bytes: Arc<Vec<u8>>,
}

#[derive(Debug)]
struct Spilled {
    file: Arc<File>,
    /// The place of the tape where the file begins.
    base: u64,
}

/// Some bytes of the tape.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Piece {
    /// A piece of these bytes, which are on no tape.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: Arc::new(bytes.to_vec()), range: 0..bytes.len() }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

impl Tape {
    /// An empty tape, whose file is made in the first of these folders that takes it.
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { state: Mutex::default(), more: Condvar::new(), room: Condvar::new(), full: Condvar::new(), folders }
    }

    /// Adds what was read at `now`, milliseconds since 1970. The buffer is another one then, with whatever in it.
    pub(super) fn push(&self, buffer: &mut Vec<u8>, now: i64) {
        let mut state = self.lock();
        let since = Instant::now();
        while state.memory >= MEMORY_MAX && state.closed.is_none() {
            let elapsed = since.elapsed();
            if (elapsed >= DISK_PATIENCE || state.has_failed) && state.drop_events() {
                continue;
            }
            if elapsed >= SPOOL_PATIENCE && !state.is_pressed {
                state.is_pressed = true;
                self.full.notify_one();
            }
            let left = if state.is_pressed { DISK_PATIENCE } else { SPOOL_PATIENCE };
            let left = left.saturating_sub(elapsed).max(Duration::from_millis(10));
            state = self.room.wait_timeout(state, left).map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
        if state.closed.is_some() {
            return;
        }
        let start = state.end;
        if state.arrivals.back().is_none_or(|(_, at)| *at != now) && state.arrivals.len() < ARRIVALS_MAX {
            state.arrivals.push_back((start, now));
        }
        state.end += buffer.len() as u64;
        let bytes = if buffer.len() < WHOLE_BYTES {
            buffer.as_slice().to_vec()
        } else {
            std::mem::replace(buffer, state.free.pop().unwrap_or_default())
        };
        state.memory += bytes.capacity() + CHUNK_BYTES;
        state.chunks.push_back(Chunk { start, bytes: Arc::new(bytes) });
        self.more.notify_all();
        if state.memory > MEMORY_SOFT {
            self.full.notify_one();
        }
        if state.behind() > PACE_BYTES && !state.is_slow {
            self.wait_for_heads(state);
        }
    }

    /// Waits a moment for the head that is behind.
    fn wait_for_heads(&self, mut state: MutexGuard<'_, State>) {
        let until = Instant::now() + PACE;
        state.is_waiting = true;
        while state.is_waiting && state.closed.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                (state.is_slow, state.is_waiting) = (true, false);
                return;
            }
            state = self.room.wait_timeout(state, left).map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed.get_or_insert_with(Instant::now);
        self.more.notify_all();
        self.room.notify_all();
    }

    /// Since when nothing more will come; `None` while something may.
    pub(super) fn closed(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Where memory begins.
    pub(super) fn memory_begin(&self) -> u64 {
        self.lock().begin
    }

    /// Where the tape ends so far.
    pub(super) fn end(&self) -> u64 {
        self.lock().end
    }

    /// Where a head is.
    pub(super) fn place(&self, head: Head) -> u64 {
        *self.lock().head(head)
    }

    /// Waits until there is something at `place`, nothing more will come, or `patience` is over; without one, for ever.
    pub(super) fn wait(&self, place: u64, patience: Option<Duration>) -> Next {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        loop {
            if state.end > place {
                return Next::More;
            }
            if state.closed.is_some() {
                return Next::End;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Next::Late;
            }
            let left = left.unwrap_or(Duration::from_secs(3600));
            state = self.more.wait_timeout(state, left).map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    /// Some bytes from `place` on, at most up to `until`. Fails if the file cannot be read, or with `NotFound` if they are not
    /// there any more.
    pub(super) fn piece(&self, place: u64, until: u64) -> io::Result<Piece> {
        let state = self.lock();
        let until = until.min(state.end);
        if place >= state.begin {
            let after = state.chunks.partition_point(|chunk| chunk.start <= place);
            let chunk = after.checked_sub(1).and_then(|index| state.chunks.get(index));
            let chunk = chunk.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            let within = |place: u64| usize::try_from(place - chunk.start).unwrap_or(usize::MAX).min(chunk.bytes.len());
            return Ok(Piece { bytes: Arc::clone(&chunk.bytes), range: within(place)..within(until.max(place)) });
        }
        let spill = state.spill.as_ref().filter(|spill| place >= spill.base);
        let (file, base) = spill.map(|spill| (Arc::clone(&spill.file), spill.base)).ok_or(io::ErrorKind::NotFound)?;
        let length = usize::try_from(until.min(state.begin).saturating_sub(place)).unwrap_or(PIECE_BYTES);
        drop(state);
        let mut bytes = vec![0; length.min(PIECE_BYTES)];
        file.read_exact_at(&mut bytes, place - base)?;
        let range = 0..bytes.len();
        Ok(Piece { bytes: Arc::new(bytes), range })
    }

    /// When the bytes at `place` came, and from where on others came at another time. Earlier times are forgotten.
    pub(super) fn arrival(&self, place: u64) -> (Option<i64>, u64) {
        let mut state = self.lock();
        while state.arrivals.get(1).is_some_and(|(next, _)| *next <= place) {
            state.arrivals.pop_front();
        }
        let next = state.arrivals.get(1).map_or(state.end, |(next, _)| *next);
        (state.arrivals.front().map(|(_, at)| *at), next)
    }

    /// A head has everything before `place`.
    pub(super) fn advance(&self, head: Head, place: u64) {
        let mut state = self.lock();
        let at = state.head(head);
        *at = place.max(*at);
        let is_full = state.memory >= MEMORY_MAX;
        state.forget();
        let is_near = state.behind() <= PACED_BYTES;
        let is_waited_for = is_full || (is_near && state.is_waiting);
        if is_near {
            (state.is_slow, state.is_waiting) = (false, false);
        }
        drop(state);
        if is_waited_for {
            self.room.notify_all();
        }
    }

    /// Takes out how many lines and bytes of events were dropped.
    pub(super) fn take_dropped(&self) -> (u64, u64) {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Takes out why nothing can be spilled; once.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    /// Gives memory to the file whenever there is too much of it, as long as the process lives.
    pub(super) fn spill(&self) -> ! {
        let mut state = self.lock();
        loop {
            let chunk = state.chunks.front().map(|chunk| (chunk.start, Arc::clone(&chunk.bytes)));
            match chunk.filter(|(start, bytes)| state.is_too_much(start + bytes.len() as u64)) {
                Some((start, bytes)) => {
                    let file = state.spill_at(start, &self.folders);
                    drop(state);
                    let written = file.and_then(|(file, base)| file.write_all_at(&bytes, start - base));
                    state = self.lock();
                    match written {
                        // A head may have passed it meanwhile.
                        Ok(()) if state.chunks.front().is_some_and(|chunk| chunk.start == start) => state.drop_chunk(),
                        Ok(()) => {}
                        Err(error) => (state.has_failed, state.failure) = (true, Some(error)),
                    }
                    self.room.notify_all();
                }
                None => {
                    state.is_pressed = false;
                    state = self.full.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn head(&mut self, head: Head) -> &mut u64 {
        let [out, events] = &mut self.heads;
        if head == Head::Out { out } else { events }
    }

    /// Whether the chunk that ends here is to be given to the file.
    fn is_too_much(&self, end: u64) -> bool {
        let [out, _] = self.heads;
        self.memory > MEMORY_SOFT && !self.has_failed && (out < end || self.is_pressed)
    }

    /// Where the head is that is behind.
    fn least(&self) -> u64 {
        let [out, events] = self.heads;
        out.min(events).min(self.end)
    }

    /// How far the head that is behind is behind.
    fn behind(&self) -> u64 {
        self.end - self.least()
    }

    /// Forgets what both heads have.
    fn forget(&mut self) {
        let least = self.least();
        while self.chunks.front().is_some_and(|chunk| chunk.start + chunk.bytes.len() as u64 <= least) {
            self.drop_chunk();
        }
    }

    fn drop_chunk(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.begin = chunk.start + chunk.bytes.len() as u64;
            self.memory = self.memory.saturating_sub(chunk.bytes.capacity() + CHUNK_BYTES);
            // A head may still use it.
            if let Some(buffer) = Arc::into_inner(chunk.bytes)
                && buffer.capacity() >= WHOLE_BYTES
                && self.free.len() < FREE_MAX
            {
                self.free.push(buffer);
            }
        }
    }

    /// The file and the place where it begins, to which the chunk at `start` is to be written.
    fn spill_at(&mut self, start: u64, folders: &[PathBuf]) -> io::Result<(Arc<File>, u64)> {
        let is_read = self.heads.iter().all(|head| *head >= self.begin);
        match &mut self.spill {
            Some(spill) => {
                if is_read && spill.base < start {
                    spill.file.set_len(0)?;
                    spill.base = start;
                }
                Ok((Arc::clone(&spill.file), spill.base))
            }
            none => {
                let file = Arc::new(spill::unlinked(folders)?);
                *none = Some(Spilled { file: Arc::clone(&file), base: start });
                Ok((file, start))
            }
        }
    }

    /// Drops the events that standard output has already. Returns whether that made room.
    fn drop_events(&mut self) -> bool {
        let [out, events] = self.heads;
        let before = self.memory;
        if out > events {
            let newlines = |chunk: &Chunk| memchr::memchr_iter(b'\n', &chunk.bytes).count() as u64;
            let passed = self.chunks.iter().filter(|chunk| chunk.start >= events && chunk.start < out);
            let lines: u64 = passed.map(newlines).sum();
            self.dropped = (self.dropped.0 + lines, self.dropped.1 + (out - events));
            *self.head(Head::Events) = out;
            self.forget();
        }
        self.memory < before
    }
}
