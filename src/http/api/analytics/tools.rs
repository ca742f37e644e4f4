//! `/api/v1/analytics/tools/usage`: tool calls, filtered and grouped.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::cells::HasCells;
use super::place::{Place, Sought};
use super::places::places;
use super::questions::{
    AGENT, BRANCH, CURSOR, ENTRYPOINT, Groups, LIMIT, LINKED_ROWS_MAX, MINUTE_MS, MODEL, ORIGIN, PROJECT, SESSION,
    SINCE, TOOL, TZ, UNTIL, WORKFLOW, filter_of, groups, last_days,
};
use crate::http::api::sessions::CURRENCY;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::{PageEnd, PageOf};
use crate::http::route::parameter::{OneOf, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::ids::SessionId;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::Period;
use crate::views::analytics::sketch;
use crate::views::analytics::tools::{
    Key, Outcomes, Slow, ToolGroup, ToolQuestion, ToolRow, ToolTable, ToolValues, tools,
};

const GROUP_BY: Parameter<Groups<ToolGroup>> = Parameter::query(
    "group_by",
    Groups(&GROUPS),
    "What rows are told apart by besides the tool: one or two of these, with a comma between them or given one by one.",
)
.several();
const SORT: Parameter<OneOf<Sort>> =
    Parameter::query("sort", OneOf(&SORTS), "What rows are sorted by; rows that are equal in it by their values.")
        .or("calls");
const ORDER: Parameter<OneOf<bool>> = Parameter::query(
    "order",
    OneOf(&[("asc", true), ("desc", false)]),
    "Whether the rows begin with the least of what they are sorted by, or with the most.",
)
.or("desc");

/// Description of [`answer`].
pub static TOOLS: Description = Description {
    summary: "Tells how often tools were called, how long calls took, how they ended, and what their results cost.",
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
    answers: &[AnswerForm::json::<ToolPage>(
        "ToolUsage",
        "A page of tools, how many calls there are in all, and where the next page begins.",
    )],
    refusal: PROBLEM,
};

const GROUPS: [(&str, ToolGroup); 5] = [
    ("day", ToolGroup::Period(Period::Day)),
    ("week", ToolGroup::Period(Period::Week)),
    ("month", ToolGroup::Period(Period::Month)),
    ("project", ToolGroup::Project),
    ("agent", ToolGroup::Agent),
];

/// What rows are sorted by.
#[derive(Debug, Clone, Copy)]
enum Sort {
    Calls,
    Failed,
    Duration,
    P95,
    Bytes,
    CriticalPath,
}

const SORTS: [(&str, Sort); 6] = [
    ("calls", Sort::Calls),
    ("failed", Sort::Failed),
    ("duration", Sort::Duration),
    ("p95", Sort::P95),
    ("bytes", Sort::Bytes),
    ("critical_path", Sort::CriticalPath),
];

impl Sort {
    const fn word(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Failed => "failed",
            Self::Duration => "duration",
            Self::P95 => "p95",
            Self::Bytes => "bytes",
            Self::CriticalPath => "critical_path",
        }
    }

    fn of(self, row: &mut ToolRow) -> i128 {
        match self {
            Self::Calls => row.outcomes.calls.into(),
            Self::Failed => row.outcomes.failed.into(),
            Self::Duration => row.took_ms.sum.into(),
            Self::P95 => took_ms(row, [95]).map_or(-1, |[p95]| p95.into()),
            Self::Bytes => row.bytes.sum.into(),
            Self::CriticalPath => row.critical_ms.into(),
        }
    }
}

fn word(by: ToolGroup) -> &'static str {
    Groups(&GROUPS).word(by)
}

