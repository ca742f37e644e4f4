//! What happened at one moment: failed API attempts, hooks, changes of the model.

use super::list::List;
use crate::ledger::unit::{Failure, FellBack, HookRun, Message, Noted, Parts, Unit, summed_up};
use crate::transcript::record::Note;
use crate::views::traces::attributes as name;
use crate::views::traces::span::{SpanEvent, SpanStatus};

/// Most events of one span; those beyond are left out and counted in [`name::EVENTS_DROPPED`].
pub const EVENTS_MAX: usize = 32;

/// The events of a unit, given to the spans that show them.
pub(super) struct Events {
    /// Of each of the unit's model calls, in the order they were given.
    pub(super) of_chats: Vec<Vec<SpanEvent>>,
    /// Of the unit itself.
    pub(super) of_unit: Vec<SpanEvent>,
}

/// Gives each failed attempt to the model call that came of it: the first of the thread to end after it. What has none,
/// what nothing followed, hooks without a call and changes of the model belong to the unit.
pub(super) fn distribute(unit: &Unit, chats: &[&Message]) -> Events {
    let mut of_chats: Vec<Vec<SpanEvent>> = chats.iter().map(|_| Vec::new()).collect();
    for failure in &unit.parts.failures {
        let chat = chat_after(failure, chats).and_then(|position| of_chats.get_mut(position));
        if let Some(events) = chat {
            events.push(api_error(failure));
        }
    }
    of_chats.iter_mut().for_each(|events| events.sort_by_key(|event| event.time));
    Events { of_chats, of_unit: of_unit(&unit.parts, chats) }
}

/// The events among some parts of a unit that belong to the unit itself.
pub(super) fn of_unit(parts: &Parts, chats: &[&Message]) -> Vec<SpanEvent> {
    let mut events: Vec<_> = parts.fallbacks.iter().map(fallback).collect();
    events.extend(hooks_of(parts, None));
    events.extend(parts.notes.iter().map(note));
    events.extend(parts.failures.iter().filter(|failure| chat_after(failure, chats).is_none()).map(api_error));
    events.sort_by_key(|event| event.time);
    events
}

/// Position of the model call that came of a failed attempt.
fn chat_after(failure: &Failure, chats: &[&Message]) -> Option<usize> {
    let after = chats.iter().enumerate().filter(|(_, chat)| !failure.error.last && chat.end >= failure.time);
    after.min_by_key(|(position, chat)| (chat.end, *position)).map(|(position, _)| position)
}

/// The class of the failure that ended a unit: a final one that no response followed.
pub(super) fn ended_by(unit: &Unit) -> Option<&'static str> {
    let gist = unit.gist();
    let (time, error) = gist.gave_up?;
    gist.response.is_none_or(|response| response.end <= time).then(|| error.reason())
}

/// Status and `error.type` of a unit's span.
pub(super) fn unit_status(unit: &Unit, list: &mut List) -> SpanStatus {
    let Some(reason) = ended_by(unit) else { return SpanStatus::Unset };
    list.text(name::ERROR_TYPE, reason);
    SpanStatus::Error(reason.to_owned())
}

/// At most [`EVENTS_MAX`] events; says in `list` how many are left out.
pub(super) fn bounded(events: Vec<SpanEvent>, list: &mut List) -> Vec<SpanEvent> {
    bounded_beyond(events, 0, list)
}

/// The same, if so many were left out before.
pub(super) fn bounded_beyond(mut events: Vec<SpanEvent>, dropped: usize, list: &mut List) -> Vec<SpanEvent> {
    let dropped = events.len().saturating_sub(EVENTS_MAX) + dropped;
    if dropped > 0 {
        list.count(name::EVENTS_DROPPED, dropped as u64);
        events.truncate(EVENTS_MAX);
    }
    events
}

fn api_error(failure: &Failure) -> SpanEvent {
    let error = failure.error;
    let mut list = List::default();
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
    SpanEvent { name: name::API_ERROR.into(), time: failure.time, attributes: list.done() }
}

/// The hooks that ran for a call, or for none.
pub(super) fn hooks_of(parts: &Parts, call: Option<&str>) -> Vec<SpanEvent> {
    let summed_up = summed_up(parts);
    let of_call = parts.hooks.iter().filter(|hook| hook.what.call.as_deref() == call);
    let mut events: Vec<_> = of_call.filter(|hook| !summed_up.contains(&hook.id)).map(hook_event).collect();
    events.sort_by_key(|event| event.time);
    events
}

fn note(note: &Noted) -> SpanEvent {
    let mut list = List::default();
    let name = match &note.what {
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
    };
    SpanEvent { name: name.into(), time: note.time, attributes: list.done() }
}

fn hook_event(hook: &HookRun) -> SpanEvent {
    let what = &hook.what;
    let mut list = List::default();
    list.text(name::HOOK_NAME, &what.name);
    list.text(name::HOOK_EVENT, &what.event);
    list.word(name::HOOK_OUTCOME, what.kind.name());
    if let Some(duration) = what.duration_ms {
        list.seconds(name::HOOK_SECONDS, duration);
    }
    if let Some(code) = what.exit_code {
        list.number(name::HOOK_EXIT_CODE, code);
    }
    SpanEvent { name: name::HOOK.into(), time: hook.time, attributes: list.done() }
}

fn fallback(fallback: &FellBack) -> SpanEvent {
    let mut list = List::default();
    list.text(name::FALLBACK_TRIGGER, &fallback.what.trigger);
    list.text(name::FALLBACK_FROM, &fallback.what.from);
    list.text(name::FALLBACK_TO, &fallback.what.to);
    SpanEvent { name: name::FALLBACK.into(), time: fallback.time, attributes: list.done() }
}
