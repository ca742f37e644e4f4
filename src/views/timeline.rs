//! The order of the events of a session that is too long to be in memory: of each event only when, which kind, and its id.
//!
//! ```text
//! add   every unit and section in turn        homes and keys, some 50 bytes per event
//! sort  once                                  positions in the session
//! page  some positions                        which events of which homes these are, and what was used before them
//! ```

use std::cmp::Ordering;

use super::moments::{Kind, Moment, SoFar};
use crate::ledger::unit::UnitId;
use crate::transcript::time::Timestamp;

/// Slowest steps of each kind that are known.
const SLOWEST_MAX: usize = 10;

/// Events of a session in order.
#[derive(Debug, Default)]
pub struct Timeline {
    homes: Vec<Home>,
    keys: Vec<Key>,
    /// The ids of all events, one behind the other.
    ids: String,
    used: Vec<SoFar>,
    /// Numbers of events in order.
    order: Vec<u32>,
    slowest: [Vec<(u64, u32)>; 2],
}

/// Where events stand: the moments of a unit, or those among the parts of one of its sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The unit.
    pub unit: UnitId,
    /// The section; `None` for the unit with the parts that it holds itself.
    pub section: Option<u32>,
    /// The number of its first event.
    first: u32,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    at: Timestamp,
    id: u32,
    id_bytes: u16,
    rank: u8,
    /// Position among what was used, plus one; 0 for an event that used nothing.
    used: u32,
}

/// Some events in order.
#[derive(Debug)]
pub struct Page {
    /// What had been used before the first of them.
    pub before: SoFar,
    /// Where each stands, and which of that home's events it is.
    pub events: Vec<(Home, usize)>,
}

impl Timeline {
    /// Takes in the moments of a unit, or of one of its sections, in the order in which they are told.
    pub fn add<'a>(&mut self, unit: UnitId, section: Option<u32>, moments: impl Iterator<Item = Moment<'a>>) {
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.homes.push(Home { unit, section, first: number(self.keys.len()) });
        for moment in moments {
            let (event, id) = (number(self.keys.len()), moment.id());
            let used = moment.used().map_or(0, |used| {
                self.used.push(used);
                number(self.used.len())
            });
            if let Some((kind, milliseconds)) = moment.took() {
                self.slow(kind, milliseconds, event);
            }
            let id_bytes = u16::try_from(id.len()).unwrap_or(u16::MAX);
            self.keys.push(Key { at: moment.at(), id: number(self.ids.len()), id_bytes, rank: moment.rank(), used });
            self.ids.push_str(&id);
        }
    }

    fn id(&self, key: &Key) -> &str {
        let from = usize::try_from(key.id).unwrap_or(usize::MAX);
        self.ids.get(from..from.saturating_add(usize::from(key.id_bytes))).unwrap_or_default()
    }

    fn order_of(&self, a: u32, b: u32) -> Ordering {
        let key = |event: u32| self.keys.get(usize::try_from(event).unwrap_or(usize::MAX));
        let (Some(a), Some(b)) = (key(a), key(b)) else { return Ordering::Equal };
        (a.at, a.rank).cmp(&(b.at, b.rank)).then_with(|| self.id(a).cmp(self.id(b)))
    }

    /// Keeps the slowest steps, of equally slow ones the earliest.
    fn slow(&mut self, kind: Kind, milliseconds: u64, event: u32) {
        let at = match kind {
            Kind::Tool => 0,
            Kind::Message => 1,
        };
        let Some(known) = self.slowest.get(at) else { return };
        // Nearly none is one of the slowest; equally slow ones are told apart at the end.
        let least = known.iter().map(|(slow, _)| *slow).min().filter(|_| known.len() >= 8 * SLOWEST_MAX);
        if least.is_some_and(|least| milliseconds < least) {
            return;
        }
        if let Some(known) = self.slowest.get_mut(at) {
            known.push((milliseconds, event));
        }
        if self.slowest.get(at).is_some_and(|known| known.len() >= 64 * SLOWEST_MAX) {
            self.keep_slowest(at);
        }
    }

    fn keep_slowest(&mut self, at: usize) {
        let mut known = self.slowest.get_mut(at).map(std::mem::take).unwrap_or_default();
        known.sort_by(|(a, first), (b, second)| b.cmp(a).then_with(|| self.order_of(*first, *second)));
        known.truncate(SLOWEST_MAX);
        if let Some(place) = self.slowest.get_mut(at) {
            *place = known;
        }
    }

    /// Puts everything in order, once all is there.
    pub fn sort(&mut self) {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by(|a, b| self.order_of(*a, *b));
        self.order = order;
        (0..self.slowest.len()).for_each(|at| self.keep_slowest(at));
    }

    /// How many events there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The position of the first event at or after a time.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> usize {
        self.order.partition_point(|event| {
            let key = self.keys.get(usize::try_from(*event).unwrap_or(usize::MAX));
            key.is_some_and(|key| key.at < time)
        })
    }

    /// The events from a position on.
    #[must_use]
    pub fn page(&self, from: usize, limit: usize) -> Page {
        let mut before = SoFar::default();
        for event in self.order.iter().take(from) {
            let key = self.keys.get(usize::try_from(*event).unwrap_or(usize::MAX));
            let used = key.and_then(|key| self.used.get(usize::try_from(key.used).ok()?.checked_sub(1)?));
            if let Some(used) = used {
                before.tokens += used.tokens;
                before.cost += used.cost;
            }
        }
        let events = self.order.iter().skip(from).take(limit).filter_map(|event| self.place(*event)).collect();
        Page { before, events }
    }

    fn place(&self, event: u32) -> Option<(Home, usize)> {
        let at = self.homes.partition_point(|home| home.first <= event).checked_sub(1)?;
        let home = *self.homes.get(at)?;
        Some((home, usize::try_from(event - home.first).ok()?))
    }

    /// The slowest steps of a kind with their positions, slowest first.
    #[must_use]
    pub fn slowest(&self, kind: Kind) -> Vec<(usize, Home, usize)> {
        let at = match kind {
            Kind::Tool => 0,
            Kind::Message => 1,
        };
        let wanted = self.slowest.get(at).map_or(&[][..], Vec::as_slice);
        let found = wanted.iter().filter_map(|(_, event)| {
            let position = self.order.binary_search_by(|other| self.order_of(*other, *event).then(other.cmp(event)));
            let (home, which) = self.place(*event)?;
            Some((position.ok()?, home, which))
        });
        found.collect()
    }
}
