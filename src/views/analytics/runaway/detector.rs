//! Which sessions run away now, and when that began and ended.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::pace::{Minutes, Pace};
use super::reason::Reason;
use super::settings::RunawaySettings;
use crate::ledger::unit::Tool;
use crate::measures::observation::{Item, Observation, SpanPlace, State};

use crate::measures::{Change, Measure, Wanted};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// How long what a session did is looked at, in milliseconds.
pub const KEPT_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
/// Most sessions that are followed at once; further ones are not looked at.
const SESSIONS_MAX: usize = 1000;
/// The share of the absolute limit that a session must reach to run away by its own usual minute.
const FLOOR: f64 = 2.0 / 3.0;
/// Minutes with anything in them that a session must have for a usual minute of its own.
const OWN_MINUTES_LEAST: u32 = 10;
/// Minutes of all other sessions that must be known to hold a young one against them.
const OTHER_MINUTES_LEAST: u32 = 30;
/// A runaway whose last minute is below this share of what gave it away is slowing down.
const SLOWER: f64 = 0.5;
/// It has ended after so many milliseconds of that.
pub const ENDED_MS: u64 = 120_000;

/// A session that runs away.
#[derive(Debug, Clone, PartialEq)]
pub struct Runaway {
    /// The session.
    pub session: SessionId,
    /// What it does too fast.
    pub reason: Reason,
    /// When that was noticed.
    pub since: Timestamp,
    /// What the last minute came to: US dollars without the two dearest responses, calls, or failures with those of the same call
    /// again counted up to six times.
    pub value: f64,
    /// What a usual minute comes to: its own, or that of other sessions; `None` if neither is known.
    pub baseline: Option<f64>,
    /// What gave it away: the amount of a minute from which on it runs away.
    pub limit: f64,
    /// When it was last not slowing down.
    pub last: Timestamp,
}

/// A runaway began or ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunawayEvent {
    /// It was noticed.
    Began(Runaway),
    /// It is over: slow again, or quiet.
    Ended(Runaway),
}

/// Follows sessions, change by change.
#[derive(Debug, Default)]
pub struct Runaways {
    settings: RunawaySettings,
    sessions: BTreeMap<SessionId, Pace>,
    running: BTreeMap<(SessionId, Reason), Runaway>,
}

impl Runaway {
    /// Whether it still runs at a moment, as far as is known.
    #[must_use]
    pub fn is_running(&self, now: Timestamp) -> bool {
        now.since_ms(self.last) <= ENDED_MS
    }
}

