//! Numbers for the hours, days, weeks or months that are met, so that rows are told apart by small keys.

use std::collections::BTreeMap;

use super::period::{NamedPeriod, Period, Zone};
use crate::transcript::time::Timestamp;

/// The periods that were met.
#[derive(Debug)]
pub(super) struct Periods {
    zone: Zone,
    period: Period,
    /// Their numbers by their first moments.
    known: BTreeMap<Timestamp, u32>,
    met: Vec<NamedPeriod>,
    /// The period that was asked for last: most often it is asked for again.
    last: u32,
}

impl Periods {
    /// None yet.
    pub(super) const fn of(zone: Zone, period: Period) -> Self {
        Self { zone, period, known: BTreeMap::new(), met: Vec::new(), last: 0 }
    }

    /// The number of the period in which a time lies, from 1; `None` for a time that no calendar has.
    pub(super) fn number(&mut self, time: Timestamp) -> Option<u32> {
        let has_it = |number: u32| self.get(number).is_some_and(|known| known.start <= time && time < known.end);
        if !has_it(self.last) {
            let before = self.known.range(..=time).next_back().map(|(_, number)| *number);
            self.last = match before.filter(|number| has_it(*number)) {
                Some(known) => known,
                None => self.meet(time)?,
            };
        }
        Some(self.last)
    }

    fn meet(&mut self, time: Timestamp) -> Option<u32> {
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
