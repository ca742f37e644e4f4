//! Logs how much of the history is sent.

use std::collections::HashSet;
use std::sync::Arc;

use super::lane::{HistoryRules, Lane};
use crate::store::OutboxMeter;
use crate::transcript::time::Timestamp;

/// Time between two log lines about one endpoint, in milliseconds.
const EVERY_MS: u64 = 60_000;

/// How much history each endpoint has got.
#[derive(Debug, Default)]
pub(super) struct SendingProgress {
    /// One stage for each endpoint, in the order of the rules; empty before the plan is made.
    endpoints: Vec<Stage>,
    /// True from the end of the plan until the next look.
    is_planned: bool,
}

/// How much history an endpoint has got.
#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    /// No history is being sent.
    #[default]
    Idle,
    /// So many turns in all are being put into the outbox; `said` is the time of the last log line.
    Sending { turns: usize, said: Timestamp },
    /// All of these turns are in the outbox, in rows before `position`.
    Waiting { turns: usize, position: u64 },
}

impl SendingProgress {
    /// Notes that the plan is made, so that it is known what is to be sent.
    pub(super) fn planned(&mut self) {
        self.is_planned = true;
    }

    /// True while something is to be logged.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_planned || self.endpoints.iter().any(|stage| !matches!(stage, Stage::Idle))
    }
}

impl SendingProgress {
    /// Logs how much history is sent. Returns the positions of endpoints for which all history is in the outbox.
    pub(super) fn say(
        &mut self,
        rules: &HistoryRules,
        lanes: &mut [Lane],
        meter: &OutboxMeter,
        now: Timestamp,
    ) -> Vec<usize> {
        let is_planned = std::mem::take(&mut self.is_planned);
        self.endpoints.resize(rules.endpoints.len(), Stage::Idle);
        let Some((for_all, alone)) = lanes.split_first() else { return Vec::new() };
        let mut complete = Vec::new();
        let stages = self.endpoints.iter_mut();
        for (position, ((stage, lane), name)) in stages.zip(alone).zip(&rules.endpoints).enumerate() {
            let left = for_all.turns.len() + lane.turns.len();
            if left == 0 {
                complete.push(position);
            }
            *stage = match *stage {
                Stage::Idle | Stage::Waiting { .. } if left > 0 => {
                    say_start(name, rules.since, rules.rate, &[for_all, lane]);
                    Stage::Sending { turns: left, said: now }
                }
                // History that an earlier process put into the outbox may still wait there.
                Stage::Idle if is_planned => Stage::Waiting { turns: 0, position: meter.position() },
                Stage::Sending { turns, .. } if left == 0 => Stage::Waiting { turns, position: meter.position() },
                Stage::Sending { turns, said } if now.since_ms(said) >= EVERY_MS => {
                    tracing::info!(endpoint = &**name, "sending history: {left} of {turns} traces are left");
                    Stage::Sending { turns, said: now }
                }
                Stage::Waiting { turns, position } if meter.has_taken(name, position) => {
                    match turns {
                        0 => tracing::info!(endpoint = &**name, "the history is sent: nothing is missing"),
                        _ => tracing::info!(endpoint = &**name, "the history is sent: {turns} traces"),
                    }
                    Stage::Idle
                }
                same => same,
            };
        }
        for lane in lanes.iter_mut().filter(|lane| lane.turns.is_empty()) {
            lane.sessions.clear();
        }
        complete
    }
}

fn say_start(name: &Arc<str>, since: Option<Timestamp>, rate: u64, lanes: &[&Lane]) {
    let sessions: HashSet<u64> = lanes.iter().flat_map(|lane| lane.sessions.iter().copied()).collect();
    let since = since.filter(|since| since.0 > i64::MIN).map(|since| format!(" since {}", since.to_rfc3339()));
    tracing::info!(
        "sending the traces of {} sessions{} to endpoint {name}, at most {rate} spans a second",
        sessions.len(),
        since.unwrap_or_default()
    );
}
