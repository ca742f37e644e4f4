//! Observations of a session.

use xxhash_rust::xxh3::xxh3_64;

use super::dimensions::Dimensions;
use super::measure::Measure;
use super::observation::{Item, Observation, Slot, SpanPlace, State};
use super::unit::Take;
use crate::ledger::session::{Reported, Session, project_of};

/// Gives to `take` that a session exists, if it is new, and the client's own figures before and now.
pub(super) fn observe<'a>(session: &'a Session, is_new: bool, (before, now): (Reported, Reported), take: Take<'_, 'a>) {
    let context = session.context();
    let at = session.started().unwrap_or_default();
    let dimensions = Dimensions {
        session: Some(&session.id.0),
        project: context.and_then(|context| context.cwd.as_deref()).and_then(project_of),
        branch: context.and_then(|context| context.branch.as_deref()),
        entrypoint: context.and_then(|context| context.entrypoint.as_deref()),
        ..Dimensions::default()
    };
    let mut say = |state, measure, amount| {
        let (item, slot, place) =
            (Item::Session(xxh3_64(session.id.0.as_bytes())), Slot::default(), SpanPlace::Nowhere);
        take(state, &Observation { item, slot, measure, dimensions, amount, at, place });
    };
    if is_new && session.started().is_some() {
        say(State::After, Measure::Sessions, 1);
    }
    for (state, reported) in [(State::Before, before), (State::After, now)] {
        say(state, Measure::ClientReported, reported.cost.picousd());
        say(state, Measure::Unattributed, reported.unattributed.picousd());
    }
}
