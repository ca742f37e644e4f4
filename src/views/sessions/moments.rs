//! What happened in a unit, as moments that borrow from the unit, in the order in which its parts are stored.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{
    Agent, Call, Message, Parts, Prompt, RowFact, RowPlace, Tool, ToolEnd, TurnEnd, Unit, UnitKey, summed_up,
};
use crate::transcript::expected::Expected;
use crate::transcript::ids::RowId;
use crate::transcript::record::{ApiError, Compaction, Fact, Fallback, Hook, Note, Outcome, Stop};
use crate::transcript::time::Timestamp;
use crate::transcript::time::seconds;
use crate::views::sessions::event::{Detail, Event, TextSource};
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::paths::OnPath;
use crate::views::traces::ids::{CHAT, COMPACTION, EXECUTE_TOOL, INVOKE_AGENT, SpanAt, TURN, TURN_KEY, span_id};

/// A unit, and what its events need to know of its session.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    pub unit: &'a Unit,
    /// Turn of the session that the unit is, or in which it was started, from 1; `None` if it belongs to no turn.
    pub turn: Option<usize>,
    /// When and how a sub-agent ended; `None` while it runs, and for other units.
    pub end: Option<TurnEnd>,
    /// How deep a sub-agent is nested, from 1; 0 for other units.
    pub depth: usize,
    /// The sub-agent that started a sub-agent; `None` if the main thread did, or nobody tells.
    pub parent: Option<&'a Arc<str>>,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    at: Timestamp,
    what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
enum What<'a> {
    Prompt(&'a Prompt, RowId),
    AgentStart(&'a Agent),
    Failure(&'a RowFact, ApiError),
    Fallback(&'a RowFact, &'a Fallback),
    Message(&'a Message),
    Call(&'a Tool, &'a Call),
    Result(&'a Tool, &'a ToolEnd),
    Compaction(&'a RowFact, &'a Compaction),
    Hook(&'a RowFact, &'a Hook),
    Note(&'a RowFact, &'a Note),
    Interrupt,
    AgentEnd(&'a Agent, TurnEnd),
}

/// What a moment changes in the state of its session.
#[derive(Debug, Clone, Copy)]
pub enum Mark<'a> {
    /// Nothing but that it happened.
    Plain,
    /// A turn began.
    Turn,
    /// A sub-agent began.
    AgentStart,
    /// A sub-agent ended.
    AgentEnd,
    /// A response used something.
    Used {
        used: SoFar,
        /// Tokens of its prompt.
        context_tokens: u64,
        model: &'a Arc<str>,
    },
    /// A call began.
    Call {
        /// Its `tool_use.id`.
        id: &'a str,
        tool: &'a str,
        /// xxh3-64 of the path of the file that it names; 0 if it names none.
        file: u64,
        /// Where its row stands.
        place: RowPlace,
    },
    /// A call ended.
    Result {
        /// True if the call itself is known. Its moment is the one before.
        called: bool,
        outcome: Outcome,
    },
    /// The conversation was compacted to so many tokens.
    Compacted(u64),
}

/// Tokens and cost of a session up to an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Tokens of all messages.
    pub tokens: Tokens,
    /// List price of these tokens, without those that have no price.
    pub cost: Money,
}

/// The moments of a unit as a whole: its prompt, start, end and interrupt.
pub fn of_unit<'a>(around: &Around<'a>) -> impl Iterator<Item = Moment<'a>> + use<'a> {
    let unit = around.unit;
    let prompt = match (&unit.prompt, &unit.key) {
        (Some(prompt), UnitKey::Turn(uuid)) => Some(Moment { at: prompt.time, what: What::Prompt(prompt, *uuid) }),
        _ => None,
    };
    let agent = unit.agent.as_ref();
    let start = agent.map(|agent| Moment { at: unit.started(), what: What::AgentStart(agent) });
    let end = agent.zip(around.end).map(|(agent, end)| Moment { at: end.at, what: What::AgentEnd(agent, end) });
    let interrupt = unit.interrupted.map(|at| Moment { at, what: What::Interrupt });
    prompt.into_iter().chain(start).chain(end).chain(interrupt)
}

/// The moments of some parts of a unit.
pub fn of_parts(parts: &Parts) -> impl Iterator<Item = Moment<'_>> {
    let messages = parts.messages.iter().filter(|message| !message.is_rest());
    let messages = messages.map(|message| Moment { at: message.end, what: What::Message(message) });
    let tools = parts.tools.iter().flat_map(|tool| {
        let call = tool.call.as_ref().map(|call| Moment { at: call.rank.time, what: What::Call(tool, call) });
        let end = tool.result.as_ref().map(|end| Moment { at: end.rank.time, what: What::Result(tool, end) });
        call.into_iter().chain(end)
    });
    let summed_up = summed_up(parts);
    let rows = parts.rows.iter().filter(move |row| !summed_up.contains(&row.id));
    let rows = rows.filter_map(|row| Some(Moment { at: row.time, what: of_row(row)? }));
    messages.chain(tools).chain(rows)
}

