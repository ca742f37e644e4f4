//! The order of the turns in a session, which tells what lies before each turn.

use super::facts::Earlier;
use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::time::Timestamp;

/// The turns of a session in the order in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnOrder(Vec<Place>);

/// When a turn began, and its id. Of turns that began in the same millisecond, the one with the lower id comes first.
type Place = (Timestamp, UnitId);

impl FromIterator<Place> for TurnOrder {
    fn from_iter<I: IntoIterator<Item = Place>>(turns: I) -> Self {
        let mut turns: Vec<Place> = turns.into_iter().collect();
        turns.sort_unstable();
        Self(turns)
    }
}

impl TurnOrder {
    /// The order of the turns among some units of a session.
    #[must_use]
    pub fn among<'a>(units: impl Iterator<Item = &'a Unit>) -> Self {
        units.filter_map(place_of).collect()
    }

    /// What lies before a unit, as far as these turns tell; nothing for a unit that is no turn.
    #[must_use]
    pub fn earlier(&self, unit: &Unit) -> Earlier {
        let Some(place) = place_of(unit) else { return Earlier::default() };
        let before = self.0.partition_point(|turn| *turn < place);
        let latest = before.checked_sub(1).and_then(|last| self.0.get(last)).map(|(_, turn)| *turn);
        Earlier { turns: u32::try_from(before).unwrap_or(u32::MAX), latest, source_turn: false }
    }

    /// Brings the order up to date after a unit of the session has changed. `before` is `None` if the unit is new in
    /// the session, `after` is `None` if it belongs to another session now.
    pub fn change(&mut self, before: Option<&Unit>, after: Option<&Unit>) {
        let (before, after) = (before.and_then(place_of), after.and_then(place_of));
        if before == after {
            return;
        }
        if let Some(at) = before.and_then(|place| self.0.binary_search(&place).ok()) {
            self.0.remove(at);
        }
        if let Some(place) = after
            && let Err(at) = self.0.binary_search(&place)
        {
            self.0.insert(at, place);
        }
    }

    /// The number of turns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are no turns.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn place_of(unit: &Unit) -> Option<Place> {
    unit.is_turn().then(|| (unit.first, unit.key.id()))
}
