//! The table `sessions`: a row for each session, as the list of sessions has it.

use std::sync::Arc;

use super::around::{HasUsed, used_columns};
use super::column::{Column, Kind, Row, TakeCells, Used, Value, cells};
use crate::ledger::money::Money;
use crate::ledger::session::{Reported, Session};
use crate::transcript::shown::{shown, shown_name};

/// One session.
#[derive(Debug)]
pub struct SessionRow {
    host: Arc<str>,
    session: Session,
    project: Option<String>,
    cwd: Option<String>,
    branch: Option<String>,
    models: String,
    tool_calls: u64,
    used: Used,
    account: Option<Reported>,
}

/// The columns.
pub(super) static COLUMNS: [Column<SessionRow>; 24] = {
    use Kind::{Count, Text, Time, Truth};
    let [input, output, cache_read, cache_write_5m, cache_write_1h, cost, unpriced] = used_columns();
    [
        Column::of(
            "host",
            Text,
            "The machine that exported the row, or what was asked for instead.",
            |row: &SessionRow| Value::Text(&row.host),
        ),
        Column::of("session", Text, "The id of the session, by which copies count once.", |row| {
            Value::Text(&row.session.id.0)
        }),
        Column::some("title", Text, "The title, without its secrets.", |row| Value::text(row.session.title.as_ref())),
        Column::some("project", Text, "The project that it was started in, without secrets.", |row| {
            Value::text(row.project.as_ref())
        }),
        Column::some("cwd", Text, "The folder that it was started in, without secrets.", |row| {
            Value::text(row.cwd.as_ref())
        }),
        Column::some("branch", Text, "The git branch at the last row that has one, without secrets.", |row| {
            Value::text(row.branch.as_ref())
        }),
        Column::some("started_at", Time, "Time of the first row.", |row| {
            Value::some(row.session.started(), Value::Time)
        }),
        Column::some("ended_at", Time, "Time of the last row.", |row| Value::some(row.session.ended(), Value::Time)),
        Column::of("turns", Count, "Prompts that reached the model.", |row| Value::Count(row.session.tally.turns)),
        Column::of("messages", Count, "Responses.", |row| Value::Count(row.session.tally.messages())),
        Column::of("tool_calls", Count, "Tool calls.", |row| Value::Count(row.tool_calls)),
        Column::of("subagents", Count, "Sub-agents.", |row| Value::Count(row.session.tally.subagents)),
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cost,
        unpriced,
        Column::some("client_reported_usd", Kind::Money, "What the client itself reports that it cost.", |row| {
            Value::some(row.account, |account| Value::Money(account.cost))
        }),
        Column::some("unattributed_usd", Kind::Money, "The part of that which the session files do not show.", |row| {
            Value::some(row.account, |account| Value::Money(account.unattributed))
        }),
        Column::of("models", Text, "Canonical ids of the models, with commas between them.", |row| {
            Value::Text(&row.models)
        }),
        Column::some("forked_from", Text, "The session that it was forked from.", |row| {
            Value::text(row.session.fork.as_ref().map(|fork| &fork.from.0))
        }),
        Column::of("resumed", Truth, "Whether another process went on with it.", |row| {
            Value::Truth(row.session.resumed())
        }),
    ]
};

impl HasUsed for SessionRow {
    fn used(&self) -> &Used {
        &self.used
    }
}

impl Row for SessionRow {
    fn cells(&self, take: &mut dyn TakeCells) {
        cells(&COLUMNS, self, take);
    }
}

impl SessionRow {
    /// The row of a session; `account` is the cost that the client reports for it.
    #[must_use]
    pub fn of(session: Session, account: Option<Reported>, host: &Arc<str>) -> Self {
        let tally = &session.tally;
        let models: Vec<&str> = tally.models.keys().map(|model| &**model).collect();
        let unpriced = tally.models.values().map(|model| model.unpriced).fold(0, u64::saturating_add);
        let cost: Money = tally.cost();
        Self {
            host: Arc::clone(host),
            project: session.project().map(shown_name).filter(|name| !name.is_empty()),
            cwd: session.context().and_then(|context| context.cwd.as_deref()).map(shown),
            branch: session.branch().as_deref().map(shown),
            models: models.join(","),
            tool_calls: tally.tools.values().map(|tool| tool.calls).sum(),
            used: Used { tokens: tally.tokens(), cost, unpriced },
            account,
            session,
        }
    }
}
