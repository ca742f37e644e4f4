//! What a session did in the last hour, in slots of ten seconds.

use std::collections::BTreeMap;

use super::reason::Reason;
use crate::ledger::money::Money;
use crate::transcript::time::Timestamp;

/// Length of a slot in milliseconds.
pub(super) const SLOT_MS: i64 = 10_000;
/// Slots of a minute.
const MINUTE_SLOTS: i64 = 6;
/// Slots that are kept: an hour.
const SLOTS_KEPT: i64 = 360;
/// Fewest responses of a minute whose cost is a runaway.
const RESPONSES_LEAST: i64 = 5;
/// Most that the failure of a call counts which failed before.
const WEIGHT_MAX: i64 = 6;
/// Failed calls by which a further one is known to be the same, for so many milliseconds.
const SAME_MS: u64 = 300_000;

/// What a session did in ten seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    picousd: i128,
    /// The two dearest responses, the dearest first.
    dearest: [i128; 2],
    responses: i64,
    calls: i64,
    failures: i64,
    /// The failures, those of the same call again with more weight.
    weights: i64,
}

/// The last hour of a session.
#[derive(Debug, Default)]
pub(super) struct Pace {
    slots: BTreeMap<i64, Slot>,
    /// Failed calls by the hash of their ids: the slot, and how much it counts.
    failed: BTreeMap<u64, (i64, i64)>,
    /// When a call of this tool and input failed last, and how much that counted.
    inputs: BTreeMap<u64, (Timestamp, i64)>,
    /// The time of the latest thing it did.
    pub(super) last: Timestamp,
}

/// Sums over some minutes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Minutes {
    /// In how many minutes anything was done.
    pub(super) active: u32,
    sums: [f64; 3],
}

impl Pace {
    /// Adds the cost of a response, or takes it back.
    pub(super) fn cost(&mut self, at: Timestamp, picousd: i128, sign: i8) {
        let slot = self.slot(at);
        slot.picousd += picousd * i128::from(sign);
        if sign > 0 {
            slot.dearest = dearest(slot.dearest, picousd);
        }
    }

    /// Adds a response, or takes it back.
    pub(super) fn response(&mut self, at: Timestamp, sign: i8) {
        self.slot(at).responses += i64::from(sign);
    }

    /// Adds a call, or takes it back.
    pub(super) fn call(&mut self, at: Timestamp, sign: i8) {
        self.slot(at).calls += i64::from(sign);
    }

    /// Adds a failed call; `same` is a hash of its tool and input, if they are known.
    pub(super) fn failure(&mut self, at: Timestamp, call: u64, same: Option<u64>) {
        if self.failed.contains_key(&call) {
            return;
        }
        let before = same.and_then(|same| self.inputs.get(&same)).filter(|(before, _)| at.since_ms(*before) <= SAME_MS);
        let weight = before.map_or(1, |(_, weight)| (weight + 1).min(WEIGHT_MAX));
        self.inputs.extend(same.map(|same| (same, (at, weight))));
        let slot = self.slot(at);
        slot.weights += weight;
        slot.failures += 1;
        self.failed.insert(call, (slot_of(at), weight));
    }

    /// Takes a failed call back.
    pub(super) fn no_failure(&mut self, call: u64) {
        if let Some((slot, weight)) = self.failed.remove(&call)
            && let Some(slot) = self.slots.get_mut(&slot)
        {
            slot.weights -= weight;
            slot.failures -= 1;
        }
    }

    /// Forgets what is older than an hour.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let first = slot_of(now) - SLOTS_KEPT;
        self.slots = self.slots.split_off(&first);
        self.failed.retain(|_, (slot, _)| *slot >= first);
        self.inputs.retain(|_, (at, _)| now.since_ms(*at) <= SAME_MS);
    }

    /// What it did in the last minute.
    pub(super) fn last_minute(&self, now: Timestamp, reason: Reason) -> f64 {
        let slots = || self.slots.range(slot_of(now) - MINUTE_SLOTS + 1..=slot_of(now)).map(|(_, slot)| slot);
        match reason {
            Reason::Cost => {
                let left_out = slots().flat_map(|slot| slot.dearest).fold([0; 2], dearest);
                let enough = slots().map(|slot| slot.responses).sum::<i64>() >= RESPONSES_LEAST;
                let sum = slots().map(|slot| slot.picousd).sum::<i128>() - left_out.iter().sum::<i128>();
                if enough { dollars(sum.max(0)) } else { 0.0 }
            }
            Reason::Calls => number(slots().map(|slot| slot.calls).sum()),
            Reason::Failures => {
                let [failures, calls] =
                    [slots().map(|slot| slot.failures).sum(), slots().map(|slot| slot.calls).sum::<i64>()];
                if failures * 2 >= calls { number(slots().map(|slot| slot.weights).sum()) } else { 0.0 }
            }
        }
    }

    /// What it did in the minutes before the last one.
    pub(super) fn before(&self, now: Timestamp) -> Minutes {
        let mut minutes = Minutes::default();
        let mut minute = None;
        for (at, slot) in self.slots.range(..=slot_of(now) - MINUTE_SLOTS) {
            if minute.replace(at.div_euclid(MINUTE_SLOTS)) != Some(at.div_euclid(MINUTE_SLOTS)) {
                minutes.active += 1;
            }
            let amounts = [dollars(slot.picousd), number(slot.calls), number(slot.weights)];
            minutes.sums.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
        }
        minutes
    }

    fn slot(&mut self, at: Timestamp) -> &mut Slot {
        self.last = self.last.max(at);
        self.slots.entry(slot_of(at)).or_default()
    }
}

impl Minutes {
    /// Adds those of another session.
    pub(super) fn add(&mut self, other: Self) {
        self.active += other.active;
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
    }

    /// The usual amount of a minute.
    pub(super) fn usual(&self, reason: Reason) -> f64 {
        let [cost, calls, failures] = self.sums;
        let sum = match reason {
            Reason::Cost => cost,
            Reason::Calls => calls,
            Reason::Failures => failures,
        };
        sum.max(0.0) / f64::from(self.active.max(1))
    }
}

/// The two largest of three amounts, the largest first; the two are in that order.
const fn dearest([first, second]: [i128; 2], amount: i128) -> [i128; 2] {
    if amount > first {
        [amount, first]
    } else if amount > second {
        [first, amount]
    } else {
        [first, second]
    }
}

fn slot_of(at: Timestamp) -> i64 {
    at.0.div_euclid(SLOT_MS)
}

fn dollars(picousd: i128) -> f64 {
    Money::from_picousd(picousd).to_f64()
}

#[expect(clippy::cast_precision_loss, reason = "calls of an hour")]
fn number(count: i64) -> f64 {
    count.max(0) as f64
}
