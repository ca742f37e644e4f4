//! How much, how many and how long: the limits of the server.

use std::time::Duration;

/// Request line and headers together, in bytes. More is answered with 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request. More is answered with 431.
const HEADERS_MAX: usize = 64;
/// To send the headers, and again to send the body. Slower headers close the connection, a slower body is a 408.
/// It is also how long a connection may be idle between requests.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Body of a request, in bytes. More is a 413.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests with a body at once: this many bodies are in memory at most. More wait, then are a 503.
const BODIES_MAX: usize = 16;
/// From the last byte of a request to its answer, or to the first piece of a stream: more is a 503. A stream that stands
/// still for longer breaks off; as a whole it takes as long as it takes.
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

/// The limits of a server; the defaults are those of the contract.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Request line and headers, at least 8 KiB.
    pub header_bytes_max: usize,
    pub headers_max: usize,
    /// For the headers, for the body, and between requests.
    pub send_timeout: Duration,
    pub body_bytes_max: usize,
    /// Requests with a body at once.
    pub bodies_max: usize,
    /// For a handler, with its wait for a thread; of a stream for its first piece, and for each further one.
    pub answer_timeout: Duration,
    /// For a client that does not read.
    pub stall_timeout: Duration,
    /// Handlers with [`Work::Store`](crate::http::route::routes::Work::Store) at once.
    pub store_handlers_max: usize,
    /// Handlers with [`Work::Large`](crate::http::route::routes::Work::Large) at once.
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

impl Default for ServerLimits {
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
