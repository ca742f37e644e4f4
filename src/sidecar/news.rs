//! What was told that may end turns, on its way to the reading thread.

use std::sync::{Arc, Mutex, PoisonError};

use crate::transcript::ids::SessionId;
use crate::waiting::{Told, WaitChange};

/// Most things told that wait for the reading thread. It takes them in milliseconds, unless it stands still.
const NEWS_MAX: usize = 100_000;

/// What was told that may end turns, for the reading thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TurnNews(Arc<Mutex<Vec<(SessionId, Told)>>>);

impl TurnNews {
    pub(super) fn push(&self, news: Vec<(SessionId, Told)>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A turn of which this is lost ends as it does without hooks.
        let room = NEWS_MAX.saturating_sub(waiting.len());
        waiting.extend(news.into_iter().take(room));
    }

    /// Takes out what was told since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<(SessionId, Told)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for a person that began or ended, for the reading thread. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct WaitNews(Arc<Mutex<Vec<WaitChange>>>);

impl WaitNews {
    pub(super) fn push(&self, change: WaitChange) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < NEWS_MAX {
            waiting.push(change);
        }
    }

    /// Takes out what began and ended since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<WaitChange> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
