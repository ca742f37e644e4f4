//! The rows of an answer while they are summed up, told apart by small keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use crate::transcript::hash::ById;

/// How many of the rows that were asked for last are found without the map. A session has few keys, and they come again and
/// again.
const RECENT: usize = 64;

/// Rows by their keys.
#[derive(Debug)]
pub(super) struct Rows<K, R> {
    places: HashMap<K, usize, ById>,
    rows: Vec<(K, R)>,
    /// Places of rows, each where the hash of its key says.
    recent: [usize; RECENT],
    /// The row that was asked for last: most often it is asked for again.
    last: usize,
}

impl<K, R> Default for Rows<K, R> {
    fn default() -> Self {
        Self { places: HashMap::default(), rows: Vec::new(), recent: [0; RECENT], last: 0 }
    }
}

impl<K: Copy + Eq + Hash, R> Rows<K, R> {
    /// The row with a key, which `make` makes if there is none.
    pub(super) fn get(&mut self, key: K, make: impl FnOnce() -> R) -> Option<&mut R> {
        let Self { places, rows, recent, last } = self;
        let is_at = |rows: &[(K, R)], place: usize| rows.get(place).is_some_and(|(known, _)| *known == key);
        if !is_at(rows, *last) {
            let slot = usize::try_from(places.hasher().hash_one(key) % RECENT as u64).unwrap_or(0);
            let place = recent.get_mut(slot)?;
            if !is_at(rows, *place) {
                *place = *places.entry(key).or_insert_with(|| {
                    rows.push((key, make()));
                    rows.len() - 1
                });
            }
            *last = *place;
        }
        rows.get_mut(*last).map(|(_, row)| row)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them, in the order in which they were made.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.rows.iter_mut().map(|(_, row)| row)
    }

    /// All of them with their keys, in the order in which they were made.
    pub(super) fn into_rows(self) -> Vec<(K, R)> {
        self.rows
    }
}
