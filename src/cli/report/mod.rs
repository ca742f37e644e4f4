//! `tailspan report`: answers of the API, drawn for people.
//!
//! ```text
//! args      what is asked for
//! zone, range   the time zone of the system; words like `7d` and `tuesday` as moments
//! asker     what all questions of a report have in common
//! costs, tools, bottlenecks, patterns, sessions, blocks, today, waiting   one report each: its question, its rows, what it says
//! workflows   workflows and runs, which are commands of their own
//! rows, why, money_ahead, titles   parts of several reports
//! draw      the forms: text, Markdown, HTML, CSV
//! ```
//!
//! A report asks one main question, whose answer `--json` prints as it is; what else it says comes from further
//! questions. So a figure in a report is always one of the API.

pub mod args;
pub(in crate::cli) mod asker;
pub(in crate::cli) mod blocks;
mod bottlenecks;
mod costs;
pub(in crate::cli) mod draw;
mod money_ahead;
mod patterns;
pub(in crate::cli) mod range;
mod rows;
mod sessions;
mod titles;
mod today;
mod tools;
mod waiting;
mod why;
pub mod workflows;
pub(in crate::cli) mod zone;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use self::args::{ColorChoice, GroupKey, ReportArgs, ReportKind};
use self::asker::Asker;
use self::draw::csv::{self, CsvColumn};
use self::draw::document::Document;
use self::draw::glyphs::Glyphs;
use self::draw::terminal::Look;
use self::draw::{html, markdown, terminal};
use self::range::{Present, Range};
use crate::cli::ask::answer::Answer;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};
use crate::config::{Config, ConfigError, Env};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::{clock, log, settings};
use crate::views::analytics::period::{Period, Zone};

/// Columns of a line where there is no terminal.
const WIDTH: usize = 80;

/// The status of an answer to a question that is wrong.
const BAD_REQUEST: u16 = 400;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the question was refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Standard output could not be written.
    #[error("cannot write the report")]
    Output(#[source] io::Error),
}

impl ReportError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Ask(AskError::Config(_)) => true,
            Self::Ask(AskError::Refused { status, .. }) => *status == BAD_REQUEST,
            Self::Ask(_) | Self::Output(_) => false,
        }
    }
}

impl From<ConfigError> for ReportError {
    fn from(error: ConfigError) -> Self {
        Self::Ask(error.into())
    }
}

/// Prints the report that the arguments ask for. `file` is the configuration file that they name. Fails if they are wrong,
/// if nobody answers, or if the report cannot be written.
pub fn run(
    args: &ReportArgs,
    (file, config): (Option<&Path>, &Config),
    env: &Env,
    prices: &Prices,
) -> Result<(), ReportError> {
    check(args)?;
    let present = Present { now: args.now.unwrap_or_else(clock::now), zone: zone_of(args.tz.as_deref(), env)? };
    let since = (args.since.as_deref(), default_since(args));
    let mut range = Range::of(present, since, args.until.as_deref(), args.on.as_deref()).map_err(ReportError::Usage)?;
    if args.since.is_none() && args.by.first() == Some(&GroupKey::Week) {
        // A week that is shown is a whole one.
        let week = range.since.and_then(|since| present.zone.period(Period::Week, since));
        range.since = week.map(|week| week.start).or(range.since);
    }
    let roots = settings::root_env(env);
    let rules = Rules { config, env: &roots, prices, at: args.now };
    let source = Source::of(rules, args.source.scan)?;
    if let (Some(file), true) = (file.filter(|_| goes_by_rules(args.report)), source.is_sidecar()) {
        log::say(&format!(
            "tailspan: prices, budgets and rules are those of the sidecar that runs; with --scan, those of {} count",
            file.display()
        ));
    }
    let filters = asker::filters(&source, &args.filters)?;
    let asker = Asker { source: &source, args, present, range, filters };
    print(&made(&asker, env)?)
}

/// Whether a report depends on what a configuration file says of prices, budgets or rules.
const fn goes_by_rules(report: ReportKind) -> bool {
    !matches!(report, ReportKind::Bottlenecks | ReportKind::Waiting)
}

/// Refuses arguments that have no meaning together.
fn check(args: &ReportArgs) -> Result<(), ReportError> {
    let usage = |text: &str| Err(ReportError::Usage(text.to_owned()));
    if args.sort.is_some() && args.report == ReportKind::Patterns {
        return usage("`report patterns` has one order: what could save most comes first");
    }
    if !args.by.is_empty() && args.report != ReportKind::Costs {
        return usage("--by is for `report costs` alone");
    }
    if args.report == ReportKind::Today && (args.since.is_some() || args.until.is_some() || args.on.is_some()) {
        return usage("`report today` is about today: for another day, `report costs --on DAY --by hour`");
    }
    if args.report == ReportKind::Waiting && (args.since.is_some() || args.until.is_some() || args.on.is_some()) {
        return usage("`report waiting` is about now");
    }
    match args.by.as_slice() {
        [] | [_] => Ok(()),
        [first, second] if first != second => Ok(()),
        _ => usage("--by takes one or two different keys"),
    }
}