impl Runaways {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(settings: RunawaySettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Whether a session is to be followed and is not yet: what it did lately must be [observed](Self::observe) then.
    #[must_use]
    pub fn lacks(&self, session: &SessionId) -> bool {
        self.sessions.len() < SESSIONS_MAX && !self.sessions.contains_key(session)
    }

    /// Whether what happened at a time is looked at.
    #[must_use]
    pub fn is_recent(&self, at: Timestamp, now: Timestamp) -> bool {
        self.settings.enabled && now.since_ms(at) <= KEPT_MS
    }

    /// Takes a change of the facts that was read at `now`.
    pub fn observe(&mut self, change: &Change<'_>, now: Timestamp) {
        let Change::Parts(changed) = change else { return };
        let session = changed.unit.session();
        if !self.is_recent(changed.unit.last, now) {
            return;
        }
        if !self.lacks(session) && !self.sessions.contains_key(session) {
            return;
        }
        let pace = self.sessions.entry(session.clone()).or_default();
        let since = Timestamp(now.0.saturating_sub_unsigned(KEPT_MS));
        change.observe(Wanted::since(since), &mut |state, observation| note(pace, state, observation, now));
    }

    /// Goes on with a runaway that an earlier process noticed at `since`. What the session did lately must have been
    /// [observed](Self::observe) before; if it did nothing lately, the runaway ends with the next look.
    pub fn resume(&mut self, session: &SessionId, reason: Reason, since: Timestamp) {
        let pace = self.sessions.get(session);
        let last = pace.map_or(since, |pace| pace.last.max(since));
        let (limit, baseline) = pace.map_or((self.limit(reason), None), |pace| self.least(session, pace, reason, last));
        let runaway = Runaway { session: session.clone(), reason, since, value: 0.0, baseline, limit, last };
        self.running.insert((session.clone(), reason), runaway);
    }

    /// Which runaways began and ended by `now`.
    pub fn look(&mut self, now: Timestamp) -> Vec<RunawayEvent> {
        if !self.settings.enabled {
            // There are some if an earlier process noticed them.
            return std::mem::take(&mut self.running).into_values().map(RunawayEvent::Ended).collect();
        }
        self.sessions.retain(|_, pace| now.since_ms(pace.last) <= KEPT_MS);
        let mut events = Vec::new();
        for pace in self.sessions.values_mut() {
            // Of a quiet session the last minute is empty.
            if now.since_ms(pace.last) <= MINUTE_MS {
                pace.forget(now);
            }
        }
        let running: BTreeSet<SessionId> = self.running.keys().map(|(session, _)| session.clone()).collect();
        let is_busy =
            |session: &SessionId, pace: &Pace| now.since_ms(pace.last) <= MINUTE_MS || running.contains(session);
        for (session, pace) in self.sessions.iter().filter(|(session, pace)| is_busy(session, pace)) {
            for reason in Reason::ALL {
                let value = pace.last_minute(now, reason);
                let key = (session.clone(), reason);
                if let Some(known) = self.running.get_mut(&key) {
                    known.value = value;
                    if value >= known.limit * SLOWER {
                        known.last = now;
                    }
                } else if let Some((limit, baseline)) = self.is_over(session, pace, (reason, value), now) {
                    let session = session.clone();
                    let runaway = Runaway { session, reason, since: now, value, baseline, limit, last: now };
                    events.push(RunawayEvent::Began(runaway));
                }
            }
        }
        for event in &events {
            if let RunawayEvent::Began(began) = event {
                self.running.insert((began.session.clone(), began.reason), began.clone());
            }
        }
        self.running.retain(|_, runaway| {
            let runs = runaway.is_running(now);
            if !runs {
                events.push(RunawayEvent::Ended(runaway.clone()));
            }
            runs
        });
        events
    }

    /// The sessions that run away, by session and reason.
    pub fn running(&self) -> impl Iterator<Item = &Runaway> {
        self.running.values()
    }

    /// The amount of a minute from which on a session runs away, and its usual one, if the last minute came to more.
    fn is_over(
        &self,
        session: &SessionId,
        pace: &Pace,
        (reason, value): (Reason, f64),
        now: Timestamp,
    ) -> Option<(f64, Option<f64>)> {
        if value < self.limit(reason) * FLOOR {
            return None;
        }
        let (least, baseline) = self.least(session, pace, reason, now);
        (value >= least).then_some((least, baseline))
    }

    /// The amount of a minute from which on any session runs away.
    fn limit(&self, reason: Reason) -> f64 {
        match reason {
            Reason::Cost => self.settings.usd_per_minute,
            Reason::Calls => self.settings.calls_per_minute,
            Reason::Failures => self.settings.failures_per_minute,
        }
    }

    /// The amount of a minute from which on a session runs away, and its usual one.
    fn least(&self, session: &SessionId, pace: &Pace, reason: Reason, now: Timestamp) -> (f64, Option<f64>) {
        let limit = self.limit(reason);
        let baseline = self.usual(session, pace, now).map(|usual| usual.usual(reason));
        let relative = baseline.map(|baseline| (baseline * self.settings.times).max(limit * FLOOR));
        (relative.map_or(limit, |relative| relative.min(limit)), baseline)
    }

    /// The usual minute of a session, or of all others if it is young.
    fn usual(&self, session: &SessionId, pace: &Pace, now: Timestamp) -> Option<Minutes> {
        let own = pace.before(now);
        if own.active >= OWN_MINUTES_LEAST {
            return Some(own);
        }
        let mut others = Minutes::default();
        let pace_of = |(other, pace): (&SessionId, &Pace)| (other != session).then(|| pace.before(now));
        self.sessions.iter().filter_map(pace_of).for_each(|minutes| others.add(minutes));
        (others.active >= OTHER_MINUTES_LEAST).then_some(others)
    }
}

fn note(pace: &mut Pace, state: State, observation: &Observation<'_>, now: Timestamp) {
    let sign = if state == State::Before { -1 } else { 1 };
    // A row that is stamped in the future counts when it was read.
    let at = observation.at.min(now);
    match (observation.measure, observation.item) {
        (Measure::Cost, _) => pace.cost(at, observation.amount, sign),
        (Measure::Responses, _) => pace.response(at, sign),
        (Measure::ToolCalls, _) => pace.call(at, sign),
        (Measure::ToolFailures, Item::Call(call)) if state == State::Before => pace.no_failure(call),
        (Measure::ToolFailures, Item::Call(call)) if observation.dimensions.reason != Some("interrupted") => {
            let tool = if let SpanPlace::Tool(tool) = observation.place { Some(tool) } else { None };
            pace.failure(at, call, tool.and_then(same_call));
        }
        _ => {}
    }
}

/// A hash of the tool and the input of a call; `None` if the input is not known.
fn same_call(tool: &Tool) -> Option<u64> {
    let call = tool.call.as_ref().filter(|call| call.input != 0)?;
    Some(xxh3_64_with_seed(call.name.as_bytes(), call.input))
}
