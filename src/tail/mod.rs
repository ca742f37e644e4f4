//! Reads session files as they grow: finds the files, reads new lines, and learns when to look again.
//!
//! ```text
//! roots     where projects folders are
//! discover  a folder → the files in it that matter, each with its role
//! read      a file and the cursor of last time → the whole lines since then
//! reread    the place of a row → the row again, for its text
//! frames    a compressed copy of a file, read at any place
//! watch     file system events → hints which paths to look at
//! client    the settings of the client → how long it keeps its files
//! ```
//!
//! Only the scan is relied on; events make it faster. The queue of events may overflow, and there are no events on
//! network file systems and behind symbolic links. Nothing in this folder keeps state that must survive a restart.

pub mod client;
pub mod discover;
mod error;
pub mod frames;
pub mod hints;
mod identity;
pub mod read;
pub mod reread;
pub mod roots;
mod source;
mod stat;
pub mod watch;

pub use client::ClientSettings;
pub use discover::{
    Folder, FolderProblem, FoundFile, Observer, found_copy, role_of, scan, scan_session, scan_stream, scan_streams,
    scan_under, streams_below,
};
pub use error::ReadError;
pub use hints::Hints;
pub use read::{End, FileReader, Read, ReadLimits};
pub use roots::{RootEnv, ScanTarget, existing, resolve_scan_target, session_roots};
pub use watch::Watcher;
