//! The table `tools`: a row for each tool call.

use std::collections::HashMap;
use std::sync::Arc;

use super::around::{
    Around, Asked, HasAround, Names, agent, agent_id, branch, entrypoint, host, is_one_of, project, session, shown_id,
    turn, workflow,
};
use super::column::{Column, Kind, Row, TakeCells, Value, cells};
use crate::ledger::unit::{Call, Parts, Tool};
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;

/// One call.
#[derive(Debug)]
pub struct ToolRow {
    around: Arc<Around>,
    at: Timestamp,
    id: Box<str>,
    message: Box<str>,
    name: Arc<str>,
    took_ms: Option<u64>,
    end: Option<End>,
}

/// What the result of a call tells.
#[derive(Debug)]
struct End {
    outcome: Outcome,
    bytes: u64,
    exit_code: Option<i32>,
    decision: Option<Arc<str>>,
    lines_added: u32,
    lines_removed: u32,
}

/// The columns.
pub(super) static COLUMNS: [Column<ToolRow>; 20] = [
    host(),
    session(),
    turn(),
    Column::of("tool_call_id", Kind::Text, "`tool_use.id`, by which copies count once.", |row| Value::Text(&row.id)),
    Column::of("message_id", Kind::Text, "The `message_id` of the response that called.", |row| {
        Value::Text(&row.message)
    }),
    Column::of("tool", Kind::Text, "The name of the tool, without secrets.", |row| Value::Text(&row.name)),
    Column::of("at", Kind::Time, "When it was called.", |row| Value::Time(row.at)),
    Column::some(
        "duration_seconds",
        Kind::Seconds,
        "From the call to its result; none where that is not known.",
        |row| Value::some(row.took_ms, Value::Milliseconds),
    ),
    Column::some(
        "outcome",
        Kind::Text,
        "`ok`, `failed`, `denied` or `interrupted`; none as long as there is no result.",
        |row| Value::some(row.end.as_ref(), |end| Value::Text(end.outcome.name())),
    ),
    Column::some("result_bytes", Kind::Bytes, "Length of the text of the result.", |row| {
        Value::some(row.end.as_ref(), |end| Value::Count(end.bytes))
    }),
    Column::some("exit_code", Kind::Whole, "Exit code of a command that failed.", |row| {
        Value::some(row.end.as_ref().and_then(|end| end.exit_code), |code| Value::Whole(code.into()))
    }),
    Column::some("decision", Kind::Text, "Who allowed or refused the call, where a row tells it.", |row| {
        Value::text(row.end.as_ref().and_then(|end| end.decision.as_ref()))
    }),
    Column::some("lines_added", Kind::Count, "Lines that it added to files.", |row| {
        Value::some(row.end.as_ref(), |end| Value::Count(end.lines_added.into()))
    }),
    Column::some("lines_removed", Kind::Count, "Lines that it removed from files.", |row| {
        Value::some(row.end.as_ref(), |end| Value::Count(end.lines_removed.into()))
    }),
    agent(),
    agent_id(),
    project(),
    branch(),
    entrypoint(),
    workflow(),
];

impl HasAround for ToolRow {
    fn around(&self) -> &Around {
        &self.around
    }
}

impl Row for ToolRow {
    fn cells(&self, take: &mut dyn TakeCells) {
        cells(&COLUMNS, self, take);
    }
}

/// The model of each response of a unit, by its id.
pub(super) type Models = HashMap<Box<str>, Arc<str>>;

/// Adds the models of the responses among some parts.
pub(super) fn add_models(models: &mut Models, parts: &Parts, names: &mut Names) {
    for message in &parts.messages {
        if let Some(share) = message.shares().first() {
            models.insert(message.id.clone(), names.shown(&share.model));
        }
    }
}

impl ToolRow {
    /// By what rows of a session are in order.
    pub(super) fn order(&self) -> (Timestamp, &str) {
        (self.at, &self.id)
    }

    /// Adds the calls among some parts of a unit that are asked for. `models` has the models of all responses of the unit,
    /// if they are asked for.
    pub(super) fn add_all(
        rows: &mut Vec<Self>,
        (asked, models): (&Asked, &Models),
        around: &Arc<Around>,
        parts: &Parts,
        names: &mut Names,
    ) {
        let filter = &asked.filter;
        for tool in &parts.tools {
            let Some(call) = tool.call.as_ref().filter(|call| filter.window.has(call.rank.time)) else { continue };
            let name = names.shown(&call.name);
            let by = || models.get(&call.message).is_some_and(|model| is_one_of(&filter.model, model));
            if (filter.tool.is_empty() || is_one_of(&filter.tool, &name)) && (filter.model.is_empty() || by()) {
                rows.push(Self::of(around, tool, call, name));
            }
        }
    }

    fn of(around: &Arc<Around>, tool: &Tool, call: &Call, name: Arc<str>) -> Self {
        Self {
            around: Arc::clone(around),
            at: call.rank.time,
            id: tool.id.clone(),
            message: shown_id(&call.message),
            name,
            took_ms: tool.duration_ms(),
            end: tool.result.as_ref().map(|end| End {
                outcome: end.outcome,
                bytes: end.bytes,
                exit_code: end.exit_code,
                decision: end.decision.clone(),
                lines_added: end.lines_added,
                lines_removed: end.lines_removed,
            }),
        }
    }
}
