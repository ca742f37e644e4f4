//! `/api/v1/analytics/costs`: tokens and cost, filtered and grouped.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::budgets::BudgetForm;
use super::cells::{CellsNow, HasCells, told_at};
use super::projection::{ProjectionForm, projection};
use super::questions::{
    AGENT, BRANCH, CURSOR, ENTRYPOINT, Groups, LIMIT, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL,
    WORKFLOW, filter_of, groups,
};
use crate::http::api::sessions::CURRENCY;
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::{PageEnd, PageOf};
use crate::http::route::parameter::{OneOf, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::store::StoreReader;
use crate::transcript::time::Timestamp;
use crate::views::analytics::blocks::{BLOCK_MS, Block};
use crate::views::analytics::cells::Cells;
use crate::views::analytics::costs::{CostQuestion, CostRow, CostTable, Edges, GroupBy, Sums, costs, partial};
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::{Period, QUARTER_MS};

const GROUP_BY: Parameter<Groups<GroupBy>> = Parameter::query(
    "group_by",
    Groups(&GROUPS),
    "What rows are told apart by: one or two of these, with a comma between them or given one by one; `day` if none is.",
)
.several();
const SORT: Parameter<OneOf<Sort>> = Parameter::query(
    "sort",
    OneOf(&SORTS),
    "What rows are sorted by; `key` if they are told apart by a time first, else `cost`.",
);
const ORDER: Parameter<OneOf<bool>> = Parameter::query(
    "order",
    OneOf(&[("asc", true), ("desc", false)]),
    "Whether the rows begin with the least or with the most; `asc` for `key`, else `desc`.",
);

/// Description of [`answer`].
pub static COSTS: Description = Description {
    summary: "Tells tokens and cost, by time, project, model and more.",
    parameters: &[
        &GROUP_BY,
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
        &SORT,
        &ORDER,
        &LIMIT,
        &CURSOR,
    ],
    answers: &[AnswerForm::json::<CostPage<'static>>(
        "Costs",
        "A page of rows with their sums, the sums of everything that was asked for, where the next page begins, what the \
         month will have cost, and how budgets are doing.",
    )],
    refusal: PROBLEM,
};

const GROUPS: [(&str, GroupBy); 12] = [
    ("hour", GroupBy::Period(Period::Hour)),
    ("day", GroupBy::Period(Period::Day)),
    ("week", GroupBy::Period(Period::Week)),
    ("month", GroupBy::Period(Period::Month)),
    ("block", GroupBy::Block),
    ("project", GroupBy::Project),
    ("branch", GroupBy::Branch),
    ("model", GroupBy::Model),
    ("agent", GroupBy::Agent),
    ("session", GroupBy::Session),
    ("workflow", GroupBy::Workflow),
    ("entrypoint", GroupBy::Entrypoint),
];

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Key,
    Cost,
    Tokens,
}

const SORTS: [(&str, Sort); 3] = [("key", Sort::Key), ("cost", Sort::Cost), ("tokens", Sort::Tokens)];

impl Sort {
    fn of(self, row: &CostRow) -> i128 {
        match self {
            Self::Key => 0,
            Self::Cost => row.sums.cost.picousd(),
            Self::Tokens => row.sums.tokens.total().into(),
        }
    }
}

fn word(by: GroupBy) -> &'static str {
    Groups(&GROUPS).word(by)
}

/// Answers with a page of rows. Fails if a parameter is bad or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (zone, mut groups) = (request.value(&TZ)?, groups(request, &GROUP_BY)?);
    if groups.is_empty() {
        groups.push(GroupBy::Period(Period::Day));
    }
    let filter = filter_of(request, zone)?;
    let by_time = matches!(groups.first(), Some(GroupBy::Period(_) | GroupBy::Block));
    let sort = request.given(&SORT)?.unwrap_or(if by_time { Sort::Key } else { Sort::Cost });
    let ascending = request.given(&ORDER)?.unwrap_or(sort == Sort::Key);
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let list = format!("costs/{:?}/{sort:?}/{ascending}", groups.iter().map(|by| word(*by)).collect::<Vec<_>>());
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(&list, cursor)).transpose()?;

    let cells = context.cells().now(context.reader())?;
    // What blocks tell of the present holds for a minute, and what is told of the rest of the month for a quarter hour.
    let now = context.now();
    let holds_ms = if groups.contains(&GroupBy::Block) { MINUTE_MS } else { QUARTER_MS };
    let besides = format!("-{}", now.0.div_euclid(holds_ms));
    if let Some(answer) = cells.not_modified(request, &besides) {
        return Ok(answer);
    }
    let edges = edges(context.reader(), &cells, &filter)?;
    let question = CostQuestion { group_by: &groups, zone, filter: &filter, edges: &edges };
    let CostTable { rows, total } = costs(cells.cube(), &question);
    let end = |row: &CostRow| PageEnd { key: sort.of(row), id: row.order.clone() };
    let page = PageOf { list: &list, ascending, after, limit };
    let (rows, next_cursor) = page.cut(rows.into_iter().map(|row| (end(&row), row)).collect());
    let names: Vec<&str> = groups.iter().map(|by| word(*by)).collect();
    let (projection, projection_reason) = match projection(&cells, &filter, zone, told_at(now)) {
        Ok(projection) => (Some(projection), None),
        Err(reason) => (None, Some(reason)),
    };
    let budgets = cells.budgets(now);
    let page = CostPage {
        group_by: &names,
        tz: zone.name(),
        since: filter.window.since.map(Timestamp::to_rfc3339),
        until: filter.window.until.map(Timestamp::to_rfc3339),
        rows: rows.iter().map(|row| RowForm::of(&names, row, now)).collect(),
        total: SumsForm::of(&total),
        projection,
        projection_reason,
        budgets: if cells.is_complete() { budgets.forms() } else { Vec::new() },
        complete: cells.is_complete(),
        next_cursor,
        currency: CURRENCY,
    };
    Ok(cells.tagged(Answer::json(&page)?, &besides))
}

