//! The queue of prompts, and how long each of them waited.

use serde::{Deserialize, Serialize};

use crate::transcript::record::QueueStep;
use crate::transcript::time::Timestamp;

/// Prompts that wait while the client is busy. It says when they come and go, not which they are: first in, first out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// When those that wait were put in.
    waiting: Vec<Timestamp>,
    /// When the last one left, and how long it had waited; `None` if that is not sure.
    left: Option<(Timestamp, u64)>,
}

impl Queue {
    /// Prompts that are remembered; the client's own queue is never that long.
    const WAITING_MAX: usize = 64;

    /// A prompt's row follows its leaving within this many milliseconds. A later one was typed, and something else
    /// became of the one that left.
    const ROW_WITHIN_MS: u64 = 5_000;

    /// A queue as it was stored: when those that wait were put in, when the last one left and how long it had waited in
    /// milliseconds.
    #[must_use]
    pub const fn of(waiting: Vec<Timestamp>, left: Option<(Timestamp, u64)>) -> Self {
        Self { waiting, left }
    }

    /// Takes a step in.
    pub fn step(&mut self, step: QueueStep, time: Timestamp) {
        match step {
            QueueStep::Enqueue if self.waiting.len() < Self::WAITING_MAX => self.waiting.push(time),
            QueueStep::Dequeue if !self.waiting.is_empty() => {
                // What a killed client left behind is never taken out: of several nobody knows which one this is.
                let is_only = self.waiting.len() == 1;
                let waited = time.since_ms(self.waiting.remove(0));
                self.left = is_only.then_some((time, waited));
            }
            QueueStep::Enqueue | QueueStep::Dequeue => {}
            QueueStep::Other => *self = Self::default(),
        }
    }

    /// How long the prompt at `time` had waited, in milliseconds; `None` if it was not in the queue.
    pub fn asked(&mut self, time: Timestamp) -> Option<u64> {
        // The rows that a fork copies are older than what waited for it.
        let (left, waited) = self.left.filter(|(left, _)| *left <= time)?;
        self.left = None;
        (time.since_ms(left) <= Self::ROW_WITHIN_MS).then_some(waited)
    }
}
