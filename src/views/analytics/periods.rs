//! Numbers for the hours, days, weeks or months that are met, so that rows are told apart by small keys.

use std::collections::{BTreeMap, HashMap};

use super::period::{NamedPeriod, Period, Quarter, Zone};
use crate::transcript::hash::ById;
use crate::transcript::time::Timestamp;

/// Quarter hours around the first that is met, from some two years before it to some five after it, whose numbers are found
/// without a search. Most pages of their table are never touched.
const NEAR: usize = 1 << 18;

/// Numbers of quarter hours, remembered.
#[derive(Debug, Default)]
pub(super) struct QuarterNumbers {
    /// The quarter hour of the first entry of `near`.
    first: i64,
    /// Numbers; zeros for what is not known.
    near: Vec<[u32; 2]>,
    far: HashMap<Quarter, [u32; 2], ById>,
}

impl QuarterNumbers {
    fn place(&self, quarter: Quarter) -> usize {
        usize::try_from(i64::from(quarter.0) - self.first).unwrap_or(usize::MAX)
    }

    /// The numbers of a quarter hour; `None` if they are not known, or zeros.
    pub(super) fn get(&self, quarter: Quarter) -> Option<[u32; 2]> {
        match self.near.get(self.place(quarter)) {
            Some(numbers) => Some(*numbers).filter(|numbers| *numbers != [0; 2]),
            None => self.far.get(&quarter).copied(),
        }
    }

    /// Remembers the numbers of a quarter hour.
    pub(super) fn insert(&mut self, quarter: Quarter, numbers: [u32; 2]) {
        if self.near.is_empty() {
            self.first = i64::from(quarter.0) - (1 << 16);
            self.near = vec![[0; 2]; NEAR];
        }
        let place = self.place(quarter);
        match self.near.get_mut(place) {
            Some(known) => *known = numbers,
            None => {
                self.far.insert(quarter, numbers);
            }
        }
    }
}

/// The periods that were met.
#[derive(Debug)]
pub(super) struct Periods {
    zone: Zone,
    period: Period,
    /// Their numbers by their first moments.
    known: BTreeMap<Timestamp, u32>,
    met: Vec<NamedPeriod>,
}

impl Periods {
    /// None yet.
    pub(super) const fn of(zone: Zone, period: Period) -> Self {
        Self { zone, period, known: BTreeMap::new(), met: Vec::new() }
    }

    /// The number of the period in which a time lies, from 1; `None` for a time that no calendar has.
    pub(super) fn number(&mut self, time: Timestamp) -> Option<u32> {
        if let Some((_, number)) = self.known.range(..=time).next_back()
            && self.get(*number).is_some_and(|known| time < known.end)
        {
            return Some(*number);
        }
        let named = self.zone.period(self.period, time)?;
        let start = named.start;
        self.met.push(named);
        let number = u32::try_from(self.met.len()).ok()?;
        self.known.insert(start, number);
        Some(number)
    }

    fn get(&self, number: u32) -> Option<&NamedPeriod> {
        self.met.get((number as usize).checked_sub(1)?)
    }

    /// The name of a period by its number, and a text whose order is that of time.
    pub(super) fn named(&self, number: u32) -> (Option<String>, Option<String>) {
        let period = self.get(number);
        (period.map(|period| period.name.clone()), period.map(|period| ordered(period.start)))
    }
}

/// A time as digits whose order is that of time.
pub(super) fn ordered(time: Timestamp) -> String {
    format!("{:020}", time.0.wrapping_sub(i64::MIN).cast_unsigned())
}
