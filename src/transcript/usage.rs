//! `message.usage` of an assistant row, field by field.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Largest count of tokens that is believed; a larger one is cut to it. Far more than any response has, and small
/// enough that sums fit into 64 bits.
pub(super) const TOKENS_MAX: u64 = 1 << 40;

/// Entries of `usage.iterations` that are kept one by one. Real lists have a few.
const ITERATIONS_MAX: usize = 1_000;

/// How many sums of further entries there may be, one for each kind and model. Entries of more kinds are not counted.
const ITERATION_SUMS_MAX: usize = 16;

/// What one API response used, as a row tells it. Counts are tokens unless stated otherwise.
///
/// Every row of a message repeats the usage, and older clients write partial counts first: [`Usage::merge`] keeps the
/// maximum of each field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Generated tokens, thinking included.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache with any lifetime (`cache_creation_input_tokens`); `None` if not told.
    pub cache_write: Option<u64>,
    /// Written with a lifetime of five minutes (`cache_creation.ephemeral_5m_input_tokens`).
    pub cache_write_5m: u64,
    /// Written with a lifetime of one hour (`cache_creation.ephemeral_1h_input_tokens`).
    pub cache_write_1h: u64,
    /// Thinking tokens; already inside [`Usage::output`].
    pub thinking: u64,
    /// Number of web searches (`server_tool_use.web_search_requests`), not tokens.
    pub web_searches: u64,
    /// `speed == "fast"`.
    pub fast: bool,
    /// `inference_geo == "us"`.
    pub geo_us: bool,
    /// `service_tier == "batch"`.
    pub batch: bool,
    /// `iterations`: sampling steps, server-side compaction, advisor calls, fallbacks.
    pub iterations: Vec<Iteration>,
}

/// Why `message.usage` cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnreadableUsage {
    /// None of the four token counts is there.
    Missing,
    /// A count is not a whole number of tokens.
    NotANumber,
}

impl UnreadableUsage {
    /// Every reason, in the order in which the metric lists them.
    pub const ALL: [Self; 2] = [Self::Missing, Self::NotANumber];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotANumber => "not_a_number",
        }
    }
}

/// One entry of `usage.iterations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Iteration {
    /// What the entry is.
    pub kind: IterationKind,
    /// The entry's own model, if it names one.
    pub model: Option<Arc<str>>,
    /// Uncached prompt tokens.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache with any lifetime; `None` if not told.
    pub cache_write: Option<u64>,
    /// Of [`Iteration::cache_write`], those with a lifetime of five minutes.
    pub cache_write_5m: u64,
    /// Of [`Iteration::cache_write`], those with a lifetime of one hour.
    pub cache_write_1h: u64,
}

/// `type` of an iteration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum IterationKind {
    /// `message`: a sampling step, already inside the top-level counts.
    Message,
    /// `compaction`: billed, not inside the top-level counts.
    Compaction,
    /// `advisor_message`: billed at its own model, not inside the top-level counts.
    Advisor,
    /// `fallback_message`: the attempt that gave the answer; the top-level counts are those of this attempt.
    Fallback,
    /// Anything else: ignored.
    #[default]
    Other,
}

impl Usage {
    /// Raises every field to the maximum of both; commutative, associative and idempotent.
    pub fn merge(&mut self, other: &Self) {
        self.input = self.input.max(other.input);
        self.output = self.output.max(other.output);
        self.cache_read = self.cache_read.max(other.cache_read);
        self.cache_write = self.cache_write.max(other.cache_write);
        self.cache_write_5m = self.cache_write_5m.max(other.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.max(other.cache_write_1h);
        self.thinking = self.thinking.max(other.thinking);
        self.web_searches = self.web_searches.max(other.web_searches);
        self.fast |= other.fast;
        self.geo_us |= other.geo_us;
        self.batch |= other.batch;
        // The longer list is the later one; equal lengths are told apart by their numbers.
        if (other.iterations.len(), &other.iterations) > (self.iterations.len(), &self.iterations) {
            self.iterations.clone_from(&other.iterations);
        }
    }
}

impl Iteration {
    /// Adds the counts of another entry of the same kind and model.
    fn add(&mut self, other: &Self) {
        let sum = |own: u64, other: u64| own.saturating_add(other).min(TOKENS_MAX);
        let written = |entry: &Self| entry.cache_write.unwrap_or(entry.cache_write_5m + entry.cache_write_1h);
        let is_told = self.cache_write.is_some() || other.cache_write.is_some();
        self.cache_write = is_told.then(|| sum(written(self), written(other)));
        self.input = sum(self.input, other.input);
        self.output = sum(self.output, other.output);
        self.cache_read = sum(self.cache_read, other.cache_read);
        self.cache_write_5m = sum(self.cache_write_5m, other.cache_write_5m);
        self.cache_write_1h = sum(self.cache_write_1h, other.cache_write_1h);
    }
}

/// Takes one more entry of `usage.iterations`. Beyond [`ITERATIONS_MAX`] entries of the same kind and model are summed
/// up, and priced as if they were one request.
pub(super) fn add_iteration(iterations: &mut Vec<Iteration>, entry: Iteration) {
    let is_full = iterations.len() >= ITERATIONS_MAX + ITERATION_SUMS_MAX;
    let sums = iterations.get_mut(ITERATIONS_MAX..).unwrap_or_default();
    match sums.iter_mut().find(|sum| (sum.kind, &sum.model) == (entry.kind, &entry.model)) {
        Some(sum) => sum.add(&entry),
        None if is_full => {}
        None => iterations.push(entry),
    }
}
