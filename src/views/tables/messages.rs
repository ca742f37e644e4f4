//! The table `messages`: a row for each API response.

use std::sync::Arc;

use super::around::{
    Around, Asked, HasAround, HasUsed, Names, agent, agent_id, branch, entrypoint, host, project, session, shown_id,
    turn, used, used_columns, workflow,
};
use super::column::{Column, Kind, Row, TakeCells, Used, Value, cells};
use crate::ledger::unit::{Message, Parts};
use crate::transcript::record::Stop;
use crate::transcript::time::Timestamp;

/// One response.
#[derive(Debug)]
pub struct MessageRow {
    around: Arc<Around>,
    at: Timestamp,
    id: Box<str>,
    request: Option<Box<str>>,
    took_ms: Option<u64>,
    model: Arc<str>,
    used: Used,
    stop: Option<Stop>,
}

/// The columns.
pub(super) static COLUMNS: [Column<MessageRow>; 22] = {
    let [input, output, cache_read, cache_write_5m, cache_write_1h, cost, unpriced] = used_columns();
    [
        host(),
        session(),
        turn(),
        Column::of(
            "message_id",
            Kind::Text,
            "`message.id`, by which copies count once. Where a gateway gave it to several responses, what tells them apart is behind a `#`.",
            |row| Value::Text(&row.id),
        ),
        Column::some("request_id", Kind::Text, "`requestId`.", |row| Value::text(row.request.as_ref())),
        Column::of("at", Kind::Time, "When its first row was written.", |row| Value::Time(row.at)),
        Column::some(
            "duration_seconds",
            Kind::Seconds,
            "From the request to the last row of the response; none where a copy has lost its times.",
            |row| Value::some(row.took_ms, Value::Milliseconds),
        ),
        Column::of("model", Kind::Text, "The canonical id of the model that answered.", |row| Value::Text(&row.model)),
        agent(),
        agent_id(),
        project(),
        branch(),
        entrypoint(),
        workflow(),
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cost,
        unpriced,
        Column::some("stop", Kind::Text, "Why the model stopped.", |row| {
            Value::text(row.stop.as_ref().map(Stop::name))
        }),
    ]
};

impl HasAround for MessageRow {
    fn around(&self) -> &Around {
        &self.around
    }
}

impl HasUsed for MessageRow {
    fn used(&self) -> &Used {
        &self.used
    }
}

impl Row for MessageRow {
    fn cells(&self, take: &mut dyn TakeCells) {
        cells(&COLUMNS, self, take);
    }
}

impl MessageRow {
    /// By what rows of a session are in order.
    pub(super) fn order(&self) -> (Timestamp, &str) {
        (self.at, &self.id)
    }

    /// Adds the responses among some parts of a unit that are asked for.
    pub(super) fn add_all(rows: &mut Vec<Self>, asked: &Asked, around: &Arc<Around>, parts: &Parts, names: &mut Names) {
        let within = parts.messages.iter().filter(|message| asked.filter.window.has(message.rank.time));
        rows.extend(within.filter_map(|message| Self::of(asked, around, message, names)));
    }

    /// `None` for a response that no model wrote, and for one of which no model is asked for.
    fn of(asked: &Asked, around: &Arc<Around>, message: &Message, names: &mut Names) -> Option<Self> {
        let (mut model, mut sum) = (None, Used::default());
        for share in &message.shares {
            let name = names.shown(&share.model);
            if asked.takes_model(&name) {
                sum.add(&used(share));
                model.get_or_insert(name);
            }
        }
        Some(Self {
            around: Arc::clone(around),
            at: message.rank.time,
            id: shown_id(&message.id),
            request: message.request.clone(),
            took_ms: (!message.undated).then(|| message.end.since_ms(message.start)),
            model: model?,
            used: sum,
            stop: message.stop.clone(),
        })
    }
}
