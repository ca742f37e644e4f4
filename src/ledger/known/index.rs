//! The index of all identities: in which unit or section each is counted. It is in memory, at little more than 12 bytes
//! for each.

use std::collections::{HashMap, HashSet};

use crate::ledger::unit::{Section, UnitId};
use crate::transcript::hash::ById;
use crate::transcript::ids::SessionId;

/// Tells for every identity that was ever counted in which unit or section it is.
///
/// Units and sections are numbered in the order in which they are first seen. Their own ids are looked up like
/// identities.
#[derive(Debug, Default)]
pub struct Index {
    ids: Vec<UnitId>,
    homes: Drawers,
    /// The unit and position of each section: only long units have any.
    sections: HashMap<UnitId, (UnitId, u32), ById>,
    /// The numbers of retired units, a bit for each number; empty while nothing is retired.
    retired: Vec<u64>,
    /// The sessions that they were of.
    ended: HashSet<SessionId, ById>,
}

impl Index {
    /// Notes that `identity` is counted in `home`, a unit or a section.
    pub fn insert(&mut self, identity: u64, home: UnitId) {
        let number = self.insert_unit(home);
        self.homes.insert(identity, number);
    }

    /// Notes that a unit exists, even if it has no identity yet. Returns its number.
    pub fn insert_unit(&mut self, id: UnitId) -> u32 {
        if let Some(number) = self.number(id) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.push(id);
        self.homes.insert(id.hash(), number);
        number
    }

    /// Notes that a unit has a section at `position`. Returns the section's id.
    pub(super) fn insert_section(&mut self, of: UnitId, position: u32) -> UnitId {
        let id = of.section(position);
        self.insert_unit(id);
        self.sections.insert(id, (of, position));
        id
    }

    /// Adds a stored unit or section with its number and identities. To be called in the order of the numbers, which
    /// may have gaps where a unit was removed. False if the number is out of order, or the gap is too large to be true.
    /// `section` is the unit and position of a section, `None` for a unit.
    #[must_use]
    pub fn load(
        &mut self,
        number: u32,
        id: UnitId,
        section: Option<(UnitId, u32)>,
        identities: impl IntoIterator<Item = u64>,
    ) -> bool {
        const GAP_MAX: usize = 100_000;
        let position = usize::try_from(number).unwrap_or(usize::MAX);
        if !(self.ids.len()..self.ids.len() + GAP_MAX).contains(&position) {
            return false;
        }
        self.ids.resize(position, UnitId(0));
        self.ids.push(id);
        self.sections.extend(section.map(|place| (id, place)));
        for identity in identities.into_iter().chain([id.hash()]) {
            self.homes.insert(identity, number);
        }
        true
    }

    /// The number of a unit or section.
    #[must_use]
    pub fn number(&self, id: UnitId) -> Option<u32> {
        self.homes.get(id.hash())
    }

    /// The unit or section that holds `identity`.
    #[must_use]
    pub fn home(&self, identity: u64) -> Option<UnitId> {
        self.ids.get(usize::try_from(self.homes.get(identity)?).ok()?).copied()
    }

    /// The unit and position of a section; `None` for a unit.
    #[must_use]
    pub fn section(&self, id: UnitId) -> Option<(UnitId, u32)> {
        self.sections.get(&id).copied()
    }

    /// The unit that a unit or section belongs to.
    #[must_use]
    pub fn owner(&self, home: UnitId) -> UnitId {
        self.section(home).map_or(home, |(unit, _)| unit)
    }

    /// The hashes of all identities, units and sections. Another file with one of them has something in common.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.homes.keys()
    }

    /// Removes a unit that the store does not have; it is made again when its rows are read.
    pub fn forget_unit(&mut self, unit: UnitId) {
        self.homes.remove(unit.hash());
    }

    /// Notes that an identity is nowhere, until its row is read again.
    pub(in crate::ledger) fn forget(&mut self, identity: u64) {
        self.homes.remove(identity);
    }

    /// Notes that a session ended for its age: its units, given by their numbers, are retired, and nothing of them is counted
    /// again.
    pub fn retire(&mut self, session: SessionId, units: impl IntoIterator<Item = u32>) {
        self.ended.insert(session);
        units.into_iter().for_each(|number| self.retire_unit(number));
    }

    /// True for a session that ended for its age, even if it went on since.
    #[must_use]
    pub fn has_ended(&self, session: &SessionId) -> bool {
        self.ended.contains(session)
    }

    fn retire_unit(&mut self, number: u32) {
        let (word, bit) = word_of(number);
        if word >= self.retired.len() {
            self.retired.resize(word.saturating_add(1), 0);
        }
        if let Some(word) = self.retired.get_mut(word) {
            *word |= bit;
        }
    }

    /// True for a retired unit, and for a section of one.
    #[must_use]
    pub fn is_retired(&self, home: UnitId) -> bool {
        // Most states have no retired unit, and are asked nothing further.
        !self.retired.is_empty()
            && self.number(self.owner(home)).is_some_and(|number| {
                let (word, bit) = word_of(number);
                self.retired.get(word).is_some_and(|word| word & bit != 0)
            })
    }

    /// True for an identity that was counted in a unit which is retired.
    #[must_use]
    pub fn was_retired(&self, identity: u64) -> bool {
        !self.retired.is_empty() && self.home(identity).is_some_and(|home| self.is_retired(home))
    }

    /// True if the unit exists, or is retired.
    #[must_use]
    pub fn has_unit(&self, unit: UnitId) -> bool {
        self.number(unit).is_some()
    }

    /// Notes a section that is in memory.
    pub(super) fn note_section(&mut self, section: &Section) {
        self.sections.insert(section.of.section(section.position), (section.of, section.position));
    }
}

