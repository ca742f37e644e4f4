//! `tailspan workflows`, `tailspan runs`: how runs ended whose streams were passed on, and what they cost.

use clap::ArgGroup;
use serde_json::Value;

use super::args::ColorChoice;
use super::draw::document::{Cell, Column, Document, Fact, Part, Row, Table, Tone};
use super::draw::terminal;
use super::range::{Present, Range};
use super::titles::short_id;
use super::{ReportError, line, look, print, warn_if_partial, zone_of};
use crate::cli::ask::answer::{self, Answer, count, list, number, some_text, text};
use crate::cli::ask::args::SourceArgs;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};
use crate::cli::values;
use crate::config::{Config, Env, Flags};
use crate::ledger::prices::Prices;
use crate::sidecar::local::Rules;
use crate::sidecar::{clock, settings};
use crate::text::percent_encoded;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{counted, duration, grouped, money, percent};

/// Least characters of an id that name a run, as the API has it.
const ID_CHARS_MIN: usize = 4;

/// Rows of a table if the arguments do not say.
const ROWS: u16 = 20;

/// Letters of the id of a run that a table shows: they hold the millisecond in which it began.
const ID_CHARS: usize = 13;

/// The status of an answer for something that is not there.
const NOT_FOUND: u16 = 404;

#[derive(Debug, clap::Args)]
pub struct WorkflowsArgs {
    /// The workflow whose runs are listed [default: all workflows with their sums]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub common: RunArgs,
}

#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    /// The run that is told of, by its id or the beginning of that [default: a list of all]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Only runs of this workflow, like nightly, repeatable
    #[arg(long, value_name = "NAME")]
    workflow: Vec<String>,
    #[command(flatten)]
    pub common: RunArgs,
}

/// What both commands take.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("run_form").multiple(false))]
pub struct RunArgs {
    /// Where the time begins in which runs began, like `today`, `7d` or 2026-11-24 [default: 30d]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Where it ends; a day or month counts as a whole [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Time zone of days and clocks (IANA name) [default: that of the system, from TZ or /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Only runs that were started in this project, like shop, repeatable
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// Only runs with this label, repeatable: NAME=VALUE like team=search, or NAME with any value
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only runs that ended like this, repeatable: success, error_max_turns, error_during_execution, api_error,
    /// interrupted, killed, running
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<String>,
    /// Most rows, 1 to 1000 [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: Option<u16>,
    /// Print the answer of the API as it is
    #[arg(long, group = "run_form")]
    json: bool,
    /// Colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Columns of a line, 30 to 1000 [default: those of the terminal, else 80]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(30..=1000))]
    width: Option<u16>,
    #[command(flatten)]
    source: SourceArgs,
    /// Report as if it were this time, for tests and examples
    #[arg(long, value_name = "TIME", value_parser = values::time, hide = true)]
    now: Option<Timestamp>,
}

impl RunArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        self.source.flags(common)
    }

    /// What runs are wanted, by the names that the filters have in the API too.
    fn filters(&self) -> Vec<(&'static str, &str)> {
        let all = [("project", &self.project), ("label", &self.label), ("outcome", &self.outcome)];
        all.into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value.as_str()))).collect()
    }
}

/// Prints workflows, or the runs of one. Fails if the arguments are wrong or nobody answers.
pub fn workflows(args: &WorkflowsArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), ReportError> {
    let asked = Asked::of(&args.common, config, env, prices)?;
    let Some(name) = &args.name else {
        let answer = asked.source.ask(&asked.list("workflows"))?;
        return asked.print(&answer, all_workflows);
    };
    let question = asked.list(&format!("workflows/{}", percent_encoded(name)));
    let answer = asked.found(&question, || format!("there is no run of a workflow {name:?}"))?;
    asked.print(&answer, |asked, answer| runs(asked, answer, &format!("Runs of {name}")))
}

