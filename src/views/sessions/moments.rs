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
use crate::transcript::record::{ApiError, Compaction, Fact, Hook, Note, Stop};
use crate::transcript::time::Timestamp;
use crate::transcript::time::seconds;
use crate::views::sessions::event::{Detail, Event, TextSource};
use crate::views::sessions::paths::OnPath;

/// A unit, and what its events need to know of its session.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    pub unit: &'a Unit,
    /// Turn of the session that the unit is, or in which it was started, from 1; `None` if it belongs to no turn.
    pub turn: Option<usize>,
    /// When and how a sub-agent ended; `None` while it runs, and for other units.
    pub end: Option<TurnEnd>,
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
    Message(&'a Message),
    Call(&'a Tool, &'a Call),
    Result(&'a Tool, &'a ToolEnd),
    Compaction(&'a RowFact, &'a Compaction),
    Hook(&'a RowFact, &'a Hook),
    Note(&'a RowFact, &'a Note),
    Interrupt,
    AgentEnd(&'a Agent, TurnEnd),
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
    let messages = parts.messages.iter().map(|message| Moment { at: message.end, what: What::Message(message) });
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

/// What a row tells of; `None` for a change of the model and for what it was offered, which are no events.
const fn of_row(row: &RowFact) -> Option<What<'_>> {
    Some(match &row.what {
        Fact::Failure(error) => What::Failure(row, *error),
        Fact::Compaction(done) => What::Compaction(row, done),
        Fact::Hook(hook) => What::Hook(row, hook),
        Fact::Note(note) => What::Note(row, note),
        Fact::Fallback(_) | Fact::Offer(_) => return None,
    })
}

impl<'a> Moment<'a> {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The order of moments in the same millisecond, causes before effects; the lowest comes first.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self.what {
            What::Prompt(..) => 0,
            What::AgentStart(_) => 1,
            What::Failure(..) => 2,
            What::Message(_) => 3,
            What::Call(..) => 4,
            What::Result(..) => 5,
            What::Compaction(..) => 6,
            What::Hook(..) => 7,
            What::Note(..) => 8,
            What::Interrupt => 9,
            What::AgentEnd(..) => 10,
        }
    }

    /// An id that puts moments of the same kind and millisecond in a fixed order.
    #[must_use]
    pub fn id(&self) -> Cow<'a, str> {
        match self.what {
            What::Prompt(_, uuid) => uuid.to_string().into(),
            What::Failure(row, _) | What::Compaction(row, _) | What::Hook(row, _) | What::Note(row, _) => {
                row.id.to_string().into()
            }
            What::Message(message) => Cow::Borrowed(&message.id),
            What::Call(tool, _) | What::Result(tool, _) => Cow::Borrowed(&tool.id),
            What::AgentStart(agent) | What::AgentEnd(agent, _) => agent.call.as_deref().unwrap_or_default().into(),
            What::Interrupt => Cow::Borrowed(""),
        }
    }

    pub(super) fn order_of(&self, other: &Self) -> Ordering {
        let head = |moment: &Self| (moment.at, moment.rank());
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
            What::Failure(..) | What::Compaction(..) | What::Hook(..) | What::Interrupt | What::AgentEnd(..) => false,
        }
    }

    /// Tokens and list price of a message; `None` for anything else.
    #[must_use]
    pub fn used(&self) -> Option<SoFar> {
        let What::Message(message) = self.what else { return None };
        let tokens = message.shares.iter().map(|share| share.tokens).sum();
        Some(SoFar { tokens, cost: message.shares.iter().filter_map(|share| share.cost).sum() })
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
            turn: around.turn,
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
                let source = TextSource { rows: vec![prompt.place], expected: Expected::Prompt(uuid) };
                (detail, None, None, Some(source))
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
            What::Message(message) => message_told(message),
            What::Call(tool, call) => {
                let (tool_call_id, message_id) = (tool.id.clone(), call.told_message().into());
                let detail = Detail::ToolCall { tool_call_id, tool: call.name.clone(), message_id };
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
    (detail, hook.duration_ms.map(seconds), Some(hook.kind.name().into()), None)
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

fn message_told(message: &Message) -> ToldEvent {
    let prices = message.shares.iter().filter_map(|share| share.cost);
    let unpriced = message.shares.iter().filter(|share| share.cost.is_none());
    let detail = Detail::Message {
        message_id: message.told_id().into(),
        request_id: message.request.clone(),
        model: message.shares.first().map_or(&message.model, |share| &share.model).clone(),
        tokens: message.shares.iter().map(|share| share.tokens).sum(),
        cost_usd: prices.reduce(|sum, cost| sum + cost),
        unpriced_tokens: unpriced.map(|share| share.tokens.total()).sum(),
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
    };
    let source = TextSource { rows: vec![end.place], expected: Expected::Result(tool.id.clone()) };
    (detail, tool.duration_ms().map(seconds), Some(end.outcome.name().into()), Some(source))
}
