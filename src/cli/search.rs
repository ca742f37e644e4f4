//! `tailspan search`: what the API finds, for people. Pages are asked for until there are as many texts as wanted, or no
//! more: a page whose time was up is not the last one.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::ask::answer::{count, list, text};
use super::ask::args::SourceArgs;
use super::ask::question::Question;
use super::ask::source::{AskError, Source};
use super::report::args::{ColorChoice, FilterArgs};
use super::report::draw::document::is_address;
use super::report::draw::paint::linked;
use super::report::range::{Present, Range};
use super::report::{asker, zone};
use crate::config::{Config, ConfigError, Env, Flags};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::{clock, log, settings};
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::Zone;

/// Characters of the id of a session that are printed, as `report` does.
const ID_CHARS: usize = 8;

/// Examples at the end of `tailspan search --help`.
const EXAMPLES: &str = "\
Words stand in any order and case, also within longer ones, and all of them in the same text:
  tailspan search migration timeout            both words
  tailspan search '\"connection refused\"'       exactly this
  tailspan search '/exit code [1-9]/i' --tool Bash
  tailspan search deploy --not staging --kind prompt --since 7d

Exit codes: 0, 1 if nothing matched or nobody answers, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// What is looked for: words, "exact phrases", /regular expressions/
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
    /// Only texts without this word, repeatable
    #[arg(long, value_name = "WORD")]
    not: Vec<String>,
    /// Only texts of this kind, repeatable: prompt, answer, thinking, tool_input, tool_result, title
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Where the time begins, as for `report` [default: all]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Where the time ends; a day or month counts as a whole [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A day, week or month: both of the above
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    on: Option<String>,
    /// Time zone of days (IANA name) [default: that of the system, from TZ or /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    #[command(flatten)]
    filters: FilterArgs,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// Most texts, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Print the answers of the API as they are, one line for each page
    #[arg(long)]
    json: bool,
    /// Colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(flatten)]
    source: SourceArgs,
}

/// Why nothing, or not everything, is printed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the question was refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Standard output could not be written.
    #[error("cannot write what was found")]
    Output(#[source] io::Error),
    /// No text has what is looked for.
    #[error("nothing matches")]
    Nothing,
}

impl SearchError {
    /// True if the arguments or the configuration must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) | Self::Ask(AskError::Config(_)) => true,
            Self::Ask(AskError::Refused { status, .. }) => *status == 400,
            Self::Ask(_) | Self::Output(_) | Self::Nothing => false,
        }
    }
}

impl From<ConfigError> for SearchError {
    fn from(error: ConfigError) -> Self {
        Self::Ask(error.into())
    }
}

impl SearchArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }

    /// The words as the API takes them.
    fn query(&self) -> String {
        let quoted = |word: &String| format!("-\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
        let not: Vec<String> = self.not.iter().map(quoted).collect();
        [self.words.join(" "), not.join(" ")].join(" ").trim_end().to_owned()
    }
}

/// Prints what was found. Fails if the arguments are wrong, if nobody answers, or if nothing was found.
pub fn run(args: &SearchArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), SearchError> {
    let zone = match &args.tz {
        Some(name) => Zone::named(name)
            .ok_or_else(|| SearchError::Usage(format!("--tz is {name:?}: expected a time zone like Europe/Berlin")))?,
        None => zone::of_system(env).unwrap_or(Zone::UTC),
    };
    let present = Present { now: clock::now(), zone };
    let range = Range::of(present, (args.since.as_deref(), "all"), args.until.as_deref(), args.on.as_deref());
    let range = range.map_err(SearchError::Usage)?;
    let roots = settings::root_env(env);
    let source = Source::of(Rules { config, env: &roots, prices, at: None }, args.source.scan)?;
    let mut question = Question::of("search").with("q", &args.query()).within(range.since, range.until);
    for kind in &args.kind {
        question = question.with("kind", kind);
    }
    for (name, value) in asker::filters(&source, &args.filters)? {
        question = question.with(name, &value);
    }
    if args.oldest {
        question = question.with("sort", "oldest");
    }
    let found = print(&source, &question, args, (zone, is_coloured(args, env)))?;
    if found == 0 { Err(SearchError::Nothing) } else { Ok(()) }
}

