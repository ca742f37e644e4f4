//! Sessions that were active lately, for the gauges of active and waiting sessions. Not stored: rows tell it anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::unit::{Unit, UnitId};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::labels::{self, LabelRules};
use crate::vitals::{LiveSession, OpenTool};

/// Sessions that may be active at the same time; beyond it new ones are not shown in the gauges.
const LIVE_MAX: usize = 10_000;

/// Sessions with a row in this process's time.
#[derive(Debug, Default)]
pub struct LiveSessions(BTreeMap<SessionId, Live>);

#[derive(Debug, Default)]
struct Live {
    entrypoint: Option<Arc<str>>,
    last: Timestamp,
    open: BTreeMap<UnitId, Vec<OpenTool>>,
}

impl LiveSessions {
    /// Takes in what a changed unit says about its session.
    pub fn note(&mut self, labels: &LabelRules, unit: &Unit) {
        if self.0.len() >= LIVE_MAX && !self.0.contains_key(unit.session()) {
            return;
        }
        let session = self.0.entry(unit.session().clone()).or_default();
        session.last = session.last.max(unit.last);
        if unit.context.entrypoint.is_some() {
            session.entrypoint.clone_from(&unit.context.entrypoint);
        }
        let open: Vec<_> = unit
            .tools
            .iter()
            .filter(|tool| tool.is_open())
            .filter_map(|tool| tool.call.as_ref())
            .map(|call| OpenTool { tool: labels.tool(&call.name), since: call.rank.time })
            .collect();
        if open.is_empty() || unit.superseded.is_some() {
            session.open.remove(&unit.key.id());
        } else {
            session.open.insert(unit.key.id(), open);
        }
    }

    /// Sessions with a row at or after `since`; older ones are forgotten.
    pub fn since(&mut self, since: Timestamp) -> Vec<LiveSession> {
        self.0.retain(|_, session| session.last >= since);
        let shown = |session: &Live| LiveSession {
            entrypoint: labels::entrypoint(session.entrypoint.as_deref()),
            last: session.last,
            open_tools: session.open.values().flatten().cloned().collect(),
        };
        self.0.values().map(shown).collect()
    }
}
