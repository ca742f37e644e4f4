//! `tailspan watch`: what happens, one line for each event, while it happens.
//!
//! ```text
//! follow   asks the sidecar, and again from where it was when the connection ends
//! line     an event as a line for people
//! ```

mod error;
mod follow;
mod line;

use std::io::{self, IsTerminal};

pub use self::error::WatchError;
use self::follow::Printer;
use self::line::Look;
use super::ask::question::Question;
use super::ask::source::Source;
use super::report::args::{ColorChoice, FilterArgs};
use super::report::range::{Present, Range};
use super::report::{asker, zone};
use crate::config::{Config, Env, Flags};
use crate::sidecar::{clock, log};
use crate::views::analytics::period::Zone;

/// Examples at the end of `tailspan watch --help`.
const EXAMPLES: &str = "\
Examples:
  tailspan watch                                    everything, from now on
  tailspan watch --project shop --event turn        turns of one project, as they end
  tailspan watch --since 30m                        what happened in the last half hour, and what happens then
  tailspan watch --json | jq 'select(.outcome == \"failed\")'

Exit codes: 0 when the reader of the output goes away, 1 if no sidecar answers, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct WatchArgs {
    /// Only events of this name, repeatable: message, tool_call, tool_result, prompt, turn, session, subagent, api_error, run
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Begin with what was told since then, as far as it is kept, like 30m or `today`; as for `report` [default: now]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Tell only what happened before then, like 2026-11-24T09:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End once everything that is there is told
    #[arg(long)]
    no_follow: bool,
    /// Time zone of the clock (IANA name) [default: that of the system, from TZ or /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    #[command(flatten)]
    filters: FilterArgs,
    /// Print the data of each event as it is, one line of JSON
    #[arg(long)]
    json: bool,
    /// Colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Columns of a line, 40 to 1000 [default: those of the terminal, else 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(40..=1000))]
    width: Option<u16>,
    /// Address of the sidecar [default: 127.0.0.1:9719]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
}

impl WatchArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        Flags { listen: self.listen.clone(), offline: true, ..common }
    }
}

/// Prints events until the reader goes away, a signal ends it, or, if it does not follow, all are printed. Fails if the
/// arguments are wrong, or if nobody answers at the beginning.
pub fn run(args: &WatchArgs, config: &Config, env: &Env) -> Result<(), WatchError> {
    let zone = match &args.tz {
        Some(name) => Zone::named(name)
            .ok_or_else(|| WatchError::Usage(format!("--tz is {name:?}: expected a time zone like Europe/Berlin")))?,
        None => zone::of_system(env).unwrap_or(Zone::UTC),
    };
    let present = Present { now: clock::now(), zone };
    let range = Range::of(present, (args.since.as_deref(), "all"), args.until.as_deref(), None);
    let range = range.map_err(WatchError::Usage)?;
    let mut question = Question::at("/api/v1/events").within(range.since, range.until);
    for name in &args.event {
        question = question.with("event", name);
    }
    for (name, value) in asker::filters(&Source::Sidecar(config.listen), &args.filters)? {
        question = question.with(name, &value);
    }
    if args.no_follow {
        question = question.with("follow", "false");
    }
    let look = Look { zone, colours: is_coloured(args, env), columns: columns(args), json: args.json };
    let mut printer = Printer::new(look);
    follow::follow(config, &question, &mut printer, !args.no_follow)?;
    if args.no_follow && !printer.has_told() {
        log::say(&format!("tailspan: {}", why_nothing(args)));
    }
    Ok(())
}

/// Why no event is told to who does not wait for one.
fn why_nothing(args: &WatchArgs) -> &'static str {
    let is_filtered = !args.event.is_empty() || args.filters.pairs().next().is_some();
    match (&args.since, is_filtered) {
        (None, _) => "nothing is told of what happened before now: --since names where to begin",
        (Some(_), true) => "no event that is kept of this time matches the filters",
        (Some(_), false) => "no event is kept of this time",
    }
}

fn is_coloured(args: &WatchArgs, env: &Env) -> bool {
    let is_dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    match args.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stdout().is_terminal() && !is_dumb && env.get("NO_COLOR").is_none(),
    }
}

/// A terminal may get another width at any time, so it is asked for each line if nothing is said.
fn columns(args: &WatchArgs) -> Option<usize> {
    args.width.map(usize::from)
}
