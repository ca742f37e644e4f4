//! The events of a session in order, each with the tokens and the cost of the session so far.
//!
//! ```text
//! order   by time; in the same millisecond causes come before effects (see `moments`), then by id
//! time    prompt, call, result, failure: that of its row; message: its last row, because usage is known only then
//! ```
//!
//! A message may come after the calls that it made, because a tool starts as soon as its own block is complete. Text is
//! not part of an event: [`TextSource`](super::event::TextSource) says where it stands in the session files.

use std::collections::HashMap;

use super::event::Event;
use super::moments::{self, Around, Moment, SoFar};
use super::paths::OnPath;
use crate::ledger::ended;
use crate::ledger::family::TurnNumbers;
use crate::ledger::unit::{Unit, UnitId};

/// Every event of a session, from all of its units.
#[must_use]
pub fn events(units: &[Unit]) -> Vec<Event> {
    let numbers = TurnNumbers::of(units);
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.key.id(), unit)).collect();
    let around = |unit| Around {
        unit,
        turn: numbers.turn(unit.key.id()),
        end: ended::of_agent(unit, &|id| by_id.get(&id).copied()),
    };
    let all: Vec<Around<'_>> = units.iter().map(around).collect();
    let moments = |around| moments::of_unit(around).chain(moments::of_parts(&around.unit.parts));
    let mut moments: Vec<(&Around<'_>, Moment<'_>)> =
        all.iter().flat_map(|around| moments(around).map(move |moment| (around, moment))).collect();
    moments.sort_by(|(_, a), (_, b)| a.order_of(b));
    let mut so_far = SoFar::default();
    let on_path = OnPath::of(units);
    let event = |(index, (around, moment)): (usize, (&Around<'_>, Moment<'_>))| Event {
        critical_path_seconds: moment.on_path(&on_path),
        ..moment.event(around, index, &mut so_far)
    };
    (0..).zip(moments).map(event).collect()
}
