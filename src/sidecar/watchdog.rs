//! The watchdog: reports that the database does not answer, ends the process if it never does, and measures how far
//! reading is behind while nothing can be counted.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::store::Pulse;
use crate::tail;
use crate::vitals::Vitals;

/// A write to the database that takes longer than this is reported as a fault. The slowest disks take seconds.
pub const SLOW: Duration = Duration::from_secs(30);

/// A write that takes longer than this is taken for one that never returns, and the process ends.
pub const STUCK: Duration = Duration::from_secs(5 * 60);

/// Pause between two checks of the writes that are under way.
const PAUSE: Duration = Duration::from_secs(1);

/// Checks from one measuring of all session files to the next, while nothing can be counted.
const MEASURED_EVERY: u64 = 5;

/// Watches the writes to the database.
#[derive(Debug)]
pub struct Watchdog {
    pulse: Pulse,
    vitals: Arc<Vitals>,
    /// Candidates for session roots.
    roots: Vec<PathBuf>,
    /// The fault that was reported; `None` while no write is slow.
    said: Option<String>,
    looks: u64,
}

impl Watchdog {
    /// Watches the writes of `pulse`, and reports to `vitals`. Session files lie below `roots`.
    #[must_use]
    pub const fn new(pulse: Pulse, vitals: Arc<Vitals>, roots: Vec<PathBuf>) -> Self {
        Self { pulse, vitals, roots, said: None, looks: 0 }
    }

    /// Checks once a second until the sender of `ended` is dropped. Returns the reason if the process must end.
    pub fn run(mut self, ended: &Receiver<()>) -> Option<String> {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(PAUSE) {
            if let ControlFlow::Break(reason) = self.look(Instant::now()) {
                return Some(reason);
            }
        }
        None
    }

    /// Checks once. Breaks with a reason if a write has taken [`STUCK`] or longer.
    pub fn look(&mut self, now: Instant) -> ControlFlow<String> {
        let longest = self.pulse.longest().map(|(since, what)| (now.saturating_duration_since(since), what));
        match longest.filter(|(taken, _)| *taken >= SLOW) {
            Some((taken, what)) if taken >= STUCK => {
                let minutes = STUCK.as_secs() / 60;
                return ControlFlow::Break(format!("the database does not answer: {what} has taken {minutes} minutes"));
            }
            Some((_, what)) => self.say(what),
            None => self.take_back(),
        }
        if self.vitals.trouble().is_some() {
            if self.looks.is_multiple_of(MEASURED_EVERY) {
                self.measure();
            }
            self.looks += 1;
        } else {
            self.looks = 0;
        }
        ControlFlow::Continue(())
    }

    fn say(&mut self, what: &str) {
        if self.said.is_some() {
            return;
        }
        let reason = format!("the database does not answer: {what} takes longer than {} seconds", SLOW.as_secs());
        tracing::error!("{reason}; nothing is lost, the session files keep what comes");
        self.vitals.set_trouble(Some(reason.clone()));
        self.said = Some(reason);
    }

    fn take_back(&mut self) {
        let Some(said) = self.said.take() else { return };
        tracing::info!("the database answers again");
        // The write may have failed in the end, and then `vitals` holds that trouble, which must stay.
        if self.vitals.trouble() == Some(said) {
            self.vitals.set_trouble(None);
        }
    }

    /// Sets how far reading is behind, in bytes, from the sizes of the files alone.
    fn measure(&self) {
        let found = tail::existing(&self.roots).into_iter().flat_map(|root| tail::scan(&root, &mut |_| {}));
        let bytes: u64 = found.map(|file| file.size).sum();
        self.vitals.read_lag_bytes.set(bytes.saturating_sub(self.vitals.counted_bytes.get()));
    }
}
