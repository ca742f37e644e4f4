//! `tailspan`: reads the arguments, runs one command, prints the error chain, chooses the exit code.

use std::process::ExitCode;

use clap::Parser;
use tailspan::cli::args::{Args, Command};
use tailspan::cli::backfill::BackfillError;
use tailspan::cli::replay::{self, ReplayError};
use tailspan::cli::report::{self, ReportError, workflows};
use tailspan::cli::rules::RulesError;
use tailspan::cli::search::{self, SearchError};
use tailspan::cli::stream::StreamError;
use tailspan::cli::tables::{self, error::ExportError};
use tailspan::cli::watch::{self, WatchError};
use tailspan::cli::{archive, backfill, hook, metrics, rules, scan, statusline, stream, transcript, verify};
use tailspan::config::{Config, ConfigError, Env, Flags};
use tailspan::sidecar::error::RunError;
use tailspan::sidecar::{log, settings, start};

/// The allocator is jemalloc, because records are made on some threads and freed on others; see `docs/performance.md`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code of a command that failed.
const FAILED: u8 = 1;

/// Exit code for wrong arguments or a configuration that cannot be used.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // Before anything else is made ready: the client waits for its hooks, and takes wrong usage for an order to stop.
    if let Some(arguments) = hook::asked(std::env::args_os()) {
        hook::run(arguments);
        return ExitCode::SUCCESS;
    }
    // clap itself ends the process, with 2 for wrong usage and 0 for help and version.
    let args = Args::parse();
    let code = match execute(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let wrong_usage = error.chain().any(|cause| cause.is::<ConfigError>())
                || error.downcast_ref::<RunError>().is_some_and(RunError::is_configuration)
                || error.downcast_ref::<BackfillError>().is_some_and(BackfillError::is_usage)
                || error.downcast_ref::<RulesError>().is_some_and(RulesError::is_usage)
                || error.downcast_ref::<ReportError>().is_some_and(ReportError::is_usage)
                || error.downcast_ref::<ExportError>().is_some_and(ExportError::is_usage)
                || error.downcast_ref::<ReplayError>().is_some_and(ReplayError::is_usage)
                || error.downcast_ref::<StreamError>().is_some_and(StreamError::is_usage)
                || error.downcast_ref::<SearchError>().is_some_and(SearchError::is_usage)
                || error.downcast_ref::<WatchError>().is_some_and(WatchError::is_usage);
            log::say(&format!("tailspan: {error:#}"));
            ExitCode::from(if wrong_usage { USAGE } else { FAILED })
        }
    };
    log::flush();
    code
}

fn execute(args: &Args) -> anyhow::Result<()> {
    let env: Env = std::env::vars_os().collect();
    let flags = args.flags();
    if let Command::Stream(stream) = &args.command {
        // A wrong configuration must not stop the pipe.
        return Ok(stream::run(stream, Config::resolve(&flags, &env).as_ref(), &env)?);
    }
    let config = match Config::resolve(&flags, &env) {
        // A status line is printed whatever stands in the configuration; `tailspan run` says what is wrong with it.
        Err(error) if matches!(args.command, Command::Statusline(_)) => {
            Config::resolve(&Flags { config: None, ..flags.clone() }, &Env::default()).map_err(|_| error)?
        }
        config => config?,
    };
    log::init(&config.log, config.log_format)?;
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    // Computed where it is needed: a status line has milliseconds, and needs no prices.
    let prices = || config.prices.table();
    let roots = settings::root_env(&env);
    match &args.command {
        Command::Run(_) => start::run(&config, &roots, prices()?)?,
        Command::Scan(scan) => scan::run(&scan.dirs, &config, &roots, &prices()?)?,
        Command::Verify(_) => verify::run(&config, &roots, &prices()?)?,
        Command::Backfill(args) => backfill::run(args, &config, &roots, &prices()?)?,
        Command::Report(args) => report::run(args, (flags.config.as_deref(), &config), &env, &prices()?)?,
        Command::Workflows(args) => workflows::workflows(args, &config, &env, &prices()?)?,
        Command::Runs(args) => workflows::all_runs(args, &config, &env, &prices()?)?,
        Command::Export(args) => tables::run(args, &config, &env, &prices()?)?,
        Command::Transcript(args) => transcript::run(args, &config, &env, &prices()?)?,
        Command::Search(args) => search::run(args, &config, &env, &prices()?)?,
        Command::Replay(args) => replay::run(args, &config, &env, &prices()?)?,
        Command::Watch(args) => watch::run(args, &config, &env)?,
        Command::Archive(args) => archive::run(args, &config, &roots, &prices()?)?,
        // Only its help comes here.
        Command::Hook(_) => {}
        Command::Statusline(args) => statusline::run(args.patience, &config, &env)?,
        Command::Stream(_) => {}
        Command::Metrics => metrics::run()?,
        Command::Rules(args) => rules::run(args, &config, &roots, &prices()?)?,
    }
    Ok(())
}
