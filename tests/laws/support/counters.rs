//! The counters that a state keeps, held against what is in it.

use tailspan::audit::counters as audit;
use tailspan::store;

use super::world::World;

/// Every counter in the state is what the units in it add up to. The world is closed.
pub(crate) fn check(world: &mut World, said: &str) {
    world.close();
    let opened = store::open(&world.state, world.now).unwrap();
    let epoch = opened.epoch.first_start;
    let miscounts = audit::compare(&opened.reader, opened.recovered.totals, &world.labels, epoch).unwrap();
    assert!(miscounts.is_empty(), "{said}: {miscounts:?}");
}
