//! Sessions, as `scan`, the API and the replay show them.
//!
//! ```text
//! summary    the sums of one session, and of all
//! parts      turns, sub-agents and slowest steps of one session
//! event      one event; events  everything that happened in a session, in order; moments  the same within a unit
//! timeline   the order of the events of a session that is too long to be in memory; outline  its units in short
//! ```

pub mod event;
pub mod events;
pub mod moments;
pub mod outline;
pub mod parts;
pub mod summary;
pub mod timeline;