fn is_coloured(args: &SearchArgs, env: &Env) -> bool {
    let is_dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    match args.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stdout().is_terminal() && !is_dumb && env.get("NO_COLOR").is_none(),
    }
}

/// Prints page after page. Returns how many texts there were.
fn print(
    source: &Source,
    question: &Question,
    args: &SearchArgs,
    (zone, colours): (Zone, bool),
) -> Result<usize, SearchError> {
    let limit = usize::from(args.limit);
    let (mut found, mut cursor) = (0, None::<String>);
    loop {
        let page = question.clone().with("limit", &(limit - found).to_string());
        let answer = source.ask(&page.with_some("cursor", cursor.as_deref()))?;
        let hits = list(&answer.json, "/hits");
        found += hits.len();
        let written = if args.json {
            // An answer that takes long begins with white space.
            let mut line = answer.body.trim_ascii_start().to_vec();
            line.push(b'\n');
            line
        } else {
            hits.iter().map(|hit| drawn(hit, zone, colours)).collect::<String>().into_bytes()
        };
        let mut out = io::stdout().lock();
        match out.write_all(&written).and_then(|()| out.flush()) {
            // It is no error if the reader closes the pipe early, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(found.max(1)),
            written => written.map_err(SearchError::Output)?,
        }
        let next = text(&answer.json, "/next_cursor").map(str::to_owned);
        // A page that leads to itself would never end.
        if found >= limit || next.is_none() || next == cursor {
            if next.is_some() && found >= limit && !args.json {
                log::say(&format!("tailspan: there may be more than {found}: --limit shows more"));
            }
            return Ok(found);
        }
        cursor = next;
    }
}

/// A text as two lines: where it stands, and the snippet.
fn drawn(hit: &Value, zone: Zone, colours: bool) -> String {
    let paint = |text: &str, code: &str| {
        if colours && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let at = text(hit, "/at").and_then(Timestamp::parse).and_then(|at| zone.shown(at)).unwrap_or_default();
    let kind = text(hit, "/kind").unwrap_or_default();
    let tool = text(hit, "/tool").map(|tool| format!(" {}", harmless(tool))).unwrap_or_default();
    let agent = text(hit, "/agent").filter(|agent| *agent != "main");
    let agent = agent.map(|agent| format!(" of {}", harmless(agent))).unwrap_or_default();
    let session: String = harmless(text(hit, "/session").unwrap_or_default()).chars().take(ID_CHARS).collect();
    let event = count(hit, "/event").map(|event| format!(" event {event}")).unwrap_or_default();
    let turn = count(hit, "/turn").map(|turn| format!(" turn {turn}")).unwrap_or_default();
    let about = [text(hit, "/project"), text(hit, "/title")];
    let about: String = about.into_iter().flatten().map(|name| format!("  {}", harmless(name))).collect();
    let what = paint(&format!("{kind}{tool}{agent}"), "36");
    let place = format!("{session}{turn}{event}");
    let page = text(hit, "/page").filter(|page| is_address(page));
    let place = paint(&page.map_or_else(|| place.clone(), |page| linked(&place, page, colours)), "35");
    format!("{}  {what}  {place}{}\n    {}\n", paint(&at, "2"), paint(&about, "2"), snippet(hit, colours))
}

/// The snippet in one line, with its matches in colour.
fn snippet(hit: &Value, colours: bool) -> String {
    let text = harmless(text(hit, "/snippet").unwrap_or_default());
    if !colours {
        return text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let (mut line, mut letters, mut at) = (String::new(), text.chars(), 0);
    for found in list(hit, "/matches") {
        let place = |name| count(found, name).and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let (start, length) = (place("/0"), place("/1"));
        line.extend(letters.by_ref().take(start.saturating_sub(at)));
        line.push_str("\u{1b}[1;31m");
        line.extend(letters.by_ref().take(length));
        line.push_str("\u{1b}[0m");
        at = start + length;
    }
    line.extend(letters);
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that can do nothing to a terminal, letter for letter, so that matches stay where they are.
fn harmless(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|letter| if letter.is_control() || turns(letter) { ' ' } else { letter }).collect()
}
