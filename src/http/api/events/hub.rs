//! What all clients of the event stream share: the latest events as they are sent, made once for everybody.
//!
//! ```text
//! commit → durable → one task makes the new events → ring → every client takes what it wants, without waiting
//! ```
//!
//! - The task runs while there are clients. Without any, nothing is made, and commits are not hurried.
//! - Who is further behind than the ring reads the log itself, some rows at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use super::frame::Frame;
use super::render::Renderer;
use crate::archive::Archive;
use crate::http::api::replay::kept::Replays;
use crate::store::{EventPlace, StoreError, StoreReader, ToldEvents};

/// Most bytes of events that are kept for clients that are nearly up to date.
const RING_BYTES_MAX: usize = 4 << 20;

/// Most bytes of events that are kept for clients that come back.
const OLD_BYTES_MAX: usize = 4 << 20;

/// About how many bytes an event takes besides what is sent.
const FRAME_BYTES: usize = 512;

/// Once so many bytes are read for a client that is behind, it has to take them before more is read: it waits for no more than
/// these and one event.
const READ_BYTES: usize = 128 << 10;

/// Rows of the log that are read at once.
const ROWS_AT_ONCE: usize = 8;

/// The time between two heartbeats, unless it is configured.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// The stream of events. Clones share it.
#[derive(Debug, Clone)]
pub struct Events {
    pub(super) hub: Arc<Hub>,
}

/// How the stream of events is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Clients that follow.
    pub clients: u64,
    /// Bytes that were handed to connections since the start.
    pub sent_bytes: u64,
    /// Clients that were too slow since the start.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Hub {
    reader: StoreReader,
    archive: Archive,
    replays: Replays,
    pub(super) heartbeat: Duration,
    ring: Mutex<Ring>,
    old: Mutex<Old>,
    /// Grows by the bytes that are made.
    made: watch::Sender<u64>,
    clients: AtomicUsize,
    is_running: Mutex<bool>,
    left: Notify,
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// The latest events, without gaps.
#[derive(Debug, Default)]
struct Ring {
    /// The epoch of the log; 0 while nothing is known.
    epoch: u64,
    /// The number of the first event that is kept.
    first: u64,
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
}

/// Events that were read for clients that came back, by their numbers.
#[derive(Debug, Default)]
struct Old {
    epoch: u64,
    frames: BTreeMap<u64, Arc<Frame>>,
    bytes: usize,
}

/// The one thread that makes events. With several in turn, each would keep memory of what it has freed.
struct Maker {
    /// Up to where events are to be made.
    places: mpsc::Sender<EventPlace>,
    thread: JoinHandle<()>,
}

impl Maker {
    fn start(hub: &Arc<Hub>) -> Self {
        let (hub, (places, wanted)) = (Arc::clone(hub), mpsc::channel());
        Self { places, thread: spawn_blocking(move || wanted.into_iter().for_each(|place| hub.make(place))) }
    }

    /// Waits until all that is wanted is made.
    async fn end(self) {
        drop(self.places);
        if let Err(error) = self.thread.await {
            tracing::error!(%error, "events cannot be made");
        }
    }
}

/// What lies behind a place in the log.
pub(super) enum Behind {
    /// These events, without gaps.
    Frames(Vec<Arc<Frame>>),
    /// Nothing yet.
    Nothing,
    /// It must be read.
    Unread,
}

fn weight(frame: &Frame) -> usize {
    frame.bytes.len() + FRAME_BYTES
}

impl Ring {
    /// The number of the event that comes next.
    fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn begin(&mut self, place: EventPlace) {
        *self = Self { epoch: place.epoch, first: place.sequence + 1, frames: VecDeque::new(), bytes: 0 };
    }

    fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += weight(&frame);
        self.frames.push_back(frame);
        while self.bytes > RING_BYTES_MAX && self.frames.len() > 1 {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= weight(&oldest);
                self.first += 1;
            }
        }
    }
}

