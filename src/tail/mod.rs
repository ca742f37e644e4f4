//! Reads session files as they grow: which files there are, what is new in them, when to look again.
//!
//! ```text
//! roots     where projects folders are
//! discover  a folder → the files in it that matter, each with its role
//! read      a file and the cursor of last time → the whole lines since then
//! reread    a row by its place, for its text
//! watch     file system events → hints which paths to look at
//! ```
//!
//! The scan is the truth, events only make it faster: the queue of events may overflow, there are none on network file
//! systems, and none of what lies behind links. Nothing in this folder keeps state that must survive a restart.

pub mod discover;
mod error;
pub mod hints;
mod identity;
pub mod read;
pub mod reread;
pub mod roots;
mod source;
mod stat;
pub mod watch;

pub use discover::{Folder, FolderProblem, FoundFile, Observer, role_of, scan, scan_session, scan_under};
pub use error::ReadError;
pub use hints::Hints;
pub use read::{End, FileReader, Read, ReadLimits};
pub use roots::{RootEnv, ScanTarget, existing, resolve_scan_target, session_roots};
pub use watch::Watcher;
