//! When rows arrived on the stream, until the session file has them: the delay between the two is measured while both come.

use std::collections::HashMap;

use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;

/// Rows that arrived on a stream lately. Nothing of this is stored: after a restart the delays of some rows are not known.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// The time of what is read now; `None` in a pass over files that nobody writes any more.
    now: Option<Timestamp>,
    rows: HashMap<u64, (Timestamp, RunId), ById>,
    /// Delays that were measured since the last commit.
    delays: Vec<Delay>,
}

/// How much later than on the stream a row stood in the session file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// The run.
    pub run: RunId,
    /// The session.
    pub session: SessionId,
    /// The delay in milliseconds; 0 if the file was first.
    pub ms: u32,
}

impl Arrivals {
    /// Most rows that are waited for. Beyond that the delays of some are not measured.
    const ROWS_MAX: usize = 20_000;

    /// Longest delay that is taken for one: a row that comes later was copied from elsewhere.
    const DELAY_MS_MAX: u64 = 600_000;

    /// Sets the time of what is read next.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    /// Notes that a row, by a hash of its id, arrived on a stream.
    pub(in crate::ledger) fn arrived(&mut self, row: u64, at: Timestamp, run: RunId) {
        // What was read from a stream that ended long ago tells nothing of delays.
        let is_live = self.now.is_some_and(|now| now.since_ms(at) <= Self::DELAY_MS_MAX);
        if is_live && self.rows.len() < Self::ROWS_MAX {
            self.rows.entry(row).or_insert((at, run));
        }
    }

    /// Notes that a row stands in a session file.
    pub(in crate::ledger) fn stands_in_file(&mut self, row: u64, session: &SessionId) {
        if self.rows.is_empty() {
            return;
        }
        let Some((at, run)) = self.rows.remove(&row) else { return };
        let delay = self.now.map(|now| now.since_ms(at)).filter(|delay| *delay <= Self::DELAY_MS_MAX);
        if let Some(ms) = delay.and_then(|delay| u32::try_from(delay).ok()) {
            self.delays.push(Delay { run, session: session.clone(), ms });
        }
    }

    /// Forgets rows of a run that never came.
    pub(in crate::ledger) fn forget(&mut self, run: RunId) {
        self.rows.retain(|_, (_, of)| *of != run);
    }

    /// Takes out the delays that were measured.
    pub fn take(&mut self) -> Vec<Delay> {
        std::mem::take(&mut self.delays)
    }
}
