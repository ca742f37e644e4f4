//! The limits of the server, of sizes, numbers and times. All numbers are choices of this project.

use std::time::Duration;

/// Most bytes of request line and headers together. More is answered with status 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request. More is answered with status 431.
const HEADERS_MAX: usize = 64;
/// Longest time to send the headers, and again to send the body. Slower headers close the connection, a slower body is
/// answered with status 408. It is also how long a connection may be idle between requests.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request's body. More is answered with status 413.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most requests with a body at once, which bounds the bodies in memory. Further ones wait, and are then answered with
/// status 503.
const BODIES_MAX: usize = 16;
/// Longest time from the last byte of a request to its answer, or to the first piece of a stream; after that the answer
/// is status 503. A stream that writes nothing for longer is broken off; as a whole it has no limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may read nothing while there is something to write. After that the connection is closed.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Most handlers at once that read files or the store, far fewer than tokio's 512 blocking threads. Further ones wait.
const STORE_HANDLERS_MAX: usize = 64;
/// Most handlers at once with large answers, each of which may use a hundred megabytes. Further ones wait.
const LARGE_HANDLERS_MAX: usize = 2;
/// Most requests that wait for a handler with large answers. Further ones are answered with status 503.
const LARGE_WAITING_MAX: usize = 32;
/// Most requests at once whose body is kept while it arrives, however long that takes. Further ones are answered with status
/// 503.
const INTAKES_MAX: usize = 64;
/// Most bytes of large answers that are not wholly written yet. Further ones wait, and are then answered with status
/// 503.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most connections at once. For a further one, the connection that is idle longest is closed; if all are busy, it
/// waits.
const CONNECTIONS_MAX: usize = 256;
/// Connections that are always left for `/metrics` and probes.
const KEPT_FREE: usize = 16;
/// Most requests at once for files or the store, waiting or not, until their answers are written. Further ones are
/// answered with status 503. Bodies that arrive for hours have connections as well, besides these.
const STORE_REQUESTS_MAX: usize = CONNECTIONS_MAX - INTAKES_MAX - KEPT_FREE;
/// Most clients at once that stay, each on a connection of its own besides [`CONNECTIONS_MAX`]. Further ones are answered
/// with status 503. Room for 1,000, and for some that have gone without a word: those are noticed with the next heartbeat.
const FEEDS_MAX: usize = 1024;
/// Longest time to finish requests at shutdown. Requests that are not finished then are dropped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Most bytes of request line and headers, at least 8 KiB.
    pub header_bytes_max: usize,
    pub headers_max: usize,
    /// Longest time for the headers, for the body, and between requests.
    pub send_timeout: Duration,
    pub body_bytes_max: usize,
    /// Most requests with a body at once.
    pub bodies_max: usize,
    /// Longest time for a handler, its wait for a slot included; for a stream, until its first piece, and between
    /// pieces.
    pub answer_timeout: Duration,
    /// How long a client may read nothing while there is something to write.
    pub stall_timeout: Duration,
    /// Most handlers with [`Work::Store`](crate::http::route::routes::Work::Store) at once.
    pub store_handlers_max: usize,
    /// Most handlers with [`Work::Large`](crate::http::route::routes::Work::Large) at once.
    pub large_handlers_max: usize,
    /// Most requests that wait for a handler with [`Work::Large`](crate::http::route::routes::Work::Large).
    pub large_waiting_max: usize,
    /// Most bytes of answers with [`Work::Large`](crate::http::route::routes::Work::Large) that are not wholly written
    /// yet.
    pub answer_bytes_max: usize,
    pub connections_max: usize,
    /// Most requests with [`Work::Intake`](crate::http::route::routes::Work::Intake) at once.
    pub intakes_max: usize,
    /// Most requests at once that are not answered from memory; with [`Self::intakes_max`] fewer than connections.
    pub store_requests_max: usize,
    /// Most clients at once that stay, on connections of their own.
    pub feeds_max: usize,
    /// Longest time to finish requests at shutdown.
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
            intakes_max: INTAKES_MAX,
            store_requests_max: STORE_REQUESTS_MAX,
            feeds_max: FEEDS_MAX,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        }
    }
}
