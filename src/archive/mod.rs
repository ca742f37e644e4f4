//! Compressed copies of session files that have been quiet, so that their text outlives the client's own deletion.
//!
//! ```text
//! DIRECTORY/files/home/ada/.claude/projects/shop/3f2a.jsonl.zst      the copy of /home/ada/.claude/projects/shop/3f2a.jsonl
//! DIRECTORY/files/home/ada/.claude/projects/shop/3f2a.jsonl.1.zst    what it was before it was rewritten
//!
//! place    the path of a session file → the paths of its copies
//! about    what a copy says of itself
//! copy     makes a copy and reads it back; only then it has the name of one
//! shelf    all copies of an archive
//! keep     copies what is quiet, ends what is old
//! lacking  copies whose rows the state does not have
//! open     a session file and its copies, to read rows from
//! import   copies of a folder of somebody else, or of another archive
//! restore  session files from their copies
//! ```
//!
//! - A copy has the bytes of the file at the same offsets: a place in one is a place in the other.
//! - A file that only grew is copied anew, and the copy replaces the one before. A file that was rewritten gets a new
//!   copy, and the one before stays under a number.
//! - Nothing here ends unless the configuration says so.

pub mod about;
pub mod copy;
pub mod import;
pub mod keep;
pub mod lacking;
mod open;
mod place;
pub mod restore;
pub mod shelf;

pub use open::{OpenFiles, SessionFile};
pub use place::{Archive, is_earlier};
