//! The order of the events of a session that is too long to be in memory. Of each event only its time, its kind and
//! what it used are kept.
//!
//! ```text
//! add      called for each unit and section   keeps homes and keys, some 20 bytes per event
//! sort     called once                        puts events in order; returns those whose order depends on their ids
//! settle   called with these ids              completes the order
//! page     called with some positions         returns the homes of these events, and what was used before them
//! ```

use std::collections::HashMap;

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;
use crate::views::sessions::moments::{Moment, SoFar, StepKind};

/// How many of the slowest steps of each kind are kept.
const SLOWEST_MAX: usize = 10;

/// Events of a session in order.
#[derive(Debug, Default)]
pub struct Timeline {
    homes: Vec<Home>,
    keys: Vec<OrderKey>,
    /// What messages used, packed one after the other.
    used: Vec<u8>,
    /// Numbers of the events in order; an event's number is its position in `keys`.
    order: Vec<u32>,
    slowest: [Slowest; 2],
}

/// The slowest steps of a kind, with further steps that were not removed yet.
#[derive(Debug, Default)]
struct Slowest {
    steps: Vec<Slow>,
    /// How many steps were left when further ones were removed last.
    kept: usize,
}

/// The home of some events: a unit, or one of its sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    pub unit: UnitId,
    /// Position of the section; `None` for the unit with the parts that it holds itself.
    pub section: Option<u32>,
    /// Number of the first event of this home.
    first: u32,
}

#[derive(Debug, Clone, Copy)]
struct OrderKey {
    at: Timestamp,
    /// Offset in [`Timeline::used`] plus one; 0 for an event that used nothing.
    used: u32,
    rank: u8,
}

/// A step and how long it took.
#[derive(Debug, Clone, Copy)]
struct Slow {
    milliseconds: u64,
    event: u32,
}

/// Some events in order.
#[derive(Debug)]
pub struct EventPage {
    /// Tokens and cost of the session before the first of these events.
    pub before: SoFar,
    /// The home of each event, and its position among the moments of that home, from 0.
    pub events: Vec<(Home, usize)>,
}

