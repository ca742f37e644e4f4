//! The HTTP server: from a socket to a function that answers, and the functions.
//!
//! ```text
//! server    accepts, stops gracefully
//! seats     limits connections: those that are idle give way
//! stall     closes a connection whose client does not read
//! dispatch  one request: guard → route → body → handler on a blocking thread → answer
//! slots     how many handlers run at once, and how large their answers are together
//! owner     whose connection it is; readers  who gets answers that quote conversations
//! direct    the same without a connection
//! guard     refuses DNS rebinding, cross-origin writes, long addresses
//! routes    the table, and how a path finds its row
//! request, query   what a handler is given
//! answer, error    what a handler gives back
//! landing, health  the pages that need only `Status`
//! counters  requests by route and status
//! context   what the functions read, and the route table
//! exposition, openmetrics, accept  `/metrics` in its two formats, and which one is asked for
//! claude_code  `/metrics/claude-code`
//! sessions, session_detail, long_session, replay  the sessions API; content reads the text of events from session files
//! jaeger    Jaeger's query API over the facts
//! ```
//!
//! Plain hyper, not a framework: header timeout, header size, body size and connection count are limits that we
//! set, and a table of some twenty rows needs no router. No answer carries a CORS header, by design: what is served
//! here quotes private conversations.

mod accept;
mod answer;
mod app;
pub mod claude_code;
mod content;
mod content_pieces;
pub mod context;
mod counters;
mod cursor;
mod direct;
mod dispatch;
mod error;
pub mod exposition;
mod guard;
pub mod health;
pub mod jaeger;
pub mod landing;
mod long_session;
pub mod openmetrics;
mod owner;
mod query;
mod readers;
pub mod replay;
mod request;
mod routes;
mod seats;
mod server;
pub mod session_detail;
pub mod sessions;
mod slots;
mod stall;
mod state;

pub use accept::wants_openmetrics;
pub use answer::Answer;
pub use app::{App, Status, Waiting};
pub use counters::RequestCounters;
pub use direct::get;
pub use error::{Problem, ServeError};
pub use query::Query;
pub use readers::Readers;
pub use request::Request;
pub use routes::{Handler, Parameters, Route, Work};
pub use server::{Limits, Server};
pub use state::HasReader;
