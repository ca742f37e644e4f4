//! The server: from a socket to the handler that answers, and back.
//!
//! ```text
//! listen    accepts connections, stops gracefully
//! limits    the limits of sizes, numbers and times
//! seats     limits connections, and closes idle ones for new ones
//! stall     closes a connection whose client does not read
//! dispatch  one request: guard → route → body → handler on a blocking thread → answer
//! body      sends whole bodies and streams
//! feeder    feeds clients that stay
//! guard     refuses DNS rebinding, cross-origin writes, long addresses
//! owner     finds the user whose connection it is
//! readers   says which users get answers that quote conversations
//! slots     limits how many handlers run at once, and how large their answers are together
//! counters  counts requests by route and status
//! app       what the server serves
//! error     the errors that keep the server from serving
//! ```

pub(super) mod app;
mod body;
pub(super) mod counters;
mod dispatch;
pub(super) mod error;
mod feeder;
mod guard;
pub(super) mod limits;
pub(super) mod listen;
mod owner;
pub(super) mod readers;
mod seats;
mod slots;
mod stall;
