//! Events and states, as replays answer them.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::kept::Replays;
use crate::http::api::content::{ContentPage, EventContent};
use crate::http::api::reel::Reel;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::store::{StoreError, StoreReader};
use crate::transcript::expected::Expected;
use crate::views::sessions::event::{Event, TextSource};
use crate::views::sessions::state::{SessionState, TaskCalls};
use crate::views::sessions::tasks::{self, Task, TaskChange, task_change};
use crate::views::sessions::timeline::NamedFile;

/// Most tasks of a state.
const TASKS_MAX: usize = 50;

/// An event with its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReplayEvent")]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) event: Event,
    #[serde(flatten)]
    pub(super) content: EventContent,
    /// The state of the session after the event, if it was asked for with `context=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<ToldState>,
}

/// The state of a session after some of its events.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReplayState")]
pub(super) struct ToldState {
    /// Tokens of all messages so far.
    tokens_so_far: Tokens,
    /// List price of these tokens in US dollars, without those that have no price.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    cost_usd_so_far: Money,
    /// Tokens in the prompt of the latest message of the main thread, or what its latest compaction left; `null` before.
    context_tokens: Option<u64>,
    /// The model of that message.
    model: Option<Arc<str>>,
    /// The latest turn, from 1; `null` before the first.
    turn: Option<u32>,
    /// Positions of the calls that have no result yet, in the order in which they began. Of more than 64 the latest.
    open_calls: Vec<usize>,
    /// How many calls have no result yet.
    open_calls_total: u32,
    /// Ids of the sub-agents that run, in the order in which they began. Of more than 64 the latest.
    subagents_running: Vec<Arc<str>>,
    /// How many sub-agents run.
    subagents_running_total: u32,
    /// Paths of the files that calls have named so far, the latest first. Of more than 20 the latest; without those whose
    /// row cannot be read any more.
    files: Vec<Arc<str>>,
    /// How many files calls have named so far.
    files_total: u32,
    /// The list of tasks of the main thread, from its `TodoWrite`, `TaskCreate` and `TaskUpdate`, in the order in which they
    /// were added. Of more than 50 the latest.
    tasks: Vec<Task>,
    /// How many tasks the list has.
    tasks_total: usize,
    /// True if a row that tells of the list cannot be read any more, or more than 200 changed it: then the list is what the
    /// others tell.
    tasks_incomplete: bool,
}

fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

/// The rows of a call and of its result.
pub(super) struct CallRows {
    /// Its `tool_use.id`.
    pub(super) id: Box<str>,
    pub(super) call: Arc<Value>,
    pub(super) result: Arc<Value>,
}

/// The rows of calls, which are given by the positions of each call and of its result; `None` for one whose rows cannot be
/// read any more. Fails if the state cannot be read.
pub(super) fn call_rows(
    (reader, reel): (&StoreReader, &Reel),
    page: &mut ContentPage<'_>,
    calls: &[(usize, usize)],
) -> Result<Vec<Option<CallRows>>, StoreError> {
    let positions: Vec<usize> = calls.iter().flat_map(|(call, result)| [*call, *result]).collect();
    let events = reel.placed_events(reader, &positions)?.into_iter().map(|placed| placed.event);
    let sources: HashMap<usize, TextSource> = events.filter_map(|event| Some((event.index, event.source?))).collect();
    let mut row = |position: &usize| -> Result<Option<Arc<Value>>, StoreError> {
        let Some(source) = sources.get(position) else { return Ok(None) };
        Ok(page.rows(source)?.ok().and_then(|rows| rows.into_iter().next()))
    };
    let mut found = Vec::with_capacity(calls.len());
    for (call, result) in calls {
        let id = match sources.get(call).map(|source| &source.expected) {
            Some(Expected::Call(id)) => Some(id.clone()),
            _ => None,
        };
        let rows = row(call)?.zip(row(result)?).zip(id);
        found.push(rows.map(|((call, result), id)| CallRows { id, call, result }));
    }
    Ok(found)
}

/// Tells states of a session.
pub(super) struct Teller<'t, 'p> {
    reader: &'t StoreReader,
    reel: &'t Reel,
    replays: &'t Replays,
    page: &'t mut ContentPage<'p>,
    /// What calls did to the list of tasks, by their numbers; `None` for one whose rows cannot be read any more.
    tasks: HashMap<u32, Option<TaskChange>>,
}