impl Timeline {
    /// Adds the moments of a unit, or of one of its sections, in the order in which `moments` gives them.
    pub fn add<'a>(&mut self, unit: UnitId, section: Option<u32>, moments: impl Iterator<Item = Moment<'a>>) {
        self.homes.push(Home { unit, section, first: number(self.keys.len()) });
        for moment in moments {
            let event = number(self.keys.len());
            let used = moment.used().map_or(0, |used| {
                let place = number(self.used.len()).saturating_add(1);
                pack(&mut self.used, &used);
                place
            });
            self.keys.push(OrderKey { at: moment.at(), used, rank: moment.rank() });
            if let Some((kind, milliseconds)) = moment.took() {
                self.slow(kind, Slow { milliseconds, event });
            }
        }
    }

    fn key(&self, event: u32) -> (Timestamp, u8) {
        self.keys.get(place(event)).map_or((Timestamp(i64::MAX), u8::MAX), |key| (key.at, key.rank))
    }

    /// Keeps the slowest steps, of equally slow ones the earliest, and those that only their ids would order. There may
    /// be any number of the last, so further steps are removed only when the list has doubled.
    fn slow(&mut self, kind: StepKind, step: Slow) {
        let Some(mut known) = self.slowest.get_mut(slot(kind)).map(std::mem::take) else { return };
        known.steps.push(step);
        if known.steps.len() >= (64 * SLOWEST_MAX).max(2 * known.kept) {
            let key = |step: &Slow| (std::cmp::Reverse(step.milliseconds), self.key(step.event));
            known.steps.sort_by_key(key);
            if let Some(last) = known.steps.get(SLOWEST_MAX - 1).map(key) {
                known.steps.retain(|step| key(step) <= last);
            }
            known.kept = known.steps.len();
        }
        if let Some(place) = self.slowest.get_mut(slot(kind)) {
            *place = known;
        }
    }

    /// Puts all events in order, once all were added. Returns the events whose order depends on their ids, each with
    /// its number, its home and its position there; [`Timeline::settle`] takes these ids.
    pub fn sort(&mut self) -> Vec<(u32, Home, usize)> {
        let mut order: Vec<u32> = (0..number(self.keys.len())).collect();
        order.sort_unstable_by_key(|event| (self.key(*event), *event));
        self.order = order;
        let tied = self.order.chunk_by(|a, b| self.key(*a) == self.key(*b)).filter(|run| run.len() > 1).flatten();
        tied.filter_map(|event| self.place(*event).map(|(home, which)| (*event, home, which))).collect()
    }

    /// Puts events of the same time and kind in order by their `ids`, which are given by the number of the event.
    pub fn settle(&mut self, ids: &HashMap<u32, String>) {
        let mut order = std::mem::take(&mut self.order);
        order.chunk_by_mut(|a, b| self.key(*a) == self.key(*b)).filter(|run| run.len() > 1).for_each(|run| {
            run.sort_by(|a, b| (ids.get(a), a).cmp(&(ids.get(b), b)));
        });
        self.order = order;
    }

    /// The number of events.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are no events.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The position of the first event at or after `time`.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> usize {
        self.order.partition_point(|event| self.key(*event).0 < time)
    }

    /// At most `limit` events from position `from` on.
    #[must_use]
    pub fn page(&self, from: usize, limit: usize) -> EventPage {
        let mut before = SoFar::default();
        for event in self.order.iter().take(from) {
            let at = self.keys.get(place(*event)).and_then(|key| place(key.used).checked_sub(1));
            if let Some(mut packed) = at.and_then(|at| self.used.get(at..)) {
                let used = unpack(&mut packed);
                before.tokens += used.tokens;
                before.cost += used.cost;
            }
        }
        let events = self.order.iter().skip(from).take(limit).filter_map(|event| self.place(*event)).collect();
        EventPage { before, events }
    }

    fn place(&self, event: u32) -> Option<(Home, usize)> {
        let at = self.homes.partition_point(|home| home.first <= event).checked_sub(1)?;
        let home = *self.homes.get(at)?;
        Some((home, place(event - home.first)))
    }

    /// The slowest steps of a kind, slowest first: the position of each in the session, its home and its position
    /// there.
    #[must_use]
    pub fn slowest(&self, kind: StepKind) -> Vec<(usize, Home, usize)> {
        let known = self.slowest.get(slot(kind)).map_or(&[][..], |known| &known.steps);
        let took: HashMap<u32, u64> = known.iter().map(|step| (step.event, step.milliseconds)).collect();
        let in_order = self.order.iter().enumerate();
        let mut placed: Vec<_> = in_order
            .filter_map(|(position, event)| Some((std::cmp::Reverse(*took.get(event)?), position, *event)))
            .collect();
        placed.sort_unstable();
        let slowest = placed.into_iter().take(SLOWEST_MAX);
        slowest
            .filter_map(|(_, position, event)| self.place(event).map(|(home, which)| (position, home, which)))
            .collect()
    }
}

const fn slot(kind: StepKind) -> usize {
    match kind {
        StepKind::Tool => 0,
        StepKind::Message => 1,
    }
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Appends numbers in LEB128: seven bits per byte, the lowest first, and the high bit set on all bytes but the last.
/// Most numbers here are small.
fn pack(bytes: &mut Vec<u8>, used: &SoFar) {
    let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = used.tokens;
    let cost = used.cost.picousd();
    // The sign of the cost is put into the lowest bit.
    let cost = cost.unsigned_abs() << 1 | u128::from(cost < 0);
    let tokens = [input, output, cache_read, cache_write_5m, cache_write_1h].map(u128::from);
    for mut rest in tokens.into_iter().chain([cost]) {
        while rest > 0x7f {
            bytes.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or_default());
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap_or_default());
    }
}

fn unpack(bytes: &mut &[u8]) -> SoFar {
    let mut next = || {
        let (mut number, mut shift) = (0, 0);
        while let Some((first, rest)) = bytes.split_first() {
            *bytes = rest;
            number |= u128::from(first & 0x7f) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                break;
            }
        }
        number
    };
    let mut tokens = || u64::try_from(next()).unwrap_or(u64::MAX);
    let tokens = Tokens {
        input: tokens(),
        output: tokens(),
        cache_read: tokens(),
        cache_write_5m: tokens(),
        cache_write_1h: tokens(),
    };
    let cost = next();
    let amount = i128::try_from(cost >> 1).unwrap_or(i128::MAX);
    SoFar { tokens, cost: Money::from_picousd(if cost & 1 == 0 { amount } else { -amount }) }
}
