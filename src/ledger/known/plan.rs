//! What has to be loaded before records can be folded.

use std::collections::BTreeSet;

use super::Known;
use crate::ledger::unit::{Identity, Unit, UnitId, UnitKey};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::record::{Body, Kind, Record, Said};

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default)]
pub struct Keys {
    /// Units and sections.
    pub units: BTreeSet<UnitId>,
    /// Sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Sub-agents without rows, which may wait for them.
    pub waiting: BTreeSet<(SessionId, AgentId)>,
    /// Whose rows came last: those of the next row, most often.
    owner: Option<(SessionId, Option<AgentId>)>,
    /// The response whose rows came last.
    message: Option<Box<str>>,
    /// A row of the main thread has a unit before it, so that it begins none but as a prompt.
    is_led: bool,
}

impl Known {
    /// Everything that folding `records` of a file may touch.
    #[must_use]
    pub fn keys_of(&self, file: FileNumber, records: &[Record], restarted: bool) -> Keys {
        let mut keys = Keys::default();
        let (stem, thread) = (self.stem(file), self.threads.get(&file));
        if let Some(thread) = thread {
            let open = thread.open_message.as_deref().map(|id| Identity::Message(id).hash());
            keys.units.extend(open.and_then(|open| self.index.home(open)));
            keys.units.extend(thread.current.as_ref().map(UnitKey::id));
            keys.units.extend(thread.inline.iter().map(|inline| inline.unit.id()));
            keys.sessions.extend(thread.session.clone());
            keys.is_led = thread.current.is_some() && !restarted;
        }
        let mut session = thread.and_then(|thread| thread.session.as_ref()).filter(|_| !restarted);
        for record in records {
            if let Body::Row(row) = &record.body {
                // A row without a session belongs to that of the rows before it.
                session = row.session.as_ref().or(session).or(Some(&stem));
            }
            self.keys_of_body(&record.body, session, &mut keys);
        }
        // The units above a sub-agent say which trace its observations belong to.
        let mut open: Vec<UnitId> = keys.units.iter().copied().collect();
        while let Some(unit) = open.pop() {
            let Some(agent) = self.unit(unit).and_then(|unit| unit.agent.as_ref()) else { continue };
            let call = agent.call.as_deref().and_then(|call| self.index.home(Identity::Call(call).hash()));
            open.extend(agent.parent.into_iter().chain(call).filter(|above| keys.units.insert(*above)));
        }
        keys.units.retain(|unit| self.index.has_unit(*unit));
        keys
    }

    fn keys_of_body(&self, body: &Body, session: Option<&SessionId>, keys: &mut Keys) {
        let home = |identity: Identity<'_>| self.index.home(identity.hash());
        // Of most rows there is no such unit.
        let known = |id: UnitId| Some(id).filter(|id| self.index.has_unit(*id));
        match body {
            Body::Row(row) => {
                match &row.kind {
                    Kind::User(user) => match &user.said {
                        Said::Results(results) => {
                            for result in results {
                                keys.units.extend(home(Identity::Call(&result.call)));
                            }
                            for result in results.iter().filter(|result| result.agent.is_some()) {
                                self.keys_of_owner(session, result.agent.as_ref(), keys);
                                let owner = home(Identity::Call(&result.call))
                                    .and_then(|home| self.unit(self.index.owner(home)))
                                    .map(Unit::session);
                                self.keys_of_owner(owner, result.agent.as_ref(), keys);
                            }
                        }
                        _ => keys.units.extend(known(UnitKey::Turn(row.id).id())),
                    },
                    Kind::Assistant(assistant) => {
                        if keys.message.as_deref() != Some(&*assistant.message) {
                            keys.units.extend(home(Identity::Message(&assistant.message)));
                            keys.message = Some(assistant.message.clone());
                        }
                        for call in &assistant.calls {
                            keys.units.extend(home(Identity::Call(&call.id)));
                            keys.units.extend(home(Identity::Link(&call.id)));
                        }
                        keys.sessions.extend(assistant.copied_from.clone());
                        // The report of a failure counts by its row.
                        if assistant.synthetic {
                            keys.units.extend(home(Identity::Row(row.id)));
                        }
                    }
                    Kind::ApiError(_) | Kind::Compaction(_) | Kind::Hook(_) | Kind::Fallback(_) => {
                        keys.units.extend(home(Identity::Row(row.id)));
                    }
                    Kind::TurnDuration(_) | Kind::Other => {}
                }
                // What a row may begin that is no prompt.
                match (&row.agent, row.sidechain) {
                    (Some(_), _) => {}
                    (None, true) => keys.units.extend(known(UnitKey::inline_id(row.id))),
                    (None, false) if keys.is_led => {}
                    (None, false) => {
                        keys.units.extend(known(UnitKey::Loose(row.id).id()));
                        // A row that was counted before leaves the next one to begin a unit.
                        keys.is_led = matches!(row.kind, Kind::User(_) | Kind::Assistant(_));
                    }
                }
                self.keys_of_owner(session, row.agent.as_ref(), keys);
            }
            Body::CostState(state) => keys.sessions.extend([state.session.clone()]),
            Body::Title { session, .. } => keys.sessions.extend([session.clone()]),
            Body::AgentMeta(meta) => {
                if let Some(call) = &meta.call {
                    keys.units.extend(home(Identity::Call(call)));
                }
                self.keys_of_owner(Some(&meta.session), Some(&meta.agent), keys);
            }
            _ => {}
        }
    }

    fn keys_of_owner(&self, session: Option<&SessionId>, agent: Option<&AgentId>, keys: &mut Keys) {
        let Some(session) = session else { return };
        if keys.owner.as_ref().is_some_and(|(known, of)| known == session && of.as_ref() == agent) {
            return;
        }
        keys.owner = Some((session.clone(), agent.cloned()));
        keys.sessions.insert(session.clone());
        let Some(agent) = agent else { return };
        let id = UnitKey::agent(session, agent).id();
        if self.index.has_unit(id) {
            keys.units.insert(id);
            return;
        }
        // A call that waits for this agent's first row.
        let agent = (session.clone(), agent.clone());
        let waiting = self.waiting.get(&agent).and_then(Option::as_ref);
        if let Some(call) = waiting.and_then(|waiting| waiting.call.as_deref()) {
            keys.units.extend(self.index.home(Identity::Call(call).hash()));
        }
        keys.waiting.insert(agent);
    }
}
