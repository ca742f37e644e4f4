//! Turns that have ended leave as spans.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Engine;
use super::texts::Texts;
use crate::ledger::unit::{UnitId, UnitKey};
use crate::store::StoreError;
use crate::transcript::time::Timestamp;
use crate::turns::Leaving;
use crate::views::content::ContentLevel;
use crate::views::openinference;
use crate::views::span::SpanBatch;

/// Turns that leave in one commit.
const LEAVING_MAX: usize = 100;

/// Bytes of text on spans at which a commit takes no further turn.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl Engine {
    /// Lets the turns leave that have ended. Returns true if more are ready.
    ///
    /// # Errors
    ///
    /// The database failed or is damaged.
    pub fn tick(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let due = self.turns.due(now, LEAVING_MAX);
        if due.is_empty() {
            return Ok(false);
        }
        let mut leaving = Leaving::default();
        let (mut left, mut text_bytes) = (0, 0);
        for id in &due {
            self.load_family(*id)?;
            let before = leaving.spans.len();
            self.turns.leave(&mut self.known, *id, now, &mut leaving);
            left += 1;
            text_bytes += self.finish(leaving.spans.get_mut(before..).unwrap_or_default(), *id);
            if text_bytes > TEXT_BYTES_MAX {
                break;
            }
        }
        self.handed_out = self.handed_out.max(leaving.until);
        self.write(leaving, now)?;
        Ok(left >= LEAVING_MAX || left < due.len())
    }

    /// Gives the spans that one unit lets leave their last form. Returns how many bytes of text they took.
    fn finish(&self, batches: &mut [SpanBatch], id: UnitId) -> usize {
        let Some(unit) = self.known.unit(id).filter(|_| !batches.is_empty()) else { return 0 };
        let session = unit.session();
        let text_bytes = match self.spans.content {
            ContentLevel::Off => 0,
            level => {
                let path = |file| Some(PathBuf::from(OsStr::from_bytes(&self.row(file)?.path)));
                let family = self.known.units().filter(|unit| unit.session() == session);
                Texts::new(level, family, &path).add(batches)
            }
        };
        let fork = self.known.session(session).and_then(|session| session.fork.as_ref());
        self.spans.scope.apply(session, fork.map(|fork| &fork.from), batches);
        if self.spans.openinference {
            batches.iter_mut().flat_map(|batch| &mut batch.spans).for_each(openinference::add);
        }
        text_bytes
    }

    /// Loads what the spans of a unit are made of: the units above it, the sub-agents below the topmost, the session
    /// and the one it was forked from.
    fn load_family(&mut self, id: UnitId) -> Result<(), StoreError> {
        /// Units of one family; a family beyond that is cut.
        const FAMILY_MAX: usize = 4096;
        self.load_unit(id)?;
        let mut top = id;
        for _ in 0..FAMILY_MAX {
            let parent = self.known.unit(top).and_then(|unit| unit.agent.as_ref()).and_then(|agent| agent.parent);
            let Some(parent) = parent else { break };
            self.load_unit(parent)?;
            top = parent;
        }
        let mut family = vec![top];
        let mut next = 0;
        while let Some(unit) = family.get(next).and_then(|unit| self.known.unit(*unit)) {
            let agents = unit.tools.iter().filter_map(|tool| tool.agent.as_ref());
            let agents: Vec<_> = agents.map(|agent| UnitKey::agent(unit.session(), agent).id()).collect();
            for agent in agents {
                if family.contains(&agent) || family.len() >= FAMILY_MAX {
                    continue;
                }
                self.load_unit(agent)?;
                if self.known.has_unit(agent) {
                    family.push(agent);
                }
            }
            next += 1;
        }
        let session = self.known.unit(top).map(|unit| unit.session().clone());
        if let Some(session) = session {
            self.load_session(&session)?;
            let source = self.known.session(&session).and_then(|session| session.fork.as_ref());
            if let Some(source) = source.map(|fork| fork.from.clone()) {
                self.load_session(&source)?;
            }
        }
        Ok(())
    }
}
