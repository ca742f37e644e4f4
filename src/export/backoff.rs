//! How long to wait before the next attempt. Pure: no clock, and the jitter comes from a seed.

use std::time::Duration;

/// Bounds of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffLimits {
    /// First wait; it doubles with each failure in a row.
    pub base: Duration,
    /// Longest wait unless the collector asks for one with `Retry-After`.
    pub max: Duration,
    /// Longest wait that a collector may ask for.
    pub retry_after_max: Duration,
    /// Shortest wait after a request that may have arrived.
    ///
    /// Tempo shows identical copies twice when they arrive within seconds, and merges them when they come later.
    pub ambiguous_min: Duration,
}

impl Default for BackoffLimits {
    /// 1 s doubling to 60 s; `Retry-After` up to 10 min; 15 s after an ambiguous failure.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(600),
            ambiguous_min: Duration::from_secs(15),
        }
    }
}

/// Waits that grow with every failure in a row.
#[derive(Debug, Clone)]
pub struct Backoff {
    limits: BackoffLimits,
    delay: Duration,
    random: u64,
}

impl Backoff {
    /// Starts at the base; sidecars with different seeds do not come back at the same moment.
    #[must_use]
    pub fn new(limits: BackoffLimits, seed: u64) -> Self {
        // Zero is the one state that the generator never leaves.
        Self { limits, delay: limits.base, random: seed.max(1) }
    }

    /// The wait after one more failure: `retry_after` if the collector asked for it, kept between
    /// [`BackoffLimits::base`] and [`BackoffLimits::retry_after_max`]; else between 3/4 and the whole of the current
    /// delay.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let delay = self.delay.min(self.limits.max);
        self.delay = delay.saturating_mul(2).min(self.limits.max);
        let jittered = self.jitter(delay);
        // A `Retry-After` of 0 seconds must not make a loop without a pause.
        retry_after.map_or(jittered, |after| after.max(self.limits.base).min(self.limits.retry_after_max))
    }

    /// The wait after a failure that left open whether the request arrived, at least
    /// [`BackoffLimits::ambiguous_min`].
    pub fn next_ambiguous(&mut self) -> Duration {
        self.next(None).max(self.limits.ambiguous_min)
    }

    /// Goes back to the first wait, because the collector has answered.
    pub fn reset(&mut self) {
        self.delay = self.limits.base;
    }

    fn jitter(&mut self, delay: Duration) -> Duration {
        // xorshift64, by Marsaglia.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = u32::try_from(self.random >> 54).unwrap_or(0);
        let quarter = delay / 4;
        delay.saturating_sub(quarter.saturating_mul(share) / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_up_to_a_minute() {
        let mut backoff = Backoff::new(BackoffLimits::default(), 7);
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (whole, wait) = (Duration::from_secs(whole), backoff.next(None));
            assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_secs(1));
        assert_eq!(backoff.next(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff.next(Some(Duration::from_secs(86_400))), Duration::from_secs(600));
        assert_eq!(backoff.next(Some(Duration::ZERO)), Duration::from_secs(1));
        backoff.reset();
        assert_eq!(backoff.next_ambiguous(), Duration::from_secs(15));
        let waits = |seed| {
            let mut backoff = Backoff::new(BackoffLimits::default(), seed);
            [(); 4].map(|()| backoff.next(None))
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