/// The time zone with a name, or else that of the system.
fn zone_of(name: Option<&str>, env: &Env) -> Result<Zone, ReportError> {
    if let Some(name) = name {
        let unknown = || ReportError::Usage(format!("--tz is {name:?}: expected a time zone like Europe/Berlin"));
        return Zone::named(name).ok_or_else(unknown);
    }
    Ok(zone::of_system(env).unwrap_or_else(|| {
        log::say("tailspan: the system does not name its time zone: days are those of UTC; --tz names another");
        Zone::UTC
    }))
}

/// Where the time of a report begins if the arguments do not say.
fn default_since(args: &ReportArgs) -> &'static str {
    match (args.report, args.by.first()) {
        (ReportKind::Costs, Some(GroupKey::Week)) => "8w",
        (ReportKind::Costs, Some(GroupKey::Month)) | (ReportKind::Waiting, _) => "all",
        (ReportKind::Costs, Some(GroupKey::Block)) | (ReportKind::Blocks, _) => "2d",
        (ReportKind::Costs, Some(GroupKey::Hour)) | (ReportKind::Today, _) => "today",
        (ReportKind::Costs | ReportKind::Sessions, _) => "7d",
        (ReportKind::Tools | ReportKind::Bottlenecks | ReportKind::Patterns, _) => "30d",
    }
}

/// The report in the form that is asked for.
fn made(asker: &Asker<'_>, env: &Env) -> Result<Vec<u8>, ReportError> {
    if asker.args.report == ReportKind::Today {
        return made_today(asker, env);
    }
    let (question, place, columns): (Question, &str, Vec<CsvColumn>) = match asker.args.report {
        ReportKind::Costs => (costs::question(asker), "/rows", costs::csv_columns(&costs::keys(asker))),
        ReportKind::Tools => (tools::question(asker), "/tools", tools::csv_columns()),
        ReportKind::Bottlenecks => (bottlenecks::question(asker), "/critical_path", bottlenecks::csv_columns()),
        ReportKind::Patterns => (patterns::question(asker), "/patterns", patterns::csv_columns()),
        ReportKind::Sessions => (sessions::question(asker), "/sessions", sessions::csv_columns()),
        ReportKind::Waiting => (waiting::question(asker), "/sessions", waiting::csv_columns()),
        ReportKind::Blocks | ReportKind::Today => (blocks::question(asker), "/rows", blocks::csv_columns()),
    };
    let answer = asker.ask(&question)?;
    warn_if_partial(&answer);
    if asker.args.json {
        return Ok(line(answer.body));
    }
    if asker.args.csv {
        let mut rows = asker.all_rows(&question, &answer, place)?;
        if asker.args.report == ReportKind::Patterns {
            // The answer about patterns has no pages, so that the API is not told how many are wanted.
            rows.truncate(asker.args.limit.map_or(usize::MAX, usize::from));
        }
        return Ok(csv::render(&columns, &rows).into_bytes());
    }
    let document = match asker.args.report {
        ReportKind::Costs => costs::document(asker, &answer)?,
        ReportKind::Tools => tools::document(asker, &answer),
        ReportKind::Bottlenecks => bottlenecks::document(asker, &answer),
        ReportKind::Patterns => patterns::document(asker, &answer),
        ReportKind::Sessions => sessions::document(asker, &answer)?,
        ReportKind::Waiting => waiting::document(asker, &answer),
        ReportKind::Blocks | ReportKind::Today => blocks::document(asker, &answer),
    };
    Ok(drawn(asker.args, env, &document))
}

fn made_today(asker: &Asker<'_>, env: &Env) -> Result<Vec<u8>, ReportError> {
    let answers = today::ask(asker)?;
    warn_if_partial(&answers.hours);
    if asker.args.json {
        return Ok(line(today::json(&answers)));
    }
    if asker.args.csv {
        let rows = asker.all_rows(&today::question(asker), &answers.hours, "/rows")?;
        return Ok(csv::render(&today::csv_columns(), &rows).into_bytes());
    }
    Ok(drawn(asker.args, env, &today::document(asker, &answers)?))
}

fn line(mut body: Vec<u8>) -> Vec<u8> {
    body.push(b'\n');
    body
}

/// Says so if sums are too small, because they are still being made after an upgrade.
fn warn_if_partial(answer: &Answer) {
    if answer.json.pointer("/complete").and_then(serde_json::Value::as_bool) == Some(false) {
        log::say("tailspan: incomplete: sums are still being made after an upgrade");
    }
}

fn drawn(args: &ReportArgs, env: &Env, document: &Document) -> Vec<u8> {
    let text = if args.markdown {
        markdown::render(document)
    } else if args.html {
        html::render(document)
    } else {
        terminal::render(document, look((args.width, args.color), env))
    };
    text.into_bytes()
}

/// How a report is drawn on what standard output is.
fn look((width, color): (Option<u16>, ColorChoice), env: &Env) -> Look {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let of_terminal = || {
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    };
    let width = width.map(usize::from).or_else(of_terminal).unwrap_or(WIDTH);
    let is_dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    let colours = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !is_dumb && env.get("NO_COLOR").is_none(),
    };
    Look { width, colours, glyphs: Glyphs::of_locale(env) }
}

/// Writes to standard output. It is no error if the reader closes the pipe early, as `head` does.
fn print(bytes: &[u8]) -> Result<(), ReportError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ReportError::Output),
    }
}
