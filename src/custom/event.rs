//! The kinds of events that rules count, and the variables that each of them has. The check of rules, their evaluation
//! and the documentation all read the tables of this file.

use super::types::{Scalar, Type};
use crate::ledger::ended;
use crate::ledger::money::Money;
use crate::ledger::tally::Tally;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Message, RowFact, Tool, Unit};
use crate::measures::{Dimensions, MAIN};
use crate::transcript::extracts::Extracts;
use crate::transcript::record::{API_ERROR_REASONS, ApiError, Compaction, Origin, Outcome, Stop};

/// A kind of event: the value of `on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    Prompt,
    Message,
    ToolCall,
    ToolResult,
    Turn,
    Subagent,
    ApiError,
    Compaction,
    Session,
}

/// One event, with the properties that events of all kinds have.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'a> {
    /// What happened.
    pub what: What<'a>,
    /// The properties of the turn, sub-agent or session in which it happened.
    pub around: Dimensions<'a>,
    /// The project as labels show it; empty if projects are not shown.
    pub project: &'a str,
}

/// The fact that an event is.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A prompt, which begins a turn.
    Prompt(&'a Unit),
    /// An API response, and whether no further row of it can come.
    Message(&'a Message, bool),
    /// A tool call.
    Call(&'a Tool),
    /// The result of a tool call.
    Result(&'a Tool),
    /// A turn that has ended.
    Turn(&'a Unit),
    /// A sub-agent that has ended.
    Subagent(&'a Unit),
    /// A failed attempt to call the API.
    Failure(&'a RowFact, ApiError),
    /// A compaction.
    Compaction(&'a RowFact, &'a Compaction),
    /// A session that has begun; the version of its client.
    Session(Option<&'a str>),
}

/// A variable of an event.
pub struct Variable {
    /// Its name in expressions.
    pub name: &'static str,
    /// The type of its values.
    pub is: Type,
    /// Every value that it may have, if these are few.
    pub values: &'static [&'static str],
    /// What it means, and in which unit, as a sentence.
    pub help: &'static str,
    get: Getter,
}

/// Reads a variable of an event that has it; `None` if the event does not tell it.
type Getter = for<'a> fn(&Happening<'a>) -> Option<Scalar<'a>>;

/// Text that is at hand only while a row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowText {
    /// `input` of a call, whose fields are whatever the tool takes.
    Input,
    /// `text` of a prompt.
    Text,
}

const OUTCOMES: &[&str] =
    &[Outcome::Ok.name(), Outcome::Failed.name(), Outcome::Denied.name(), Outcome::Interrupted.name()];
const ORIGINS: &[&str] =
    &[Origin::Human.name(), Origin::Sdk.name(), Origin::TaskNotification.name(), Origin::Teammate.name()];
/// A variable with any number of values.
const NONE: &[&str] = &[];

macro_rules! variables {
    ($($table:ident: $($name:literal $is:ident $values:expr, $help:literal, $pattern:pat => $get:expr;)*)*) => {$(
        static $table: &[Variable] = &[$(Variable {
            name: $name,
            is: Type::$is,
            values: $values,
            help: $help,
            get: |happening| match happening.what {
                $pattern => $get,
                _ => None,
            },
        }),*];
    )*};
}

variables! {
    PROMPT:
    "origin" Text ORIGINS, "Who asked.", What::Prompt(unit) => some(unit.prompt.as_ref()?.origin.name());
    "chars" Int NONE, "Length of the prompt in characters.", What::Prompt(unit) => some(unit.prompt.as_ref()?.chars);
    "command" Text NONE, "The slash command with its slash; empty if the prompt is none.",
        What::Prompt(unit) => some(unit.prompt.as_ref()?.command.as_deref().unwrap_or_default());
    "source" Text NONE, "How the prompt came to the client; empty if it does not say.",
        What::Prompt(unit) => some(unit.prompt.as_ref()?.source.as_deref().unwrap_or_default());

    MESSAGE:
    "model" Text NONE, "Canonical id of the model that answered.",
        What::Message(message, _) => some(message.shares().first().map_or("", |share| &*share.model));
    "stop" Text NONE, "Why the model stopped: `end_turn`, `tool_use`, `max_tokens`, `stop_sequence`, `refusal`, or another word of the API.",
        What::Message(message, _) => some(message.stop.as_ref().map_or("", Stop::name));
    "skill" Text NONE, "The skill whose instructions led to the response; empty if none did.",
        What::Message(message, _) => some(message.skill.as_deref().unwrap_or_default());
    "effort" Text NONE, "How hard the model was asked to think; empty if the client does not say.",
        What::Message(message, _) => some(message.effort.as_deref().unwrap_or_default());
    "tokens.input" Int NONE, "Tokens of the prompt that were not cached.", What::Message(message, _) => tokens(message, |t| t.input);
    "tokens.output" Int NONE, "Tokens of the answer.", What::Message(message, _) => tokens(message, |t| t.output);
    "tokens.cache_read" Int NONE, "Tokens that were read from the cache.", What::Message(message, _) => tokens(message, |t| t.cache_read);
    "tokens.cache_write_5m" Int NONE, "Tokens that were written to the cache for five minutes.",
        What::Message(message, _) => tokens(message, |t| t.cache_write_5m);
    "tokens.cache_write_1h" Int NONE, "Tokens that were written to the cache for an hour.",
        What::Message(message, _) => tokens(message, |t| t.cache_write_1h);
    "tokens.total" Int NONE, "Tokens of all kinds.", What::Message(message, _) => tokens(message, |t| t.total());
    "cost_usd" Double NONE, "List price in US dollars, without what has no known price.",
        What::Message(message, _) => some(message.shares().iter().filter_map(|share| share.cost).sum::<Money>().to_f64());
    "duration_seconds" Double NONE,
        "Seconds from the request to the last row of the response. A rule that asks for it counts a response when the next row comes, others when its last row comes.",
        What::Message(message, is_over) => ((message.closed || is_over) && !message.undated).then(|| seconds(message.end.since_ms(message.start)))?;

    CALL:
    "tool" Text NONE, "The tool's own name.", What::Call(tool) => some(&*tool.call.as_ref()?.name);
    "agent_type" Text NONE, "The type of sub-agent that the call asks for; empty if it asks for none.",
        What::Call(tool) => some(tool.call.as_ref()?.agent_type.as_deref().unwrap_or_default());
    "skill" Text NONE, "The skill that a call of the Skill tool names; empty otherwise.",
        What::Call(tool) => some(tool.call.as_ref()?.skill.as_deref().unwrap_or_default());

    RESULT:
    "tool" Text NONE, "The tool's own name.", What::Result(tool) => some(&*tool.call.as_ref()?.name);
    "agent_type" Text NONE, "The type of sub-agent that the call asked for; empty if it asked for none.",
        What::Result(tool) => some(tool.call.as_ref()?.agent_type.as_deref().unwrap_or_default());
    "skill" Text NONE, "The skill that a call of the Skill tool names; empty otherwise.",
        What::Result(tool) => some(tool.call.as_ref()?.skill.as_deref().unwrap_or_default());
    "outcome" Text OUTCOMES, "How the call ended.", What::Result(tool) => some(tool.told_result()?.outcome.name());
    "decision" Text NONE, "Who allowed or refused the call; empty if the client does not say.",
        What::Result(tool) => some(tool.told_result()?.decision.as_deref().unwrap_or_default());
    "duration_seconds" Double NONE,
        "Seconds from the call to its result, the wait for permission included. No value if the result was filled in at a resume.",
        What::Result(tool) => seconds(tool.duration_ms()?);
    "result_bytes" Int NONE, "Bytes of the text of the result.", What::Result(tool) => some(tool.told_result()?.bytes);
    "exit_code" Int NONE, "Exit code of a failed command. Other results have no value.",
        What::Result(tool) => some(tool.told_result()?.exit_code?);
    "lines_added" Int NONE, "Lines that the call added to files.", What::Result(tool) => some(tool.told_result()?.lines_added);
    "lines_removed" Int NONE, "Lines that the call removed from files.",
        What::Result(tool) => some(tool.told_result()?.lines_removed);
    "searches" Int NONE, "Web searches that the call made.", What::Result(tool) => some(tool.told_result()?.searches);

    TURN:
    "origin" Text ORIGINS, "Who asked.", What::Turn(unit) => some(unit.prompt.as_ref()?.origin.name());
    "command" Text NONE, "The slash command with its slash; empty if the prompt is none.",
        What::Turn(unit) => some(unit.prompt.as_ref()?.command.as_deref().unwrap_or_default());
    "end" Text NONE, "How the turn ended: `stop`, `interrupted`, `api_error`, `max_turns`, `exit`, `next_prompt` or `idle`.",
        What::Turn(unit) => some(ended::over(unit).reason);
    "duration_seconds" Double NONE, "Seconds from the prompt to the last thing that it caused in the turn itself.",
        What::Turn(unit) => seconds(unit.activity_end().since_ms(unit.prompt.as_ref()?.time));
    "messages" Int NONE, "API responses of the turn itself.", What::Turn(unit) => some(messages(&unit.tally()));
    "tool_calls" Int NONE, "Tool calls of the turn itself.", What::Turn(unit) => some(calls(&unit.tally()));
    "tool_failures" Int NONE, "Those of its tool calls that failed.", What::Turn(unit) => some(failures(&unit.tally()));
    "lines_added" Int NONE, "Lines that the turn itself added to files.", What::Turn(unit) => some(unit.tally().lines_added);
    "lines_removed" Int NONE, "Lines that the turn itself removed from files.",
        What::Turn(unit) => some(unit.tally().lines_removed);
    "tokens.input" Int NONE, "Uncached tokens of prompts, with the sub-agents that the turn waited for.",
        What::Turn(unit) => some(unit.gist_with_below().tokens.input);
    "tokens.output" Int NONE, "Tokens of answers, with the sub-agents that the turn waited for.",
        What::Turn(unit) => some(unit.gist_with_below().tokens.output);
    "tokens.cache_read" Int NONE, "Tokens from the cache, with the sub-agents that the turn waited for.",
        What::Turn(unit) => some(unit.gist_with_below().tokens.cache_read);
    "tokens.total" Int NONE, "Tokens of all kinds, with the sub-agents that the turn waited for.",
        What::Turn(unit) => some(unit.gist_with_below().tokens.total());
    "cost_usd" Double NONE, "List price in US dollars, with the sub-agents that the turn waited for, without what has no known price.",
        What::Turn(unit) => some(unit.gist_with_below().cost.to_f64());

    SUBAGENT:
    "background" Bool NONE, "True if it went on after its call had returned.",
        What::Subagent(unit) => some(unit.agent.as_ref()?.background);
    "duration_seconds" Double NONE, "Seconds from its first row to the last thing that happened in it.",
        What::Subagent(unit) => seconds(unit.activity_end().since_ms(unit.started()));
    "messages" Int NONE, "API responses of the sub-agent.", What::Subagent(unit) => some(messages(&unit.tally()));
    "tool_calls" Int NONE, "Tool calls of the sub-agent.", What::Subagent(unit) => some(calls(&unit.tally()));
    "tool_failures" Int NONE, "Those of its tool calls that failed.", What::Subagent(unit) => some(failures(&unit.tally()));
    "tokens.input" Int NONE, "Uncached tokens of its prompts.", What::Subagent(unit) => some(unit.gist().tokens.input);
    "tokens.output" Int NONE, "Tokens of its answers.", What::Subagent(unit) => some(unit.gist().tokens.output);
    "tokens.cache_read" Int NONE, "Tokens that it read from the cache.", What::Subagent(unit) => some(unit.gist().tokens.cache_read);
    "tokens.total" Int NONE, "Tokens of all kinds.", What::Subagent(unit) => some(unit.gist().tokens.total());
    "cost_usd" Double NONE, "List price in US dollars, without what has no known price.",
        What::Subagent(unit) => some(unit.gist().cost.to_f64());

    FAILURE:
    "reason" Text &API_ERROR_REASONS, "What went wrong.", What::Failure(_, error) => some(error.reason());
    "status" Int NONE, "HTTP status. No value if there was no answer.", What::Failure(_, error) => some(u32::from(error.status?));
    "attempt" Int NONE, "Which attempt it was, from 1; 0 if the client does not say.",
        What::Failure(_, error) => some(error.attempt);
    "retry_in_seconds" Double NONE, "Seconds until the next attempt; 0 if there is none.",
        What::Failure(_, error) => seconds(u64::from(error.retry_in_ms));
    "last" Bool NONE, "True if the client gave up.", What::Failure(_, error) => some(error.last);

    COMPACTED:
    "trigger" Text &["auto", "manual"], "What set it off.", What::Compaction(_, done) => some(done.trigger());
    "tokens_before" Int NONE, "Tokens of the conversation before it.", What::Compaction(_, done) => some(done.tokens_before);
    "tokens_after" Int NONE, "Tokens of the conversation after it; 0 if the client does not say.",
        What::Compaction(_, done) => some(done.tokens_after);
    "duration_seconds" Double NONE, "Seconds that it took; 0 if the client does not say.",
        What::Compaction(_, done) => seconds(done.duration_ms);

    SESSION:
    "version" Text NONE, "Version of the client; empty if it does not say.",
        What::Session(version) => some(version.unwrap_or_default());
}

/// The variables that events of all kinds have.
static COMMON: &[Variable] = &[
    Variable {
        name: "project",
        is: Type::Text,
        values: NONE,
        help: "The project as the labels of the other metrics show it (`metrics.project_label`); empty if that is `off`.",
        get: |happening| some(happening.project),
    },
    Variable {
        name: "branch",
        is: Type::Text,
        values: NONE,
        help: "Git branch at the first row of the turn, sub-agent or session; empty without one.",
        get: |happening| some(happening.around.branch.unwrap_or_default()),
    },
    Variable {
        name: "entrypoint",
        is: Type::Text,
        values: NONE,
        help: "How the client was started, `cli` for example; empty if it does not say.",
        get: |happening| some(happening.around.entrypoint.unwrap_or_default()),
    },
    Variable {
        name: "agent",
        is: Type::Text,
        values: NONE,
        help: "`main` for the main thread, else the type of the sub-agent; `unknown` if nobody tells it.",
        get: |happening| some(agent(&happening.around)),
    },
];

impl Event {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Prompt,
        Self::Message,
        Self::ToolCall,
        Self::ToolResult,
        Self::Turn,
        Self::Subagent,
        Self::ApiError,
        Self::Compaction,
        Self::Session,
    ];

    /// The value of `on`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Message => "message",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Turn => "turn",
            Self::Subagent => "subagent",
            Self::ApiError => "api_error",
            Self::Compaction => "compaction",
            Self::Session => "session",
        }
    }

    /// What is counted and when, as a sentence.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Prompt => "A prompt that reached the model, at its own time.",
            Self::Message => "An API response, once its last row is known.",
            Self::ToolCall => "A tool call, at the time of the call.",
            Self::ToolResult => "The result of a tool call, at the time of the result.",
            Self::Turn => "A turn that has ended, at the time of the last thing in it.",
            Self::Subagent => "A sub-agent that has ended (its first run), at the time of the last thing in it.",
            Self::ApiError => "A failed attempt to call the API, retried ones included.",
            Self::Compaction => "A compaction of a conversation.",
            Self::Session => "A session, at the time of its first row.",
        }
    }

    /// The event with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The text that events of this kind have while their row is read; `None` if there is none.
    #[must_use]
    pub const fn row_text(self) -> Option<RowText> {
        match self {
            Self::Prompt => Some(RowText::Text),
            Self::ToolCall | Self::ToolResult => Some(RowText::Input),
            _ => None,
        }
    }

    /// The name of that text in expressions, and what it is, as a sentence.
    #[must_use]
    pub const fn text_variable(self) -> Option<(&'static str, &'static str)> {
        match self.row_text() {
            Some(RowText::Input) => Some((
                "input.FIELD",
                "A field of the input of the call, `input.command` of Bash for example; `has(input.command)` tells \
                 whether there is one. A condition about a field that is not there is not true.",
            )),
            Some(RowText::Text) => Some(("text", "The text of the prompt.")),
            None => None,
        }
    }

    /// Its variables: its own, then those that every event has.
    pub fn variables(self) -> impl Iterator<Item = &'static Variable> {
        self.own_variables().chain(Self::common_variables())
    }

    /// The variables that every event has.
    pub fn common_variables() -> impl Iterator<Item = &'static Variable> {
        COMMON.iter()
    }

    /// The variables that events of other kinds need not have.
    pub fn own_variables(self) -> impl Iterator<Item = &'static Variable> {
        let own = match self {
            Self::Prompt => PROMPT,
            Self::Message => MESSAGE,
            Self::ToolCall => CALL,
            Self::ToolResult => RESULT,
            Self::Turn => TURN,
            Self::Subagent => SUBAGENT,
            Self::ApiError => FAILURE,
            Self::Compaction => COMPACTED,
            Self::Session => SESSION,
        };
        own.iter()
    }

    pub(super) fn variable(self, name: &str) -> Option<&'static Variable> {
        self.variables().find(|variable| variable.name == name)
    }
}

