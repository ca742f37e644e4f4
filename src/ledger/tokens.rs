//! Counts of tokens of five kinds, each of which has its own rate.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::transcript::usage::{Iteration, Usage};

/// Numbers of tokens; sums saturate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct Tokens {
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Generated tokens, thinking included.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Prompt tokens written to the cache for 1 hour.
    pub cache_write_1h: u64,
}

impl Tokens {
    /// The top-level counts of a response, cache writes split by lifetime.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        let (cache_write_5m, cache_write_1h) =
            split_writes(usage.cache_write, usage.cache_write_5m, usage.cache_write_1h);
        Self { input: usage.input, output: usage.output, cache_read: usage.cache_read, cache_write_5m, cache_write_1h }
    }

    /// The counts of one entry of `usage.iterations`, cache writes split by lifetime.
    #[must_use]
    pub fn of_iteration(entry: &Iteration) -> Self {
        let (cache_write_5m, cache_write_1h) =
            split_writes(entry.cache_write, entry.cache_write_5m, entry.cache_write_1h);
        Self { input: entry.input, output: entry.output, cache_read: entry.cache_read, cache_write_5m, cache_write_1h }
    }

    /// So many tokens written to the cache, for as long as a response with these counts wrote most of its own.
    #[must_use]
    pub const fn written_like(self, tokens: u64) -> Self {
        let none = Self { input: 0, output: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0 };
        if self.cache_write_1h > self.cache_write_5m {
            Self { cache_write_1h: tokens, ..none }
        } else {
            Self { cache_write_5m: tokens, ..none }
        }
    }

    /// Each count, or that of `other` if it is more.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
        }
    }

    /// Each count minus that of `other`, at least 0.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            cache_read: self.cache_read.saturating_sub(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_sub(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_sub(other.cache_write_1h),
        }
    }

    /// All prompt tokens: uncached, read and written.
    #[must_use]
    pub const fn prompt(self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }

    /// Prompt and output together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
        }
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// Splits cache writes into 5-minute and 1-hour ones.
///
/// The total counts. If the split is missing or its sum is lower, the rest is taken as 5-minute writes: rows of old
/// clients have no split, and the client prices them in this way.
fn split_writes(total: Option<u64>, part_5m: u64, part_1h: u64) -> (u64, u64) {
    let total = total.unwrap_or_else(|| part_5m.saturating_add(part_1h));
    let write_1h = part_1h.min(total);
    (total.saturating_sub(write_1h), write_1h)
}
