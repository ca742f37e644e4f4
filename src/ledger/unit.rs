//! A unit: what one prompt, or one sub-agent, caused. The unit is what is stored, loaded, counted and traced.
//!
//! Every part has an identity and a merge that is commutative, associative and idempotent, so neither the order of
//! files nor the cuts between reads nor a second reading change the result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::keys::{INLINE, Identity, UnitId, UnitKey};
use super::money::Money;
use super::prices::Share;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{ApiError, Compaction, Fallback, Hook, Origin, Outcome, Place, Says, Stop};
use crate::transcript::time::Timestamp;
use crate::transcript::usage::Usage;

/// A claim of a session on a unit; the best one wins whatever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// `requestSessionId` said whose it is.
    pub explicit: bool,
    /// Time of the row that claims.
    pub time: Timestamp,
    /// File of the row.
    pub file: FileNumber,
    /// The session that claims.
    pub session: SessionId,
}

/// How good one variant of a row is: originals before copies, earlier before later, lower path before higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// A copy by its own words (`requestSessionId`), or without the `requestId` that the original has.
    pub copy: bool,
    /// Time of the row.
    pub time: Timestamp,
    /// File of the row.
    pub file: FileNumber,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    /// The file.
    pub file: FileNumber,
    /// How often the file had been read from its beginning; a place of an older reading may be wrong.
    pub generation: u32,
    /// Offset and length.
    pub place: Place,
}

/// Surroundings of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Working directory.
    pub cwd: Option<Arc<str>>,
    /// Git branch.
    pub branch: Option<Arc<str>>,
    /// Version of the client.
    pub version: Option<Arc<str>>,
    /// Entry point of the client.
    pub entrypoint: Option<Arc<str>>,
}

/// What one prompt, or one sub-agent, caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// What it is about.
    pub key: UnitKey,
    /// Whose it is.
    pub claim: Claim,
    /// Surroundings at its first row.
    pub context: Context,
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// The prompt, of a turn.
    pub prompt: Option<Prompt>,
    /// The sub-agent, of a sub-agent.
    pub agent: Option<Agent>,
    /// API responses.
    pub messages: Vec<Message>,
    /// Tool calls.
    pub tools: Vec<Tool>,
    /// Failed API attempts.
    pub failures: Vec<Failure>,
    /// Compactions.
    pub compactions: Vec<Compacted>,
    /// Hooks that ran.
    pub hooks: Vec<HookRun>,
    /// Changes to another model.
    pub fallbacks: Vec<FellBack>,
    /// Milliseconds of the turn without waiting for the user, as the terminal client says.
    pub active_ms: Option<u64>,
    /// When a person interrupted it.
    pub interrupted: Option<Timestamp>,
    /// When the next prompt of its thread came.
    pub superseded: Option<Timestamp>,
    /// Its prompt was the first after the process before had ended.
    pub resumes: bool,
    /// It has a user or assistant row: what makes a session of its owner.
    pub spoken: bool,
    /// What has left as spans.
    pub export: Export,
}

/// How far a turn's spans have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Export {
    /// It was decided whether its spans leave.
    pub done: bool,
    /// Its root span is in the outbox or has left.
    pub sent: bool,
    /// The turn's duration and cost are in the histograms.
    pub observed: bool,
}

/// The prompt of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Who asked.
    pub origin: Origin,
    /// When.
    pub time: Timestamp,
    /// Where the row stands.
    pub place: RowPlace,
    /// Length in characters.
    pub chars: u32,
    /// The slash command that it is, with its slash.
    pub command: Option<Arc<str>>,
    /// Milliseconds that it waited while the client was busy, if it was in the client's queue.
    pub queued_ms: Option<u64>,
}

/// A sub-agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its type (`general-purpose`, `Explore`, ...).
    pub agent_type: Option<Arc<str>>,
    /// `tool_use.id` of the call that started it.
    pub call: Option<Box<str>>,
    /// The unit that holds the call.
    pub parent: Option<UnitId>,
    /// It goes on after its call has returned.
    pub background: bool,
    /// Its first row, whose `uuid` names the trace of a background agent.
    pub first_row: Option<(Timestamp, RowId)>,
    /// Where its prompt stands.
    pub prompt: Option<RowPlace>,
}

