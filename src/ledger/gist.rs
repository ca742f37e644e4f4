//! What parts come to: everything that decides about a unit without its parts being read.

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::parts::{Message, Parts, RowFact, Tool};
use super::tokens::Tokens;
use crate::transcript::record::{ApiError, Fact, Stop};
use crate::transcript::time::Timestamp;

/// What some parts come to. Gists of different parts can be added; what was added can be taken away again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gist {
    /// Tokens of the responses.
    pub tokens: Tokens,
    /// List price of those that have one.
    pub cost: Money,
    /// Responses of which a part has no price.
    pub unpriced: u64,
    /// Responses and tool calls: each is a span.
    pub spans: u64,
    /// Tool calls without a result.
    pub open: u64,
    /// Parts whose spans have not left.
    pub unsent: u64,
    /// Those of them whose spans cannot change any more.
    pub ready: u64,
    /// Responses whose times say nothing.
    pub undated: u64,
    /// When the last thing happened: the end of a response, a result, a failure.
    pub latest: Option<Timestamp>,
    /// The latest response.
    pub response: Option<LatestResponse>,
    /// The latest failure that no further attempt followed.
    pub gave_up: Option<(Timestamp, ApiError)>,
    /// Something that was taken away may have been the latest: the times above may be too late.
    pub is_loose: bool,
}

/// The response that ended last.
///
/// Of two that ended at one moment it is the one that ends the turn: nothing follows that, in whatever order they are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LatestResponse {
    /// When.
    pub end: Timestamp,
    /// The model had nothing more to say.
    pub ends_turn: bool,
}

impl Gist {
    /// What these parts come to.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let mut gist = Self::default();
        parts.messages.iter().for_each(|message| gist.message(message));
        parts.tools.iter().for_each(|tool| gist.tool(tool));
        parts.rows.iter().for_each(|row| gist.row(row));
        gist
    }

    fn row(&mut self, row: &RowFact) {
        // The person waits for hooks that hold the answer back, and for a compaction that the client began.
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
        for share in &message.shares {
            self.tokens += share.tokens;
            self.cost += share.cost.unwrap_or_default();
        }
        self.unpriced += u64::from(message.shares.iter().any(|share| share.cost.is_none()));
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

    /// Adds what later parts come to.
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

    /// Takes away what parts came to that were added before, and puts what they come to now in its place.
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

/// True if what was taken away may have been the latest of all, and what took its place is not.
fn lost<T: Ord>(ours: Option<T>, before: Option<T>, after: Option<T>) -> bool {
    before.is_some() && before >= ours && after < before
}
