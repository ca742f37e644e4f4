//! Sessions, their replay, and sums over all of them.
//!
//! ```text
//! analytics       sums over the whole history
//! sessions        the list of sessions
//! session_detail  one session with its parts
//! limits          the limits of the account
//! search          texts that match, wherever they stand
//! replay          the events of a session, page by page, and cursors that step through them
//! reel            the events of a session in order, in short
//! long_session    a session that is too long to be in memory for an answer
//! events          what happens, while it happens
//! content         the text of events, read from the session files
//! runaways        sessions that run away, as answers tell them
//! tables          whole tables of rows as files
//! page_address    the addresses of pages for people, as answers tell them
//! transcript      a whole session as one file
//! intake          lines of streams that arrive
//! state           how handlers reach the state
//! ```

pub mod analytics;
pub(in crate::http) mod content;
pub mod events;
pub mod intake;
pub mod limits;
mod long_session;
pub(in crate::http) mod page_address;
mod reel;
pub mod replay;
mod runaways;
pub mod search;
pub mod session_detail;
pub mod sessions;
pub(super) mod state;
pub mod tables;
pub mod transcript;
