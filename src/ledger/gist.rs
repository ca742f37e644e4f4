//! A summary of parts, from which everything about a unit is decided without reading its parts.

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::parts::{Message, Parts, RowFact, Tool};
use super::tokens::Tokens;
use crate::transcript::record::{ApiError, Fact, Stop};
use crate::transcript::time::Timestamp;

/// A summary of some parts. Gists of different parts can be added, and an added gist can be replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gist {
    /// Tokens of the responses.
    pub tokens: Tokens,
    /// List price of the responses, without the shares that have no known price.
    pub cost: Money,
    /// Number of responses of which a share has no known price.
    pub unpriced: u64,
    /// Number of responses and tool calls, each of which is a span.
    pub spans: u64,
    /// Number of tool calls without a result.
    pub open: u64,
    /// Number of parts whose spans have not left.
    pub unsent: u64,
    /// Number of the unsent parts whose spans cannot change any more.
    pub ready: u64,
    /// Number of responses whose times are not used ([`Message::undated`]).
    pub undated: u64,
    /// When the last thing happened: the end of a response, a result, a failure, a hook or a compaction that was waited
    /// for.
    pub latest: Option<Timestamp>,
    /// The response that ended last.
    pub response: Option<LatestResponse>,
    /// The latest failure after which the client made no further attempt, and when it happened.
    pub gave_up: Option<(Timestamp, ApiError)>,
    /// True if a replaced part may have been the latest, so that `latest`, `response` and `gave_up` may be too late.
    pub is_loose: bool,
}

/// The response that ended last.
///
/// Of two that ended at the same moment it is the one that ends the turn, since nothing follows that one. So the order
/// in which responses are added does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LatestResponse {
    /// When it ended.
    pub end: Timestamp,
    /// True if the model had nothing more to say in this turn.
    pub ends_turn: bool,
}

impl Gist {
    /// The gist of these parts.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let mut gist = Self::default();
        parts.messages.iter().for_each(|message| gist.message(message));
        parts.tools.iter().for_each(|tool| gist.tool(tool));
        parts.rows.iter().for_each(|row| gist.row(row));
        gist
    }

    fn row(&mut self, row: &RowFact) {
        // A turn lasts until these have ended, because the person waits for them.
        let lengthens = match &row.what {
            Fact::Failure(_) => true,
            Fact::Hook(hook) => hook.holds_the_answer(),
            Fact::Compaction(done) => !done.manual,
            _ => false,
        };
        if lengthens {
            self.latest = self.latest.max(Some(row.time));
        }
        match &row.what {
            Fact::Failure(error) if error.last && self.gave_up.is_none_or(|(known, _)| known <= row.time) => {
                self.gave_up = Some((row.time, *error));
            }
            Fact::Compaction(_) if !row.sent => {
                self.unsent += 1;
                self.ready += 1;
            }
            _ => {}
        }
    }

    fn message(&mut self, message: &Message) {
        for share in message.shares() {
            self.tokens += share.tokens;
            self.cost += share.cost.unwrap_or_default();
        }
        self.unpriced += u64::from(message.shares().iter().any(|share| share.cost.is_none()));
        self.spans += 1;
        self.unsent += u64::from(!message.sent);
        self.ready += u64::from(message.closed && !message.sent);
        if message.undated {
            self.undated += 1;
        } else {
            self.latest = self.latest.max(Some(message.end));
        }
        let ends_turn = message.stop.as_ref().is_some_and(Stop::ends_turn);
        self.response = self.response.max(Some(LatestResponse { end: message.end, ends_turn }));
    }

    fn tool(&mut self, tool: &Tool) {
        self.spans += 1;
        self.open += u64::from(tool.is_open());
        self.unsent += u64::from(!tool.sent && tool.call.is_some());
        self.ready += u64::from(tool.is_finished() && !tool.sent);
        if let Some(end) = tool.result.as_ref().filter(|end| !end.filled_in) {
            self.latest = self.latest.max(Some(end.rank.time));
        }
    }

    /// Adds the gist of later parts.
    pub fn add(&mut self, later: &Self) {
        self.tokens += later.tokens;
        self.cost += later.cost;
        self.unpriced += later.unpriced;
        self.spans += later.spans;
        self.open += later.open;
        self.unsent += later.unsent;
        self.ready += later.ready;
        self.undated += later.undated;
        self.latest = self.latest.max(later.latest);
        self.response = self.response.max(later.response);
        if self.gave_up.is_none_or(|(known, _)| later.gave_up.is_some_and(|(later, _)| known <= later)) {
            self.gave_up = later.gave_up;
        }
        self.is_loose |= later.is_loose;
    }

    /// Replaces the gist of some parts, which was added before, by their new gist.
    pub fn change(&mut self, before: &Self, after: &Self) {
        self.tokens = self.tokens.minus(before.tokens);
        self.cost -= before.cost;
        self.unpriced = self.unpriced.saturating_sub(before.unpriced);
        self.spans = self.spans.saturating_sub(before.spans);
        self.open = self.open.saturating_sub(before.open);
        self.unsent = self.unsent.saturating_sub(before.unsent);
        self.ready = self.ready.saturating_sub(before.ready);
        self.undated = self.undated.saturating_sub(before.undated);
        self.is_loose |= lost(self.latest, before.latest, after.latest)
            || lost(self.response, before.response, after.response)
            || lost(
                self.gave_up.map(|(time, _)| time),
                before.gave_up.map(|(time, _)| time),
                after.gave_up.map(|(time, _)| time),
            );
        self.add(after);
    }
}

/// True if the replaced value may have been the latest of all and its replacement is earlier.
fn lost<T: Ord>(ours: Option<T>, before: Option<T>, after: Option<T>) -> bool {
    before.is_some() && before >= ours && after < before
}
