//! Events of spans: failed API attempts, hooks, changes of the model, and other things that happen at one moment.

use super::list::AttributeList;
use crate::ledger::unit::{Message, Parts, RowFact, Tool, Unit, summed_up};
use crate::transcript::ids::RowId;
use crate::transcript::record::{ApiError, Fact, Fallback, Hook, Note};
use crate::views::traces::attributes as name;
use crate::views::traces::span::{SpanEvent, SpanStatus};

/// Most events of one span; those beyond are left out and counted in [`name::EVENTS_DROPPED`].
pub const EVENTS_MAX: usize = 32;

/// The events of a unit, given to the spans that show them.
pub(super) struct Events {
    /// The events of each of the unit's model calls, in the order in which the calls were given.
    pub(super) of_chats: Vec<Vec<SpanEvent>>,
    /// The events of the unit itself.
    pub(super) of_unit: Vec<SpanEvent>,
}

/// Gives each failed attempt to the model call that followed it: the first call of the unit that ends after it. The
/// unit itself gets failed attempts that no call followed, hooks that ran for no call, and all other events.
pub(super) fn distribute(unit: &Unit, chats: &[&Message]) -> Events {
    let mut of_chats: Vec<Vec<SpanEvent>> = chats.iter().map(|_| Vec::new()).collect();
    for (row, error) in unit.parts.failures() {
        let chat = chat_after(row, error, chats).and_then(|position| of_chats.get_mut(position));
        if let Some(events) = chat {
            events.extend(event(row));
        }
    }
    of_chats.iter_mut().for_each(|events| events.sort_by_key(|event| event.time));
    Events { of_chats, of_unit: of_unit(&unit.parts, chats) }
}

/// The events among some parts of a unit that belong to the unit itself.
pub(super) fn of_unit(parts: &Parts, chats: &[&Message]) -> Vec<SpanEvent> {
    let summed_up = summed_up(parts);
    let is_of_unit = |row: &&RowFact| match &row.what {
        Fact::Failure(error) => chat_after(row, *error, chats).is_none(),
        Fact::Hook(hook) => ran_for(None, row, hook, &summed_up),
        _ => true,
    };
    let mut rows: Vec<_> = parts.rows.iter().filter(is_of_unit).collect();
    rows.sort_by_key(|row| (row.time, rank(&row.what)));
    rows.into_iter().filter_map(event).collect()
}

/// The order in which events of one moment are listed.
const fn rank(what: &Fact) -> u8 {
    match what {
        Fact::Fallback(_) => 0,
        Fact::Hook(_) => 1,
        Fact::Failure(_) => 3,
        _ => 2,
    }
}

/// Position of the model call that followed a failed attempt; `None` if there is none.
fn chat_after(row: &RowFact, error: ApiError, chats: &[&Message]) -> Option<usize> {
    let after = chats.iter().enumerate().filter(|(_, chat)| !error.last && chat.end >= row.time);
    after.min_by_key(|(position, chat)| (chat.end, *position)).map(|(position, _)| position)
}

/// The class of the failure that ended a unit, which is a last attempt that no response followed; `None` if there is
/// none.
pub(super) fn ended_by(unit: &Unit) -> Option<&'static str> {
    let gist = unit.gist();
    let (time, error) = gist.gave_up?;
    gist.response.is_none_or(|response| response.end <= time).then(|| error.reason())
}

/// The status of a unit's span; `error.type` is added to `list` if the unit failed.
pub(super) fn unit_status(unit: &Unit, list: &mut AttributeList) -> SpanStatus {
    let Some(reason) = ended_by(unit) else { return SpanStatus::Unset };
    list.text(name::ERROR_TYPE, reason);
    SpanStatus::Error(reason.to_owned())
}

/// Keeps the first [`EVENTS_MAX`] events, and adds to `list` how many are left out.
pub(super) fn bounded(events: Vec<SpanEvent>, list: &mut AttributeList) -> Vec<SpanEvent> {
    bounded_beyond(events, 0, list)
}

/// As [`bounded`], if `dropped` events were left out before.
pub(super) fn bounded_beyond(mut events: Vec<SpanEvent>, dropped: usize, list: &mut AttributeList) -> Vec<SpanEvent> {
    let dropped = events.len().saturating_sub(EVENTS_MAX) + dropped;
    if dropped > 0 {
        list.count(name::EVENTS_DROPPED, dropped as u64);
        events.truncate(EVENTS_MAX);
    }
    events
}

