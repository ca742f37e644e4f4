//! A unit: what one prompt, or one sub-agent, caused. Units are stored, loaded, counted and traced as a whole.
//!
//! Every part has an identity and a merge that is commutative, associative and idempotent, so neither the order of
//! files nor the cuts between reads nor a second reading change the result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::claim::{Claim, ClaimBy};
use super::gist::Gist;
use super::holder::Holder;
pub use super::keys::{INLINE, Identity, UnitId, UnitKey};
use super::money::Money;
pub use super::parts::{Call, Message, Parts, RowFact, Section, Tool, ToolEnd, summed_up};
pub use super::place::{Rank, RowPlace, Surroundings};
pub use super::run::{OfRun, Provisional};
use super::runs::Runs;
use super::tally::{SourceEvents, Tally};
use crate::transcript::expected::Expected;
use crate::transcript::extracts::Extracts;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{Ending, Origin};
use crate::transcript::time::Timestamp;

/// What one prompt, or one sub-agent, caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// The turn, loose unit or sub-agent that it stands for.
    pub key: UnitKey,
    /// The best claim on it, which names the session that owns it.
    pub claim: Claim,
    /// Surroundings at its first row.
    pub context: Surroundings,
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// The prompt; `None` unless it is a turn whose prompt row is known.
    pub prompt: Option<Prompt>,
    /// The sub-agent; `None` unless the unit is one.
    pub agent: Option<Agent>,
    /// Its responses, tool calls and other events; empty if they lie in sections.
    pub parts: Parts,
    /// Its sections, if it has too many parts to hold them itself.
    pub sections: Option<Box<Sections>>,
    /// Gist of the sub-agents below it whose spans leave together with its own; `None` without any.
    pub below: Option<Box<Gist>>,
    /// Duration of the turn in milliseconds without the time in which it waited for the user, as the terminal client
    /// tells.
    pub active_ms: Option<u64>,
    /// When a person interrupted it.
    pub interrupted: Option<Timestamp>,
    /// When the next prompt of its thread came; `None` while there is none.
    pub superseded: Option<Timestamp>,
    /// The end that a row tells. It does not count if something happens in the unit later.
    pub told_end: Option<ToldEnd>,
    /// When a hook last gave text that the model has to answer: the unit cannot have ended before.
    pub asked_again: Option<Timestamp>,
    /// The sessions that have rows of it; empty if there is only one.
    pub holders: Vec<Holder>,
    /// True if its prompt was the first one after the previous process had ended.
    pub resumes: bool,
    /// True if it has a user or assistant row. A session needs such a unit to be a real session.
    pub spoken: bool,
    /// How far its spans have left.
    pub export: Export,
    /// The run that it belongs to, as a stream tells; `None` without one.
    pub of_run: Option<Box<OfRun>>,
    /// What is kept of a turn that a stream told of; `None` for every other unit.
    pub provisional: Option<Box<Provisional>>,
}

/// The end of a turn, as a row tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldEnd {
    /// Time of the row; for a row without a time, the time of the row before it.
    pub time: Timestamp,
    /// Why the turn is over.
    pub why: Ending,
}

/// The sections of a long unit, and sums over their parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sections {
    /// How many sections there are.
    pub count: u32,
    /// Sums over the parts of all sections.
    pub tally: Tally,
    /// Gist of the parts of all sections.
    pub gist: Gist,
    /// Positions of the sections with parts whose spans have not left.
    pub unsent: Runs,
    /// Positions of the sections with parts whose spans can leave before the unit has ended.
    pub ready: Runs,
}

/// How far the spans of a unit have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Export {
    /// True once it was decided whether its spans leave.
    pub done: bool,
    /// True once its root span is in the outbox or has left.
    pub sent: bool,
    /// True once the turn's duration and cost are in the histograms.
    pub observed: bool,
}

