//! From a socket to the function that answers.
//!
//! ```text
//! listen    accepts, stops gracefully; limits  how much, how many and how long
//! seats     limits connections: those that are idle give way
//! stall     closes a connection whose client does not read
//! dispatch  one request: guard → route → body → handler on a blocking thread → answer
//! body      whole bodies and streams on their way
//! guard     refuses DNS rebinding, cross-origin writes, long addresses
//! owner     whose connection it is; readers  who gets answers that quote conversations
//! slots     how many handlers run at once, and how large their answers are together
//! counters  requests by route and status
//! app       what is served: the server knows no more of it
//! error     what stops the server
//! ```

pub(super) mod app;
mod body;
pub(super) mod counters;
mod dispatch;
pub(super) mod error;
mod guard;
pub(super) mod limits;
pub(super) mod listen;
mod owner;
pub(super) mod readers;
mod seats;
mod slots;
mod stall;
