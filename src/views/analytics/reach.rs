//! Which sessions must be read for rows of units.

use super::cube::{Cube, CubeSession};
use super::filter::{Filter, NumberedFilter};
use crate::transcript::ids::SessionId;

/// The sessions that may have rows of units which a filter takes, in no particular order: those that lie in its window in
/// part, have a unit that it takes, and spent something at a model that it takes. So that of a state of years only some
/// days are read for one day, and nothing for a tool that nobody called.
pub fn reached<'c>(cube: &'c Cube, filter: &'c Filter) -> impl Iterator<Item = (&'c SessionId, &'c CubeSession)> {
    let numbered = NumberedFilter::of(filter, &cube.names);
    let window = filter.window;
    cube.sessions().filter(move |(id, session)| {
        let CubeSession { entry, cells, .. } = session;
        let mut units = cells.units.iter().zip(0..);
        numbered.takes_session(&id.0)
            && window.since.is_none_or(|since| entry.ended.is_some_and(|ended| ended >= since))
            && window.until.is_none_or(|until| entry.started.is_some_and(|started| started < until))
            && units.any(|(unit, position)| numbered.takes_unit(unit) && numbered.takes_tools(cells, position))
            && (!numbered.asks_for_models() || cells.cells.iter().any(|cell| numbered.takes_model(cell)))
    })
}
