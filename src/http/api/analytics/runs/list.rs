//! `/api/v1/analytics/runs`, `/api/v1/analytics/workflows/{name}`: runs, newest first.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::asked::{AGENT, Asked, BRANCH, ENTRYPOINT, LABEL, MODEL, ORIGIN, OUTCOME, PROJECT, SESSION, TOOL, WORKFLOW};
use super::forms::RunForm;
use crate::http::api::analytics::cells::{CellsNow, HasCells};
use crate::http::api::analytics::questions::{ROWS_MAX, SINCE, TZ, UNTIL};
use crate::http::api::sessions::CURRENCY;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::{PageEnd, PageOf};
use crate::http::route::parameter::{Name, Parameter, Text, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::runs::{RunEntry, RunFilter};

const NAME: Parameter<Name> = Parameter::path("name", Name { pattern: "." }, "The name of a workflow.");
const LIMIT: Parameter<Whole> =
    Parameter::query("limit", Whole::within(1, ROWS_MAX), "How many runs a page has at most.").or("100");
const CURSOR: Parameter<Text> =
    Parameter::query("cursor", Text, "Where the page begins: the `next_cursor` of an answer of the same list.");

/// Description of [`all`].
pub static RUNS: Description = Description {
    summary: "Lists runs of the client whose streams were passed on, newest first.",
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
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<RunPage>("Runs", "A page of runs, and where the next page begins.")],
    refusal: PROBLEM,
};

/// Description of [`of_workflow`].
pub static WORKFLOW_RUNS: Description = Description {
    summary: "Lists the runs of a workflow, newest first.",
    parameters: &[
        &NAME,
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
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<WorkflowPage>(
        "WorkflowRuns",
        "A page of the runs of the workflow, and where the next page begins.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct RunPage {
    /// The time zone of dates.
    tz: &'static str,
    /// The first moment that was asked for; `null` if there is none.
    since: Option<String>,
    /// The first moment behind what was asked for; `null` if there is none.
    until: Option<String>,
    runs: Vec<RunForm>,
    /// How many runs there are on all pages.
    total: usize,
    /// False while sums are being made of a state that had none: then they are too small.
    complete: bool,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
    /// Currency of every field whose name ends in `_usd`.
    currency: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct WorkflowPage {
    /// The name of the workflow.
    workflow: String,
    #[serde(flatten)]
    page: RunPage,
}

/// Answers with a page of runs. Fails if a parameter is bad or the state cannot be read.
pub fn all<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let asked = Asked::of(request)?;
    let cells = context.cells().now(context.reader())?;
    if let Some(answer) = cells.not_modified(request, "") {
        return Ok(answer);
    }
    let page = page(context, request, &cells, &asked.among(&cells))?;
    Ok(cells.tagged(Answer::json(&page)?, ""))
}

/// Answers with a page of the runs of a workflow. Fails if there is none, a parameter is bad or the state cannot be read.
pub fn of_workflow<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let name = request.value(&NAME)?;
    let asked = Asked::of(request)?;
    let cells = context.cells().now(context.reader())?;
    if !cells.cube().runs.has_workflow(name) {
        return Err(Problem::not_found(&format!("workflow {name}")));
    }
    if let Some(answer) = cells.not_modified(request, "") {
        return Ok(answer);
    }
    let mut filter = asked.among(&cells);
    if !filter.workflow.is_empty() && !filter.workflow.iter().any(|wanted| wanted == name) {
        // Another workflow is asked for: none of these runs belongs to it.
        filter.among = Some(HashSet::new());
    }
    filter.workflow = vec![name.to_owned()];
    let page = page(context, request, &cells, &filter)?;
    Ok(cells.tagged(Answer::json(&WorkflowPage { workflow: name.to_owned(), page })?, ""))
}

fn page<C: HasCells>(
    context: &C,
    request: &Request,
    cells: &CellsNow<'_>,
    filter: &RunFilter,
) -> Result<RunPage, Problem> {
    const LIST: &str = "runs";
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(LIST, cursor)).transpose()?;
    let page = PageOf { list: LIST, ascending: false, after, limit };
    let key = |(id, run): (RunId, &RunEntry)| (i128::from(run.began.0), id);
    let rows: Vec<(i128, RunId)> = cells.cube().runs.taken(filter).map(key).collect();
    let total = rows.len();
    let rows = page.narrow(rows).into_iter().map(|(key, id)| (PageEnd { key, id: id.0.to_string() }, id));
    let (ids, next_cursor) = page.cut(rows.collect());
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.extend(RunForm::read(context.reader(), cells, id)?);
    }
    Ok(RunPage {
        tz: request.value(&TZ)?.name(),
        since: filter.window.since.map(Timestamp::to_rfc3339),
        until: filter.window.until.map(Timestamp::to_rfc3339),
        runs,
        total,
        complete: cells.is_complete(),
        next_cursor,
        currency: CURRENCY,
    })
}
