//! Slots: limits how many requests are in progress, how many handlers run, and how many bytes of answers are in memory.
//!
//! ```text
//! memory  needs no slot, so that health and metrics answer while everything else hangs
//! store   needs a request slot, then a handler slot
//! intake  needs a slot of its own, and is refused if there is none: it may last for hours
//! large   needs a request slot, then a handler slot (few may wait for it), then room for the answer
//! feed    needs a slot of its own for as long as the client stays, and a handler slot for its beginning
//! ```
//!
//! If there is no request slot, or too many wait for a large answer, a request is refused at once; for other slots it
//! waits as long as an answer may take. Slots are kept in the answer itself, so that a client that reads slowly is
//! counted until it has read everything. The handler of a stream runs until its last piece is written, and the room of
//! a stream is the most that it has in memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::route::problem::Problem;
use crate::http::route::routes::Work;
use crate::http::server::limits::ServerLimits;

/// Room for answers is counted in units of this many bytes.
const PIECE_BYTES: usize = 1024;

/// One slot, or several; dropping it gives them back. `None` for work that needs none.
pub(in crate::http) type Slot = Option<OwnedSemaphorePermit>;

pub(in crate::http) struct Slots {
    requests: Arc<Semaphore>,
    store: Arc<Semaphore>,
    line: Arc<Semaphore>,
    large: Arc<Semaphore>,
    intake: Arc<Semaphore>,
    room: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
    room_pieces: usize,
}

impl Slots {
    pub(in crate::http) fn new(limits: ServerLimits) -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        let room_pieces = (limits.answer_bytes_max / PIECE_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            requests: of(limits.store_requests_max),
            store: of(limits.store_handlers_max),
            line: of(limits.large_waiting_max),
            large: of(limits.large_handlers_max),
            intake: of(limits.intakes_max),
            room: of(room_pieces),
            feeds: of(limits.feeds_max),
            room_pieces,
        }
    }

    /// Takes a request slot, or that of a client that stays; fails if there is none.
    pub(in crate::http) fn request(&self, work: Work) -> Result<Slot, Problem> {
        let (slots, refusal) = match work {
            Work::Memory | Work::Intake => return Ok(None),
            Work::Feed => (&self.feeds, "too many clients follow what happens"),
            Work::Store | Work::Large => (&self.requests, "too many requests are under way"),
        };
        Arc::clone(slots).try_acquire_owned().map(Some).map_err(|_| Problem::unavailable(refusal))
    }

    /// Waits for a handler slot; fails if too many requests wait for large answers.
    pub(in crate::http) async fn handler(&self, work: Work) -> Result<Slot, Problem> {
        match work {
            Work::Memory => Ok(None),
            Work::Store | Work::Feed => Ok(Arc::clone(&self.store).acquire_owned().await.ok()),
            Work::Intake => {
                let refused = |_| Problem::unavailable("too many bodies arrive at once");
                Arc::clone(&self.intake).try_acquire_owned().map(Some).map_err(refused)
            }
            Work::Large => {
                if let Ok(free) = Arc::clone(&self.large).try_acquire_owned() {
                    return Ok(Some(free));
                }
                let refused = |_| Problem::unavailable("too many requests wait for large answers");
                let _place = self.line.try_acquire().map_err(refused)?;
                Ok(Arc::clone(&self.large).acquire_owned().await.ok())
            }
        }
    }

    /// Waits until there is room for a large answer of so many bytes. An answer larger than all room takes all of it.
    pub(in crate::http) async fn room(&self, work: Work, bytes: usize) -> Slot {
        if work != Work::Large {
            return None;
        }
        let pieces = bytes.div_ceil(PIECE_BYTES).min(self.room_pieces);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(pieces).await.ok()
    }
}
