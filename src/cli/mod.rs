//! The command line: one file per command.

pub mod args;
pub mod backfill;
pub mod metrics;
pub mod scan;
mod table;
mod values;
pub mod verify;
