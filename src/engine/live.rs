//! Sessions that were active lately, for the gauges of active and waiting sessions. They are not stored: after a
//! restart they are known again once new rows come.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::known::Changed;
use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::metrics::labels::{self, LabelRules};
use crate::vitals::{LiveSession, OpenTool};

/// Most sessions that may be active at the same time. Further ones are not shown in the gauges.
const LIVE_MAX: usize = 10_000;

/// Most open calls that are kept of one home (a unit or a section). One is enough to know that a session waits.
const OPEN_MAX: usize = 64;

/// When a row that was read at `now` was written. For a row that is stamped in the future this is `now`: with a time in
/// the year 9999, a gauge that tells how long nothing has happened would never change again.
#[must_use]
pub fn written(row: Timestamp, now: Timestamp) -> Timestamp {
    if row.may_be(now) { row } else { now }
}

/// Sessions that got a row since the process started.
#[derive(Debug, Default)]
pub struct LiveSessions(BTreeMap<SessionId, LiveState>);

#[derive(Debug, Default)]
struct LiveState {
    entrypoint: Option<Arc<str>>,
    last: Timestamp,
    /// Open tool calls, by unit and by their home: the unit itself, or a section of it.
    open: BTreeMap<(UnitId, UnitId), Vec<OpenTool>>,
}

impl LiveSessions {
    /// Updates the session of a unit from the parts that changed.
    pub fn note(&mut self, labels: &LabelRules, change: &Changed<'_>, now: Timestamp) {
        let unit = change.unit;
        if self.0.len() >= LIVE_MAX && !self.0.contains_key(unit.session()) {
            return;
        }
        let session = self.0.entry(unit.session().clone()).or_default();
        session.last = session.last.max(written(unit.last, now));
        if unit.context.entrypoint.is_some() {
            session.entrypoint.clone_from(&unit.context.entrypoint);
        }
        let id = unit.key.id();
        if unit.superseded.is_some() {
            session.open.retain(|(of, _), _| *of != id);
            return;
        }
        let tools = change.parts.tools.iter().filter(|tool| tool.is_open()).filter_map(|tool| tool.call.as_ref());
        let open: Vec<_> = tools
            .map(|call| OpenTool { tool: labels.tool(&call.name), since: call.rank.time })
            .take(OPEN_MAX)
            .collect();
        if open.is_empty() {
            session.open.remove(&(id, change.home));
        } else {
            session.open.insert((id, change.home), open);
        }
    }

    /// Sessions with a row at or after `since`; older ones are forgotten.
    pub fn since(&mut self, since: Timestamp) -> Vec<LiveSession> {
        self.0.retain(|_, session| session.last >= since);
        let shown = |session: &LiveState| LiveSession {
            entrypoint: labels::entrypoint(session.entrypoint.as_deref()),
            last: session.last,
            open_tools: session.open.values().flatten().cloned().collect(),
        };
        self.0.values().map(shown).collect()
    }
}
