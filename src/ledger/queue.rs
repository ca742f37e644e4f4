//! The client's queue of prompts, and how long a prompt waited in it.

use serde::{Deserialize, Serialize};

use crate::transcript::record::QueueStep;
use crate::transcript::time::Timestamp;

/// Prompts that wait while the client is busy. The client tells when a prompt comes and goes, but not which one, so the
/// first one in is assumed to be the first one out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// When each waiting prompt was added.
    waiting: Vec<Timestamp>,
    /// When the last prompt left, and how long it had waited in milliseconds; `None` if that is not certain.
    left: Option<(Timestamp, u64)>,
}

impl Queue {
    /// Most prompts that are remembered; the client's own queue is never that long.
    const WAITING_MAX: usize = 64;

    /// Within how many milliseconds after a prompt leaves the queue its row is written. A later prompt row is not that
    /// prompt.
    const ROW_WITHIN_MS: u64 = 5_000;

    /// A queue as it was stored: when each waiting prompt was added, and when the last one left and how long it had
    /// waited in milliseconds.
    #[must_use]
    pub const fn of(waiting: Vec<Timestamp>, left: Option<(Timestamp, u64)>) -> Self {
        Self { waiting, left }
    }

    /// Applies a step at `time`.
    pub fn step(&mut self, step: QueueStep, time: Timestamp) {
        match step {
            QueueStep::Enqueue if self.waiting.len() < Self::WAITING_MAX => self.waiting.push(time),
            QueueStep::Dequeue if !self.waiting.is_empty() => {
                // Prompts of a killed client are never taken out, so if several wait, it is not certain which one left.
                let is_only = self.waiting.len() == 1;
                let waited = time.since_ms(self.waiting.remove(0));
                self.left = is_only.then_some((time, waited));
            }
            QueueStep::Enqueue | QueueStep::Dequeue => {}
            QueueStep::Other => *self = Self::default(),
        }
    }

    /// How long the prompt whose row has this time had waited, in milliseconds; `None` if it was not in the queue.
    pub fn asked(&mut self, time: Timestamp) -> Option<u64> {
        // Rows that a fork copied are older than the prompt that left.
        let (left, waited) = self.left.filter(|(left, _)| *left <= time)?;
        self.left = None;
        (time.since_ms(left) <= Self::ROW_WITHIN_MS).then_some(waited)
    }
}
