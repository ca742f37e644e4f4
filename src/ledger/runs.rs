//! A set of numbers that mostly follow one another, such as positions. It is stored as runs, so that thousands of
//! consecutive numbers need a few bytes.

use serde::{Deserialize, Serialize};

/// A set of numbers, stored in ascending order as runs: the first number and the length of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(Vec<(u32, u32)>);

impl Runs {
    /// True if the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let at = self.0.partition_point(|(first, _)| *first <= number).checked_sub(1);
        at.and_then(|at| self.0.get(at)).is_some_and(|(first, length)| number - first < *length)
    }

    /// Every number, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(first, length)| *first..first.saturating_add(*length))
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u32) {
        let at = self.0.partition_point(|(first, _)| *first <= number);
        let touches = |run: Option<&(u32, u32)>| run.is_some_and(|(first, length)| number - first < *length);
        let before = at.checked_sub(1);
        if touches(before.and_then(|before| self.0.get(before))) {
            return;
        }
        let follows =
            before.filter(|before| self.0.get(*before).is_some_and(|(first, length)| first + length == number));
        let leads = self.0.get(at).is_some_and(|(first, _)| *first == number + 1);
        match (follows, leads) {
            (Some(before), true) => {
                let (_, next) = self.0.remove(at);
                if let Some((_, length)) = self.0.get_mut(before) {
                    *length += 1 + next;
                }
            }
            (Some(before), false) => {
                if let Some((_, length)) = self.0.get_mut(before) {
                    *length += 1;
                }
            }
            (None, true) => {
                if let Some((first, length)) = self.0.get_mut(at) {
                    (*first, *length) = (number, *length + 1);
                }
            }
            (None, false) => self.0.insert(at, (number, 1)),
        }
    }

    /// Removes a number.
    pub fn remove(&mut self, number: u32) {
        let Some(at) = self.0.partition_point(|(first, _)| *first <= number).checked_sub(1) else { return };
        let Some((first, length)) = self.0.get(at).copied().filter(|(first, length)| number - first < *length) else {
            return;
        };
        let behind = (number + 1, first + length - number - 1);
        self.0.remove(at);
        if behind.1 > 0 {
            self.0.insert(at, behind);
        }
        if number > first {
            self.0.insert(at, (first, number - first));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_are_the_set_of_what_was_put_in_and_not_taken_out() {
        let (mut runs, mut set, mut dice) = (Runs::default(), BTreeSet::new(), 7u32);
        for _ in 0..20_000 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (dice >> 16) % 40;
            if dice >> 31 == 0 {
                runs.insert(number);
                set.insert(number);
            } else {
                runs.remove(number);
                set.remove(&number);
            }
            assert_eq!(runs.contains(number), set.contains(&number));
            assert!(runs.iter().eq(set.iter().copied()), "{runs:?}");
            assert!(runs.0.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0), "{runs:?}");
        }
    }
}
