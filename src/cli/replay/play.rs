//! When play goes on to the next event. Time is an argument: how long the replay has been open.

use std::time::Duration;

use super::event::GAP_MAX_SECONDS;

/// The speeds, slowest first: one event a second, then multiples of real time.
pub(super) const SPEEDS: [&str; 8] = ["step", "1", "2", "5", "10", "25", "50", "100"];

/// The speed that play begins with.
pub(super) const SPEED: &str = "10";

/// Shortest time that an event is shown.
const SHORTEST: Duration = Duration::from_millis(16);

/// How long an event is shown if it is not known when the next one came.
const UNKNOWN_GAP_SECONDS: f64 = 1.0;

/// Whether and how fast the replay goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// Place in `SPEEDS`.
    speed: usize,
    is_on: bool,
    /// When the next event is due; `None` while it is not known yet.
    due: Option<Duration>,
}

impl Play {
    /// At a speed as it is told on the command line; a word that is none is the usual speed.
    #[must_use]
    pub fn of(speed: &str, is_on: bool) -> Self {
        let place = |word: &str| SPEEDS.iter().position(|known| *known == word);
        Self { speed: place(speed).or_else(|| place(SPEED)).unwrap_or(0), is_on, due: None }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) const fn start(&mut self) {
        (self.is_on, self.due) = (true, None);
    }

    pub(super) const fn pause(&mut self) {
        (self.is_on, self.due) = (false, None);
    }

    /// The next speed, or the one before; at an end the same.
    pub(super) fn faster(&mut self, is_faster: bool) {
        let next = if is_faster { self.speed + 1 } else { self.speed.saturating_sub(1) };
        self.speed = next.min(SPEEDS.len() - 1);
        self.due = None;
    }

    /// The speed in words.
    pub(super) fn told(&self) -> String {
        match SPEEDS.get(self.speed) {
            Some(&"step") | None => "1 event/s".to_owned(),
            Some(times) => format!("{times}×"),
        }
    }

    /// When the next event is due, if that is known.
    pub(super) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether it is time for the next event, which came `gap` seconds after the one before.
    pub(super) fn is_due(&mut self, gap: Option<f64>, now: Duration) -> bool {
        let wait = self.wait(gap);
        let due = *self.due.get_or_insert(now.saturating_add(wait));
        let is_due = self.is_on && due <= now;
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// How long an event is shown before one that came `gap` seconds later.
    fn wait(&self, gap: Option<f64>) -> Duration {
        let gap = gap.unwrap_or(UNKNOWN_GAP_SECONDS).clamp(0.0, GAP_MAX_SECONDS);
        let times = SPEEDS.get(self.speed).and_then(|speed| speed.parse::<f64>().ok());
        let seconds = times.map_or(1.0, |times| gap / times);
        Duration::from_secs_f64(seconds).max(SHORTEST)
    }
}
