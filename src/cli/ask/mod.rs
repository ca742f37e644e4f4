//! Asks the HTTP API, wherever it is: of a running sidecar, or in this process.
//!
//! ```text
//! client    one question over HTTP, with a time by which it must be answered
//! question  a path with its parameters
//! stream    one GET whose answer is passed on while it comes
//! args      who is to answer, as arguments
//! source    who answers: a sidecar, the state, or the files
//! answer    the values of an answer
//! ```

pub(super) mod answer;
pub(super) mod args;
pub(super) mod client;
pub(super) mod question;
pub(super) mod source;
pub(in crate::cli) mod stream;
