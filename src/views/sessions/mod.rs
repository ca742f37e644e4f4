//! Sessions as `scan`, the API and the replay show them.
//!
//! ```text
//! summary    the sums of one session, and of all sessions
//! account    the client's own account of one session beside ours
//! correlation what stream, session file and client tell of one session, side by side
//! clues      what rows tell of requests without rows
//! parts      turns, sub-agents and slowest steps of one session
//! paths      what turns waited for, and which events lie on these paths
//! event      one event, as it is answered
//! kinds      the kinds of events
//! known_text what a session knows of the text of a file
//! evidence   what the rows of a call tell of it
//! file_uses  what calls did with files, without their texts
//! events     all events of a session, in order
//! moments    the events of one unit, before they are in order
//! nesting    which sub-agent started which
//! state      what was spent, what is open and which files were named up to an event
//! tasks      the list of tasks, and what rows of calls tell of it
//! timeline   the order of the events of a session that is too long to be in memory
//! outline    the turns and sub-agents of such a session, in short
//! ```

pub mod account;
pub mod clues;
pub mod correlation;
pub mod event;
pub mod events;
pub mod evidence;
pub mod file_uses;
pub mod kinds;
pub mod known_text;
pub mod moments;
pub mod nesting;
pub mod outline;
pub mod parts;
pub mod paths;
pub mod state;
pub mod summary;
pub mod tasks;
pub mod timeline;
