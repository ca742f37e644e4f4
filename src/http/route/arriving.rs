//! A body that is read while it arrives.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Most pieces of a body that wait for its handler; each is as large as what the system read at once, at most some hundred
/// kilobytes.
const PIECES_WAITING_MAX: usize = 4;

/// The pieces of a body, in order.
#[derive(Debug, Clone)]
pub(in crate::http) struct Arriving(Arc<Mutex<Source>>);

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Arrived>),
}

/// What comes next of a body.
#[derive(Debug)]
pub(in crate::http) enum Arrived {
    Piece(Bytes),
    /// There is no more.
    End,
}

/// The body has no end: its client has gone, or the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct BrokenOff;

impl Arriving {
    /// A body that is there.
    #[must_use]
    pub(in crate::http) fn of(body: Bytes) -> Self {
        Self(Arc::new(Mutex::new(Source::Whole(Some(body)))))
    }

    /// A body that arrives, and where its pieces are put.
    pub(in crate::http) fn channel() -> (mpsc::Sender<Arrived>, Self) {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        (sender, Self(Arc::new(Mutex::new(Source::Pieces(receiver)))))
    }

    /// Waits for the next piece; `None` at the end. Fails if the body has no end. Call it on a blocking thread.
    pub(in crate::http) fn next(&self) -> Result<Option<Bytes>, BrokenOff> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Source::Whole(body) => Ok(body.take()),
            Source::Pieces(receiver) => match receiver.blocking_recv() {
                Some(Arrived::Piece(piece)) => Ok(Some(piece)),
                Some(Arrived::End) => Ok(None),
                None => Err(BrokenOff),
            },
        }
    }
}