/// The hooks that ran for a call, and the question whether it may run.
pub(super) fn of_call(parts: &Parts, call: &Tool) -> Vec<SpanEvent> {
    let summed_up = summed_up(parts);
    let hooks = parts.hooks().filter(|(row, hook)| ran_for(Some(&call.id), row, hook, &summed_up));
    let asked = call.permission().map(|permission| SpanEvent {
        name: name::PERMISSION_REQUESTED.into(),
        time: permission.asked,
        attributes: Vec::new(),
    });
    let mut events: Vec<_> = asked.into_iter().chain(hooks.filter_map(|(row, _)| event(row))).collect();
    events.sort_by_key(|event| event.time);
    events
}

/// True for a hook that ran for `call`, or for no call if that is `None`. False if another row tells of the same hook.
fn ran_for(call: Option<&str>, row: &RowFact, hook: &Hook, summed_up: &[RowId]) -> bool {
    hook.call.as_deref() == call && !summed_up.contains(&row.id)
}

/// The event that a row tells of; `None` for a compaction, which is a span of its own, and for what the model was offered.
fn event(row: &RowFact) -> Option<SpanEvent> {
    let mut list = AttributeList::default();
    let name = match &row.what {
        Fact::Failure(error) => api_error(*error, &mut list),
        Fact::Compaction(_) | Fact::Offer(_) => return None,
        Fact::Hook(what) => hook(what, &mut list),
        Fact::Fallback(what) => fallback(what, &mut list),
        Fact::Note(what) => note(what, &mut list),
    };
    Some(SpanEvent { name: name.into(), time: row.time, attributes: list.done() })
}

fn api_error(error: ApiError, list: &mut AttributeList) -> &'static str {
    list.text(name::ERROR_TYPE, error.reason());
    if let Some(status) = error.status {
        list.number(name::HTTP_STATUS, status);
    }
    if error.attempt > 0 {
        list.number(name::API_ERROR_ATTEMPT, error.attempt);
    }
    if error.last {
        list.flag(name::API_ERROR_LAST);
    } else {
        list.seconds(name::API_ERROR_RETRY_SECONDS, u64::from(error.retry_in_ms));
    }
    name::API_ERROR
}

fn note(note: &Note, list: &mut AttributeList) -> &'static str {
    match note {
        Note::QueuedPrompt { origin, chars } => {
            list.word(name::PROMPT_ORIGIN, origin.name());
            list.number(name::PROMPT_LENGTH, *chars);
            name::QUEUED_PROMPT
        }
        Note::TaskEnded { task, call, status } => {
            list.maybe_text(name::TASK_ID, task.as_deref());
            list.maybe_text(name::TOOL_CALL_ID, call.as_deref());
            list.maybe_text(name::TASK_STATUS, status.as_deref());
            name::TASK_ENDED
        }
        Note::PullRequest(request) => {
            list.count(name::PULL_REQUEST_NUMBER, request.number);
            list.maybe_text(name::PULL_REQUEST_REPOSITORY, request.repository.as_deref());
            name::PULL_REQUEST
        }
        Note::AwaySummary { .. } => name::AWAY_SUMMARY,
        Note::PlanMode { begins: true } => name::PLAN_MODE_BEGAN,
        Note::PlanMode { begins: false } => name::PLAN_MODE_ENDED,
        Note::ServerTool { name, duration_ms } => {
            list.text(name::TOOL_NAME, name);
            if let Some(duration) = duration_ms {
                list.seconds(name::SERVER_TOOL_SECONDS, *duration);
            }
            name::SERVER_TOOL
        }
    }
}

fn hook(hook: &Hook, list: &mut AttributeList) -> &'static str {
    list.text(name::HOOK_NAME, &hook.name);
    list.text(name::HOOK_EVENT, &hook.event);
    list.word(name::HOOK_OUTCOME, hook.outcome());
    if let Some(duration) = hook.duration_ms {
        list.seconds(name::HOOK_SECONDS, duration);
    }
    if let Some(code) = hook.exit_code {
        list.number(name::HOOK_EXIT_CODE, code);
    }
    name::HOOK
}

fn fallback(fallback: &Fallback, list: &mut AttributeList) -> &'static str {
    list.text(name::FALLBACK_TRIGGER, &fallback.trigger);
    list.text(name::FALLBACK_FROM, &fallback.from);
    list.text(name::FALLBACK_TO, &fallback.to);
    name::FALLBACK
}