/// One API response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `message.id`
    pub id: Box<str>,
    /// `requestId`
    pub request: Option<Box<str>>,
    /// `message.model`
    pub model: Arc<str>,
    /// `requestedModel`
    pub requested_model: Option<Arc<str>>,
    /// Maximum of each field over all rows.
    pub usage: Usage,
    /// `stop_reason`, once a row has one.
    pub stop: Option<Stop>,
    /// The best row so far.
    pub rank: Rank,
    /// When the request began: `api-request`, else the row that was answered.
    pub start: Timestamp,
    /// Time of the last row.
    pub end: Timestamp,
    /// The rows, one per content block.
    pub rows: Vec<RowPlace>,
    /// What it says besides tool calls.
    pub says: Says,
    /// The skill whose instructions led to it.
    pub skill: Option<Arc<str>>,
    /// Tokens and cost by model.
    pub shares: Vec<Share>,
    /// A later row of the thread is known: no further row of this message is expected.
    pub closed: bool,
    /// Its span has left.
    pub sent: bool,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `tool_use.id`
    pub id: Box<str>,
    /// The call; `None` while only its result is known.
    pub call: Option<Call>,
    /// The result; `None` while it runs.
    pub result: Option<ToolEnd>,
    /// The sub-agent it started.
    pub agent: Option<AgentId>,
    /// That sub-agent goes on after the call has returned.
    pub background: bool,
    /// Its span has left.
    pub sent: bool,
}

/// The calling side of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the tool.
    pub name: Arc<str>,
    /// Best row so far; its time is the start of the call.
    pub rank: Rank,
    /// Where the row stands.
    pub place: RowPlace,
    /// `message.id` of the response that called.
    pub message: Box<str>,
    /// `input.subagent_type`
    pub agent_type: Option<Arc<str>>,
    /// Hash of `input.prompt`; 0 without one.
    pub prompt_hash: u64,
    /// The skill that a call of the Skill tool names.
    pub skill: Option<Arc<str>>,
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolEnd {
    /// Best row so far; its time is the end of the call.
    pub rank: Rank,
    /// How it ended.
    pub outcome: Outcome,
    /// Written at a later resume: its time is not the end of the call.
    pub filled_in: bool,
    /// Bytes of the result's text.
    pub bytes: u64,
    /// Exit code of a failed command.
    pub exit_code: Option<i32>,
    /// Who allowed or refused it.
    pub decision: Option<Arc<str>>,
    /// Lines added to files.
    pub lines_added: u32,
    /// Lines removed from files.
    pub lines_removed: u32,
    /// Web searches that it made.
    pub searches: u32,
    /// Where the row stands.
    pub place: RowPlace,
}

/// A failed API attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// `uuid` of its row.
    pub id: RowId,
    /// When.
    pub time: Timestamp,
    /// What.
    pub error: ApiError,
}

/// A compaction of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compacted {
    /// `uuid` of its row.
    pub id: RowId,
    /// When it had ended.
    pub time: Timestamp,
    /// What it did.
    pub what: Compaction,
    /// Its span has left.
    pub sent: bool,
}

/// A hook that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// `uuid` of its row.
    pub id: RowId,
    /// When it had ended.
    pub time: Timestamp,
    /// What it was.
    pub what: Hook,
}

/// The client went on with another model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FellBack {
    /// `uuid` of its row.
    pub id: RowId,
    /// When.
    pub time: Timestamp,
    /// From what to what.
    pub what: Fallback,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnEnd {
    /// When.
    pub at: Timestamp,
    /// Value of `claude_code.turn.end`.
    pub reason: &'static str,
}

impl Tool {
    /// Milliseconds from call to result; `None` while it runs and where the result's time says nothing.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        let (call, end) = (self.call.as_ref()?, self.result.as_ref()?);
        (!end.filled_in).then(|| end.rank.time.since_ms(call.rank.time))
    }

    /// True if it was called and has no result yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.call.is_some() && self.result.is_none()
    }
}

