//! `/api/v1/analytics/workflows`: what the runs of each workflow come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::asked::{AGENT, Asked, BRANCH, ENTRYPOINT, LABEL, MODEL, ORIGIN, OUTCOME, PROJECT, SESSION, TOOL, WORKFLOW};
use super::forms::{CostSpread, DurationSpread, RunForm};
use crate::http::api::analytics::cells::{CellsNow, HasCells};
use crate::http::api::analytics::questions::{CURSOR, LIMIT, SINCE, TZ, UNTIL};
use crate::http::api::sessions::CURRENCY;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::{PageEnd, PageOf};
use crate::http::route::parameter::{OneOf, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::money::Money;
use crate::ledger::run::RunOutcome;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runs::{RunEntry, RunIndex, RunSums};

const SORT: Parameter<OneOf<Sort>> = Parameter::query(
    "sort",
    OneOf(&SORTS),
    "What the list is sorted by: the last run, the name, the cost or the runs.",
)
.or("last_run");
const ORDER: Parameter<OneOf<bool>> = Parameter::query(
    "order",
    OneOf(&[("asc", true), ("desc", false)]),
    "Whether the list begins with the least or with the most; `asc` for names, else `desc`.",
);

/// Description of [`answer`].
pub static WORKFLOWS: Description = Description {
    summary: "Tells what the runs of each workflow come to.",
    parameters: &[
        &TZ,
        &SINCE,
        &UNTIL,
        &PROJECT,
        &BRANCH,
        &MODEL,
        &AGENT,
        &TOOL,
        &WORKFLOW,
        &ORIGIN,
        &SESSION,
        &ENTRYPOINT,
        &LABEL,
        &OUTCOME,
        &SORT,
        &ORDER,
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<WorkflowPage>(
        "Workflows",
        "A page of workflows with the sums of their runs, the sums of all, and where the next page begins.",
    )],
    refusal: PROBLEM,
};

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    LastRun,
    Workflow,
    Cost,
    Runs,
}

const SORTS: [(&str, Sort); 4] =
    [("last_run", Sort::LastRun), ("workflow", Sort::Workflow), ("cost", Sort::Cost), ("runs", Sort::Runs)];

#[derive(Serialize, JsonSchema)]
struct WorkflowPage {
    /// The time zone of dates.
    tz: &'static str,
    /// The first moment that was asked for; `null` if there is none.
    since: Option<String>,
    /// The first moment behind what was asked for; `null` if there is none.
    until: Option<String>,
    workflows: Vec<WorkflowForm>,
    /// The sums of the workflows of all pages.
    total: TotalForm,
    /// False while sums are being made of a state that had none: then they are too small.
    complete: bool,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
    /// Currency of every field whose name ends in `_usd`.
    currency: &'static str,
}

/// The sums of some runs.
#[derive(Serialize, JsonSchema)]
struct TotalForm {
    /// Runs, also those that go on.
    runs: u64,
    /// How they ended, by outcome, each of them named; `running` are those that go on.
    outcomes: BTreeMap<&'static str, u64>,
    /// The share of `success` among those that ended; `null` if none has.
    success_ratio: Option<f64>,
    /// Turns.
    turns: u64,
    /// List price of what they spent.
    cost_usd: String,
    /// What the client counted, of the runs of which it told a result.
    client_reported_usd: String,
    /// What the client counted beyond the list price, session by session, never negative.
    unattributed_usd: String,
}

/// A workflow.
#[derive(Serialize, JsonSchema)]
struct WorkflowForm {
    /// Its name; `null` for runs without one.
    workflow: Option<Arc<str>>,
    #[serde(flatten)]
    sums: TotalForm,
    /// List prices of the runs that have ended, but for those of which a session ended for its age; `null` if there is none.
    cost_per_run: Option<CostSpread>,
    /// How long the runs took that have ended; `null` if none has.
    duration_seconds: Option<DurationSpread>,
    /// The run that began last; `null` if that was changed meanwhile.
    last_run: Option<RunForm>,
}

/// The sums of some runs, while they are made.
#[derive(Default)]
struct Sums {
    outcomes: BTreeMap<RunOutcome, u64>,
    turns: u64,
    ours: Money,
    client: Money,
    unattributed: Money,
    costs: Vec<Money>,
    took_ms: Vec<u64>,
    last: Option<(Timestamp, RunId)>,
}