impl Variable {
    /// The variable as a row of a Markdown table.
    #[must_use]
    pub fn row(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| format!("`{value}`")).collect();
        let values = if values.is_empty() { String::new() } else { format!(" One of {}.", values.join(", ")) };
        format!("| `{}` | {} | {}{values} |\n", self.name, self.is, self.help)
    }

    pub(super) fn of<'a>(&self, happening: &Happening<'a>) -> Option<Scalar<'a>> {
        (self.get)(happening)
    }
}

impl<'a> Happening<'a> {
    /// The kind of event that it is.
    #[must_use]
    pub const fn event(&self) -> Event {
        match self.what {
            What::Prompt(_) => Event::Prompt,
            What::Message(..) => Event::Message,
            What::Call(_) => Event::ToolCall,
            What::Result(_) => Event::ToolResult,
            What::Turn(_) => Event::Turn,
            What::Subagent(_) => Event::Subagent,
            What::Failure(..) => Event::ApiError,
            What::Compaction(..) => Event::Compaction,
            What::Session(_) => Event::Session,
        }
    }

    /// What the rules extracted of the text of its row.
    #[must_use]
    pub fn extracts(&self) -> Option<&'a Extracts> {
        match self.what {
            What::Call(tool) | What::Result(tool) => tool.call.as_ref().map(|call| &call.extracts),
            What::Prompt(unit) => unit.prompt.as_ref().map(|prompt| &prompt.extracts),
            _ => None,
        }
    }
}

/// The value of `agent`.
fn agent<'a>(around: &Dimensions<'a>) -> &'a str {
    if around.agent == Some(MAIN) { MAIN } else { around.agent_type.unwrap_or("unknown") }
}

fn messages(tally: &Tally) -> u64 {
    tally.models.values().map(|model| model.messages).sum()
}

fn calls(tally: &Tally) -> u64 {
    tally.tools.values().map(|tool| tool.calls).sum()
}

fn failures(tally: &Tally) -> u64 {
    tally.tools.values().map(|tool| tool.failed).sum()
}

/// Some value as a variable.
fn some<'a>(value: impl Into<Scalar<'a>>) -> Option<Scalar<'a>> {
    Some(value.into())
}

/// Milliseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "durations are far below the 2^53 ms that a double holds exactly")]
fn seconds<'a>(milliseconds: u64) -> Option<Scalar<'a>> {
    some(milliseconds as f64 / 1000.0)
}

/// A number of tokens over all models that took part in a response.
fn tokens<'a>(message: &Message, kind: fn(&Tokens) -> u64) -> Option<Scalar<'a>> {
    some(message.shares().iter().map(|share| kind(&share.tokens)).sum::<u64>())
}