/// What a row tells of; `None` for what the model was offered, which is no event.
const fn of_row(row: &RowFact) -> Option<What<'_>> {
    Some(match &row.what {
        Fact::Failure(error) => What::Failure(row, *error),
        Fact::Compaction(done) => What::Compaction(row, done),
        Fact::Hook(hook) => What::Hook(row, hook),
        Fact::Note(note) => What::Note(row, note),
        Fact::Fallback(fallback) => What::Fallback(row, fallback),
        Fact::Offer(_) => return None,
    })
}

impl<'a> Moment<'a> {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self.what {
            What::Prompt(..) => EventKind::Prompt,
            What::AgentStart(_) => EventKind::SubagentStart,
            What::Failure(..) => EventKind::ApiError,
            What::Fallback(..) => EventKind::ModelChange,
            What::Message(_) => EventKind::Message,
            What::Call(..) => EventKind::ToolCall,
            What::Result(..) => EventKind::ToolResult,
            What::Compaction(..) => EventKind::Compaction,
            What::Hook(..) => EventKind::Hook,
            What::Note(_, note) => match note {
                Note::QueuedPrompt { .. } => EventKind::QueuedPrompt,
                Note::TaskEnded { .. } => EventKind::TaskEnd,
                Note::PullRequest(_) => EventKind::PullRequest,
                Note::AwaySummary { .. } => EventKind::AwaySummary,
                Note::PlanMode { .. } => EventKind::PlanMode,
                Note::ServerTool { .. } => EventKind::ServerTool,
            },
            What::Interrupt => EventKind::Interrupt,
            What::AgentEnd(..) => EventKind::SubagentEnd,
        }
    }

    /// What it changes in the state of its session.
    #[must_use]
    pub fn mark(&self) -> Mark<'a> {
        match self.what {
            What::Prompt(..) => Mark::Turn,
            What::AgentStart(_) => Mark::AgentStart,
            What::AgentEnd(..) => Mark::AgentEnd,
            What::Message(message) => {
                let usage = &message.usage;
                let split = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
                let written = usage.cache_write.unwrap_or_default().max(split);
                let context_tokens = usage.input.saturating_add(usage.cache_read).saturating_add(written);
                let model = message.shares().first().map_or(&message.model, |share| &share.model);
                Mark::Used { used: used_by(message), context_tokens, model }
            }
            What::Call(tool, call) => Mark::Call { id: &tool.id, tool: &call.name, file: call.file, place: call.place },
            What::Result(tool, end) => Mark::Result { called: tool.call.is_some(), outcome: end.outcome },
            What::Compaction(_, done) => Mark::Compacted(done.tokens_after),
            What::Failure(..) | What::Fallback(..) | What::Hook(..) | What::Note(..) | What::Interrupt => Mark::Plain,
        }
    }

    /// The rows that its text stands in.
    pub fn rows(&self) -> impl Iterator<Item = RowPlace> + use<'a> {
        let (one, several): (Option<RowPlace>, &[RowPlace]) = match self.what {
            What::Prompt(prompt, _) => (Some(prompt.place), &[]),
            What::AgentStart(agent) => (agent.prompt.filter(|_| agent.first_row.is_some()), &[]),
            What::Message(message) => (None, &message.rows),
            What::Call(_, call) => (Some(call.place), &[]),
            What::Result(_, end) => (Some(end.place), &[]),
            What::Note(row, Note::QueuedPrompt { .. } | Note::TaskEnded { .. } | Note::AwaySummary { .. }) => {
                (row.place, &[])
            }
            _ => (None, &[]),
        };
        one.into_iter().chain(several.iter().copied())
    }

    /// An id that puts moments of the same kind and millisecond in a fixed order.
    #[must_use]
    pub fn id(&self) -> Cow<'a, str> {
        match self.what {
            What::Prompt(_, uuid) => uuid.to_string().into(),
            What::Failure(row, _)
            | What::Fallback(row, _)
            | What::Compaction(row, _)
            | What::Hook(row, _)
            | What::Note(row, _) => row.id.to_string().into(),
            What::Message(message) => Cow::Borrowed(&message.id),
            What::Call(tool, _) | What::Result(tool, _) => Cow::Borrowed(&tool.id),
            What::AgentStart(agent) | What::AgentEnd(agent, _) => agent.call.as_deref().unwrap_or_default().into(),
            What::Interrupt => Cow::Borrowed(""),
        }
    }

    /// Whether a span is made of it. Of a call that is the call and not its result, of a sub-agent its start.
    #[must_use]
    pub fn is_span(&self, at: SpanAt) -> bool {
        let is_named = |kind, key: &str| span_id(at.trace, kind, key) == at.span;
        match self.what {
            What::Prompt(..) => is_named(TURN, TURN_KEY),
            What::AgentStart(agent) => is_named(INVOKE_AGENT, &agent.id.0),
            What::Message(message) => {
                let is_request = message.request.as_deref().is_some_and(|request| is_named(CHAT, request));
                is_request || is_named(CHAT, &message.id)
            }
            What::Call(tool, _) => is_named(EXECUTE_TOOL, &tool.id),
            What::Compaction(row, _) => is_named(COMPACTION, &row.id.to_string()),
            What::Failure(..)
            | What::Fallback(..)
            | What::Result(..)
            | What::Hook(..)
            | What::Note(..)
            | What::Interrupt
            | What::AgentEnd(..) => false,
        }
    }

    pub(super) fn order_of(&self, other: &Self) -> Ordering {
        let head = |moment: &Self| (moment.at, moment.kind().rank());
        head(self).cmp(&head(other)).then_with(|| self.id().cmp(&other.id()))
    }

    /// Whether it has text in rows that `takes` takes, told by their places.
    pub(super) fn has_text_at(&self, unit: &Unit, takes: impl Fn(&[RowPlace]) -> bool) -> bool {
        match self.what {
            What::Prompt(prompt, _) => takes(&[prompt.place]),
            What::Message(message) => takes(&message.rows),
            What::Call(_, call) => takes(&[call.place]),
            What::Result(_, end) => takes(&[end.place]),
            What::AgentStart(_) | What::Note(..) => self.told(unit).3.is_some_and(|source| takes(&source.rows)),
            What::Failure(..)
            | What::Fallback(..)
            | What::Compaction(..)
            | What::Hook(..)
            | What::Interrupt
            | What::AgentEnd(..) => false,
        }
    }

    /// Tokens and list price of a message; `None` for anything else.
    #[must_use]
    pub fn used(&self) -> Option<SoFar> {
        let What::Message(message) = self.what else { return None };
        Some(used_by(message))
    }

    /// The kind of a step and how long it took, in milliseconds, for a list of slowest steps; `None` if this is no
    /// step.
    #[must_use]
    pub fn took(&self) -> Option<(StepKind, u64)> {
        match self.what {
            What::Message(message) => Some((StepKind::Message, message.end.since_ms(message.start))),
            What::Result(tool, _) if tool.call.is_some() => Some((StepKind::Tool, tool.duration_ms()?)),
            _ => None,
        }
    }

    /// The event at position `index`. Its tokens and cost are added to `so_far`, which holds those of all events
    /// before.
    #[must_use]
    pub fn event(&self, around: &Around<'a>, index: usize, so_far: &mut SoFar) -> Event {
        if let Some(used) = self.used() {
            so_far.tokens += used.tokens;
            so_far.cost += used.cost;
        }
        let agent = around.unit.agent.as_ref().map(|agent| agent.id.shared());
        let (detail, duration_seconds, outcome, source) = self.told(around.unit);
        Event {
            index,
            at: self.at,
            detail,
            agent,
            parent_agent: around.parent.cloned(),
            depth: around.depth,
            turn: around.turn,
            gap_seconds: None,
            duration_seconds,
            outcome,
            tokens_so_far: so_far.tokens,
            cost_usd_so_far: so_far.cost,
            critical_path_seconds: None,
            source,
        }
    }

    /// [`Event::critical_path_seconds`]
    #[must_use]
    pub fn on_path(&self, paths: &OnPath) -> Option<f64> {
        match self.what {
            What::Message(message) => paths.message(&message.id),
            What::Result(tool, _) => paths.call(&tool.id),
            _ => None,
        }
    }

    fn told(&self, unit: &Unit) -> ToldEvent {
        match self.what {
            What::Prompt(prompt, uuid) => {
                let (origin, chars) = (prompt.origin.name(), prompt.chars);
                let detail = Detail::Prompt { uuid: uuid.to_string(), origin, chars };
                let source = unit.prompt_row().map(|(place, expected)| TextSource { rows: vec![place], expected });
                (detail, None, None, source)
            }
            What::AgentStart(agent) => {
                let (agent_type, tool_call_id) = (agent.agent_type.clone(), agent.call.clone());
                let detail = Detail::SubagentStart { agent_type, tool_call_id, background: agent.background };
                let source = agent
                    .prompt
                    .zip(agent.first_row)
                    .map(|(place, (_, row))| TextSource { rows: vec![place], expected: Expected::Prompt(row) });
                (detail, None, None, source)
            }
            What::AgentEnd(agent, end) => {
                let (agent_type, tool_call_id) = (agent.agent_type.clone(), agent.call.clone());
                let took = seconds(end.at.since_ms(unit.started()));
                (Detail::SubagentEnd { agent_type, tool_call_id }, Some(took), Some(end.reason.into()), None)
            }
            What::Failure(row, error) => {
                let uuid = row.id.to_string();
                let retry_in_seconds = seconds(error.retry_in_ms.into());
                let detail = Detail::ApiError { uuid, status: error.status, attempt: error.attempt, retry_in_seconds };
                (detail, None, Some(error.reason().into()), None)
            }
            What::Fallback(row, Fallback { trigger, from, to }) => {
                let (uuid, from, to) = (row.id.to_string(), Arc::clone(from), Arc::clone(to));
                (Detail::ModelChange { uuid, from, to, trigger: Arc::clone(trigger) }, None, None, None)
            }
            What::Message(message) => message_told(message),
            What::Call(tool, call) => {
                let (tool_call_id, message_id) = (tool.id.clone(), call.told_message().into());
                let permission_requested_at = tool.permission().map(|permission| permission.asked.to_rfc3339());
                let name = call.name.clone();
                let detail = Detail::ToolCall { tool_call_id, tool: name, message_id, permission_requested_at };
                let source = TextSource { rows: vec![call.place], expected: Expected::Call(tool.id.clone()) };
                (detail, None, None, Some(source))
            }
            What::Result(tool, end) => result_told(tool, end),
            What::Compaction(row, done) => {
                let (uuid, trigger) = (row.id.to_string(), done.trigger());
                let (tokens_before, tokens_after) = (done.tokens_before, done.tokens_after);
                let detail = Detail::Compaction { uuid, trigger, tokens_before, tokens_after };
                (detail, Some(seconds(done.duration_ms)), None, None)
            }
            What::Hook(row, hook) => hook_told(row, hook),
            What::Note(row, note) => note_told(row, note),
            What::Interrupt => (Detail::Interrupt, None, None, None),
        }
    }
}