/// Prints runs, or one of them. Fails if the arguments are wrong or nobody answers.
pub fn all_runs(args: &RunsArgs, config: &Config, env: &Env, prices: &Prices) -> Result<(), ReportError> {
    let mut asked = Asked::of(&args.common, config, env, prices)?;
    asked.filters.extend(args.workflow.iter().map(|name| ("workflow", name.as_str())));
    let Some(id) = &args.id else {
        let answer = asked.source.ask(&asked.list("runs"))?;
        return asked.print(&answer, |asked, answer| runs(asked, answer, "Runs"));
    };
    if id.chars().count() < ID_CHARS_MIN {
        let message = format!(
            "{id:?} is too short: a run is named by its id, or by at least its first {ID_CHARS_MIN} characters"
        );
        return Err(ReportError::Usage(message));
    }
    let question = Question::of(&format!("runs/{}", percent_encoded(id)));
    let answer = asked.found(&question, || format!("there is no run whose id begins with {id:?}"))?;
    asked.print(&answer, one_run)
}

/// Who is asked, and how the answer is drawn.
struct Asked<'a> {
    args: &'a RunArgs,
    filters: Vec<(&'static str, &'a str)>,
    env: &'a Env,
    source: Source,
    present: Present,
    range: Range,
}

impl<'a> Asked<'a> {
    fn of(args: &'a RunArgs, config: &Config, env: &'a Env, prices: &Prices) -> Result<Self, ReportError> {
        let present = Present { now: args.now.unwrap_or_else(clock::now), zone: zone_of(args.tz.as_deref(), env)? };
        let range = Range::of(present, (args.since.as_deref(), "30d"), args.until.as_deref(), None);
        let range = range.map_err(ReportError::Usage)?;
        let roots = settings::root_env(env);
        let source = Source::of(Rules { config, env: &roots, prices, at: args.now }, args.source.scan)?;
        Ok(Self { args, filters: args.filters(), env, source, present, range })
    }

    /// A question about runs, with the filters of the arguments.
    fn list(&self, path: &str) -> Question {
        let question =
            Question::of(path).with("tz", self.present.zone.name()).within(self.range.since, self.range.until);
        let question = question.with("limit", &self.args.limit.unwrap_or(ROWS).to_string());
        self.filters.iter().fold(question, |question, (name, value)| question.with(name, value))
    }

    /// Asks for something that may not be there; `missing` says so.
    fn found(&self, question: &Question, missing: impl FnOnce() -> String) -> Result<Answer, ReportError> {
        match self.source.ask(question) {
            Err(AskError::Older { .. }) => Err(AskError::Refused { status: NOT_FOUND, reason: missing() }.into()),
            answer => Ok(answer?),
        }
    }

    fn print(&self, answer: &Answer, document: impl FnOnce(&Self, &Value) -> Document) -> Result<(), ReportError> {
        warn_if_partial(answer);
        if self.args.json {
            return print(&line(answer.body.clone()));
        }
        let look = look((self.args.width, self.args.color), self.env);
        print(terminal::render(&document(self, &answer.json), look).as_bytes())
    }

    fn moment(&self, value: &Value, place: &str) -> Cell {
        Cell::or_dash(text(value, place).and_then(Timestamp::parse).map(|at| self.present.moment(at)))
    }
}

/// How a run ended, as a cell.
fn outcome(run: &Value, place: &str) -> Cell {
    let word = text(run, place).unwrap_or("-");
    let tone = match word {
        "success" => Tone::Good,
        "running" | "-" => Tone::Dim,
        "interrupted" => Tone::Warn,
        _ => Tone::Bad,
    };
    Cell::toned(tone, word)
}

fn dollars(value: &Value, place: &str) -> Cell {
    Cell::or_dash(answer::money(value, place).map(money))
}

fn took(value: &Value, place: &str) -> Cell {
    Cell::or_dash(number(value, place).map(duration))
}

fn nothing(asked: &Asked<'_>, title: String) -> Document {
    let filters: Vec<String> = asked.filters.iter().map(|(name, value)| format!("--{name} {value}")).collect();
    let text = if filters.is_empty() {
        "No run began in this time. Runs come from streams: docs/workflows.md.".to_owned()
    } else {
        format!("No run that began in this time matches {}.", filters.join(" "))
    };
    Document { title, parts: vec![Part::Text(Tone::Dim, text)] }
}

