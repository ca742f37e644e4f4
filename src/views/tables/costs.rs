//! The table `costs`: a row for each day, session, project, branch, model, agent and way of starting, which are all that
//! costs can be told apart by.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::around::{
    Around, Asked, HasAround, HasUsed, Names, agent, branch, entrypoint, host, project, session, used, used_columns,
    workflow,
};
use super::column::{Column, Kind, Row, TakeCells, Used, Value, cells};
use crate::ledger::unit::Parts;
use crate::views::analytics::period::Day;

/// What was spent on one day, by everything that it can be told apart by.
#[derive(Debug)]
pub struct CostRow {
    around: Arc<Around>,
    day: Day,
    model: Arc<str>,
    messages: u64,
    used: Used,
}

/// The columns.
pub(super) static COLUMNS: [Column<CostRow>; 17] = {
    let [input, output, cache_read, cache_write_5m, cache_write_1h, cost, unpriced] = used_columns();
    [
        host(),
        Column::of("day", Kind::Day, "The day in the time zone that is asked for.", |row| Value::Day(row.day)),
        session(),
        project(),
        branch(),
        Column::of("model", Kind::Text, "The canonical id of the model.", |row| Value::Text(&row.model)),
        agent(),
        workflow(),
        entrypoint(),
        Column::of("messages", Kind::Count, "Responses that this model answered first of all models.", |row| {
            Value::Count(row.messages)
        }),
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cost,
        unpriced,
    ]
};

impl HasAround for CostRow {
    fn around(&self) -> &Around {
        &self.around
    }
}

impl HasUsed for CostRow {
    fn used(&self) -> &Used {
        &self.used
    }
}

impl Row for CostRow {
    fn cells(&self, take: &mut dyn TakeCells) {
        cells(&COLUMNS, self, take);
    }
}

/// By what rows of a session are told apart, and are in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: Day,
    project: Option<Arc<str>>,
    branch: Option<Arc<str>>,
    model: Arc<str>,
    agent: Arc<str>,
    workflow: Option<Arc<str>>,
    entrypoint: Option<Arc<str>>,
}

/// The rows of a session so far.
#[derive(Debug, Default)]
pub struct CostRows(BTreeMap<Key, CostRow>);

impl CostRows {
    /// Adds the responses among some parts of a unit that are asked for.
    pub(super) fn add(&mut self, asked: &Asked, around: &Arc<Around>, parts: &Parts, names: &mut Names) {
        for message in parts.messages.iter().filter(|message| asked.filter.window.has(message.rank.time)) {
            let Some(day) = asked.zone.day(message.rank.time) else { continue };
            for (position, share) in message.shares().iter().enumerate() {
                let model = names.shown(&share.model);
                if !asked.takes_model(&model) {
                    continue;
                }
                let Around { project, branch, agent, workflow, entrypoint, .. } = &**around;
                let key = Key {
                    day,
                    project: project.clone(),
                    branch: branch.clone(),
                    model: Arc::clone(&model),
                    agent: Arc::clone(agent),
                    workflow: workflow.clone(),
                    entrypoint: entrypoint.clone(),
                };
                let empty = || CostRow { around: Arc::clone(around), day, model, messages: 0, used: Used::default() };
                let row = self.0.entry(key).or_insert_with(empty);
                row.messages += u64::from(position == 0 && !message.is_rest());
                row.used.add(&used(share));
            }
        }
    }

    /// The rows, in order.
    pub(super) fn into_rows(self) -> impl Iterator<Item = CostRow> {
        self.0.into_values()
    }
}
