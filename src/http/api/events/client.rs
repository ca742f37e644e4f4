//! A client of the event stream: where it is in the log, and what it is told next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;

use super::frame::{Frame, Wish, framed, id_of};
use super::hub::{Behind, Hub};
use crate::http::route::feed::{Feed, Next};
use crate::store::{EventPlace, StoreError};
use crate::text::chain;
use crate::transcript::time::Timestamp;

/// Events that are taken from the hub at once.
const TAKEN_AT_ONCE: usize = 32;

/// Milliseconds that a browser waits before it comes back.
const RETRY_MS: u32 = 1_000;

/// Where a client begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    /// With what happens from now on.
    Now,
    /// With the first event that is kept.
    First,
    /// Behind the event that it has got last.
    Behind(EventPlace),
    /// Behind an event that no log of this state has.
    Unknown,
}

/// A client of the event stream.
#[derive(Debug)]
pub(super) struct Client {
    hub: Arc<Hub>,
    wish: Wish,
    clock: fn() -> Timestamp,
    /// Whether it stays.
    follows: bool,
    /// Everything up to here was written, or is not wanted.
    place: EventPlace,
    /// What is written before any event.
    first: VecDeque<Bytes>,
    frames: VecDeque<Arc<Frame>>,
    /// Where the place is once all of [`Client::frames`] are written.
    ahead: EventPlace,
    failed: bool,
}

impl Client {
    /// A client that has got nothing yet. Fails if the state cannot be read.
    pub(super) fn new(
        (hub, clock): (Arc<Hub>, fn() -> Timestamp),
        (begin, wish, follows): (Begin, Wish, bool),
    ) -> Result<Self, StoreError> {
        let end = hub.end();
        let before = hub.first()?.map_or(end.sequence, |first| first.saturating_sub(1).min(end.sequence));
        let oldest = EventPlace { epoch: end.epoch, sequence: before };
        let (place, why) = match begin {
            Begin::Now => (end, None),
            Begin::First => (oldest, None),
            Begin::Behind(place) if place.epoch != end.epoch => (oldest, Some("another_log")),
            Begin::Behind(place) if place.sequence > end.sequence => (oldest, Some("unknown_id")),
            Begin::Behind(place) if place.sequence < before => (oldest, Some("not_kept")),
            Begin::Behind(place) => (place, None),
            Begin::Unknown => (oldest, Some("unknown_id")),
        };
        hub.come();
        let (first, frames) = (VecDeque::new(), VecDeque::new());
        let mut client = Self { hub, wish, clock, follows, place, first, frames, ahead: place, failed: false };
        client.first.push_back(Bytes::from(format!("retry: {RETRY_MS}\n\n")));
        let opening = match why {
            Some(why) => client.resync(why),
            // The first id, so that nothing is lost if the connection ends before the first event.
            None => client.beat(),
        };
        client.first.push_back(opening);
        Ok(client)
    }

    fn beat(&self) -> Bytes {
        let at = (self.clock)().to_rfc3339();
        framed(self.place, "heartbeat", &json!({"kind": "heartbeat", "at": at}).to_string())
    }

    /// Says that events between the last one and the next are not kept any more.
    fn resync(&self, why: &str) -> Bytes {
        let data = json!({
            "kind": "resync",
            "at": (self.clock)().to_rfc3339(),
            "reason": why,
            "from": id_of(self.place),
        });
        framed(self.place, "resync", &data.to_string())
    }

    /// The next piece among those that are there.
    fn taken(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.first.pop_front() {
            return Some(piece);
        }
        while let Some(frame) = self.frames.pop_front() {
            self.place.sequence = frame.sequence;
            if self.wish.takes(&frame) {
                return Some(frame.bytes.clone());
            }
        }
        self.place = self.ahead;
        None
    }

    fn take_in(&mut self, frames: Vec<Arc<Frame>>) {
        if let Some(last) = frames.last() {
            self.ahead = EventPlace { sequence: last.sequence, ..self.place };
        }
        self.frames.extend(frames);
    }
}

impl Feed for Client {
    fn next(&mut self) -> Next {
        loop {
            if let Some(piece) = self.taken() {
                return Next::Piece(piece);
            }
            if self.failed {
                return Next::End;
            }
            match self.hub.behind(self.place, TAKEN_AT_ONCE) {
                Behind::Frames(frames) => self.take_in(frames),
                _ if self.place == self.hub.end() => return if self.follows { Next::Nothing } else { Next::End },
                // What is durable already, and is being made: this is told soon.
                Behind::Nothing if self.follows => return Next::Nothing,
                Behind::Nothing | Behind::Unread => return Next::Behind,
            }
        }
    }

    fn load(&mut self) {
        let end = self.hub.end();
        if end.epoch != self.place.epoch || end.sequence < self.place.sequence {
            // The database was made anew, or is one of before: its events have other numbers.
            let sequence = self.hub.first().ok().flatten().map_or(end.sequence, |first| first.saturating_sub(1));
            self.place = EventPlace { epoch: end.epoch, sequence: sequence.min(end.sequence) };
            self.ahead = self.place;
            let resync = self.resync("another_log");
            self.first.push_back(resync);
            return;
        }
        let window = self.wish.filter.window;
        match self.hub.read(self.place, |at| window.has(at)) {
            Ok((frames, ahead, first)) => {
                if first > self.place.sequence + 1 {
                    self.place.sequence = first - 1;
                    let resync = self.resync("not_kept");
                    self.first.push_back(resync);
                }
                self.ahead = EventPlace { sequence: ahead.sequence.max(self.place.sequence), ..ahead };
                self.frames.extend(frames);
            }
            Err(error) => {
                // The client comes back, and the state may be there again.
                tracing::debug!(error = chain(&error), "a client cannot be told of events");
                self.failed = true;
            }
        }
    }

    fn heartbeat(&mut self) -> (Bytes, Duration) {
        (self.beat(), self.hub.heartbeat)
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.hub.news()
    }

    fn waiting(&self) -> usize {
        self.hub.bytes_behind(self.place)
    }

    fn sent(&mut self, bytes: usize) {
        self.hub.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn dropped(&mut self) {
        self.hub.dropped.fetch_add(1, Ordering::Relaxed);
        tracing::info!("a client of the event stream reads too slowly, and is cut off");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.go();
    }
}