/// The kinds of steps that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A tool call.
    Tool,
    /// An API call.
    Message,
}

/// The parts of an event that depend on its kind: detail, duration in seconds, outcome, place of its text.
type ToldEvent = (Detail, Option<f64>, Option<Arc<str>>, Option<TextSource>);

fn hook_told(row: &RowFact, hook: &Hook) -> ToldEvent {
    let detail = Detail::Hook {
        uuid: row.id.to_string(),
        name: Arc::clone(&hook.name),
        event: Arc::clone(&hook.event),
        tool_call_id: hook.call.clone(),
        exit_code: hook.exit_code,
    };
    (detail, hook.duration_ms.map(seconds), Some(hook.outcome().into()), None)
}

fn note_told(row: &RowFact, note: &Note) -> ToldEvent {
    let uuid = row.id.to_string();
    let source = || Some(TextSource { rows: vec![row.place?], expected: Expected::Note(row.id) });
    match note {
        Note::QueuedPrompt { origin, chars } => {
            (Detail::QueuedPrompt { uuid, origin: origin.name(), chars: *chars }, None, None, source())
        }
        Note::TaskEnded { task, call, status } => {
            let detail = Detail::TaskEnd { uuid, task_id: task.clone(), tool_call_id: call.clone() };
            (detail, None, status.clone(), source())
        }
        Note::PullRequest(request) => {
            let (number, url, repository) = (request.number, Arc::clone(&request.url), request.repository.clone());
            (Detail::PullRequest { number, url, repository }, None, None, None)
        }
        Note::AwaySummary { chars } => (Detail::AwaySummary { uuid, chars: *chars }, None, None, source()),
        Note::PlanMode { begins } => (Detail::PlanMode { uuid, begins: *begins }, None, None, None),
        Note::ServerTool { name, duration_ms } => {
            (Detail::ServerTool { uuid, tool: Arc::clone(name) }, duration_ms.map(seconds), None, None)
        }
    }
}

