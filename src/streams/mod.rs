//! The folder of stream files: what `claude -p --output-format stream-json` printed, run by run.
//!
//! ```text
//! run      a run of the client: its id, its workflow, its labels, and how headers say them
//! mark     the lines of our own between those of the client
//! line     what a line is, as far as it must be known to keep it once
//! known    hashes of the lines that a run has
//! folder   where the files lie and what they are called
//! append   a file that grows by whole lines, and has one writer
//! intake   lines that arrive at the sidecar
//! run_file the file of a run while lines arrive
//! spool    lines that wait for a sidecar
//! sweep    ends files by age and size
//! ```
//!
//! # Form
//!
//! `<state>/streams/RUN.jsonl`, mode 0600 in a folder 0700: the lines as they came, with marks between them. A mark is a
//! line with `"type":"tailspan"`, see [`mark`]. A run may have several files, `RUN.1.jsonl` and so on: **a file has one
//! writer**. The sidecar never writes to a spool, which begins with a mark that says `"spool":true`, and a spool is written by
//! one `tailspan stream` alone; a lock on the file says that its writer lives. So both may use one folder.

pub mod append;
pub mod folder;
pub mod intake;
mod known;
pub mod line;
pub mod mark;
pub mod run;
mod run_file;
pub mod spool;
pub mod sweep;

pub use folder::{Folder, StreamFile};
pub use intake::{Intake, IntakeError, Receiving, Taken};
pub use run::{Caller, CallerError, Run, RunId};
pub use spool::Spool;
