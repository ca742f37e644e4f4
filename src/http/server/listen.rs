//! The listener: accepts connections within limits, serves them with hyper, stops gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::http::route::problem::ServeError;
use crate::http::server::app::App;
use crate::http::server::dispatch::Dispatch;
use crate::http::server::owner::Link;
use crate::http::server::seats::{Seat, Seats};
use crate::http::server::stall::StallGuard;

/// Request line and headers together, in bytes. More is answered with 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// hyper's own minimum for its buffer; it panics below.
const HEADER_BYTES_FLOOR: usize = 8 * 1024;
/// Headers of a request. More is answered with 431.
const HEADERS_MAX: usize = 64;
/// To send the headers, and again to send the body. Slower headers close the connection, a slower body is a 408.
/// It is also how long a connection may be idle between requests.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Body of a request, in bytes. More is a 413.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests with a body at once: this many bodies are in memory at most. More wait, then are a 503.
const BODIES_MAX: usize = 16;
/// From the last byte of a request to its answer. More is a 503.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the client may not read while there is something to write. More closes the connection.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Handlers that read files or the store at once; far below tokio's 512 blocking threads. More wait.
const STORE_HANDLERS_MAX: usize = 64;
/// Handlers with large answers at once: each may have a hundred megabytes in hand. More wait.
const LARGE_HANDLERS_MAX: usize = 2;
/// Requests that wait for such a handler. More are a 503.
const LARGE_WAITING_MAX: usize = 32;
/// Answers from files or the store that are not wholly written yet, in bytes. More wait, then are a 503.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Connections at once. For one more, the one that is idle longest is closed; if all are busy, it waits.
const CONNECTIONS_MAX: usize = 256;
/// Requests for files or the store at once, waiting or not, until their answers are written. More are a 503, so that
/// 16 connections are always left to `/metrics` and probes.
const STORE_REQUESTS_MAX: usize = CONNECTIONS_MAX - 16;
/// To finish what is in flight at shutdown. What is not finished then is dropped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed accept. Without file descriptors, accept fails at once and would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limits of a server; the defaults are those of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Request line and headers, at least 8 KiB.
    pub header_bytes_max: usize,
    pub headers_max: usize,
    /// For the headers, for the body, and between requests.
    pub send_timeout: Duration,
    pub body_bytes_max: usize,
    /// Requests with a body at once.
    pub bodies_max: usize,
    /// For a handler, with its wait for a thread.
    pub answer_timeout: Duration,
    /// For a client that does not read.
    pub stall_timeout: Duration,
    /// Handlers with [`Work::Store`](crate::http::Work::Store) at once.
    pub store_handlers_max: usize,
    /// Handlers with [`Work::Large`](crate::http::Work::Large) at once.
    pub large_handlers_max: usize,
    /// Requests that wait for one of those.
    pub large_waiting_max: usize,
    /// Answers on their way, but for those from memory.
    pub answer_bytes_max: usize,
    pub connections_max: usize,
    /// Requests that are not answered from memory; fewer than connections.
    pub store_requests_max: usize,
    /// For what is in flight at shutdown.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: HEADER_BYTES_MAX,
            headers_max: HEADERS_MAX,
            send_timeout: SEND_TIMEOUT,
            body_bytes_max: BODY_BYTES_MAX,
            bodies_max: BODIES_MAX,
            answer_timeout: ANSWER_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            store_handlers_max: STORE_HANDLERS_MAX,
            large_handlers_max: LARGE_HANDLERS_MAX,
            large_waiting_max: LARGE_WAITING_MAX,
            answer_bytes_max: ANSWER_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            store_requests_max: STORE_REQUESTS_MAX,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        }
    }
}

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Binds `address`; port 0 takes a free one. Needs no runtime.
    ///
    /// # Errors
    /// [`ServeError::Bind`] names the address and what to do.
    pub fn bind(address: SocketAddr, limits: Limits) -> Result<Self, ServeError> {
        let failed = |source| ServeError::bind(address, source);
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, limits })
    }

    /// The address that is listened on, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` holds `true` or has no sender, then finishes what is in flight.
    ///
    /// A handler that overran its time may still be on a blocking thread afterwards: end the runtime with
    /// `shutdown_timeout` or `shutdown_background`, not by dropping it.
    ///
    /// # Errors
    /// [`ServeError::Start`] if the runtime does not take the listener.
    pub async fn run<C: Send + Sync + 'static>(
        self,
        app: Arc<App<C>>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        let Self { listener, address, limits } = self;
        let listener = TcpListener::from_std(listener).map_err(|source| ServeError::Start { address, source })?;
        let dispatch = Arc::new(Dispatch::new(app, limits));
        let seats = Seats::new(limits.connections_max);
        let mut connections = JoinSet::new();
        let mut waiting = None;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(ended) = connections.join_next() => log_failure(ended),
                // Accepted before there is a seat: only then is it known that one is wanted.
                accepted = accept(&listener), if waiting.is_none() => waiting = accepted,
                seat = seats.take(), if waiting.is_some() => {
                    if let Some(stream) = waiting.take() {
                        connections.spawn(serve(stream, Arc::clone(&dispatch), limits, seat));
                    }
                }
            }
        }
        drop((listener, waiting));
        seats.clear();
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if timeout(limits.shutdown_timeout, all_ended).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections dropped: they did not end in time");
        }
        connections.shutdown().await;
        Ok(())
    }
}

/// The next connection; `None` if there was none after all.
async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection to its end, or until it is asked to leave: at once if it is idle, else after its answer.
async fn serve<C: Send + Sync + 'static>(stream: TcpStream, dispatch: Arc<Dispatch<C>>, limits: Limits, seat: Seat) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let (seat, link) = (&seat, Arc::new(Link::new(local, peer)));
    let service = service_fn(move |request| {
        let (dispatch, link, busy) = (Arc::clone(&dispatch), Arc::clone(&link), seat.busy());
        async move { Ok::<_, Infallible>(dispatch.respond(request, &link, busy).await) }
    });
    let connection = http1::Builder::new()
        // Without a timer the header timeout does nothing, or panics.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.send_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_FLOOR))
        // A client that has sent its request and shut down its side of the connection still wants the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(StallGuard::new(stream, limits.stall_timeout)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        // First: a request that is there already is answered.
        biased;
        ended = connection.as_mut() => ended,
        () = seat.asked_to_leave() => {
            if seat.is_idle() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client's doing, and any client can do it: not worth a line by default.
        tracing::debug!(%error, "a connection ended early");
    }
}

fn log_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}
