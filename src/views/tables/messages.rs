//! The table `messages`: a row for each API response.

use std::sync::Arc;

use serde_json::json;

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
    shares: Option<Box<str>>,
}

/// The columns.
pub(super) static COLUMNS: [Column<MessageRow>; 23] = {
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
        Column::some(
            "shares",
            Kind::Text,
            "Where several models answered: what each of them used, as a JSON list of objects with `model` and the columns from `input` to `unpriced_tokens`.",
            |row| Value::text(row.shares.as_ref()),
        ),
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
        let mut shares: Vec<(Arc<str>, Used)> = Vec::new();
        let mut sum = Used::default();
        for share in message.shares() {
            let (model, used) = (names.shown(&share.model), used(share));
            if !asked.takes_model(&model) {
                continue;
            }
            sum.add(&used);
            match shares.iter_mut().find(|(known, _)| *known == model) {
                Some((_, known)) => known.add(&used),
                None => shares.push((model, used)),
            }
        }
        Some(Self {
            around: Arc::clone(around),
            at: message.rank.time,
            id: shown_id(&message.id),
            request: message.request.clone(),
            took_ms: (!message.undated).then(|| message.end.since_ms(message.start)),
            model: shares.first().map(|(model, _)| Arc::clone(model))?,
            used: sum,
            stop: message.stop.clone(),
            shares: apart(&shares),
        })
    }
}

/// What each of several models used, as JSON; `None` for one model, of which the row says everything.
fn apart(shares: &[(Arc<str>, Used)]) -> Option<Box<str>> {
    let of = |(model, used): &(Arc<str>, Used)| {
        let Used { tokens, cost, unpriced } = used;
        json!({
            "model": **model, "input": tokens.input, "output": tokens.output, "cache_read": tokens.cache_read,
            "cache_write_5m": tokens.cache_write_5m, "cache_write_1h": tokens.cache_write_1h,
            "cost_usd": cost.to_string(), "unpriced_tokens": unpriced,
        })
    };
    (shares.len() > 1).then(|| serde_json::Value::from_iter(shares.iter().map(of)).to_string().into())
}