impl Events {
    /// A stream of what this store tells.
    #[must_use]
    pub fn new(reader: StoreReader, archive: Archive, heartbeat: Duration) -> Self {
        let hub = Hub {
            reader,
            archive,
            replays: Replays::default(),
            heartbeat,
            ring: Mutex::default(),
            old: Mutex::default(),
            made: watch::Sender::new(0),
            clients: AtomicUsize::new(0),
            is_running: Mutex::new(false),
            left: Notify::new(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        Self { hub: Arc::new(hub) }
    }

    /// How it is doing.
    #[must_use]
    pub fn counts(&self) -> EventCounts {
        EventCounts {
            clients: self.hub.clients.load(Ordering::Relaxed) as u64,
            sent_bytes: self.hub.sent.load(Ordering::Relaxed),
            dropped: self.hub.dropped.load(Ordering::Relaxed),
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock can be used: events are put in as a whole.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A client has come. New events are made from now on, if there is a runtime that can do so.
    pub(super) fn come(self: &Arc<Self>) {
        self.clients.fetch_add(1, Ordering::Relaxed);
        let Ok(runtime) = Handle::try_current() else { return };
        let mut is_running = lock(&self.is_running);
        if !std::mem::replace(&mut *is_running, true) {
            runtime.spawn(Arc::clone(self).run());
        }
    }

    /// A client has gone.
    pub(super) fn go(&self) {
        if self.clients.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.left.notify_one();
        }
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    /// The end of what is durable.
    pub(super) fn end(&self) -> EventPlace {
        self.reader.events_end()
    }

    /// The number of the first event that is kept. Fails if the state cannot be read.
    pub(super) fn first(&self) -> Result<Option<u64>, StoreError> {
        self.reader.first_event()
    }

    /// Has events made as they become durable, while there are clients.
    async fn run(self: Arc<Self>) {
        let mut end = self.reader.await_events();
        let mut maker = Maker::start(&self);
        loop {
            let place = *end.borrow_and_update();
            if maker.places.send(place).is_err() {
                maker.end().await;
                maker = Maker::start(&self);
                // If that stops it again, the next place starts another one.
                maker.places.send(place).ok();
            }
            tokio::select! {
                changed = end.changed() => if changed.is_err() { return },
                () = self.left.notified() => if self.clients.load(Ordering::Relaxed) == 0 {
                    maker.end().await;
                    let mut is_running = lock(&self.is_running);
                    if self.clients.load(Ordering::Relaxed) == 0 {
                        *is_running = false;
                        *lock(&self.ring) = Ring::default();
                        return;
                    }
                    drop(is_running);
                    maker = Maker::start(&self);
                }
            }
        }
    }

    /// Makes the events up to a place.
    fn make(&self, until: EventPlace) {
        {
            let mut ring = lock(&self.ring);
            if ring.epoch != until.epoch || ring.next() > until.sequence + 1 {
                ring.begin(until);
            }
        }
        loop {
            let next = lock(&self.ring).next();
            if next > until.sequence {
                // Who waited for a place that needs nothing made is told as well.
                self.made.send_modify(|_| {});
                return;
            }
            let mut made = 0;
            let rows = self.reader.events_after(next - 1, ROWS_AT_ONCE).unwrap_or_default();
            let frames: Vec<_> = rows.iter().flat_map(|row| self.frames(until.epoch, row)).collect();
            let mut ring = lock(&self.ring);
            for frame in frames.into_iter().take_while(|frame| frame.sequence <= until.sequence) {
                if frame.sequence != ring.next() {
                    ring.begin(EventPlace { epoch: until.epoch, sequence: frame.sequence - 1 });
                }
                made += frame.bytes.len() as u64;
                ring.push(frame);
            }
            if ring.next() == next {
                // What cannot be read, or is not kept any more because commits went on meanwhile: a client that asks for it
                // reads the log itself.
                ring.begin(until);
            }
            drop(ring);
            // Nobody waits for the last event of a large commit.
            self.made.send_modify(|bytes| *bytes += made);
        }
    }

    /// The events of a row. What texts they have is read from the session files.
    fn frames(&self, epoch: u64, row: &ToldEvents) -> Vec<Arc<Frame>> {
        Renderer::new(&self.reader, &self.archive, &self.replays).frames(epoch, row)
    }

    /// Some of what lies behind a place, without waiting.
    pub(super) fn behind(&self, place: EventPlace, max: usize) -> Behind {
        let ring = lock(&self.ring);
        let next = place.sequence + 1;
        if ring.epoch != place.epoch || next < ring.first || next > ring.next() {
            return Behind::Unread;
        }
        let skipped = usize::try_from(next - ring.first).unwrap_or(usize::MAX);
        let frames: Vec<_> = ring.frames.iter().skip(skipped).take(max).cloned().collect();
        if frames.is_empty() { Behind::Nothing } else { Behind::Frames(frames) }
    }

    /// About how many bytes lie behind a place. Of what is not in memory that is not known: it is more than can wait.
    pub(super) fn bytes_behind(&self, place: EventPlace) -> usize {
        let ring = lock(&self.ring);
        if place == self.end() {
            return 0;
        }
        let next = place.sequence + 1;
        if ring.epoch != place.epoch || next < ring.first {
            return usize::MAX;
        }
        let skipped = usize::try_from(next - ring.first).unwrap_or(usize::MAX);
        ring.frames.iter().skip(skipped).map(|frame| frame.bytes.len()).sum()
    }

    /// Some of what lies behind a place, up to [`READ_BYTES`] or the end of what is durable, read from the log. `takes` says of an event by its
    /// time whether it may be wanted; others are left out. The first may lie further on than the next number. Fails if the
    /// state cannot be read.
    pub(super) fn read(
        &self,
        place: EventPlace,
        takes: impl Fn(crate::transcript::time::Timestamp) -> bool,
    ) -> Result<(Vec<Arc<Frame>>, EventPlace, u64), StoreError> {
        let end = self.end();
        let rows = self.reader.events_after(place.sequence, ROWS_AT_ONCE)?;
        // Commits that were not durable yet may have removed what lies before them.
        let first = rows.first().map_or(end.sequence + 1, |row| row.first.min(end.sequence + 1));
        let (mut frames, mut bytes) = (Vec::new(), 0);
        let mut last = if rows.is_empty() { end.sequence } else { place.sequence };
        'rows: for row in rows {
            let durable = usize::try_from((end.sequence + 1).saturating_sub(row.first)).unwrap_or(usize::MAX);
            let events = row.events.into_iter().take(durable);
            for (sequence, event) in (row.first..).zip(events) {
                if bytes >= READ_BYTES {
                    break 'rows;
                }
                last = sequence;
                if takes(event.at) {
                    let one = ToldEvents { first: sequence, at: row.at, events: vec![event] };
                    let made = self.old(end.epoch, &one);
                    bytes += made.iter().map(|frame| weight(frame)).sum::<usize>();
                    frames.extend(made);
                }
            }
        }
        Ok((frames, EventPlace { epoch: end.epoch, sequence: last }, first))
    }

    /// An event that was told some time ago.
    fn old(&self, epoch: u64, one: &ToldEvents) -> Vec<Arc<Frame>> {
        {
            let mut old = lock(&self.old);
            if old.epoch != epoch {
                *old = Old { epoch, ..Old::default() };
            }
            if let Some(known) = old.frames.get(&one.first) {
                return vec![Arc::clone(known)];
            }
        }
        let frames = self.frames(epoch, one);
        let mut old = lock(&self.old);
        for frame in frames.iter().filter(|_| old.epoch == epoch).cloned().collect::<Vec<_>>() {
            old.bytes += weight(&frame);
            old.frames.insert(frame.sequence, frame);
        }
        while old.bytes > OLD_BYTES_MAX {
            let Some((_, oldest)) = old.frames.pop_first() else { break };
            old.bytes -= weight(&oldest);
        }
        frames
    }
}
