//! Reads lines of a stream: [`StreamLine`]s, and rows of the conversation.
//!
//! ```text
//! raw    a line as it is written
//! marks  the lines between, which the client did not write
//! parse  a line as the body of a record
//! ```

mod marks;
mod parse;
mod raw;

pub(super) use parse::parse;

pub use super::stream_line::{Began, Mark, RunId, StreamLine, StreamResult, StreamUsage};
