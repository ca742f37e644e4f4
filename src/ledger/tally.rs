//! Sums over parts. The tally of a unit depends on the unit alone; those of a session and of everything are sums of
//! these.
//!
//! They are the sums of the observations that `measures` makes of the same parts, but for one difference: a result of a
//! tool call that another process filled in counts here at once, and is observed only when the real one is not expected
//! any more ([`Tool::told_result`](super::parts::Tool::told_result)), because a counter cannot take anything back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::parts::Parts;
use super::tokens::Tokens;
use crate::transcript::record::Outcome;

/// Sums for one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTally {
    /// Number of distinct API responses.
    pub messages: u64,
    /// Tokens of these responses, and of iterations that are billed to this model.
    pub tokens: Tokens,
    /// Cost of all tokens that have a known price, at list prices.
    pub cost: Money,
    /// Number of tokens without a known price.
    pub unpriced: u64,
}

/// Sums for one tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolTally {
    /// Number of distinct calls.
    pub calls: u64,
    /// Calls that succeeded.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that were interrupted.
    pub interrupted: u64,
}

/// How many events the session file has, and how many a stream has. An event is a row of a response or the result of a
/// call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEvents {
    /// On both sides.
    pub both: u64,
    /// In a stream alone.
    pub only_stream: u64,
    /// In the session file alone.
    pub only_file: u64,
}

impl SourceEvents {
    /// Counts events, of which each side has so many.
    fn count(&mut self, in_stream: u64, in_file: u64) {
        let both = in_stream.min(in_file);
        self.both += both;
        self.only_stream += in_stream - both;
        self.only_file += in_file - both;
    }
}

impl ToolTally {
    /// Calls without a result.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.calls.saturating_sub(self.ok + self.failed + self.denied + self.interrupted)
    }
}

/// Sums over the parts of a unit, of a session, or of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of turns.
    pub turns: u64,
    /// Number of distinct sub-agents; further runs of one are not counted.
    pub subagents: u64,
    /// Number of distinct compactions.
    pub compactions: u64,
    /// Number of failed API attempts, final failures included.
    pub api_errors: u64,
    /// Lines added to files by tools.
    pub lines_added: u64,
    /// Lines removed from files by tools.
    pub lines_removed: u64,
    /// Which side tells of its events.
    pub events: SourceEvents,
    /// Sums for each model, by canonical id.
    pub models: BTreeMap<Arc<str>, ModelTally>,
    /// Sums for each tool, by its name in the session file.
    pub tools: BTreeMap<Arc<str>, ToolTally>,
}

impl Tally {
    /// The sums over some parts; `turns` and `subagents` are 0.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let mut tally = Self {
            compactions: parts.compactions().count() as u64,
            api_errors: parts.failures().count() as u64,
            ..Self::default()
        };
        for message in &parts.messages {
            if !message.is_rest() {
                let in_file = if message.in_file { message.rows.len() } else { 0 };
                tally.events.count(message.streamed.len() as u64, in_file as u64);
            }
            for (position, share) in message.shares().iter().enumerate() {
                let model = tally.models.entry(Arc::clone(&share.model)).or_default();
                model.messages += u64::from(position == 0 && !message.is_rest());
                model.tokens += share.tokens;
                match share.cost {
                    Some(cost) => model.cost += cost,
                    None => model.unpriced += share.tokens.total(),
                }
            }
        }
        for tool in &parts.tools {
            let Some(call) = &tool.call else { continue };
            let entry = tally.tools.entry(Arc::clone(&call.name)).or_default();
            entry.calls += 1;
            let Some(end) = &tool.result else { continue };
            tally.events.count(u64::from(tool.streamed), u64::from(tool.in_file));
            match end.outcome {
                Outcome::Ok => entry.ok += 1,
                Outcome::Failed => entry.failed += 1,
                Outcome::Denied => entry.denied += 1,
                Outcome::Interrupted => entry.interrupted += 1,
            }
            tally.lines_added += u64::from(end.lines_added);
            tally.lines_removed += u64::from(end.lines_removed);
        }
        tally
    }

    /// Number of distinct API responses of all models.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.models.values().map(|model| model.messages).sum()
    }

    /// Tokens of all models.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        let mut sum = Tokens::default();
        self.models.values().for_each(|model| sum += model.tokens);
        sum
    }

    /// Cost of all models at list prices, without tokens that have no known price.
    #[must_use]
    pub fn cost(&self) -> Money {
        self.models.values().map(|model| model.cost).sum()
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        self.subagents += other.subagents;
        self.compactions += other.compactions;
        self.api_errors += other.api_errors;
        self.lines_added += other.lines_added;
        self.lines_removed += other.lines_removed;
        self.events.both += other.events.both;
        self.events.only_stream += other.events.only_stream;
        self.events.only_file += other.events.only_file;
        for (name, theirs) in &other.models {
            let ours = self.models.entry(Arc::clone(name)).or_default();
            ours.messages += theirs.messages;
            ours.tokens += theirs.tokens;
            ours.cost += theirs.cost;
            ours.unpriced += theirs.unpriced;
        }
        for (name, theirs) in &other.tools {
            let ours = self.tools.entry(Arc::clone(name)).or_default();
            ours.calls += theirs.calls;
            ours.ok += theirs.ok;
            ours.failed += theirs.failed;
            ours.denied += theirs.denied;
            ours.interrupted += theirs.interrupted;
        }
    }

    /// Subtracts a tally that was added before. A model or tool whose sums become 0 is removed.
    pub fn subtract(&mut self, other: &Self) {
        self.turns = self.turns.saturating_sub(other.turns);
        self.subagents = self.subagents.saturating_sub(other.subagents);
        self.compactions = self.compactions.saturating_sub(other.compactions);
        self.api_errors = self.api_errors.saturating_sub(other.api_errors);
        self.lines_added = self.lines_added.saturating_sub(other.lines_added);
        self.lines_removed = self.lines_removed.saturating_sub(other.lines_removed);
        self.events.both = self.events.both.saturating_sub(other.events.both);
        self.events.only_stream = self.events.only_stream.saturating_sub(other.events.only_stream);
        self.events.only_file = self.events.only_file.saturating_sub(other.events.only_file);
        for (name, theirs) in &other.models {
            let Some(ours) = self.models.get_mut(name) else { continue };
            ours.messages = ours.messages.saturating_sub(theirs.messages);
            ours.tokens = ours.tokens.minus(theirs.tokens);
            ours.cost -= theirs.cost;
            ours.unpriced = ours.unpriced.saturating_sub(theirs.unpriced);
            if *ours == ModelTally::default() {
                self.models.remove(name);
            }
        }
        for (name, theirs) in &other.tools {
            let Some(ours) = self.tools.get_mut(name) else { continue };
            ours.calls = ours.calls.saturating_sub(theirs.calls);
            ours.ok = ours.ok.saturating_sub(theirs.ok);
            ours.failed = ours.failed.saturating_sub(theirs.failed);
            ours.denied = ours.denied.saturating_sub(theirs.denied);
            ours.interrupted = ours.interrupted.saturating_sub(theirs.interrupted);
            if *ours == ToolTally::default() {
                self.tools.remove(name);
            }
        }
    }
}
