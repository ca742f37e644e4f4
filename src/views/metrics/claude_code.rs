//! The metrics of Claude Code's own telemetry under the names that it uses, with the numbers of this program, for
//! dashboards that were made for that telemetry.
//!
//! Source of names and labels: Claude Code 2.1.330, "Monitoring", as a collector writes them for Prometheus. Metrics
//! and labels that session files do not tell are left out: commits, pull requests, and labels about people, skills,
//! plugins and effort.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog;
use crate::views::metrics::metric::{Label, Metric, MetricUnit, closed, counter, open};
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::{Sample, Snapshot};

/// The beginning of every name.
const PREFIX: &str = "claude_code_";

/// Tools whose permission decisions the client counts.
const EDIT_TOOLS: &[&str] = &["Edit", "MultiEdit", "NotebookEdit", "Write"];
/// The edit tools whose series exist at 0 from the start.
const CORE_EDIT_TOOLS: &[&str] = &["Edit", "Write"];

const MODEL: Label = open("model", &[], "canonical model id");
const QUERY_SOURCE: Label = closed("query_source", &["main", "subagent"]);
const TOKEN_TYPE: Label = closed("type", &["input", "output", "cacheRead", "cacheCreation"]);
const START_TYPE: Label = closed("start_type", &["fresh"]);
const CHANGE: Label = closed("type", &["added", "removed"]);
const ACTIVE: Label = closed("type", &["cli"]);
const TOOL_NAME: Label = open("tool_name", CORE_EDIT_TOOLS, "`Edit`, `MultiEdit`, `NotebookEdit`, `Write`");
const DECISION: Label = closed("decision", &["accept", "reject"]);

const fn family(name: &'static str, unit: MetricUnit, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { prefix: PREFIX, ..counter(name, unit, labels, help) }
}

static TOKENS: Metric = family(
    "token_usage_tokens_total",
    MetricUnit::Tokens,
    &[MODEL, QUERY_SOURCE, TOKEN_TYPE],
    "Tokens used: tailspan_tokens_total, both kinds of cache writes together.",
);
static COST: Metric = family(
    "cost_usage_USD_total",
    MetricUnit::Usd,
    &[MODEL, QUERY_SOURCE],
    "List price of API responses: tailspan_cost_usd_total.",
);
static SESSIONS: Metric = family(
    "session_count_total",
    MetricUnit::Count,
    &[START_TYPE],
    "Sessions started: tailspan_sessions_started_total. A session that is resumed does not start again.",
);
static LINES: Metric = family(
    "lines_of_code_count_total",
    MetricUnit::Count,
    &[CHANGE],
    "Lines that tools added to files or removed from files: tailspan_lines_changed_total.",
);
static ACTIVE_TIME: Metric = family(
    "active_time_seconds_total",
    MetricUnit::Seconds,
    &[ACTIVE],
    "Time from prompts to the end of their turns: tailspan_turn_duration_seconds_sum.",
);
static DECISIONS: Metric = family(
    "code_edit_tool_decision_total",
    MetricUnit::Count,
    &[TOOL_NAME, DECISION],
    "Calls of editing tools that were allowed and have ended, and calls that were refused.",
);

/// Every family, in the order of the documentation.
pub static ALL: &[&Metric] = &[&TOKENS, &COST, &SESSIONS, &LINES, &ACTIVE_TIME, &DECISIONS];

/// The position of a family in [`ALL`], and the values of its labels.
type SumKey = (usize, Vec<Arc<str>>);

/// Sums of stored series under the names of the families, with the time at which each sum was 0.
#[derive(Default)]
struct SeriesSums(BTreeMap<SumKey, (i128, Option<Timestamp>)>);

impl SeriesSums {
    fn add(&mut self, family: &'static Metric, labels: &[&str], amount: i128, created: Option<Timestamp>) {
        let Some(position) = ALL.iter().position(|known| *known == family) else { return };
        let labels = labels.iter().map(|label| Arc::from(*label)).collect();
        let (sum, began) = self.0.entry((position, labels)).or_default();
        *sum = sum.saturating_add(amount);
        // All series that are added were 0 when the first of them began.
        *began = began.iter().chain(&created).min().copied();
    }
}

/// Every series, in the order of [`ALL`].
#[must_use]
pub fn points(totals: &Snapshot) -> Vec<Point> {
    let mut sums = SeriesSums::default();
    each(totals, &catalog::TOKENS, |labels, sample, created| {
        if let [model, kind, agent] = labels {
            sums.add(&TOKENS, &[model, agent, token_type(kind)], number(sample), created);
        }
    });
    each(totals, &catalog::COST, |labels, sample, created| {
        sums.add(&COST, labels, number(sample), created);
    });
    each(totals, &catalog::SESSIONS_STARTED, |_, sample, created| {
        sums.add(&SESSIONS, &["fresh"], number(sample), created);
    });
    each(totals, &catalog::LINES_CHANGED, |labels, sample, created| {
        sums.add(&LINES, labels, number(sample), created);
    });
    each(totals, &catalog::TURN_DURATION, |_, sample, created| {
        sums.add(&ACTIVE_TIME, &["cli"], number(sample), created);
    });
    decisions(totals, &mut sums);
    let point = |((position, labels), (sum, created)): (SumKey, _)| {
        let metric = *ALL.get(position)?;
        Some(Point::new(metric, labels, sum, created))
    };
    sums.0.into_iter().filter_map(point).collect()
}

/// Counts allowed and refused calls of edit tools. A refused call has a duration too, from the call to the refusal, so
/// the allowed calls are those with a duration without the refused ones.
fn decisions(totals: &Snapshot, sums: &mut SeriesSums) {
    each(totals, &catalog::TOOL_DURATION, |labels, sample, created| {
        let [tool] = labels else { return };
        let Sample::Histogram(durations) = sample else { return };
        if EDIT_TOOLS.contains(tool) {
            let refused = totals.get(&catalog::TOOL_FAILURES, &[tool, "denied"]).map_or(0, number);
            let allowed = i128::from(durations.count).saturating_sub(refused).max(0);
            sums.add(&DECISIONS, &[tool, "accept"], allowed, created);
            sums.add(&DECISIONS, &[tool, "reject"], refused, created);
        }
    });
}

fn each(totals: &Snapshot, metric: &'static Metric, mut take: impl FnMut(&[&str], &Sample, Option<Timestamp>)) {
    for (series, stored) in totals.stored(metric) {
        let labels: Vec<&str> = series.labels.iter().map(|label| &**label).collect();
        take(&labels, &stored.sample, stored.created);
    }
}

/// The number of a counter or gauge, or the sum of a histogram.
const fn number(sample: &Sample) -> i128 {
    match sample {
        Sample::Number(number) => *number,
        Sample::Histogram(histogram) => histogram.sum,
    }
}

/// The value of the label `type` for a value of the label `kind` of `tailspan_tokens_total`.
fn token_type(kind: &str) -> &'static str {
    match kind {
        "input" => "input",
        "output" => "output",
        "cache_read" => "cacheRead",
        _ => "cacheCreation",
    }
}
