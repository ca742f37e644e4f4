//! A unit: what one prompt, or one sub-agent, caused. The unit is what is stored, loaded, counted and traced.
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
use super::runs::Runs;
use super::tally::Tally;
use crate::transcript::ids::{AgentId, RowId, SessionId};
use crate::transcript::record::{Ending, Origin};
use crate::transcript::time::Timestamp;

/// What one prompt, or one sub-agent, caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// What it is about.
    pub key: UnitKey,
    /// Whose it is.
    pub claim: Claim,
    /// Surroundings at its first row.
    pub context: Surroundings,
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// The prompt, of a turn.
    pub prompt: Option<Prompt>,
    /// The sub-agent, of a sub-agent.
    pub agent: Option<Agent>,
    /// Its responses, tool calls and so on; none if they lie in sections.
    pub parts: Parts,
    /// Its sections, if its parts are too many to be held here.
    pub sections: Option<Box<Sections>>,
    /// What the sub-agents below it come to that leave together with it; `None` without any.
    pub below: Option<Box<Gist>>,
    /// Milliseconds of the turn without waiting for the user, as the terminal client says.
    pub active_ms: Option<u64>,
    /// When a person interrupted it.
    pub interrupted: Option<Timestamp>,
    /// When the next prompt of its thread came.
    pub superseded: Option<Timestamp>,
    /// What a row says of its end. What happens later in it makes that untrue.
    pub told_end: Option<ToldEnd>,
    /// When a hook last had words that the model has to answer: until then it goes on.
    pub asked_again: Option<Timestamp>,
    /// The sessions that have rows of it, if they are several.
    pub holders: Vec<Holder>,
    /// Its prompt was the first after the process before had ended.
    pub resumes: bool,
    /// It has a user or assistant row: what makes a session of its owner.
    pub spoken: bool,
    /// What has left as spans.
    pub export: Export,
}

/// That a turn is over, as a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldEnd {
    /// When; of a row without a time, that of the row before it.
    pub time: Timestamp,
    /// Why.
    pub why: Ending,
}

/// Where the parts of a long unit lie, and what they come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sections {
    /// How many sections there are.
    pub count: u32,
    /// Sums over all of them.
    pub tally: Tally,
    /// What they come to.
    pub gist: Gist,
    /// Positions of those that have parts whose spans have not left.
    pub unsent: Runs,
    /// Positions of those that have parts whose spans can leave before the unit has ended.
    pub ready: Runs,
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
    /// Hashes of its time and the text of each of its blocks: a row with one of them is a copy of it.
    pub said: Vec<u64>,
    /// `promptSource`: how it came to the client.
    pub source: Option<Arc<str>>,
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
    /// Its further runs, of one that had ended and was given more work: when each began, and its first row. Each is a unit
    /// of its own.
    pub runs: Vec<(Timestamp, RowId)>,
    /// What its side file says, or its workflow.
    pub told: Told,
    /// Calls whose results name it, in order: the one that started it, and those that gave it more work.
    pub asks: Vec<Ask>,
}

/// What a side file says of a sub-agent, or the workflow that it is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `tool_use.id` of the call that started it.
    pub call: Option<Box<str>>,
    /// Its type.
    pub agent_type: Option<Arc<str>>,
    /// It goes on after its call has returned.
    pub background: bool,
}

/// A call whose result names a sub-agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// When.
    pub time: Timestamp,
    /// `tool_use.id`
    pub call: Box<str>,
    /// The call returned at once.
    pub background: bool,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnEnd {
    /// When.
    pub at: Timestamp,
    /// Value of `claude_code.turn.end`.
    pub reason: &'static str,
}

impl Told {
    /// Takes in what another source says; that may say less.
    pub fn add(&mut self, other: Self) {
        self.call = other.call.or(self.call.take());
        self.agent_type = other.agent_type.or(self.agent_type.take());
        self.background |= other.background;
    }
}

impl Sections {
    /// Takes in that a section is now another; `None` if it was not there.
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
    /// An empty unit, claimed.
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

    /// When it began: its prompt, or the first row of a sub-agent; else its first row.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        let prompt = self.prompt.as_ref().map(|prompt| prompt.time);
        let agent = || self.agent.as_ref()?.first_row.map(|(time, _)| time);
        prompt.or_else(agent).unwrap_or(self.first)
    }

    /// What all its parts come to, those in sections too.
    #[must_use]
    pub fn gist(&self) -> Gist {
        let mut gist = Gist::of(&self.parts);
        if let Some(sections) = &self.sections {
            gist.add(&sections.gist);
        }
        gist
    }

    /// What it comes to with the sub-agents below it that leave together with it: also when that was active last, and how
    /// many spans it is.
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

    /// The unit that holds the call of a sub-agent which does not outlive it: it leaves together with that one.
    #[must_use]
    pub fn leaves_with(&self) -> Option<UnitId> {
        self.agent.as_ref().filter(|agent| !agent.background)?.parent
    }

    /// True if it may be that its gist, or that of the sub-agents below it, tells a time that is too late.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.sections.as_ref().is_some_and(|sections| sections.gist.is_loose)
            || self.below.as_ref().is_some_and(|below| below.is_loose)
    }

    /// Sums over all its parts.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::of(&self.parts);
        if let Some(sections) = &self.sections {
            tally.add(&sections.tally);
        }
        tally.turns = u64::from(self.is_turn());
        tally.subagents = u64::from(self.key.is_first_run());
        tally
    }

    /// True if it has no responses and no tool calls.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let parts = &self.parts;
        self.sections.is_none() && parts.messages.is_empty() && parts.tools.is_empty()
    }

    /// The unit without its parts, neither those that it holds itself nor those in sections.
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
            ..*self
        }
    }

    /// Ids of the sections that hold its parts, in order.
    pub fn section_ids(&self) -> impl DoubleEndedIterator<Item = UnitId> + ExactSizeIterator + use<> {
        let id = self.key.id();
        let count = self.sections.as_ref().map_or(0, |sections| sections.count);
        (0..count).map(move |position| id.section(position))
    }

    /// List price of it and of the sub-agents below it that leave together with it; `None` if a response of theirs has
    /// no known price.
    #[must_use]
    pub fn price_with_below(&self) -> Option<Money> {
        let gist = self.gist_with_below();
        (gist.unpriced == 0).then_some(gist.cost)
    }

    /// Every identity that leads to this unit, but for those that lead to its sections.
    pub fn identities(&self) -> impl Iterator<Item = u64> + '_ {
        let agent = self.agent.as_ref();
        let link = agent.and_then(|agent| agent.call.as_deref()).map(|call| Identity::Link(call).hash());
        let name = agent.filter(|_| self.key.is_first_run()).map(|agent| Identity::Agent(&agent.id.0).hash());
        let said = self.prompt.iter().flat_map(|prompt| prompt.said.iter().copied());
        self.parts.identities().chain(link).chain(name).chain(said)
    }
}
