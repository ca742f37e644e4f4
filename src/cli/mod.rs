//! The command line: one file per command.

pub mod archive;
pub mod args;
pub mod ask;
pub mod backfill;
pub mod hook;
mod limits;
pub mod metrics;
pub mod replay;
pub mod report;
pub mod rules;
pub mod scan;
pub mod search;
pub mod statusline;
pub mod stream;
mod table;
pub mod tables;
pub mod transcript;
mod values;
pub mod verify;
pub mod watch;
