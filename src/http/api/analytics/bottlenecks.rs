//! `/api/v1/analytics/bottlenecks`: where the time of turns went, by their critical paths.

use std::collections::HashMap;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::cells::HasCells;
use super::place::{Place, Sought};
use super::places::places;
use super::questions::{
    AGENT, BRANCH, CURSOR, ENTRYPOINT, LIMIT, LINKED_ROWS_MAX, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL,
    WORKFLOW, filter_of, last_days,
};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::page::{PageEnd, PageOf};
use crate::http::route::parameter::{OneOf, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::ids::SessionId;
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::bottlenecks::{Bottlenecks, PathRow, SlowStretch, bottlenecks};
use crate::views::analytics::filter::Filter;
use crate::views::analytics::sketch;

const FORMAT: Parameter<OneOf<Form>> = Parameter::query(
    "format",
    OneOf(&[("json", Form::Json), ("folded", Form::Folded)]),
    "`folded` is a line for each project, kind and name with its milliseconds, for flame graph tools; it has no pages.",
)
.or("json");

/// Description of [`answer`].
pub static BOTTLENECKS: Description = Description {
    summary: "Tells where the time of turns went: what they waited for on their critical paths.",
    parameters: &[
        &FORMAT,
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
        &LIMIT,
        &CURSOR,
    ],
    answers: &[
        AnswerForm::json::<BottleneckPage>(
            "Bottlenecks",
            "What turns waited for, the longest first, how much was done side by side, and where the next page begins.",
        ),
        AnswerForm::text("Lines of `project;kind;name milliseconds`, with `format=folded`."),
    ],
    refusal: PROBLEM,
};

/// The form of an answer.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Folded,
}

/// What cursors name the list.
const LIST: &str = "bottlenecks";

/// Answers with what turns waited for. Fails if a parameter is bad or the state cannot be read.
pub fn answer<C: HasCells>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (zone, form) = (request.value(&TZ)?, request.value(&FORMAT)?);
    let asked = filter_of(request, zone)?;
    let window = last_days(asked.window, context.now());
    let limit = usize::try_from(request.value(&LIMIT)?).unwrap_or(usize::MAX);
    let after = request.given(&CURSOR)?.map(|cursor| PageEnd::from_cursor(LIST, cursor)).transpose()?;

    let cells = context.cells().now(context.reader())?;
    // A range without a beginning moves on with time, minute by minute.
    let besides = window.since.map_or_else(String::new, |since| format!("-{}", since.0));
    if let Some(answer) = cells.not_modified(request, &besides) {
        return Ok(answer);
    }
    let all = bottlenecks(cells.cube(), &Filter { window, ..asked });
    if matches!(form, Form::Folded) {
        return Ok(cells.tagged(Answer::text(folded(&all)), &besides));
    }
    let Bottlenecks { turns, turn_ms, busy_ms, rows, .. } = all;
    let is_linked = rows.len() <= LINKED_ROWS_MAX;
    let page = PageOf { list: LIST, ascending: false, after, limit };
    let end = |row: &PathRow| PageEnd { key: row.path_ms.into(), id: format!("{}/{}", row.kind.name(), row.name) };
    let (mut rows, next_cursor) = page.cut(rows.into_iter().map(|row| (end(&row), row)).collect());
    let slow: Vec<(SessionId, Sought)> = rows
        .iter()
        .take(if is_linked { rows.len() } else { 0 })
        .flat_map(PathRow::slowest)
        .map(|slow| sought(&slow))
        .collect();
    let places = places(context.reader(), &cells, context.span_rules(), &slow)?;
    let answer = BottleneckPage {
        tz: zone.name(),
        since: window.since.map(Timestamp::to_rfc3339),
        until: window.until.map(Timestamp::to_rfc3339),
        turns,
        turn_seconds: seconds(turn_ms),
        critical_path: rows.iter_mut().map(|row| RowForm::of(row, turn_ms, &places)).collect(),
        parallelism: Parallelism {
            busy_seconds: seconds(busy_ms),
            wall_seconds: seconds(turn_ms),
            ratio: share(busy_ms, turn_ms),
        },
        quantile_error: sketch::ERROR,
        complete: cells.is_complete(),
        next_cursor,
    };
    Ok(cells.tagged(Answer::json(&answer)?, &besides))
}

/// Lines as flame graph tools read them: frames with semicolons between, and a number.
fn folded(all: &Bottlenecks) -> String {
    let frame = |name: &str| match name {
        "" => "-".to_owned(),
        name => name.replace([';', ' ', '\n'], "_"),
    };
    all.stacks.iter().fold(String::new(), |mut lines, ((project, kind, name), ms)| {
        let written = writeln!(lines, "{};{kind};{} {ms}", frame(project), frame(name));
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        lines
    })
}

