//! What the turns of a session waited for, and which of its events lie on these paths.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ledger::ended;
use crate::ledger::unit::{Identity, Parts, Unit, UnitId};
use crate::transcript::time::{Timestamp, seconds};
use crate::views::analytics::critical_path::{PathPlace, PathUnit, TurnPath, critical_path};
use crate::views::analytics::work::Work;

/// What a turn waited for, of one kind and name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PathSummary {
    /// `model`, `tool`, `retry`, `compaction`, `hook`, `idle`; `permission` where a stream shows the wait, and once a source
    /// tells it, `queue`.
    pub kind: &'static str,
    /// The model, the tool that runs or may not run yet, the reason of the retry, what set off the compaction, the hook; `idle` for idle time.
    pub name: Box<str>,
    /// Seconds on the critical path. They add up to the duration of the turn.
    pub seconds: f64,
    /// The same as a share of the turn's duration, from 0 to 1 in millionths.
    pub share: f64,
    /// How many seconds longer calls and sub-agents beside the path could have taken for free, each for itself, added
    /// up.
    pub slack_seconds: f64,
    /// By how many seconds the turn would be shorter if this took half the time.
    pub if_halved_seconds: f64,
    /// Of `seconds`, those until the first pieces of the model's responses came. Left out where no stream tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_chunk_seconds: Option<f64>,
}

/// What was done in units, of which the turns among them have paths.
#[derive(Debug, Default)]
pub struct Threads {
    units: HashMap<UnitId, Thread>,
    /// The sub-agents that a call waits for, by [`Identity::Call`] as a hash.
    waited_for: HashMap<u64, Vec<UnitId>>,
}

#[derive(Debug)]
struct Thread {
    started: Timestamp,
    ended: Timestamp,
    work: Work,
}

/// Milliseconds on the critical path within responses and calls, by their identities as hashes.
#[derive(Debug, Default)]
pub struct OnPath(HashMap<u64, u64>);

impl OnPath {
    /// What lies on the paths of the turns of a session, from all of its units, which hold all of their parts.
    #[must_use]
    pub fn of(units: &[Unit]) -> Self {
        let (threads, mut paths) = (Threads::of(units), Self::default());
        let turns = units.iter().filter(|unit| unit.is_turn());
        turns.filter_map(|turn| threads.path(turn.key.id())).for_each(|path| paths.add(&path));
        paths
    }

    /// Number of responses and calls on these paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nothing is on them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Seconds on the critical path within a response; `None` if it is beside the path.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<f64> {
        self.0.get(&Identity::Message(id).hash()).map(|ms| seconds(*ms))
    }

    /// Seconds on the critical path within a call; `None` if it is beside the path.
    #[must_use]
    pub fn call(&self, id: &str) -> Option<f64> {
        self.0.get(&Identity::Call(id).hash()).map(|ms| seconds(*ms))
    }

    /// Adds what lies on a path.
    pub fn add(&mut self, path: &TurnPath<'_>) {
        for stretch in &path.stretches {
            if let PathPlace::Response(id) | PathPlace::Call(id) = stretch.at {
                *self.0.entry(id).or_default() += stretch.ms();
            }
        }
    }
}

impl Threads {
    /// What was done in all units of a session, which hold all of their parts.
    #[must_use]
    pub fn of(units: &[Unit]) -> Self {
        let mut threads = Self::default();
        units.iter().for_each(|unit| threads.add(unit));
        threads
    }

    /// Adds a unit with the parts that it holds itself.
    pub fn add(&mut self, unit: &Unit) {
        // An open turn is told so far, with the sub-agents that it waits for.
        let ended = unit.end().map_or_else(|| unit.activity_end_with_below(), |end| end.at);
        let ended = if unit.is_turn() { ended } else { ended::so_far(unit).at };
        let thread = Thread { started: unit.started(), ended, work: Work::of(&unit.parts) };
        let id = unit.key.id();
        if self.units.insert(id, thread).is_none()
            && let Some(call) = waited_for_by(unit)
        {
            self.waited_for.entry(call).or_default().push(id);
        }
    }

    /// Adds the parts of a section of a unit that was added.
    pub fn add_section(&mut self, unit: UnitId, parts: &Parts) {
        let Some(thread) = self.units.get_mut(&unit) else { return };
        // In no order: `Work::append` would put all in order for each section, and the path is found in any.
        let Work { responses, undated: _, calls, waits, offers: _ } = Work::of(parts);
        thread.work.responses.extend(responses);
        thread.work.calls.extend(calls);
        thread.work.waits.extend(waits);
    }

    /// The calls of a unit that wait for sub-agents, as hashes.
    pub fn waiting_calls(&self, unit: UnitId) -> impl Iterator<Item = u64> {
        let calls = self.units.get(&unit).into_iter().flat_map(|thread| &thread.work.calls);
        calls.filter(|call| call.waits_for_agents).map(|call| call.id)
    }

    /// The critical path of a unit, which waits for those that were added; `None` if it was not added.
    #[must_use]
    pub fn path(&self, unit: UnitId) -> Option<TurnPath<'_>> {
        let agents = |call| {
            let agents = self.waited_for.get(&call).into_iter().flatten();
            agents.filter_map(|agent| self.units.get(agent)).map(Thread::unit).collect()
        };
        Some(critical_path(self.units.get(&unit)?.unit(), &agents))
    }

    /// What a turn waited for, the longest first.
    #[must_use]
    pub fn summary(&self, turn: UnitId) -> Vec<PathSummary> {
        self.path(turn).map_or_else(Vec::new, |path| summary(&path))
    }
}

impl Thread {
    const fn unit(&self) -> PathUnit<'_> {
        PathUnit { started: self.started, ended: self.ended, work: &self.work }
    }
}

/// The call that waits for a sub-agent, by [`Identity::Call`] as a hash.
#[must_use]
pub fn waited_for_by(unit: &Unit) -> Option<u64> {
    let call = unit.agent.as_ref().filter(|agent| !agent.background)?.call.as_deref()?;
    Some(Identity::Call(call).hash())
}

fn summary(path: &TurnPath<'_>) -> Vec<PathSummary> {
    let whole: u64 = path.parts.iter().map(|part| part.path_ms).sum();
    let parts = path.parts.iter().map(|part| PathSummary {
        kind: part.kind.name(),
        name: part.name.into(),
        seconds: seconds(part.path_ms),
        share: share(part.path_ms, whole),
        slack_seconds: seconds(part.slack_ms),
        if_halved_seconds: seconds(part.saved_if_halved_ms),
        first_chunk_seconds: part.first_chunk_ms.map(seconds),
    });
    parts.collect()
}

fn share(part_ms: u64, whole_ms: u64) -> f64 {
    if whole_ms == 0 { 0.0 } else { (seconds(part_ms) / seconds(whole_ms) * 1e6).round() / 1e6 }
}
