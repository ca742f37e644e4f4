//! `tailspan replay`: walks through a session in the terminal, with the facts and the keys of the page.
//!
//! ```text
//! paint    texts with colours; what a session holds can do nothing to a terminal
//! ansi     the colours of programs, without anything else that they told theirs
//! diff     what an edit changes
//! event    an event as a row of the timeline
//! detail   an event with its numbers and texts
//! outline  the session from afar, as a map
//! pages    the rows that are known
//! play     when play goes on
//! marks    what was found, in the texts of an event
//! wish     what is asked, and what follows from answers to searches
//! viewer   what is known, shown, and to be asked next
//! key      the keys
//! keys     what they do
//! layout   how the screen is divided
//! cut      keys that a slow network cut
//! frame    what stands on the screen
//! asker    asks on a thread of its own
//! watch    keys and signals
//! screen   the terminal, taken and given back
//! live     puts these together
//! plain    every event one after the other, where there is no screen
//! error    why nothing is shown
//! ```
//!
//! Everything from `paint` to `frame` is a function of what it is given: no terminal, no clock. A session is never read as a
//! whole: a page of rows, and the one event that is looked at.

mod ansi;
mod asker;
mod cut;
mod detail;
mod diff;
mod error;
mod event;
pub mod frame;
pub mod key;
pub mod keys;
pub mod layout;
mod live;
mod marks;
mod outline;
mod pages;
pub mod paint;
mod plain;
pub mod play;
pub mod screen;
pub mod viewer;
mod watch;
pub mod wish;

use std::io::{self, IsTerminal};

use self::asker::replay_of;
pub use self::error::ReplayError;
use self::event::events;
use self::paint::Style;
use self::play::{Play, SPEED, SPEEDS};
use self::screen::Means;
use self::viewer::{About, Viewer};
use super::ask::answer::{count, some_text};
use super::ask::args::SourceArgs;
use super::ask::question::Question;
use super::ask::source::{AskError, Source};
use super::report::args::ColorChoice;
use super::report::draw::glyphs::Glyphs;
use super::report::zone;
use super::values;
use crate::config::{Config, Env, Flags};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::settings;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Zone;

/// The word for the session that went on last.
const LATEST: &str = "latest";

/// Examples at the end of `tailspan replay --help`.
const EXAMPLES: &str = "\
Walk through a session, ? tells the keys:
  tailspan replay                              the session that went on last
  tailspan replay 5fb3d16f --event 17          from an event on
  tailspan replay 5fb3d16f --at 2026-11-22T06:02:52Z --play --speed 5
  tailspan replay 5fb3d16f --scan              without sidecar and state
  tailspan replay 5fb3d16f | less              every event, one after the other

Exit codes: 0, 1 if there is no such session or nobody answers, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// Id of the session, or its first characters (4 at least), or `latest`
    #[arg(value_name = "SESSION", default_value = LATEST, value_parser = values::session)]
    session: String,
    /// Begin at this event, counted from 0
    #[arg(long, value_name = "N")]
    event: Option<usize>,
    /// Begin with the first event at this time (RFC 3339) or day (midnight UTC), or later
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "event")]
    at: Option<Timestamp>,
    /// Begin to play at once
    #[arg(long)]
    play: bool,
    /// How fast play is, in multiples of real time; step is one event a second
    #[arg(long, value_name = "SPEED", default_value = SPEED, value_parser = SPEEDS)]
    speed: String,
    /// Time zone of what is shown (IANA name) [default: that of the system, from TZ or /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(flatten)]
    source: SourceArgs,
}

impl ReplayArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }
}

/// Shows a session on the terminal until the user leaves; prints it if there is no terminal. Fails if the arguments are wrong,
/// if nobody answers, or if there is no such session.
pub fn run(args: &ReplayArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), ReplayError> {
    let zone = match &args.tz {
        Some(name) => Zone::named(name)
            .ok_or_else(|| ReplayError::Usage(format!("--tz is {name:?}: expected a time zone like Europe/Berlin")))?,
        None => zone::of_system(env).unwrap_or(Zone::UTC),
    };
    let roots = settings::root_env(env);
    let source = Source::of(Rules { config, env: &roots, prices, at: None }, args.source.scan)?;
    let (about, (at, total)) = find(&source, args, zone)?;
    let is_dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    let has_screen = io::stdout().is_terminal() && !is_dumb;
    let has_colours = match args.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => has_screen && env.get("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let beyond = beyond(args, at, total);
    if !has_screen {
        if let Some(why) = beyond {
            return Err(ReplayError::Beyond(why));
        }
        return plain::run(&source, &about, at, has_colours);
    }
    let means = Means { has_colours, has_unicode: Glyphs::of_locale(env).has_unicode() };
    let mut viewer = Viewer::new(about, (at, total), Play::of(&args.speed, args.play));
    if let Some(why) = beyond {
        viewer.say(&why, Style::WARN);
    }
    live::run(source, viewer, means)
}

/// Why there is no event where the arguments want to begin; `None` if there is one, or if they name none.
fn beyond(args: &ReplayArgs, from: usize, total: usize) -> Option<String> {
    let sought = match (args.event, args.at) {
        (Some(event), _) => format!("there is no event {event}, counted from 0"),
        (None, Some(at)) => format!("nothing happened at {} or later", at.to_rfc3339()),
        (None, None) => return None,
    };
    (from >= total.max(1)).then(|| format!("{sought}: the session has {}", events(total)))
}

/// Which session that is, the event to begin with, and how many there are.
fn find(source: &Source, args: &ReplayArgs, zone: Zone) -> Result<(About, (usize, usize)), ReplayError> {
    let session = if args.session == LATEST {
        let sessions = source.ask(&Question::of("sessions").with("limit", "1"))?;
        some_text(&sessions.json, "/sessions/0/id").ok_or(ReplayError::NoSessions)?
    } else {
        args.session.clone()
    };
    let at = args.at.map(Timestamp::to_rfc3339);
    let from = args.event.map(|event| event.to_string());
    let ask = |session: &str| {
        let question = replay_of(session, "").with("limit", "1").with_some("at", at.as_deref());
        source.ask(&question.with_some("from", from.as_deref()))
    };
    let small = session.to_lowercase();
    let answer = match ask(&session) {
        // Ids have small letters; some programs show them in large ones.
        Err(AskError::Older { .. }) if small != session => ask(&small),
        answer => answer,
    };
    let answer = match answer {
        Err(AskError::Older { .. }) => return Err(ReplayError::NoSession { session }),
        // The API calls it by another name.
        Err(AskError::Refused { status: 400, reason }) if reason.starts_with("`id`") => {
            return Err(ReplayError::Usage(reason.replacen("`id`", "SESSION", 1)));
        }
        answer => answer?.json,
    };
    let number = |place| count(&answer, place).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    let about = About {
        session: some_text(&answer, "/session/id").unwrap_or(session),
        title: some_text(&answer, "/session/title").unwrap_or_else(|| "untitled".to_owned()),
        project: some_text(&answer, "/session/project").unwrap_or_default(),
        can_grow: source.is_sidecar(),
        zone,
    };
    Ok((about, (number("/from"), number("/total_events"))))
}