impl<'t, 'p> Teller<'t, 'p> {
    pub(super) fn new(
        (reader, reel): (&'t StoreReader, &'t Reel),
        replays: &'t Replays,
        page: &'t mut ContentPage<'p>,
    ) -> Self {
        Self { reader, reel, replays, page, tasks: HashMap::new() }
    }

    /// A state in words. Fails if the state cannot be read.
    pub(super) fn state(&mut self, state: &SessionState) -> Result<ToldState, StoreError> {
        let (mut list, tasks_incomplete) = self.tasks(&state.tasks)?;
        let SessionState { so_far, context_tokens, model, turn, calls, agents, files, latest_files, tasks: _ } = state;
        let timeline = &self.reel.timeline;
        let mut names = Vec::with_capacity(latest_files.len());
        for file in latest_files {
            let named = usize::try_from(*file).ok().and_then(|file| timeline.files().get(file));
            if let Some(named) = named {
                names.extend(self.name(named)?);
            }
        }
        let agent = |home: &u32| self.reel.nesting.id(timeline.unit_of(*home)?).cloned();
        Ok(ToldState {
            tokens_so_far: so_far.tokens,
            cost_usd_so_far: so_far.cost,
            context_tokens: *context_tokens,
            model: model.and_then(|model| timeline.model(model)).cloned(),
            turn: Some(*turn).filter(|turn| *turn > 0),
            open_calls: calls.latest.iter().filter_map(|event| self.reel.position(*event)).collect(),
            open_calls_total: calls.count,
            subagents_running: agents.latest.iter().filter_map(agent).collect(),
            subagents_running_total: agents.count,
            files: names,
            files_total: *files,
            tasks_total: list.len(),
            tasks: list.split_off(list.len().saturating_sub(TASKS_MAX)),
            tasks_incomplete,
        })
    }

    /// The list of tasks that these calls made, and whether some of them cannot be followed.
    fn tasks(&mut self, calls: &TaskCalls) -> Result<(Vec<Task>, bool), StoreError> {
        let unknown: Vec<u32> = calls.latest.iter().copied().filter(|call| !self.tasks.contains_key(call)).collect();
        let position = |event| self.reel.position(event).unwrap_or(usize::MAX);
        // The result of a call has the number behind it.
        let pairs: Vec<_> = unknown.iter().map(|call| (position(*call), position(call.saturating_add(1)))).collect();
        if !pairs.is_empty() {
            let rows = call_rows((self.reader, self.reel), self.page, &pairs)?;
            let told = |rows: CallRows| task_change(&rows.id, &rows.call, &rows.result);
            self.tasks.extend(unknown.into_iter().zip(rows.into_iter().map(|rows| rows.map(told))));
        }
        let mut is_incomplete = usize::try_from(calls.count).is_ok_and(|count| count > calls.latest.len());
        let mut list = Vec::new();
        for call in &calls.latest {
            match self.tasks.get(call) {
                Some(Some(change)) => tasks::apply(&mut list, change),
                _ => is_incomplete = true,
            }
        }
        Ok((list, is_incomplete))
    }

    /// The path of a file; `None` if the row that names it cannot be read any more.
    pub(super) fn name(&mut self, file: &NamedFile) -> Result<Option<Arc<str>>, StoreError> {
        if let Some(known) = self.replays.name(file.hash) {
            return Ok(Some(known));
        }
        let source = TextSource { rows: vec![file.place], expected: Expected::Call(file.call.clone()) };
        let Ok(rows) = self.page.rows(&source)? else { return Ok(None) };
        let Some(path) = rows.iter().find_map(|row| path_in(row, &file.call)) else { return Ok(None) };
        let path: Arc<str> = path.into();
        self.replays.keep_name(file.hash, &path);
        Ok(Some(path))
    }
}

/// The path of the file that a call in a row names.
fn path_in<'r>(row: &'r Value, call: &str) -> Option<&'r str> {
    let blocks = row.pointer("/message/content")?.as_array()?;
    let own = blocks.iter().find(|block| block.get("id").and_then(Value::as_str) == Some(call))?;
    let input = own.get("input")?;
    input.get("file_path").or_else(|| input.get("notebook_path"))?.as_str()
}
