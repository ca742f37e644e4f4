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
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::moments::{self, Around, Moment, SoFar};
use super::nesting::Nesting;
use super::paths::OnPath;
use crate::ledger::ended;
use crate::ledger::family::TurnNumbers;
use crate::ledger::unit::{RowPlace, Unit, UnitId};
use crate::transcript::time::seconds;

/// Where an event stands among those of its session that happened in the same millisecond. It stays what it is whatever
/// other events are found later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey {
    /// The rank of its kind.
    pub rank: u8,
    /// Its own id.
    pub id: Box<str>,
    /// Its unit: events that begin or end a unit may have no other id.
    pub unit: UnitId,
}

/// An event, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedEvent {
    /// Tells it from all others of the same time.
    pub key: EventKey,
    /// The event, without what was used before it and what turns waited for.
    pub event: Event,
    /// Its unit.
    pub unit: UnitId,
    /// The folder of its unit.
    pub cwd: Option<Arc<str>>,
    /// The type of the sub-agent that it happened in, which nobody may tell; `None` for the main thread.
    pub agent: Option<Option<Arc<str>>>,
}

impl PlacedEvent {
    /// The event at position `index`, which happened at a moment of the unit around it.
    #[must_use]
    pub fn of(around: &Around<'_>, index: usize, moment: &Moment<'_>) -> Self {
        let (unit, agent) = (around.unit, around.unit.agent.as_ref());
        let agent = agent.map(|agent| agent.agent_type.clone());
        let key = EventKey { rank: moment.kind().rank(), id: moment.id().into(), unit: unit.key.id() };
        let event = moment.event(around, index, &mut SoFar::default());
        Self { key, event, unit: unit.key.id(), cwd: unit.context.cwd.clone(), agent }
    }
}

/// Every event of a session, from all of its units.
#[must_use]
pub fn events(units: &[Unit]) -> Vec<Event> {
    let mut so_far = SoFar::default();
    let on_path = OnPath::of(units);
    let mut before = None;
    in_order(units, |around, index, moment| Event {
        critical_path_seconds: moment.on_path(&on_path),
        gap_seconds: before.replace(moment.at()).map(|before| seconds(moment.at().since_ms(before))),
        ..moment.event(around, index, &mut so_far)
    })
}

/// The same, each with whose it is, but only those with text of which `takes` takes the places of the rows.
#[must_use]
pub fn placed_events(units: &[Unit], takes: impl Fn(&[RowPlace]) -> bool) -> Vec<PlacedEvent> {
    let placed = in_order(units, |around, index, moment| {
        moment.has_text_at(around.unit, &takes).then(|| PlacedEvent::of(around, index, &moment))
    });
    placed.into_iter().flatten().collect()
}

/// What `make` makes of each moment of a session, in order.
fn in_order<'u, T>(units: &'u [Unit], mut make: impl FnMut(&Around<'_>, usize, Moment<'_>) -> T) -> Vec<T> {
    let numbers = TurnNumbers::of(units);
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.key.id(), unit)).collect();
    let nesting = Nesting::of(units);
    let around = |unit: &'u Unit| {
        let id = unit.key.id();
        let end = ended::of_agent(unit, &|id| by_id.get(&id).copied());
        Around { unit, turn: numbers.turn(id), end, depth: nesting.depth(id), parent: nesting.parent(id) }
    };
    let all: Vec<Around<'_>> = units.iter().map(around).collect();
    let moments = |around| moments::of_unit(around).chain(moments::of_parts(&around.unit.parts));
    let mut moments: Vec<(&Around<'_>, Moment<'_>)> =
        all.iter().flat_map(|around| moments(around).map(move |moment| (around, moment))).collect();
    moments.sort_by(|(_, a), (_, b)| a.order_of(b));
    (0..).zip(moments).map(|(index, (around, moment))| make(around, index, moment)).collect()
}
