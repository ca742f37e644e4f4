//! Sessions that run away, as answers tell them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::transcript::ids::SessionId;
use crate::views::analytics::runaway::detector::Runaway;

/// What a session does too fast at this moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Runaway")]
pub(super) struct RunawayForm {
    /// `cost`, `calls` or `failures`; of several the one that is furthest beyond what gave it away.
    reason: &'static str,
    /// When it was noticed, RFC 3339 UTC.
    since: String,
    /// What the last minute came to: US dollars without the two dearest responses, calls, or failures of which those of the same
    /// call again count up to six times.
    value: f64,
    /// What its usual minute comes to, or that of other sessions if it is young; `null` if neither is known.
    baseline: Option<f64>,
}

impl RunawayForm {
    /// What a session does too fast, of all that run away; `None` if it does not.
    pub(super) fn of(session: &SessionId, runaways: &[Runaway]) -> Option<Self> {
        let own = runaways.iter().filter(|runaway| runaway.session == *session);
        let beyond = |runaway: &Runaway| runaway.value / runaway.limit;
        let worst = own.max_by(|a, b| beyond(a).total_cmp(&beyond(b)))?;
        Some(Self {
            reason: worst.reason.word(),
            since: worst.since.to_rfc3339(),
            value: rounded(worst.value),
            baseline: worst.baseline.map(rounded),
        })
    }
}

/// What stands in the tag of an answer that tells of these.
pub(super) fn tag_of(runaways: &[Runaway]) -> String {
    let parts = runaways.iter().map(|runaway| {
        format!("-{:x}{}{:x}", runaway.since.0, runaway.reason.word(), (runaway.value * 100.0).to_bits())
    });
    parts.collect()
}

/// To six decimals.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