/// What happened in the quarter hours of which the filter takes a part, from the parts themselves.
fn edges(reader: &StoreReader, cells: &CellsNow<'_>, filter: &Filter) -> Result<Edges, Problem> {
    let mut edges: Edges = HashMap::new();
    for (unit, section) in partial(cells.cube(), filter) {
        let exact = match section {
            None => reader.unit(unit).map_err(unreadable)?.map(|unit| Cells::within(&unit.parts, filter.window)),
            Some(position) => {
                let section = reader.section(unit, position).map_err(unreadable)?;
                section.map(|section| Cells::within(&section.parts, filter.window))
            }
        };
        edges.extend(exact.map(|exact| ((unit, section), exact)));
    }
    Ok(edges)
}

#[derive(Serialize, JsonSchema)]
struct CostPage<'a> {
    /// What rows are told apart by, in the order in which each row has it.
    group_by: &'a [&'static str],
    /// The time zone of hours, days, weeks and months.
    tz: &'static str,
    /// The first moment that was asked for; `null` if there is none.
    since: Option<String>,
    /// The first moment behind what was asked for; `null` if there is none.
    until: Option<String>,
    rows: Vec<RowForm<'a>>,
    /// The sums of the rows of all pages.
    total: SumsForm,
    /// What the current month in `tz` will have cost, of everything that the filters take; `null` with a reason.
    projection: Option<ProjectionForm>,
    /// Why there is no projection; left out if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    projection_reason: Option<String>,
    /// How the budgets of the configuration are doing, whatever the filters are; none while `complete` is false.
    budgets: Vec<BudgetForm<'a>>,
    /// False while sums are being made of a state that had none: then they are too small.
    complete: bool,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
    /// Currency of every field whose name has `_usd` in it.
    currency: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sums")]
struct SumsForm {
    /// Distinct API responses.
    messages: u64,
    /// Distinct turns.
    turns: u64,
    /// Distinct sessions.
    sessions: u64,
    tokens: Tokens,
    /// List price in US dollars.
    cost_usd: String,
    /// Tokens without a known price.
    unpriced_tokens: u64,
}

impl SumsForm {
    fn of(sums: &Sums) -> Self {
        let Sums { messages, turns, sessions, tokens, cost, unpriced } = *sums;
        Self { messages, turns, sessions, tokens, cost_usd: cost.to_string(), unpriced_tokens: unpriced }
    }
}

/// A row: the value of each property by its name, its sums, and what there is to tell of a block.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CostRow")]
struct RowForm<'a> {
    #[serde(flatten)]
    values: ValuesForm<'a>,
    #[serde(flatten)]
    sums: SumsForm,
    #[serde(flatten)]
    block: Option<BlockForm>,
}

impl<'a> RowForm<'a> {
    fn of(names: &'a [&'static str], row: &'a CostRow, now: Timestamp) -> Self {
        let values = ValuesForm { names, row };
        let block = row.block.as_ref().map(|block| BlockForm::of(block, row.sums.cost, now));
        Self { values, sums: SumsForm::of(&row.sums), block }
    }
}

/// The value of each property of a row by its name, in the order that was asked for.
struct ValuesForm<'a> {
    names: &'a [&'static str],
    row: &'a CostRow,
}

impl Serialize for ValuesForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.names.iter().zip(&self.row.values))
    }
}

impl JsonSchema for ValuesForm<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let meaning = "What the row is of, if `group_by` names this property; `null` if there is no value.";
        let value = json!({"type": ["string", "null"], "description": meaning});
        let properties: Map<String, Value> =
            GROUPS.iter().map(|(name, _)| ((*name).to_owned(), value.clone())).collect();
        json_schema!({"type": "object", "properties": properties})
    }
}

/// What there is to tell of a block, beside its sums.
#[derive(Serialize, JsonSchema)]
struct BlockForm {
    /// The last response of the block.
    ended_at: String,
    /// Whether the block goes on.
    is_active: bool,
    /// The pace from the first response of the block to the last; `null` if there is only one.
    burn_usd_per_hour: Option<String>,
    /// What an active block comes to at that pace; `null` for one that has ended.
    projected_usd: Option<String>,
}

impl BlockForm {
    fn of(block: &Block, cost: Money, now: Timestamp) -> Self {
        let is_active = block.is_active(now);
        let rest = block.end().0.saturating_sub(now.0).min(BLOCK_MS);
        let projected = burn_per(cost, block, rest).filter(|_| is_active);
        Self {
            ended_at: block.last.to_rfc3339(),
            is_active,
            burn_usd_per_hour: burn_per(cost, block, HOUR_MS).map(|burn| burn.to_string()),
            projected_usd: projected.map(|rest| (cost + rest).to_string()),
        }
    }
}

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// What so many milliseconds cost at the pace from the first response of a block to its last; `None` if there is only one
/// moment with responses.
fn burn_per(cost: Money, block: &Block, milliseconds: i64) -> Option<Money> {
    let took = i128::from(block.last.0.saturating_sub(block.first.0));
    cost.picousd().checked_mul(milliseconds.into())?.checked_div(took).map(Money::from_picousd)
}