/// Says how many further rows there are.
fn note(answer: &Value, shown: usize, one: &str) -> Option<String> {
    text(answer, "/next_cursor")?;
    let rows = if shown == 1 { one.to_owned() } else { counted(shown as u64, one) };
    Some(format!("The first {rows}: --limit shows more."))
}

fn all_workflows(asked: &Asked<'_>, answer: &Value) -> Document {
    let title = format!("Workflows, {} ({})", asked.range.words(asked.present), asked.present.zone.name());
    let rows = list(answer, "/workflows");
    if rows.is_empty() {
        return nothing(asked, title);
    }
    let made = |row: &Value| {
        let failed: u64 = ["error_max_turns", "error_during_execution", "api_error", "killed"]
            .iter()
            .filter_map(|outcome| count(row, &format!("/outcomes/{outcome}")))
            .sum();
        let failed_tone = if failed > 0 { Tone::Bad } else { Tone::Dim };
        Row::of(vec![
            some_text(row, "/workflow").map_or_else(|| Cell::toned(Tone::Dim, "(none)"), Cell::of),
            Cell::or_dash(count(row, "/runs").map(grouped)),
            Cell::or_dash(number(row, "/success_ratio").map(percent)),
            Cell::toned(failed_tone, grouped(failed)),
            dollars(row, "/cost_per_run/p50_usd"),
            dollars(row, "/cost_usd"),
            took(row, "/duration_seconds/p50"),
            asked.moment(row, "/last_run/started_at"),
            outcome(row, "/last_run/outcome"),
        ])
    };
    let columns = vec![
        Column::text("workflow"),
        Column::number("runs"),
        Column::number("success").rank(4),
        Column::number("failed").rank(1),
        Column::number("median cost").rank(2),
        Column::number("cost"),
        Column::number("median time").rank(5),
        Column::fixed("last").rank(3),
        Column::fixed("outcome").rank(2),
    ];
    let table = Table { columns, rows: rows.iter().map(made).collect(), note: note(answer, rows.len(), "workflow") };
    Document { title, parts: vec![Part::Table(table)] }
}

fn runs(asked: &Asked<'_>, answer: &Value, what: &str) -> Document {
    let title = format!("{what}, {} ({})", asked.range.words(asked.present), asked.present.zone.name());
    let rows = list(answer, "/runs");
    if rows.is_empty() {
        return nothing(asked, title);
    }
    let has_labels = rows.iter().any(|run| labels(run, ",").is_some());
    let made = |run: &Value| {
        let mut cells = vec![
            asked.moment(run, "/started_at"),
            Cell::or_dash(some_text(run, "/workflow")),
            outcome(run, "/outcome"),
            took(run, "/duration_seconds"),
            Cell::or_dash(count(run, "/turns").map(grouped)),
            dollars(run, "/cost_usd"),
            dollars(run, "/unattributed_usd"),
            Cell::or_dash(text(run, "/run").map(|id| id.chars().take(ID_CHARS).collect())),
        ];
        cells.extend(has_labels.then(|| Cell::or_dash(labels(run, ","))));
        Row::of(cells)
    };
    let mut columns = vec![
        Column::fixed("started"),
        Column::text("workflow").rank(4),
        Column::fixed("outcome"),
        Column::number("took").rank(2),
        Column::number("turns").rank(3),
        Column::number("cost"),
        Column::number("rest").rank(5),
        Column::fixed("run").rank(1),
    ];
    columns.extend(has_labels.then(|| Column::text("labels").rank(3)));
    let table = Table { columns, rows: rows.iter().map(made).collect(), note: note(answer, rows.len(), "run") };
    Document { title, parts: vec![Part::Table(table)] }
}

