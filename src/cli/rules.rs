//! `tailspan rules`: tries the rules of custom metrics before they are used, and prints what they may ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::args::{RulesArgs, RulesCheckArgs, RulesCommand};
use super::scan::{ScanError, decimal, print, targets};
use super::table::TextTable;
use crate::audit::pass;
use crate::audit::survey::Survey;
use crate::config::{self, Config, ConfigError};
use crate::custom::Event;
use crate::ledger::prices::Prices;
use crate::sidecar::clock;
use crate::sidecar::progress::Progress;
use crate::sidecar::settings::{label_rules, threads};
use crate::tail::RootEnv;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::grouped;
use crate::views::metrics::custom::Said;
use crate::views::metrics::labels::LabelRules;

const DAY_MS: i64 = 86_400_000;

/// Most label sets of one rule that are listed; those with most events come first.
const LISTED_MAX: usize = 20;

/// Most sessions that are named as examples of one label set.
const EXAMPLES_MAX: usize = 3;

/// Why rules could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read, or holds a mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Session files could not be read, or the result could not be written.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl RulesError {
    /// True if the file must be mended.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_))
    }
}

/// What one rule counts under one set of labels.
#[derive(Debug, Default)]
struct Count {
    events: u64,
    sum: i128,
    /// Sessions with such an event, and when the first was.
    sessions: BTreeMap<Arc<str>, Timestamp>,
}

/// The counts of each rule, by labels.
type Counts = Vec<BTreeMap<Vec<Arc<str>>, Count>>;

/// Runs one of the commands. Fails if the file holds a mistake, if there is nothing to read, or if something could not
/// be read or written.
pub fn run(args: &RulesArgs, config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), RulesError> {
    match &args.command {
        RulesCommand::Variables => Ok(print(&markdown())?),
        RulesCommand::Check(args) => check(args, config, env, prices),
    }
}

fn check(args: &RulesCheckArgs, config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), RulesError> {
    let labels = LabelRules { custom: config::rules_of(&args.file)?, ..label_rules(config) };
    let since = Timestamp(clock::now().0.saturating_sub(i64::from(args.days).saturating_mul(DAY_MS)));
    let targets = targets(&[], config, env)?;
    let mut problems = Vec::new();
    let found = pass::find(&targets, &mut problems).map_err(|path| ScanError::NotFound { path })?;
    let progress = Progress::start(found.len() as u64, found.iter().map(|found| found.size).sum());
    let survey = Survey::of(found, prices, threads()).with_last_rows().with_rules(labels.custom.rules());
    let mut counts: Counts = labels.custom.metrics().iter().map(|_| BTreeMap::new()).collect();
    let read = survey.each(
        |files, bytes| progress.advance(files, bytes),
        |pass| pass.said(&labels, since, &mut |said| note(&mut counts, said)),
    );
    progress.finish();
    problems.extend(read.problems);
    print(&report(args, &labels, &counts, read.files.read))?;
    for problem in &problems {
        tracing::warn!("{problem}");
    }
    let count = problems.len();
    if count == 0 { Ok(()) } else { Err(ScanError::Unreadable { count }.into()) }
}

fn note(counts: &mut Counts, said: Said<'_>) {
    let Some(own) = counts.get_mut(said.rule) else { return };
    let count = own.entry(said.labels).or_default();
    count.events = count.events.saturating_add(1);
    count.sum = count.sum.saturating_add(said.amount);
    let first = count.sessions.entry(said.session.into()).or_insert(said.at);
    *first = said.at.min(*first);
}

fn report(args: &RulesCheckArgs, labels: &LabelRules, counts: &Counts, files: u64) -> String {
    let (rules, days) = (labels.custom.rules().all(), args.days);
    let mut text =
        format!("{} rules are right. What they count of the last {days} days in {files} files:\n", rules.len());
    for ((rule, metric), own) in rules.iter().zip(labels.custom.metrics()).zip(counts) {
        let events: u64 = own.values().map(|count| count.events).sum();
        text.push_str(&format!(
            "\n{} ({}, on {}): {} events\n",
            metric.full_name(),
            metric.kind.name(),
            rule.text.on.name(),
            grouped(events),
        ));
        if own.is_empty() {
            continue;
        }
        let mut table = TextTable::new(&["  LABELS", "EVENTS", "SUM", "SESSIONS", "FIRST SEEN IN"]);
        let mut sorted: Vec<_> = own.iter().collect();
        sorted.sort_by_key(|(_, count)| std::cmp::Reverse(count.events));
        for (values, count) in sorted.iter().take(LISTED_MAX) {
            let pairs = metric.labels.iter().zip(*values).map(|(label, value)| format!("{}={value:?}", label.name));
            let pairs = pairs.collect::<Vec<_>>().join(" ");
            let mut sessions: Vec<_> = count.sessions.iter().map(|(session, at)| (*at, &**session)).collect();
            sessions.sort_unstable();
            let examples: Vec<&str> = sessions.iter().take(EXAMPLES_MAX).map(|(_, session)| *session).collect();
            table.row(vec![
                format!("  {}", if pairs.is_empty() { "-" } else { &pairs }),
                grouped(count.events),
                decimal(count.sum),
                grouped(count.sessions.len() as u64),
                examples.join(" "),
            ]);
        }
        table.print(&mut text);
        let further = sorted.len().saturating_sub(LISTED_MAX);
        if further > 0 {
            text.push_str(&format!("  and {further} more label sets\n"));
        }
    }
    text
}

/// The kinds of events and their variables as Markdown tables.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for event in Event::ALL {
        text.push_str(&format!("### `{}`\n\n{}\n\n", event.name(), event.help()));
        text.push_str("| variable | type | meaning |\n|---|---|---|\n");
        if let Some((name, help)) = event.text_variable() {
            text.push_str(&format!("| `{name}` | text at hand while the row is read | {help} |\n"));
        }
        for variable in event.own_variables() {
            text.push_str(&variable.row());
        }
        text.push('\n');
    }
    text.push_str("### All events\n\n| variable | type | meaning |\n|---|---|---|\n");
    Event::common_variables().for_each(|variable| text.push_str(&variable.row()));
    text
}