/// Answers with a page of tools. Fails if a parameter is bad or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (zone, groups) = (request.value(&TZ)?, groups(request, &GROUP_BY)?);
    // To a minute, so that the trend is of one time for as long as the answer holds.
    let now = Timestamp(context.now().0.div_euclid(MINUTE_MS) * MINUTE_MS);
    let asked = filter_of(request, zone)?;
    let window = last_days(asked.window, now);
    let (filter, before) =
        (Filter { window, ..asked.clone() }, Filter { window: window.before(now).unwrap_or(window), ..asked });
    let (sort, ascending) = (request.value(&SORT)?, request.value(&ORDER)?);
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let names: Vec<&str> = groups.iter().map(|by| word(*by)).collect();
    let list = format!("tools/{names:?}/{}/{ascending}", sort.word());
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(&list, cursor)).transpose()?;

    let cells = context.cells().now(context.reader())?;
    // A range without a beginning or an end moves on with time, minute by minute.
    let besides = format!("-{}", now.0);
    if let Some(answer) = cells.not_modified(request, &besides) {
        return Ok(answer);
    }
    let question = |filter| ToolQuestion { group_by: &groups, zone, filter };
    let mut table = tools(cells.cube(), &question(&filter));
    let is_linked = table.rows.len() <= LINKED_ROWS_MAX;
    let page = PageOf { list: &list, ascending, after, limit };
    let (mut rows, next_cursor) = page_of(&mut table, sort, &page);
    let by_time = groups.iter().any(|by| matches!(by, ToolGroup::Period(_)));
    let mut earlier = if by_time { HashMap::new() } else { same(tools(cells.cube(), &question(&before)), &rows) };
    let slow: Vec<(SessionId, Sought)> = rows
        .iter()
        .take(if is_linked { rows.len() } else { 0 })
        .flat_map(|row| row.row.details.iter().flat_map(|details| details.slowest()))
        .map(|slow| sought(&slow))
        .collect();
    let places = places(context.reader(), &cells, context.span_rules(), &slow)?;
    let (total, turn_ms) = (table.total, table.turn_ms);
    let forms = rows.iter_mut().map(|row| RowForm::of(&names, row, earlier.get_mut(&row.key), turn_ms, &places));
    let answer = ToolPage {
        group_by: &names,
        tz: zone.name(),
        since: window.since.map(Timestamp::to_rfc3339),
        until: window.until.map(Timestamp::to_rfc3339),
        tools: forms.collect(),
        total: OutcomesForm::of(&total),
        previous_since: before.window.since.map(Timestamp::to_rfc3339),
        previous_until: before.window.until.map(Timestamp::to_rfc3339),
        quantile_error: sketch::ERROR,
        complete: cells.is_complete(),
        next_cursor,
        currency: CURRENCY,
    };
    Ok(cells.tagged(Answer::json(&answer)?, &besides))
}

/// A row of a page.
struct PageRow {
    key: Key,
    row: ToolRow,
    named: ToolValues,
}

/// The rows of a page with all that they tell, and the cursor of the next page.
fn page_of(table: &mut ToolTable<'_>, sort: Sort, page: &PageOf<'_>) -> (Vec<PageRow>, Option<String>) {
    let mut rows = std::mem::take(&mut table.rows);
    if matches!(sort, Sort::P95) {
        table.add_details(&mut rows);
    }
    let keyed = rows.into_iter().map(|mut row| (sort.of(&mut row.1), row)).collect();
    let named = page.narrow(keyed).into_iter().map(|(number, row)| {
        let named = table.values(row.0);
        (PageEnd { key: number, id: named.order.clone() }, (row, named))
    });
    let (cut, next_cursor) = page.cut(named.collect());
    let (mut rows, named): (Vec<_>, Vec<_>) = cut.into_iter().unzip();
    table.add_details(&mut rows);
    let rows = rows.into_iter().zip(named).map(|((key, row), named)| PageRow { key, row, named });
    (rows.collect(), next_cursor)
}

/// The rows of another table that have the keys of a page, with all that they tell.
fn same(mut table: ToolTable<'_>, page: &[PageRow]) -> HashMap<Key, ToolRow> {
    let wanted: HashSet<Key> = page.iter().map(|row| row.key).collect();
    let mut rows = std::mem::take(&mut table.rows);
    rows.retain(|(key, _)| wanted.contains(key));
    table.add_details(&mut rows);
    rows.into_iter().collect()
}

