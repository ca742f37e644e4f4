//! Feeds clients that stay: one light task for each, which never blocks and holds no thread.
//!
//! ```text
//! feed   → task: asks for pieces → queue → connection → client
//!            ↑ waits while 64 KiB are queued; gives the client up if 256 KiB would be
//! ```
//!
//! - What is queued are pieces that all clients share, so a client costs its connection and little more.
//! - A client that reads slowly is behind, and reads on from where it is. One that takes nothing while 256 KiB
//!   come, or for five seconds in which 256 KiB wait, is cut off: it knows the last event that it has got, and goes on from there when it comes back.
//! - What must be read from the store is read on few blocking threads, one piece of work at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::http::route::feed::{Feed, Next};
use crate::http::server::owner::Link;

/// Bytes that are queued for a client before it has to take some.
const QUEUED_BYTES: usize = 64 * 1024;

/// Most bytes that may wait for a client that takes nothing, in its queue and behind it.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// How long a client may take nothing while so much waits for it that was there before.
const STALL: Duration = Duration::from_secs(5);

/// Most feeds that read from the store at once.
const LOADS_MAX: usize = 4;

/// What all feeds of a server share.
pub(in crate::http) struct Feeder {
    loads: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// The pieces that are queued for a client.
pub(in crate::http) struct Feeding {
    pieces: mpsc::UnboundedReceiver<Bytes>,
    queue: Arc<Queue>,
}

/// How full a queue is.
#[derive(Default)]
struct Queue {
    bytes: AtomicUsize,
    taken: Notify,
}

/// One client.
struct Client {
    feed: Box<dyn Feed>,
    pieces: mpsc::UnboundedSender<Bytes>,
    queue: Arc<Queue>,
    link: Arc<Link>,
    stop: watch::Receiver<bool>,
    loads: Arc<Semaphore>,
}

/// The client is not fed any more.
struct Over;

impl Feeder {
    /// Feeds nobody yet. All feeds end once `stop` holds `true` or has no sender.
    pub(in crate::http) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { loads: Arc::new(Semaphore::new(LOADS_MAX)), stop }
    }

    /// Feeds the client at the other end of `link`.
    pub(in crate::http) fn start(&self, feed: Box<dyn Feed>, link: &Arc<Link>) -> Feeding {
        let (pieces, receiver) = mpsc::unbounded_channel();
        let (queue, link, stop) = (Arc::new(Queue::default()), Arc::clone(link), self.stop.clone());
        link.narrow();
        let client = Client { feed, pieces, queue: Arc::clone(&queue), link, stop, loads: Arc::clone(&self.loads) };
        tokio::spawn(client.run());
        Feeding { pieces: receiver, queue }
    }
}

impl Feeding {
    /// The next piece; `None` at the end.
    pub(in crate::http) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = std::task::ready!(Pin::new(&mut self.pieces).poll_recv(cx));
        if let Some(piece) = &piece {
            self.queue.bytes.fetch_sub(piece.len(), Ordering::AcqRel);
            self.queue.taken.notify_one();
        }
        Poll::Ready(piece)
    }
}

impl Client {
    async fn run(mut self) {
        // The end, for whatever reason, is that the sender of pieces is dropped.
        while self.step().await.is_ok() {}
    }

    /// Feeds until something has to be waited for.
    async fn step(&mut self) -> Result<(), Over> {
        let mut news = self.feed.news();
        let (_, every) = self.feed.heartbeat();
        let mut beat = Instant::now() + every;
        loop {
            news.borrow_and_update();
            let stopped = *self.stop.borrow();
            if stopped || self.pieces.is_closed() {
                return Err(Over);
            }
            if Instant::now() >= beat {
                let (heartbeat, every) = self.feed.heartbeat();
                self.put(heartbeat)?;
                beat = Instant::now() + every;
            }
            match self.feed.next() {
                Next::Piece(piece) => self.put(piece)?,
                Next::Behind => self.load().await?,
                Next::End => return Err(Over),
                Next::Nothing => tokio::select! {
                    changed = news.changed() => changed.map_err(|_| Over)?,
                    () = sleep_until(beat) => {}
                    () = self.pieces.closed() => return Err(Over),
                    _ = self.stop.wait_for(|stop| *stop) => return Err(Over),
                },
            }
            if self.queue.bytes.load(Ordering::Acquire) >= QUEUED_BYTES {
                self.wait_for_room(&mut news).await?;
            }
        }
    }

    fn put(&mut self, piece: Bytes) -> Result<(), Over> {
        self.queue.bytes.fetch_add(piece.len(), Ordering::AcqRel);
        self.feed.sent(piece.len());
        self.pieces.send(piece).map_err(|_| Over)
    }

    /// Waits until the client has taken something.
    async fn wait_for_room(&mut self, news: &mut watch::Receiver<u64>) -> Result<(), Over> {
        let begun = *news.borrow_and_update();
        let mut patience = Instant::now() + STALL;
        while self.queue.bytes.load(Ordering::Acquire) >= QUEUED_BYTES {
            let before = self.queue.bytes.load(Ordering::Acquire);
            let more = tokio::select! {
                () = self.queue.taken.notified() => {
                    if self.queue.bytes.load(Ordering::Acquire) < before {
                        return Ok(());
                    }
                    continue;
                }
                changed = news.changed() => {
                    changed.map_err(|_| Over)?;
                    usize::try_from(news.borrow_and_update().saturating_sub(begun)).unwrap_or(usize::MAX)
                }
                () = sleep_until(patience) => {
                    patience += STALL;
                    self.feed.waiting()
                }
                () = self.pieces.closed() => return Err(Over),
                _ = self.stop.wait_for(|stop| *stop) => return Err(Over),
            };
            // So much waits that it has to come back for it.
            if before.saturating_add(more) > WAITING_BYTES_MAX {
                self.feed.dropped();
                self.link.cut();
                return Err(Over);
            }
        }
        Ok(())
    }

    async fn load(&mut self) -> Result<(), Over> {
        let permit = Arc::clone(&self.loads).acquire_owned().await.map_err(|_| Over)?;
        let mut feed = std::mem::replace(&mut self.feed, Box::new(Away));
        let loaded = spawn_blocking(move || {
            let _permit = permit;
            feed.load();
            feed
        });
        self.feed = loaded.await.map_err(|error| {
            tracing::error!(%error, "what a client waits for cannot be read");
            Over
        })?;
        Ok(())
    }
}

/// Stands for a feed while it is read on another thread.
#[derive(Debug)]
struct Away;

impl Feed for Away {
    fn next(&mut self) -> Next {
        Next::End
    }

    fn load(&mut self) {}

    fn heartbeat(&mut self) -> (Bytes, Duration) {
        (Bytes::new(), Duration::MAX)
    }

    fn news(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn waiting(&self) -> usize {
        0
    }

    fn sent(&mut self, _: usize) {}

    fn dropped(&mut self) {}
}
