//! Which sessions must be read for rows of units.

use super::cube::{Cube, CubeSession};
use super::filter::{Filter, NumberedFilter};
use crate::transcript::ids::SessionId;

/// The sessions of which a unit may have rows that a filter takes, in no particular order: those that lie in its window
/// in part and have a unit that it takes. So that of a state of years only some days are read for one day.
pub fn reached<'c>(cube: &'c Cube, filter: &'c Filter) -> impl Iterator<Item = (&'c SessionId, &'c CubeSession)> {
    let numbered = NumberedFilter::of(filter, &cube.names);
    let window = filter.window;
    cube.sessions().filter(move |(id, session)| {
        let entry = &session.entry;
        numbered.takes_session(&id.0)
            && window.since.is_none_or(|since| entry.ended.is_some_and(|ended| ended >= since))
            && window.until.is_none_or(|until| entry.started.is_some_and(|started| started < until))
            && session.cells.units.iter().any(|unit| numbered.takes_unit(unit))
    })
}