/// Quantiles of the durations of a row.
fn took_ms<const N: usize>(row: &mut ToolRow, per_cent: [u64; N]) -> Option<[u32; N]> {
    row.details.as_mut()?.took_ms.quantiles(per_cent)
}

fn sought(slow: &Slow) -> (SessionId, Sought) {
    let end = Timestamp(slow.at().0.saturating_add(slow.took_ms.into()));
    (slow.session.clone(), Sought { unit: slow.unit, is_call: true, mark: slow.mark, end })
}

#[derive(Serialize, JsonSchema)]
struct ToolPage<'a> {
    /// What rows are told apart by besides the tool.
    group_by: &'a [&'static str],
    /// The time zone of dates, days, weeks and months.
    tz: &'static str,
    /// The first moment that counts.
    since: Option<String>,
    /// The first moment that does not count any more; `null` if there is none.
    until: Option<String>,
    tools: Vec<RowForm<'a>>,
    /// The calls of all rows, not only of this page.
    total: OutcomesForm,
    /// The beginning of the same length of time before, for `previous`.
    previous_since: Option<String>,
    /// Its end.
    previous_until: Option<String>,
    /// By how much of its value a quantile may be off; those of up to 2,048 numbers are exact.
    quantile_error: f64,
    /// False while sums are being made for a state of an older version.
    complete: bool,
    /// Where the next page begins; `null` on the last one.
    next_cursor: Option<String>,
    currency: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ToolOutcomes")]
