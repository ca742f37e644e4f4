//! The arguments of `tailspan`. Values that the configuration file or a variable can give as well are kept as text, so
//! that `config` checks them in one place with the same messages.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::archive::ArchiveArgs;
use super::replay::ReplayArgs;
use super::report::args::ReportArgs;
use super::report::workflows::{RunsArgs, WorkflowsArgs};
use super::search::SearchArgs;
use super::stream::StreamArgs;
use super::tables::args::ExportArgs;
use super::transcript::TranscriptArgs;
use super::values;
use super::watch::WatchArgs;
use crate::config::Flags;
use crate::transcript::time::Timestamp;

/// Session files of Claude Code in; Prometheus metrics, OpenTelemetry traces and answers out.
#[derive(Debug, Parser)]
#[command(name = "tailspan", version = version(), about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Configuration file (TOML); weaker than TAILSPAN_* variables and flags
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the log on stderr [default: text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tail session files, keep state, serve metrics and the API, export traces
    Run(RunArgs),
    /// Read session files once, without state or server, and print the result
    Scan(ScanArgs),
    /// Compare the state with a clean pass over the session files; fails if they differ
    Verify(VerifyArgs),
    /// Print the counters of the past with timestamps, for promtool tsdb create-blocks-from openmetrics
    Backfill(BackfillArgs),
    /// Tell costs, tools, bottlenecks, patterns, sessions, blocks or today, for people or as a file
    Report(Box<ReportArgs>),
    /// List workflows, or the runs of one: how they ended and what they cost
    Workflows(Box<WorkflowsArgs>),
    /// List runs of the client whose streams were passed on, or tell of one
    Runs(Box<RunsArgs>),
    /// Write tables of sessions, turns, messages, tool calls or costs as JSON, CSV or Parquet
    Export(Box<ExportArgs>),
    /// Write a whole session as Markdown, one HTML page, JSON, a trace of Perfetto or a recording of a terminal
    Transcript(Box<TranscriptArgs>),
    /// Find words in prompts, answers, thoughts, tool inputs and results, and titles
    Search(Box<SearchArgs>),
    /// Walk through a session event by event in the terminal
    Replay(Box<ReplayArgs>),
    /// Pass on what `claude -p --output-format stream-json` prints, and hand it over to the sidecar
    Stream(StreamArgs),
    /// Print what happens while it happens, one line for each event
    Watch(Box<WatchArgs>),
    /// List, check, restore and take in copies of session files
    Archive(ArchiveArgs),
    /// Print one line of figures for the status line of Claude Code, whose JSON is read on stdin
    Statusline(StatuslineArgs),
    /// Take note of an event that a hook of Claude Code tells on stdin; silent, and always ends well
    Hook(HookArgs),
    /// Print every metric with its labels and meaning, as a table
    Metrics,
    /// Try the rules of custom metrics
    Rules(RulesArgs),
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Session root, repeatable [default: where Claude Code keeps its projects]
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Directory of the state [default: $XDG_STATE_HOME/tailspan, else ~/.local/state/tailspan]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Loopback address to serve HTTP on [default: 127.0.0.1:9719]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// OTLP/HTTP endpoint for traces, like http://127.0.0.1:4318 [default: no export]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Send turns of the past to endpoints that lack them: all, or those that end after an RFC 3339 time [default:
    /// none]
    #[arg(long, value_name = "all|RFC3339")]
    traces_history_since: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ScanArgs {
    /// Projects folder, configuration folder that has one, or session file [default: the session roots]
    #[arg(value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Session root, repeatable
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Form of the result [default: table]
    #[arg(long, value_name = "FORMAT", value_parser = ["table", "json", "prometheus", "trace"])]
    format: Option<String>,
    /// List every session too
    #[arg(long)]
    sessions: bool,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Session root, repeatable [default: where Claude Code keeps its projects]
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Directory of the state [default: $XDG_STATE_HOME/tailspan, else ~/.local/state/tailspan]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct BackfillArgs {
    /// Projects folder, configuration folder that has one, or session file [default: the session roots]
    #[arg(value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Session root, repeatable
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Directory of the state, which knows when the sidecar first started
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where counting begins, at 0: a day (midnight UTC) or an RFC 3339 time [default: the first row]
    #[arg(long, value_name = "D", value_parser = values::time)]
    pub since: Option<Timestamp>,
    /// Where it ends, itself not counted [default: the first start of the sidecar, else now]
    #[arg(long, value_name = "D", value_parser = values::time)]
    pub until: Option<Timestamp>,
    /// Time between two samples: 15s to 1d, a whole part of an hour or of a day
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::step)]
    pub step: i64,
    /// The `job` label, as in the configuration of the scraper
    #[arg(long, value_name = "NAME", default_value = "tailspan")]
    pub job: String,
    /// The `instance` label: the target that is scraped [default: the address that `run` listens on]
    #[arg(long, value_name = "ADDR:PORT")]
    pub instance: Option<String>,
    /// Read the state and not the session files: with sessions whose files are gone; the sidecar must not run
    #[arg(long, conflicts_with = "dirs")]
    pub from_state: bool,
}

