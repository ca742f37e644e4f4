//! Five-hour blocks: the windows in which a subscription counts.
//!
//! A block begins at the full hour (UTC) of the first response after the end of the block before, or after five hours
//! without one, and lasts five hours. Source of the rule: `ccusage blocks`, version 20.0.24; only a response in the very
//! millisecond in which a block ends is in that block there, and in the next one here. Blocks are those of all responses,
//! whatever an answer is filtered by: the windows are the account's.

use std::collections::HashMap;

use super::cube::Cube;
use super::period::{QUARTER_MS, Quarter};
use crate::transcript::hash::ById;
use crate::transcript::time::Timestamp;

/// Length of a block in milliseconds.
pub const BLOCK_MS: i64 = 5 * HOUR_MS;

const HOUR_MS: i64 = 4 * QUARTER_MS;

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its first moment, a full hour.
    pub start: Timestamp,
    /// Time of its first response.
    pub first: Timestamp,
    /// Time of its last response.
    pub last: Timestamp,
}

impl Block {
    /// The first moment after it.
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        Timestamp(self.start.0 + BLOCK_MS)
    }

    /// Whether a response at `now` belongs to it, and one came within the last five hours.
    #[must_use]
    pub const fn is_active(&self, now: Timestamp) -> bool {
        self.start.0 <= now.0 && now.0 < self.end().0 && now.0 - self.last.0 < BLOCK_MS
    }
}

/// Every block, the earliest first.
#[must_use]
pub fn blocks(cube: &Cube) -> Vec<Block> {
    let mut quarters: HashMap<Quarter, (Timestamp, Timestamp), ById> = HashMap::default();
    for cell in cube.cells().flat_map(|(_, session)| &session.cells).filter(|cell| cell.has_responses()) {
        let (first, last) = quarters.entry(cell.quarter).or_insert((cell.first(), cell.last()));
        (*first, *last) = (cell.first().min(*first), cell.last().max(*last));
    }
    let mut spans: Vec<(Timestamp, Timestamp)> = quarters.into_values().collect();
    spans.sort_unstable();
    let mut found: Vec<Block> = Vec::new();
    // Within a quarter hour there is no gap of five hours, and no full hour, so its first and last response are enough.
    for (first, last) in spans {
        match found.last_mut() {
            Some(block) if first < block.end() && first.0 - block.last.0 < BLOCK_MS => {
                block.last = block.last.max(last);
            }
            _ => found.push(Block { start: Timestamp(first.0.div_euclid(HOUR_MS) * HOUR_MS), first, last }),
        }
    }
    found
}

/// The block of a quarter hour: a position in `blocks`.
#[must_use]
pub fn block_of(blocks: &[Block], quarter: Quarter) -> Option<usize> {
    let after = blocks.partition_point(|block| block.start <= quarter.start());
    let position = after.checked_sub(1)?;
    blocks.get(position).filter(|block| quarter.start() < block.end()).map(|_| position)
}