/// A share of a whole; `None` if there is nothing of it.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| seconds(part) / seconds(whole))
}

fn sought(slow: &SlowStretch) -> (SessionId, Sought) {
    let took_ms = i64::try_from(slow.took_ms).unwrap_or(i64::MAX);
    let end = Timestamp(slow.start().0.saturating_add(took_ms));
    (slow.session.clone(), Sought { unit: slow.unit, is_call: slow.is_call, mark: slow.mark, end })
}

#[derive(Serialize, JsonSchema)]
struct BottleneckPage {
    /// The time zone of dates.
    tz: &'static str,
    /// The first moment that counts.
    since: Option<String>,
    /// The first moment that does not count any more; `null` if there is none.
    until: Option<String>,
    /// Turns whose rows tell that they have ended.
    turns: u64,
    /// Their time from prompt to end.
    turn_seconds: f64,
    /// What they waited for. The seconds of all rows add up to `turn_seconds`.
    critical_path: Vec<RowForm>,
    /// How much was done side by side.
    parallelism: Parallelism,
    /// By how much of its value a quantile may be off; those of up to 2,048 numbers are exact.
    quantile_error: f64,
    /// False while sums are being made for a state of an older version.
    complete: bool,
    /// Where the next page begins; `null` on the last one.
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Parallelism")]
struct Parallelism {
    /// The durations of all responses and calls added up, on the paths or beside them.
    busy_seconds: f64,
    /// The time of the turns.
    wall_seconds: f64,
    /// The first divided by the second; `null` without turns.
    ratio: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Bottleneck")]
struct RowForm {
    /// What was waited for: `model`, `tool`, `permission`, `retry`, `compaction`, `hook` or `idle`.
    kind: &'static str,
    /// Which of its kind: the model, the tool that ran or was not allowed to run yet, the reason of the failure, what set the
    /// compaction off, the hook.
    name: String,
    /// Time on the critical paths.
    seconds: f64,
    /// The same as a share of the time of the turns.
    share: Option<f64>,
    /// Of `seconds`, those until the first pieces of the model's responses came. Left out where no stream tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_chunk_seconds: Option<f64>,
    /// Turns that have it on their paths.
    turns: u64,
    /// Half of these turns waited at most so long for it.
    p50_seconds_per_turn: Option<f64>,
    /// 95 of a hundred of these turns waited at most so long for it.
    p95_seconds_per_turn: Option<f64>,
    /// How much longer what lies beside the paths could have taken for free.
    slack_seconds: f64,
    /// The share of the time of all turns that would go if this took half the time.
    if_halved_share: Option<f64>,
    /// The longest stretches, longest first; none if the answer has more than 100 rows in all.
    slowest: Vec<SlowForm>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SlowStretch")]
struct SlowForm {
    #[schemars(with = "String")]
    session: SessionId,
    /// The turn, from 1.
    turn: Option<usize>,
    /// Position in the replay of the event at which it ended, from 0.
    event: Option<usize>,
    /// Its trace, 32 hexadecimal digits.
    trace_id: String,
    /// Its span, 16 hexadecimal digits.
    span_id: String,
    /// The address of that event on the page of its session.
    page: String,
    /// When the response or call began.
    at: String,
    /// Time on the critical path.
    seconds: f64,
}

impl RowForm {
    fn of(row: &mut PathRow, turn_ms: u64, places: &HashMap<Sought, Place>) -> Self {
        let quantiles = row.per_turn.quantiles([50, 95]).map(|all| all.map(|part| seconds(part.into())));
        let [p50, p95] = quantiles.map_or([None; 2], |all| all.map(Some));
        Self {
            kind: row.kind.name(),
            name: row.name.clone(),
            seconds: seconds(row.path_ms),
            share: share(row.path_ms, turn_ms),
            first_chunk_seconds: row.first_chunk_ms.map(seconds),
            turns: row.turns,
            p50_seconds_per_turn: p50,
            p95_seconds_per_turn: p95,
            slack_seconds: seconds(row.slack_ms),
            if_halved_share: share(row.saved_ms, turn_ms),
            slowest: row.slowest().iter().filter_map(|slow| SlowForm::of(slow, places)).collect(),
        }
    }
}

impl SlowForm {
    /// `None` if the response or call is not in the state any more.
    fn of(slow: &SlowStretch, places: &HashMap<Sought, Place>) -> Option<Self> {
        let (session, sought) = sought(slow);
        let place = places.get(&sought)?;
        Some(Self {
            session,
            turn: place.turn,
            event: place.event,
            trace_id: place.span.trace.to_string(),
            span_id: place.span.span.to_string(),
            page: place.page.to_string(),
            at: slow.start().to_rfc3339(),
            seconds: seconds(slow.path_ms.into()),
        })
    }
}
