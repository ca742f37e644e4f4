//! The command line: one file per command.

pub mod args;
pub mod backfill;
pub mod log;
pub mod prices;
pub mod progress;
pub mod run;
pub mod scan;
mod table;
pub mod verify;
