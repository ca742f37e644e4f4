//! The listener: accepts connections within limits, serves them with hyper, stops gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::app::App;
use super::dispatch::Dispatch;
use super::error::ServeError;
use super::stall::StallGuard;

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
/// Connections at once. More wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;
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
    /// Handlers with [`Work::Store`](super::Work::Store) at once.
    pub store_handlers_max: usize,
    pub connections_max: usize,
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
            connections_max: CONNECTIONS_MAX,
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
        let slots = Arc::new(Semaphore::new(limits.connections_max));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(ended) = connections.join_next() => log_failure(ended),
                accepted = accept(&listener, &slots) => {
                    // Not in the pattern: a branch whose pattern fails would wait for another branch.
                    let Some((stream, slot)) = accepted else { continue };
                    let served = serve(stream, Arc::clone(&dispatch), limits, &graceful);
                    connections.spawn(async move {
                        served.await;
                        drop(slot);
                    });
                }
            }
        }
        drop(listener);
        if timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections dropped: they did not end in time");
        }
        connections.shutdown().await;
        Ok(())
    }
}

/// The next connection, once there is a slot for it; `None` if there was no connection after all.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection to its end. Watched from the call on, not from the first poll, so that a shutdown in between
/// is not missed.
fn serve<C: Send + Sync + 'static>(
    stream: TcpStream,
    dispatch: Arc<Dispatch<C>>,
    limits: Limits,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<C> {
    let watcher = graceful.watcher();
    async move {
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = service_fn(move |request| {
            let dispatch = Arc::clone(&dispatch);
            async move { Ok::<_, Infallible>(dispatch.respond(request, local.ip()).await) }
        });
        let connection = http1::Builder::new()
            // Without a timer the header timeout does nothing, or panics.
            .timer(TokioTimer::new())
            .header_read_timeout(limits.send_timeout)
            .max_headers(limits.headers_max)
            .max_buf_size(limits.header_bytes_max.max(HEADER_BYTES_FLOOR))
            .serve_connection(TokioIo::new(StallGuard::new(stream, limits.stall_timeout)), service);
        if let Err(error) = watcher.watch(connection).await {
            // A client's doing, and any client can do it: not worth a line by default.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn log_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}