struct OutcomesForm {
    /// All calls.
    calls: u64,
    /// Those that failed.
    failed: u64,
    /// Those that were refused.
    denied: u64,
    /// Those that were interrupted.
    interrupted: u64,
    /// Those without a result.
    open: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ToolDurations")]
struct Durations {
    count: u64,
    sum: f64,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResultBytes")]
struct Bytes {
    sum: u64,
    p50: Option<u32>,
    p95: Option<u32>,
    max: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CarriedResults")]
struct Carried {
    /// Tokens of the results.
    tokens_estimate: u64,
    /// The same, once for each later response that had the result in its prompt.
    carried_tokens_estimate: u64,
    /// What these responses paid for it, as cached input, in US dollars.
    carry_cost_usd_estimate: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PreviousCalls")]
struct Previous {
    calls: u64,
    failure_ratio: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SlowCall")]
struct SlowForm {
    #[schemars(with = "String")]
    session: SessionId,
    /// Position in the replay of the event at which it ended, from 0.
    event: Option<usize>,
    /// The turn, from 1.
    turn: Option<usize>,
    /// Its trace, 32 hexadecimal digits.
    trace_id: String,
    /// Its span, 16 hexadecimal digits.
    span_id: String,
    /// The address of that event on the page of its session.
    page: String,
    /// When the call was made.
    at: String,
    duration_seconds: f64,
    outcome: Option<&'static str>,
}

/// A row: the tool, the value of each further property, and its figures.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ToolRow")]
struct RowForm<'a> {
    tool: String,
    #[serde(flatten)]
    keys: KeysForm<'a>,
    #[serde(flatten)]
    outcomes: OutcomesForm,
    /// Failed calls as a share of all.
    failure_ratio: Option<f64>,
    /// Time from call to result, in seconds, where it is known.
    duration_seconds: Durations,
    /// Length of the texts of results.
    result_bytes: Bytes,
    /// What results cost after they were produced: estimates.
    context: Carried,
    /// Sessions with such calls.
    sessions: u64,
    /// Time for which turns waited for these calls and for nothing else.
    critical_path_seconds: f64,
    /// The same as a share of the time of all turns in the range.
    critical_path_share: Option<f64>,
    /// The same length of time before; `null` without such calls then, and if rows are told apart by time.
    previous: Option<Previous>,
    /// The slowest calls, slowest first; none if the answer has more than 100 rows in all.
    slowest: Vec<SlowForm>,
}

/// The value of each further property of a row by its name, in the order that was asked for.
struct KeysForm<'a> {
    names: &'a [&'static str],
    values: Vec<Option<String>>,
}

impl OutcomesForm {
    const fn of(outcomes: &Outcomes) -> Self {
        let Outcomes { calls, failed, denied, interrupted, open } = *outcomes;
        Self { calls, failed, denied, interrupted, open }
    }
}

impl Durations {
    fn of(row: &mut ToolRow) -> Self {
        let quantiles = took_ms(row, [50, 90, 95, 99]).map(|all| all.map(|part| seconds(part.into())));
        let [p50, p90, p95, p99] = quantiles.map_or([None; 4], |all| all.map(Some));
        let max = row.took_ms.max().map(|max| seconds(max.into()));
        Self { count: row.took_ms.count, sum: seconds(row.took_ms.sum), p50, p90, p95, p99, max }
    }
}

impl<'a> RowForm<'a> {
    fn of(
        names: &'a [&'static str],
        page: &mut PageRow,
        previous: Option<&mut ToolRow>,
        turn_ms: u64,
        places: &HashMap<Sought, Place>,
    ) -> Self {
        let PageRow { row, named, .. } = page;
        let bytes = row.details.as_mut().and_then(|details| details.bytes.quantiles([50, 95]));
        let [bytes_p50, bytes_p95] = bytes.map_or([None; 2], |all| all.map(Some));
        let previous = previous.map(|row| {
            let Durations { p50, p95, .. } = Durations::of(row);
            Previous { calls: row.outcomes.calls, failure_ratio: row.outcomes.failure_ratio(), p50, p95 }
        });
        let slowest = row.details.as_ref().map(|details| details.slowest()).unwrap_or_default();
        Self {
            tool: named.tool.clone(),
            keys: KeysForm { names, values: named.values.clone() },
            outcomes: OutcomesForm::of(&row.outcomes),
            failure_ratio: row.outcomes.failure_ratio(),
            duration_seconds: Durations::of(row),
            result_bytes: Bytes { sum: row.bytes.sum, p50: bytes_p50, p95: bytes_p95, max: row.bytes.max() },
            context: Carried {
                tokens_estimate: row.tokens,
                carried_tokens_estimate: row.carried_tokens,
                carry_cost_usd_estimate: row.carry_cost().to_string(),
            },
            sessions: row.sessions,
            critical_path_seconds: seconds(row.critical_ms),
            critical_path_share: (turn_ms > 0).then(|| seconds(row.critical_ms) / seconds(turn_ms)),
            previous,
            slowest: slowest.iter().filter_map(|slow| SlowForm::of(slow, places)).collect(),
        }
    }
}

impl SlowForm {
    /// `None` if the call is not in the state any more.
    fn of(slow: &Slow, places: &HashMap<Sought, Place>) -> Option<Self> {
        let (session, sought) = sought(slow);
        let place = places.get(&sought)?;
        Some(Self {
            session,
            event: place.event,
            turn: place.turn,
            trace_id: place.span.trace.to_string(),
            span_id: place.span.span.to_string(),
            page: place.page.to_string(),
            at: slow.at().to_rfc3339(),
            duration_seconds: seconds(slow.took_ms.into()),
            outcome: slow.outcome.map(|outcome| outcome.name()),
        })
    }
}

impl Serialize for KeysForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.names.iter().zip(&self.values))
    }
}

impl JsonSchema for KeysForm<'_> {
    fn schema_name() -> Cow<'static, str> {
        "ToolKeys".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let meaning = "What the row is of, if `group_by` names this property; `null` if there is no value.";
        let value = json!({"type": ["string", "null"], "description": meaning});
        let properties: Map<String, Value> =
            GROUPS.iter().map(|(name, _)| ((*name).to_owned(), value.clone())).collect();
        json_schema!({"type": "object", "properties": properties})
    }
}
