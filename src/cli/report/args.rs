//! The arguments of `tailspan report`.

use clap::{ArgGroup, ValueEnum};

use crate::cli::ask::args::SourceArgs;
use crate::cli::values;
use crate::config::Flags;
use crate::transcript::time::Timestamp;

/// Examples at the end of `tailspan report --help`.
const EXAMPLES: &str = "\
Six questions:
  tailspan report costs                        what did this week cost, and why?
  tailspan report tools                        which tool is slow?
  tailspan report patterns                     what should I change?
  tailspan report costs --since month          will I stay in budget?
  tailspan report sessions --on tuesday        what happened on Tuesday?
  tailspan report waiting                      which session waits for me?

Times: today, yesterday, week (since Monday), month, monday to sunday (the last one before today), 24h or 90m (until
now), 7d or 2w (whole days, today among them), 2026-11, 2026-11-24, 2026-11-24T09:00:00Z, all.

Exit codes: 0, 1 if nobody answers, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("form").multiple(false))]
pub struct ReportArgs {
    /// What to report
    #[arg(value_name = "REPORT")]
    pub report: ReportKind,
    /// What rows of `costs` are told apart by: one or two of hour, day, week, month, block, project, branch, model,
    /// agent, session, workflow, entrypoint [default: day]
    #[arg(long, value_name = "KEY[,KEY]", value_delimiter = ',')]
    pub by: Vec<GroupKey>,
    /// Where the time begins [default: 7d; for tools, bottlenecks and patterns 30d, for blocks 2d; with
    /// --by week 8w, with --by month all]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Where the time ends; a day or month counts as a whole [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A day, week or month: both of the above
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    pub on: Option<String>,
    /// Time zone of days and clocks (IANA name) [default: that of the system, from TZ or /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    #[command(flatten)]
    pub filters: FilterArgs,
    /// What rows are sorted by, as the API has it for this report [default: time, else what is most]
    #[arg(long, value_name = "WORD")]
    pub sort: Option<String>,
    /// Most rows that are not days, weeks or the like, 1 to 1000 [default: 20; all of them in CSV]. The answer that
    /// `patterns --json` prints always has all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: Option<u16>,
    /// Print the answer of the API as it is
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print rows for a spreadsheet, with exact figures
    #[arg(long, group = "form")]
    pub csv: bool,
    /// Print one Markdown file
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// Print one HTML file
    #[arg(long, group = "form")]
    pub html: bool,
    /// Colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Columns of a line, 30 to 1000 [default: those of the terminal, else 80]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(30..=1000))]
    pub width: Option<u16>,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Report as if it were this time, for tests and examples
    #[arg(long, value_name = "TIME", value_parser = values::time, hide = true)]
    pub now: Option<Timestamp>,
}

impl ReportArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }
}

/// The heading of filters in the help.
const FILTERS: &str = "Filters, repeatable";

/// What counts: each may be given several times, and any of its values will do.
#[derive(Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only this project, like shop
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub project: Vec<String>,
    /// Only this git branch, like main
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub branch: Vec<String>,
    /// Only this model, by its canonical name, like claude-sonnet-4-5
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub model: Vec<String>,
    /// Only the `main` thread, or sub-agents of this type, like Explore
    #[arg(long, value_name = "TYPE", help_heading = FILTERS)]
    pub agent: Vec<String>,
    /// Only turns that called this tool, like Bash or mcp__github__get_issue; of events and texts, only its calls and
    /// their results
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub tool: Vec<String>,
    /// Only runs of this workflow, like nightly: what `tailspan stream --workflow` was given
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub workflow: Vec<String>,
    /// Only turns that were asked for by human, sdk, task_notification or teammate
    #[arg(long, value_name = "WHO", help_heading = FILTERS)]
    pub origin: Vec<String>,
    /// Only the session whose id this is, or begins with (at least 4 characters), like 4ff56491
    #[arg(long, value_name = "ID", help_heading = FILTERS)]
    pub session: Vec<String>,
    /// Only sessions of clients that were started this way, like cli or sdk-cli
    #[arg(long, value_name = "WAY", help_heading = FILTERS)]
    pub entrypoint: Vec<String>,
}

impl FilterArgs {
    /// Every filter with its name in the API.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("project", &self.project),
            ("branch", &self.branch),
            ("model", &self.model),
            ("agent", &self.agent),
            ("tool", &self.tool),
            ("workflow", &self.workflow),
            ("origin", &self.origin),
            ("session", &self.session),
            ("entrypoint", &self.entrypoint),
        ];
        all.into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value.as_str())))
    }
}

/// A report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportKind {
    /// What was spent, on what, and what changed
    Costs,
    /// Calls, failures and durations of each tool
    Tools,
    /// Where the time of turns went
    Bottlenecks,
    /// What could be done better, and what that would save
    Patterns,
    /// Sessions with their titles, turns and costs
    Sessions,
    /// Blocks of five hours
    Blocks,
    /// The day so far
    Today,
    /// Sessions that wait for a person now, for what and since when
    Waiting,
}

/// What rows of costs are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupKey {
    Hour,
    Day,
    Week,
    Month,
    Block,
    Project,
    Branch,
    Model,
    Agent,
    Session,
    Workflow,
    Entrypoint,
}

impl GroupKey {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Block => "block",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Workflow => "workflow",
            Self::Entrypoint => "entrypoint",
        }
    }

    /// Whether rows come in the order of time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Week | Self::Month | Self::Block)
    }
}

/// When there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}