impl Unit {
    /// An empty unit, claimed.
    #[must_use]
    pub fn new(key: UnitKey, claim: Claim, context: Context) -> Self {
        let (first, last) = (claim.time, claim.time);
        let agent = match &key {
            UnitKey::Agent(_, id) => Some(Agent {
                id: id.clone(),
                agent_type: None,
                call: None,
                parent: None,
                background: false,
                first_row: None,
                prompt: None,
            }),
            _ => None,
        };
        Self {
            key,
            claim,
            context,
            first,
            last,
            prompt: None,
            agent,
            messages: Vec::new(),
            tools: Vec::new(),
            failures: Vec::new(),
            compactions: Vec::new(),
            hooks: Vec::new(),
            fallbacks: Vec::new(),
            active_ms: None,
            interrupted: None,
            superseded: None,
            resumes: false,
            spoken: false,
            export: Export::default(),
        }
    }

    /// The session it belongs to.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.claim.session
    }

    /// True for a turn whose prompt row is known.
    #[must_use]
    pub const fn is_turn(&self) -> bool {
        matches!(self.key, UnitKey::Turn(_)) && self.prompt.is_some()
    }

    /// Time of the last thing that happened in it, for a turn without what came after its end.
    #[must_use]
    pub fn activity_end(&self) -> Timestamp {
        let start = self.prompt.as_ref().map_or(self.first, |prompt| prompt.time);
        let messages = self.messages.iter().map(|message| message.end);
        let results = self
            .tools
            .iter()
            .filter_map(|tool| tool.result.as_ref().filter(|end| !end.filled_in).map(|end| end.rank.time));
        let failures = self.failures.iter().map(|failure| failure.time);
        messages.chain(results).chain(failures).chain(self.interrupted).fold(start, Timestamp::max)
    }

    /// How the turn ended, as far as its rows tell.
    #[must_use]
    pub fn end(&self) -> Option<TurnEnd> {
        let at = self.activity_end();
        let open = self.tools.iter().any(Tool::is_open);
        let last = self.messages.iter().max_by_key(|message| message.end);
        let stopped = last.and_then(|message| message.stop.as_ref()).is_some_and(Stop::ends_turn);
        let gave_up = self.failures.iter().any(|failure| failure.error.last && failure.time >= at);
        if self.interrupted.is_some() {
            Some(TurnEnd { at, reason: "interrupted" })
        } else if gave_up {
            Some(TurnEnd { at, reason: "api_error" })
        } else if stopped && !open {
            Some(TurnEnd { at, reason: "stop" })
        } else {
            self.superseded.map(|_| TurnEnd { at, reason: "next_prompt" })
        }
    }

    /// List price of its responses, as far as they have one.
    #[must_use]
    pub fn cost(&self) -> Money {
        self.messages.iter().flat_map(|message| &message.shares).filter_map(|share| share.cost).sum()
    }

    /// True if a response has no known price.
    #[must_use]
    pub fn has_unpriced(&self) -> bool {
        self.messages.iter().flat_map(|message| &message.shares).any(|share| share.cost.is_none())
    }

    /// Every identity that leads to this unit.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let messages = self.messages.iter().map(|message| Identity::Message(&message.id).hash());
        let calls = self.tools.iter().map(|tool| Identity::Call(&tool.id).hash());
        let failures = self.failures.iter().map(|failure| Identity::Row(failure.id).hash());
        let compactions = self.compactions.iter().map(|compaction| Identity::Row(compaction.id).hash());
        let hooks = self.hooks.iter().map(|hook| Identity::Row(hook.id).hash());
        let fallbacks = self.fallbacks.iter().map(|fallback| Identity::Row(fallback.id).hash());
        let link = self.agent.iter().filter_map(|agent| agent.call.as_deref()).map(|call| Identity::Link(call).hash());
        messages.chain(calls).chain(failures).chain(compactions).chain(hooks).chain(fallbacks).chain(link)
    }
}

/// List price of several units together; `None` if a response of theirs has no known price.
#[must_use]
pub fn price<'a>(units: impl Iterator<Item = &'a Unit> + Clone) -> Option<Money> {
    (!units.clone().any(Unit::has_unpriced)).then(|| units.map(Unit::cost).sum())
}
