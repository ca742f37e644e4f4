//! Bodies that are being sent: whole ones, and streams of pieces that a thread writes while the client reads.
//!
//! ```text
//! handler's source → thread: writes → at most 4 pieces wait → connection → client
//!                      ↑ waits while the client does not read; its write fails once the client has gone
//! ```
//!
//! - If a source fails midway, or writes nothing for as long as an answer may take, the connection ends without the end
//!   of the body. A client of HTTP/1.1 knows by that that the body is not complete; one of HTTP/1.0 cannot know.
//! - The slots that an answer holds are kept until its last byte was written.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Write};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Sleep, sleep};

use crate::http::route::problem::Problem;
use crate::http::route::stream::Stream;
use crate::http::server::feeder::Feeding;
use crate::http::server::seats::Busy;
use crate::http::server::slots::Slot;

/// Bytes of a piece; a piece is smaller if the source flushes, or at the end.
const PIECE_BYTES: usize = 16 * 1024;

/// Most pieces that wait for the client. The thread waits before it adds a further one.
const PIECES_WAITING_MAX: usize = 4;

/// Most bytes that a stream has in memory: the pieces that wait, the one that is being made, and the one that is being
/// sent.
pub(in crate::http) const STREAM_BYTES: usize = PIECE_BYTES * (PIECES_WAITING_MAX + 2);

/// What an answer keeps until it is written: its mark that the connection is busy, and its slots.
pub(in crate::http) type Kept = (Busy, [Slot; 2]);

/// A body that is ready to be sent.
pub(in crate::http) enum Made {
    Whole(Vec<u8>),
    Pieces(Box<Pieces>),
    Fed(Feeding),
}

/// A body that is being sent.
pub(in crate::http) enum Outgoing {
    Whole(Full<Bytes>),
    Pieces(Box<Pieces>, Arc<Kept>),
    /// Nothing is put into its pieces, which all clients share.
    Fed {
        feeding: Feeding,
        _kept: Kept,
    },
}

/// The error of a body that ends early. The reason is in the log, and the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(in crate::http) struct BrokenOff;

/// The pieces of a stream, in the order in which its thread writes them.
pub(in crate::http) struct Pieces {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Bytes>,
    /// The thread that writes; `None` once it is known how the writing ended.
    thread: Option<JoinHandle<io::Result<()>>>,
    route: &'static str,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    /// Writes a stream on a blocking thread, which has the handler's `slot` until it ends, and waits for its first
    /// piece. If the source fails before its first piece, the client gets a problem.
    pub(in crate::http) async fn start(
        stream: Stream,
        slot: Slot,
        route: &'static str,
        patience: Duration,
    ) -> Result<Self, Problem> {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let thread = spawn_blocking(move || {
            let _slot = slot;
            let mut writer = BodyWriter { sender, piece: Vec::new() };
            let written = stream.write_to(&mut writer);
            match &written {
                Err(error) if writer.sender.is_closed() => {
                    tracing::debug!(route, %error, "nobody reads an answer to its end");
                }
                Err(error) => tracing::error!(route, %error, "a handler failed while it wrote its answer"),
                Ok(()) => {}
            }
            written
        });
        let mut pieces = Self { first: None, receiver, thread: Some(thread), route, patience, waiting: None };
        // The caller limits this wait by the time of an answer; `patience` limits the waits for later pieces.
        match pieces.receiver.recv().await {
            Some(first) => Ok(Self { first: Some(first), ..pieces }),
            None => match poll_fn(|cx| pieces.poll_end(cx)).await {
                None => Ok(pieces),
                Some(BrokenOff) => Err(Problem::internal("the handler failed; the log says why")),
            },
        }
    }

    /// A body without pieces, for a request that asks for the head only.
    pub(in crate::http) fn unwritten(route: &'static str, patience: Duration) -> Self {
        let (_, receiver) = mpsc::channel(1);
        Self { first: None, receiver, thread: None, route, patience, waiting: None }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(piece)) => {
                self.waiting = None;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(None) => self.poll_end(cx).map(|broken| broken.map(Err)),
            Poll::Pending => {
                let patience = self.patience;
                let timer = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
                ready!(timer.as_mut().poll(cx));
                // A later poll must not find a timer that has ended.
                timer.as_mut().reset(Instant::now() + patience);
                tracing::warn!(route = self.route, ?patience, "a handler writes nothing more of its answer");
                Poll::Ready(Some(Err(BrokenOff)))
            }
        }
    }

    /// Waits for the end of the writing: `None` if the body is complete.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<BrokenOff>> {
        let Some(thread) = &mut self.thread else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(thread).poll(cx));
        self.thread = None;
        if let Err(error) = &ended {
            tracing::error!(route = self.route, %error, "a handler failed");
        }
        Poll::Ready(if matches!(ended, Ok(Ok(()))) { None } else { Some(BrokenOff) })
    }
}

/// What a source writes to. It fills pieces, and waits while too many pieces wait for the client.
struct BodyWriter {
    sender: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl BodyWriter {
    fn send(&mut self) -> io::Result<()> {
        let piece = mem::take(&mut self.piece);
        self.sender.blocking_send(Bytes::from(piece)).map_err(|_| has_gone())
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.piece.len());
        let fitting = bytes.get(..room).unwrap_or(bytes);
        self.piece.reserve_exact(room);
        self.piece.extend_from_slice(fitting);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(fitting.len())
    }

    /// Sends what is written so far. Fails if the client has gone, even if there is nothing to send.
    fn flush(&mut self) -> io::Result<()> {
        if self.sender.is_closed() {
            return Err(has_gone());
        }
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

fn has_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone")
}

impl Outgoing {
    /// A body to send, with what is kept until its last byte was written or its connection has ended.
    pub(in crate::http) fn new(made: Made, kept: Kept) -> Self {
        match made {
            Made::Whole(bytes) => Self::Whole(Full::new(Bytes::from_owner(Owned { bytes, _kept: kept }))),
            Made::Pieces(pieces) => Self::Pieces(pieces, Arc::new(kept)),
            Made::Fed(feeding) => Self::Fed { feeding, _kept: kept },
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never: Infallible| match never {}),
            Self::Pieces(pieces, kept) => pieces
                .poll_piece(cx)
                .map_ok(|bytes| Frame::data(Bytes::from_owner(Owned { bytes, _kept: Arc::clone(kept) }))),
            Self::Fed { feeding, .. } => feeding.poll_piece(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Pieces(..) | Self::Fed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Pieces(..) | Self::Fed { .. } => SizeHint::default(),
        }
    }
}

/// Bytes, and what is kept as long as they are.
struct Owned<B, K> {
    bytes: B,
    _kept: K,
}

impl<B: AsRef<[u8]>, K> AsRef<[u8]> for Owned<B, K> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}