impl Sums {
    fn add(&mut self, index: &RunIndex, id: RunId, run: &RunEntry) {
        let (costs, RunSums { turns, .. }) = (index.costs(id), index.sums(id));
        *self.outcomes.entry(run.outcome).or_default() += 1;
        self.turns += turns;
        self.ours += costs.ours;
        self.client += costs.client.unwrap_or_default();
        self.unattributed += costs.unattributed.unwrap_or_default();
        if run.outcome != RunOutcome::Running {
            // A run whose session ended for its age cost something, but nobody knows how much.
            self.costs.extend(Some(costs.ours).filter(|_| index.knows_all(id)));
            self.took_ms.push(run.took_ms);
        }
        self.last = self.last.max(Some((run.began, id)));
    }

    fn append(&mut self, other: &Self) {
        for (outcome, runs) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += runs;
        }
        self.turns += other.turns;
        self.ours += other.ours;
        self.client += other.client;
        self.unattributed += other.unattributed;
    }

    fn runs(&self) -> u64 {
        self.outcomes.values().sum()
    }

    fn form(&self) -> TotalForm {
        let of = |outcome: RunOutcome| self.outcomes.get(&outcome).copied().unwrap_or(0);
        let ended = self.runs() - of(RunOutcome::Running);
        TotalForm {
            runs: self.runs(),
            outcomes: RunOutcome::ALL.map(|outcome| (outcome.name(), of(outcome))).into(),
            success_ratio: ratio(of(RunOutcome::Success), ended),
            turns: self.turns,
            cost_usd: self.ours.to_string(),
            client_reported_usd: self.client.to_string(),
            unattributed_usd: self.unattributed.to_string(),
        }
    }
}

/// A share of a whole; `None` if there is nothing of it.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    let number = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    (whole > 0).then(|| number(part) / number(whole))
}

/// Answers with a page of workflows. Fails if a parameter is bad or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let asked = Asked::of(request)?;
    let sort = request.value(&SORT)?;
    let ascending = request.given(&ORDER)?.unwrap_or(sort == Sort::Workflow);
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let list = format!("workflows/{sort:?}/{ascending}");
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(&list, cursor)).transpose()?;

    let cells = context.cells().now(context.reader())?;
    if let Some(answer) = cells.not_modified(request, "") {
        return Ok(answer);
    }
    let (index, filter) = (&cells.cube().runs, asked.among(&cells));
    let (mut total, mut rows) = (Sums::default(), Vec::new());
    for (name, runs) in index.workflows(&filter) {
        let mut sums = Sums::default();
        runs.iter().for_each(|(id, run)| sums.add(index, *id, run));
        if sums.runs() == 0 {
            continue;
        }
        total.append(&sums);
        let key = match sort {
            Sort::LastRun => sums.last.map_or(0, |(at, _)| at.0.into()),
            Sort::Workflow => 0,
            Sort::Cost => sums.ours.picousd(),
            Sort::Runs => sums.runs().into(),
        };
        let end = PageEnd { key, id: name.map(|name| (**name).to_owned()).unwrap_or_default() };
        rows.push((end, (name.cloned(), sums)));
    }
    let page = PageOf { list: &list, ascending, after, limit };
    let (rows, next_cursor) = page.cut(rows);
    let rows = rows.into_iter().map(|(name, sums)| form(context, &cells, name, sums));
    let page = WorkflowPage {
        tz: request.value(&TZ)?.name(),
        since: filter.window.since.map(Timestamp::to_rfc3339),
        until: filter.window.until.map(Timestamp::to_rfc3339),
        workflows: rows.collect::<Result<_, _>>()?,
        total: total.form(),
        complete: cells.is_complete(),
        next_cursor,
        currency: CURRENCY,
    };
    Ok(cells.tagged(Answer::json(&page)?, ""))
}

fn form<C: HasCells>(
    context: &C,
    cells: &CellsNow<'_>,
    workflow: Option<Arc<str>>,
    sums: Sums,
) -> Result<WorkflowForm, Problem> {
    let last_run = sums.last.map(|(_, id)| RunForm::read(context.reader(), cells, id)).transpose()?.flatten();
    Ok(WorkflowForm {
        workflow,
        sums: sums.form(),
        last_run,
        cost_per_run: CostSpread::of(sums.costs),
        duration_seconds: DurationSpread::of(sums.took_ms),
    })
}
