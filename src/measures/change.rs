//! The difference between two states of the facts, which is what readers of measures take.

use super::observation::{Observation, State};
use super::wanted::Wanted;
use super::{run, session, turn, unit};
use crate::ledger::known::{Changed, Known};
use crate::ledger::money::Money;
use crate::ledger::run::Run;
use crate::ledger::session::{Reported, Session, reported};
use crate::ledger::unit::Unit;

/// One change of the facts.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Some parts of a unit have changed.
    Parts(Changed<'a>),
    /// A turn has ended. It occurs once for each turn.
    Ended {
        /// The turn.
        turn: &'a Unit,
        /// Cost of the turn and its sub-agents at list prices; `None` if a part has no known price.
        cost: Option<Money>,
    },
    /// A session has begun, or the cost that its client reports has changed.
    Session {
        /// The session.
        session: &'a Session,
        /// True if the session was not counted before.
        is_new: bool,
        /// The part of the client's report that was counted before.
        before: Reported,
        /// What the client reports now.
        now: Reported,
    },
    /// A run has ended. It occurs once for each run.
    Run {
        /// The run.
        run: &'a Run,
        /// List price of what it spent.
        cost: Money,
    },
}

impl<'a> Change<'a> {
    /// The parts that a unit holds itself, in two states; `before` is `None` for a new unit.
    #[must_use]
    pub fn between(before: Option<&'a Unit>, unit: &'a Unit) -> Self {
        Self::Parts(Changed::between(before, unit))
    }

    /// A session as if it were new; `None` if no unit of it has a user or assistant row. `source` is the session that
    /// it was forked from.
    #[must_use]
    pub fn new_session(session: &'a Session, source: Option<&Session>) -> Option<Self> {
        session.is_real().then(|| Self::Session {
            session,
            is_new: true,
            before: Reported::default(),
            now: reported(session, source).unwrap_or_default(),
        })
    }

    /// A turn as if it had just ended; `None` if the unit is not a turn.
    #[must_use]
    pub fn ended(turn: &'a Unit) -> Option<Self> {
        turn.is_turn().then(|| Self::Ended { turn, cost: turn.price_with_below() })
    }

    /// The unit that has changed; `None` for a session or run.
    #[must_use]
    pub const fn unit(&self) -> Option<&'a Unit> {
        match self {
            Self::Parts(changed) => Some(changed.unit),
            Self::Ended { turn, .. } => Some(turn),
            Self::Session { .. } | Self::Run { .. } => None,
        }
    }

    /// Gives to `take` every observation that differs between the two states, in amount or dimensions. Of the parts of
    /// a unit only those that are `wanted` are given; of turns, sessions and runs, which change rarely, all.
    ///
    /// Each section of a long unit is a change of its own. If the dimensions of the unit change, a section whose parts
    /// did not change gives no observations.
    pub fn observe(&self, wanted: Wanted, take: &mut dyn FnMut(State, &Observation<'a>)) {
        match self {
            Self::Parts(changed) => unit::observe(changed, wanted, take),
            Self::Ended { turn, cost } => turn::observe(turn, *cost, take),
            Self::Session { session, is_new, before, now } => session::observe(session, *is_new, (*before, *now), take),
            Self::Run { run, cost } => run::observe(run, *cost, take),
        }
    }
}

/// Gives to `take` everything that is in memory, as if all of it were new and every turn had ended: units and sections,
/// then turns, then sessions. Runs are counted by the sidecar alone, which gets their streams.
pub fn everything(known: &Known, mut take: impl FnMut(&Change<'_>)) {
    known.everything().for_each(|changed| take(&Change::Parts(changed)));
    known.units().filter_map(Change::ended).for_each(|change| take(&change));
    for session in known.sessions() {
        let source = session.fork.as_ref().and_then(|fork| known.session(&fork.from));
        Change::new_session(session, source).iter().for_each(&mut take);
    }
}
