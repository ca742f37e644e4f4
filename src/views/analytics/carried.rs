//! Estimates what the results of tool calls cost after they were produced.
//!
//! - A result enters the prompt of every later response of its thread, until the conversation is compacted or ends. The
//!   main thread goes on from turn to turn; each run of a sub-agent is a thread of its own.
//! - Session files tell the bytes of a result but not its tokens. How many bytes a token has is measured for each session:
//!   by how much prompts grew between two responses beyond what the model itself had written, and how many bytes of
//!   results came between them. Where too little was measured, a token is taken for `BYTES_PER_TOKEN` bytes.
//! - Each token is valued at what the later responses paid for cached input, [`Prices::cached_input`].

use std::collections::HashMap;

use super::work::{WaitKind, Work, WorkCall, WorkResponse};
use crate::ledger::prices::Prices;
use crate::transcript::hash::ById;
use crate::transcript::time::Timestamp;

/// Bytes of a token where that could not be measured.
const BYTES_PER_TOKEN: f64 = 3.0;

/// The least and most bytes that a token may be measured to have: beyond them, something else than results made the prompts
/// grow.
const BYTES_PER_TOKEN_RANGE: (f64, f64) = (1.5, 6.0);

/// Least bytes of results that must have been measured.
const MEASURED_BYTES_MIN: u64 = 10_000;

/// How prompts grew, beyond what the model had written, by results of so many bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    bytes: u64,
    tokens: u64,
}

/// The responses of a thread, and when its context was emptied.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// When each request began, and what all requests before it and itself paid for one token of cached input.
    requests: Vec<(Timestamp, u64)>,
    /// When a compaction ended.
    compacted: Vec<Timestamp>,
}

/// What a result cost later.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Carried {
    /// Tokens of the result.
    pub(super) tokens: f64,
    /// Responses that had it in their prompts.
    pub(super) responses: u32,
    /// What they paid for it, in picodollars.
    pub(super) picousd: f64,
}

impl Growth {
    /// Adds what the requests of a unit tell.
    pub(super) fn add(&mut self, work: &Work) {
        let mut bytes: HashMap<u64, u64, ById> = HashMap::default();
        for call in &work.calls {
            *bytes.entry(call.response).or_default() += call.bytes;
        }
        let mut compacted: Vec<Timestamp> = compacted(work).collect();
        compacted.sort_unstable();
        let compacted_by = |time: Timestamp| compacted.partition_point(|end| *end <= time);
        for (earlier, later) in work.responses.iter().zip(work.responses.iter().skip(1)) {
            let grown =
                later.tokens.prompt().checked_sub(earlier.tokens.prompt().saturating_add(earlier.tokens.output));
            if let (Some(bytes), Some(grown)) = (bytes.get(&earlier.id).filter(|bytes| **bytes > 0), grown)
                && compacted_by(earlier.start) == compacted_by(later.start)
            {
                self.bytes += bytes;
                self.tokens += grown;
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more")]
    fn bytes_per_token(self) -> f64 {
        if self.bytes < MEASURED_BYTES_MIN || self.tokens == 0 {
            return BYTES_PER_TOKEN;
        }
        (self.bytes as f64 / self.tokens as f64).clamp(BYTES_PER_TOKEN_RANGE.0, BYTES_PER_TOKEN_RANGE.1)
    }
}

/// When the compactions of a unit ended.
fn compacted(work: &Work) -> impl Iterator<Item = Timestamp> {
    let is_compaction = |kind: &WaitKind| matches!(kind, WaitKind::Compaction(_));
    work.waits.iter().filter(move |wait| is_compaction(&wait.kind)).map(|wait| wait.end)
}

impl Context {
    /// Adds what a unit of the thread did.
    pub(super) fn add(&mut self, work: &Work, prices: &Prices) {
        self.requests.extend(work.responses.iter().map(|response| (response.start, paid(response, prices))));
        self.compacted.extend(compacted(work));
    }

    /// The same in order, with sums. To be called once all units were added.
    pub(super) fn in_order(mut self) -> Self {
        self.requests.sort_unstable();
        self.compacted.sort_unstable();
        let mut sum = 0u64;
        for (_, paid) in &mut self.requests {
            sum = sum.saturating_add(*paid);
            *paid = sum;
        }
        self
    }

    /// What the result of a call of the thread cost later.
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more")]
    pub(super) fn carried(&self, call: &WorkCall, growth: Growth) -> Carried {
        if call.outcome.is_none() {
            return Carried::default();
        }
        let came = call.end();
        let end = self.compacted.get(self.compacted.partition_point(|compacted| *compacted <= came));
        let first = self.requests.partition_point(|(start, _)| *start < came);
        let last = end.map_or(self.requests.len(), |end| self.requests.partition_point(|(start, _)| start < end));
        let paid_before =
            |count: usize| count.checked_sub(1).and_then(|at| self.requests.get(at)).map_or(0, |(_, sum)| *sum);
        let tokens = call.bytes as f64 / growth.bytes_per_token();
        let paid = paid_before(last).saturating_sub(paid_before(first));
        Carried {
            tokens,
            responses: u32::try_from(last.saturating_sub(first)).unwrap_or(u32::MAX),
            picousd: tokens * paid as f64,
        }
    }
}

/// What a response paid for one token of cached input, in picodollars; 0 if it has no price.
fn paid(response: &WorkResponse, prices: &Prices) -> u64 {
    let paid = |picousd| prices.cached_input(&response.model, response.start, &response.tokens, picousd);
    response.picousd.and_then(paid).unwrap_or(0)
}