/// Tokens and list price of a response.
fn used_by(message: &Message) -> SoFar {
    let tokens = message.shares().iter().map(|share| share.tokens).sum();
    SoFar { tokens, cost: message.shares().iter().filter_map(|share| share.cost).sum() }
}

fn message_told(message: &Message) -> ToldEvent {
    let prices = message.shares().iter().filter_map(|share| share.cost);
    let unpriced = message.shares().iter().filter(|share| share.cost.is_none());
    let detail = Detail::Message {
        message_id: message.told_id().into(),
        request_id: message.request.clone(),
        model: message.shares().first().map_or(&message.model, |share| &share.model).clone(),
        tokens: message.shares().iter().map(|share| share.tokens).sum(),
        cost_usd: prices.reduce(|sum, cost| sum + cost),
        unpriced_tokens: unpriced.map(|share| share.tokens.total()).sum(),
        ttft_seconds: message.ttft_ms.map(|ms| seconds(ms.into())),
    };
    let mut rows = message.rows.clone();
    rows.sort_by_key(|row| (row.file, row.place.offset));
    let outcome = message.stop.as_ref().map(Stop::name).map(Into::into);
    let source = TextSource { rows, expected: Expected::Message(message.told_id().into()) };
    (detail, Some(seconds(message.end.since_ms(message.start))), outcome, Some(source))
}

fn result_told(tool: &Tool, end: &ToolEnd) -> ToldEvent {
    let detail = Detail::ToolResult {
        tool_call_id: tool.id.clone(),
        tool: tool.call.as_ref().map(|call| call.name.clone()),
        bytes: end.bytes,
        exit_code: end.exit_code,
        decision: end.decision.clone(),
        filled_in: end.filled_in,
        permission_wait_seconds: tool.permission().and_then(|permission| permission.waited_ms()).map(seconds),
    };
    let source = TextSource { rows: vec![end.place], expected: Expected::Result(tool.id.clone()) };
    (detail, tool.duration_ms().map(seconds), Some(end.outcome.name().into()), Some(source))
}
