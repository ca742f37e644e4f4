//! Sessions that were active lately, for the gauges of active and waiting sessions. They are not stored: after a
//! restart the latest are recalled from their units.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::ledger::known::Changed;
use crate::ledger::session::Session;
use crate::ledger::unit::UnitId;
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::metrics::labels::{self, LabelRules};
use crate::vitals::{LiveSession, OpenTool};
use crate::waiting::RowState;

/// Most sessions that may be active at the same time. Further ones are not shown in the gauges.
const LIVE_MAX: usize = 10_000;

/// Most open calls that are kept of one home (a unit or a section). One is enough to know that a session waits.
const OPEN_MAX: usize = 64;

/// Of a unit that has been quiet for more milliseconds, nobody asks whom it waits for: history is read without that.
const RECENT_MS: u64 = 2 * 86_400_000;

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
    /// What its rows show of whom it waits for.
    rows: RowState,
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
        if now.since_ms(unit.last) <= RECENT_MS {
            session.rows.note(change);
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

    /// Updates what is known of a session as a whole.
    pub fn note_session(&mut self, session: &Session) {
        if let Some(state) = self.0.get_mut(&session.id) {
            state.rows.note_session(session);
        }
    }

    /// Sessions with a row at or after `since`, and those of `open`; others are forgotten. `config` tells the
    /// configuration folder that a file belongs to.
    pub fn since(
        &mut self,
        since: Timestamp,
        open: &BTreeSet<SessionId>,
        config: &dyn Fn(FileNumber) -> Option<PathBuf>,
    ) -> Vec<LiveSession> {
        self.0.retain(|id, session| session.last >= since || open.contains(id));
        let shown = |(id, session): (&SessionId, &LiveState)| LiveSession {
            id: id.clone(),
            entrypoint: labels::entrypoint(session.entrypoint.as_deref()),
            last: session.last,
            open_tools: session.open.values().flatten().cloned().collect(),
            rows: session.rows.signs(),
            config: session.rows.file().and_then(config),
        };
        self.0.iter().map(shown).collect()
    }
}