/// The prompt of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Who asked.
    pub origin: Origin,
    /// Time of the prompt's row.
    pub time: Timestamp,
    /// Where the row stands.
    pub place: RowPlace,
    /// Length in characters.
    pub chars: u32,
    /// Name of the slash command, with its slash; `None` if it is not a command.
    pub command: Option<Arc<str>>,
    /// How long it waited in the client's queue, in milliseconds; `None` if it did not or that is not certain.
    pub queued_ms: Option<u64>,
    /// [`Identity::Said`] of each of its blocks: a prompt row of the same session with one of them is a copy.
    pub said: Vec<u64>,
    /// `promptSource`: how it came to the client.
    pub source: Option<Arc<str>>,
    /// What the rules of custom metrics extracted of its text. It is stored in a row of its own.
    #[serde(skip)]
    pub extracts: Extracts,
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
    /// True if it goes on after its call has returned.
    pub background: bool,
    /// Time and `uuid` of its first user or assistant row. The id of a background sub-agent's trace is made from it.
    pub first_row: Option<(Timestamp, RowId)>,
    /// Place of the row with its prompt.
    pub prompt: Option<RowPlace>,
    /// Its further runs, if it was given more work after it had ended: when each began, and the `uuid` of its first
    /// row. Each run is a unit of its own.
    pub runs: Vec<(Timestamp, RowId)>,
    /// What its side file or its workflow tells.
    pub told: Told,
    /// Calls whose results name it, in order of time: the one that started it, and those that sent it messages.
    pub asks: Vec<Ask>,
}

/// What the side file of a sub-agent tells, or the workflow that it is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `tool_use.id` of the call that started it.
    pub call: Option<Box<str>>,
    /// Its type.
    pub agent_type: Option<Arc<str>>,
    /// True if it goes on after its call has returned.
    pub background: bool,
}

/// A call whose result names a sub-agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// Time of the call's row, or of the result's row while the call is not known.
    pub time: Timestamp,
    /// `tool_use.id`
    pub call: Box<str>,
    /// True if the call returned at once and the sub-agent goes on.
    pub background: bool,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnEnd {
    /// When it ended.
    pub at: Timestamp,
    /// Why: the value of the attribute `claude_code.turn.end`.
    pub reason: &'static str,
}

impl Told {
    /// Adds what another source tells. What it does not tell stays.
    pub fn add(&mut self, other: Self) {
        self.call = other.call.or(self.call.take());
        self.agent_type = other.agent_type.or(self.agent_type.take());
        self.background |= other.background;
    }
}

impl Sections {
    /// Updates the sums to a change of a section; `before` is `None` for a new one.
    pub fn change(&mut self, position: u32, before: Option<&Parts>, after: &Parts) {
        let sums = |parts: &Parts| (Tally::of(parts), Gist::of(parts));
        let (before, after) = (before.map(sums).unwrap_or_default(), sums(after));
        self.tally.subtract(&before.0);
        self.tally.add(&after.0);
        self.gist.change(&before.1, &after.1);
        for (runs, parts) in [(&mut self.ready, after.1.ready), (&mut self.unsent, after.1.unsent)] {
            if parts > 0 {
                runs.insert(position);
            } else {
                runs.remove(position);
            }
        }
    }
}

impl Unit {
    /// Where the prompt of a turn stands, and what the row there must be. `None` if this is no turn.
    #[must_use]
    pub fn prompt_row(&self) -> Option<(RowPlace, Expected)> {
        let (UnitKey::Turn(row), Some(prompt)) = (&self.key, &self.prompt) else { return None };
        // The turn of a stream has the id of its first answer, and its prompt is repeated by some streams only.
        let expected = if self.provisional.is_some() { Expected::StreamPrompt } else { Expected::Prompt(*row) };
        Some((prompt.place, expected))
    }

    /// A unit without parts, with a claim on it.
    #[must_use]
    pub fn new(key: UnitKey, claim: Claim, context: Surroundings) -> Self {
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
                runs: Vec::new(),
                told: Told::default(),
                asks: Vec::new(),
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
            parts: Parts::default(),
            sections: None,
            below: None,
            active_ms: None,
            interrupted: None,
            superseded: None,
            told_end: None,
            asked_again: None,
            holders: Vec::new(),
            resumes: false,
            spoken: false,
            export: Export::default(),
            of_run: None,
            provisional: None,
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

    /// When it began: the time of its prompt, of a sub-agent's first user or assistant row, or else of its first row.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        let prompt = self.prompt.as_ref().map(|prompt| prompt.time);
        let agent = || self.agent.as_ref()?.first_row.map(|(time, _)| time);
        prompt.or_else(agent).unwrap_or(self.first)
    }

