//! Events and states, as replays answer them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::kept::Replays;
use crate::http::api::content::{ContentPage, EventContent};
use crate::http::api::reel::Reel;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::store::StoreError;
use crate::transcript::expected::Expected;
use crate::views::sessions::event::{Event, TextSource};
use crate::views::sessions::state::SessionState;
use crate::views::sessions::timeline::NamedFile;

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
}

fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

/// Tells states of a session.
pub(super) struct Teller<'t, 'p> {
    pub(super) reel: &'t Reel,
    pub(super) replays: &'t Replays,
    pub(super) page: &'t mut ContentPage<'p>,
}

impl Teller<'_, '_> {
    /// A state in words. Fails if the state cannot be read.
    pub(super) fn state(&mut self, state: &SessionState) -> Result<ToldState, StoreError> {
        let SessionState { so_far, context_tokens, model, turn, calls, agents, files, latest_files } = state;
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
        })
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
