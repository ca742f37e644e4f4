//! What is known of all sessions from outside their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::process::ProcessSigns;
use super::told::{Told, ToldSigns};
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// Most sessions of which something told is kept; that of which was told earliest is forgotten first.
const TOLD_MAX: usize = 10_000;

/// What was told of sessions, and which processes run.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    told: BTreeMap<SessionId, ToldSigns>,
    processes: BTreeMap<SessionId, ProcessSigns>,
    /// Configuration folders that list the processes of their sessions.
    lists: BTreeSet<PathBuf>,
}

impl Outside {
    /// Takes in what was told of a session.
    pub fn tell(&mut self, session: &SessionId, told: &Told) {
        if told.kind.only_ends() && !self.told.contains_key(session) {
            return;
        }
        self.told.entry(session.clone()).or_default().note(told);
        if self.told.len() > TOLD_MAX
            && let Some(oldest) = self.told.iter().min_by_key(|(_, told)| told.last).map(|(id, _)| id.clone())
        {
            self.told.remove(&oldest);
        }
    }

    /// Replaces the processes that run, by the session that each has open, and the configuration folders that list them.
    pub fn set_processes(&mut self, processes: BTreeMap<SessionId, ProcessSigns>, lists: BTreeSet<PathBuf>) {
        (self.processes, self.lists) = (processes, lists);
    }

    /// What was told of a session.
    #[must_use]
    pub fn told(&self, session: &SessionId) -> ToldSigns {
        self.told.get(session).cloned().unwrap_or_default()
    }

    /// What is known of the process of a session. `config` is the configuration folder that its file belongs to, if its
    /// client keeps a list there.
    #[must_use]
    pub fn process(&self, session: &SessionId, config: Option<&Path>) -> ProcessSigns {
        let is_listed = config.is_some_and(|config| self.lists.contains(config));
        let none = if is_listed { ProcessSigns::Gone } else { ProcessSigns::Unknown };
        self.processes.get(session).copied().unwrap_or(none)
    }

    /// How many milliseconds after `now` the next question has stood for long enough to be waited for; `None` if none will.
    #[must_use]
    pub fn stands_in_ms(&self, now: Timestamp) -> Option<u64> {
        let asked = self.told.values().flat_map(|told| &told.asked);
        asked.map(|asked| asked.stands_at().since_ms(now)).filter(|ms| *ms > 0).min()
    }

    /// Sessions that a process has open, or of which something was told at `since` or later.
    #[must_use]
    pub fn open_since(&self, since: Timestamp) -> BTreeSet<SessionId> {
        let told = self.told.iter().filter(|(_, told)| told.last >= since).map(|(session, _)| session);
        self.processes.keys().chain(told).cloned().collect()
    }
}
