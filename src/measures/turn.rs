//! Observations of a turn that has ended.

use super::dimensions::Dimensions;
use super::measure::Measure;
use super::observation::{Item, Observation, Slot, SpanPlace, State};
use super::unit::{Take, surroundings};
use crate::ledger::money::Money;
use crate::ledger::unit::Unit;

/// Gives to `take` how long a turn took and what it cost. `cost` is that of the turn and its sub-agents; `None` if a
/// part has no known price.
pub(super) fn observe<'a>(unit: &'a Unit, cost: Option<Money>, take: Take<'_, 'a>) {
    let Some(prompt) = unit.prompt.as_ref().filter(|_| unit.is_turn()) else { return };
    let at = unit.activity_end();
    // The duration of a turn is unknown if its rows were copied at a resume and got the time of the resume.
    if unit.gist().undated > 0 && at == prompt.time {
        return;
    }
    let dimensions = Dimensions { origin: Some(prompt.origin.name()), ..surroundings(unit) };
    let (item, slot, place) = (Item::Unit(unit.key.id()), Slot::default(), SpanPlace::Turn(unit));
    let mut say = |measure, amount| {
        take(State::After, &Observation { item, slot, measure, dimensions, amount, at, place });
    };
    say(Measure::TurnDuration, i128::from(at.since_ms(prompt.time)));
    if let Some(cost) = cost {
        say(Measure::TurnCost, cost.picousd());
    }
}
