//! Sums over parts. A unit's tally is a function of the unit alone; a session's and the whole's are sums of these.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::parts::Parts;
use super::tokens::Tokens;
use crate::transcript::record::Outcome;

/// What a model did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTally {
    /// Distinct API responses.
    pub messages: u64,
    /// Their tokens, and those of iterations billed to this model.
    pub tokens: Tokens,
    /// List price of the priced ones.
    pub cost: Money,
    /// Tokens without a known price.
    pub unpriced: u64,
}

/// What a tool did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolTally {
    /// Distinct calls.
    pub calls: u64,
    /// Calls that ended well.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that were interrupted.
    pub interrupted: u64,
}

impl ToolTally {
    /// Calls without a result.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.calls.saturating_sub(self.ok + self.failed + self.denied + self.interrupted)
    }
}

/// Sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Turns.
    pub turns: u64,
    /// Distinct sub-agents.
    pub subagents: u64,
    /// Distinct compactions.
    pub compactions: u64,
    /// Failed API attempts, final failures included.
    pub api_errors: u64,
    /// Lines added to files by tools.
    pub lines_added: u64,
    /// Lines removed from files by tools.
    pub lines_removed: u64,
    /// By canonical model id.
    pub models: BTreeMap<Arc<str>, ModelTally>,
    /// By the tool's own name.
    pub tools: BTreeMap<Arc<str>, ToolTally>,
}

impl Tally {
    /// The sums of some parts.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let mut tally = Self {
            compactions: parts.compactions().count() as u64,
            api_errors: parts.failures().count() as u64,
            ..Self::default()
        };
        for message in &parts.messages {
            for (position, share) in message.shares.iter().enumerate() {
                let model = tally.models.entry(Arc::clone(&share.model)).or_default();
                model.messages += u64::from(position == 0);
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

    /// Distinct API responses.
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

    /// List price of everything that has a price.
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

    /// Takes away a tally that was added before. What is left empty disappears, as if it had never been.
    pub fn subtract(&mut self, other: &Self) {
        self.turns = self.turns.saturating_sub(other.turns);
        self.subagents = self.subagents.saturating_sub(other.subagents);
        self.compactions = self.compactions.saturating_sub(other.compactions);
        self.api_errors = self.api_errors.saturating_sub(other.api_errors);
        self.lines_added = self.lines_added.saturating_sub(other.lines_added);
        self.lines_removed = self.lines_removed.saturating_sub(other.lines_removed);
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
