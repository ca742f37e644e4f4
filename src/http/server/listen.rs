//! The listener: accepts connections within limits, serves them with hyper, stops gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::http::server::app::App;
use crate::http::server::dispatch::Dispatch;
use crate::http::server::error::ServeError;
use crate::http::server::limits::ServerLimits;
use crate::http::server::owner::Link;
use crate::http::server::seats::{Seat, Seats};
use crate::http::server::stall::StallGuard;

/// The smallest buffer that hyper takes, in bytes; it panics on a smaller one.
const HEADER_BYTES_FLOOR: usize = 8 * 1024;
/// Pause after a failed accept. If there are no free file descriptors, accept fails at once, and a loop without a pause
/// would use a whole processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After so long without a word of a client its system is asked whether it is still there, and after as long again without an
/// answer the connection ends.
const QUIET: Duration = Duration::from_secs(60);
/// How often it is asked.
const ASKED: u32 = 4;

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    limits: ServerLimits,
}

impl Server {
    /// Binds `address`; port 0 takes a free port. Needs no runtime. Fails with [`ServeError::Bind`], which names the
    /// address and what to do.
    pub fn bind(address: SocketAddr, limits: ServerLimits) -> Result<Self, ServeError> {
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

    /// Serves until `shutdown` holds `true` or has no sender, then finishes the requests that have begun. Fails with
    /// [`ServeError::Start`] if the runtime does not take the listener.
    ///
    /// A handler that took too long may still run on a blocking thread afterwards: end the runtime with
    /// `shutdown_timeout` or `shutdown_background`, not by dropping it.
    pub async fn run<C: Send + Sync + 'static>(
        self,
        app: Arc<App<C>>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        let Self { listener, address, limits } = self;
        let listener = TcpListener::from_std(listener).map_err(|source| ServeError::Start { address, source })?;
        let dispatch = Arc::new(Dispatch::new(app, limits, shutdown.clone()));
        let seats = Seats::new(limits.connections_max);
        let mut connections = JoinSet::new();
        let mut waiting = None;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(ended) = connections.join_next() => log_failure(ended),
                // A connection is accepted before there is a seat for it, because only then is it known that one is
                // needed.
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

/// The next connection; `None` if it could not be accepted.
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

/// Has the system ask whether the other end is still there when nothing was heard of it for a while: a machine that vanished
/// while it sent a body would hold its connection and its slot for ever.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, QUIET)?;
    sockopt::set_tcp_keepintvl(stream, QUIET / ASKED)?;
    sockopt::set_tcp_keepcnt(stream, ASKED)
}

/// Serves one connection to its end, or until it is asked to leave: an idle one is closed at once, a busy one after its
/// answer.
async fn serve<C: Send + Sync + 'static>(
    stream: TcpStream,
    dispatch: Arc<Dispatch<C>>,
    limits: ServerLimits,
    seat: Seat,
) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    if let Err(error) = keep_alive(&stream) {
        tracing::debug!(%error, "cannot set SO_KEEPALIVE");
    }
    let (seat, link) = (&seat, Arc::new(Link::new(local, peer)));
    let own = Arc::clone(&link);
    let service = service_fn(move |request| {
        let (dispatch, link, busy) = (Arc::clone(&dispatch), Arc::clone(&link), seat.busy());
        async move { Ok::<_, Infallible>(dispatch.respond(request, &link, busy).await) }
    });
    let connection = http1::Builder::new()
        // hyper needs this timer for the header timeout.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.send_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_FLOOR))
        // A client that has sent its request and shut down its side of the connection still wants the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(StallGuard::new(stream, limits.stall_timeout, Arc::clone(&own))), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        // The connection is polled first, so that a request that has arrived already is answered.
        biased;
        ended = connection.as_mut() => ended,
        () = own.is_cut() => return,
        () = seat.asked_to_leave() => {
            if seat.is_idle() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Any client can cause this, so it is not logged by default.
        tracing::debug!(%error, "a connection ended early");
    }
}

fn log_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}