    /// The gist of all its parts, also those in sections.
    #[must_use]
    pub fn gist(&self) -> Gist {
        let mut gist = Gist::of(&self.parts);
        if let Some(sections) = &self.sections {
            gist.add(&sections.gist);
        }
        gist
    }

    /// The gist of the unit and of the sub-agents below it whose spans leave together with its own. It also has the
    /// time of the last activity, and counts the root span.
    #[must_use]
    pub fn gist_with_below(&self) -> Gist {
        let mut gist = self.gist();
        gist.latest = Some(self.activity_end_of(&gist));
        gist.spans += 1;
        if let Some(below) = &self.below {
            gist.add(below);
        }
        gist
    }

    /// For a sub-agent that does not outlive its call: the unit that holds the call, with whose spans its own leave.
    #[must_use]
    pub fn leaves_with(&self) -> Option<UnitId> {
        self.agent.as_ref().filter(|agent| !agent.background)?.parent
    }

    /// True if its gist, or that of the sub-agents below it, may have times that are too late; see [`Gist::is_loose`].
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.sections.as_ref().is_some_and(|sections| sections.gist.is_loose)
            || self.below.as_ref().is_some_and(|below| below.is_loose)
    }

    /// Sums over all its parts, also those in sections.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::of(&self.parts);
        if let Some(sections) = &self.sections {
            tally.add(&sections.tally);
        }
        if self.of_run.is_none() {
            // Nothing is missing on a stream that there was none of.
            tally.events = SourceEvents::default();
        }
        tally.turns = u64::from(self.is_turn());
        tally.subagents = u64::from(self.key.is_first_run());
        tally
    }

    /// True if it has no responses and no tool calls. What no response explains is no response.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let parts = &self.parts;
        self.sections.is_none() && parts.messages.iter().all(Message::is_rest) && parts.tools.is_empty()
    }

    /// True for what is left of a turn that a stream told of, once the session file has told all of it.
    #[must_use]
    pub fn is_shell(&self) -> bool {
        let is_empty = || self.parts.tells_nothing() && self.sections.as_ref().is_none_or(|all| all.gist.spans == 0);
        self.provisional.is_some() && self.prompt.is_none() && is_empty()
    }

    /// The unit without parts, sections and sub-agents below.
    #[must_use]
    pub fn head(&self) -> Self {
        Self {
            key: self.key.clone(),
            claim: self.claim.clone(),
            context: self.context.clone(),
            prompt: self.prompt.clone(),
            agent: self.agent.clone(),
            parts: Parts::default(),
            sections: None,
            below: None,
            holders: self.holders.clone(),
            of_run: self.of_run.clone(),
            provisional: self.provisional.clone(),
            ..*self
        }
    }

    /// Ids of the sections that hold its parts, in order.
    pub fn section_ids(&self) -> impl DoubleEndedIterator<Item = UnitId> + ExactSizeIterator + use<> {
        let id = self.key.id();
        let count = self.sections.as_ref().map_or(0, |sections| sections.count);
        (0..count).map(move |position| id.section(position))
    }

    /// Cost at list prices of the unit and of the sub-agents below it whose spans leave together with its own; `None`
    /// if a share of one of their responses has no known price.
    #[must_use]
    pub fn price_with_below(&self) -> Option<Money> {
        let gist = self.gist_with_below();
        (gist.unpriced == 0).then_some(gist.cost)
    }

    /// The hash of every identity that leads to this unit, without those that lead to its sections.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let agent = self.agent.as_ref();
        let link = agent.and_then(|agent| agent.call.as_deref()).map(|call| Identity::Link(call).hash());
        let name = agent.filter(|_| self.key.is_first_run()).map(|agent| Identity::Agent(&agent.id.0).hash());
        let said = self.prompt.iter().flat_map(|prompt| prompt.said.iter().copied());
        self.parts.identities().chain(link).chain(name).chain(said)
    }
}
