//! What is different between two states of the facts: the one thing that readers of measures take.

use super::observation::{Observation, State};
use super::wanted::Wanted;
use super::{session, turn, unit};
use crate::ledger::known::{Changed, Known};
use crate::ledger::money::Money;
use crate::ledger::session::{Reported, Session, reported};
use crate::ledger::unit::Unit;

/// One change of the facts.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Some parts of a unit are others than they were.
    Parts(Changed<'a>),
    /// A turn has ended; once per turn.
    Ended {
        /// The turn.
        turn: &'a Unit,
        /// List price of the turn and its sub-agents; `None` if a part has no price.
        cost: Option<Money>,
    },
    /// A session has begun, or its client reports other figures.
    Session {
        /// The session.
        session: &'a Session,
        /// It was not counted before.
        is_new: bool,
        /// What the client had reported.
        before: Reported,
        /// What it reports now.
        now: Reported,
    },
}

impl<'a> Change<'a> {
    /// What a unit holds itself in two states; `None` before for a new one.
    #[must_use]
    pub fn between(before: Option<&'a Unit>, unit: &'a Unit) -> Self {
        Self::Parts(Changed::between(before, unit))
    }

    /// A session as if it were new; `None` if it has no row of its own.
    #[must_use]
    pub fn new_session(session: &'a Session, source: Option<&Session>) -> Option<Self> {
        session.is_real().then(|| Self::Session {
            session,
            is_new: true,
            before: Reported::default(),
            now: reported(session, source).unwrap_or_default(),
        })
    }

    /// A turn as if it had just ended; `None` for what is no turn.
    #[must_use]
    pub fn ended(turn: &'a Unit) -> Option<Self> {
        turn.is_turn().then(|| Self::Ended { turn, cost: turn.price_with_below() })
    }

    /// The unit that it is a change of, or in.
    #[must_use]
    pub const fn unit(&self) -> Option<&'a Unit> {
        match self {
            Self::Parts(changed) => Some(changed.unit),
            Self::Ended { turn, .. } => Some(turn),
            Self::Session { .. } => None,
        }
    }

    /// Hands out every observation that is another in one of the two states, in amount or in dimensions: of the parts of a
    /// unit those that are `wanted`, of turns and sessions, which change rarely, all.
    ///
    /// Of a long unit each section is a change of its own. If the unit gets other dimensions, a section of which no part
    /// changed says nothing.
    pub fn observe(&self, wanted: Wanted, take: &mut dyn FnMut(State, &Observation<'a>)) {
        match self {
            Self::Parts(changed) => unit::observe(changed, wanted, take),
            Self::Ended { turn, cost } => turn::observe(turn, *cost, take),
            Self::Session { session, is_new, before, now } => session::observe(session, *is_new, (*before, *now), take),
        }
    }
}

/// Hands out everything that is in memory, as if all of it were new and every turn had ended: units and sections, then
/// turns, then sessions.
pub fn everything(known: &Known, mut take: impl FnMut(&Change<'_>)) {
    known.everything().for_each(|changed| take(&Change::Parts(changed)));
    known.units().filter_map(Change::ended).for_each(|change| take(&change));
    for session in known.sessions() {
        let source = session.fork.as_ref().and_then(|fork| known.session(&fork.from));
        Change::new_session(session, source).iter().for_each(&mut take);
    }
}