/// Examples at the end of `tailspan statusline --help`.
const STATUSLINE_HELP: &str = "\
Names in braces become figures: today, today_tokens, today_turns, block, block_left, block_burn, block_projected,
session, session_tokens, budget (from the sidecar), limit, limit_5h, limit_7d (what is used of the limits of the account
and when they are full: from stdin and the sidecar), client (the cost as the client tells it), model, project, version,
duration, lines_added, lines_removed (from stdin). A part between two ` | ` whose figure is not known is left out.

In ~/.claude/settings.json:
  { \"statusLine\": { \"type\": \"command\", \"command\": \"tailspan statusline\" } }";

#[derive(Debug, clap::Args)]
#[command(after_help = STATUSLINE_HELP)]
pub struct StatuslineArgs {
    /// The line, with names in braces [default: '{today} today | block {block} {block_left} | session {session} |
    /// {budget} | {limit}']
    #[arg(long, value_name = "LINE")]
    format: Option<String>,
    /// Address of the sidecar [default: 127.0.0.1:9719]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// How long the sidecar has for its answers; what it does not tell in time is left out
    #[arg(long, value_name = "DURATION", default_value = "12ms", value_parser = values::patience)]
    pub patience: Duration,
}

/// What follows the options in `tailspan hook --help`.
const HOOK_HELP: &str = "\
In ~/.claude/settings.json, for each of SessionStart, UserPromptSubmit, PermissionRequest,
Notification, Stop and SessionEnd:
  { \"hooks\": { \"Stop\": [ { \"hooks\": [ { \"type\": \"command\", \"command\": \"tailspan hook\" } ] } ] } }
docs/hooks.md has the whole recipe. No text of the conversation is kept.";

#[derive(Debug, clap::Args)]
#[command(after_help = HOOK_HELP)]
pub struct HookArgs {
    /// Directory of the state of the sidecar [default: $XDG_STATE_HOME/tailspan, else ~/.local/state/tailspan]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct RulesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Check the rules in a file, and say what each would have counted in the last days; 2 if one is wrong
    Check(RulesCheckArgs),
    /// Print the kinds of events and their variables, as tables
    Variables,
}

#[derive(Debug, clap::Args)]
pub struct RulesCheckArgs {
    /// File with `[[metrics.custom]]` tables
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many days back from now are counted
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Session root, repeatable [default: where Claude Code keeps its projects]
    #[arg(long, value_name = "DIR")]
    projects: Vec<PathBuf>,
}

impl Args {
    /// What the arguments say about the configuration.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let common = Flags { config: self.config.clone(), log_format: self.log_format.clone(), ..Flags::default() };
        match &self.command {
            Command::Run(run) => Flags {
                projects: run.projects.clone(),
                state: run.state.clone(),
                listen: run.listen.clone(),
                otlp_endpoint: run.otlp_endpoint.clone(),
                traces_history_since: run.traces_history_since.clone(),
                ..common
            },
            Command::Verify(verify) => {
                Flags { projects: verify.projects.clone(), state: verify.state.clone(), offline: true, ..common }
            }
            Command::Backfill(backfill) => {
                Flags { projects: backfill.projects.clone(), state: backfill.state.clone(), offline: true, ..common }
            }
            Command::Statusline(statusline) => Flags {
                listen: statusline.listen.clone(),
                statusline_format: statusline.format.clone(),
                offline: true,
                ..common
            },
            Command::Hook(hook) => Flags { state: hook.state.clone(), offline: true, ..common },
            Command::Report(report) => report.flags(common),
            Command::Workflows(workflows) => workflows.common.flags(common),
            Command::Runs(runs) => runs.common.flags(common),
            Command::Export(export) => export.flags(common),
            Command::Search(search) => search.flags(common),
            Command::Replay(replay) => replay.flags(common),
            Command::Transcript(transcript) => transcript.flags(common),
            Command::Stream(stream) => stream.flags(common),
            Command::Watch(watch) => watch.flags(common),
            Command::Archive(archive) => archive.flags(common),
            Command::Rules(RulesArgs { command: RulesCommand::Check(check) }) => {
                Flags { projects: check.projects.clone(), offline: true, ..common }
            }
            Command::Metrics | Command::Rules(RulesArgs { command: RulesCommand::Variables }) => {
                Flags { offline: true, ..common }
            }
            Command::Scan(scan) => Flags {
                projects: scan.projects.clone(),
                scan_format: scan.format.clone(),
                scan_sessions: scan.sessions,
                offline: true,
                ..common
            },
        }
    }
}

/// The version of the program, with the revision of the source if `build.rs` found one.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| match env!("TAILSPAN_REVISION") {
        "unknown" => env!("CARGO_PKG_VERSION").to_owned(),
        revision => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
    });
    &VERSION
}
