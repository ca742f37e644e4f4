//! How much of the critical path of a turn lies in each of its spans.

use std::collections::HashMap;

use super::count::span_count;
use super::facts::TurnFacts;
use crate::ledger::ended;
use crate::ledger::family::below;
use crate::ledger::unit::{Identity, Unit};
use crate::transcript::time::Timestamp;
use crate::views::analytics::critical_path::{PathPlace, PathUnit, critical_path};
use crate::views::analytics::work::Work;

/// A turn with more spans than this may send some before it has ended, so none of its spans tells of the path.
pub const HELD_SPANS_MAX: u64 = 400;

/// Milliseconds on the path within responses and calls, by their identities as hashes; `None` if the path is not known.
#[derive(Debug, Default)]
pub(super) struct OnPath(Option<HashMap<u64, u64>>);

struct Thread {
    call: Option<u64>,
    started: Timestamp,
    ended: Timestamp,
    work: Work,
}

impl OnPath {
    /// What lies on the path of a turn that has ended. Other units have none: nobody waited for them.
    pub(super) fn of(facts: &TurnFacts<'_>) -> Self {
        let turn = facts.turn;
        if !turn.is_turn() || facts.end.reason == "open" || span_count(facts) as u64 > HELD_SPANS_MAX {
            return Self::default();
        }
        let agents: Vec<Thread> =
            below(turn, facts.agents).into_iter().map(|unit| Thread::of(unit, ended::so_far(unit).at)).collect();
        let waited_for = |call| {
            let agents = agents.iter().filter(|agent| agent.call == Some(call));
            agents.map(Thread::unit).collect()
        };
        let turn = Thread::of(turn, facts.end.at);
        let path = critical_path(turn.unit(), &waited_for);
        let mut parts = HashMap::new();
        for stretch in &path.stretches {
            if let PathPlace::Response(id) | PathPlace::Call(id) = stretch.at {
                *parts.entry(id).or_default() += stretch.ms();
            }
        }
        Self(Some(parts))
    }

    /// Milliseconds within a response or a call; 0 if nothing waited for it, `None` if the path is not known.
    pub(super) fn within(&self, part: Identity<'_>) -> Option<u64> {
        self.0.as_ref().map(|parts| parts.get(&part.hash()).copied().unwrap_or(0))
    }
}

impl Thread {
    fn of(unit: &Unit, ended: Timestamp) -> Self {
        let call = unit.agent.as_ref().and_then(|agent| agent.call.as_deref());
        let call = call.map(|call| Identity::Call(call).hash());
        Self { call, started: unit.started(), ended, work: Work::of(&unit.parts) }
    }

    const fn unit(&self) -> PathUnit<'_> {
        PathUnit { started: self.started, ended: self.ended, work: &self.work }
    }
}