fn one_run(asked: &Asked<'_>, run: &Value) -> Document {
    let id = text(run, "/run").unwrap_or_default();
    let name = some_text(run, "/workflow").map_or_else(String::new, |name| format!(" of {name}"));
    let mut facts = vec![Fact::new("outcome", ended(run)).toned(match text(run, "/outcome") {
        Some("success") => Tone::Good,
        Some("running" | "interrupted") | None => Tone::Warn,
        Some(_) => Tone::Bad,
    })];
    let at = |place| text(run, place).and_then(Timestamp::parse).map(|at| asked.present.moment(at));
    let started = at("/started_at").unwrap_or_else(|| "-".to_owned());
    let lasted = number(run, "/duration_seconds").map_or_else(String::new, |took| format!(", took {}", duration(took)));
    facts.push(Fact::new("started", format!("{started}{lasted}")));
    facts.push(Fact::new("spent", cost(run)).toned(Tone::Strong));
    facts.extend(labels(run, ", ").map(|labels| Fact::new("labels", labels)));
    let sessions = list(run, "/sessions").iter().filter_map(Value::as_str).map(short_id);
    facts.push(Fact::new("sessions", sessions.collect::<Vec<_>>().join(", ")));
    for reason in list(run, "/reasons").iter().flat_map(|session| list(session, "/reasons")) {
        facts.push(Fact::new("rest", text(reason, "/explanation").unwrap_or_default()));
    }
    let mut parts = vec![Part::Facts(facts)];
    parts.extend(turns(asked, run).map(Part::Table));
    parts.extend(tools(run).map(Part::Table));
    Document { title: format!("Run {id}{name}"), parts }
}

/// The labels of a run, one behind the other; `None` if it has none.
fn labels(run: &Value, between: &str) -> Option<String> {
    let labels = run.pointer("/labels").and_then(Value::as_object).filter(|labels| !labels.is_empty())?;
    let pairs = labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    Some(pairs.collect::<Vec<_>>().join(between))
}

/// How a run ended, in words.
fn ended(run: &Value) -> String {
    let outcome = text(run, "/outcome").unwrap_or("-");
    let reason = some_text(run, "/exit_reason").filter(|reason| *reason != outcome);
    reason.map_or_else(|| outcome.to_owned(), |reason| format!("{outcome} ({reason})"))
}

/// What a run cost, ours beside the client's.
fn cost(run: &Value) -> String {
    let of = |place| answer::money(run, place).map(money);
    let ours = of("/cost_usd").unwrap_or_else(|| "-".to_owned());
    match (of("/client_reported_usd"), of("/unattributed_usd")) {
        (Some(client), Some(rest)) => format!("{ours}; the client counted {client}, {rest} beyond ours"),
        _ => format!("{ours}; the client told no account"),
    }
}

fn turns(asked: &Asked<'_>, run: &Value) -> Option<Table> {
    let made = |turn: &Value| {
        Row::of(vec![
            Cell::or_dash(text(turn, "/session").map(short_id)),
            Cell::or_dash(count(turn, "/turn").map(grouped)),
            asked.moment(turn, "/started_at"),
            took(turn, "/duration_seconds"),
            dollars(turn, "/cost_usd"),
            Cell::or_dash(some_text(turn, "/trace_id")),
        ])
    };
    let rows: Vec<Row> = list(run, "/turn_list").iter().map(made).collect();
    let columns = vec![
        Column::fixed("session"),
        Column::number("turn"),
        Column::fixed("started").rank(1),
        Column::number("took"),
        Column::number("cost"),
        Column::fixed("trace").rank(2),
    ];
    let omitted = count(run, "/turns_omitted").filter(|omitted| *omitted > 0);
    let note = omitted.map(|omitted| format!("{}.", counted(omitted, "further turn")));
    (!rows.is_empty()).then_some(Table { columns, rows, note })
}

fn tools(run: &Value) -> Option<Table> {
    let tools = run.pointer("/tools")?.as_object()?;
    let made = |(name, calls): (&String, &Value)| {
        let number = |place| Cell::or_dash(count(calls, place).map(grouped));
        Row::of(vec![Cell::of(name), number("/calls"), number("/failed"), number("/denied"), number("/interrupted")])
    };
    let columns = vec![
        Column::name("tool"),
        Column::number("calls"),
        Column::number("failed"),
        Column::number("denied").rank(1),
        Column::number("interrupted").rank(1),
    ];
    (!tools.is_empty()).then(|| Table { columns, rows: tools.iter().map(made).collect(), note: None })
}