/// The position of the word that holds the bit of a number, and that bit.
fn word_of(number: u32) -> (usize, u64) {
    (usize::try_from(number / u64::BITS).unwrap_or(usize::MAX), 1 << (number % u64::BITS))
}

/// A map from hashes to numbers that needs little memory, and does not need twice as much while it grows. It consists
/// of small sorted lists, chosen by the first bits of the hash. When they become long on average, each is split in two.
#[derive(Debug)]
struct Drawers {
    drawers: Vec<Vec<IndexEntry>>,
    /// How many of a hash's first bits choose the drawer.
    bits: u32,
    len: usize,
}

/// A hash in two halves, and the number. In halves an entry has 12 bytes and not 16.
#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    hash: [u32; 2],
    number: u32,
}

impl Default for Drawers {
    fn default() -> Self {
        Self { drawers: vec![Vec::new()], bits: 0, len: 0 }
    }
}

impl Drawers {
    /// Average number of entries of a drawer at which all drawers are split.
    const LONG: usize = 96;

    /// By how many entries a drawer grows. Doubling it would leave a quarter of all memory unused.
    const GROWTH: usize = 16;

    fn halves(hash: u64) -> [u32; 2] {
        let [high, low] = [hash >> 32, hash & u64::from(u32::MAX)];
        [high, low].map(|half| u32::try_from(half).unwrap_or(0))
    }

    fn drawer_of(&self, hash: u64) -> usize {
        let first = hash.checked_shr(u64::BITS - self.bits).unwrap_or(0);
        usize::try_from(first).unwrap_or(0)
    }

    fn find(&self, hash: u64) -> (usize, Result<usize, usize>) {
        let (drawer, halves) = (self.drawer_of(hash), Self::halves(hash));
        let found = self.drawers.get(drawer).map(|entries| entries.binary_search_by_key(&halves, |entry| entry.hash));
        (drawer, found.unwrap_or(Err(0)))
    }

    fn get(&self, hash: u64) -> Option<u32> {
        let (drawer, found) = self.find(hash);
        self.drawers.get(drawer)?.get(found.ok()?).map(|entry| entry.number)
    }

    fn insert(&mut self, hash: u64, number: u32) {
        if self.len >= self.drawers.len() * Self::LONG {
            self.split();
        }
        let (drawer, found) = self.find(hash);
        let Some(entries) = self.drawers.get_mut(drawer) else { return };
        match found {
            Ok(at) => {
                if let Some(entry) = entries.get_mut(at) {
                    entry.number = number;
                }
            }
            Err(at) => {
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(Self::GROWTH);
                }
                entries.insert(at, IndexEntry { hash: Self::halves(hash), number });
                self.len += 1;
            }
        }
    }

    fn remove(&mut self, hash: u64) {
        let (drawer, found) = self.find(hash);
        if let (Some(entries), Ok(at)) = (self.drawers.get_mut(drawer), found) {
            entries.remove(at);
            self.len -= 1;
        }
    }

    /// Splits every drawer in two, by the next bit of the hash.
    fn split(&mut self) {
        let bit = 31_u32.checked_sub(self.bits);
        let mut drawers = Vec::with_capacity(self.drawers.len() * 2);
        for mut entries in std::mem::take(&mut self.drawers) {
            let is_first = |entry: &IndexEntry| bit.is_some_and(|bit| entry.hash[0] >> bit & 1 == 0);
            let second = entries.split_off(entries.partition_point(is_first));
            entries.shrink_to_fit();
            drawers.extend([entries, second]);
        }
        self.drawers = drawers;
        self.bits += 1;
    }

    fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let hash = |entry: &IndexEntry| {
            let [high, low] = entry.hash.map(u64::from);
            high << 32 | low
        };
        self.drawers.iter().flatten().map(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::Drawers;

    #[test]
    fn drawers_hold_what_a_map_holds() {
        let (mut drawers, mut map) = (Drawers::default(), HashMap::new());
        for number in 0..30_000u32 {
            // A third of the numbers repeat earlier hashes, and some are removed.
            let hash = u64::from(number % 20_000).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            drawers.insert(hash, number);
            map.insert(hash, number);
            if number % 7 == 0 {
                drawers.remove(hash);
                map.remove(&hash);
            }
        }
        assert_eq!(drawers.len, map.len());
        assert!(drawers.drawers.len() > 100, "they were split");
        assert!(map.iter().all(|(hash, number)| drawers.get(*hash) == Some(*number)));
        let mut keys: Vec<u64> = drawers.keys().collect();
        let mut expected: Vec<u64> = map.keys().copied().collect();
        keys.sort_unstable();
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(drawers.get(1), None);
    }
}
