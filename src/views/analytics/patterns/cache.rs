//! Prompts that were written to the cache again although they had been in it.
//!
//! A request that goes on with a conversation reads what the one before it left in the cache. What it does not read is lost:
//! the cache keeps a prompt for five minutes or an hour after its last use, and only for the same model and the same
//! beginning. Source: "Prompt caching" in the documentation of the API.

use std::cmp::Ordering;

use super::seen::{Request, Thread};
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;

/// How long the cache keeps a prompt, in milliseconds.
const FIVE_MINUTES_MS: u64 = 300_000;
const HOUR_MS: u64 = 3_600_000;

/// A request that wrote a prompt to the cache again.
pub(super) struct Rebuild<'s, 'a> {
    /// The request.
    pub(super) request: &'s Request<'a>,
    /// Why.
    pub(super) why: Why,
    /// The tokens that were sent again, as they were billed.
    pub(super) again: Tokens,
}

/// Why a cached prompt was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was not used for as long as the cache keeps it, between two turns.
    Break,
    /// The same within a turn or sub-agent: a call took so long.
    LongCall,
    /// Another model goes on.
    Model,
    /// The tools of an MCP server came or went.
    Tools,
    /// A fork did not read what its source had left.
    Fork,
    /// The beginning of the prompt is another one, or the cache was lost in some other way.
    Other,
}

impl Why {
    /// Whether the cache had forgotten the prompt.
    pub(super) const fn is_expired(self) -> bool {
        matches!(self, Self::Break | Self::LongCall)
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Break => "break",
            Self::LongCall => "long_call",
            Self::Model => "model_switch",
            Self::Tools => "tools_changed",
            Self::Fork => "fork",
            Self::Other => "other",
        }
    }
}

impl<'a> Thread<'a> {
    /// Whether tools of a server came or went between two times.
    fn is_offered_between(&self, from: Timestamp, to: Timestamp) -> bool {
        let first = self.offers.partition_point(|(_, offer)| offer.at < from);
        let between = self.offers.iter().skip(first).take_while(|(_, offer)| offer.at <= to);
        between.into_iter().any(|(_, offer)| offer.tools > 0 || offer.removed > 0)
    }

    /// The first request of a fork, if it wrote its prompt anew: that of its source was in the cache.
    fn of_fork(&self) -> Option<Rebuild<'_, 'a>> {
        let (forked, request) = (self.forked?, self.requests.first()?);
        let tokens = request.response.tokens;
        let is_for_hour = tokens.cache_write_1h > tokens.cache_write_5m;
        let kept_ms = if is_for_hour { HOUR_MS } else { FIVE_MINUTES_MS };
        let why = if request.response.start.since_ms(forked) > kept_ms { Why::Break } else { Why::Fork };
        Some(Rebuild { request, why, again: Tokens { output: 0, cache_read: 0, ..tokens } })
    }

    /// Every request that wrote at least so many tokens of a cached prompt again.
    pub(super) fn rebuilds(&self, tokens_min: u64) -> Vec<Rebuild<'_, 'a>> {
        let mut kept_ms = FIVE_MINUTES_MS;
        let mut rebuilds = Vec::new();
        rebuilds.extend(self.of_fork().filter(|rebuild| rebuild.again.prompt() >= tokens_min));
        for (before, request) in self.pairs() {
            let (had, has) = (&before.response.tokens, &request.response.tokens);
            // The larger share of what was written decides; what was only read is kept as before.
            match had.cache_write_1h.cmp(&had.cache_write_5m) {
                Ordering::Greater => kept_ms = HOUR_MS,
                Ordering::Less => kept_ms = FIVE_MINUTES_MS,
                Ordering::Equal => {}
            }
            let cached = had.cache_read.saturating_add(had.cache_write_5m).saturating_add(had.cache_write_1h);
            // A shorter prompt is another conversation: what was in the cache is not asked for any more.
            if has.prompt() < cached {
                continue;
            }
            let again = sent_again(has, cached.saturating_sub(has.cache_read));
            if again.prompt() == 0 || again.prompt() < tokens_min {
                continue;
            }
            let unused_ms = request.response.start.since_ms(before.response.start);
            let why = match unused_ms > kept_ms {
                true if before.unit == request.unit => Why::LongCall,
                true => Why::Break,
                false if before.response.model != request.response.model => Why::Model,
                false if self.is_offered_between(before.response.start, request.response.start) => Why::Tools,
                false => Why::Other,
            };
            rebuilds.push(Rebuild { request, why, again });
        }
        rebuilds
    }
}

/// Of the tokens that a request sent, as many as were lost: those written for an hour first, as they are the beginning of
/// the prompt, and then those written for five minutes, and those not written at all.
fn sent_again(sent: &Tokens, lost: u64) -> Tokens {
    let cache_write_1h = sent.cache_write_1h.min(lost);
    let cache_write_5m = sent.cache_write_5m.min(lost - cache_write_1h);
    let input = sent.input.min(lost - cache_write_1h - cache_write_5m);
    Tokens { input, cache_write_5m, cache_write_1h, ..Tokens::default() }
}
