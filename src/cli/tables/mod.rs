//! `tailspan export`: tables of rows as files.
//!
//! ```text
//! args      what is asked for
//! error     why there is no export
//! one       one table, to a file or to standard output
//! place     into a file that is there when it is whole, or to standard output
//! lake      all tables, a file for each day, of which only those are written that are new or have changed
//! manifest  what was written
//! ```
//!
//! Rows come from the API, like everything else that commands say: a running sidecar sends them, or they are made in this
//! process from the state or the session files.

pub mod args;
pub mod error;
mod lake;
mod manifest;
mod one;
pub(super) mod place;

use self::args::ExportArgs;
use self::error::ExportError;
use crate::cli::ask::source::Source;
use crate::config::{Config, Env};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::settings;

/// Writes what the arguments ask for. Fails if they are wrong, if nobody answers, or if a file cannot be written.
pub fn run(args: &ExportArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), ExportError> {
    args.check().map_err(ExportError::Usage)?;
    // What is wrong with the arguments is said before anything is read.
    let question = if args.all { None } else { Some(one::question(args)?) };
    let roots = settings::root_env(env);
    let rules = Rules { config, env: &roots, prices, at: None };
    let source = Source::of(rules, args.source.scan);
    match question {
        Some(question) => one::run(args, &question, &source?),
        None => lake::run(args, &source?),
    }
}
