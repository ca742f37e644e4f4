//! The arguments of `tailspan export`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::ask::args::SourceArgs;
use crate::cli::report::args::FilterArgs;
use crate::config::Flags;

/// Examples at the end of `tailspan export --help`.
const EXAMPLES: &str = "\
Examples:
  tailspan export messages --output messages.parquet            the format follows from the name
  tailspan export costs --format csv --since month > costs.csv
  tailspan export tools --format ndjson --project shop --on yesterday | jq .outcome
  tailspan export --all --format parquet --partition day --output lake

The last one writes lake/TABLE/host=HOST/day=DAY/part-0.parquet for every table and day, and when it is called again only
the files that are new or have changed.

Exit codes: 0, 1 if nobody answers or a file cannot be written, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// What rows are of
    #[arg(value_name = "TABLE", required_unless_present = "all")]
    pub table: Option<TableName>,
    /// All tables, a file for each day
    #[arg(long, conflicts_with = "table", requires_all = ["partition", "output"])]
    pub all: bool,
    /// How rows are written [default: as the name of the output ends]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatName>,
    /// The file, or with --all the folder, to write to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What files are told apart by, with --all
    #[arg(long, value_name = "KEY", requires = "all")]
    pub partition: Option<PartitionBy>,
    /// Where the time begins, as for `report` [default: all]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Where the time ends; a day or month counts as a whole [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A day, week or month: both of the above
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    pub on: Option<String>,
    /// Time zone of days (IANA name) [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// What the column `host` says [default: the name of the machine]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    #[command(flatten)]
    pub filters: FilterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableName {
    /// Sessions
    Sessions,
    /// Turns, with their own sums and those of their sub-agents
    Turns,
    /// API responses
    Messages,
    /// Tool calls
    Tools,
    /// Costs by day and all dimensions
    Costs,
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// One object with all rows
    Json,
    /// An object on each line
    Ndjson,
    /// For spreadsheets
    Csv,
    /// For DuckDB, pandas, Spark and the like
    Parquet,
}

/// What files are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartitionBy {
    /// The day of a row in UTC
    Day,
}

impl TableName {
    /// The name in the API.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Turns => "turns",
            Self::Messages => "messages",
            Self::Tools => "tools",
            Self::Costs => "costs",
        }
    }
}

impl FormatName {
    /// The name in the API, which is also how names of files end.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

impl ExportArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }

    /// Refuses arguments that have no meaning together.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_part = self.since.is_some() || self.until.is_some() || self.on.is_some() || self.tz.is_some();
        let is_filtered = self.filters.pairs().next().is_some();
        match self.format() {
            _ if self.host.as_deref() == Some("") => Err("--host is empty: expected the name of a machine".to_owned()),
            _ if !self.all && self.partition.is_some() => Err("--partition goes with --all".to_owned()),
            None => Err("--format is not given, and the name of the output does not tell it: json, ndjson, csv or \
                         parquet"
                .to_owned()),
            Some(format) if self.all && format != FormatName::Parquet => {
                Err("--all writes Parquet: --format parquet".to_owned())
            }
            Some(_) if self.all && (is_part || is_filtered) => {
                Err("--all writes whole days in UTC: it takes neither times nor filters".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    /// The format that is asked for, or that the name of the output tells.
    pub(super) fn format(&self) -> Option<FormatName> {
        let told = || {
            let end = self.output.as_ref()?.extension()?.to_str()?;
            FormatName::value_variants().iter().copied().find(|format| format.name() == end)
        };
        self.format.or_else(told)
    }
}
